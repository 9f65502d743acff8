//! `loupe eval --data SET=DIR --model DIR|URL`

use crate::args::image::ImageArgs;
use crate::args::limits::LimitArgs;
use crate::args::model::ModelArgs;
use crate::args::rethink::{RethinkArgs, sensible_count};
use crate::args::score::ScoreArgs;
use crate::args::shard::ShardArgs;
use crate::commands::score;
use crate::invocation::invocation;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::evaluate::{
    AnswerWay, Draw, EvaluateOptions, Evaluation, ExampleOptions, Finished, Probe, Selection, Shard,
    Simulated, TagValue, damaged_lines, evaluate,
};
use loupe_app::open::DataOptions;
use loupe_core::GenerationLimits;
use loupe_core::words::counted;
use serde_json::json;
use std::path::PathBuf;

/// Run a model on a dataset, score the replies and write a report.
///
/// Each reply is on the disk when it is done; the same command resumes a run that was stopped.
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

    /// Prompt template: the words around each question (see `loupe list prompts`).
    #[arg(long, default_value = "loupe")]
    prompt: String,

    /// A prompt template of your own in place of one by name: a minijinja file (see docs/guides/prompts.md).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "segment"])]
    template: Option<PathBuf>,

    /// Show N questions with their answers before each question, drawn by --seed from another split.
    #[arg(long, value_name = "N", conflicts_with_all = ["rethink", "segment"])]
    examples: Option<usize>,

    /// Split that examples are drawn from.
    #[arg(long, value_name = "SPLIT", default_value = "train", requires = "examples")]
    examples_from: String,

    /// Only the first N samples.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only the sample with this id; may be given several times.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,

    /// Only the samples with this tag, such as `organ=CHEST`; may be given several times: of each tag that is named, one of the
    /// values.
    #[arg(long = "where", value_name = "TAG=VALUE")]
    tags: Vec<TagValue>,

    /// Only N samples, drawn at random by --seed from those that fit; a larger N holds those of a smaller one.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,

    /// Replies per sample; with a temperature, reply k draws with seed + k.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = sensible_count)]
    rollouts: usize,

    /// Ask the same questions with altered pictures, to see how far the answers depend on them: `blank`
    /// (or `blank:LEVEL`), `swapped` (pictures of another group) or `shuffled` (or `shuffled:SIDE`,
    /// patches of SIDE pixels). `loupe compare RUN PROBE` has the difference. With `--segment` the
    /// prompts stay those of the true picture.
    #[arg(long, value_name = "PROBE")]
    probe: Option<Probe>,

    /// Most replies generated at a time; as many as the memory holds when not given. Changes speed and
    /// memory, not results.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// On resume, ask the samples once more that failed for a reason that may have passed, such as a
    /// missing file or too little memory.
    #[arg(long)]
    retry_failed: bool,

    /// On resume, also ask the rows that were added to the set since the run was begun, behind those that were
    /// there; the same goes for a larger --limit.
    #[arg(long)]
    extend: bool,

    #[command(flatten)]
    part: ShardArgs,

    /// Segment instead of answering: `--model` is a segmenter, and its prompts are made from the
    /// reference masks: `centre`, `inside` (a random place), `box` or `jittered-box`. Random ones follow
    /// `--seed`.
    #[arg(long, value_name = "PROMPT", value_parser = simulated, conflicts_with = "rethink")]
    segment: Option<Simulated>,

    /// How closed questions (yes or no, one of several choices) are answered: in `words`, or by `options`, whose
    /// probabilities are read from the model without writing a reply; the most probable one is the answer. Other questions
    /// are answered in words.
    #[arg(long, value_name = "HOW", value_parser = ["words", "options"], default_value = "words", conflicts_with_all = ["rethink", "segment"])]
    answer_by: String,

    #[command(flatten)]
    rethink: RethinkArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    score: ScoreArgs,

    #[command(flatten)]
    images: ImageArgs,
}

fn simulated(name: &str) -> Result<Simulated, String> {
    let known = || Simulated::ALL.map(|(name, _)| name).join(", ");
    Simulated::by_name(name).ok_or_else(|| format!("expected one of {}", known()))
}

impl Args {
    /// Is a model named?
    pub(crate) fn has_model(&self) -> bool {
        self.model.model.is_some()
    }

    /// How it is scored.
    pub(crate) fn score(&self) -> &ScoreArgs {
        &self.score
    }

    /// Is a part of a run asked for?
    pub(crate) fn has_shard(&self) -> bool {
        self.part.is_given()
    }

    /// As a plain option; `shard` for a part of the run.
    pub(crate) fn options(&self, shard: Option<Shard>) -> Result<EvaluateOptions> {
        let way = match (self.segment, self.rethink.options(self.limits.seed)) {
            (Some(prompt), _) => AnswerWay::Segment(prompt),
            (None, Some(rethink)) => AnswerWay::Rethink(rethink),
            (None, None) => AnswerWay::Direct,
        };
        let score = self.score.options()?;
        Ok(EvaluateOptions {
            data: DataOptions::parse(&self.data, self.split.as_deref())?,
            output: self.output.clone(),
            template: self.prompt.clone(),
            template_file: self.template.clone(),
            examples: self.examples.map(|n| ExampleOptions { n, split: self.examples_from.clone() }),
            selection: Selection {
                limit: self.limit,
                ids: self.ids.clone(),
                tags: self.tags.clone(),
                sample: self.sample.map(|n| Draw { n, seed: self.limits.seed }),
            },
            rollouts: self.rollouts,
            probe: self.probe,
            seed: self.limits.seed,
            retry_failed: self.retry_failed,
            extend: self.extend,
            shard,
            limits: GenerationLimits {
                options: (self.answer_by == "options").then(Vec::new),
                ..self.limits.limits()?
            },
            model: self.model.options(self.batch)?,
            way,
            images: self.images.options(),
            hide_names: score.page.is_some_and(|page| page.hide_names),
            score,
            invocation: invocation(),
        })
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let (shard, from) = args.part.shard()?;
    if let (Some(shard), Some(from)) = (shard, from) {
        out.say(&format!("shard {shard}, taken from {from}"));
    }
    let options = args.options(shard)?;
    out.heed_signals()?;
    let done = evaluate(&options, out)?;
    say(out, &done.finished);
    let Some(summary) = &done.summary else { return unscored(out, &done, shard) };
    score::print(out, summary, &done.dir, &args.score)?;
    score::say_failures(out, summary);
    if args.probe.is_some() {
        out.say(&format!(
            "beside the run without --probe: `loupe compare RUN {} --page probe.html`",
            done.dir.display()
        ));
    }
    Ok(score::ended(summary))
}

/// A run that was stopped, or is a part of one.
fn unscored(out: &mut Printer, done: &Evaluation, shard: Option<Shard>) -> Result<Ended> {
    let finished = &done.finished;
    let here = finished.already + finished.answered + finished.failed;
    let dir = done.dir.display();
    if out.json {
        out.document(&json!({
            "run": done.dir, "shard": shard.map(|s| s.to_string()), "replies": finished.total, "here": here,
            "failed": done.failures, "stopped": finished.stopped,
        }))?;
    }
    if finished.stopped {
        let all = counted(finished.total, "reply");
        out.say(&format!("stopped: {here} of {all} are in {dir}; the same command goes on"));
        return Ok(out.signal().map_or(Ended::WithFailures, Ended::Stopped));
    }
    if let Some(shard) = shard {
        let failed = match done.failures {
            0 => String::new(),
            n => format!(", {n} of them failed"),
        };
        out.say(&format!(
            "shard {shard} is done: {} in {dir}{failed}; `loupe merge` joins all shards and scores them",
            counted(finished.total, "reply")
        ));
    }
    Ok(Ended::well_if(done.failures == 0))
}

fn say(out: &Printer, finished: &Finished) {
    if finished.already > 0 {
        out.say(&format!("resumed: {} of {} replies were there already", finished.already, finished.total));
    }
    if let Some(words) = damaged_lines(&finished.damaged) {
        out.say(&format!("{words}; their samples were asked again"));
    }
    if finished.effort.replies > 0 {
        out.say(&finished.effort.to_string());
    }
}
