//! What no validator catches in a file of findings: objects that are not there, another frame of reference, geometry that is not the
//! source's, places outside the image, segments that overlap, missing codes and identifiers, scores that look made up.

mod coco;
mod geometry;
mod references;
pub mod report;
mod segmentation;
pub mod structured;

pub use report::{CheckReport, Problem, Severity};

use crate::dicom::SourceStudy;
use loupe_core::{DecodeLimits, MediaError};
use loupe_dicom::{parse, tags};
use std::path::Path;

/// Looks through a file of findings. `source` is the study that it says it is about; what needs it is said not to be checked without.
/// `folder` is where pictures beside a JSON file would be.
///
/// # Errors
/// When it is neither a DICOM object nor JSON of a known kind.
pub fn check(
    bytes: Vec<u8>,
    source: Option<&SourceStudy>,
    folder: Option<&Path>,
    limits: &DecodeLimits,
) -> Result<CheckReport, MediaError> {
    if bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| matches!(b, b'{' | b'[')) {
        return coco::check(&bytes, folder);
    }
    let object = parse::parse(bytes, limits)?;
    let data = &object.data;
    let mut report = CheckReport::of(match data.text(tags::MODALITY).as_deref() {
        Some("SEG") => "DICOM segmentation",
        Some("SR") => "DICOM structured report",
        Some("KO") => "DICOM key object selection",
        Some("PR") => "DICOM presentation state",
        Some("RTSTRUCT") => "DICOM structure set",
        _ => "DICOM object",
    });
    if object.truncated_in.is_some() {
        report.error("the file ends early");
    }
    references::check(data, source, &mut report);
    match data.text(tags::MODALITY).as_deref() {
        Some("SEG") => segmentation::check(data, source, &mut report),
        Some("SR" | "KO") => structured::check(data, source, &mut report),
        Some("PR") => geometry::presentation(data, source, &mut report),
        Some("RTSTRUCT") => geometry::structures(data, source, &mut report),
        _ => {}
    }
    Ok(report)
}
