//! Protocols and strategies, driven by scripted models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod branches;
mod golden;
mod pixels;
mod strategies;

use loupe_core::VisionLanguageModel;
use loupe_rethink::Models;
use loupe_testing::Nearest;

/// One model and nobody to help it.
fn models<'a>(first: &'a mut dyn VisionLanguageModel, resampler: &'a Nearest) -> Models<'a> {
    Models { first, second: None, segmenter: None, resampler, loader: None }
}
