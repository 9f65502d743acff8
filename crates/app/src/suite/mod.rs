//! Suites: many runs declared in one file, made one after the other, in one table.

pub mod board;
mod declared;
mod planned;

pub use declared::{Suite, SuiteModel, SuiteSet, SuiteTemplate};
pub use planned::{Planned, SuiteOptions};

use crate::error::{AppError, InStep};
use crate::evaluate::{OpenRespondent, evaluate_by};
use crate::listener::Listener;
use crate::score::is_complete;
use board::{PairLine, ResultLine};
use loupe_core::files::write_whole;
use loupe_core::table::Format;
use loupe_eval::compare::compare;
use loupe_eval::strict::Strict;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// What came of a suite.
#[derive(Debug, Default, Serialize)]
pub struct SuiteResults {
    /// Every figure of every run.
    pub results: Vec<ResultLine>,
    /// Each model beside its base.
    pub pairs: Vec<PairLine>,
    /// Runs that could not be made, with the reason.
    pub not_run: Vec<(String, String)>,
    /// Runs with failed items.
    pub with_failures: Vec<String>,
    /// Ended early by whoever listens.
    pub stopped: bool,
}

/// Makes, or goes on with, every run of the suite and writes its tables. A run that cannot be made is named, and the others go on.
///
/// # Errors
/// When something is wrong that shows before the first model is loaded, no run at all could be made, or the tables cannot be written.
pub fn run_suite(options: &SuiteOptions, listener: &dyn Listener) -> Result<SuiteResults, AppError> {
    let planned = options.check()?;
    let mut out = SuiteResults::default();
    let mut done: Vec<&Planned> = Vec::new();
    let mut first_error: Option<AppError> = None;
    for runs in planned.chunk_by(|a, b| a.model == b.model) {
        let Some(first) = runs.first() else { continue };
        let mut model = match OpenRespondent::open(&first.options) {
            Ok(model) => model,
            Err(error) => {
                let why = error.in_one_line();
                listener.say(&format!("{}: {why}", first.model));
                out.not_run.extend(runs.iter().map(|run| (run.name(), why.clone())));
                first_error.get_or_insert(error);
                continue;
            }
        };
        for (n, run) in runs.iter().enumerate() {
            listener.say(&format!("{} ({} of {})", run.name(), n + 1, runs.len()));
            match evaluate_by(&run.options, &mut model, listener) {
                Ok(made) => match made.summary {
                    None => {
                        out.stopped = true;
                        return Ok(out);
                    }
                    Some(summary) => {
                        if !is_complete(&summary) {
                            out.with_failures.push(run.name());
                        }
                        out.results.extend(board::lines(run, &summary));
                        done.push(run);
                    }
                },
                Err(error) => {
                    let why = error.in_one_line();
                    listener.say(&format!("{}: {why}", run.name()));
                    out.not_run.push((run.name(), why));
                    first_error.get_or_insert(error);
                }
            }
        }
    }
    // Whether trying again can help is in the error.
    if let (true, Some(error)) = (done.is_empty(), first_error) {
        return Err(error);
    }
    for run in &done {
        let same = |other: &&&Planned| {
            (&other.set, &other.template, other.seed) == (&run.set, &run.template, run.seed)
                && Some(&other.model) == run.base.as_ref()
        };
        let Some(base) = done.iter().find(same) else { continue };
        let comparison = compare(base.dir(), run.dir(), &Strict)
            .step(|| format!("{} could not be compared with its base", run.name()))?;
        out.pairs.push(PairLine {
            model: run.model.clone(),
            base: base.model.clone(),
            set: run.set.clone(),
            template: run.template.clone(),
            seed: run.seed,
            comparison,
        });
    }
    write(&options.output(), &out).step(|| "the tables of the suite could not be written".to_owned())?;
    Ok(out)
}

/// The tables beside the runs.
fn write(dir: &Path, results: &SuiteResults) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let csv = |name: &str, table: loupe_core::Table| {
        write_whole(&dir.join(name), |to| to.write_all(table.write(Format::Csv).as_bytes()))
    };
    csv("results.csv", board::results(&results.results))?;
    csv("pairs.csv", board::pairs(&results.pairs))?;
    write_whole(&dir.join("results.json"), |to| {
        serde_json::to_writer_pretty(&mut *to, results)?;
        to.write_all(b"\n")
    })
}
