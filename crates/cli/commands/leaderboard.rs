//! `loupe leaderboard RUN…`

use crate::args::table::FormatName;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::compare::leaderboard;
use std::path::PathBuf;

/// Put many scored runs into one table, best first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run folders.
    #[arg(required = true)]
    runs: Vec<PathBuf>,

    /// Whose figures (see `loupe list profiles`); the runs must have been scored by it.
    #[arg(long, default_value = "strict", value_name = "NAME")]
    profile: String,

    /// How the table is written.
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let board = leaderboard(&args.runs, &args.profile)?;
    if board.without > 0 {
        out.say(&format!("{} runs were not scored by {} and are left out", board.without, board.profile));
    }
    if out.json {
        out.document(&board.table)?;
    } else {
        out.text(&board.table.write(args.format.into()))?;
    }
    Ok(Ended::well_if(board.without == 0))
}
