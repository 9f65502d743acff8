//! `loupe phantom --out DIR`

use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::phantom::{write, write_worklist};
use loupe_core::words::counted;
use std::path::PathBuf;

/// Write synthetic studies with exact ground truth, as DICOM, NIfTI, PNG and datasets.
///
/// Nothing in them is a patient. The same seed gives the same files on every machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to write into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Number of studies.
    #[arg(long, value_name = "N", default_value_t = 16)]
    studies: usize,

    /// Write a worklist for `loupe reports` instead: studies with priors, the reports that their truth gives, and the truth as
    /// structured findings.
    #[arg(long)]
    reports: bool,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    if args.reports {
        let files = write_worklist(&args.out, args.seed, args.studies)?;
        if out.json {
            out.document(&serde_json::json!({ "studies": args.studies, "files": files }))?;
        } else {
            let worklist = args.out.join("worklist.jsonl");
            out.line(&format!("{} to report on in {}", counted(args.studies, "study"), worklist.display()))?;
        }
        return Ok(Ended::Well);
    }
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
