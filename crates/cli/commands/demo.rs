//! `loupe demo`

use super::phantom;
use super::score::{self, ScoreArgs};
use crate::Ended;
use crate::outliner::SegmenterAnswerer;
use crate::page::{self, Source};
use crate::pick::{ImageArgs, ModelArgs, load_segmenter};
use crate::printer::Printer;
use crate::second_look::{Look, RethinkAnswerer};
use anyhow::{Context, Result};
use loupe_core::{Dataset, GenerationLimits, MediaLoader, Sample, Segmenter, VisionLanguageModel};
use loupe_eval::baselines::{Baseline, Baselines, baselines};
use loupe_eval::compare::compare;
use loupe_eval::run::{Answerer, Direct, Plan, RunFolder, run as run_plan};
use loupe_eval::strict::{ACCURACY, CHOICE, CLOSED_BY_TYPE, DICE, OPEN_EXACT, Strict};
use loupe_eval::{Profile, Summary};
use loupe_report::page::PageTable;
use loupe_run::probes::{Probe, ProbedLoader, ProbedSet};
use loupe_run::simulated::Simulated;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Seed of the demonstration; never one that a model was trained on.
const SEED: u64 = 2026;

/// Samples of each run on the common page.
const SHOWN: usize = 24;

/// Show everything on phantoms: answers, boxes, outlines, several pictures, a second look, a report.
///
/// Makes synthetic studies that the built-in models have never seen, asks about them, scores the
/// replies and writes report pages. Needs no data and no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where data, runs and reports go.
    #[arg(long, short, value_name = "DIR", default_value = "loupe-demo")]
    output: PathBuf,

    /// Number of studies.
    #[arg(long, value_name = "N", default_value_t = 64)]
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
    /// Guessing among the options, without a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    chance: Option<f64>,
    /// Always the commonest answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    commonest: Option<f64>,
}

impl Shown {
    fn beside(mut self, baseline: Baseline) -> Self {
        (self.chance, self.commonest) = (baseline.chance, baseline.commonest);
        self
    }
}

#[derive(Debug, Serialize)]
struct Document {
    closed_accuracy: Shown,
    open_exact: Shown,
    multi_image_accuracy: Shown,
    grounding_acc_50: Shown,
    /// Prompted with the tight box.
    dice: Shown,
    /// Prompted with the pixel deepest inside.
    dice_point: Shown,
    one_look_accuracy: Shown,
    two_looks_accuracy: Shown,
    second_look_gain: Shown,
    /// The same questions on grey pictures, and on other patients' pictures.
    closed_accuracy_blank: Shown,
    closed_accuracy_swapped: Shown,
    multi_image_accuracy_blank: Shown,
    multi_image_accuracy_swapped: Shown,
    /// Tokens of the second round that were not computed again.
    second_look_reused: Option<page::Reused>,
    /// The page with all of it.
    report: PathBuf,
    /// The page of each run.
    reports: Vec<PathBuf>,
}

/// One of the demonstration's runs.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    set: &'static str,
    /// Folder or file within the data.
    path: &'static str,
    how: How,
    probe: Option<Probe>,
}

#[derive(Clone, Copy)]
enum How {
    OneLook,
    TwoLooks,
    Outline(Simulated),
}

impl Job {
    const fn of(name: &'static str, set: &'static str, path: &'static str) -> Self {
        Self { name, set, path, how: How::OneLook, probe: None }
    }
}

const VQA: Job = Job::of("vqa-rad", "vqa-rad", "vqa-rad");
const FRAMES: Job = Job::of("medframeqa", "medframeqa", "medframeqa");
const SMALL: Job = Job::of("one-look", "jsonl", "second-look/second-look.jsonl");
const MASKS: Job = Job::of("outlines-box", "jsonl", "segmentation/segmentation.jsonl");
const GREY: Option<Probe> = Some(Probe::Blank { level: 90 });

const JOBS: [Job; 12] = [
    VQA,
    Job::of("slake", "slake", "slake"),
    FRAMES,
    Job::of("grounding", "jsonl", "grounding/grounding.jsonl"),
    Job { how: How::Outline(Simulated::Box), ..MASKS },
    Job { name: "outlines-point", how: How::Outline(Simulated::Centre), ..MASKS },
    SMALL,
    Job { name: "two-looks", how: How::TwoLooks, ..SMALL },
    Job { name: "vqa-rad-blank", probe: GREY, ..VQA },
    Job { name: "vqa-rad-swapped", probe: Some(Probe::Swapped), ..VQA },
    Job { name: "medframeqa-blank", probe: GREY, ..FRAMES },
    Job { name: "medframeqa-swapped", probe: Some(Probe::Swapped), ..FRAMES },
];

/// A run that was made, with what its page needs.
struct Done {
    job: Job,
    dir: PathBuf,
    summary: Summary,
    baselines: Baselines,
}

impl Done {
    fn figure(&self, name: &str) -> Shown {
        let figure = self.summary.figure("strict", name);
        Shown {
            value: figure.and_then(|f| f.value),
            low: figure.and_then(|f| f.interval.as_ref()).map(|i| i.lo),
            high: figure.and_then(|f| f.interval.as_ref()).map(|i| i.hi),
            n: figure.map_or(0, |f| f.n),
            chance: None,
            commonest: None,
        }
    }
}

struct Models {
    words: Box<dyn VisionLanguageModel>,
    outlines: Box<dyn Segmenter>,
}

fn one(job: Job, models: &mut Models, args: &Args, out: &Printer, score_args: &ScoreArgs) -> Result<Done> {
    let plain = open(&job, args)?;
    let dir = args.output.join("runs").join(job.name);
    out.say(&format!("{}: {} questions", job.name, plain.len()));
    let (loader, masks) = (args.images.loader(), args.images.loader());
    let mut plan = Plan::new(loupe_run::templates::default_template());
    plan.batch = 32;
    plan.limits = GenerationLimits { max_new_tokens: 64, ..GenerationLimits::default() };
    let probed = job.probe.map(|probe| {
        (ProbedSet::new(plain.as_ref(), probe, SEED), ProbedLoader { of: &loader, probe, seed: SEED })
    });
    let (set, pictures): (&dyn Dataset, &dyn MediaLoader) = match &probed {
        Some((set, pictures)) => (set, pictures),
        None => (plain.as_ref(), &loader),
    };
    let (mut direct, mut twice, mut outliner);
    let answerer: &mut dyn Answerer = match job.how {
        How::OneLook => {
            direct = Direct(models.words.as_mut());
            &mut direct
        }
        How::TwoLooks => {
            twice =
                RethinkAnswerer { look: Look::plain("loupe"), model: models.words.as_mut(), loader: &loader };
            &mut twice
        }
        How::Outline(prompt) => {
            let segmenter = models.outlines.as_mut();
            outliner = SegmenterAnswerer {
                segmenter,
                prompt,
                seed: SEED,
                images: &loader,
                masks: &masks,
                probe: None,
            };
            &mut outliner
        }
    };
    run_plan(&dir, &plan, set, answerer, pictures, &mut ())
        .with_context(|| format!("the run {} could not be done", job.name))?;
    let summary =
        score::score_and_write(&dir, &score_args.profiles()?, Some(set), pictures, score_args, out)?;
    let samples: Vec<Sample> = (0..set.len()).filter_map(|i| set.get(i).ok()).collect();
    Ok(Done { job, dir, summary, baselines: baselines(&samples) })
}

fn open(job: &Job, args: &Args) -> Result<Box<dyn Dataset>> {
    Ok(loupe_datasets::open(job.set, &args.output.join("data").join(job.path), None)?)
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
        chance: None,
        commonest: None,
    })
}

/// The rows of the table, on the terminal and on the page.
fn table(document: &Document) -> PageTable {
    let percent = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{:.1}", v * 100.0));
    let rows = [
        ("closed questions right", &document.closed_accuracy),
        ("– on grey pictures", &document.closed_accuracy_blank),
        ("– on another patient's", &document.closed_accuracy_swapped),
        ("open questions exactly right", &document.open_exact),
        ("several pictures: right letter", &document.multi_image_accuracy),
        ("– on grey pictures", &document.multi_image_accuracy_blank),
        ("– on another patient's", &document.multi_image_accuracy_swapped),
        ("boxes with IoU of 0.5 or more", &document.grounding_acc_50),
        ("outlines from a box, Dice", &document.dice),
        ("outlines from a point, Dice", &document.dice_point),
        ("small findings, one look", &document.one_look_accuracy),
        ("small findings, two looks", &document.two_looks_accuracy),
        ("gain of the second look", &document.second_look_gain),
    ];
    let row = |(name, shown): (&str, &Shown)| {
        vec![
            name.to_owned(),
            percent(shown.value),
            format!("{} – {}", percent(shown.low), percent(shown.high)),
            shown.n.to_string(),
            percent(shown.chance),
            percent(shown.commonest),
        ]
    };
    PageTable {
        title: "What the built-in models do on phantoms that they never saw".to_owned(),
        note: "95 % intervals over pictures or patients; beside them guessing among the options, and always the commonest answer."
            .to_owned(),
        columns: ["", "%", "95 % interval", "n", "chance", "commonest"].map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(row).collect(),
    }
}

const STRICT: &[&dyn Profile] = &[&Strict];

/// One page over all runs, a few samples of each.
fn common_page(done: &[Done], table: PageTable, args: &Args, path: &Path) -> Result<()> {
    let loader = args.images.loader();
    let mut folders = Vec::new();
    for run in done.iter().filter(|d| d.job.probe.is_none()) {
        folders.push((run, RunFolder::open(&run.dir)?, open(&run.job, args)?));
    }
    let parts: Vec<(&str, Source<'_>)> = folders
        .iter()
        .map(|(run, folder, set)| {
            let source = Source {
                folder,
                summary: &run.summary,
                profiles: STRICT,
                dataset: Some(set.as_ref()),
                loader: &loader,
                most: SHOWN,
                most_bytes: score::PAGE_MB << 20,
            };
            (run.job.name, source)
        })
        .collect();
    page::write_parts("loupe on phantoms", vec![table], &parts, path)?;
    Ok(())
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    out.say(&format!("making {} phantom studies", args.studies));
    phantom::write(&args.output.join("data"), SEED, args.studies)?;
    let mut models =
        Models { words: args.model.load(None)?, outlines: load_segmenter(None, None, &args.model)? };
    let score_args = ScoreArgs::default();
    let mut done = Vec::new();
    for job in JOBS {
        done.push(one(job, &mut models, args, out, &score_args)?);
    }
    let [vqa, _, frames, boxes, by_box, by_point, once, twice, grey, swapped, frames_grey, frames_swapped] =
        done.as_slice()
    else {
        anyhow::bail!("the demonstration has {} runs", done.len());
    };
    let report = args.output.join("report.html");
    let document = Document {
        closed_accuracy: vqa.figure(CLOSED_BY_TYPE).beside(vqa.baselines.closed),
        open_exact: vqa.figure(OPEN_EXACT).beside(vqa.baselines.open),
        multi_image_accuracy: frames.figure(CHOICE).beside(frames.baselines.choice),
        grounding_acc_50: boxes.figure(ACCURACY),
        dice: by_box.figure(DICE),
        dice_point: by_point.figure(DICE),
        one_look_accuracy: once.figure(ACCURACY).beside(once.baselines.open),
        two_looks_accuracy: twice.figure(ACCURACY).beside(twice.baselines.open),
        second_look_gain: gain(&once.dir, &twice.dir)?,
        closed_accuracy_blank: grey.figure(CLOSED_BY_TYPE),
        closed_accuracy_swapped: swapped.figure(CLOSED_BY_TYPE),
        multi_image_accuracy_blank: frames_grey.figure(CHOICE),
        multi_image_accuracy_swapped: frames_swapped.figure(CHOICE),
        second_look_reused: page::reused_in_later_rounds(&twice.dir)?,
        reports: done.iter().map(|d| d.dir.join("report.html")).collect(),
        report,
    };
    let table = table(&document);
    common_page(&done, table.clone(), args, &document.report)?;
    if out.json {
        out.document(&document)?;
        return Ok(Ended::Well);
    }
    let line = |cells: &[String]| match cells {
        [name, value, interval, n, chance, commonest] => {
            format!("{name:32} {value:>6}  {interval:>15}  {n:>5}  {chance:>6}  {commonest:>9}")
                .trim_end()
                .to_owned()
        }
        _ => String::new(),
    };
    out.line(&line(&table.columns))?;
    for row in &table.rows {
        out.line(&line(row))?;
    }
    if let Some(reused) = document.second_look_reused {
        out.line(&format!("{:32} {:>6.1}", "second round: prompt not redone", reused.of_prompt * 100.0))?;
        out.line(&format!("{:32} {:>6.1}", "of the first round's tokens", reused.of_earlier_turns * 100.0))?;
    }
    out.line(&format!("report: {}", document.report.display()))?;
    Ok(Ended::Well)
}
