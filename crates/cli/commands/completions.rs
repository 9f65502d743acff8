//! `loupe completions SHELL`

use crate::printer::{Ended, Printer};
use anyhow::Result;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For which shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args, command: &mut clap::Command, out: &mut Printer) -> Result<Ended> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "loupe", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(Ended::Well)
}
