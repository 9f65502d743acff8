//! `loupe data check SET DIR`

use crate::Ended;
use crate::printer::Printer;
use anyhow::{Context, Result};
use clap::Subcommand;
use std::path::PathBuf;

/// Check datasets before a run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Count rows and images, find missing images, broken rows and repeated ids.
    Check {
        /// Name of the set (see `loupe list datasets`).
        set: String,
        /// Where it lies.
        dir: PathBuf,
    },
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let What::Check { set, dir } = &args.what;
    let report = loupe_datasets::check(set, dir).with_context(|| format!("{set} could not be checked"))?;
    if out.json {
        out.document(&report)?;
    } else {
        for split in &report.splits {
            let known = match split.known_rows {
                Some(n) if n == split.rows => " as published".to_owned(),
                Some(n) => format!(", {n} published"),
                None => String::new(),
            };
            out.line(&format!(
                "{}: {} rows{known}, {} images, {} missing",
                split.split, split.rows, split.images, split.missing_images
            ))?;
            for name in split.missing_names.iter().take(5) {
                out.line(&format!("  missing image: {name}"))?;
            }
            for error in split.row_errors.iter().take(5) {
                out.line(&format!("  {error}"))?;
            }
            if !split.repeated_ids.is_empty() {
                out.line(&format!("  {} ids stand more than once", split.repeated_ids.len()))?;
            }
        }
        for (split, why) in &report.absent {
            out.line(&format!("{split}: {why}"))?;
        }
    }
    Ok(if report.is_good() { Ended::Well } else { Ended::WithFailures })
}
