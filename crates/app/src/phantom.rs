//! Synthetic studies in every layout, the set over several pictures included.

use crate::error::{AppError, InStep};
use loupe_datasets::{FrameRow, write_frames};
use loupe_phantom::Summary;
use std::path::Path;

/// Writes everything to `dir` and says how much that was. The same seed gives the same files on every machine.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(dir: &Path, seed: u64, studies: usize) -> Result<Summary, AppError> {
    let summary = loupe_phantom::write_all(dir, seed, studies)
        .step(|| format!("phantoms could not be written to {}", dir.display()))?;
    let rows: Vec<FrameRow> = loupe_phantom::frame_questions(seed, studies)?
        .into_iter()
        .map(|q| FrameRow {
            question_id: q.id,
            system: "phantom".to_owned(),
            organ: q.organ,
            keyword: q.keyword,
            modality: q.modality,
            video_id: q.video,
            question: q.question,
            options: q.options,
            correct_answer: q.letter.to_string(),
            pictures: q.pictures,
        })
        .collect();
    write_frames(&dir.join("medframeqa/data/test-00000-of-00001.parquet"), &rows)?;
    Ok(summary)
}

/// Writes a worklist of studies with the reports that their truth gives, and says how many files that was.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_worklist(dir: &Path, seed: u64, studies: usize) -> Result<usize, AppError> {
    loupe_phantom::write_reports(dir, seed, studies)
        .step(|| format!("phantoms could not be written to {}", dir.display()))
}
