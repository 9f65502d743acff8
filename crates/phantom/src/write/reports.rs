//! A worklist of phantom studies with the reports that their truth gives.

use super::folder::{Folder, PICTURE_SIZE};
use super::patient::plan;
use super::picture::png;
use crate::error::PhantomError;
use crate::reports::ReportedStudy;
use crate::rng::Rng;
use crate::study::Study;
use serde_json::json;
use std::path::Path;

/// Writes `studies` studies to report on into `dir`: `worklist.jsonl`, with references and structured truth, and `images/`. Two in three
/// have an earlier study. The same seed gives the same files.
///
/// # Errors
/// When a file cannot be written.
pub fn write_reports(dir: &Path, seed: u64, studies: usize) -> Result<usize, PhantomError> {
    if studies == 0 {
        return Err(PhantomError::NoStudies);
    }
    let mut folder = Folder::new(dir);
    let mut worklist = String::new();
    for i in 0..studies {
        let mut rng = Rng::new(seed ^ i as u64, 61);
        let ReportedStudy { prior, study, report } =
            ReportedStudy::new(&plan(i, seed, 5), !i.is_multiple_of(3), PICTURE_SIZE, &mut rng);
        let mut image = |study: &Study, name: String| -> Result<serde_json::Value, PhantomError> {
            folder.write(&name, &png(&study.picture(0)?)?)?;
            Ok(json!({ "path": name, "view": study.kind.view() }))
        };
        let mut row = json!({
            "study_id": format!("phantom-{i:04}"),
            "images": [image(&study, format!("images/{i:04}.png"))?],
            "indication": report.indication,
            "technique": report.technique,
            "reference": { "findings": report.findings, "impression": report.impression },
            "tag:truth": serde_json::to_string(&report.facts).unwrap_or_default(),
            "tag:modality": study.kind.modality(),
        });
        if let (Some(before), Some(fields)) = (&prior, row.as_object_mut()) {
            fields.insert(
                "prior_images".to_owned(),
                json!([image(before, format!("images/{i:04}-prior.png"))?]),
            );
        }
        worklist.push_str(&format!("{row}\n"));
    }
    folder.write("worklist.jsonl", worklist.as_bytes())?;
    Ok(folder.files())
}
