//! How a study becomes the prompt for its report: templates with sections, and the passes that they ask for.

mod answerer;
mod candidates;
mod desk;
mod opened;
mod published;
mod schema;
mod template;
mod told;
mod values;

pub use answerer::ReportAnswerer;
pub use candidates::{CandidateRule, Candidates, Choice, Draft, MOST_CANDIDATES, drawn};
pub use published::{PublishedTemplate, REPORT_TEMPLATES, report_template};
pub use schema::{ReportSchema, StructuredReport};
pub use template::{Passes, ReportTemplate};
pub use told::ToldReport;
pub use values::{Answers, NAMES};
