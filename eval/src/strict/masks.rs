//! Masks: the outlined against the reference, slice by slice or through a volume.

use crate::metrics::mask_overlap::{BothEmpty, dice, iou};
use crate::metrics::region::Region;
use crate::metrics::surface::Elements;
use crate::metrics::{boundary, lesions, surface};
use crate::profile::{Judgement, Verdict};
use loupe_core::{Finding, Mask, MaskTrace, Prediction, Reply, Score};

/// Overlap of masks (Dice).
pub const DICE: &str = "Dice";

/// Why there are no figures where neither side has anything: every figure of masks is then without meaning, however
/// the nothing is written.
const BOTH_EMPTY: &str = "masks: nothing is there on either side";

/// Tolerance of the surface Dice, in mm (in pixels where nothing is calibrated).
const TOLERANCE: f64 = 2.0;

pub(super) fn masks(reply: &Reply, prediction: &Prediction) -> Judgement {
    let unscored = |why: &'static str| Judgement::bare(Verdict::Unscored, why, "");
    let Some(trace) = prediction.record.masks() else {
        return unscored("masks: the run holds no reference masks");
    };
    let (Some(wanted), Some(given)) = (unpacked(&trace.reference), unpacked(&reply.findings)) else {
        return unscored("masks: a mask cannot be unpacked");
    };
    let slices = || wanted.iter().chain(&given).map(|(slice, _)| *slice);
    let judgement = Judgement::bare(Verdict::Unscored, "masks: figures only, neither right nor wrong", "");
    // No mask is an empty mask, on the grid of the other side.
    let Some((_, shown)) = wanted.iter().chain(&given).next() else {
        return unscored(BOTH_EMPTY);
    };
    let nothing_there = wanted.iter().chain(&given).all(|(_, mask)| mask.bits().iter().all(|bit| !bit));
    if nothing_there {
        return unscored(BOTH_EMPTY);
    }
    let origins = trace.reference.iter().chain(&reply.findings).map(|m| m.origin.slice);
    if origins.flatten().next().is_some() {
        let (Some(first), Some(last)) = (slices().min(), slices().max()) else {
            return unscored(BOTH_EMPTY);
        };
        let solid = |masks: &[(usize, Mask)]| match masks.is_empty() {
            true => {
                stacked(if wanted.is_empty() { &given } else { &wanted }, first, last).map(|r| r.emptied())
            }
            false => stacked(masks, first, last),
        };
        match (solid(&wanted), solid(&given)) {
            (Some(wanted), Some(given)) => figures(judgement, &wanted, &given, spacing(trace)),
            _ => unscored("masks: the slices differ in size"),
        }
    } else {
        let shape = [shown.height(), shown.width()];
        match (united(&wanted, shape), united(&given, shape)) {
            (Some(wanted), Some(given)) => figures(judgement, &wanted, &given, spacing(trace)),
            _ => unscored("masks: the masks differ in size"),
        }
    }
}

fn spacing<const N: usize>(trace: &MaskTrace) -> Option<[f64; N]> {
    trace.spacing_mm.clone()?.try_into().ok()
}

/// The masks with their slices; `None` when one does not fit its size.
fn unpacked(findings: &[Finding]) -> Option<Vec<(usize, Mask)>> {
    let masks = findings.iter().filter_map(|f| Some((f.origin.slice.unwrap_or(0), f.as_mask()?)));
    masks.map(|(slice, mask)| Some((slice, mask.to_mask()?))).collect()
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

/// A stack of masks as one region: slices `first..=last`, those not given are empty.
fn stacked(masks: &[(usize, Mask)], first: usize, last: usize) -> Option<Region<3>> {
    let (_, one) = masks.first()?;
    let (w, h) = (one.width(), one.height());
    let mut bits = vec![false; (last + 1).checked_sub(first)?.checked_mul(w * h)?];
    for (slice, mask) in masks {
        let at = slice.checked_sub(first)? * w * h;
        let to = bits.get_mut(at..at + w * h).filter(|_| (mask.width(), mask.height()) == (w, h))?;
        to.iter_mut().zip(mask.bits()).for_each(|(to, from)| *to |= from);
    }
    Region::new([last + 1 - first, h, w], bits)
}
