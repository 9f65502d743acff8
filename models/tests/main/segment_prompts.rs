//! Prompts as the references of SAM and SAM 2 keep them.

use crate::sam2_cases::{points, region};
use loupe_core::SegmentPrompt;
use serde::Deserialize;

/// Points that belong to every object, and a box an object.
#[derive(Deserialize)]
pub(crate) struct ObjectPrompts {
    boxes: Option<Vec<[f64; 4]>>,
    points: Option<Vec<[f64; 2]>>,
    labels: Option<Vec<u8>>,
    /// Logits of an earlier round are given too.
    pub(crate) mask: bool,
}

impl ObjectPrompts {
    /// One list of prompts an object.
    pub(crate) fn objects(&self) -> Vec<Vec<SegmentPrompt>> {
        let points = points(self.points.as_ref(), self.labels.as_ref());
        match &self.boxes {
            None => vec![points],
            Some(boxes) => {
                boxes.iter().map(|b| points.iter().cloned().chain([region(*b)]).collect()).collect()
            }
        }
    }
}
