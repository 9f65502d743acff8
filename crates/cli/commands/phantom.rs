//! `loupe phantom --out DIR`

use crate::Ended;
use crate::printer::Printer;
use anyhow::{Context, Result};
use loupe_core::words::counted;
use loupe_datasets::{FrameRow, write_frames};
use std::path::{Path, PathBuf};

/// Write synthetic studies with exact ground truth, as DICOM, NIfTI, PNG and datasets.
///
/// Nothing in them is a patient. The same seed gives the same files on every machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Number of studies.
    #[arg(long, value_name = "N", default_value_t = 16)]
    studies: usize,
}

/// Writes everything, the set over several pictures included; returns what was written.
pub(crate) fn write(dir: &Path, seed: u64, studies: usize) -> Result<loupe_phantom::Summary> {
    let summary = loupe_phantom::write_all(dir, seed, studies)
        .with_context(|| format!("phantoms could not be written to {}", dir.display()))?;
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

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let summary = write(&args.out, args.seed, args.studies)?;
    if out.json {
        out.document(&summary)?;
    } else {
        out.line(&format!(
            "{}, {} in VQA-RAD's layout, {} in SLAKE's, {} to find, {}; {} in {}",
            counted(summary.studies, "study"),
            counted(summary.vqa_rad, "question"),
            summary.slake,
            counted(summary.regions, "region"),
            counted(summary.small_findings, "small finding"),
            counted(summary.files, "file"),
            args.out.display()
        ))?;
    }
    Ok(Ended::Well)
}
