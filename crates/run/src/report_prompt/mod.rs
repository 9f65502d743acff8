//! How a study becomes the prompt for its report: templates with sections, and the passes that they ask for.

mod answerer;
mod candidates;
mod published;
mod schema;
mod template;

pub use answerer::ReportAnswerer;
pub use candidates::{CandidateRule, Candidates};
pub use published::{PublishedTemplate, REPORT_TEMPLATES, report_template};
pub use schema::{ReportSchema, StructuredReport, json_in};
pub use template::{Answers, NAMES, Passes, ReportTemplate};
