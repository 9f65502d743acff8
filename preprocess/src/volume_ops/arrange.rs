//! Flips, transposes, crops and pads: voxels keep their values.

use super::refused;
use crate::render::nearest_axes;
use loupe_core::geometry::LpsFromIndex;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;
use ndarray::{Array3, Axis, s};

/// The volume with i, j and k rising towards the given letters (`RAS`, `LPS`, …) by flips and
/// transposes only: MONAI's `Orientation`, nibabel's `as_closest_canonical` for `RAS`.
///
/// # Errors
/// When the letters are no orientation or the geometry is singular.
pub fn oriented(volume: &Volume, letters: &str) -> Result<Volume, MediaError> {
    let map = &volume.lps_from_index;
    let walks =
        nearest_axes(map).ok_or_else(|| MediaError::Geometry("the voxel axes do not span space".into()))?;
    // For each new axis: patient axis and whether it falls along it.
    let wanted: Option<Vec<(usize, bool)>> = letters
        .chars()
        .map(|letter| {
            Some(match letter {
                'L' => (0, false),
                'R' => (0, true),
                'P' => (1, false),
                'A' => (1, true),
                'S' => (2, false),
                'I' => (2, true),
                _ => return None,
            })
        })
        .collect();
    let all_axes = |w: &[(usize, bool)]| w.len() == 3 && (0..3).all(|axis| w.iter().any(|(a, _)| *a == axis));
    let wanted = wanted.filter(|w| all_axes(w)).ok_or_else(|| {
        refused(format!("{letters:?} is no orientation; one of R/L, A/P and S/I each is needed"))
    })?;
    let from = |new: usize| walks[wanted[new].0].axis;
    let mut voxels = volume.voxels.view().permuted_axes([2 - from(2), 2 - from(1), 2 - from(0)]);
    let mut columns = [0, 1, 2].map(|new| map.column(from(new)));
    let mut origin = map.column(3);
    for new in 0..3 {
        if walks[wanted[new].0].reversed != wanted[new].1 {
            let axis = Axis(2 - new);
            voxels.invert_axis(axis);
            let last = (voxels.len_of(axis) - 1) as f64;
            for r in 0..3 {
                origin[r] += columns[new][r] * last;
                columns[new][r] = -columns[new][r];
            }
        }
    }
    Ok(Volume {
        voxels: voxels.as_standard_layout().into_owned(),
        lps_from_index: LpsFromIndex::from_columns(columns[0], columns[1], columns[2], origin),
        modality: volume.modality,
    })
}

/// Centred crop and pad to `size` (columns, rows, slices), missing voxels `fill`: MONAI's
/// `SpatialPad` (floor before) followed by `CenterSpatialCrop` (start `n / 2 - size / 2`).
///
/// # Errors
/// When a side is zero.
pub fn central(volume: &Volume, size: [usize; 3], fill: f32) -> Result<Volume, MediaError> {
    if size.contains(&0) {
        return Err(refused(format!("cannot crop to {size:?}: each side needs at least one voxel")));
    }
    let [d, h, w] = volume.shape();
    // Index in the source of the first voxel of the result; negative where voxels are added.
    let start = |have: usize, want: usize| {
        let (have, want) = (have as i64, want as i64);
        if want > have { -((want - have) / 2) } else { have / 2 - want / 2 }
    };
    let first = [start(w, size[0]), start(h, size[1]), start(d, size[2])];
    let mut voxels = Array3::from_elem((size[2], size[1], size[0]), fill);
    let overlap = |axis: usize, have: usize| {
        let from = first[axis].max(0) as usize;
        let to = (-first[axis]).max(0) as usize;
        (from, to, (have - from).min(size[axis] - to))
    };
    let ((fi, ti, ni), (fj, tj, nj), (fk, tk, nk)) = (overlap(0, w), overlap(1, h), overlap(2, d));
    voxels.slice_mut(s![tk..tk + nk, tj..tj + nj, ti..ti + ni]).assign(&volume.voxels.slice(s![
        fk..fk + nk,
        fj..fj + nj,
        fi..fi + ni
    ]));
    Ok(Volume {
        voxels,
        lps_from_index: moved(&volume.lps_from_index, first.map(|n| n as f64)),
        ..volume.clone()
    })
}

/// The smallest box of voxels above zero (MONAI's `CropForeground`); the whole volume without any.
pub fn crop_positive(volume: &Volume) -> Volume {
    let (mut low, mut high) = ([usize::MAX; 3], [0usize; 3]);
    for ((k, j, i), value) in volume.voxels.indexed_iter() {
        if *value > 0.0 {
            for (axis, n) in [i, j, k].into_iter().enumerate() {
                low[axis] = low[axis].min(n);
                high[axis] = high[axis].max(n + 1);
            }
        }
    }
    if low[0] == usize::MAX {
        return volume.clone();
    }
    let voxels = volume.voxels.slice(s![low[2]..high[2], low[1]..high[1], low[0]..high[0]]).to_owned();
    Volume {
        voxels,
        lps_from_index: moved(&volume.lps_from_index, low.map(|n| n as f64)),
        modality: volume.modality,
    }
}

/// The map of a grid whose voxel (0, 0, 0) is `first` of this one.
pub(super) fn moved(map: &LpsFromIndex, first: [f64; 3]) -> LpsFromIndex {
    LpsFromIndex::from_columns(map.column(0), map.column(1), map.column(2), map.apply(first))
}
