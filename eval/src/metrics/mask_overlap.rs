//! Overlap of masks. What two empty masks mean is a convention, so it is part of the call.

use super::entry::Entry;
use super::region::Region;
use loupe_core::Score;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("dice", "2|A&B| / (|A|+|B|); both empty: unscored", "share", true),
    Entry::typed("mask_iou", "|A&B| / |A|B|; both empty: unscored", "share", true),
    Entry::typed("mask_iou_medplib", "MedPLIB: both empty is 0", "share", true),
    Entry::typed("dice_medplib", "MedPLIB: 2 IoU / (1 + IoU), both empty is 0", "share", true),
];

/// What two empty masks score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BothEmpty {
    /// No score (DeepMind's NaN, said in words).
    Unscored,
    /// 1, as both agree that nothing is there.
    One,
    /// Wrong (MedPLIB).
    Zero,
}

impl BothEmpty {
    fn score(self) -> Score {
        match self {
            Self::Unscored => Score::Unscored("both masks are empty".into()),
            Self::One => Score::Value(1.0),
            Self::Zero => Score::Value(0.0),
        }
    }
}

/// Cells in both, in the first, in the second; `None` for grids of different shapes.
fn cells<const N: usize>(reference: &Region<N>, answer: &Region<N>) -> Option<(usize, usize, usize)> {
    if reference.shape() != answer.shape() {
        return None;
    }
    let both = reference.bits().iter().zip(answer.bits()).filter(|(a, b)| **a && **b).count();
    Some((both, reference.count(), answer.count()))
}

const SHAPES: &str = "the masks lie on grids of different shapes";

/// Dice coefficient.
pub fn dice<const N: usize>(reference: &Region<N>, answer: &Region<N>, both_empty: BothEmpty) -> Score {
    match cells(reference, answer) {
        None => Score::Unscored(SHAPES.into()),
        Some((_, 0, 0)) => both_empty.score(),
        Some((both, a, b)) => Score::Value(2.0 * both as f64 / (a + b) as f64),
    }
}

/// Intersection over union.
pub fn iou<const N: usize>(reference: &Region<N>, answer: &Region<N>, both_empty: BothEmpty) -> Score {
    match cells(reference, answer) {
        None => Score::Unscored(SHAPES.into()),
        Some((_, 0, 0)) => both_empty.score(),
        Some((both, a, b)) => Score::Value(both as f64 / (a + b - both) as f64),
    }
}

/// MedPLIB's pair of figures for one image: IoU, and Dice made from it.
pub fn medplib<const N: usize>(reference: &Region<N>, answer: &Region<N>) -> (Score, Score) {
    let iou = iou(reference, answer, BothEmpty::Zero);
    let dice = if let Score::Value(v) = iou { Score::Value(2.0 * v / (1.0 + v)) } else { iou.clone() };
    (iou, dice)
}
