//! Phantom studies: anatomical-looking pictures and volumes from a seed, with exact ground truth.
//!
//! Nothing here is a patient. A [`Plan`] says what a phantom patient has; sampling it gives a
//! [`Study`] with values (Hounsfield units for CT), label maps, masks and measured findings. The
//! same seed gives the same bits on every platform.
//!
//! ```
//! use loupe_phantom::{Kind, Plan, Wish, dicom_series};
//!
//! # fn main() -> Result<(), loupe_phantom::PhantomError> {
//! let study = Plan::held_out(7, Kind::CtChest, Wish::Any).volume(64, 4, 5.0);
//! let files = dicom_series(&study, 7)?;
//! assert_eq!((files.len(), study.size()), (4, 64));
//! for (n, finding) in study.findings.iter().enumerate() {
//!     let mask = study.mask(finding.slice, n).expect("a finding that is seen has a mask");
//!     assert_eq!(mask.bounding_box().map(|b| b.xyxy()), Some(finding.box_px));
//! }
//! # Ok(())
//! # }
//! ```

mod anatomy;
mod error;
mod finding;
mod kind;
mod label;
mod model;
pub mod questions;
pub mod reports;
mod rng;
mod scene;
mod study;
mod write;

pub use error::PhantomError;
pub use finding::{Finding, FindingKind, Side};
pub use kind::Kind;
pub use label::{LABELS, Label};
pub use model::{MODEL, SEGMENTER};
pub use rng::Rng;
pub use scene::Slice;
pub use study::{Change, FIRST_TRAINING_SEED, Plan, Study, Wish};
pub use write::{
    FrameQuestion, PICTURE_SIZE, Summary, VOLUME_SIZE, VOLUME_SLICES, dicom_series, frame_questions,
    is_phantom_folder, nifti_labels, nifti_volume, png, write_all, write_reports,
};
