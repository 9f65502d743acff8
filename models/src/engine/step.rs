//! One step: every reply in work gets its next token, and prompts are computed on.

use super::architecture::{Architecture, PromptPicture};
use super::dump::Dump;
use super::job::Job;
use super::prefill::{PrefillPart, RESERVE, StepInput, joined};
use super::serve::Engine;
use super::work::{LiveGroup, OpenRun, Run, Work};
use crate::error::computation;
use crate::layers::kv::Group;
use candle_core::Tensor;
use loupe_core::{ModelError, ReplyForm, ReplySink};
use std::time::Instant;

/// Rows of different lengths share a group while it is at most so many times as large as what they hold.
const WASTE: usize = 2;

// By value, because it is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
fn compute(error: candle_core::Error) -> ModelError {
    ModelError::Compute(computation(&error))
}

/// A reply that was begun or goes on in this step, with the logits behind each token that it was given.
struct Advanced<P> {
    job: Job<P>,
    logits: Vec<Vec<f32>>,
}

/// A group after a step, with its rows.
struct Stepped<P> {
    group: Group,
    rows: Vec<Advanced<P>>,
    /// Was it being decoded before?
    live: bool,
}

/// A group whose rows need their next token, with their jobs; was it being decoded before?
type WaitingRows<P> = (Group, Vec<Job<P>>, bool);

/// Jobs whose prompts are complete, their group, and the hidden states of their last tokens.
type CompletePrompts<P> = (Vec<Job<P>>, Group, Tensor);

impl<A: Architecture> Engine<A> {
    /// Computes the next tokens of all replies in work, and up to a step's worth of prompts.
    pub(super) fn step(&mut self, work: &mut Work<A::Picture>, replies: &mut dyn ReplySink) {
        if !(work.runs.is_empty() && work.open.is_none()) {
            work.drop_unwanted(replies);
        }
        let ahead = self.look_up(work);
        let mut parts = self.prefill_parts(work, ahead, replies);
        let began = Instant::now();
        let (mut live, mut inputs) = (Vec::new(), Vec::new());
        for mut group in std::mem::take(&mut work.live) {
            group.group.tokens = group.jobs.iter().map(Job::next_count).collect();
            group.group.one_by_one = true;
            match self.next_tokens(&group.jobs) {
                Ok(input) => {
                    live.push(group);
                    inputs.push(input);
                }
                Err(error) => group.jobs.into_iter().for_each(|j| replies.done(j.id, Err(error.clone()))),
            }
        }
        let mut groups: Vec<Group> = Vec::with_capacity(live.len() + parts.len());
        let jobs: Vec<Vec<Job<A::Picture>>> = live
            .into_iter()
            .map(|l| {
                groups.push(l.group);
                l.jobs
            })
            .collect();
        let mut runs = Vec::with_capacity(parts.len());
        for PrefillPart { group, runs: own, computed, input } in parts.drain(..) {
            runs.push((own, computed, group.tokens.clone()));
            groups.push(group);
            inputs.push(input);
        }
        if groups.is_empty() {
            return;
        }
        let tokens: usize = inputs.iter().map(|input| input.positions.len()).sum();
        let hidden = self.forward(&mut groups, &inputs);
        let share = began.elapsed().as_secs_f64() / tokens.max(1) as f64;
        let mut hidden = groups.into_iter().zip(hidden);
        // Rows that need their next token, with the hidden states it is chosen from.
        let (mut waiting, mut states): (Vec<WaitingRows<A::Picture>>, Vec<Tensor>) = (Vec::new(), Vec::new());
        for (mut jobs, (group, result)) in jobs.into_iter().zip(hidden.by_ref()) {
            match result {
                Ok(rows) => {
                    jobs.iter_mut().for_each(|job| job.timing.decode_s += share * job.next_count() as f64);
                    waiting.push((group, jobs, true));
                    states.push(rows);
                }
                Err(error) => jobs.into_iter().for_each(|j| replies.done(j.id, Err(error.clone()))),
            }
        }
        for ((mut own, computed, tokens), (group, result)) in runs.into_iter().zip(hidden) {
            own.iter_mut().zip(&tokens).for_each(|(run, n)| run.spent += share * *n as f64);
            match result {
                Err(error) => own.into_iter().for_each(|run| work.fail(run, &error, replies)),
                Ok(rows) => {
                    if let Some((jobs, group, last)) =
                        self.advance_runs(own, group, &rows, computed, &tokens, work, replies)
                    {
                        waiting.push((group, jobs, false));
                        states.push(last);
                    }
                }
            }
        }
        let stepped = self.with_logits(waiting, &states, replies);
        self.choose_tokens(stepped, work, replies);
    }

    /// Runs groups through the network together; when that fails, each by itself, to tell which it is.
    pub(super) fn forward(
        &self,
        groups: &mut [Group],
        inputs: &[StepInput],
    ) -> Vec<Result<Tensor, ModelError>> {
        let decoder = self.decoder();
        let counts: Vec<usize> = inputs.iter().map(|input| input.positions.len()).collect();
        let together = joined(inputs.to_vec())
            .and_then(|all| decoder.forward(all.rows, &all.positions, &all.deep, groups));
        match together {
            Ok(hidden) => {
                let mut at = 0;
                let rows = counts.iter().map(|n| {
                    at += n;
                    hidden.narrow(0, at - n, *n).map_err(compute)
                });
                rows.collect()
            }
            Err(error) if groups.len() == 1 => vec![Err(compute(error))],
            Err(_) => {
                let alone = groups.iter_mut().zip(inputs).map(|(group, input)| {
                    let StepInput { rows, positions, deep } = input.clone();
                    decoder.forward(rows, &positions, &deep, std::slice::from_mut(group)).map_err(compute)
                });
                alone.collect()
            }
        }
    }

    /// What the tokens that were chosen last, and those that may follow them, feed into their rows.
    fn next_tokens(&self, jobs: &[Job<A::Picture>]) -> Result<StepInput, ModelError> {
        let ids: Vec<u32> = jobs.iter().flat_map(Job::next_tokens).collect();
        let positions = jobs.iter().flat_map(Job::next_positions).collect();
        Ok(StepInput { rows: self.decoder().embed(&ids).map_err(compute)?, positions, deep: Vec::new() })
    }

    /// Takes note of what was computed of runs with the same prefix. Returns the jobs whose prompts are
    /// complete, with their group and the hidden states of their last tokens.
    #[allow(clippy::too_many_arguments)]
    fn advance_runs(
        &mut self,
        runs: Vec<Run<A::Picture>>,
        group: Group,
        hidden: &Tensor,
        computed: usize,
        tokens: &[usize],
        work: &mut Work<A::Picture>,
        replies: &mut dyn ReplySink,
    ) -> Option<CompletePrompts<A::Picture>> {
        if let ([run], [n]) = (runs.as_slice(), tokens)
            && computed + n < run.tokens()
        {
            let run = runs.into_iter().next()?;
            work.open = Some(OpenRun { run, group, computed: computed + n });
            return None;
        }
        let (mut jobs, mut ends, mut at) = (Vec::new(), Vec::new(), 0u32);
        for (row, (mut run, n)) in runs.into_iter().zip(tokens).enumerate() {
            at += *n as u32;
            match run.job.take() {
                Some(mut job) => {
                    job.timing.prefill_s += run.spent;
                    job.prefix = run.prefix;
                    ends.push(at - 1);
                    jobs.push(job);
                }
                None => match group.segment(row, 0, run.tokens()) {
                    Ok(segment) => {
                        let keys = run.prompt.keys[run.from..run.to].to_vec();
                        let prefix = self.extend(&run.prefix, keys, segment, work);
                        work.shared_run_is_done(&run, &prefix);
                    }
                    Err(error) => work.fail(run, &compute(error), replies),
                },
            }
        }
        if jobs.is_empty() {
            return None;
        }
        let last = Tensor::new(ends, hidden.device()).and_then(|ends| hidden.index_select(&ends, 0));
        match last {
            Ok(last) => Some((jobs, group, last)),
            Err(error) => {
                let error = compute(error);
                jobs.into_iter().for_each(|job| replies.done(job.id, Err(error.clone())));
                None
            }
        }
    }

    /// Logits behind every token whose next one is wanted.
    fn with_logits(
        &self,
        waiting: Vec<WaitingRows<A::Picture>>,
        states: &[Tensor],
        replies: &mut dyn ReplySink,
    ) -> Vec<Stepped<A::Picture>> {
        if waiting.is_empty() {
            return Vec::new();
        }
        let began = Instant::now();
        let logits = Tensor::cat(states, 0)
            .and_then(|hidden| self.decoder().logits(&hidden))
            .and_then(|logits| logits.to_vec2::<f32>());
        match logits {
            Ok(logits) => {
                let share = began.elapsed().as_secs_f64() / logits.len().max(1) as f64;
                let mut logits = logits.into_iter();
                let mut advanced = |mut job: Job<A::Picture>| {
                    let count = job.next_count();
                    job.timing.decode_s += share * count as f64;
                    Advanced { job, logits: logits.by_ref().take(count).collect() }
                };
                let mut stepped = Vec::with_capacity(waiting.len());
                for (group, jobs, live) in waiting {
                    stepped.push(Stepped {
                        group,
                        rows: jobs.into_iter().map(&mut advanced).collect(),
                        live,
                    });
                }
                stepped
            }
            Err(error) => {
                let error = compute(error);
                for job in waiting.into_iter().flat_map(|(_, jobs, _)| jobs) {
                    replies.done(job.id, Err(error.clone()));
                }
                Vec::new()
            }
        }
    }

    /// Chooses the next tokens of every row, gives out text, ends replies and puts the others into groups.
    fn choose_tokens(
        &mut self,
        stepped: Vec<Stepped<A::Picture>>,
        work: &mut Work<A::Picture>,
        replies: &mut dyn ReplySink,
    ) {
        let (mut live, mut begun, mut options) = (Vec::new(), Vec::new(), Vec::new());
        for Stepped { mut group, rows, live: was_live } in stepped {
            let (mut kept, mut jobs) = (Vec::new(), Vec::new());
            for (r, Advanced { mut job, logits }) in rows.into_iter().enumerate() {
                let first = logits.first().map_or(&[][..], Vec::as_slice);
                if !was_live && self.dump.is_some() {
                    work.dump = Some(dumped(&job, first));
                }
                if !job.prompt.options.is_empty() {
                    options.extend(self.begin_options(job, &group, r, first, work, replies));
                    continue;
                }
                let taken = self.take_tokens(&mut job, &logits, replies);
                if let Ok(taken) = taken {
                    group.give_up(r, logits.len() - taken);
                }
                match taken {
                    Err(error) => replies.done(job.id, Err(error)),
                    Ok(_) if job.row.stop.is_none() => {
                        kept.push(r);
                        jobs.push(job);
                    }
                    Ok(_) => {
                        self.keep_row(&job, &group, r, work);
                        let reply = self.reply(&job).and_then(|reply| {
                            self.write_dump(&job, work)?;
                            ReplyForm::settled(job.form.as_ref(), reply)
                        });
                        replies.done(job.id, reply);
                    }
                }
            }
            if !jobs.is_empty() {
                let list = if was_live { &mut live } else { &mut begun };
                list.push((group, kept, jobs));
            }
        }
        self.finish_options(options, work, replies);
        for (parts, jobs) in grouped(live, begun) {
            let left = jobs.iter().map(|job| job.most.saturating_sub(job.row.ids.len())).max().unwrap_or(0);
            match Group::gather(parts, left.clamp(1, RESERVE)) {
                Ok(group) => work.live.push(LiveGroup { group, jobs }),
                Err(error) => {
                    let error = compute(error);
                    jobs.into_iter().for_each(|job| replies.done(job.id, Err(error.clone())));
                }
            }
        }
    }

    /// Stores a finished row, so that a conversation can go on from it.
    fn keep_row(&mut self, job: &Job<A::Picture>, group: &Group, row: usize, work: &mut Work<A::Picture>) {
        if !self.cache.is_on() {
            return;
        }
        // Without memory it is computed again.
        if let Ok(segment) = group.segment(row, 0, usize::MAX) {
            let keys = job.own_keys().take(segment.tokens).collect();
            self.extend(&job.prefix, keys, segment, work);
        }
    }

    pub(super) fn write_dump(
        &self,
        job: &Job<A::Picture>,
        work: &mut Work<A::Picture>,
    ) -> Result<(), ModelError> {
        let (Some(folder), Some(mut dump)) = (&self.dump, work.dump.take()) else { return Ok(()) };
        for placed in &job.prompt.pictures {
            let patches = self.arch.patches(&placed.picture, &placed.shown).map_err(ModelError::Compute)?;
            dump.features.push(self.arch.encode(&patches, &placed.shown).map_err(compute)?.rows);
            dump.patches.push(patches);
            dump.grids.extend(placed.shown.grid());
        }
        dump.generated.clone_from(&job.row.ids);
        let failed = |e| ModelError::Compute(format!("the dump cannot be written: {e}"));
        dump.write(folder).map_err(failed)
    }
}

/// What goes into the dump of an ask, but for the generated tokens and the pictures.
fn dumped<P>(job: &Job<P>, logits: &[f32]) -> Dump {
    Dump {
        input_ids: job.prompt.ids.clone(),
        positions: job.prompt.positions.clone(),
        logits: logits.to_vec(),
        ..Dump::default()
    }
}

type Parts<P> = (Vec<(Group, Vec<usize>)>, Vec<Job<P>>);

/// Which groups become one: rows that were begun join those with the same prefix, unless their lengths are too
/// different.
fn grouped<P>(
    live: Vec<(Group, Vec<usize>, Vec<Job<P>>)>,
    begun: Vec<(Group, Vec<usize>, Vec<Job<P>>)>,
) -> Vec<Parts<P>> {
    let mut out: Vec<Parts<P>> =
        live.into_iter().map(|(group, rows, jobs)| (vec![(group, rows)], jobs)).collect();
    for (group, rows, jobs) in begun {
        let fits = |(parts, others): &&mut Parts<P>| {
            let same = others.first().zip(jobs.first()).is_some_and(|(a, b)| a.prefix.is(&b.prefix));
            let all = parts.iter().map(|(g, r)| (g, r)).chain([(&group, &rows)]);
            let lengths: Vec<usize> = all.flat_map(|(g, rows)| rows.iter().map(|r| g.length(*r))).collect();
            let longest = lengths.iter().copied().max().unwrap_or(0);
            same && lengths.len() * longest <= WASTE * lengths.iter().sum::<usize>()
        };
        match out.iter_mut().find(fits) {
            Some((parts, others)) => {
                parts.push((group, rows));
                others.extend(jobs);
            }
            None => out.push((vec![(group, rows)], jobs)),
        }
    }
    out
}
