//! Overlap of boxes: continuous edges, no "+1" unless the name says so.

use super::assign::{MOST_CELLS, cheapest};
use super::entry::Entry;
use loupe_core::geometry::Frame;
use loupe_core::{Box2, Score};
use std::collections::BTreeSet;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("box_iou", "continuous edges; one box against one", "share", true),
    Entry::typed("acc_at_50", "share of one-box answers with IoU >= 0.5; no box is a miss", "share", true),
    Entry::typed(
        "box_iou_matched",
        "mean IoU of one-to-one pairs (Hungarian) over max(references, answers)",
        "share",
        true,
    ),
    Entry::typed(
        "box_iou_best",
        "PointDetectCount: mean over answers of the best IoU; missed references cost nothing",
        "share",
        true,
    ),
    Entry::typed(
        "box_iou_inclusive",
        "pixel-inclusive corners (+1), as PointDetectCount defines and never uses",
        "share",
        true,
    ),
    Entry::typed("mdice", "mean over reference labels of the Dice of the united boxes", "share", true),
    Entry::typed(
        "box_iou_medvision_nan",
        "MedVision parse_outputs: unreadable answers leave the mean",
        "share",
        true,
    ),
    Entry::typed(
        "box_iou_medvision_zero",
        "MedVision summarize_detection_task: unreadable answers count 0",
        "share",
        true,
    ),
    Entry::typed(
        "acc_at_50_vlmevalkit",
        "VLMEvalKit refcoco: scale guessed from magnitudes, clipped, corners swapped",
        "share",
        true,
    ),
];

/// Area two boxes share.
pub fn intersection<F: Frame>(a: Box2<F>, b: Box2<F>) -> f64 {
    let width = a.x1.min(b.x1) - a.x0.max(b.x0);
    let height = a.y1.min(b.y1) - a.y0.max(b.y0);
    if a.is_proper() && b.is_proper() && width > 0.0 && height > 0.0 { width * height } else { 0.0 }
}

/// Intersection over union; 0 when a box is improper.
pub fn iou<F: Frame>(a: Box2<F>, b: Box2<F>) -> f64 {
    let both = intersection(a, b);
    if both > 0.0 { both / (a.area() + b.area() - both) } else { 0.0 }
}

/// IoU when corners name the last covered pixel.
pub fn iou_inclusive<F: Frame>(a: Box2<F>, b: Box2<F>) -> f64 {
    let grown = |r: Box2<F>| Box2::<F>::new(r.x0, r.y0, r.x1 + 1.0, r.y1 + 1.0);
    iou(grown(a), grown(b))
}

/// Dice coefficient of two boxes.
pub fn dice<F: Frame>(a: Box2<F>, b: Box2<F>) -> f64 {
    let sum = a.area() + b.area();
    if sum > 0.0 { 2.0 * intersection(a, b) / sum } else { 0.0 }
}

/// Mean IoU of the best one-to-one pairing, over the larger of the two counts: a missed reference
/// and a superfluous answer cost the same.
pub fn iou_matched<F: Frame>(references: &[Box2<F>], answers: &[Box2<F>]) -> Score {
    let most = references.len().max(answers.len());
    if most == 0 {
        return Score::Unscored("no reference and no answer".into());
    }
    if references.len().saturating_mul(answers.len()) > MOST_CELLS {
        return Score::Unscored("too many boxes to pair".into());
    }
    let costs: Vec<Vec<f64>> =
        references.iter().map(|r| answers.iter().map(|a| -iou(*r, *a)).collect()).collect();
    let sum: f64 = cheapest(&costs).into_iter().filter_map(|(r, a)| Some(-costs.get(r)?.get(a)?)).sum();
    Score::Value(sum / most as f64)
}

/// PointDetectCount's figure for one image: each answer's best IoU, averaged over the answers.
pub fn iou_best<F: Frame>(references: &[Box2<F>], answers: &[Box2<F>]) -> Score {
    if references.is_empty() || answers.is_empty() {
        return Score::Unscored("no reference or no answer".into());
    }
    let best = |a: &Box2<F>| references.iter().map(|r| iou(*r, *a)).fold(0.0, f64::max);
    Score::Value(answers.iter().map(best).sum::<f64>() / answers.len() as f64)
}

/// Share of pairs with IoU of at least one half; `None` is an answer without a box.
pub fn acc_at_50<F: Frame>(pairs: &[(Box2<F>, Option<Box2<F>>)]) -> Score {
    if pairs.is_empty() {
        return Score::Unscored("no boxes".into());
    }
    let hits = pairs.iter().filter(|(r, a)| a.is_some_and(|a| iou(*r, a) >= 0.5)).count();
    Score::Value(hits as f64 / pairs.len() as f64)
}

/// Area covered by any of the boxes.
pub fn union_area<F: Frame>(boxes: &[Box2<F>]) -> f64 {
    let proper: Vec<&Box2<F>> = boxes.iter().filter(|b| b.is_proper()).collect();
    let mut xs: Vec<f64> = proper.iter().flat_map(|b| [b.x0, b.x1]).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let mut area = 0.0;
    for strip in xs.windows(2) {
        let mut spans: Vec<(f64, f64)> =
            proper.iter().filter(|b| b.x0 <= strip[0] && b.x1 >= strip[1]).map(|b| (b.y0, b.y1)).collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut covered, mut end) = (0.0, f64::NEG_INFINITY);
        for (top, bottom) in spans {
            covered += (bottom - top.max(end)).max(0.0);
            end = end.max(bottom);
        }
        area += covered * (strip[1] - strip[0]);
    }
    area
}

/// Mean over the labels of the reference of the Dice of the united boxes of that label.
pub fn mean_dice<F: Frame>(references: &[(&str, Box2<F>)], answers: &[(&str, Box2<F>)]) -> Score {
    let labels: BTreeSet<&str> = references.iter().map(|(l, _)| *l).collect();
    if labels.is_empty() {
        return Score::Unscored("no reference box".into());
    }
    let of = |all: &[(&str, Box2<F>)], label: &str| -> Vec<Box2<F>> {
        all.iter().filter(|(l, _)| *l == label).map(|(_, b)| *b).collect()
    };
    let sum: f64 = labels
        .iter()
        .map(|label| {
            let (wanted, given) = (of(references, label), of(answers, label));
            let (a, b) = (union_area(&wanted), union_area(&given));
            let either = union_area(&[wanted, given].concat());
            if a + b > 0.0 { 2.0 * (a + b - either) / (a + b) } else { 0.0 }
        })
        .sum();
    Score::Value(sum / labels.len() as f64)
}

/// MedVision's two means over the same answers: unreadable ones left out, or counted 0.
pub fn medvision_means(ious: &[Option<f64>]) -> (Score, Score) {
    let read: Vec<f64> = ious.iter().flatten().copied().collect();
    let mean = |n: usize| {
        if n == 0 {
            Score::Unscored("no readable box".into())
        } else {
            Score::Value(read.iter().sum::<f64>() / n as f64)
        }
    };
    (mean(read.len()), mean(ious.len()))
}

/// A box that counts from the lower-left corner in shares of the picture, as MedVision asks for, in
/// pixels from the top.
pub fn from_lower_left<F: Frame>(shares: [f64; 4], width_px: f64, height_px: f64) -> Box2<F> {
    let [x0, y0, x1, y1] = shares;
    Box2::new(x0 * width_px, (1.0 - y1) * height_px, x1 * width_px, (1.0 - y0) * height_px)
}

/// VLMEvalKit's reading of four numbers (`refcoco.py`): up to 1.5 shares, up to 1000 thousandths,
/// else pixels; clipped, corners put in order. Absolute pixels of a picture below 1000 pixels are
/// thereby taken for thousandths. Kept to show what that harness prints; loupe never guesses.
pub fn vlmevalkit_box<F: Frame>(numbers: [f64; 4], width_px: f64, height_px: f64) -> Box2<F> {
    let largest = numbers.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let [x0, y0, x1, y1] = if largest <= 1.5 {
        numbers
    } else if largest <= 1000.0 {
        numbers.map(|v| v / 1000.0)
    } else {
        let [a, b, c, d] = numbers;
        [a / width_px, b / height_px, c / width_px, d / height_px]
    }
    .map(|v| v.clamp(0.0, 1.0));
    Box2::new(x0.min(x1) * width_px, y0.min(y1) * height_px, x0.max(x1) * width_px, y0.max(y1) * height_px)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use loupe_core::Source;

    fn b(x0: f64, y0: f64, x1: f64, y1: f64) -> Box2<Source> {
        Box2::new(x0, y0, x1, y1)
    }

    #[test]
    fn overlap_and_its_edge_cases() {
        assert_eq!(iou(b(0., 0., 2., 2.), b(1., 0., 3., 2.)), 1.0 / 3.0);
        assert_eq!(iou(b(0., 0., 2., 2.), b(2., 0., 3., 2.)), 0.0);
        assert_eq!(iou(b(2., 2., 0., 0.), b(0., 0., 2., 2.)), 0.0);
        assert_eq!(iou(b(0., 0., f64::NAN, 2.), b(0., 0., 2., 2.)), 0.0);
        assert_eq!(iou_inclusive(b(0., 0., 0., 0.), b(0., 0., 0., 0.)), 1.0);
        assert_eq!(union_area(&[b(0., 0., 2., 2.), b(1., 1., 3., 3.)]), 7.0);
        assert_eq!(dice(b(0., 0., 2., 2.), b(1., 0., 3., 2.)), 0.5);
    }

    #[test]
    fn a_missed_reference_costs_only_where_it_should() {
        let (one, two) = (b(0., 0., 10., 10.), b(20., 20., 30., 30.));
        assert_eq!(iou_matched(&[one, two], &[one]), Score::Value(0.5));
        assert_eq!(iou_best(&[one, two], &[one]), Score::Value(1.0));
        assert_eq!(mean_dice(&[("a", one), ("b", two)], &[("a", one)]), Score::Value(0.5));
        assert_eq!(medvision_means(&[Some(0.5), None]), (Score::Value(0.5), Score::Value(0.25)));
    }

    #[test]
    fn guessed_scales_are_wrong_for_pixels_of_small_pictures() {
        let truth = b(100., 100., 300., 300.);
        let read = vlmevalkit_box::<Source>([100., 100., 300., 300.], 512., 512.);
        assert!(iou(truth, read) < 0.5);
        assert_eq!(from_lower_left::<Source>([0.0, 0.0, 0.5, 0.25], 100., 200.), b(0., 150., 50., 200.));
    }
}
