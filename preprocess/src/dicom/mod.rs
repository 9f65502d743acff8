//! DICOM: from files to pictures, volumes, labels and facts.
//!
//! The reader is our own: it keeps what a damaged file still holds, never allocates what a header
//! merely claims, and leaves nothing to a decoder's opinion about colour, sign or windows. The
//! dictionary is that of `dicom-rs`.

pub mod charset;
mod codec;
mod colour;
pub mod deid;
pub mod export;
pub mod files;
pub mod format;
mod frames;
pub mod functional;
pub mod geometry;
mod image;
pub mod inspect;
pub mod lut;
pub mod object;
pub mod parse;
pub mod rtstruct;
pub mod samples;
pub mod seg;
pub mod series;
pub mod syntax;
pub mod values;
pub mod write;

pub(crate) use image::ICC_NOTE;
pub use image::{Image, modality_of};

use loupe_core::limits::DecodeLimits;
use loupe_core::media::{MediaError, MediaSource};
use loupe_core::{Picture, View};

/// The picture that `view` asks for of one DICOM file.
///
/// # Errors
/// When the source is a folder (see [`crate::dicom`]'s series), cannot be read, is not DICOM, or its
/// image cannot be decoded for a reason that is named.
pub fn open_picture(source: &MediaSource, view: &View, limits: &DecodeLimits) -> Result<Picture, MediaError> {
    let bytes = match source {
        MediaSource::File(path) => limits.read_file(path)?,
        MediaSource::Bytes(bytes) => bytes.to_vec(),
        MediaSource::Folder(_) => {
            return Err(MediaError::View("a folder is a series; ask for its volume".to_owned()));
        }
    };
    Image::parse(bytes, limits)?.picture(view)
}
