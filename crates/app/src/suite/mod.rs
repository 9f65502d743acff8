//! Suites: many runs declared in one file, made one after the other, in one table.

pub mod board;
mod chosen;
mod declared;
mod planned;

pub use chosen::{ChoiceLine, choices};
pub use declared::{Suite, SuiteModel, SuiteSet, SuiteTemplate};
pub use planned::{Planned, SuiteOptions};

use crate::error::{AppError, InStep};
use crate::evaluate::{OpenRespondent, evaluate_by};
use crate::listener::Listener;
use crate::score::{is_complete, profile};
use board::{PairLine, ResultLine};
use chosen::is_chosen;
use loupe_core::files::write_whole;
use loupe_core::table::Format;
use loupe_eval::compare::compare;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// What came of a suite.
#[derive(Debug, Default, Serialize)]
pub struct SuiteResults {
    /// Every figure of every run.
    pub results: Vec<ResultLine>,
    /// How each template did where templates are chosen, and which was.
    pub choices: Vec<ChoiceLine>,
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
    let mut done: Vec<Done<'_>> = Vec::new();
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
            let chosen_on = options.chosen_on(run);
            match chosen_on.map(|_| is_chosen(&mut out.choices, run, options.suite.templates.len())) {
                None | Some(Ok(true)) => {}
                Some(Ok(false)) => continue,
                Some(Err(why)) => {
                    out.not_run.push((run.name(), why));
                    continue;
                }
            }
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
                        if run.choosing_on.is_some() {
                            out.choices.push(ChoiceLine::new(run, &summary));
                            continue;
                        }
                        out.results.extend(board::lines(run, chosen_on, &summary));
                        let scored = summary.profiles.into_iter().filter(|p| !p.figures.is_empty());
                        let profiles = scored.map(|p| p.name).collect();
                        done.push(Done { run, chosen: chosen_on.is_some(), profiles });
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
    out.pairs = pairs(&done)?;
    write(&options.output(), &out).step(|| "the tables of the suite could not be written".to_owned())?;
    Ok(out)
}

/// A run that was made.
struct Done<'a> {
    run: &'a Planned,
    /// Is its template the one that was chosen?
    chosen: bool,
    /// Those that have figures of it.
    profiles: Vec<String>,
}

/// Each run beside that of the model's base on the same samples, by every profile that both were scored by. Both have the
/// same template, or each the one that was chosen for it.
fn pairs(done: &[Done<'_>]) -> Result<Vec<PairLine>, AppError> {
    let mut pairs = Vec::new();
    for Done { run, chosen, profiles } in done {
        let same = |other: &&Done<'_>| {
            (&other.run.set, other.run.seed) == (&run.set, run.seed)
                && Some(&other.run.model) == run.base.as_ref()
                && (other.run.template == run.template || (*chosen && other.chosen))
        };
        let Some(base) = done.iter().find(same) else { continue };
        for name in profiles.iter().filter(|name| base.profiles.contains(name)) {
            let comparison = compare(base.run.dir(), run.dir(), profile(name)?.as_ref())
                .step(|| format!("{} could not be compared with its base", run.name()))?;
            pairs.push(PairLine {
                model: run.model.clone(),
                base: base.run.model.clone(),
                set: run.set.clone(),
                template: run.template.clone(),
                base_template: base.run.template.clone(),
                seed: run.seed,
                profile: name.clone(),
                comparison,
            });
        }
    }
    Ok(pairs)
}

/// The tables beside the runs.
fn write(dir: &Path, results: &SuiteResults) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let csv = |name: &str, table: loupe_core::Table| {
        write_whole(&dir.join(name), |to| to.write_all(table.write(Format::Csv).as_bytes()))
    };
    csv("results.csv", board::results(&results.results))?;
    if !results.choices.is_empty() {
        csv("choices.csv", choices(&results.choices))?;
    }
    csv("pairs.csv", board::pairs(&results.pairs))?;
    write_whole(&dir.join("results.json"), |to| {
        serde_json::to_writer_pretty(&mut *to, results)?;
        to.write_all(b"\n")
    })
}
