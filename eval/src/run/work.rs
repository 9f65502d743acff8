//! The loop: pictures decoded ahead, prompts answered in batches, every reply on the disk at once.

use super::answer::{Answer, Answerer, Work};
use super::error::RunError;
use super::folder::{FORMAT, MadeBy, ReplyLine, ReplyLog, RunFolder, SampleLine, Seen};
use super::media::{Key, Pictures, keys};
use super::plan::Plan;
use loupe_core::ask::Sampling;
use loupe_core::sample::Outcome;
use loupe_core::{DataError, Dataset, Limits, MediaLoader, Prediction, Sample};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

/// Hears how a run goes on; `()` does not listen.
pub trait Progress {
    /// The run begins: so many replies in all, so many of them already there.
    fn started(&mut self, _total: usize, _already: usize) {}

    /// A reply or failure is on the disk.
    fn recorded(&mut self, _line: &ReplyLine) {}

    /// Asked before every batch; `false` ends the run early and cleanly.
    fn go_on(&mut self) -> bool {
        true
    }
}

impl Progress for () {}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// Replies that the complete run has.
    pub total: usize,
    /// Replies and failures that were there before.
    pub already: usize,
    /// Replies of this call.
    pub answered: usize,
    /// Items of this call without a reply; their reasons are in replies.jsonl.
    pub failed: usize,
    /// Rows that the dataset could not give.
    pub unreadable: usize,
    /// Damaged lines of replies.jsonl whose items were asked again.
    pub damaged: usize,
    /// Ended early because [`Progress::go_on`] said so.
    pub stopped: bool,
}

/// A reply to make: which item, and where its images stand in the order of work.
struct Unit {
    item: usize,
    row: usize,
    rollout: usize,
}

/// A unit with its sample and decoded pictures, or the reason why there are none.
struct Ready {
    unit: Unit,
    id: String,
    work: Result<Work, String>,
    seen: Vec<Seen>,
}

/// Runs `plan`, or resumes it where `dir` already holds the same run.
///
/// Items are asked in groups that share their images, so that each image is decoded once and the
/// model can reuse what it computed; results are recorded per item and scored in dataset order.
/// What goes wrong with one item is recorded with its reason and the run goes on.
///
/// # Errors
/// When the folder cannot be written (found out before the first question), holds another run, or
/// the selection is empty.
pub fn run(
    dir: &Path,
    plan: &Plan,
    dataset: &dyn Dataset,
    answerer: &mut dyn Answerer,
    loader: &dyn MediaLoader,
    progress: &mut dyn Progress,
) -> Result<Finished, RunError> {
    if plan.rollouts == 0 || plan.batch == 0 {
        let setting = if plan.batch == 0 { "batch" } else { "rollouts" };
        return Err(RunError::Setting { setting, problem: "must be at least 1".to_owned() });
    }
    let made_by = MadeBy {
        format: FORMAT,
        loupe: env!("CARGO_PKG_VERSION").to_owned(),
        dataset: dataset.info().clone(),
        selection: plan.selection.clone(),
        n: 0,
        samples_sha256: String::new(),
        model: answerer.model().clone(),
        strategy: answerer.strategy(),
        prompt: serde_json::to_value(plan.recipe).unwrap_or(Value::Null),
        limits: plan.limits.clone(),
        rollouts: plan.rollouts,
        settings: plan.settings.clone(),
    };
    let mut order = Order::default();
    let mut lines = select(dataset, plan)?.inspect(|line| order.add(line));
    let (folder, mut log) = RunFolder::create_or_resume(dir, made_by, &mut lines)?;
    drop(lines);

    let index = folder.index()?;
    let todo = order.units(plan.rollouts, |unit| index.done(unit, plan.retry_failed));
    log.probe((todo.len() * 1024).clamp(1 << 16, 16 << 20))?;
    let mut finished = Finished {
        total: folder.units() - order.unreadable * plan.rollouts,
        already: index.count(),
        unreadable: order.unreadable,
        damaged: index.damaged,
        ..Finished::default()
    };
    progress.started(finished.total, finished.already);
    std::thread::scope(|scope| {
        // Two batches ahead: one ready, one in the making.
        let (to, ready) = sync_channel::<Vec<Ready>>(1);
        scope.spawn(move || {
            let mut pictures = Pictures::default();
            let mut todo = todo.into_iter().peekable();
            while todo.peek().is_some() {
                let units: Vec<Unit> = todo.by_ref().take(plan.batch).collect();
                if to.send(prepare(units, plan, dataset, loader, &mut pictures)).is_err() {
                    return; // the run was ended
                }
            }
        });
        answer_all(ready, answerer, &mut log, progress, &mut finished)
    })?;
    Ok(finished)
}

/// The samples that take part, in dataset order; one at a time, as images may be in memory.
fn select<'a>(
    dataset: &'a dyn Dataset,
    plan: &'a Plan,
) -> Result<impl Iterator<Item = SampleLine> + 'a, RunError> {
    let wanted: BTreeSet<&str> = plan.selection.ids.iter().map(String::as_str).collect();
    if !wanted.is_empty() {
        let mut unknown = wanted.clone();
        for row in 0..dataset.len() {
            if let Ok(sample) = dataset.get(row) {
                unknown.remove(sample.id.as_str());
            }
        }
        if let Some(first) = unknown.first() {
            return Err(RunError::Empty(format!(
                "no sample has the id {first:?} ({} of the ids are unknown)",
                unknown.len()
            )));
        }
    }
    let all = (0..dataset.len()).map(|row| match dataset.get(row) {
        Ok(sample) => SampleLine { row, sample: Some(sample), error: None },
        Err(error) => SampleLine { row, sample: None, error: Some(error.to_string()) },
    });
    let chosen = all.filter(move |line| {
        wanted.is_empty() || line.sample.as_ref().is_some_and(|s| wanted.contains(s.id.as_str()))
    });
    Ok(chosen.take(plan.selection.limit.unwrap_or(usize::MAX)))
}

/// The order of work: samples that share their first image side by side, in order of first appearance.
#[derive(Default)]
struct Order {
    /// Per item: rank of the first image, rank of the whole sequence of images, row; `None` when unreadable.
    items: Vec<Option<(usize, usize, usize)>>,
    first: HashMap<Option<Key>, usize>,
    sequences: HashMap<Vec<Key>, usize>,
    unreadable: usize,
}

impl Order {
    fn add(&mut self, line: &SampleLine) {
        let Some(sample) = &line.sample else {
            self.unreadable += 1;
            self.items.push(None);
            return;
        };
        let keys = keys(sample);
        let ranks = (self.first.len(), self.sequences.len());
        let first = *self.first.entry(keys.first().copied()).or_insert(ranks.0);
        let sequence = *self.sequences.entry(keys).or_insert(ranks.1);
        self.items.push(Some((first, sequence, line.row)));
    }

    fn units(&self, rollouts: usize, done: impl Fn(usize) -> bool) -> Vec<Unit> {
        let ranked = self.items.iter().enumerate().filter_map(|(item, rank)| Some((rank.as_ref()?, item)));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|&(&(first, sequence, _), item)| (first, sequence, item));
        ranked
            .into_iter()
            .flat_map(|(&(_, _, row), item)| (0..rollouts).map(move |rollout| Unit { item, row, rollout }))
            .filter(|u| !done(u.item * rollouts + u.rollout))
            .collect()
    }
}

fn prepare(
    units: Vec<Unit>,
    plan: &Plan,
    dataset: &dyn Dataset,
    loader: &dyn MediaLoader,
    pictures: &mut Pictures,
) -> Vec<Ready> {
    let samples: Vec<Result<Sample, DataError>> = units.iter().map(|u| dataset.get(u.row)).collect();
    pictures.prepare(samples.iter().flatten(), loader, plan.decode_threads);
    let ready = |(unit, sample): (Unit, Result<Sample, DataError>)| {
        let sample = match sample {
            Ok(sample) => sample,
            Err(e) => {
                return Ready {
                    id: format!("row {}", unit.row),
                    unit,
                    work: Err(e.to_string()),
                    seen: Vec::new(),
                };
            }
        };
        let id = sample.id.clone();
        match pictures.of(&sample) {
            Err(problem) => Ready { unit, id, work: Err(problem), seen: Vec::new() },
            Ok(shown) => {
                let seen = shown.iter().map(|p| Seen::of(p)).collect();
                let ask = plan.recipe.ask(&sample, shown, limits(&plan.limits, unit.rollout));
                Ready { unit, id, work: Ok(Work { sample, ask }), seen }
            }
        }
    };
    units.into_iter().zip(samples).map(ready).collect()
}

/// Each rollout draws from its own seed, whatever batch it falls into.
fn limits(base: &Limits, rollout: usize) -> Limits {
    let mut limits = base.clone();
    if let Sampling::Random { seed, .. } = &mut limits.sampling {
        *seed = seed.wrapping_add(rollout as u64);
    }
    limits
}

fn answer_all(
    ready: Receiver<Vec<Ready>>,
    answerer: &mut dyn Answerer,
    log: &mut ReplyLog,
    progress: &mut dyn Progress,
    finished: &mut Finished,
) -> Result<(), RunError> {
    // Dropping `ready` on the way out tells the decoding thread to stop.
    for batch in ready {
        if !progress.go_on() {
            finished.stopped = true;
            return Ok(());
        }
        let mut work = Vec::with_capacity(batch.len());
        let mut records = Vec::with_capacity(batch.len());
        for ready in batch {
            let asked = match ready.work {
                Ok(w) => {
                    work.push(w);
                    Ok(work.len() - 1)
                }
                Err(reason) => Err(reason),
            };
            records.push((ready.unit, ready.id, asked, ready.seen));
        }
        let mut answers = answer_batch(answerer, &work);
        for (unit, id, asked, pictures) in records {
            let answer = match asked {
                Ok(at) => answers.get_mut(at).and_then(Option::take).unwrap_or_else(no_answer),
                Err(reason) => Answer { outcome: Err(reason), trace: Value::Null },
            };
            let outcome = match answer.outcome {
                Ok(reply) => {
                    finished.answered += 1;
                    Outcome::Reply(reply)
                }
                Err(reason) => {
                    finished.failed += 1;
                    Outcome::Failed { reason }
                }
            };
            let prediction = Prediction { id, outcome, trace: answer.trace };
            let line = ReplyLine { item: unit.item, rollout: unit.rollout, prediction, pictures };
            log.append(&line)?;
            progress.recorded(&line);
        }
    }
    Ok(())
}

fn no_answer() -> Answer {
    Answer { outcome: Err("the model gave no answer".to_owned()), trace: Value::Null }
}

/// Answers of a batch. What failed in company is tried alone: an item must not fail because of its
/// neighbours (memory), or results would depend on the batch size and on where a run was resumed.
fn answer_batch(answerer: &mut dyn Answerer, work: &[Work]) -> Vec<Option<Answer>> {
    if work.is_empty() {
        return Vec::new();
    }
    let mut answers: Vec<Option<Answer>> = answerer.answer(work).into_iter().map(Some).collect();
    answers.resize_with(work.len(), || None);
    if work.len() > 1 {
        for (answer, one) in answers.iter_mut().zip(work) {
            if answer.as_ref().is_none_or(|a| a.outcome.is_err()) {
                *answer = answerer.answer(std::slice::from_ref(one)).pop();
            }
        }
    }
    answers
}
