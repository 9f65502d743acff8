//! Overlays, exports, pages of runs that need no files of images, and pages in a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod browser;
mod coco;
mod overlay;
mod page;
mod plots;
mod runs;
