//! Points: hits and distances with one-to-one matching, and the field's many-to-one variant.

use super::assign::{MOST_CELLS, cheapest};
use super::entry::Entry;
use loupe_core::Point2;
use loupe_core::geometry::Frame;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("point_f1", "one-to-one pairs (Hungarian) within the radius", "share", true),
    Entry::typed("point_distance", "mean distance of one-to-one pairs, any radius", "px", false),
    Entry::typed(
        "point_distance_nearest",
        "PointDetectCount: each answer to its nearest reference, many to one",
        "px",
        false,
    ),
    Entry::typed(
        "point_hit_nearest",
        "PointDetectCount: share of answers within 10 px of any reference",
        "share",
        true,
    ),
];

/// One-to-one agreement of the points of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matched {
    /// Pairs within the radius.
    pub hits: usize,
    /// References without a pair within the radius.
    pub missed: usize,
    /// Answers without a pair within the radius.
    pub superfluous: usize,
    /// Mean distance over all pairs in pixels, when there is a pair.
    pub mean_distance_px: Option<f64>,
}

impl Matched {
    /// F1 of the hits; 1 when nothing was wanted and nothing given.
    pub fn f1(&self) -> f64 {
        let all = 2 * self.hits + self.missed + self.superfluous;
        if all == 0 { 1.0 } else { 2.0 * self.hits as f64 / all as f64 }
    }
}

/// Pairs references and answers so that as many as possible lie within `radius_px` and, among
/// those, the summed distance is smallest. `None` when there are too many points to pair.
pub fn matched<F: Frame>(references: &[Point2<F>], answers: &[Point2<F>], radius_px: f64) -> Option<Matched> {
    if references.len().saturating_mul(answers.len()) > MOST_CELLS {
        return None;
    }
    let finite = |p: &Point2<F>| p.x.is_finite() && p.y.is_finite();
    let usable: Vec<&Point2<F>> = answers.iter().filter(|p| finite(p)).collect();
    // A pair out of reach costs more than any number of pairs within reach.
    let beyond = radius_px.max(1.0) * (references.len() + usable.len() + 1) as f64;
    let far = |d: f64| if d <= radius_px { d } else { beyond + d };
    let costs: Vec<Vec<f64>> = references
        .iter()
        .map(|r| usable.iter().map(|a| far(r.distance(**a)).min(f64::MAX / 4.0)).collect())
        .collect();
    let distances: Vec<f64> = cheapest(&costs)
        .into_iter()
        .filter_map(|(r, a)| Some(references.get(r)?.distance(**usable.get(a)?)))
        .collect();
    let hits = distances.iter().filter(|d| **d <= radius_px).count();
    Some(Matched {
        hits,
        missed: references.len() - hits,
        superfluous: answers.len() - hits,
        mean_distance_px: (!distances.is_empty())
            .then(|| distances.iter().sum::<f64>() / distances.len() as f64),
    })
}

/// PointDetectCount's figures of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Mean distance to the nearest reference in pixels.
    pub mean_px: f64,
    /// Root of the mean squared distance in pixels.
    pub rms_px: f64,
    /// Share below the radius.
    pub hits: f64,
}

/// Each answer's distance to its nearest reference; several answers may share one, and references
/// that nobody found cost nothing. `None` without references or answers.
pub fn nearest<F: Frame>(references: &[Point2<F>], answers: &[Point2<F>], radius_px: f64) -> Option<Nearest> {
    if references.is_empty() || answers.is_empty() {
        return None;
    }
    let distances: Vec<f64> = answers
        .iter()
        .map(|a| references.iter().map(|r| r.distance(*a)).fold(f64::INFINITY, f64::min))
        .collect();
    let n = distances.len() as f64;
    Some(Nearest {
        mean_px: distances.iter().sum::<f64>() / n,
        rms_px: (distances.iter().map(|d| d * d).sum::<f64>() / n).sqrt(),
        hits: distances.iter().filter(|d| **d < radius_px).count() as f64 / n,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use loupe_core::Source;

    #[test]
    fn one_reference_serves_one_answer() {
        let p = |x, y| Point2::<Source>::new(x, y);
        let m = matched(&[p(0., 0.), p(100., 0.)], &[p(1., 0.), p(2., 0.)], 10.0).unwrap();
        assert_eq!((m.hits, m.missed, m.superfluous), (1, 1, 1));
        assert_eq!(m.f1(), 0.5);
        let n = nearest(&[p(0., 0.), p(100., 0.)], &[p(1., 0.), p(2., 0.)], 10.0).unwrap();
        assert_eq!((n.mean_px, n.hits), (1.5, 1.0));
        assert_eq!(matched::<Source>(&[], &[], 10.0).unwrap().f1(), 1.0);
        assert_eq!(matched(&[p(0., 0.)], &[p(f64::NAN, 0.)], 10.0).unwrap().superfluous, 1);
    }

    #[test]
    fn more_hits_are_worth_a_longer_way() {
        let p = |x| Point2::<Source>::new(x, 0.0);
        // Greedy nearest pairing would take (0, 1) and leave 10 without a partner in reach.
        let m = matched(&[p(0.0), p(9.0)], &[p(1.0), p(-9.0)], 10.0).unwrap();
        assert_eq!(m.hits, 2);
    }
}
