//! `loupe eval --data SET=DIR --model DIR`

use super::ask::LimitArgs;
use super::score::{self, ScoreArgs};
use crate::Ended;
use crate::outliner::SegmenterAnswerer;
use crate::pick::{ImageArgs, ModelArgs, load_segmenter};
use crate::printer::Printer;
use crate::second_look::{LookArgs, RethinkAnswerer};
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use loupe_core::sample::Outcome;
use loupe_core::{Dataset, MediaLoader, ModelInfo, Segmenter, VisionLanguageModel};
use loupe_eval::run::{
    Answerer, Direct, Finished, Plan, Progress, ReplyLine, Selection, Setting, run as run_plan,
};
use loupe_run::probes::{Probe, ProbedLoader, ProbedSet};
use loupe_run::simulated::Simulated;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Run a model on a dataset, score the replies and write a report.
///
/// The run folder fills up reply by reply; the same command resumes a run that was stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dataset and where it lies, such as `vqa-rad=DIR` (see `loupe list datasets`).
    #[arg(long, value_name = "SET=DIR")]
    data: String,

    /// Split, such as `test` or `test:en`; the set's default when not given.
    #[arg(long)]
    split: Option<String>,

    /// Folder of the run; `runs/SET-SPLIT-MODEL` when not given.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Prompt recipe (see `loupe list prompts`).
    #[arg(long, default_value = "loupe")]
    prompt: String,

    /// Only the first N samples.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only the sample with this id; may be given several times.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,

    /// Replies per sample; with a temperature, reply k draws with seed + k.
    #[arg(long, value_name = "K", default_value_t = 1)]
    rollouts: usize,

    /// Ask with other pictures, to see what the answers owe to them: `blank` (or `blank:LEVEL`),
    /// `swapped` (those of another group) or `shuffled` (or `shuffled:SIDE`, patches in pixels).
    /// `loupe compare RUN PROBE` tells. With `--segment` the prompts stay those of the true picture.
    #[arg(long, value_name = "PROBE")]
    probe: Option<Probe>,

    /// Prompts handed to the model at once; changes speed and memory, not results.
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,

    /// On resume, ask the samples that failed once more.
    #[arg(long)]
    retry_failed: bool,

    /// Let the checkpoint of `--model` segment, prompted from the reference masks: `centre`,
    /// `inside` (a random place), `box` or `jittered-box`; random ones follow `--seed`.
    #[arg(long, value_name = "PROMPT", value_parser = prompt, conflicts_with = "rethink")]
    segment: Option<Simulated>,

    #[command(flatten)]
    look: LookArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    score: ScoreArgs,

    #[command(flatten)]
    images: ImageArgs,
}

fn prompt(name: &str) -> Result<Simulated, String> {
    let known = || Simulated::ALL.map(|(name, _)| name).join(", ");
    Simulated::by_name(name).ok_or_else(|| format!("expected one of {}", known()))
}

/// What answers: a model of words or one of outlines.
enum Model {
    Words(Box<dyn VisionLanguageModel>),
    Outlines(Box<dyn Segmenter>, Simulated),
}

impl Model {
    fn info(&self) -> &ModelInfo {
        match self {
            Self::Words(model) => model.info(),
            Self::Outlines(segmenter, _) => segmenter.info(),
        }
    }
}

/// Splits `SET=DIR` and opens the set.
pub(crate) fn open_data(data: &str, split: Option<&str>) -> Result<Box<dyn Dataset>> {
    let Some((name, path)) = data.split_once('=') else {
        bail!("--data takes SET=DIR, such as vqa-rad=DIR; `loupe list datasets` names the sets");
    };
    loupe_datasets::open(name, Path::new(path), split).with_context(|| format!("{name} could not be opened"))
}

/// Shows how a run goes on.
struct Bar {
    bar: ProgressBar,
    failed: u64,
}

impl Progress for Bar {
    fn started(&mut self, total: usize, already: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(already as u64);
        self.bar.reset_eta();
    }

    fn recorded(&mut self, line: &ReplyLine) {
        self.bar.inc(1);
        if matches!(line.prediction.outcome, Outcome::Failed { .. }) {
            self.failed += 1;
            self.bar.set_message(format!("{} failed", self.failed));
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let recipe = loupe_run::templates::by_name(&args.prompt)?;
    let profiles = args.score.profiles()?;
    args.score.check()?;
    let set = open_data(&args.data, args.split.as_deref())?;
    let probed;
    let dataset: &dyn Dataset = match args.probe {
        Some(probe) => {
            probed = ProbedSet::new(set.as_ref(), probe, args.limits.seed);
            &probed
        }
        None => set.as_ref(),
    };
    let look = args.look.load(&args.model, args.limits.seed)?;
    let mut model = match args.segment {
        None => Model::Words(args.model.load(None)?),
        Some(prompt) => {
            Model::Outlines(load_segmenter(args.model.model.as_ref(), None, &args.model)?, prompt)
        }
    };
    let info = dataset.info().clone();
    let dir = args.output.clone().unwrap_or_else(|| {
        let split = info.split.replace(':', "-");
        let probe = args.probe.map_or_else(String::new, |p| format!("-{}", p.name()));
        PathBuf::from("runs").join(format!("{}-{split}-{}{probe}", info.name, model.info().name))
    });
    let mut plan = Plan::new(recipe);
    plan.limits = args.limits.limits()?;
    plan.selection = Selection { limit: args.limit, ids: args.ids.clone() };
    plan.rollouts = args.rollouts;
    plan.batch = args.batch;
    plan.retry_failed = args.retry_failed;
    plan.settings = BTreeMap::from([(
        "resample".to_owned(),
        Setting { value: model.info().resample.clone().into(), given: args.model.resample.is_some() },
    )]);
    if let Some(probe) = args.probe {
        let value = format!("{} seed {}", probe.name(), args.limits.seed).into();
        plan.settings.insert("probe".to_owned(), Setting { value, given: true });
    }
    let plain = args.images.loader();
    let probed_loader;
    let loader: &dyn MediaLoader = match args.probe {
        Some(probe) => {
            probed_loader = ProbedLoader { of: &plain, probe, seed: args.limits.seed };
            &probed_loader
        }
        None => &plain,
    };
    let mut bar = Bar { bar: out.bar(dataset.len() as u64), failed: 0 };
    let masks = args.images.loader();
    let (mut direct, mut second_look, mut outliner);
    let answerer: &mut dyn Answerer = match (&mut model, look) {
        (Model::Outlines(segmenter, prompt), _) => {
            outliner = SegmenterAnswerer {
                segmenter: segmenter.as_mut(),
                prompt: *prompt,
                seed: args.limits.seed,
                images: &plain,
                masks: &masks,
                probe: args.probe,
            };
            &mut outliner
        }
        (Model::Words(model), None) => {
            direct = Direct(model.as_mut());
            &mut direct
        }
        (Model::Words(model), Some(look)) => {
            second_look = RethinkAnswerer { look, model: model.as_mut(), loader };
            &mut second_look
        }
    };
    let finished = run_plan(&dir, &plan, dataset, answerer, loader, &mut bar)
        .with_context(|| format!("the run in {} could not be done", dir.display()))?;
    bar.bar.finish_and_clear();
    say(out, &finished);
    let summary = score::score_and_write(&dir, &profiles, Some(dataset), loader, &args.score, out)?;
    score::print(out, &summary, &dir)?;
    Ok(score::ended(&summary))
}

fn say(out: &Printer, finished: &Finished) {
    if finished.already > 0 {
        out.say(&format!("resumed: {} of {} replies were there already", finished.already, finished.total));
    }
    if finished.damaged > 0 {
        out.say(&format!(
            "{} damaged lines of replies.jsonl were passed over, their samples asked again",
            finished.damaged
        ));
    }
}
