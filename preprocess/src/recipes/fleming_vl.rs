//! Fleming-VL on volumes (UbiquantAI/Fleming-VL model card): the 32 × 256 × 256 tensor of M3D, slices
//! `int(linspace(0, 31, 11))`, each from its own smallest to its largest value as grey. The model's
//! processor squashes every picture to 448 × 448.

use super::m3d;
use super::prepared::{Prepared, Recipe, level, range, slice_pictures};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "fleming-vl",
    summary: "M3D tensor, 11 of 32 slices, min to max of each slice as grey in RGB",
    source: "UbiquantAI/Fleming-VL model card",
    prepare,
};

fn prepare(volume: &Volume, limits: &DecodeLimits) -> Result<Prepared, MediaError> {
    let tensor = m3d::tensor(volume, limits)?;
    // numpy's conversion of linspace to integers drops the fraction.
    let numbers: Vec<usize> = (0..11).map(|n| (f64::from(n) * 31.0 / 10.0) as usize).collect();
    let step = "slice range as grey in RGB";
    let pictures = slice_pictures(&tensor, &numbers, 3, step, |values| {
        let (low, high) = range(values.iter().copied());
        values.iter().flat_map(|&v| [level(v, low, high); 3]).collect()
    })?;
    Ok(Prepared {
        pictures,
        captions: Vec::new(),
        volume: None,
        steps: vec![step.to_owned(), format!("slices {numbers:?}")],
    })
}
