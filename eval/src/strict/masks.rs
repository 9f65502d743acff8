//! Masks: the outlined against the reference, slice by slice or through a volume.

use crate::hints::stacked;
use crate::judge::{Judgement, Verdict};
use crate::metrics::mask_overlap::{BothEmpty, dice, iou};
use crate::metrics::region::Region;
use crate::metrics::surface::Elements;
use crate::metrics::{boundary, lesions, surface};
use loupe_core::ask::FoundMask;
use loupe_core::{Mask, Prediction, Reply, Score};
use serde::{Deserialize, Serialize};

/// What a run over masks keeps beside the reply, so that it can be scored from its folder alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskTrace {
    /// What made the masks, for readers: `segment`.
    pub by: String,
    /// The prompts given, in words, one a mask of the reply.
    pub hints: Vec<String>,
    /// The reference.
    pub reference: Vec<FoundMask>,
    /// Steps along the axes of the grid in mm, slowest first (slice, row, column, or row, column);
    /// none when the image is not calibrated.
    pub spacing_mm: Option<Vec<f64>>,
}

/// Overlap of masks (Dice).
pub const DICE: &str = "Dice";

/// Tolerance of the surface Dice, in mm (in pixels where nothing is calibrated).
const TOLERANCE: f64 = 2.0;

pub(super) fn masks(reply: &Reply, prediction: &Prediction) -> Judgement {
    let unscored = |why: &'static str| Judgement::bare(Verdict::Unscored, why, "");
    let Ok(trace) = serde_json::from_value::<MaskTrace>(prediction.trace.clone()) else {
        return unscored("masks: the run holds no reference masks");
    };
    let (Some(wanted), Some(given)) = (unpacked(&trace.reference), unpacked(&reply.masks)) else {
        return unscored("masks: a mask cannot be unpacked");
    };
    let slices = || wanted.iter().chain(&given).map(|(slice, _)| *slice);
    let judgement = Judgement::bare(Verdict::Unscored, "masks: figures only, neither right nor wrong", "");
    if trace.reference.iter().any(|m| m.slice.is_some()) {
        let (Some(first), Some(last)) = (slices().min(), slices().max()) else {
            return unscored("masks: nothing to outline");
        };
        let solid = |masks: &[(usize, Mask)]| match masks.is_empty() {
            // The shape is that of the reference.
            true => stacked(&wanted, first, last).map(|r| r.emptied()),
            false => stacked(masks, first, last),
        };
        match (solid(&wanted), solid(&given)) {
            (Some(wanted), Some(given)) => figures(judgement, &wanted, &given, spacing(&trace)),
            _ => unscored("masks: the slices differ in size"),
        }
    } else {
        let Some(shape) = wanted.first().map(|(_, m)| [m.height(), m.width()]) else {
            return unscored("masks: nothing to outline");
        };
        match (united(&wanted, shape), united(&given, shape)) {
            (Some(wanted), Some(given)) => figures(judgement, &wanted, &given, spacing(&trace)),
            _ => unscored("masks: the masks differ in size"),
        }
    }
}

fn spacing<const N: usize>(trace: &MaskTrace) -> Option<[f64; N]> {
    trace.spacing_mm.clone()?.try_into().ok()
}

fn unpacked(masks: &[FoundMask]) -> Option<Vec<(usize, Mask)>> {
    masks.iter().map(|m| Some((m.slice.unwrap_or(0), m.mask.to_mask()?))).collect()
}

fn united(masks: &[(usize, Mask)], shape: [usize; 2]) -> Option<Region<2>> {
    let mut bits = vec![false; shape[0] * shape[1]];
    for (_, mask) in masks {
        if [mask.height(), mask.width()] != shape {
            return None;
        }
        bits.iter_mut().zip(mask.bits()).for_each(|(to, from)| *to |= from);
    }
    Region::new(shape, bits)
}

fn figures<const N: usize>(
    judgement: Judgement,
    wanted: &Region<N>,
    given: &Region<N>,
    spacing_mm: Option<[f64; N]>,
) -> Judgement
where
    Region<N>: Elements<N>,
{
    let (spacing, unit) = spacing_mm.map_or(([1.0; N], "px"), |s| (s, "mm"));
    let number = |score: &Score| if let Score::Value(v) = score { *v } else { f64::NAN };
    let mut judgement = judgement
        .with(DICE, number(&dice(wanted, given, BothEmpty::Unscored)))
        .with("mask IoU", number(&iou(wanted, given, BothEmpty::Unscored)));
    let surfaces = surface::distances(wanted, given, spacing);
    let of = |f: &dyn Fn(&surface::SurfaceDistances) -> Score| {
        surfaces.as_ref().map_or(f64::NAN, |d| number(&f(d)))
    };
    let edges = boundary::distances(wanted, given, spacing);
    let at = |f: &dyn Fn(&boundary::BoundaryDistances) -> Score| {
        edges.as_ref().map_or(f64::NAN, |d| number(&f(d)))
    };
    for (name, value) in [
        (format!("NSD at {TOLERANCE} {unit}"), of(&|d| d.surface_dice(TOLERANCE))),
        (format!("HD95 distance ({unit})"), of(&|d| d.hausdorff_mm(95.0))),
        (format!("ASSD distance ({unit})"), of(&surface::SurfaceDistances::assd_mm)),
        (format!("HD95 distance, MedPy ({unit})"), at(&boundary::BoundaryDistances::hd95_medpy_mm)),
        (format!("HD95 distance, MONAI ({unit})"), at(&boundary::BoundaryDistances::hd95_monai_mm)),
        (
            format!("ASSD distance, MedPy and MONAI ({unit})"),
            at(&boundary::BoundaryDistances::assd_pooled_mm),
        ),
    ] {
        judgement = judgement.with(name, value);
    }
    let Some(parts) = lesions::count(wanted, given, 0.0) else { return judgement };
    let wanted = parts.found + parts.missed;
    judgement
        .with("lesion recall", if wanted == 0 { f64::NAN } else { parts.found as f64 / wanted as f64 })
        .with("lesion F1", parts.f1())
        .with("invented lesions (count error)", parts.invented as f64)
}
