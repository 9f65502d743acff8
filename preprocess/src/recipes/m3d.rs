//! M3D-LaMed (BAAI-DCAI/M3D, `Data/process`): smallest to largest value as 0 to 1, cropped to what is
//! above 0, trilinear to 32 slices of 256 × 256.

use super::prepared::{Prepared, Recipe, range, volume_only};
use crate::volume_ops::{crop_positive, resized};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "m3d",
    summary: "min to max as 0..1, foreground crop, 32×256×256",
    source: "BAAI-DCAI/M3D Data/process",
    prepare,
};

/// The tensor, shared with models trained on the same files.
pub(super) fn tensor(volume: &Volume, limits: &DecodeLimits) -> Result<Volume, MediaError> {
    let (low, high) = range(volume.voxels.iter().copied());
    let span = if high > low { high - low } else { 1.0 };
    let mut scaled = volume.clone();
    scaled.voxels.mapv_inplace(|v| (v - low) / span);
    resized(&crop_positive(&scaled), [256, 256, 32], limits)
}

fn prepare(volume: &Volume, limits: &DecodeLimits) -> Result<Prepared, MediaError> {
    Ok(volume_only(
        tensor(volume, limits)?,
        &["min to max as 0..1", "foreground crop", "trilinear 32×256×256"],
    ))
}
