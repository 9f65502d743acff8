//! `loupe leaderboard RUN…`

use super::compare::FormatName;
use super::score;
use crate::Ended;
use crate::printer::Printer;
use anyhow::{Context, Result, bail};
use loupe_eval::{Summary, tables};
use std::path::{Path, PathBuf};

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

fn read(run: &Path) -> Result<(String, Summary)> {
    let path = run.join("summary.json");
    let text = std::fs::read(&path)
        .with_context(|| format!("{} has no summary; score it with `loupe score`", run.display()))?;
    let summary = serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?;
    let name = run.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned();
    Ok((name, summary))
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let runs: Vec<(String, Summary)> = args.runs.iter().map(|r| read(r)).collect::<Result<_>>()?;
    let profile = score::profile(&args.profile)?;
    let table = tables::leaderboard(&runs, profile.name());
    if table.rows.is_empty() {
        bail!("no run was scored by {}; score them with --profile {}", profile.name(), args.profile);
    }
    let without = runs.len() - table.rows.len();
    if without > 0 {
        out.say(&format!("{without} runs were not scored by {} and are left out", profile.name()));
    }
    if out.json {
        out.document(&table)?;
    } else {
        out.text(&table.write(args.format.into()))?;
    }
    Ok(if without > 0 { Ended::WithFailures } else { Ended::Well })
}
