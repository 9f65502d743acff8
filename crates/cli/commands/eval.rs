//! `loupe eval --data SET=DIR --model DIR`

use crate::args::image::ImageArgs;
use crate::args::limits::LimitArgs;
use crate::args::model::ModelArgs;
use crate::args::rethink::{RethinkArgs, sensible_count};
use crate::args::score::ScoreArgs;
use crate::commands::score;
use crate::invocation::invocation;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::evaluate::{
    AnswerWay, EvaluateOptions, Finished, Probe, Selection, Simulated, damaged_lines, evaluate,
};
use loupe_app::open::DataOptions;
use loupe_core::GenerationLimits;
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

    /// Only the first N samples.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only the sample with this id; may be given several times.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,

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
    fn options(&self) -> Result<EvaluateOptions> {
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
            selection: Selection { limit: self.limit, ids: self.ids.clone() },
            rollouts: self.rollouts,
            probe: self.probe,
            seed: self.limits.seed,
            retry_failed: self.retry_failed,
            extend: self.extend,
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
    let options = args.options()?;
    let done = evaluate(&options, out)?;
    say(out, &done.finished);
    score::print(out, &done.summary, &done.dir, &args.score)?;
    score::say_failures(out, &done.summary);
    Ok(score::ended(&done.summary))
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
