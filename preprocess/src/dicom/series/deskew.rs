//! Gantry tilt undone: a sheared grid resampled to perpendicular slices.

use super::grid::Phase;
use loupe_core::geometry::{LpsFromIndex, cross, dot, norm};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;
use ndarray::Array3;

/// The volume on a grid whose slice step is along the normal. Each slice is shifted in its own plane
/// (linear interpolation), so no value moves between slices; the grid is widened to hold them all,
/// and what no slice covers takes the smallest value of the volume and counts as padding.
pub(super) fn deskew(phase: Phase, limits: &DecodeLimits) -> Result<Phase, MediaError> {
    let Phase { volume, mut facts } = phase;
    let affine = &volume.lps_from_index;
    let (i, j, k) = (affine.column(0), affine.column(1), affine.column(2));
    let (di, dj) = (norm(i), norm(j));
    let normal = cross(i, j).map(|v| v / (di * dj));
    // Shift of each slice against the one before, in columns and rows.
    let (sx, sy) = (dot(k, i) / (di * di), dot(k, j) / (dj * dj));
    let [slices, rows, columns] = volume.shape();
    let last = slices.saturating_sub(1) as f64;
    if (sx * last).abs() < 1e-6 && (sy * last).abs() < 1e-6 {
        return Ok(Phase { volume, facts });
    }
    let low = |s: f64| (s * last).min(0.0).floor();
    let high = |s: f64| (s * last).max(0.0).ceil();
    let (x0, y0) = (low(sx), low(sy));
    let (wide, tall) = (columns + (high(sx) - x0) as usize, rows + (high(sy) - y0) as usize);
    let voxels = limits.pixels(&[slices as u64, tall as u64, wide as u64])?;
    limits.memory(voxels, size_of::<f32>())?;
    let is_padding = |at: [usize; 3]| facts.padding.as_ref().is_some_and(|p| p.get(at) == Some(&true));
    let image =
        volume.voxels.indexed_iter().filter(|((k, j, i), v)| !v.is_nan() && !is_padding([*k, *j, *i]));
    let outside = image.map(|(_, v)| *v).fold(f32::INFINITY, f32::min);
    let outside = if outside.is_finite() { outside } else { 0.0 };
    // The value, unless it is outside or beside padding.
    let sample = |k: usize, y: f64, x: f64| -> Option<f32> {
        if y < 0.0 || x < 0.0 || y > (rows - 1) as f64 || x > (columns - 1) as f64 {
            return None;
        }
        let (r, c) = (y.floor() as usize, x.floor() as usize);
        let (fy, fx) = (y.fract() as f32, x.fract() as f32);
        let (r1, c1) = ((r + 1).min(rows - 1), (c + 1).min(columns - 1));
        if [(r, c), (r, c1), (r1, c), (r1, c1)].iter().any(|(r, c)| is_padding([k, *r, *c])) {
            return None;
        }
        let at = |r, c| volume.voxels.get([k, r, c]).copied().unwrap_or(outside);
        let top = at(r, c) * (1.0 - fx) + at(r, c1) * fx;
        let bottom = at(r1, c) * (1.0 - fx) + at(r1, c1) * fx;
        Some(top * (1.0 - fy) + bottom * fy)
    };
    let mut padding = Array3::from_elem((slices, tall, wide), false);
    let voxels = Array3::from_shape_fn((slices, tall, wide), |(k, y, x)| {
        let (shift_x, shift_y) = (sx * k as f64, sy * k as f64);
        let value = sample(k, y as f64 + y0 - shift_y, x as f64 + x0 - shift_x);
        padding[[k, y, x]] = value.is_none();
        value.unwrap_or(outside)
    });
    facts.padding = Some(padding);
    let depth = dot(k, normal);
    let origin = affine.apply([x0, y0, 0.0]);
    let straight = LpsFromIndex::from_columns(i, j, normal.map(|v| v * depth), origin);
    let volume = Volume { voxels, lps_from_index: straight, modality: volume.modality };
    Ok(Phase { volume, facts })
}
