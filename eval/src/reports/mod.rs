//! Radiology reports as a model wrote them: their sections and sentences, what is suspicious in them, the clean-up that published
//! scores were made with, and findings compared with a structured truth.

pub mod lints;
pub mod profiles;
mod sentences;
pub mod truth;

pub use lints::{Lint, LintKind, lints};
pub use profiles::{REPORT_PROFILES, ReportProfile, report_profile};
pub use sentences::{Section, Sentence, WrittenReport};

use regex::Regex;

/// A pattern of this crate's own, of which none is damaged (a test compiles them all).
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}
