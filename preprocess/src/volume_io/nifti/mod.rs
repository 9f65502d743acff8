//! NIfTI-1, NIfTI-2 and Analyze 7.5, read as nibabel reads them, or refused.
//!
//! The reader is our own. The `nifti` crate (0.18) is used in the tests as a second opinion on plain
//! files, but not for reading, because measured against nibabel it: refuses NIfTI-2, Analyze 7.5 and
//! gzip of several members; returns all-NaN volumes for a NaN `scl_slope`; panics when `bitpix`
//! does not fit `datatype`, on RGB and on complex data; accepts a negative or NaN `vox_offset` and
//! then reads the wrong bytes; tells compression by the file name alone; and inflates without a
//! limit.

mod affine;
mod header;
mod layer;
mod write;

pub use affine::Xform;
pub use layer::read_layer;
pub use write::{label_bytes, shear_note, volume_bytes};

use super::elements::{Layout, is_gzip, plausible, read_voxels, skip, unpacked, verify};
use super::read::ReadVolume;
use crate::volume_facts::VolumeFacts;
use header::{FORMAT, field, parse};
use loupe_core::geometry::LpsFromIndex;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::{Modality, Volume};
use ndarray::Array3;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a NIfTI header says, without the voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct NiftiFacts {
    /// `NIfTI-1`, `NIfTI-2` or `Analyze 7.5`.
    pub version: &'static str,
    /// Columns, rows, slices.
    pub size: [usize; 3],
    /// Product of the remaining dimensions.
    pub frames: usize,
    /// Number type.
    pub stored_type: &'static str,
    /// Voxel index to patient mm.
    pub lps_from_index: LpsFromIndex,
    /// Decisions taken.
    pub notes: Vec<String>,
}

/// True when `bytes` (inflated) begin with a NIfTI or Analyze header.
pub fn sniff(bytes: &[u8]) -> bool {
    let size = |f: fn([u8; 4]) -> i32| bytes.first_chunk::<4>().map(|b| f(*b));
    let sizes = [size(i32::from_le_bytes), size(i32::from_be_bytes)];
    sizes.iter().any(|s| matches!(s, Some(348 | 540)))
}

/// Reads frame `frame` of a file: `.nii`, `.nii.gz`, or one of a `.hdr`/`.img` pair (either may be
/// gzipped). The contents decide, not the name.
///
/// # Errors
/// When a header field breaks the format, data are missing, or a limit is met.
pub fn open(
    path: &Path,
    frame: usize,
    xform: Xform,
    limits: &DecodeLimits,
) -> Result<ReadVolume, MediaError> {
    let mut path = path.to_owned();
    if ending(&path) == "img" {
        path = sibling(&path, "hdr")?;
    }
    let bytes = limits.read_file(&path)?;
    open_read(&path, &bytes, frame, xform, limits)
}

/// [`open`] with the header file's bytes at hand.
pub(crate) fn open_read(
    path: &Path,
    bytes: &[u8],
    frame: usize,
    xform: Xform,
    limits: &DecodeLimits,
) -> Result<ReadVolume, MediaError> {
    let header = parse(bytes)?.0;
    if header.single_file {
        return read(bytes, None, frame, xform, limits);
    }
    let data = limits.read_file(&sibling(path, "img")?)?;
    read(bytes, Some(&data), frame, xform, limits)
}

/// Reads frame `frame` from the bytes of a single file, or of a header and its `data` file.
///
/// # Errors
/// As [`open`].
pub fn read(
    bytes: &[u8],
    data: Option<&[u8]>,
    frame: usize,
    xform: Xform,
    limits: &DecodeLimits,
) -> Result<ReadVolume, MediaError> {
    let (header, mut rest) = parse(bytes)?;
    let [columns, rows, slices] = header.size;
    let frames = header.frames;
    limits.pixels(&[columns as u64, rows as u64, slices as u64, frames as u64])?;
    if frame >= frames {
        return Err(MediaError::View(format!(
            "frame {frame} was asked for, but the NIfTI file has {frames} (counted from 0)"
        )));
    }
    let voxels = columns * rows * slices;
    let frame_bytes = limits.memory(voxels, header.element.size())? as u64;
    let mut notes = header.notes.clone();
    let lps_from_index = affine::lps_from_index(&header, xform, &mut notes)?;
    let before = frame_bytes * frame as u64;
    let layout = Layout {
        element: header.element,
        big_endian: header.big_endian,
        slope: header.slope,
        inter: header.inter,
    };
    let file = match (data, header.single_file) {
        (None, true) => bytes,
        (Some(data), false) => data,
        (None, false) => {
            return Err(field("magic", "is that of a .hdr file; its .img file is needed too"));
        }
        (Some(_), true) => {
            return Err(field("magic", "is that of a single file, but a .hdr/.img pair was given"));
        }
    };
    let need = header.data_offset.saturating_add(before).saturating_add(frame_bytes);
    plausible(need, file.len(), is_gzip(file), FORMAT)?;
    limits.together(&[(bytes.len(), 1), (data.map_or(0, <[u8]>::len), 1), (voxels, size_of::<f32>())])?;
    let values = if header.single_file {
        skip(&mut rest, header.data_offset.saturating_sub(header.bytes_read as u64) + before, FORMAT)?;
        read_voxels(&mut rest, voxels, layout, FORMAT, limits)?
    } else {
        rest = unpacked(file);
        skip(&mut rest, header.data_offset + before, FORMAT)?;
        read_voxels(&mut rest, voxels, layout, FORMAT, limits)?
    };
    verify(&mut rest, FORMAT, limits)?;
    let voxels =
        Array3::from_shape_vec((slices, rows, columns), values).map_err(|e| field("dim", &e.to_string()))?;
    Ok(ReadVolume {
        volume: Volume { voxels, lps_from_index, modality: Modality::Other },
        frames,
        facts: VolumeFacts::of_window(header.window()),
        stored_type: header.element.name(),
        label_names: BTreeMap::new(),
        notes,
    })
}

/// What the header says.
///
/// # Errors
/// When a field breaks the format.
pub fn facts(bytes: &[u8], xform: Xform) -> Result<NiftiFacts, MediaError> {
    let header = parse(bytes)?.0;
    let mut notes = header.notes.clone();
    let lps_from_index = affine::lps_from_index(&header, xform, &mut notes)?;
    Ok(NiftiFacts {
        version: header.version,
        size: header.size,
        frames: header.frames,
        stored_type: header.element.name(),
        lps_from_index,
        notes,
    })
}

/// The ending without `.gz`, in lower case.
fn ending(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, e)| e.to_owned()).unwrap_or_default()
}

/// True for the `.img` (or `.img.gz`) half of a pair whose header is there.
pub(crate) fn is_image_of_pair(path: &Path) -> bool {
    ending(path) == "img" && sibling(path, "hdr").is_ok()
}

/// The file of the same name with another ending, gzipped or not.
fn sibling(path: &Path, wanted: &str) -> Result<PathBuf, MediaError> {
    let stem = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = stem.strip_suffix(".gz").or_else(|| stem.strip_suffix(".GZ")).unwrap_or(&stem);
    let base = plain.rsplit_once('.').map_or(plain, |(base, _)| base);
    let upper = wanted.to_ascii_uppercase();
    [wanted, &upper]
        .iter()
        .flat_map(|e| [format!("{base}.{e}"), format!("{base}.{e}.gz")])
        .map(|name| path.with_file_name(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| field("file pair", &format!("the .{wanted} file that belongs to it is missing")))
}
