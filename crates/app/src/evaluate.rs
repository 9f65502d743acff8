//! A run over a dataset: answered, recorded reply by reply, scored, with its page.

use crate::error::{AppError, InStep};
use crate::form::check_form;
use crate::listener::{Listener, RunProgress};
use crate::open::{DataOptions, ImageOptions, ModelOptions, SeriesOptions};
use crate::rethink::{RESAMPLER, RethinkOptions, RethinkSetup};
use crate::score::{ScoreOptions, Scorer};
use crate::segment::{LastMask, SegmenterAnswerer};
use loupe_core::files::read_text_at_most;
use loupe_core::{
    Answerer, Dataset, Direct, GenerationLimits, MediaLoader, ModelInfo, Segmenter, Target,
    VisionLanguageModel,
};
use loupe_eval::{ScoredRun, Summary};
use loupe_run::probes::{ProbeSetting, ProbedLoader, ProbedSet};
use loupe_run::templates::PromptTemplate;
use loupe_run::{Examples, Plan, RunFolder, Setting, selected};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use loupe_run::probes::Probe;
pub use loupe_run::simulated::Simulated;
pub use loupe_run::{Draw, Finished, Invocation, Selection, Shard, TagValue, damaged_lines, scheduled_shard};

/// Most bytes of a file with a prompt template.
const TEMPLATE_BYTES: u64 = 1 << 20;

/// What answers the samples, by what names it.
#[derive(Debug, Clone, Default)]
pub enum AnswerWay {
    /// The model, once.
    #[default]
    Direct,
    /// The model with a second look.
    Rethink(RethinkOptions),
    /// A segmenter, prompted from the reference masks.
    Segment(Simulated),
}

/// A run over a dataset and how it is scored.
#[derive(Debug, Clone)]
pub struct EvaluateOptions {
    /// The set.
    pub data: DataOptions,
    /// Folder of the run; `runs/SET-SPLIT-MODEL` when not given.
    pub output: Option<PathBuf>,
    /// Name of the prompt template.
    pub template: String,
    /// A template from a file in its place.
    pub template_file: Option<PathBuf>,
    /// Questions of another split with their answers, shown before each question.
    pub examples: Option<ExampleOptions>,
    /// Which samples.
    pub selection: Selection,
    /// Replies per sample.
    pub rollouts: usize,
    /// Other pictures in place of the true ones.
    pub probe: Option<Probe>,
    /// Seed of probes, random prompts and strategies.
    pub seed: u64,
    /// On resume, ask the samples again that failed for a reason that may have passed.
    pub retry_failed: bool,
    /// Keep names of files and folders out of the run folder and its page.
    pub hide_names: bool,
    /// On resume, ask rows too that were added to the set behind those that were there.
    pub extend: bool,
    /// Only this part of the run; it is scored once all are merged.
    pub shard: Option<Shard>,
    /// Bounds of each reply.
    pub limits: GenerationLimits,
    /// The model.
    pub model: ModelOptions,
    /// What it does with a sample.
    pub way: AnswerWay,
    /// How images are read.
    pub images: ImageOptions,
    /// How replies are scored.
    pub score: ScoreOptions,
    /// Who asks, for the record.
    pub invocation: Invocation,
}

/// Examples before each question, drawn by the seed of the evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleOptions {
    /// How many.
    pub n: usize,
    /// Split of the same set from which they are drawn.
    pub split: String,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Its folder.
    pub dir: PathBuf,
    /// How it ended.
    pub finished: Finished,
    /// Its figures; none where the run was stopped, or is a shard.
    pub summary: Option<Summary>,
    /// Items of the whole folder that have no reply but a failure.
    pub failures: usize,
}

/// Runs, or resumes, and scores. Names are checked before any weights are read.
///
/// # Errors
/// When a name is unknown, the set or the model cannot be opened, or the folder cannot be written or holds another
/// run. What goes wrong with one sample is on record as that sample.
pub fn evaluate(options: &EvaluateOptions, listener: &dyn Listener) -> Result<Evaluation, AppError> {
    let checked = options.checked()?;
    listener.begin(0);
    listener.note("loading the model");
    let opened = OpenRespondent::open(options);
    listener.end();
    evaluated(options, &checked, &mut opened?, listener)
}

/// The same with a model that is loaded already.
pub(crate) fn evaluate_by(
    options: &EvaluateOptions,
    model: &mut OpenRespondent,
    listener: &dyn Listener,
) -> Result<Evaluation, AppError> {
    evaluated(options, &options.checked()?, model, listener)
}

/// What an evaluation needs beside a model.
struct Checked {
    template: PromptTemplate,
    set: Box<dyn Dataset>,
    /// The split that examples are drawn from.
    examples_from: Option<Box<dyn Dataset>>,
}

fn evaluated(
    options: &EvaluateOptions,
    checked: &Checked,
    model: &mut OpenRespondent,
    listener: &dyn Listener,
) -> Result<Evaluation, AppError> {
    let scorer = options.score.scorer()?;
    let respondent = model.respondent();
    let plan = options.plan(checked)?;
    let set = checked.set.as_ref();
    let dir = folder(options, set, respondent.info());
    let task = task(options, plan, &dir, set, respondent.info(), listener);
    let (finished, run) = run_and_score(&task, respondent, &scorer, listener)?;
    let failures = RunFolder::open_any(&dir)?.failures()?;
    Ok(Evaluation { dir, finished, summary: run.map(|run| run.summary), failures })
}

/// Runs, or resumes, with this model and does not score; the folder of the run, and how it ended.
///
/// # Errors
/// As [`evaluate`].
#[cfg(feature = "remote")]
pub(crate) fn answer(
    options: &EvaluateOptions,
    model: &mut dyn VisionLanguageModel,
    listener: &dyn Listener,
) -> Result<(PathBuf, Finished), AppError> {
    let checked = options.checked()?;
    let plan = options.plan(&checked)?;
    let set = checked.set.as_ref();
    let dir = folder(options, set, model.info());
    let task = task(options, plan, &dir, set, model.info(), listener);
    let finished = task.seen(|set, loader| run(&task, Respondent::Model(model), set, loader, listener))?;
    Ok((dir, finished))
}

/// Scores the run in `dir`.
///
/// # Errors
/// As [`evaluate`].
#[cfg(feature = "remote")]
pub(crate) fn score(
    options: &EvaluateOptions,
    dir: &Path,
    listener: &dyn Listener,
) -> Result<Summary, AppError> {
    let (set, scorer) = (options.data.open()?, options.score.scorer()?);
    Ok(scorer.score(dir, Some(set.as_ref()), &options.images.loader(), listener)?.summary)
}

/// Where the run goes.
fn folder(options: &EvaluateOptions, set: &dyn Dataset, model: &ModelInfo) -> PathBuf {
    let info = set.info();
    options.output.clone().unwrap_or_else(|| {
        let split = info.split.replace(':', "-");
        let probe = options.probe.map_or_else(String::new, |p| format!("-{}", p.name()));
        let shard = options.shard.map_or_else(String::new, |s| format!(".{}-of-{}", s.index, s.count));
        PathBuf::from("runs").join(format!("{}-{split}-{}{probe}{shard}", info.name, model.name))
    })
}

/// The run that `options` describe, answered by this model; the plan says how samples become prompts.
fn task<'a>(
    options: &'a EvaluateOptions,
    mut plan: Plan,
    dir: &'a Path,
    set: &'a dyn Dataset,
    model: &ModelInfo,
    listener: &dyn Listener,
) -> RunTask<'a> {
    let notes: Vec<String> = options.model.note(model, set.root()).into_iter().collect();
    model.notes().iter().chain(&notes).for_each(|note| listener.say(note));
    plan.limits = options.limits.clone();
    plan.selection = options.selection.clone();
    plan.rollouts = options.rollouts;
    plan.retry_failed = options.retry_failed;
    // What waits for the model takes no more than a part of what reading it may take.
    plan.picture_bytes = options.images.limits.max_memory_bytes / 4;
    plan.hide_names = options.hide_names;
    plan.extend = options.extend;
    plan.shard = options.shard;
    plan.settings = settings(options, model);
    plan.image_limits = Some(options.images.limits);
    plan.notes = notes;
    plan.invocation = options.invocation.clone();
    RunTask::new(dir, plan, set, options.probe, options.seed, &options.images)
}

impl EvaluateOptions {
    /// Finds everything that can be found without a model: names, files, the samples.
    ///
    /// # Errors
    /// When something is not there or does not go together.
    pub fn check(&self) -> Result<(), AppError> {
        self.checked().map(drop)
    }

    fn checked(&self) -> Result<Checked, AppError> {
        check_form(&self.limits, &self.model, matches!(self.way, AnswerWay::Rethink(_)))?;
        let template = self.template()?;
        self.score.scorer()?;
        let set = self.data.open()?;
        if let AnswerWay::Segment(_) = self.way {
            need_masks(set.as_ref())?;
        }
        if !self.hide_names {
            selected(set.as_ref(), &self.selection)?;
        }
        let examples_from = self.examples_from(set.as_ref())?;
        Ok(Checked { template, set, examples_from })
    }

    fn template(&self) -> Result<PromptTemplate, AppError> {
        let Some(path) = &self.template_file else {
            return Ok(loupe_run::templates::by_name(&self.template)?);
        };
        let text = read_text_at_most(path, TEMPLATE_BYTES)
            .step(|| format!("the prompt template {} could not be read", path.display()))?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        PromptTemplate::own(&name, &text).map_err(|why| AppError::input(format!("{}: {why}", path.display())))
    }

    /// A plan with its prompts.
    fn plan(&self, checked: &Checked) -> Result<Plan, AppError> {
        Ok(Plan { examples: self.draw_examples(checked)?, ..Plan::new(checked.template.clone()) })
    }

    /// Examples about none of the pictures or patients that are asked about.
    fn draw_examples(&self, checked: &Checked) -> Result<Examples, AppError> {
        let Checked { set, examples_from: Some(from), .. } = checked else { return Ok(Examples::default()) };
        let n = self.examples.as_ref().map_or(0, |options| options.n);
        let asked = (0..set.len()).filter_map(|row| set.get(row).ok()).map(|sample| sample.group).collect();
        Ok(Examples::draw(from.as_ref(), n, self.seed, &asked, &self.images.loader())?)
    }

    /// The split that examples are drawn from.
    fn examples_from(&self, set: &dyn Dataset) -> Result<Option<Box<dyn Dataset>>, AppError> {
        let Some(ExampleOptions { split, .. }) = &self.examples else { return Ok(None) };
        let from = DataOptions { split: Some(split.clone()), ..self.data.clone() }.open()?;
        if from.info().split == set.info().split {
            return Err(AppError::input(format!(
                "examples would be drawn from the split that is asked about, {split:?}; --examples-from names another one"
            )));
        }
        Ok(Some(from))
    }
}

/// Arguments that a run keeps on record beside those that its plan has a place for.
fn settings(options: &EvaluateOptions, model: &ModelInfo) -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::new();
    if let Some(checkpoint) = model.checkpoint() {
        let given = options.model.load.resample.is_some();
        settings.insert("resample".to_owned(), Setting { value: checkpoint.resample.clone().into(), given });
    }
    // How large a file may be is left out: a larger bound makes a reply of a failure and changes none.
    let ImageOptions { xform, series, .. } = &options.images;
    let given = |value: serde_json::Value, default: serde_json::Value| {
        let given = value != default;
        Setting { value, given }
    };
    let usual = ImageOptions::default();
    settings.insert("xform".to_owned(), given(words(xform), words(&usual.xform)));
    let rules = |s: &SeriesOptions| {
        serde_json::json!({
            "irregular": words(&s.irregular), "drop_duplicates": s.drop_duplicates, "deskew": s.deskew,
            "series": s.series,
        })
    };
    settings.insert("series".to_owned(), given(rules(series), rules(&usual.series)));
    if let Some(bytes) = options.model.server.picture_bytes {
        settings.insert("picture-bytes".to_owned(), Setting { value: bytes.into(), given: true });
    }
    if options.model.load.pan_and_scan {
        settings.insert("pan-and-scan".to_owned(), Setting { value: true.into(), given: true });
    }
    settings
}

/// A choice by its name.
fn words(choice: &impl std::fmt::Debug) -> serde_json::Value {
    format!("{choice:?}").to_lowercase().into()
}

/// Refuses a set in which nothing can prompt a segmenter, before a model is loaded.
fn need_masks(set: &dyn Dataset) -> Result<(), AppError> {
    let has_masks = |row| set.get(row).is_ok_and(|sample| matches!(sample.target, Target::Masks(_)));
    if (0..set.len()).any(has_masks) {
        return Ok(());
    }
    Err(AppError::input(format!(
        "--segment makes its prompts from reference masks, and {} ({}) has none; leave --segment out to ask its questions, or name a set of masks (`loupe list datasets`)",
        set.info().name,
        set.info().split
    )))
}

/// The loaded models behind a [`Respondent`].
pub(crate) enum OpenRespondent {
    Model(Box<dyn VisionLanguageModel>, Option<RethinkSetup>),
    Segmenter(Box<dyn Segmenter>, Simulated),
}

impl OpenRespondent {
    pub(crate) fn open(options: &EvaluateOptions) -> Result<Self, AppError> {
        let model = &options.model;
        Ok(match &options.way {
            AnswerWay::Direct => Self::Model(model.open()?, None),
            AnswerWay::Rethink(rethink) => {
                let setup = rethink.open(model)?;
                Self::Model(model.open()?, Some(setup))
            }
            AnswerWay::Segment(prompt) => Self::Segmenter(model.open_segmenter(None)?, *prompt),
        })
    }

    fn respondent(&mut self) -> Respondent<'_> {
        match self {
            Self::Model(model, setup) => match setup.take() {
                Some(setup) => Respondent::Rethink(model.as_mut(), setup),
                None => Respondent::Model(model.as_mut()),
            },
            Self::Segmenter(segmenter, prompt) => Respondent::Segmenter(segmenter.as_mut(), *prompt),
        }
    }
}

/// What answers the samples of a run.
pub enum Respondent<'a> {
    /// A model, once.
    Model(&'a mut dyn VisionLanguageModel),
    /// A model with a second look.
    Rethink(&'a mut dyn VisionLanguageModel, RethinkSetup),
    /// A segmenter, prompted from the reference masks.
    Segmenter(&'a mut dyn Segmenter, Simulated),
}

impl Respondent<'_> {
    fn info(&self) -> &ModelInfo {
        match self {
            Self::Model(model) | Self::Rethink(model, _) => model.info(),
            Self::Segmenter(segmenter, _) => segmenter.info(),
        }
    }
}

/// A run to make, or to go on with.
pub struct RunTask<'a> {
    /// Its folder.
    dir: &'a Path,
    /// What is asked, with the probe on record.
    plan: Plan,
    /// Of which set.
    set: &'a dyn Dataset,
    /// Other pictures in place of the true ones.
    probe: Option<Probe>,
    /// Seed of the probe and of random prompts.
    seed: u64,
    /// How images are read.
    images: &'a ImageOptions,
}

impl<'a> RunTask<'a> {
    /// What the plan asks, with the pictures of `set` or what `probe` makes of them.
    pub fn new(
        dir: &'a Path,
        mut plan: Plan,
        set: &'a dyn Dataset,
        probe: Option<Probe>,
        seed: u64,
        images: &'a ImageOptions,
    ) -> Self {
        if let Some(probe) = probe {
            let value = ProbeSetting { probe, seed }.to_string().into();
            plan.settings.insert(ProbeSetting::NAME.to_owned(), Setting { value, given: true });
        }
        Self { dir, plan, set, probe, seed, images }
    }

    /// Does something with the set and the loader as the model sees them, with a probe's other pictures.
    fn seen<T>(&self, work: impl FnOnce(&dyn Dataset, &dyn MediaLoader) -> T) -> T {
        let (plain, seed) = (self.images.loader(), self.seed);
        match self.probe {
            Some(probe) => {
                work(&ProbedSet::new(self.set, probe, seed), &ProbedLoader { of: &plain, probe, seed })
            }
            None => work(self.set, &plain),
        }
    }
}

/// Answers what the run has not answered yet, then scores it and writes its page: the one place where set, probe,
/// loader and answerer come together. A run that was stopped, and a part of one, is not scored.
///
/// # Errors
/// When the folder cannot be written, holds another run, or cannot be scored.
pub fn run_and_score(
    task: &RunTask<'_>,
    respondent: Respondent<'_>,
    scorer: &Scorer<'_>,
    listener: &dyn Listener,
) -> Result<(Finished, Option<ScoredRun>), AppError> {
    let finished = task.seen(|set, loader| run(task, respondent, set, loader, listener))?;
    if finished.stopped || task.plan.shard.is_some() {
        return Ok((finished, None));
    }
    // The page makes a probe's pictures itself, beside those of the set.
    let scored = scorer.score(task.dir, Some(task.set), &task.images.loader(), listener)?;
    Ok((finished, Some(scored)))
}

/// Answers what the run has not answered yet.
fn run(
    task: &RunTask<'_>,
    respondent: Respondent<'_>,
    set: &dyn Dataset,
    loader: &dyn MediaLoader,
    listener: &dyn Listener,
) -> Result<Finished, AppError> {
    let plain = task.images.loader();
    let (mut direct, mut rethink, mut segment);
    let answerer: &mut dyn Answerer = match respondent {
        Respondent::Model(model) => {
            direct = Direct(model);
            &mut direct
        }
        Respondent::Rethink(model, setup) => {
            rethink = loupe_rethink::RethinkAnswerer { setup, model, loader, resampler: RESAMPLER };
            &mut rethink
        }
        Respondent::Segmenter(segmenter, prompt) => {
            segment = SegmenterAnswerer {
                segmenter,
                prompt,
                seed: task.seed,
                loader: &plain,
                probe: task.probe,
                last_mask: LastMask::default(),
            };
            &mut segment
        }
    };
    let mut progress = RunProgress::new(listener);
    let finished = loupe_run::run(task.dir, &task.plan, set, answerer, loader, &mut progress);
    listener.may_be_stopped(false);
    // Also where it ended early, so that what is said about it does not stand behind a bar.
    listener.end();
    let finished = finished.step(|| format!("the run in {} could not be done", task.dir.display()))?;
    // What came after the last prompt was given out counts too.
    Ok(Finished { stopped: finished.stopped || !listener.go_on(), ..finished })
}
