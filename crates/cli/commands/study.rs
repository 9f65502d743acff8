//! `loupe study build STUDY`, `collect FILE…`, `analyse FILE`

use crate::args::image::ImageArgs;
use crate::args::table::FormatName;
use crate::printer::{Ended, Printer};
use anyhow::{Context, Result};
use clap::Subcommand;
use loupe_app::study::build_study;
use loupe_core::table::Format;
use loupe_study::collect::collect;
use loupe_study::reading::Key;
use loupe_study::{Document, Options, analyse, input, write};
use serde_json::json;
use std::path::PathBuf;

/// Reader studies: what readers and models saw, compared so that it can be published.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: StudyCommand,
}

#[derive(Debug, Subcommand)]
enum StudyCommand {
    Build(BuildArgs),
    Collect(CollectArgs),
    Analyse(AnalyseArgs),
}

/// Make one page for each reader of a blinded study: cases in an order of their own, images with windows and slices, questions.
///
/// Each page is one file that opens without a server and sends nothing; docs/guides/blinded-reading.md has the form of study.toml.
/// key.json stays with you: it says what stood behind each case.
#[derive(Debug, clap::Args)]
struct BuildArgs {
    /// The design of the study.
    #[arg(value_name = "STUDY.toml")]
    design: PathBuf,

    /// Folder for the pages and the key.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    #[command(flatten)]
    images: ImageArgs,
}

/// Verify the answers that readers saved, put them together and undo the blinding: readings.csv for `loupe study analyse`, and
/// every answer in answers.jsonl.
///
/// A file that was changed, cut off or belongs to another study is refused by its name; the others are taken.
#[derive(Debug, clap::Args)]
struct CollectArgs {
    /// Files that readers saved.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The key that was built with the pages.
    #[arg(long, value_name = "FILE", default_value = "key.json")]
    key: PathBuf,

    /// Folder for the readings.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Take files in which not all cases are read.
    #[arg(long)]
    partial: bool,
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
    match &args.command {
        StudyCommand::Build(args) => run_build(args, out),
        StudyCommand::Collect(args) => run_collect(args, out),
        StudyCommand::Analyse(args) => run_analyse(args, out),
    }
}

fn run_build(args: &BuildArgs, out: &mut Printer) -> Result<Ended> {
    let made = build_study(&args.design, &args.output, &args.images.options(), &*out)?;
    for words in &made.left_out {
        out.say(words);
    }
    if out.json {
        let pages: Vec<_> =
            made.built.pages.iter().map(|(path, bytes)| json!({ "file": path, "bytes": bytes })).collect();
        out.document(&json!({ "study": made.built.key.study, "pages": pages, "left_out": made.left_out }))?;
    } else {
        for (path, bytes) in &made.built.pages {
            out.line(&format!("{}  {:.1} MB", path.display(), *bytes as f64 / 1e6))?;
        }
        out.say(&format!("keep {} away from readers", args.output.join("key.json").display()));
    }
    Ok(Ended::well_if(made.left_out.is_empty()))
}

fn run_collect(args: &CollectArgs, out: &mut Printer) -> Result<Ended> {
    let key = Key::read(&args.key).with_context(|| format!("{} could not be used", args.key.display()))?;
    let collected = collect(&key, &args.files, args.partial, &args.output)?;
    let refused: Vec<String> = collected.refused.iter().map(ToString::to_string).collect();
    for words in refused
        .iter()
        .map(|r| format!("refused: {r}"))
        .chain(collected.notes.iter().map(|n| format!("note: {n}")))
    {
        out.say(&words);
    }
    if out.json {
        out.document(&json!({ "readings": collected.readings, "written": collected.written, "refused": refused, "notes": collected.notes }))?;
    } else {
        for path in &collected.written {
            out.line(&path.display().to_string())?;
        }
        out.say(&format!("{} readings", collected.readings));
    }
    Ok(Ended::well_if(refused.is_empty()))
}

fn run_analyse(args: &AnalyseArgs, out: &mut Printer) -> Result<Ended> {
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
        let format = Format::from(FormatName::Terminal);
        for table in analysis.tables() {
            out.line(&table.write(format))?;
        }
    }
    Ok(Ended::Well)
}
