//! Reports on studies as people and other systems open them: records, texts, tables, DICOM, FHIR, and one page.

pub mod dicom_report;
pub mod fhir;
mod formats;
pub mod page;
mod record;

pub use formats::{REPORT_TABLE, markdown, plain_text, report_row};
pub use record::{ReportProvenance, ReportSentence, ReportTokens, SentenceBox, StudyReport, StudyStatus};
