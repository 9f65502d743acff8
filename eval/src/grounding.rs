//! Figures of grounding that are no means over items: COCO's average precision over all questions
//! for boxes, and how the replies' dialect could be read.

use crate::metrics::coco_map::{Found, Params, Truth, evaluate, precisions};
use loupe_core::sample::Outcome;
use loupe_core::{Prediction, Sample, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// COCO's figures of the boxes of a run. Each picture of a question is an image and what was asked
/// for is the one category; a box without a confidence has 1. Failed items are left out, replies
/// without a box find nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoxFigures {
    /// Number of images.
    pub images: usize,
    /// Reference boxes.
    pub references: usize,
    /// Boxes of the replies.
    pub answers: usize,
    /// Mean over IoU 0.50:0.05:0.95 of the 101-point average precision.
    pub map: Option<f64>,
    /// At IoU 0.50.
    pub ap50: Option<f64>,
    /// At IoU 0.75.
    pub ap75: Option<f64>,
    /// Average recall with at most 100 boxes an image.
    pub ar100: Option<f64>,
    /// Precision at recalls of 0, 0.01 … 1 at IoU 0.50, whose mean is `ap50`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precision50: Vec<f64>,
    /// The same at IoU 0.75, whose mean is `ap75`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precision75: Vec<f64>,
}

/// How boxes and points could be read, and COCO's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroundingSummary {
    /// Replies to questions for boxes or points.
    pub replies: usize,
    /// Of these, read as they stand.
    pub read: usize,
    /// Read after repairs.
    pub repaired: usize,
    /// Without any box or point, asked for or not.
    pub nothing: usize,
    /// Replies by the repair they needed.
    pub repairs: BTreeMap<String, usize>,
    /// Figures of boxes, when boxes were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boxes: Option<BoxFigures>,
}

/// Gathers one item at a time.
#[derive(Debug, Default)]
pub(crate) struct Gatherer {
    images: usize,
    truths: Vec<Truth>,
    founds: Vec<Found>,
    replies: usize,
    read: usize,
    repaired: usize,
    nothing: usize,
    repairs: BTreeMap<String, usize>,
}

impl Gatherer {
    /// Adds an item; what asks for no places changes nothing.
    pub(crate) fn add(&mut self, sample: &Sample, prediction: &Prediction) {
        let (Target::Boxes(_) | Target::Points(_), Outcome::Reply(reply)) =
            (&sample.target, &prediction.outcome)
        else {
            return;
        };
        self.replies += 1;
        match (reply.boxes().count() + reply.points().count(), reply.repairs.is_empty()) {
            (0, _) => self.nothing += 1,
            (_, true) => self.read += 1,
            (_, false) => self.repaired += 1,
        }
        for repair in &reply.repairs {
            *self.repairs.entry(repair.clone()).or_default() += 1;
        }
        let Target::Boxes(wanted) = &sample.target else { return };
        let image = |picture: usize| self.images + picture;
        self.truths.extend(wanted.iter().map(|w| Truth {
            image: image(w.picture),
            class: 0,
            xywh: w.at.xywh(),
            area: None,
            crowd: false,
        }));
        self.founds.extend(reply.findings.iter().filter_map(|b| {
            let region = b.source_box()?;
            let score = b.score.unwrap_or(1.0);
            region.is_proper().then_some(Found {
                image: image(b.picture),
                class: 0,
                xywh: region.xywh(),
                score,
            })
        }));
        self.images += sample.media.len().max(1);
    }

    /// The figures; nothing when no place was asked for.
    pub(crate) fn finish(self) -> Option<GroundingSummary> {
        if self.replies == 0 {
            return None;
        }
        let boxes = (self.images > 0).then(|| {
            let params = Params::coco();
            let found = evaluate(&self.truths, &self.founds, &params);
            let precision = |iou| precisions(&self.truths, &self.founds, iou, &params).unwrap_or_default();
            BoxFigures {
                images: self.images,
                references: self.truths.len(),
                answers: self.founds.len(),
                map: found.ap,
                ap50: found.ap50,
                ap75: found.ap75,
                ar100: found.ar100,
                precision50: precision(0.5),
                precision75: precision(0.75),
            }
        });
        Some(GroundingSummary {
            replies: self.replies,
            read: self.read,
            repaired: self.repaired,
            nothing: self.nothing,
            repairs: self.repairs,
            boxes,
        })
    }
}
