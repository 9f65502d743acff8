//! PointDetectCount's scoring of fenced-JSON replies (`evaluate_qwen.py`).
//!
//! Reference and reply are both the words of a model's turn; the task is told by the shape of the
//! reference. Counts, points and best IoU are means of rows; mAP needs the whole set
//! ([`mean_average_precision`]).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::parts::gold_text;
use crate::metrics::boxes::iou_best;
use crate::metrics::coco_map::{Found, Params, Summary, Truth, evaluate};
use crate::metrics::points::nearest;
use crate::profile::{Gather, Judgement};
use loupe_core::{Box2, Point2, Sample, Score, Source};
use serde_json::Value;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&PointDetectCount];

#[derive(Debug, Clone, Copy)]
struct PointDetectCount;

/// A hit is nearer than this.
const RADIUS_PX: f64 = 10.0;

/// The task of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A number.
    Counting,
    /// Points to find.
    Pointing,
    /// A number and places.
    CountAndPoint,
    /// Boxes to find.
    Bounding,
    /// A number and boxes.
    CountAndBox,
}

impl Task {
    /// As the script calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Pointing => "pointing",
            Self::CountAndPoint => "cnt_and_point",
            Self::Bounding => "bounding",
            Self::CountAndBox => "count_and_box",
        }
    }

    /// By the shape of a reference.
    fn of(label: &Value) -> Option<Self> {
        match label {
            Value::Array(items) if items.iter().any(|i| i.get("point_2d").is_some()) => Some(Self::Pointing),
            Value::Array(items) if items.iter().any(|i| i.get("bbox_2d").is_some()) => Some(Self::Bounding),
            Value::Object(keys) if keys.contains_key("point_2d") => Some(Self::CountAndPoint),
            Value::Object(keys) if keys.contains_key("bbox_2d") => Some(Self::CountAndBox),
            Value::Object(keys) if keys.contains_key("counts") => Some(Self::Counting),
            _ => None,
        }
    }
}

/// What the script reads out of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The task.
    pub task: Task,
    /// Number in the reference and in the reply, for tasks that have one.
    pub counts: Option<(f64, f64)>,
    /// What the reply has under exactly `counts`, when that is a number; the script also accepts other
    /// keys with "count" in them.
    pub exact_count: Option<f64>,
    /// Points of reference and reply.
    pub points: (Vec<Point2<Source>>, Vec<Point2<Source>>),
    /// Boxes of reference and reply.
    pub boxes: (Vec<Box2<Source>>, Vec<Box2<Source>>),
    /// Did the reply's fenced JSON parse?
    pub parsed: bool,
}

/// The JSON in the first fence, or an empty list.
fn fenced(text: &str) -> (Value, bool) {
    let lower = text.to_ascii_lowercase();
    let inside = lower.find("```json").map(|at| at + 7).and_then(|from| {
        let to = text.get(from..)?.find("```")? + from;
        text.get(from..to)
    });
    match inside.and_then(|s| serde_json::from_str(s.trim()).ok()) {
        Some(value) => (value, true),
        None => (Value::Array(Vec::new()), false),
    }
}

fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let all: Vec<f64> = value.as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    all.try_into().ok()
}

/// The places under `key`: of each item of a list, or in one list of an object.
fn places<const N: usize>(value: &Value, key: &str) -> Vec<[f64; N]> {
    match value {
        Value::Array(items) => items.iter().filter_map(|i| numbers(i.get(key)?)).collect(),
        Value::Object(keys) => match keys.get(key) {
            Some(Value::Array(items)) if items.iter().any(Value::is_array) => {
                items.iter().filter_map(numbers).collect()
            }
            // A lone object stands for a list of one.
            Some(single) => numbers(single).into_iter().collect(),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The number of a reply, as the branches of the script find it.
fn count(reply: &Value, task: Task) -> f64 {
    let whole = |object: &Value| -> Option<f64> {
        let keys = object.as_object()?;
        keys.iter()
            .filter(|(k, v)| k.contains("count") && v.is_i64())
            .filter_map(|(_, v)| v.as_f64())
            .next_back()
    };
    match reply {
        Value::Object(_) if task == Task::Counting => whole(reply).unwrap_or(0.0),
        Value::Object(keys) => keys.get("counts").and_then(Value::as_f64).unwrap_or(0.0),
        Value::Array(items) if task == Task::Counting => match items.first() {
            Some(first) if first.get("bbox_2d").is_some() || first.get("point_2d").is_some() => {
                items.len() as f64
            }
            Some(first) => whole(first).unwrap_or(0.0),
            None => 0.0,
        },
        Value::Array(items) if items.iter().all(|i| i.as_array().is_some_and(Vec::is_empty)) => 0.0,
        Value::Array(items) => items.len() as f64,
        _ => 0.0,
    }
}

/// Reads a reference and a reply; `None` when the reference has none of the five shapes.
pub fn read(reference: &str, reply: &str) -> Option<Reading> {
    let (label, _) = fenced(reference);
    let (said, parsed) = fenced(reply);
    let task = Task::of(&label)?;
    let counted = matches!(task, Task::Counting | Task::CountAndPoint | Task::CountAndBox);
    let counts =
        counted.then(|| (label.get("counts").and_then(Value::as_f64).unwrap_or(0.0), count(&said, task)));
    let exact_count = said.get("counts").and_then(Value::as_f64);
    let points =
        |v: &Value| places(v, "point_2d").into_iter().map(|[x, y]: [f64; 2]| Point2::new(x, y)).collect();
    let boxes = |v: &Value| {
        places(v, "bbox_2d").into_iter().map(|[a, b, c, d]: [f64; 4]| Box2::new(a, b, c, d)).collect()
    };
    Some(Reading {
        task,
        counts,
        exact_count,
        points: (points(&label), points(&said)),
        boxes: (boxes(&label), boxes(&said)),
        parsed,
    })
}

/// mAP over the items of a set, every box with score 1 and in one category: `Params::torchmetrics()`
/// for the script's own figures, `Params::coco()` for those of pycocotools.
pub fn mean_average_precision(readings: &[&Reading], params: &Params) -> Summary {
    let (mut truths, mut founds) = (Vec::new(), Vec::new());
    for (image, reading) in readings.iter().enumerate() {
        let xywh = |b: &Box2<Source>| {
            if params.single_precision {
                let [x0, y0, x1, y1] = b.xyxy().map(|v| v as f32);
                [x0, y0, x1 - x0, y1 - y0].map(f64::from)
            } else {
                b.xywh()
            }
        };
        truths.extend(reading.boxes.0.iter().map(|b| Truth {
            image,
            class: 0,
            xywh: xywh(b),
            area: None,
            crowd: false,
        }));
        founds.extend(reading.boxes.1.iter().map(|b| Found { image, class: 0, xywh: xywh(b), score: 1.0 }));
    }
    evaluate(&truths, &founds, params)
}

impl HarnessProfile for PointDetectCount {
    fn name(&self) -> &'static str {
        "pointdetectcount"
    }

    fn harness(&self) -> &'static str {
        "simula/PointDetectCount"
    }

    fn commit(&self) -> &'static str {
        "8c139ad9a3b22c974a57ca498f6623cc7aea931f"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["medmultipoints"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "a reply whose fenced JSON does not parse is an empty list: count 0, no points, no boxes",
            "each answered point goes to its nearest reference; missed references cost nothing",
            "images without an answered point are left out of the point figures and only counted",
            "iou is the mean best overlap of the answered boxes; missed references cost nothing",
            "mAP gives every box the score 1, so that the order of boxes within an image matters",
            "a count that is no whole number stops the script (\"Numerous\"); here it is 0",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(reading) = gold_text(sample).and_then(|gold| read(gold, reply)) else {
            return HarnessVerdict::not_applicable("the reference is none of the five tasks");
        };
        let task = reading.task.name();
        let rule = if reading.parsed { "fenced JSON" } else { "fenced JSON does not parse" };
        let mut judged = HarnessVerdict { rule, ..HarnessVerdict::not_applicable("figures by task only") };
        if let Some((wanted, given)) = reading.counts {
            let error = given - wanted;
            judged = judged
                .with(format!("{task}.count_mae"), error.abs())
                .with(format!("{task}.count_mse"), error * error);
        }
        if matches!(reading.task, Task::Pointing | Task::CountAndPoint) {
            let (wanted, given) = &reading.points;
            judged = match nearest(wanted, given, RADIUS_PX) {
                Some(n) => judged
                    .with(format!("{task}.point_mae"), n.mean_px)
                    .with(format!("{task}.point_rmse"), n.rms_px)
                    .with(format!("{task}.matching_accuracy"), n.hits),
                None => judged.with(format!("{task}.zero_case_point"), 1.0),
            };
        }
        if matches!(reading.task, Task::Bounding | Task::CountAndBox)
            && let Score::Value(iou) = iou_best(&reading.boxes.0, &reading.boxes.1)
        {
            judged = judged.with(format!("{task}.iou"), iou);
        }
        judged
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        sums.under("")
            .filter(|name| name.contains('.'))
            .map(|name| match name.ends_with("zero_case_point") {
                true => HarnessFigure::new(name, sums.sum(name), sums.n(name)),
                false => sums.figure(name, name),
            })
            .collect()
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(Boxes::default()))
    }
}

/// The boxes of the set, for mAP.
#[derive(Default)]
struct Boxes(Vec<Reading>);

impl Gather for Boxes {
    fn add(&mut self, sample: &Sample, reply: &str, _: &Judgement) {
        let boxed = |r: &Reading| matches!(r.task, Task::Bounding | Task::CountAndBox);
        self.0.extend(gold_text(sample).and_then(|gold| read(gold, reply)).filter(boxed));
    }

    fn figures(self: Box<Self>) -> Vec<(String, f64)> {
        let mut out = Vec::new();
        for task in [Task::Bounding, Task::CountAndBox] {
            let of: Vec<&Reading> = self.0.iter().filter(|r| r.task == task).collect();
            if of.is_empty() {
                continue;
            }
            let summary = mean_average_precision(&of, &Params::torchmetrics());
            for (name, value) in [("mAP", summary.ap), ("mAP_50", summary.ap50), ("mAP_75", summary.ap75)] {
                // torchmetrics prints -1 where there is no reference.
                out.push((format!("{}.{name}", task.name()), value.unwrap_or(-1.0)));
            }
        }
        out
    }
}
