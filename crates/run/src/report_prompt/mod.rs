//! How a study becomes the prompt for its report: templates with sections, and the passes that they ask for.

mod answerer;
mod published;
mod template;

pub use answerer::ReportAnswerer;
pub use published::{PublishedTemplate, REPORT_TEMPLATES, report_template};
pub use template::{NAMES, Passes, ReportTemplate};
