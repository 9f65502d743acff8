//! Overlays, exports, and pages of runs that need no files of images.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod batches;
mod coco;
mod exports;
mod latex;
mod overlay;
mod page;
mod runs;
mod viewer;
