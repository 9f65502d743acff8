//! The loop: pictures decoded ahead of the model, prompts given to it while it has room, every reply on the
//! disk as soon as it is done.

use crate::effort::Effort;
use crate::error::RunError;
use crate::folder::ReplyLine;
use crate::hidden::{Hidden, keep_names_out, without_places};
use crate::log::ReplyLog;
use crate::made_by::{FORMAT, MadeBy};
use crate::media::{Key, Pictures, keys};
use crate::plan::Plan;
use crate::resume::{Allowed, enter};
use crate::rows::{PANICKED, sample};
use crate::sample_line::SampleLine;
use crate::select::select;
use crate::session::Session;
use crate::shard::{ShardRecord, WholeSamples};
use loupe_core::ask::Sampling;
use loupe_core::guard::caught;
use loupe_core::sample::Outcome;
use loupe_core::{
    Answer, AnswerSink, Answerer, DataError, Dataset, Failure, GenerationLimits, Go, MediaLoader, NextWork,
    PictureRecord, Prediction, Retry, Sample, Turn, Work, WorkSource,
};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Instant;

/// Hears how a run goes on; `()` does not listen.
pub trait Progress {
    /// The run begins: so many replies in all, so many of them already there.
    fn started(&mut self, _total: usize, _already: usize) {}

    /// A reply or failure is on the disk.
    fn recorded(&mut self, _line: &ReplyLine) {}

    /// Asked before every prompt; `false` ends the run early and cleanly: what is being answered is finished.
    fn go_on(&mut self) -> bool {
        true
    }
}

impl Progress for () {}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// Numbers, from 1, of damaged lines of replies.jsonl, whose items were asked again.
    pub damaged: Vec<usize>,
    /// Items that were handed over to be answered another time; nothing of them is on record.
    pub deferred: usize,
    /// Ended early because [`Progress::go_on`] said so.
    pub stopped: bool,
    /// What this call took.
    pub effort: Effort,
}

/// A reply to make: which item, and where its images stand in the order of work.
#[derive(Debug, Clone, Copy)]
struct Unit {
    item: usize,
    row: usize,
    rollout: usize,
}

/// A unit with its sample and decoded pictures, or the reason why there are none.
struct Ready {
    unit: Unit,
    id: String,
    work: Result<Box<Work>, Failure>,
    pictures: Vec<PictureRecord>,
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
    if plan.rollouts == 0 {
        return Err(RunError::Setting { setting: "rollouts", problem: "must be at least 1".to_owned() });
    }
    let mut settled = Plan { limits: answerer.model().settled(&plan.limits), ..plan.clone() };
    let hidden = plan.hide_names.then(|| Hidden::new(dataset));
    if hidden.is_some() {
        keep_names_out(&mut settled)?;
    }
    let plan = &settled;
    let dataset = hidden.as_ref().map_or(dataset, |hidden| hidden as &dyn Dataset);
    let made_by = MadeBy {
        format: FORMAT,
        loupe: env!("CARGO_PKG_VERSION").to_owned(),
        dataset: dataset.info().clone(),
        selection: plan.selection.clone(),
        n: 0,
        samples_sha256: String::new(),
        model: answerer.model().clone(),
        strategy: answerer.strategy(),
        prompt: prompt_record(plan),
        limits: plan.limits.clone(),
        rollouts: plan.rollouts,
        settings: plan.settings.clone(),
        image_limits: plan.image_limits,
        notes: answerer.model().notes().iter().chain(&plan.notes).cloned().collect(),
        shard: plan.shard.map(|shard| ShardRecord { shard, whole: WholeSamples::default() }),
        data_root: dataset.root().and_then(|root| std::path::absolute(root).ok()),
        sessions: Vec::new(),
    };
    let mut order = Order::default();
    let mut lines = select(dataset, &plan.selection)?
        .inspect(|line| {
            if plan.shard.is_none_or(|shard| shard.holds(line)) {
                order.add(line);
            }
        })
        .map(|line| if plan.hide_names { without_places(&line) } else { line });
    let allowed = Allowed { extend: plan.extend, mended: plan.retry_failed };
    let (mut folder, mut log) = enter(dir, made_by, &mut lines, allowed)?;
    drop(lines);

    let index = folder.index()?;
    let todo = order.units(plan.rollouts, |unit| index.done(unit, plan.retry_failed));
    log.probe((todo.len() * 1024).clamp(1 << 16, 16 << 20))?;
    let finished = Finished {
        total: folder.units() - order.unreadable * plan.rollouts,
        already: index.count(),
        unreadable: order.unreadable,
        damaged: index.damaged,
        ..Finished::default()
    };
    progress.started(finished.total, finished.already);
    let at_work = !todo.is_empty();
    if at_work {
        folder.made_by.sessions.push(Session::begin(&plan.invocation, plan.shard));
        folder.write()?;
    }
    let ledger = RefCell::new(Ledger {
        log: &mut log,
        progress,
        finished,
        asked: HashMap::new(),
        next: 0,
        error: None,
        ended: None,
        alone: Vec::new(),
        first: true,
    });
    let began = Instant::now();
    fill(todo, plan, dataset, answerer, loader, &ledger);
    // An item must not fail because of its neighbours (memory), or results would depend on what happened to
    // be answered together and on where a run was resumed: what failed in company is tried alone.
    let again = {
        let mut ledger = ledger.borrow_mut();
        ledger.first = false;
        std::mem::take(&mut ledger.alone)
    };
    fill(again, plan, dataset, answerer, loader, &ledger);
    let Ledger { error, ended, mut finished, .. } = ledger.into_inner();
    finished.effort.seconds = began.elapsed().as_secs_f64();
    if let Some(session) = folder.made_by.sessions.last_mut().filter(|_| at_work) {
        session.end(finished.answered, finished.failed);
        folder.write()?;
    }
    let unreachable = ended.map(|failure| RunError::Unreachable {
        reason: failure.reason,
        passes: failure.retry == Retry::Away,
        recorded: finished.already + finished.answered + finished.failed,
        total: finished.total,
    });
    match error.or(unreachable) {
        Some(error) => Err(error),
        None => Ok(finished),
    }
}

/// Answers `todo`: decodes ahead on a thread of its own and lets the answerer pull.
fn fill(
    todo: Vec<Unit>,
    plan: &Plan,
    dataset: &dyn Dataset,
    answerer: &mut dyn Answerer,
    loader: &dyn MediaLoader,
    ledger: &RefCell<Ledger<'_>>,
) {
    if todo.is_empty() || !ledger.borrow().is_open() {
        return;
    }
    let ahead = plan.decode_ahead.max(1);
    let lookout = &Lookout::default();
    std::thread::scope(|scope| {
        let (to, ready) = sync_channel::<Ready>(ahead);
        scope.spawn(move || {
            let mut pictures = Pictures::new(plan.picture_bytes);
            let mut rest = todo.as_slice();
            while !rest.is_empty() {
                pictures.wait_for_room(|| lookout.nobody_works());
                let chunk = &rest[..ahead.min(rest.len())];
                let prepared = prepare(chunk, plan, dataset, loader, &mut pictures);
                rest = &rest[prepared.len().clamp(1, rest.len())..];
                for one in prepared {
                    lookout.unread.fetch_add(1, Ordering::SeqCst);
                    if to.send(one).is_err() {
                        return; // the run was ended
                    }
                }
            }
        });
        // Dropping `ready` on the way out tells the decoding thread to stop.
        let mut feed = Feed { ready, ledger, lookout };
        // A panic ends what was being answered and nothing else.
        while caught(|| answerer.serve(&mut feed, &mut Recorder { ledger })).is_none() {
            if !ledger.borrow_mut().give_up_asked() {
                break;
            }
        }
    });
    ledger.borrow_mut().settle();
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

/// The first of `units`, at least one, with their samples and pictures: as many as memory allows.
fn prepare(
    units: &[Unit],
    plan: &Plan,
    dataset: &dyn Dataset,
    loader: &dyn MediaLoader,
    pictures: &mut Pictures,
) -> Vec<Ready> {
    let samples: Vec<Result<Sample, DataError>> = units.iter().map(|u| sample(dataset, u.row)).collect();
    let readable: Vec<&Sample> = samples.iter().flatten().collect();
    let mut shown = pictures.of(&readable, loader, plan.decode_threads).into_iter();
    let mut out = Vec::with_capacity(units.len());
    for (unit, sample) in units.iter().zip(samples) {
        let failed = |id, failure| Ready { unit: *unit, id, work: Err(failure), pictures: Vec::new() };
        out.push(match sample {
            Err(e) => failed(format!("row {}", unit.row), Failure::may_pass(e.to_string())),
            Ok(sample) => match shown.next() {
                None => break,
                Some(Err(failure)) => failed(sample.id, failure),
                Some(Ok(shown)) => {
                    let records = shown.iter().map(|p| PictureRecord::of(p)).collect();
                    let id = sample.id.clone();
                    let limits = limits(&plan.limits, unit.rollout);
                    let ask = plan.template.ask(&sample, shown, limits, &plan.examples.shown);
                    let work = ask.map(|ask| Box::new(Work { sample, ask }));
                    Ready { unit: *unit, id, work, pictures: records }
                }
            },
        });
    }
    out
}

/// The template with its words, and the examples, where there are any.
fn prompt_record(plan: &Plan) -> Value {
    let mut prompt = serde_json::to_value(&plan.template).unwrap_or(Value::Null);
    if let (Value::Object(fields), false) = (&mut prompt, plan.examples.shown.is_empty()) {
        let examples = serde_json::to_value(&plan.examples.record).unwrap_or(Value::Null);
        fields.insert("examples".to_owned(), examples);
    }
    prompt
}

/// Each rollout draws from its own seed, whatever batch it falls into.
fn limits(base: &GenerationLimits, rollout: usize) -> GenerationLimits {
    let mut limits = base.clone();
    if let Sampling::Random { seed, .. } = &mut limits.sampling {
        *seed = seed.wrapping_add(rollout as u64);
    }
    limits
}

/// What is being answered, and where answers are written.
struct Ledger<'a> {
    log: &'a mut ReplyLog,
    progress: &'a mut dyn Progress,
    finished: Finished,
    /// By the number given to the answerer; with whether others were being answered at the same time.
    asked: HashMap<u64, Asked>,
    next: u64,
    /// The folder could not be written: nothing more is asked.
    error: Option<RunError>,
    /// Nobody answers any more, whatever is asked: what is under way is finished and recorded.
    ended: Option<Failure>,
    /// Units that failed in company.
    alone: Vec<Unit>,
    /// Is this the first try, in company?
    first: bool,
}

struct Asked {
    unit: Unit,
    id: String,
    pictures: Vec<PictureRecord>,
    prompt: Vec<Turn>,
    company: bool,
}

impl Ledger<'_> {
    /// May anything more be given out? Whoever has said no is not asked again.
    fn is_open(&self) -> bool {
        self.error.is_none() && self.ended.is_none() && !self.finished.stopped
    }

    /// Asked before every prompt.
    fn go_on(&mut self) -> bool {
        if self.is_open() && !self.progress.go_on() {
            self.finished.stopped = true;
        }
        self.is_open()
    }

    /// Gives a prompt out, or records why it cannot be.
    fn take(&mut self, ready: Ready) -> Option<(u64, Box<Work>)> {
        let (unit, id, pictures) = (ready.unit, ready.id, ready.pictures);
        let prompt = ready.work.as_ref().map(|work| work.ask.turns.clone()).unwrap_or_default();
        let mut asked = Asked { unit, id, pictures, prompt, company: false };
        match ready.work {
            Err(failure) => {
                self.record(asked, Answer::single(Err(failure)));
                None
            }
            Ok(work) => {
                if !self.asked.is_empty() {
                    self.asked.values_mut().for_each(|a| a.company = true);
                    asked.company = true;
                }
                self.next += 1;
                self.asked.insert(self.next, asked);
                Some((self.next, work))
            }
        }
    }

    fn done(&mut self, number: u64, answer: Answer) {
        if let Some(asked) = self.asked.remove(&number) {
            self.answered(asked, answer);
        }
    }

    fn answered(&mut self, asked: Asked, answer: Answer) {
        match &answer.outcome {
            Err(failure) if failure.retry == Retry::May && asked.company && self.first => {
                self.alone.push(asked.unit);
            }
            // Says nothing about the item, which is asked again when the run goes on.
            Err(failure) if !failure.retry.is_final() => match failure.retry {
                Retry::Later => self.finished.deferred += 1,
                _ => drop(self.ended.get_or_insert_with(|| failure.clone())),
            },
            _ => self.record(asked, answer),
        }
    }

    fn record(&mut self, asked: Asked, answer: Answer) {
        if self.error.is_some() {
            return;
        }
        let outcome = match answer.outcome {
            Ok(reply) => Outcome::Reply(reply),
            Err(failure) => Outcome::Failed(failure),
        };
        let failed = matches!(outcome, Outcome::Failed(_));
        let (item, rollout) = (asked.unit.item, asked.unit.rollout);
        // Rounds have their own prompts on record, and segmenters are asked no words.
        let prompt = if answer.record.is_single() { asked.prompt } else { Vec::new() };
        let prediction = Prediction { id: asked.id, outcome, record: answer.record };
        if let Some((counts, _)) = prediction.spent() {
            self.finished.effort.add(&counts, failed);
        }
        let line = ReplyLine { item, rollout, prediction, pictures: asked.pictures, prompt };
        match self.log.append(&line) {
            Err(error) => self.error = Some(error),
            Ok(()) => {
                let count = if failed { &mut self.finished.failed } else { &mut self.finished.answered };
                *count += 1;
                self.progress.recorded(&line);
            }
        }
    }

    /// After a panic: what was being answered alone has failed; of several, each is tried alone, to tell which it
    /// was. False when there was nothing that could be at fault.
    fn give_up_asked(&mut self) -> bool {
        let mut asked: Vec<(u64, Asked)> = self.asked.drain().collect();
        asked.sort_by_key(|(number, _)| *number);
        let any = !asked.is_empty();
        for (_, asked) in asked {
            self.answered(asked, Answer::single(Err(Failure::may_pass(PANICKED))));
        }
        if !any && self.error.is_none() {
            self.error = Some(RunError::Panicked);
        }
        any
    }

    /// What was given out and never came back.
    fn settle(&mut self) {
        let mut lost: Vec<(u64, Asked)> = self.asked.drain().collect();
        lost.sort_by_key(|(number, _)| *number);
        for (_, asked) in lost {
            self.answered(asked, Answer::single(Err(Failure::may_pass("the model gave no answer"))));
        }
    }
}

/// The prompts of a run as an answerer pulls them.
struct Feed<'a, 'b> {
    ready: Receiver<Ready>,
    ledger: &'a RefCell<Ledger<'b>>,
    lookout: &'a Lookout,
}

/// What the decoding thread may know of the answerer.
#[derive(Default)]
struct Lookout {
    /// Is an ask waited for, with nothing else to do?
    idle: AtomicBool,
    /// Asks that are ready and were not taken yet: who waits for one of them and was not woken yet is not idle.
    unread: AtomicUsize,
}

impl Lookout {
    fn nobody_works(&self) -> bool {
        self.idle.load(Ordering::SeqCst) && self.unread.load(Ordering::SeqCst) == 0
    }
}

impl WorkSource for Feed<'_, '_> {
    fn next(&mut self, idle: bool) -> NextWork {
        loop {
            let (open, together) = {
                let ledger = self.ledger.borrow();
                (ledger.is_open(), ledger.first)
            };
            // Decoding may take long: nothing is held while it is waited for.
            let ready = match (open, idle, together) {
                (false, ..) => return NextWork::NoMore,
                (true, true, _) => {
                    self.lookout.idle.store(true, Ordering::SeqCst);
                    let began = Instant::now();
                    let ready = self.ready.recv().map_err(|_| TryRecvError::Disconnected);
                    self.ledger.borrow_mut().finished.effort.waited_s += began.elapsed().as_secs_f64();
                    self.lookout.idle.store(false, Ordering::SeqCst);
                    ready
                }
                (true, false, true) => self.ready.try_recv(),
                // What is tried alone waits until the answerer has nothing else.
                (true, false, false) => return NextWork::NotYet,
            };
            let ready = match ready {
                Ok(ready) => ready,
                Err(TryRecvError::Empty) => return NextWork::NotYet,
                Err(TryRecvError::Disconnected) => return NextWork::NoMore,
            };
            self.lookout.unread.fetch_sub(1, Ordering::SeqCst);
            let mut ledger = self.ledger.borrow_mut();
            if !ledger.go_on() {
                return NextWork::NoMore;
            }
            if let Some((number, work)) = ledger.take(ready) {
                return NextWork::Work(number, work);
            }
        }
    }
}

/// Writes each answer as it comes.
struct Recorder<'a, 'b> {
    ledger: &'a RefCell<Ledger<'b>>,
}

impl AnswerSink for Recorder<'_, '_> {
    fn wanted(&mut self, _: u64) -> Go {
        // Answers that cannot be written are not worth computing.
        if self.ledger.borrow().error.is_some() { Go::Stop } else { Go::On }
    }

    fn done(&mut self, number: u64, answer: Answer) {
        self.ledger.borrow_mut().done(number, answer);
    }
}
