//! COCO detection figures, equal to pycocotools' `COCOeval` for boxes: greedy matching by score,
//! 101-point interpolation, IoU .50:.05:.95, area ranges, 1/10/100 detections, crowds.

use super::entry::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("coco_map", "pycocotools AP, IoU .50:.05:.95, all areas, 100 detections", "share", true),
    Entry::typed("coco_map50", "pycocotools AP at IoU .50", "share", true),
    Entry::typed("coco_map75", "pycocotools AP at IoU .75", "share", true),
    Entry::typed("coco_ar100", "pycocotools AR, IoU .50:.05:.95, 100 detections", "share", true),
    Entry::typed(
        "map_torchmetrics",
        "torchmetrics MeanAveragePrecision: single-precision boxes and thresholds",
        "share",
        true,
    ),
];

/// A reference box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Which image.
    pub image: usize,
    /// Which category.
    pub class: usize,
    /// `[x, y, width, height]` in pixels.
    pub xywh: [f64; 4],
    /// Area in square pixels, when it is not the box's own (masks).
    pub area: Option<f64>,
    /// A region of many: detections inside it are neither right nor wrong.
    pub crowd: bool,
}

/// A detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Which image.
    pub image: usize,
    /// Which category.
    pub class: usize,
    /// `[x, y, width, height]` in pixels.
    pub xywh: [f64; 4],
    /// Confidence; ties keep the order given.
    pub score: f64,
}

/// Thresholds of the evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// IoU thresholds.
    pub ious: Vec<f64>,
    /// Recall levels of the interpolation.
    pub recalls: Vec<f64>,
    /// Detections kept per image and category, ascending.
    pub max_detections: [usize; 3],
    /// Boxes, areas and scores rounded to single precision first.
    pub single_precision: bool,
}

impl Params {
    /// `Params` of pycocotools.
    pub fn coco() -> Self {
        let linspace = |start: f64, end: f64, n: usize| {
            let step = (end - start) / (n - 1) as f64;
            (0..n).map(|i| if i + 1 == n { end } else { i as f64 * step + start }).collect()
        };
        Self {
            ious: linspace(0.5, 0.95, 10),
            recalls: linspace(0.0, 1.0, 101),
            max_detections: [1, 10, 100],
            single_precision: false,
        }
    }

    /// `MeanAveragePrecision()` of torchmetrics, whose thresholds are single-precision numbers.
    pub fn torchmetrics() -> Self {
        let linspace = |start: f32, end: f32, n: usize| {
            let step = (end - start) / (n - 1) as f32;
            (0..n)
                .map(|i| {
                    f64::from(if i < n / 2 {
                        start + step * i as f32
                    } else {
                        end - step * (n - i - 1) as f32
                    })
                })
                .collect()
        };
        Self {
            ious: linspace(0.5, 0.95, 10),
            recalls: linspace(0.0, 1.0, 101),
            max_detections: [1, 10, 100],
            single_precision: true,
        }
    }
}

/// The twelve figures of COCO; `None` where there is no reference box of that kind (pycocotools
/// prints -1).
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub struct Summary {
    pub ap: Option<f64>,
    pub ap50: Option<f64>,
    pub ap75: Option<f64>,
    pub ap_small: Option<f64>,
    pub ap_medium: Option<f64>,
    pub ap_large: Option<f64>,
    pub ar1: Option<f64>,
    pub ar10: Option<f64>,
    pub ar100: Option<f64>,
    pub ar_small: Option<f64>,
    pub ar_medium: Option<f64>,
    pub ar_large: Option<f64>,
}

/// Square pixels: all, below 32², 32² to 96², above.
const AREAS: [(f64, f64); 4] = [(0.0, 1e10), (0.0, 1024.0), (1024.0, 9216.0), (9216.0, 1e10)];

/// Intersection over union as `maskApi` computes it; over the detection's own area for crowds.
fn iou(found: [f64; 4], truth: [f64; 4], crowd: bool) -> f64 {
    let width = (found[0] + found[2]).min(truth[0] + truth[2]) - found[0].max(truth[0]);
    let height = (found[1] + found[3]).min(truth[1] + truth[3]) - found[1].max(truth[1]);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    let own = found[2] * found[3];
    both / if crowd { own } else { own + truth[2] * truth[3] - both }
}

/// One image and category, ready to be matched.
struct Scene<'a> {
    truths: Vec<&'a Truth>,
    founds: Vec<&'a Found>,
    /// IoU by detection, then truth.
    ious: Vec<Vec<f64>>,
}

/// The matching of one scene at one threshold.
struct Matching {
    scores: Vec<f64>,
    /// Right, or wrong; detections that do not count are absent.
    right: Vec<Option<bool>>,
    wanted: usize,
}

impl Scene<'_> {
    fn matching(&self, threshold: f64, area: (f64, f64), most: usize) -> Matching {
        let outside = |a: f64| a < area.0 || a > area.1;
        let ignored = |t: &Truth| t.crowd || outside(t.area.unwrap_or(t.xywh[2] * t.xywh[3]));
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_by_key(|&g| ignored(self.truths[g]));
        let mut taken = vec![false; self.truths.len()];
        let mut out = Matching { scores: Vec::new(), right: Vec::new(), wanted: 0 };
        out.wanted = self.truths.iter().filter(|t| !ignored(t)).count();
        for (found, ious) in self.founds.iter().zip(&self.ious).take(most) {
            let (mut best, mut chosen) = (threshold.min(1.0 - 1e-10), None::<usize>);
            for &g in &order {
                let truth = self.truths[g];
                if taken[g] && !truth.crowd {
                    continue;
                }
                // A proper match is never given up for one that does not count.
                if chosen.is_some_and(|c| !ignored(self.truths[c])) && ignored(truth) {
                    break;
                }
                if ious[g] >= best {
                    (best, chosen) = (ious[g], Some(g));
                }
            }
            if let Some(g) = chosen {
                taken[g] = true;
            }
            out.scores.push(found.score);
            out.right.push(match chosen {
                Some(g) if ignored(self.truths[g]) => None,
                None if outside(found.xywh[2] * found.xywh[3]) => None,
                matched => Some(matched.is_some()),
            });
        }
        out
    }
}

/// Interpolated precisions and final recall of one category at one threshold.
fn curve(matchings: &[Matching], recalls: &[f64]) -> Option<(Vec<f64>, f64)> {
    let wanted: usize = matchings.iter().map(|m| m.wanted).sum();
    if wanted == 0 {
        return None;
    }
    let mut all: Vec<(f64, Option<bool>)> =
        matchings.iter().flat_map(|m| m.scores.iter().copied().zip(m.right.iter().copied())).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut tp, mut fp) = (0.0f64, 0.0f64);
    let (mut recall, mut precision) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
    for (_, right) in &all {
        match right {
            Some(true) => tp += 1.0,
            Some(false) => fp += 1.0,
            None => {}
        }
        recall.push(tp / wanted as f64);
        precision.push(tp / (fp + tp + f64::EPSILON));
    }
    for i in (1..precision.len()).rev() {
        precision[i - 1] = precision[i - 1].max(precision[i]);
    }
    let levels = recalls
        .iter()
        .map(|level| precision.get(recall.partition_point(|r| r < level)).copied().unwrap_or(0.0))
        .collect();
    Some((levels, recall.last().copied().unwrap_or(0.0)))
}

/// Mean of what is there, or nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    (n > 0).then(|| sum / n as f64)
}

/// What curves are asked for: thresholds, an area of [`AREAS`], most detections.
type Curves<'a> = dyn Fn(&[f64], usize, usize) -> Vec<(Vec<f64>, f64)> + 'a;

/// Hands the curves of a set of detections, one a threshold and category that has references, to who draws
/// figures from them. A box with a number that is not finite never matches.
fn with_curves<T>(
    truths: &[Truth],
    founds: &[Found],
    params: &Params,
    of: impl FnOnce(&Curves<'_>) -> T,
) -> T {
    let rounded = |v: [f64; 4]| {
        // torchmetrics converts corners to widths in single precision.
        if params.single_precision { v.map(|x| f64::from(x as f32)) } else { v }
    };
    let truths: Vec<Truth> = truths.iter().map(|t| Truth { xywh: rounded(t.xywh), ..*t }).collect();
    let founds: Vec<Found> = founds
        .iter()
        .filter(|f| f.xywh.iter().all(|v| v.is_finite()) && !f.score.is_nan())
        .map(|f| Found { xywh: rounded(f.xywh), ..*f })
        .collect();
    let classes: BTreeSet<usize> =
        truths.iter().map(|t| t.class).chain(founds.iter().map(|f| f.class)).collect();
    let mut scenes: BTreeMap<(usize, usize), Scene> = BTreeMap::new();
    let empty = || Scene { truths: Vec::new(), founds: Vec::new(), ious: Vec::new() };
    for truth in &truths {
        scenes.entry((truth.class, truth.image)).or_insert_with(empty).truths.push(truth);
    }
    for found in &founds {
        scenes.entry((found.class, found.image)).or_insert_with(empty).founds.push(found);
    }
    let [_, _, most] = params.max_detections;
    for scene in scenes.values_mut() {
        scene.founds.sort_by(|a, b| b.score.total_cmp(&a.score));
        scene.founds.truncate(most);
        scene.ious = scene
            .founds
            .iter()
            .map(|f| scene.truths.iter().map(|t| iou(f.xywh, t.xywh, t.crowd)).collect())
            .collect();
    }
    let curves = |thresholds: &[f64], area: usize, most: usize| -> Vec<(Vec<f64>, f64)> {
        let mut out = Vec::new();
        for &threshold in thresholds {
            for &class in &classes {
                let matchings: Vec<Matching> = scenes
                    .range((class, 0)..=(class, usize::MAX))
                    .map(|(_, scene)| scene.matching(threshold, AREAS[area], most))
                    .collect();
                out.extend(curve(&matchings, &params.recalls));
            }
        }
        out
    };
    of(&curves)
}

/// The precisions at the recalls of `params`, at one IoU, mean over the categories; `None` where nothing is to be
/// found. Their mean is the average precision.
pub fn precisions(truths: &[Truth], founds: &[Found], iou: f64, params: &Params) -> Option<Vec<f64>> {
    let [_, _, most] = params.max_detections;
    let all = with_curves(truths, founds, params, |curves| curves(&[iou], 0, most));
    let level = |n: usize| mean(all.iter().filter_map(|(levels, _)| levels.get(n).copied()));
    (0..params.recalls.len()).map(level).collect()
}

/// The figures of a set of detections. A box with a number that is not finite never matches.
pub fn evaluate(truths: &[Truth], founds: &[Found], params: &Params) -> Summary {
    with_curves(truths, founds, params, |curves| figures(params, curves))
}

fn figures(params: &Params, curves: &Curves<'_>) -> Summary {
    let [one, ten, most] = params.max_detections;
    let at = |threshold: f64| -> Vec<f64> {
        params.ious.iter().copied().filter(|t| (t - threshold).abs() < 1e-6).collect()
    };
    let precision =
        |thresholds: &[f64], area: usize| mean(curves(thresholds, area, most).into_iter().flat_map(|c| c.0));
    let recall = |area: usize, most: usize| mean(curves(&params.ious, area, most).into_iter().map(|c| c.1));
    Summary {
        ap: precision(&params.ious, 0),
        ap50: precision(&at(0.5), 0),
        ap75: precision(&at(0.75), 0),
        ap_small: precision(&params.ious, 1),
        ap_medium: precision(&params.ious, 2),
        ap_large: precision(&params.ious, 3),
        ar1: recall(0, one),
        ar10: recall(0, ten),
        ar100: recall(0, most),
        ar_small: recall(1, most),
        ar_medium: recall(2, most),
        ar_large: recall(3, most),
    }
}
