//! Radiology reports as a model wrote them: their sections and sentences, what is suspicious in them, the clean-up that published
//! scores were made with, and findings compared with a structured truth.

pub mod candidates;
pub mod lints;
mod patterns;
pub mod profiles;
mod sentences;
pub mod truth;

pub use candidates::{CANDIDATE_RULES, candidate_rule};
pub use lints::{Lint, LintKind, lints};
pub use profiles::{REPORT_PROFILES, ReportProfile, report_profile};
pub use sentences::{Section, Sentence, WrittenReport};
