//! Other grids over the same space, in the two conventions in use: voxel centres that meet at the
//! first voxel (MONAI's `Spacing`) and voxel edges that meet at the border (torch's `interpolate`).

use super::arrange::moved;
use super::refused;
use loupe_core::geometry::LpsFromIndex;
use loupe_core::limits::{DecodeLimits, filled};
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;
use ndarray::Array3;
use rayon::prelude::*;

/// Two neighbours along an axis and the share of the second.
type Between = (usize, usize, f64);

/// MONAI's `Spacing(pixdim, mode="bilinear")`: `round((n - 1) · old / new) + 1` voxels, the first
/// stays in place, the border is repeated.
///
/// # Errors
/// When a spacing is not positive or the result exceeds the limits.
pub fn spaced(volume: &Volume, spacing_mm: [f64; 3], limits: &DecodeLimits) -> Result<Volume, MediaError> {
    let old = volume.spacing_mm();
    if !spacing_mm.iter().chain(&old).all(|s| s.is_finite() && *s > 0.0) {
        return Err(refused(format!(
            "cannot resample from {old:?} to {spacing_mm:?} mm: spacings are above zero"
        )));
    }
    let [d, h, w] = volume.shape();
    let have = [w, h, d];
    let ratio = [0, 1, 2].map(|a| spacing_mm[a] / old[a]);
    let size = [0, 1, 2].map(|a| ((have[a] - 1) as f64 / ratio[a]).round_ties_even() + 1.0);
    let places = [0, 1, 2].map(|a| size[a].min(u32::MAX.into()) as usize);
    let voxels = limits.pixels(&places.map(|n| n as u64))?;
    limits.together(&[(volume.voxels.len(), size_of::<f32>()), (voxels, size_of::<f32>())])?;
    let along = |a: usize| -> Vec<Between> {
        (0..places[a]).map(|n| between(n as f64 * ratio[a], have[a])).collect()
    };
    let map = scaled(&volume.lps_from_index, ratio);
    Ok(Volume {
        voxels: linear(&volume.voxels, &[along(0), along(1), along(2)])?,
        lps_from_index: map,
        modality: volume.modality,
    })
}

/// torch's `interpolate(mode="trilinear", align_corners=False)`, which is MONAI's `Resize`: `size`
/// is columns, rows, slices, the field of view stays.
///
/// # Errors
/// When a side is zero or the result exceeds the limits.
pub fn resized(volume: &Volume, size: [usize; 3], limits: &DecodeLimits) -> Result<Volume, MediaError> {
    let (have, ratio) = checked(volume, size, limits)?;
    let along = |a: usize| -> Vec<Between> {
        (0..size[a]).map(|n| between(((n as f64 + 0.5) * ratio[a] - 0.5).max(0.0), have[a])).collect()
    };
    let voxels = linear(&volume.voxels, &[along(0), along(1), along(2)])?;
    Ok(Volume {
        voxels,
        lps_from_index: edges_kept(&volume.lps_from_index, ratio),
        modality: volume.modality,
    })
}

/// torch's `interpolate(mode="nearest")`; for label maps.
///
/// # Errors
/// When a side is zero or the result exceeds the limits.
pub fn resized_nearest(
    volume: &Volume,
    size: [usize; 3],
    limits: &DecodeLimits,
) -> Result<Volume, MediaError> {
    let (have, ratio) = checked(volume, size, limits)?;
    let along = |a: usize| -> Vec<usize> {
        (0..size[a]).map(|n| ((n as f32 * ratio[a] as f32).floor() as usize).min(have[a] - 1)).collect()
    };
    let (x, y, z) = (along(0), along(1), along(2));
    let voxels =
        Array3::from_shape_fn((size[2], size[1], size[0]), |(k, j, i)| volume.voxels[[z[k], y[j], x[i]]]);
    Ok(Volume {
        voxels,
        lps_from_index: edges_kept(&volume.lps_from_index, ratio),
        modality: volume.modality,
    })
}

fn checked(
    volume: &Volume,
    size: [usize; 3],
    limits: &DecodeLimits,
) -> Result<([usize; 3], [f64; 3]), MediaError> {
    if size.contains(&0) {
        return Err(refused(format!("cannot resize to {size:?}: each side needs at least one voxel")));
    }
    let voxels = limits.pixels(&size.map(|n| n as u64))?;
    limits.together(&[(volume.voxels.len(), size_of::<f32>()), (voxels, size_of::<f32>())])?;
    let [d, h, w] = volume.shape();
    let have = [w, h, d];
    Ok((have, [0, 1, 2].map(|a| have[a] as f64 / size[a] as f64)))
}

fn between(at: f64, have: usize) -> Between {
    let low = (at.floor() as usize).min(have - 1);
    (low, (low + 1).min(have - 1), (at - low as f64).clamp(0.0, 1.0))
}

/// Trilinear interpolation at every combination of places.
fn linear(voxels: &Array3<f32>, [x, y, z]: &[Vec<Between>; 3]) -> Result<Array3<f32>, MediaError> {
    let room = filled(z.len() * y.len() * x.len(), 0f32)?;
    let mut out =
        Array3::from_shape_vec((z.len(), y.len(), x.len()), room).map_err(|e| refused(e.to_string()))?;
    out.outer_iter_mut().zip(z).par_bridge().for_each(|(mut slice, &(k0, k1, dz))| {
        for (mut row, &(j0, j1, dy)) in slice.outer_iter_mut().zip(y) {
            for (value, &(i0, i1, dx)) in row.iter_mut().zip(x) {
                let mix = |a: f64, b: f64, share: f64| a + (b - a) * share;
                let at = |k: usize, j: usize| {
                    mix(f64::from(voxels[[k, j, i0]]), f64::from(voxels[[k, j, i1]]), dx)
                };
                let plane = |k: usize| mix(at(k, j0), at(k, j1), dy);
                *value = mix(plane(k0), plane(k1), dz) as f32;
            }
        }
    });
    Ok(out)
}

fn scaled(map: &LpsFromIndex, ratio: [f64; 3]) -> LpsFromIndex {
    let column = |a: usize| map.column(a).map(|v| v * ratio[a]);
    LpsFromIndex::from_columns(column(0), column(1), column(2), map.column(3))
}

fn edges_kept(map: &LpsFromIndex, ratio: [f64; 3]) -> LpsFromIndex {
    scaled(&moved(map, ratio.map(|r| 0.5 * r - 0.5)), ratio)
}
