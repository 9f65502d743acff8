//! Volumes to other volumes: orientation, spacing, size, projection. Every operation keeps
//! `lps_from_index` right, so that a voxel of the result is where it was in the patient.

mod arrange;
mod resample;
mod slices;

pub use arrange::{central, crop_positive, oriented};
pub use resample::{resized, resized_nearest, spaced};
pub use slices::{SliceChoice, chosen_slices, montage, projected};

use loupe_core::media::MediaError;

/// A request that the volume cannot fulfil.
pub(crate) fn refused(problem: impl Into<String>) -> MediaError {
    MediaError::View(problem.into())
}
