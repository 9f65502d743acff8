//! Reports on studies in batches: a worklist is a run, and what people open is made of its folder.

mod imported;
mod output;
mod recipe;
pub mod score;
mod worklist;

pub use output::{ReportFormat, ReportsSummary};
pub use worklist::{LeftOutFile, ListedImage, ListedStudy, Listing, WorklistKind, WorklistOptions};

use crate::error::{AppError, InStep};
use crate::form::check_form;
use crate::listener::{Listener, RunProgress};
use crate::open::{ImageOptions, ModelOptions};
use crate::pages::PageOptions;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use loupe_core::{GenerationLimits, MediaLoader, ModelInfo, Sampling, VisionLanguageModel};
use loupe_eval::reports::candidate_rule;
use loupe_run::report_prompt::{Candidates, Passes, ReportAnswerer, ReportTemplate, report_template};
use loupe_run::{Finished, Invocation, Plan, Progress, ReplyLine, Selection, Setting, Shard};
use recipe::RecipeLoader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use worklist::Worklist;

/// A batch of reports.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// The studies.
    pub worklist: WorklistOptions,
    /// Folder of the run; `runs/reports-WORKLIST-MODEL` when not given.
    pub output: Option<PathBuf>,
    /// Name of a report template, or a file; when not given, [`ReportOptions::default_template`].
    pub template: Option<String>,
    /// Reports written on each study, of which one is kept; from 1 to [`loupe_run::report_prompt::MOST_CANDIDATES`].
    pub candidates: usize,
    /// Name of the rule by which it is kept.
    pub choose: String,
    /// Which studies.
    pub selection: Selection,
    /// On resume, ask the studies again that failed for a reason that may have passed.
    pub retry_failed: bool,
    /// On resume, ask studies too that were added behind those that were there.
    pub extend: bool,
    /// Only this part of the batch; reports are written once all are merged.
    pub shard: Option<Shard>,
    /// Bounds of each reply.
    pub limits: GenerationLimits,
    /// The model.
    pub model: ModelOptions,
    /// How images are read.
    pub images: ImageOptions,
    /// What is written beside the records.
    pub formats: Vec<ReportFormat>,
    /// Write DICOM reports for the patient and study of their images, whose header they repeat.
    pub identified: bool,
    /// The page.
    pub page: Option<PageOptions>,
    /// Who asks, for the record.
    pub invocation: Invocation,
}

impl ReportOptions {
    /// The template that is taken when none is named: `loupe`, or the one that asks the built-in model what it was taught to answer.
    pub fn default_template(&self) -> &'static str {
        if self.model.folder.is_none() { BUILT_IN } else { "loupe" }
    }

    /// How one of several reports is kept, where several are written.
    fn several(&self) -> Result<Option<Candidates>, AppError> {
        let rule = candidate_rule(&self.choose).map_err(AppError::input)?;
        let several = Candidates::new(self.candidates, rule).map_err(AppError::input)?;
        if self.candidates == 1 {
            return Ok(None);
        }
        if self.limits.sampling == Sampling::Greedy {
            return Err(AppError::input(
                "several candidates at temperature 0 are one and the same report; give --temperature above 0",
            ));
        }
        Ok(Some(several))
    }

    fn report_template(&self) -> Result<ReportTemplate, AppError> {
        template(self.template.as_deref().unwrap_or_else(|| self.default_template()))
    }
}

/// What came of a batch.
#[derive(Debug, Clone)]
pub struct ReportsDone {
    /// Its folder.
    pub dir: PathBuf,
    /// How it ended.
    pub finished: Finished,
    /// What was written; nothing where the batch was stopped, or is a shard.
    pub summary: Option<ReportsSummary>,
}

/// A template by its name, or from a file.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn template(name: &str) -> Result<ReportTemplate, AppError> {
    let path = Path::new(name);
    if !path.is_file() {
        return report_template(name).map_err(AppError::input);
    }
    let text = read_text_at_most(path, SETTINGS_BYTES)
        .step(|| format!("the report template {name} could not be read"))?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    ReportTemplate::new(&stem, "a file of the user's", &text).map_err(AppError::input)
}

/// What would be asked, before anything runs.
///
/// # Errors
/// When the worklist or the template cannot be read.
pub fn list(options: &ReportOptions) -> Result<Listing, AppError> {
    let template = options.report_template()?;
    options.several()?;
    Ok(options.worklist.open(&options.images)?.listing(&template, &options.selection))
}

/// Writes the reports, or goes on with them. The worklist and the template are checked before any weights are read.
///
/// # Errors
/// When the worklist, the template or the model cannot be opened, or the folder cannot be written or holds another run. What goes
/// wrong with one study is on record as that study.
pub fn run(options: &ReportOptions, listener: &dyn Listener) -> Result<ReportsDone, AppError> {
    let template = options.report_template()?;
    options.several()?;
    check_form(&options.limits, &options.model, false)?;
    if options.limits.form.is_some() && !matches!(template.passes(), Passes::Report | Passes::Findings) {
        return Err(AppError::input(
            "this template asks more than once, and not every reply is the report; leave --schema and --grammar out, or describe the report in a block `schema`",
        ));
    }
    let worklist = options.worklist.open(&options.images)?;
    let left_out = worklist.left_out.len();
    if left_out > 0 {
        listener.say(&format!(
            "{left_out} files are no image to report on (skipped.jsonl, or --list, has their reasons)"
        ));
    }
    listener.begin(0);
    listener.note("loading the model");
    let model = options.model.open();
    listener.end();
    run_with(options, &template, &worklist, model?.as_mut(), listener)
}

fn run_with(
    options: &ReportOptions,
    template: &ReportTemplate,
    worklist: &Worklist,
    model: &mut dyn VisionLanguageModel,
    listener: &dyn Listener,
) -> Result<ReportsDone, AppError> {
    let set = worklist.set.as_ref();
    let mut notes: Vec<String> = options.model.note(model.info(), set.root()).into_iter().collect();
    if options.model.folder.is_none() {
        notes.push(if template.name() == BUILT_IN { TAUGHT } else { NOT_TAUGHT }.to_owned());
    }
    model.info().notes().iter().chain(&notes).for_each(|note| listener.say(note));
    let name =
        |info: &ModelInfo| PathBuf::from("runs").join(format!("reports-{}-{}", set.info().name, info.name));
    let dir = options.output.clone().unwrap_or_else(|| name(model.info()));
    let mut plan = Plan::new(template.clone());
    plan.limits = options.limits.clone();
    plan.selection = options.selection.clone();
    plan.retry_failed = options.retry_failed;
    plan.extend = options.extend;
    plan.shard = options.shard;
    plan.hide_names = options.page.is_some_and(|page| page.hide_names);
    plan.picture_bytes = options.images.limits.max_memory_bytes / 4;
    plan.image_limits = Some(options.images.limits);
    plan.settings = settings(options);
    plan.notes = notes;
    plan.invocation = options.invocation.clone();
    let plain = options.images.loader();
    let recipe = options.worklist.recipe.as_ref().map(|recipe| RecipeLoader {
        of: options.images.loader(),
        recipe: recipe.clone(),
        images: options.images.clone(),
        last: Mutex::default(),
    });
    let loader: &dyn MediaLoader = match &recipe {
        Some(recipe) => recipe,
        None => &plain,
    };
    let mut answerer = ReportAnswerer::new(model, template.clone()).choosing(options.several()?);
    let mut progress = ReportProgress::new(listener);
    let finished = loupe_run::run(&dir, &plan, set, &mut answerer, loader, &mut progress);
    listener.may_be_stopped(false);
    listener.end();
    let finished = finished.step(|| format!("the reports in {} could not be written", dir.display()))?;
    if finished.stopped || options.shard.is_some() {
        return Ok(ReportsDone { dir, finished, summary: None });
    }
    let written = output::Written {
        dir: &dir,
        formats: &options.formats,
        identified: options.identified,
        page: options.page,
        worklist: Some(worklist),
        loader,
    };
    let summary = Some(output::write_reports(&written)?);
    Ok(ReportsDone { dir, finished, summary })
}

/// The template whose questions the built-in model was taught to answer.
const BUILT_IN: &str = "phantom";
/// Said wherever the built-in model writes reports.
const TAUGHT: &str = "the built-in model answers questions, of which the template `phantom` makes the report; it was trained on synthetic studies \
     alone, and what it says about others means nothing";
/// Said where it is asked in other words.
const NOT_TAUGHT: &str = "the built-in model was not taught to write reports; it makes them by the template `phantom` alone, and by others what it \
     writes shows how a batch works and nothing else";

fn settings(options: &ReportOptions) -> BTreeMap<String, Setting> {
    let xform = format!("{:?}", options.images.xform).to_lowercase();
    let given = options.images.xform != ImageOptions::default().xform;
    let mut settings = BTreeMap::from([("xform".to_owned(), Setting { value: xform.into(), given })]);
    let recipe = options.worklist.recipe.clone();
    settings.extend(recipe.map(|name| ("recipe".to_owned(), Setting { value: name.into(), given: true })));
    settings
}

/// How a batch goes on: studies an hour and the time left, beside the bar on a terminal, otherwise in a line a minute.
struct ReportProgress<'a> {
    run: RunProgress<'a>,
    listener: &'a dyn Listener,
    total: usize,
    done: usize,
    here: usize,
    failed: usize,
    began: Instant,
    said: Instant,
}

const A_MINUTE: Duration = Duration::from_secs(60);

impl<'a> ReportProgress<'a> {
    fn new(listener: &'a dyn Listener) -> Self {
        let now = Instant::now();
        let run = RunProgress::new(listener);
        Self { run, listener, total: 0, done: 0, here: 0, failed: 0, began: now, said: now }
    }
}

impl Progress for ReportProgress<'_> {
    fn started(&mut self, total: usize, already: usize) {
        (self.total, self.done, self.began, self.said) = (total, already, Instant::now(), Instant::now());
        self.run.started(total, already);
    }

    fn recorded(&mut self, line: &ReplyLine) {
        self.run.recorded(line);
        self.done += 1;
        self.here += 1;
        self.failed += usize::from(line.prediction.text().is_none());
        let words = pace(self.done, self.total, self.here, self.failed, self.began.elapsed());
        self.listener.note(&words);
        if !self.listener.is_watched() && self.said.elapsed() >= A_MINUTE {
            self.said = Instant::now();
            self.listener.say(&format!("{} of {} studies, {words}", self.done, self.total));
        }
    }

    fn go_on(&mut self) -> bool {
        self.run.go_on()
    }
}

/// `380 studies/h, 1 h 33 min left, 2 failed`.
fn pace(done: usize, total: usize, here: usize, failed: usize, elapsed: Duration) -> String {
    let per_hour = here as f64 * 3600.0 / elapsed.as_secs_f64().max(1e-3);
    let left = (total.saturating_sub(done) as f64 * 60.0 / per_hour.max(1e-9)).ceil();
    let left = match left {
        minutes if minutes >= 60.0 => format!("{:.0} h {:.0} min", (minutes / 60.0).floor(), minutes % 60.0),
        minutes => format!("{minutes:.0} min"),
    };
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{per_hour:.0} studies/h, {left} left{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_this_call() {
        let words = pace(120, 500, 20, 0, Duration::from_secs(200));
        assert_eq!(words, "360 studies/h, 1 h 4 min left");
        assert_eq!(pace(500, 500, 20, 2, Duration::from_secs(200)), "360 studies/h, 0 min left, 2 failed");
    }
}
