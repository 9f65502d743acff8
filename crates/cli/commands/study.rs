//! `loupe study analyse FILE`

use crate::printer::{Ended, Printer};
use anyhow::{Context, Result};
use clap::Subcommand;
use loupe_core::table::Format;
use loupe_study::{Document, Options, analyse, input, write};
use std::path::PathBuf;

/// Reader studies: what readers and models saw, compared so that it can be published.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: StudyCommand,
}

#[derive(Debug, Subcommand)]
enum StudyCommand {
    Analyse(AnalyseArgs),
}

/// Compute everything that a file of readings allows: agreement, ROC and FROC figures, the comparison of arms over readers and
/// cases, a model against readers, changed decisions, preferences and times.
///
/// The file is CSV with a header or JSON lines, one row a reading; docs/reference/readings.md has its columns.
#[derive(Debug, clap::Args)]
#[command(visible_alias = "analyze")]
struct AnalyseArgs {
    /// File of readings.
    file: PathBuf,

    /// Folder for the page, the tables, the numbers and the files for other packages.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    /// The arm that others are compared with; the first of the file when not given.
    #[arg(long, value_name = "ARM")]
    baseline: Option<String>,

    /// The reader that is a model; it is compared with the others and not counted among them.
    #[arg(long, value_name = "READER")]
    model: Option<String>,

    /// Show that the model is not worse than the readers by this much (in units of the figure, such as 0.05 of an AUC).
    #[arg(long, value_name = "MARGIN", requires = "model")]
    margin: Option<f64>,

    /// Ratings at or above are positive decisions, where the file has no decisions.
    #[arg(long, value_name = "RATING", allow_negative_numbers = true)]
    threshold: Option<f64>,

    /// Plan a study that finds this difference between two arms, from the components of this one.
    #[arg(long, value_name = "DIFFERENCE")]
    plan: Option<f64>,

    /// Power of the planned study.
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, requires = "plan")]
    power: f64,

    /// Confidence level of all intervals.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    level: f64,

    /// Resamples of bootstrap intervals.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    resamples: usize,

    /// Seed of the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u32,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let StudyCommand::Analyse(args) = &args.command;
    let readings =
        input::read(&args.file).with_context(|| format!("{} could not be read", args.file.display()))?;
    let options = Options {
        baseline: args.baseline.clone(),
        model: args.model.clone(),
        margin: args.margin,
        threshold: args.threshold,
        level: args.level,
        resamples: args.resamples,
        seed: args.seed,
        difference: args.plan,
        power: args.power,
    };
    let analysis = analyse(&readings, &options)?;
    if let Some(dir) = &args.output {
        let written = write(&analysis, &readings, dir)
            .with_context(|| format!("{} could not be written", dir.display()))?;
        out.say(&format!("{} files in {}", written.len(), dir.display()));
    }
    for note in &analysis.notes {
        out.say(&format!("note: {note}"));
    }
    if out.json {
        out.document(&Document::of(&analysis))?;
    } else {
        for table in analysis.tables() {
            out.line(&table.write(Format::Terminal))?;
        }
    }
    Ok(Ended::Well)
}
