//! MedGemma 1.5 on CT (Google-Health/medgemma at d89262c, `notebooks/high_dimensional_ct_hugging_face.ipynb`): three
//! windows as red, green and blue, at most 85 axial slices, `SLICE n` after each. The first slice of longer series is
//! never taken, as there. The model's processor resizes to 896 × 896.
//!
//! The publishers' other sources have other windows: `medgemma_ct_serving.rs`, `medgemma1_ct.rs`.

use super::prepared::{Prepared, Recipe, level, slice_pictures};
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "medgemma-ct",
    summary: "HU windows [-1024,1024], [-135,215], [0,80] as RGB, at most 85 slices, captions SLICE n",
    source: "Google-Health/medgemma d89262c notebooks/high_dimensional_ct_hugging_face.ipynb (MedGemma 1.5)",
    prepare: |volume, _| captioned(volume, &[(-1024.0, 1024.0), (-135.0, 215.0), (0.0, 80.0)], level),
};

/// Edges of the red, green and blue window in HU.
pub(super) type Windows = [(f32, f32); 3];

const MOST_SLICES: usize = 85;

pub(super) fn numbers(count: usize) -> Vec<usize> {
    if count <= MOST_SLICES {
        return (0..count).collect();
    }
    let share = |i: usize| i as f64 / MOST_SLICES as f64 * (count - 1) as f64;
    (1..=MOST_SLICES).map(|i| share(i).round_ties_even() as usize).collect()
}

/// Slices through three windows; `level` makes a level of a value and the edges of a window.
pub(super) fn windowed(
    volume: &Volume,
    windows: &Windows,
    level: fn(f32, f32, f32) -> u8,
) -> Result<Prepared, MediaError> {
    let numbers = numbers(volume.shape()[0]);
    let [r, g, b] = windows.map(|(low, high)| format!("[{low},{high}]"));
    let step = format!("HU windows {r} {g} {b} as RGB");
    let pictures = slice_pictures(volume, &numbers, 3, &step, |values| {
        values.iter().flat_map(|&v| windows.map(|(low, high)| level(v, low, high))).collect()
    })?;
    let steps = vec![step, format!("slices {numbers:?}")];
    Ok(Prepared { pictures, captions: Vec::new(), volume: None, steps })
}

/// [`windowed`], with `SLICE n` after each.
pub(super) fn captioned(
    volume: &Volume,
    windows: &Windows,
    level: fn(f32, f32, f32) -> u8,
) -> Result<Prepared, MediaError> {
    let made = windowed(volume, windows, level)?;
    let captions = (1..=made.pictures.len()).map(|n| format!("SLICE {n}")).collect();
    Ok(Prepared { captions, ..made })
}
