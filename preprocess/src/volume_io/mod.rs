//! One door to the volume formats: NIfTI, Analyze, MetaImage, NRRD and numpy arrays.

pub(crate) mod elements;
pub mod metaimage;
pub mod nifti;
pub mod npy;
pub mod nrrd;
pub(crate) mod read;

pub use read::{ReadVolume, inside};

use elements::{is_gzip, unpacked};
use loupe_core::limits::DecodeLimits;
use loupe_core::mask::LabelVolume;
use loupe_core::media::MediaError;
use ndarray::Zip;
use nifti::Xform;
use std::io::Read;
use std::path::Path;

/// The volume formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeFormat {
    /// NIfTI-1, NIfTI-2 or Analyze 7.5, gzipped or not.
    Nifti,
    /// `.mha` or `.mhd`.
    MetaImage,
    /// `.nrrd` or `.nhdr`.
    Nrrd,
    /// `.npy`.
    Npy,
}

impl VolumeFormat {
    /// The format that `bytes` (the beginning of a file) have.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if nrrd::sniff(bytes) {
            return Some(Self::Nrrd);
        }
        if npy::sniff(bytes) {
            return Some(Self::Npy);
        }
        if metaimage::sniff(bytes) {
            return Some(Self::MetaImage);
        }
        if is_gzip(bytes) {
            let mut start = Vec::new();
            // A cut-off stream still gives its beginning.
            let _ = unpacked(bytes).take(348).read_to_end(&mut start);
            return nifti::sniff(&start).then_some(Self::Nifti);
        }
        nifti::sniff(bytes).then_some(Self::Nifti)
    }

    /// Name for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nifti => "NIfTI",
            Self::MetaImage => "MetaImage",
            Self::Nrrd => "NRRD",
            Self::Npy => "NPY",
        }
    }
}

/// Reads frame `frame` of a volume file of any of the formats; the contents decide which.
///
/// # Errors
/// When the format is unknown, a field breaks it, data are missing or a limit is met.
pub fn open_volume(
    path: &Path,
    frame: usize,
    xform: Xform,
    limits: &DecodeLimits,
) -> Result<ReadVolume, MediaError> {
    open_bytes(path, &limits.read_file(path)?, frame, xform, limits)
}

/// [`open_volume`] with the file's bytes at hand; `path` tells where a second file would lie.
pub(crate) fn open_bytes(
    path: &Path,
    bytes: &[u8],
    frame: usize,
    xform: Xform,
    limits: &DecodeLimits,
) -> Result<ReadVolume, MediaError> {
    sized(match VolumeFormat::sniff(bytes) {
        Some(VolumeFormat::Nifti) => nifti::open_read(path, bytes, frame, xform, limits)?,
        Some(VolumeFormat::MetaImage) => metaimage::read(bytes, path.parent(), frame, limits)?,
        Some(VolumeFormat::Nrrd) => nrrd::read(bytes, path.parent(), frame, limits)?,
        Some(VolumeFormat::Npy) => npy::read(bytes, frame, limits)?,
        None if nifti::is_image_of_pair(path) => nifti::open(path, frame, xform, limits)?,
        None => return Err(unknown()),
    })
}

/// The volume, unless its voxels have no size, so that every measure of it would be 0.
fn sized(read: ReadVolume) -> Result<ReadVolume, MediaError> {
    let map = &read.volume.lps_from_index;
    if map.determinant() == 0.0 || !map.determinant().is_finite() {
        return Err(MediaError::Geometry(format!(
            "its matrix is singular: voxels of {:?} mm along the axes fill no space",
            map.spacing_mm()
        )));
    }
    Ok(read)
}

/// [`open_volume`] from memory; formats whose voxels lie in a second file are refused.
///
/// # Errors
/// As [`open_volume`].
pub fn read_volume(
    bytes: &[u8],
    frame: usize,
    xform: Xform,
    limits: &DecodeLimits,
) -> Result<ReadVolume, MediaError> {
    sized(match VolumeFormat::sniff(bytes).ok_or_else(unknown)? {
        VolumeFormat::Nifti => nifti::read(bytes, None, frame, xform, limits)?,
        VolumeFormat::MetaImage => metaimage::read(bytes, None, frame, limits)?,
        VolumeFormat::Nrrd => nrrd::read(bytes, None, frame, limits)?,
        VolumeFormat::Npy => npy::read(bytes, frame, limits)?,
    })
}

fn unknown() -> MediaError {
    MediaError::UnknownFormat("neither NIfTI, Analyze, MetaImage, NRRD nor NPY".into())
}

/// The voxels as labels.
///
/// # Errors
/// When a value is not a whole number from 0 to 65 535.
pub fn labels_of(read: &ReadVolume) -> Result<LabelVolume, MediaError> {
    let mut bad = None;
    let mut labels = ndarray::Array3::<u16>::zeros(read.volume.voxels.dim());
    Zip::from(&mut labels).and(&read.volume.voxels).for_each(|label, &value| {
        if value.fract() == 0.0 && (0.0..=65535.0).contains(&value) {
            *label = value as u16;
        } else {
            bad = Some(value);
        }
    });
    match bad {
        Some(value) => Err(MediaError::Malformed {
            format: "label map",
            field: "voxel".into(),
            problem: format!("{value} is no label; labels are whole numbers from 0 to 65535"),
        }),
        None => Ok(LabelVolume {
            labels,
            lps_from_index: read.volume.lps_from_index,
            names: read.label_names.clone(),
        }),
    }
}
