//! Self-contained report pages: one HTML file with everything inside, readable from `file://`.
//!
//! A page carries its data as JSON and shows it with a small script; a content security policy forbids any
//! request. Text is only ever inserted as text, so a reply that looks like markup stays a reply. `kit` has
//! what pages share: the frame, pictures with boxes, and windows.

pub mod compare;
pub mod document;
pub mod error;
pub(crate) mod item;
pub mod kit;
mod others;
mod pictures;
mod plots;
mod prompt;
mod references;
mod rounds;
pub mod run;
mod select;
mod volumes;

pub use kit::html;
pub use kit::plot;
pub use kit::store::{ImageStore, StoreError};
pub use pictures::PictureSource;
