//! MedGemma 1.5 on MR: grey levels from the smallest to the largest value of the volume, RGB by
//! replication; slices as for CT.

use super::medgemma_ct;
use super::prepared::{Prepared, Recipe, level, range, slice_pictures};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "medgemma-mr",
    summary: "whole-volume min to max as grey in RGB, at most 85 slices, captions SLICE n",
    source: "google-health/medgemma notebooks, MedGemma 1.5 MRI",
    prepare,
};

fn prepare(volume: &Volume, _: &DecodeLimits) -> Result<Prepared, MediaError> {
    let numbers = medgemma_ct::numbers(volume.shape()[0]);
    let (low, high) = range(volume.voxels.iter().copied());
    let step = format!("volume range {low}..{high} as grey in RGB");
    let pictures = slice_pictures(volume, &numbers, 3, &step, |values| {
        values.iter().flat_map(|&v| [level(v, low, high); 3]).collect()
    })?;
    let captions = (1..=pictures.len()).map(|n| format!("SLICE {n}")).collect();
    Ok(Prepared { pictures, captions, volume: None, steps: vec![step, format!("slices {numbers:?}")] })
}
