//! MedGemma 1.5 on CT (google-health/medgemma, high-dimensional CT notebook): three windows as red,
//! green and blue, at most 85 axial slices, `SLICE n` after each. The first slice of longer series is
//! never taken, as there. The model's processor resizes to 896 × 896.

use super::prepared::{Prepared, Recipe, level, slice_pictures};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "medgemma-ct",
    summary: "HU windows [-1024,1024], [-135,215], [0,80] as RGB, at most 85 slices, captions SLICE n",
    source: "google-health/medgemma notebooks, MedGemma 1.5 CT",
    prepare,
};

/// Edges of the red, green and blue window in HU.
const WINDOWS_HU: [(f32, f32); 3] = [(-1024.0, 1024.0), (-135.0, 215.0), (0.0, 80.0)];

const MOST_SLICES: usize = 85;

pub(super) fn numbers(count: usize) -> Vec<usize> {
    if count <= MOST_SLICES {
        return (0..count).collect();
    }
    let share = |i: usize| i as f64 / MOST_SLICES as f64 * (count - 1) as f64;
    (1..=MOST_SLICES).map(|i| share(i).round_ties_even() as usize).collect()
}

fn prepare(volume: &Volume, _: &DecodeLimits) -> Result<Prepared, MediaError> {
    let numbers = numbers(volume.shape()[0]);
    let step = "HU windows [-1024,1024] [-135,215] [0,80] as RGB";
    let pictures = slice_pictures(volume, &numbers, 3, step, |values| {
        values.iter().flat_map(|&v| WINDOWS_HU.map(|(low, high)| level(v, low, high))).collect()
    })?;
    let captions = (1..=pictures.len()).map(|n| format!("SLICE {n}")).collect();
    Ok(Prepared {
        pictures,
        captions,
        volume: None,
        steps: vec![step.to_owned(), format!("slices {numbers:?}")],
    })
}
