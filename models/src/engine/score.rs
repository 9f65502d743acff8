//! Probabilities of options. The logits behind a prompt hold those of first tokens; where options have more, all options of all asks
//! whose prompts were completed in a step run through the network together once more, each behind its prompt.

use super::architecture::Architecture;
use super::cache::Prefix;
use super::job::Job;
use super::options::logprobs;
use super::prefill::StepInput;
use super::serve::Engine;
use super::work::Work;
use crate::layers::kv::Group;
use candle_core::Tensor;
use loupe_core::{ModelError, Reply, ReplySink, Stop};
use std::time::Instant;

/// Rows whose logits are held at a time.
const ROWS: usize = 64;

/// An ask whose prompt is complete and whose options are wanted.
pub(super) struct OptionsJob<P> {
    job: Job<P>,
    /// The whole prompt.
    prefix: Prefix,
    /// Log-probability of each spelling, as far as it is known.
    logprobs: Vec<f64>,
}

/// A token whose log-probability belongs to a spelling of a job.
struct NextToken {
    job: usize,
    spelling: usize,
    id: u32,
}

// By value, because it is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
fn compute(error: candle_core::Error) -> ModelError {
    ModelError::Compute(error.to_string())
}

impl<A: Architecture> Engine<A> {
    /// Takes row `row` of `group`, whose prompt is complete, with the logits behind it; when that fails, the ask is over.
    pub(super) fn begin_options(
        &mut self,
        job: Job<A::Picture>,
        group: &Group,
        row: usize,
        logits: &[f32],
        work: &mut Work<A::Picture>,
        replies: &mut dyn ReplySink,
    ) -> Option<OptionsJob<A::Picture>> {
        let options = &job.prompt.options;
        let first = options.spellings.iter().map(|s| s.ids.first().copied().unwrap_or(0));
        let logprobs = match logprobs(logits, first) {
            Ok(logprobs) => logprobs,
            Err(error) => {
                replies.done(job.id, Err(error));
                return None;
            }
        };
        if options.long().next().is_none() && !self.cache.is_on() {
            return Some(OptionsJob { prefix: job.prefix.clone(), job, logprobs });
        }
        match group.segment(row, 0, usize::MAX) {
            Ok(segment) => {
                let keys = job.own_keys().take(segment.tokens).collect();
                let prefix = self.extend(&job.prefix, keys, segment, work);
                Some(OptionsJob { job, prefix, logprobs })
            }
            Err(error) => {
                replies.done(job.id, Err(compute(error)));
                None
            }
        }
    }

    /// Computes what is missing of the options of these asks, and hands their replies over.
    pub(super) fn finish_options(
        &self,
        mut asks: Vec<OptionsJob<A::Picture>>,
        work: &mut Work<A::Picture>,
        replies: &mut dyn ReplySink,
    ) {
        let tokens = |ask: &OptionsJob<A::Picture>| -> usize {
            ask.job.prompt.options.long().map(|s| s.ids.len() - 1).sum()
        };
        while !asks.is_empty() {
            // As many as a step has room for, at least one.
            let mut room = self.budget.step_tokens;
            let fits = |ask: &&OptionsJob<A::Picture>| {
                let fits = tokens(ask) <= room;
                room = room.saturating_sub(tokens(ask));
                fits
            };
            let count = asks.iter().take_while(fits).count().max(1);
            let mut part: Vec<OptionsJob<A::Picture>> = asks.drain(..count).collect();
            let began = Instant::now();
            let added = self.add_longer(&mut part);
            let share = began.elapsed().as_secs_f64() / count as f64;
            for (mut ask, added) in part.into_iter().zip(added) {
                ask.job.timing.decode_s += share;
                let reply = added.and_then(|()| {
                    let reply = self.options_reply(&ask)?;
                    self.write_dump(&ask.job, work)?;
                    Ok(reply)
                });
                replies.done(ask.job.id, reply);
            }
        }
    }

    /// Adds the log-probabilities of all tokens but the first.
    fn add_longer(&self, asks: &mut [OptionsJob<A::Picture>]) -> Vec<Result<(), ModelError>> {
        let layers = self.decoder().config.layers.len();
        let mut results: Vec<Result<(), ModelError>> = asks.iter().map(|_| Ok(())).collect();
        let (mut groups, mut inputs, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (number, ask) in asks.iter().enumerate() {
            let prompt = &ask.job.prompt;
            let (mut ids, mut positions, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
            for spelling in prompt.options.long() {
                let before = &spelling.ids[..spelling.ids.len() - 1];
                lengths.push(before.len());
                ids.extend_from_slice(before);
                positions.extend((0..before.len() as u32).map(|i| [prompt.next + i; 3]));
            }
            if ids.is_empty() {
                continue;
            }
            match self.decoder().embed(&ids) {
                Ok(rows) => {
                    groups.push(Group::new(ask.prefix.pieces(), lengths, layers, 0));
                    inputs.push(StepInput { rows, positions, deep: Vec::new() });
                    owners.push(number);
                }
                Err(error) => results[number] = Err(compute(error)),
            }
        }
        if groups.is_empty() {
            return results;
        }
        let (mut states, mut next): (Vec<Tensor>, Vec<NextToken>) = (Vec::new(), Vec::new());
        for (job, hidden) in owners.into_iter().zip(self.forward(&mut groups, &inputs)) {
            match hidden {
                Ok(hidden) => {
                    states.push(hidden);
                    for (spelling, s) in asks[job].job.prompt.options.spellings.iter().enumerate() {
                        next.extend(s.ids.iter().skip(1).map(|id| NextToken { job, spelling, id: *id }));
                    }
                }
                Err(error) => results[job] = Err(error),
            }
        }
        if let Err(error) = self.add_logprobs(&states, &next, asks, &mut results) {
            next.iter().for_each(|n| results[n.job] = Err(error.clone()));
        }
        results
    }

    /// Adds the log-probability of each of `next` under the hidden states before it; an ask where that cannot be read fails in `results`.
    fn add_logprobs(
        &self,
        states: &[Tensor],
        next: &[NextToken],
        asks: &mut [OptionsJob<A::Picture>],
        results: &mut [Result<(), ModelError>],
    ) -> Result<(), ModelError> {
        if next.is_empty() {
            return Ok(());
        }
        let hidden = Tensor::cat(states, 0).map_err(compute)?;
        for (part, next) in next.chunks(ROWS).enumerate() {
            let logits =
                hidden.narrow(0, part * ROWS, next.len()).and_then(|rows| self.decoder().logits(&rows));
            let logits = logits.and_then(|logits| logits.to_vec2::<f32>()).map_err(compute)?;
            for (token, logits) in next.iter().zip(logits) {
                match logprobs(&logits, std::iter::once(token.id)) {
                    Ok(added) => asks[token.job].logprobs[token.spelling] += added.iter().sum::<f64>(),
                    Err(error) => results[token.job] = Err(error),
                }
            }
        }
        Ok(())
    }

    fn options_reply(&self, ask: &OptionsJob<A::Picture>) -> Result<Reply, ModelError> {
        let mut reply = self.reply(&ask.job)?;
        let scores = ask.job.prompt.options.scores(&ask.logprobs);
        reply.text = scores.best().map(|best| best.text.clone()).unwrap_or_default();
        reply.stop = Stop::EndOfTurn;
        reply.options = Some(scores);
        Ok(reply)
    }
}
