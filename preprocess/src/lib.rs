//! Medical images to [`loupe_core::Picture`]s and [`loupe_core::Volume`]s, right or refused.
//!
//! A [`Loader`] finds out what a reference is by its contents, whatever its name:
//!
//! ```
//! use loupe_core::media::{MediaRef, Plane, SliceAt, WindowChoice};
//! use loupe_core::{MediaLoader, View};
//! use loupe_preprocess::{DecodeLimits, Loader};
//!
//! # fn main() -> Result<(), loupe_core::MediaError> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/volumes/slope.nii");
//! let loader = Loader::new(DecodeLimits::default());
//! // A DICOM file or folder, NIfTI, MetaImage, NRRD, NPY or a picture.
//! let mut media = MediaRef::file(path);
//! media.view = View {
//!     plane: Plane::Axial,
//!     slice: Some(SliceAt::Share(0.5)),
//!     window: Some(WindowChoice::Percentiles(1.0, 99.0)),
//!     ..View::default()
//! };
//! let picture = loader.load(&media)?;
//! // Where the picture's centre is in the patient, in mm (LPS).
//! let centre = loupe_core::Point2::new(picture.width() as f64 / 2.0, picture.height() as f64 / 2.0);
//! let origin = &picture.origin;
//! let at = origin.lps_from_source.map(|lps| lps.apply(origin.source_from_self.point(centre)));
//! assert!(at.is_some());
//!
//! let volume = loader.load_volume(&media)?;
//! println!("{:?} voxels of {:?} mm", volume.volume.shape(), volume.volume.spacing_mm());
//! # Ok(())
//! # }
//! ```

pub mod dicom;
pub mod inspect;
mod jpeg;
pub mod loader;
pub mod masks;
pub mod perceptual;
pub mod picture_io;
pub mod presentation;
pub mod recipes;
pub mod render;
pub mod resampler;
pub mod resize;
pub mod volume_facts;
pub mod volume_io;
pub mod volume_ops;
pub mod windows;

pub use loader::Loader;
pub use loupe_core::DecodeLimits;
pub use volume_io::nifti;
