//! DICOM: from files to pictures, volumes, labels and facts, over the data sets of `loupe-dicom`.
//!
//! Nothing is left to a decoder's opinion about colour, sign or windows.

pub mod blank;
mod codec;
mod colour;
pub mod export;
pub mod files;
pub mod format;
mod frames;
pub mod geometry;
mod image;
pub mod inspect;
pub mod lut;
mod overlays;
mod padding;
pub mod references;
pub mod rtstruct;
pub mod samples;
pub mod seg;
pub mod series;
pub mod studies;
pub mod values;

pub(crate) use image::ICC_NOTE;
pub use image::{Image, modality_of};

/// De-identification of data sets, which [`export`] does for files.
pub use loupe_dicom::deid;
/// Attributes by frame.
pub use loupe_dicom::functional;
