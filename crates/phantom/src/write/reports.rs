//! A worklist of phantom studies with the reports that their truth gives.

use super::folder::{Folder, PICTURE_SIZE};
use super::patient::plan;
use super::picture::png;
use super::{README, README_WORDS};
use crate::error::PhantomError;
use crate::kind::Kind;
use crate::reports::report;
use crate::rng::Rng;
use crate::study::{Change, Study};
use serde_json::json;
use std::path::Path;

/// Writes `studies` studies to report on into `dir`: `worklist.jsonl`, with references and structured truth, `images/` and the README by which the folder is known. Two in three
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
        let plan = plan(i, seed, 5);
        let mut rng = Rng::new(seed ^ i as u64, 61);
        let change = (!i.is_multiple_of(3)).then(|| rng.pick(&Change::ALL).copied()).flatten();
        let (before, now) = match change {
            Some(change) => {
                let (before, now) = plan.follow_up(change);
                (Some(before.picture(PICTURE_SIZE)), now.picture(PICTURE_SIZE))
            }
            None => (None, plan.picture(PICTURE_SIZE)),
        };
        // A patient without a finding stays as it is, whatever was wished.
        let earlier = before
            .as_ref()
            .zip(change)
            .filter(|(before, _)| !before.findings.is_empty() || !now.findings.is_empty());
        let told = report(&now, earlier, &mut rng);
        let mut image = |study: &Study, name: String| -> Result<serde_json::Value, PhantomError> {
            folder.write(&name, &png(&study.picture(0)?)?)?;
            let view = match study.kind {
                kind if kind.plane().is_some() => kind.plane().unwrap_or_default(),
                Kind::Radiograph => "PA",
                Kind::Ultrasound => "ultrasound",
                _ => "photograph",
            };
            Ok(json!({ "path": name, "view": view }))
        };
        let mut row = json!({
            "study_id": format!("phantom-{i:04}"),
            "images": [image(&now, format!("images/{i:04}.png"))?],
            "indication": told.indication,
            "technique": told.technique,
            "reference": { "findings": told.findings, "impression": told.impression },
            "tag:truth": serde_json::to_string(&told.facts).unwrap_or_default(),
            "tag:modality": now.kind.modality(),
        });
        if let (Some(before), Some(fields)) = (&before, row.as_object_mut()) {
            fields.insert(
                "prior_images".to_owned(),
                json!([image(before, format!("images/{i:04}-prior.png"))?]),
            );
        }
        worklist.push_str(&format!("{row}\n"));
    }
    folder.write("worklist.jsonl", worklist.as_bytes())?;
    folder.write(README, README_WORDS)?;
    Ok(folder.files())
}
