//! `loupe compare RUN RUN`

use crate::Ended;
use crate::printer::Printer;
use anyhow::{Context, Result};
use loupe_eval::strict::Strict;
use std::path::PathBuf;

/// Compare two runs on the same samples: paired differences with intervals and tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run to compare against.
    baseline: PathBuf,

    /// The other run.
    run: PathBuf,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let comparison = loupe_eval::compare::compare(&args.baseline, &args.run, &Strict)
        .context("the runs could not be compared")?;
    if out.json {
        out.document(&comparison)?;
    } else {
        out.text(&loupe_eval::tables::comparison(&comparison))?;
    }
    Ok(Ended::Well)
}
