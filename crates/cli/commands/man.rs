//! `loupe man DIR`

use crate::printer::{Ended, Printer};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Write manual pages, one a command, into a folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for `loupe.1`, `loupe-ask.1` and so on; made when it is not there.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args, cli: &clap::Command, out: &mut Printer) -> Result<Ended> {
    let writing = || format!("writing manual pages to {}", args.dir.display());
    std::fs::create_dir_all(&args.dir).with_context(writing)?;
    clap_mangen::generate_to(cli.clone(), &args.dir).with_context(writing)?;
    out.say(&format!("manual pages in {}", args.dir.display()));
    Ok(Ended::Well)
}
