//! Overlays, exports, pages of runs that need no files of images, and pages in a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod batches;
mod beside;
mod browser;
mod coco;
mod exports;
mod latex;
mod overlay;
mod page;
mod plots;
mod run_page;
mod runs;
mod viewer;
