//! `loupe demo`

use super::phantom;
use super::score::{self, ScoreArgs};
use crate::Ended;
use crate::page;
use crate::pick::{ImageArgs, ModelArgs};
use crate::printer::Printer;
use crate::second_look::{Look, SecondLook};
use anyhow::{Context, Result};
use loupe_core::{Dataset, Limits, VisionLanguageModel};
use loupe_eval::Summary;
use loupe_eval::compare::compare;
use loupe_eval::run::{Answerer, Direct, Plan, run as run_plan};
use loupe_eval::strict::{ACCURACY, CHOICE, CLOSED_BY_TYPE, OPEN_EXACT, Strict};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Seed of the demonstration; never one that the model was trained on.
const SEED: u64 = 2026;

/// Show everything on phantoms: answers, boxes, several pictures, a second look, a report.
///
/// Makes synthetic studies that the built-in model has never seen, asks it about them, scores the
/// replies and writes report pages. Needs no data and no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where data, runs and reports go.
    #[arg(long, short, value_name = "DIR", default_value = "loupe-demo")]
    output: PathBuf,

    /// Number of studies.
    #[arg(long, value_name = "N", default_value_t = 40)]
    studies: usize,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    images: ImageArgs,
}

/// A figure of the demonstration: shares from 0 to 1, 95 % interval.
#[derive(Debug, Clone, Serialize)]
struct Shown {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    n: u64,
}

#[derive(Debug, Serialize)]
struct Document {
    closed_accuracy: Shown,
    open_exact: Shown,
    multi_image_accuracy: Shown,
    grounding_acc_50: Shown,
    one_look_accuracy: Shown,
    two_looks_accuracy: Shown,
    second_look_gain: Shown,
    /// Tokens of the second round that were not computed again.
    second_look_reused: Option<page::Reused>,
    reports: Vec<PathBuf>,
}

/// One of the demonstration's runs.
struct Job<'a> {
    set: &'static str,
    /// Folder or file within the data.
    path: &'static str,
    name: &'static str,
    rethink: Option<&'static str>,
    model: &'a mut dyn VisionLanguageModel,
}

fn one(job: &mut Job<'_>, args: &Args, out: &Printer, score_args: &ScoreArgs) -> Result<(Summary, PathBuf)> {
    let set = loupe_datasets::open(job.set, &args.output.join("data").join(job.path), None)?;
    let dir = args.output.join("runs").join(job.name);
    out.say(&format!("{}: {} questions", job.name, set.len()));
    let loader = args.images.loader();
    let mut plan = Plan::new(loupe_eval::prompts::default_recipe());
    plan.batch = 32;
    plan.limits = Limits { max_new_tokens: 64, ..Limits::default() };
    let mut direct;
    let mut twice;
    let answerer: &mut dyn Answerer = match job.rethink {
        None => {
            direct = Direct(&mut *job.model);
            &mut direct
        }
        Some(name) => {
            twice = SecondLook { look: Look::plain(name), model: &mut *job.model, loader: &loader };
            &mut twice
        }
    };
    run_plan(&dir, &plan, set.as_ref() as &dyn Dataset, answerer, &loader, &mut ())
        .with_context(|| format!("the run {} could not be done", job.name))?;
    let summary =
        score::score_and_write(&dir, &score_args.profiles()?, Some(set.as_ref()), &loader, score_args, out)?;
    Ok((summary, dir))
}

fn figure(summary: &Summary, name: &str) -> Shown {
    let figure = summary.figure("strict", name);
    Shown {
        value: figure.and_then(|f| f.value),
        low: figure.and_then(|f| f.interval.as_ref()).map(|i| i.lo),
        high: figure.and_then(|f| f.interval.as_ref()).map(|i| i.hi),
        n: figure.map_or(0, |f| f.n),
    }
}

fn gain(first: &Path, second: &Path) -> Result<Shown> {
    let comparison =
        compare(first, second, &Strict).context("one look and two looks could not be compared")?;
    let found = comparison.figures.iter().find(|f| f.name == ACCURACY);
    Ok(Shown {
        value: found.map(|f| f.difference),
        low: found.and_then(|f| f.interval.as_ref()).map(|i| i.lo),
        high: found.and_then(|f| f.interval.as_ref()).map(|i| i.hi),
        n: found.map_or(0, |f| f.n as u64),
    })
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    out.say(&format!("making {} phantom studies", args.studies));
    phantom::write(&args.output.join("data"), SEED, args.studies)?;
    let mut model = args.model.load(None)?;
    let score_args = ScoreArgs::default();
    let mut reports = Vec::new();
    let mut ask = |set, path, name, rethink, reports: &mut Vec<PathBuf>| -> Result<(Summary, PathBuf)> {
        let (summary, dir) =
            one(&mut Job { set, path, name, rethink, model: model.as_mut() }, args, out, &score_args)?;
        reports.push(dir.join("report.html"));
        Ok((summary, dir))
    };
    let (vqa, _) = ask("vqa-rad", "vqa-rad", "vqa-rad", None, &mut reports)?;
    ask("slake", "slake", "slake", None, &mut reports)?;
    let (frames, _) = ask("medframeqa", "medframeqa", "medframeqa", None, &mut reports)?;
    let (boxes, _) = ask("jsonl", "grounding/grounding.jsonl", "grounding", None, &mut reports)?;
    let small = "second-look/second-look.jsonl";
    let (once, once_dir) = ask("jsonl", small, "one-look", None, &mut reports)?;
    let (twice, twice_dir) = ask("jsonl", small, "two-looks", Some("loupe"), &mut reports)?;
    let document = Document {
        closed_accuracy: figure(&vqa, CLOSED_BY_TYPE),
        open_exact: figure(&vqa, OPEN_EXACT),
        multi_image_accuracy: figure(&frames, CHOICE),
        grounding_acc_50: figure(&boxes, ACCURACY),
        one_look_accuracy: figure(&once, ACCURACY),
        two_looks_accuracy: figure(&twice, ACCURACY),
        second_look_gain: gain(&once_dir, &twice_dir)?,
        second_look_reused: page::reused_in_later_rounds(&twice_dir)?,
        reports,
    };
    if out.json {
        out.document(&document)?;
        return Ok(Ended::Well);
    }
    let rows = [
        ("closed questions right", &document.closed_accuracy),
        ("open questions exactly right", &document.open_exact),
        ("several pictures: right letter", &document.multi_image_accuracy),
        ("boxes with IoU of 0.5 or more", &document.grounding_acc_50),
        ("small findings, one look", &document.one_look_accuracy),
        ("small findings, two looks", &document.two_looks_accuracy),
        ("gain of the second look", &document.second_look_gain),
    ];
    let percent = |v: Option<f64>| v.map_or_else(|| "—".to_owned(), |v| format!("{:.1}", v * 100.0));
    out.line(&format!("{:32} {:>6}  {:>15}  {:>5}", "", "%", "95 % interval", "n"))?;
    for (name, shown) in rows {
        let interval = format!("{} – {}", percent(shown.low), percent(shown.high));
        out.line(&format!("{name:32} {:>6}  {interval:>15}  {:>5}", percent(shown.value), shown.n))?;
    }
    if let Some(reused) = document.second_look_reused {
        out.line(&format!(
            "{:32} {:>6}",
            "second round: prompt not redone",
            percent(Some(reused.of_prompt))
        ))?;
        out.line(&format!(
            "{:32} {:>6}",
            "of the first round's tokens",
            percent(Some(reused.of_earlier_turns))
        ))?;
    }
    for report in &document.reports {
        out.line(&format!("report: {}", report.display()))?;
    }
    Ok(Ended::Well)
}
