//! Everything on phantoms: answers, boxes, masks, several pictures, a second look, reports, pages.

use crate::error::{AppError, InStep};
use crate::evaluate::{Probe, Respondent, RunTask, Simulated, run_and_score};
use crate::files;
use crate::listener::Listener;
use crate::open::{ImageOptions, ModelOptions};
use crate::pages::{self, PageOptions};
use crate::phantom;
use crate::reports::score::{ReportScoreOptions, TruthFigure};
use crate::reports::{self, ReportOptions, ReportsSummary, WorklistOptions};
use crate::rethink::RethinkSetup;
use crate::score::{ScoreOptions, Scorer};
use crate::study::build_study;
use loupe_core::{Dataset, GenerationLimits, Segmenter, Table, VisionLanguageModel};
use loupe_eval::ScoredRun;
use loupe_eval::baselines::{Baseline, Baselines};
use loupe_eval::compare::compare;
use loupe_eval::strict::{ACCURACY, CHOICE, CLOSED_BY_TYPE, DICE, OPEN_EXACT, Strict};
use loupe_eval::summary::{PrefixReuse, prefix_reuse};
use loupe_report::pages::run::{PagePart, page_of_parts};
use loupe_run::{Invocation, Plan, Selection};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Seed of the demonstration; never one that a model was trained on.
const SEED: u64 = 2026;
/// Samples of each run on the common page.
const SHOWN: usize = 24;
/// Cases of the reader study.
const READ: usize = 12;
/// Most studies that are reported on.
const REPORTED: usize = 24;
/// Most tokens of a reply.
const MAX_NEW_TOKENS: usize = 64;

/// How large the demonstration is and who takes part.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Where data, runs and reports go.
    pub output: PathBuf,
    /// Number of studies.
    pub studies: usize,
    /// The model that answers; the segmenter is the built-in one and runs as it does.
    pub model: ModelOptions,
    /// How images are read.
    pub images: ImageOptions,
}

/// A figure of the demonstration: shares from 0 to 1, 95 % interval.
#[derive(Debug, Clone, Serialize)]
pub struct DemoFigure {
    /// The share, or a difference of shares.
    pub value: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end of its interval.
    pub high: Option<f64>,
    /// Number of items.
    pub n: u64,
    /// Guessing among the options, without a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// Always the commonest answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commonest: Option<f64>,
}

impl DemoFigure {
    fn beside(mut self, baseline: Baseline) -> Self {
        (self.chance, self.commonest) = (baseline.chance, baseline.commonest);
        self
    }
}

/// What came of the demonstration.
#[derive(Debug, Clone, Serialize)]
pub struct DemoDocument {
    /// Closed questions right.
    pub closed_accuracy: DemoFigure,
    /// Open questions exactly right.
    pub open_exact: DemoFigure,
    /// Right letter of questions over several pictures.
    pub multi_image_accuracy: DemoFigure,
    /// Boxes with an IoU of at least 0.5.
    pub grounding_acc_50: DemoFigure,
    /// Masks prompted with the tight box.
    pub dice: DemoFigure,
    /// Masks prompted with the pixel deepest inside.
    pub dice_point: DemoFigure,
    /// Small findings, asked once.
    pub one_look_accuracy: DemoFigure,
    /// The same with a second look.
    pub two_looks_accuracy: DemoFigure,
    /// What the second look brings, over the same items.
    #[serde(rename = "second_look_gain")]
    pub rethink_gain: DemoFigure,
    /// Closed questions on grey pictures.
    pub closed_accuracy_blank: DemoFigure,
    /// Closed questions on other patients' pictures.
    pub closed_accuracy_swapped: DemoFigure,
    /// Questions over several pictures on grey ones.
    pub multi_image_accuracy_blank: DemoFigure,
    /// Questions over several pictures on other patients'.
    pub multi_image_accuracy_swapped: DemoFigure,
    /// Tokens of the second round that were not computed again.
    #[serde(rename = "second_look_reused")]
    pub rethink_reused: Option<PrefixReuse>,
    /// A batch of reports.
    pub report_batch: DemoReports,
    /// The page with all of it.
    pub report: PathBuf,
    /// The page of each run.
    pub reports: Vec<PathBuf>,
    /// A page of a blinded reader study, with and without the boxes of the run over boxes.
    pub study: PathBuf,
}

/// A batch of reports on phantoms, and how much of the truth they tell.
#[derive(Debug, Clone, Serialize)]
pub struct DemoReports {
    /// How many were written, and what is to be looked at in them.
    pub summary: ReportsSummary,
    /// Findings, sides, sizes and changes against the truth.
    pub truth: Vec<TruthFigure>,
    /// Their page.
    pub page: PathBuf,
}

/// One of the demonstration's runs.
#[derive(Clone, Copy)]
struct DemoRun {
    name: &'static str,
    set: &'static str,
    /// Folder or file within the data.
    path: &'static str,
    way: DemoWay,
    probe: Option<Probe>,
}

#[derive(Clone, Copy)]
enum DemoWay {
    OneLook,
    TwoLooks,
    Segment(Simulated),
}

impl DemoRun {
    const fn of(name: &'static str, set: &'static str, path: &'static str) -> Self {
        Self { name, set, path, way: DemoWay::OneLook, probe: None }
    }
}

const VQA: DemoRun = DemoRun::of("vqa-rad", "vqa-rad", "vqa-rad");
const FRAMES: DemoRun = DemoRun::of("medframeqa", "medframeqa", "medframeqa");
const SMALL: DemoRun = DemoRun::of("one-look", "jsonl", "second-look/second-look.jsonl");
const MASKS: DemoRun = DemoRun::of("segment-box", "jsonl", "segmentation/segmentation.jsonl");
const GREY: Option<Probe> = Some(Probe::Blank { level: 90 });

const RUNS: [DemoRun; 12] = [
    VQA,
    DemoRun::of("slake", "slake", "slake"),
    FRAMES,
    DemoRun::of("grounding", "jsonl", "grounding/grounding.jsonl"),
    DemoRun { way: DemoWay::Segment(Simulated::Box), ..MASKS },
    DemoRun { name: "segment-point", way: DemoWay::Segment(Simulated::Centre), ..MASKS },
    SMALL,
    DemoRun { name: "two-looks", way: DemoWay::TwoLooks, ..SMALL },
    DemoRun { name: "vqa-rad-blank", probe: GREY, ..VQA },
    DemoRun { name: "vqa-rad-swapped", probe: Some(Probe::Swapped), ..VQA },
    DemoRun { name: "medframeqa-blank", probe: GREY, ..FRAMES },
    DemoRun { name: "medframeqa-swapped", probe: Some(Probe::Swapped), ..FRAMES },
];

/// A run that was made, with what its page needs.
struct DemoResult {
    run: DemoRun,
    dir: PathBuf,
    scored: ScoredRun,
}

impl DemoResult {
    fn baselines(&self) -> &Baselines {
        &self.scored.summary.baselines
    }

    fn figure(&self, name: &str) -> DemoFigure {
        let figure = self.scored.summary.figure("strict", name);
        DemoFigure {
            value: figure.and_then(|f| f.value),
            low: figure.and_then(|f| f.interval.as_ref()).map(|i| i.lo),
            high: figure.and_then(|f| f.interval.as_ref()).map(|i| i.hi),
            n: figure.map_or(0, |f| f.n),
            chance: None,
            commonest: None,
        }
    }
}

struct DemoModels {
    words: Box<dyn VisionLanguageModel>,
    masks: Box<dyn Segmenter>,
}

fn run_one(
    run: DemoRun,
    models: &mut DemoModels,
    options: &DemoOptions,
    scorer: &Scorer<'_>,
    listener: &dyn Listener,
) -> Result<DemoResult, AppError> {
    let set = open(&run, options)?;
    let dir = options.output.join("runs").join(run.name);
    listener.say(&format!("{}: {} questions", run.name, set.len()));
    let mut plan = Plan::new(loupe_run::templates::default_template());
    plan.limits = GenerationLimits { max_new_tokens: MAX_NEW_TOKENS, ..GenerationLimits::default() };
    let respondent = match run.way {
        DemoWay::OneLook => Respondent::Model(models.words.as_mut()),
        DemoWay::TwoLooks => Respondent::Rethink(models.words.as_mut(), RethinkSetup::plain("loupe")),
        DemoWay::Segment(prompt) => Respondent::Segmenter(models.masks.as_mut(), prompt),
    };
    let task = RunTask::new(&dir, plan, set.as_ref(), run.probe, SEED, &options.images);
    let (_, scored) = run_and_score(&task, respondent, scorer, listener)?;
    let scored = scored.ok_or_else(|| AppError::input("the demonstration was stopped"))?;
    Ok(DemoResult { run, dir, scored })
}

fn open(run: &DemoRun, options: &DemoOptions) -> Result<Box<dyn Dataset>, AppError> {
    Ok(loupe_datasets::open(run.set, &options.output.join("data").join(run.path), None)?)
}

fn gain(first: &Path, second: &Path) -> Result<DemoFigure, AppError> {
    let comparison =
        compare(first, second, &Strict).step(|| "one look and two looks could not be compared".to_owned())?;
    let accuracy = comparison.figures.iter().find(|f| f.name == ACCURACY);
    Ok(DemoFigure {
        value: accuracy.map(|f| f.difference),
        low: accuracy.and_then(|f| f.interval.as_ref()).map(|i| i.lo),
        high: accuracy.and_then(|f| f.interval.as_ref()).map(|i| i.hi),
        n: accuracy.map_or(0, |f| f.n as u64),
        chance: None,
        commonest: None,
    })
}

/// The figures as a table, for the terminal and the page.
pub fn table(document: &DemoDocument) -> Table {
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
        ("masks from a box, Dice", &document.dice),
        ("masks from a point, Dice", &document.dice_point),
        ("small findings, one look", &document.one_look_accuracy),
        ("small findings, two looks", &document.two_looks_accuracy),
        ("gain of the second look", &document.rethink_gain),
    ];
    let row = |(name, figure): (&str, &DemoFigure)| {
        vec![
            name.to_owned(),
            percent(figure.value),
            format!("{} – {}", percent(figure.low), percent(figure.high)),
            figure.n.to_string(),
            percent(figure.chance),
            percent(figure.commonest),
        ]
    };
    Table {
        title: "What the built-in models do on phantoms that they never saw".to_owned(),
        note: "95 % intervals over pictures or patients; beside them guessing among the options, and always the commonest answer."
            .to_owned(),
        columns: ["", "%", "95 % interval", "n", "chance", "commonest"].map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(row).collect(),
    }
}

/// The reports' part of the figures as a table, for the terminal and the page.
pub fn report_table(reports: &DemoReports) -> Table {
    let percent = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{:.1}", v * 100.0));
    let row = |figure: &TruthFigure| {
        let counts = figure.counts;
        let shares = [percent(figure.precision), percent(figure.recall)];
        let counts = [counts.right, counts.stated, counts.truth].map(|n| n.to_string());
        std::iter::once(figure.fact.name().to_owned()).chain(shares).chain(counts).collect()
    };
    Table {
        title: "What the reports of the built-in model tell of the truth".to_owned(),
        note: format!("{}. A size is right within a quarter of it, or 2 mm.", reports.summary.line()),
        columns: ["reports", "precision", "recall", "right", "stated", "true"].map(str::to_owned).to_vec(),
        rows: reports.truth.iter().map(row).collect(),
    }
}

/// Writes reports on a few phantoms with earlier studies and compares them with the truth.
fn report_batch(options: &DemoOptions, listener: &dyn Listener) -> Result<DemoReports, AppError> {
    let studies = options.studies.min(REPORTED);
    listener.say(&format!("reports: {studies} studies"));
    let worklist = options.output.join("data/reports");
    phantom::write_worklist(&worklist, SEED, studies)?;
    let dir = options.output.join("runs/reports");
    let batch = ReportOptions {
        worklist: WorklistOptions { input: worklist.display().to_string(), images: None, recipe: None },
        output: Some(dir.clone()),
        template: None,
        candidates: 1,
        choose: "consensus".to_owned(),
        selection: Selection::default(),
        retry_failed: false,
        extend: false,
        shard: None,
        limits: GenerationLimits::default(),
        model: options.model.clone(),
        images: options.images.clone(),
        formats: Vec::new(),
        identified: false,
        page: Some(PageOptions::default()),
        invocation: Invocation::default(),
    };
    let summary = reports::run(&batch, listener)?.summary;
    let summary = summary.ok_or_else(|| AppError::input("the demonstration was stopped"))?;
    let scores = reports::score::score(&ReportScoreOptions::of(dir.clone()), listener)?;
    let truth = scores.runs.into_iter().next().map(|run| run.truth).unwrap_or_default();
    Ok(DemoReports { summary, truth, page: dir.join("report.html") })
}

/// One page over all runs, a few samples of each, beside their probes.
fn common_page(
    results: &[DemoResult],
    tables: Vec<Table>,
    options: &DemoOptions,
    path: &Path,
) -> Result<(), AppError> {
    let loader = options.images.loader();
    let probes_of = |run: &DemoRun| -> Vec<(&str, &ScoredRun)> {
        let same = |other: &DemoRun| other.probe.is_some() && (other.set, other.path) == (run.set, run.path);
        results.iter().filter(|r| same(&r.run)).map(|r| (r.run.name, &r.scored)).collect()
    };
    let mut sets = Vec::new();
    for result in results.iter().filter(|r| r.run.probe.is_none()) {
        sets.push((result, open(&result.run, options)?, probes_of(&result.run)));
    }
    let parts = sets.iter().map(|(result, set, probes)| PagePart {
        name: result.run.name,
        run: &result.scored,
        pictures: pages::pictures(Some(set.as_ref()), &loader),
        probes,
    });
    let parts: Vec<PagePart<'_>> = parts.collect();
    let windows = pages::windows();
    let bounds = pages::bounds(&PageOptions { samples: SHOWN, ..PageOptions::default() }, &windows);
    page_of_parts("loupe on phantoms", tables, &parts, &bounds)?.save(path)?;
    Ok(())
}

/// A blinded reader study of a few phantoms with and without the boxes of a run: the page of its reader.
fn reader_study(
    output: &Path,
    run: &Path,
    images: &ImageOptions,
    listener: &dyn Listener,
) -> Result<PathBuf, AppError> {
    let dir = output.join("study");
    std::fs::create_dir_all(&dir)?;
    let name = run.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let design = format!(
        "[study]\ntitle = \"Findings on phantoms, with and without marks\"\nseed = {SEED}\nsessions = 1\n\
         instructions = \"Draw a box around what is asked for, and say how sure you are. Some cases come with marks.\"\n\n\
         [cases]\nrun = \"../runs/{name}\"\nlimit = {READ}\nshow_question = true\n\n\
         [[arm]]\nname = \"unaided\"\n\n[[arm]]\nname = \"aided\"\nrun = \"../runs/{name}\"\nshow = [\"marks\"]\n\n\
         [[reader]]\ncode = \"reader\"\n\n[[question]]\npack = \"localisation\"\n"
    );
    let file = dir.join("study.toml");
    files::write(&file, design.as_bytes())?;
    let made = build_study(&file, &dir, images, listener)?;
    made.left_out.iter().for_each(|words| listener.say(words));
    Ok(dir.join("reader/study.html"))
}

/// Makes synthetic studies that the built-in models have never seen, asks about them, scores the replies and writes
/// report pages.
///
/// # Errors
/// When the folder cannot be written or the model cannot be loaded.
pub fn demo(options: &DemoOptions, listener: &dyn Listener) -> Result<DemoDocument, AppError> {
    listener.say(&format!("making {} phantom studies", options.studies));
    phantom::write(&options.output.join("data"), SEED, options.studies)?;
    let mut models =
        DemoModels { words: options.model.open()?, masks: options.model.of(None).open_segmenter(None)? };
    let score = ScoreOptions::default();
    let scorer = score.scorer()?;
    let mut results = Vec::new();
    for run in RUNS {
        results.push(run_one(run, &mut models, options, &scorer, listener)?);
    }
    let [vqa, _, frames, boxes, by_box, by_point, once, twice, grey, swapped, frames_grey, frames_swapped] =
        results.as_slice()
    else {
        return Err(AppError::input(format!("the demonstration has {} runs", results.len())));
    };
    let document = DemoDocument {
        closed_accuracy: vqa.figure(CLOSED_BY_TYPE).beside(vqa.baselines().closed),
        open_exact: vqa.figure(OPEN_EXACT).beside(vqa.baselines().open),
        multi_image_accuracy: frames.figure(CHOICE).beside(frames.baselines().choice),
        grounding_acc_50: boxes.figure(ACCURACY),
        dice: by_box.figure(DICE),
        dice_point: by_point.figure(DICE),
        one_look_accuracy: once.figure(ACCURACY).beside(once.baselines().open),
        two_looks_accuracy: twice.figure(ACCURACY).beside(twice.baselines().open),
        rethink_gain: gain(&once.dir, &twice.dir)?,
        closed_accuracy_blank: grey.figure(CLOSED_BY_TYPE),
        closed_accuracy_swapped: swapped.figure(CLOSED_BY_TYPE),
        multi_image_accuracy_blank: frames_grey.figure(CHOICE),
        multi_image_accuracy_swapped: frames_swapped.figure(CHOICE),
        rethink_reused: prefix_reuse(&twice.scored.folder)?,
        report_batch: report_batch(options, listener)?,
        reports: results.iter().map(|s| s.dir.join("report.html")).collect(),
        report: options.output.join("report.html"),
        study: reader_study(&options.output, &boxes.dir, &options.images, listener)?,
    };
    let tables = vec![table(&document), report_table(&document.report_batch)];
    common_page(&results, tables, options, &document.report)?;
    Ok(document)
}
