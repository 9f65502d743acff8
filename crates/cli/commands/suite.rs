//! `loupe suite FILE`

use crate::args::image::ImageArgs;
use crate::args::table::FormatName;
use crate::invocation::invocation;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::open::{DeviceChoice, LoadOptions};
use loupe_app::suite::{Suite, SuiteOptions, board, choices, run_suite};
use std::path::PathBuf;

/// Run models × sets × templates × profiles × seeds, declared in one file, into one table.
///
/// Everything that can be wrong without a model is found before the first one is loaded. The same command resumes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The suite, a TOML file (docs/guides/suites.md).
    file: PathBuf,

    /// Only look whether all sets, templates, profiles and folders are there, and name the runs.
    #[arg(long)]
    check: bool,

    /// On resume, ask the samples once more that failed for a reason that may have passed.
    #[arg(long)]
    retry_failed: bool,

    /// `cpu` or `cuda` (`cuda:1` for the second GPU).
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,

    /// How the tables are written.
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = SuiteOptions {
        suite: Suite::read(&args.file)?,
        load: LoadOptions { device: args.device, ..LoadOptions::default() },
        images: args.images.options(),
        retry_failed: args.retry_failed,
        invocation: invocation(),
    };
    if args.check {
        for run in options.check()? {
            out.line(&run.dir().display().to_string())?;
        }
        return Ok(Ended::Well);
    }
    out.heed_signals()?;
    let results = run_suite(&options, out)?;
    if results.stopped {
        out.say("stopped; the same command goes on");
        return Ok(out.signal().map_or(Ended::WithFailures, Ended::Stopped));
    }
    if out.json {
        out.document(&results)?;
    } else {
        let mut tables = board::pivots(&results.results);
        if !results.choices.is_empty() {
            tables.push(choices(&results.choices));
        }
        if !results.pairs.is_empty() {
            tables.push(board::pairs(&results.pairs));
        }
        let tables: Vec<String> = tables.iter().map(|table| table.write(args.format.into())).collect();
        out.text(&tables.join("\n"))?;
    }
    results.with_failures.iter().for_each(|run| out.say(&format!("{run}: some items have no reply")));
    out.say(&format!("every figure: {}", options.output().join("results.csv").display()));
    Ok(Ended::well_if(results.not_run.is_empty() && results.with_failures.is_empty()))
}
