//! RadFact (Bannur et al. 2024) from imported entailment: logical and spatial precision and recall of
//! the phrases of a grounded report.
//!
//! Whether a phrase follows from the other report is decided by a language model and imported; boxes
//! are compared as pixel masks the way RadFact does. A figure of a set is the mean over the reports
//! that have one, and F1 is made from the means, as `RadFactScore.from_aggregate` does at
//! microsoft/RadFact 72463ac; where both means are 0 RadFact stops, here F1 is 0.

use super::entry::Entry;
use serde::Deserialize;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed(
        "radfact_logical_precision",
        "share of answer phrases that the reference entails",
        "share",
        true,
    ),
    Entry::typed(
        "radfact_logical_recall",
        "share of reference phrases that the answer entails",
        "share",
        true,
    ),
    Entry::typed(
        "radfact_grounding_precision",
        "share of entailed answer phrases with boxes whose boxes are entailed too",
        "share",
        true,
    ),
    Entry::typed("radfact_grounding_recall", "the same of the reference's phrases", "share", true),
    Entry::typed(
        "radfact_spatial_precision",
        "share of answer phrases with boxes whose words and boxes are entailed",
        "share",
        true,
    ),
    Entry::typed("radfact_spatial_recall", "the same of the reference's phrases", "share", true),
    Entry::typed("radfact_logical_f1", "harmonic mean of the means over the set", "share", true),
    Entry::typed("radfact_grounding_f1", "harmonic mean of the means over the set", "share", true),
    Entry::typed("radfact_spatial_f1", "harmonic mean of the means over the set", "share", true),
    Entry::typed("radfact_box_iou", "IoU of the united boxes as masks of 224 x 224", "share", true),
];

/// Size of the masks in which RadFact compares boxes.
pub const MASK_SIZE: usize = 224;
/// A phrase's boxes are entailed when this share of their pixels lies in the boxes of the evidence.
pub const PIXEL_PRECISION: f64 = 0.5;

/// A box in shares of the picture: `[x_min, y_min, x_max, y_max]`.
pub type NormalisedBox = [f64; 4];

/// A phrase of a report with what the judge said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Phrase {
    /// Does it follow from the other report?
    pub entailed: bool,
    /// Its boxes; `None` for a phrase without any.
    pub boxes: Option<Vec<NormalisedBox>>,
    /// The boxes of the phrases that the judge gave as evidence.
    pub evidence: Vec<NormalisedBox>,
}

/// The phrases of a reply and of its reference, as RadFact writes them into its results
/// (`candidate_phrases`, `reference_phrases`) or under our own names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenReports")]
pub struct Reports {
    /// Of the reply: precision.
    pub reply: Vec<Phrase>,
    /// Of the reference: recall.
    pub reference: Vec<Phrase>,
}

#[derive(Deserialize)]
struct WrittenReports {
    #[serde(alias = "candidate_phrases")]
    reply: Vec<WrittenPhrase>,
    #[serde(alias = "reference_phrases")]
    reference: Vec<WrittenPhrase>,
}

#[derive(Deserialize)]
struct WrittenPhrase {
    status: Status,
    #[serde(default)]
    boxes: Option<Vec<WrittenBox>>,
    #[serde(default)]
    evidence: Vec<Evidence>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Entailment,
    NotEntailment,
}

/// A phrase of the other report: its number from 0, or itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Evidence {
    Number(usize),
    Phrase {
        #[serde(default)]
        boxes: Option<Vec<WrittenBox>>,
    },
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum WrittenBox {
    Named { x_min: f64, y_min: f64, x_max: f64, y_max: f64 },
    Listed(NormalisedBox),
}

impl WrittenBox {
    fn read(&self) -> Result<NormalisedBox, &'static str> {
        let corners = match *self {
            Self::Named { x_min, y_min, x_max, y_max } => [x_min, y_min, x_max, y_max],
            Self::Listed(corners) => corners,
        };
        let [x0, y0, x1, y1] = corners;
        let inside = 0.0 <= x0 && x0 <= x1 && x1 <= 1.0 && 0.0 <= y0 && y0 <= y1 && y1 <= 1.0;
        inside.then_some(corners).ok_or("a box is not [x_min, y_min, x_max, y_max] in shares of the picture")
    }
}

fn read_boxes(written: Option<&Vec<WrittenBox>>) -> Result<Option<Vec<NormalisedBox>>, &'static str> {
    match written {
        None => Ok(None),
        Some(none) if none.is_empty() => Err("a phrase without boxes has null, not an empty list"),
        Some(all) => all.iter().map(WrittenBox::read).collect::<Result<_, _>>().map(Some),
    }
}

impl TryFrom<WrittenReports> for Reports {
    type Error = &'static str;

    fn try_from(written: WrittenReports) -> Result<Self, Self::Error> {
        let phrases = |of: &[WrittenPhrase], other: &[WrittenPhrase]| -> Result<Vec<Phrase>, &'static str> {
            let one = |phrase: &WrittenPhrase| {
                let mut evidence = Vec::new();
                for given in &phrase.evidence {
                    let boxes = match given {
                        Evidence::Phrase { boxes } => boxes.as_ref(),
                        Evidence::Number(at) => {
                            let meant =
                                other.get(*at).ok_or("the evidence is no phrase of the other report")?;
                            meant.boxes.as_ref()
                        }
                    };
                    evidence.extend(read_boxes(boxes)?.unwrap_or_default());
                }
                Ok(Phrase {
                    entailed: phrase.status == Status::Entailment,
                    boxes: read_boxes(phrase.boxes.as_ref())?,
                    evidence,
                })
            };
            of.iter().map(one).collect()
        };
        Ok(Self {
            reply: phrases(&written.reply, &written.reference)?,
            reference: phrases(&written.reference, &written.reply)?,
        })
    }
}

/// Overlap of two lists of boxes; `None` where a denominator is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxOverlap {
    /// Shared over united area.
    pub iou: Option<f64>,
    /// Shared area over that of the answer.
    pub precision: Option<f64>,
    /// Shared area over that of the reference.
    pub recall: Option<f64>,
}

fn mask(boxes: &[NormalisedBox], size: usize) -> Vec<bool> {
    let mut mask = vec![false; size * size];
    for b in boxes {
        // Corners are cut to whole pixels towards 0.
        let [x0, y0, x1, y1] = b.map(|v| ((v * size as f64).max(0.0) as usize).min(size));
        for x in x0..x1 {
            (y0..y1).for_each(|y| mask[x * size + y] = true);
        }
    }
    mask
}

/// Compares boxes as masks of `size` × `size` pixels.
pub fn box_overlap(answer: &[NormalisedBox], reference: &[NormalisedBox], size: usize) -> BoxOverlap {
    let (a, r) = (mask(answer, size), mask(reference, size));
    let count = |f: &dyn Fn(bool, bool) -> bool| a.iter().zip(&r).filter(|(a, r)| f(**a, **r)).count();
    let both = count(&|a, r| a && r);
    let over = |n: usize| (n > 0).then(|| both as f64 / n as f64);
    BoxOverlap {
        iou: over(count(&|a, r| a || r)),
        precision: over(count(&|a, _| a)),
        recall: over(count(&|_, r| r)),
    }
}

/// The three shares of one direction (answer to reference: precision; the other way: recall).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// Entailed phrases over all phrases.
    pub logical: Option<f64>,
    /// Entailed boxes over entailed phrases with boxes.
    pub grounding: Option<f64>,
    /// Entailed words and boxes over all phrases with boxes.
    pub spatial: Option<f64>,
}

/// The shares over the phrases of one report.
pub fn direction(phrases: &[Phrase]) -> Direction {
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    let entailed = phrases.iter().filter(|p| p.entailed).count();
    let boxed = phrases.iter().filter(|p| p.boxes.is_some()).count();
    let words: Vec<&Phrase> = phrases.iter().filter(|p| p.entailed && p.boxes.is_some()).collect();
    let spatial = words
        .iter()
        .filter(|p| {
            let boxes = p.boxes.as_deref().unwrap_or_default();
            box_overlap(boxes, &p.evidence, MASK_SIZE).precision.is_some_and(|v| v > PIXEL_PRECISION)
        })
        .count();
    Direction {
        logical: share(entailed, phrases.len()),
        grounding: share(spatial, words.len()),
        spatial: share(spatial, boxed),
    }
}

/// Harmonic mean of precision and recall.
pub fn f1(precision: f64, recall: f64) -> f64 {
    super::words::f1(precision, recall)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    /// The pairs of RadFact's own test of boxes.
    #[test]
    fn boxes_as_radfact_compares_them() {
        let b = |v: [f64; 4]| vec![v];
        let same = [b([0.6, 0.6, 0.8, 0.8]), b([0.6, 0.6, 0.8, 0.8])];
        assert_eq!(box_overlap(&same[0], &same[1], MASK_SIZE).iou, Some(1.0));
        let two = |x: [f64; 4], y: [f64; 4]| vec![x, y];
        let got = box_overlap(
            &two([0.2, 0.2, 0.4, 0.4], [0.1, 0.1, 0.4, 0.4]),
            &two([0.3, 0.3, 0.5, 0.5], [0.4, 0.4, 0.6, 0.6]),
            MASK_SIZE,
        );
        let rounded = |v: Option<f64>| (v.unwrap() * 100.0).round() / 100.0;
        assert_eq!((rounded(got.iou), rounded(got.precision), rounded(got.recall)), (0.06, 0.11, 0.14));
        let empty = box_overlap(&b([0.0; 4]), &b([0.1, 0.1, 0.3, 0.3]), MASK_SIZE);
        assert_eq!((empty.iou, empty.precision, empty.recall), (Some(0.0), None, Some(0.0)));
        assert_eq!(box_overlap(&[], &[], MASK_SIZE).iou, None);
    }

    #[test]
    fn shares_of_phrases() {
        let whole = [0.0, 0.0, 1.0, 1.0];
        let left = [0.0, 0.0, 0.4, 1.0];
        let phrase = |entailed, boxes: Option<NormalisedBox>, evidence: Option<NormalisedBox>| Phrase {
            entailed,
            boxes: boxes.map(|b| vec![b]),
            evidence: evidence.into_iter().collect(),
        };
        let got = direction(&[
            phrase(true, None, None),
            phrase(true, Some(left), Some(whole)),
            phrase(true, Some(whole), Some(left)),
            phrase(false, Some(left), None),
        ]);
        assert_eq!(got, Direction { logical: Some(0.75), grounding: Some(0.5), spatial: Some(1.0 / 3.0) });
        assert_eq!(direction(&[]).logical, None);
    }
}
