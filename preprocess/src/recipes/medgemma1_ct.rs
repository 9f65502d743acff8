//! CT for MedGemma 1 (MedGemma Technical Report, arXiv 2507.05201, as quoted and confirmed in Google-Health/medgemma
//! issue 27): windows of width and centre 2250/-100, 350/40 and 80/40 as red, green and blue, padded to a square.
//!
//! The report resizes to 896 × 896 before it windows; here that is the model's processor's work, after it. The padding
//! is black in all channels. Which slices are shown is not said; here they are those of `medgemma_ct.rs`, without
//! captions, which came with MedGemma 1.5.

use super::medgemma_ct::windowed;
use super::prepared::{Prepared, Recipe, level};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "medgemma1-ct",
    summary: "HU windows [-1225,1025], [-135,215], [0,80] as RGB, padded to a square, at most 85 slices",
    source: "MedGemma Technical Report, arXiv 2507.05201 (MedGemma 1)",
    prepare,
};

fn prepare(volume: &Volume, _: &DecodeLimits) -> Result<Prepared, MediaError> {
    let mut made = windowed(volume, &[(-1225.0, 1025.0), (-135.0, 215.0), (0.0, 80.0)], level)?;
    for picture in &mut made.pictures {
        *picture = picture.padded_to_square([0; 3]).map_err(|e| MediaError::View(e.to_string()))?;
    }
    made.steps.push("padded to a centred square".to_owned());
    Ok(made)
}
