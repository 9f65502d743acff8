//! Medical images to [`loupe_core::Picture`]s and [`loupe_core::Volume`]s, right or refused.

pub mod dicom;
pub mod inspect;
mod jpeg;
pub mod loader;
pub mod perceptual;
pub mod picture_io;
pub mod recipes;
pub mod render;
pub mod resampler;
pub mod resize;
pub mod volume_io;
pub mod volume_ops;
pub mod windows;

pub use loader::Loader;
pub use loupe_core::DecodeLimits;
pub use volume_io::nifti;
