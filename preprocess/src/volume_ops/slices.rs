//! Which slices to show, several slices in one picture, and projections.

use super::refused;
use loupe_core::mask::LabelVolume;
use loupe_core::media::MediaError;
use loupe_core::picture::Picture;
use loupe_core::volume::Volume;
use ndarray::{Array3, Axis};

/// A rule that picks slices out of `count`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SliceChoice<'a> {
    /// Every one.
    All,
    /// The first and every n-th after it.
    Every(usize),
    /// n of them, evenly from the first to the last (numpy's `linspace`, rounded half to even); all
    /// when there are fewer.
    Evenly(usize),
    /// Those that hold a label, and `margin` more on either side.
    Around {
        /// Labels on the same grid; slices are those of the stored k axis.
        labels: &'a LabelVolume,
        /// Slices added before and after.
        margin: usize,
    },
}

/// The slice numbers, rising.
///
/// # Errors
/// When the step or number is zero, or the label map is empty or of another size.
pub fn chosen_slices(count: usize, choice: SliceChoice<'_>) -> Result<Vec<usize>, MediaError> {
    match choice {
        SliceChoice::All => Ok((0..count).collect()),
        SliceChoice::Every(0) | SliceChoice::Evenly(0) => {
            Err(refused("at least one slice has to be asked for"))
        }
        SliceChoice::Every(n) => Ok((0..count).step_by(n).collect()),
        SliceChoice::Evenly(n) if n >= count => Ok((0..count).collect()),
        SliceChoice::Evenly(1) => Ok(vec![count / 2]),
        SliceChoice::Evenly(n) => {
            let step = (count - 1) as f64 / (n - 1) as f64;
            Ok((0..n).map(|i| (i as f64 * step).round_ties_even() as usize).collect())
        }
        SliceChoice::Around { labels, margin } => {
            if labels.labels.dim().0 != count {
                let have = labels.labels.dim().0;
                return Err(refused(format!("the label map has {have} slices, the volume {count}")));
            }
            let held = |k: &usize| labels.labels.index_axis(Axis(0), *k).iter().any(|l| *l != 0);
            let (first, last) = ((0..count).find(held), (0..count).rev().find(held));
            let (Some(first), Some(last)) = (first, last) else {
                return Err(refused("the label map is empty, so there is nothing to centre the slices on"));
            };
            Ok((first.saturating_sub(margin)..=(last + margin).min(count - 1)).collect())
        }
    }
}

/// Pictures of one size side by side, `columns` in a row, left to right and top to bottom; places
/// that are left over are black. The result has no way back to a single source.
///
/// # Errors
/// When there are none, or they differ in size or channels.
pub fn montage(pictures: &[Picture], columns: usize) -> Result<Picture, MediaError> {
    let first =
        pictures.first().filter(|_| columns > 0).ok_or_else(|| refused("a montage needs pictures"))?;
    let (w, h, c) = (first.width(), first.height(), first.channels());
    if pictures.iter().any(|p| (p.width(), p.height(), p.channels()) != (w, h, c)) {
        return Err(refused("the pictures of a montage must be of one size"));
    }
    let columns = columns.min(pictures.len());
    let rows = pictures.len().div_ceil(columns);
    let stride = columns * w * c;
    let mut pixels = vec![0u8; stride * rows * h];
    for (n, picture) in pictures.iter().enumerate() {
        let corner = n / columns * h * stride + n % columns * w * c;
        for (y, row) in picture.pixels().chunks_exact(w * c).enumerate() {
            pixels[corner + y * stride..][..w * c].copy_from_slice(row);
        }
    }
    let mut made = Picture::new(columns * w, rows * h, c, pixels).map_err(|e| refused(e.to_string()))?;
    made.origin.steps.push(format!("montage {columns}x{rows} of {}", pictures.len()));
    Ok(made)
}

/// The largest value along voxel axis 0 (i), 1 (j) or 2 (k): a volume of one slice through the
/// middle of that axis (maximum intensity projection).
///
/// # Errors
/// When there is no such axis.
pub fn projected(volume: &Volume, axis: usize) -> Result<Volume, MediaError> {
    if axis > 2 {
        return Err(refused(format!("there is no voxel axis {axis}; 0, 1 and 2 are")));
    }
    let along = Axis(2 - axis);
    let most = volume.voxels.fold_axis(along, f32::NEG_INFINITY, |a, b| a.max(*b));
    let voxels: Array3<f32> = most.insert_axis(along);
    let mut first = [0.0; 3];
    first[axis] = (volume.voxels.len_of(along) - 1) as f64 / 2.0;
    let lps_from_index = super::arrange::moved(&volume.lps_from_index, first);
    Ok(Volume { voxels, lps_from_index, modality: volume.modality })
}
