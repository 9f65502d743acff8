//! One conversation or several: asks, bounds, and the record of all of it.

use crate::request::{Budget, Models, Outcome, RethinkError};
use loupe_core::trace::{Ended, Round, Trace};
use loupe_core::{
    Ask, Counts, Failure, Finding, GenerationLimits, Picture, Reply, Role, Timing, Turn, VisionLanguageModel,
};
use std::sync::Arc;
use std::time::Instant;

/// Which of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The one that answers.
    First,
    /// The one with the second opinion.
    Second,
}

/// A prompt to be asked.
#[derive(Debug, Clone)]
pub struct NewAsk {
    /// What for.
    pub purpose: String,
    /// The round whose prompt and reply this one continues.
    pub follows: Option<usize>,
    /// Turns that come after.
    pub turns: Vec<Turn>,
    /// All pictures that the turns, old and new, refer to.
    pub pictures: Vec<Arc<Picture>>,
    /// Bounds of the reply.
    pub limits: GenerationLimits,
}

impl NewAsk {
    /// A conversation that begins here.
    pub fn opening(purpose: &str, ask: Ask) -> Self {
        Self {
            purpose: purpose.into(),
            follows: None,
            turns: ask.turns,
            pictures: ask.pictures,
            limits: ask.limits,
        }
    }
}

/// Asks models within bounds and keeps the trace.
pub struct Session<'a> {
    models: Models<'a>,
    budget: Budget,
    /// The record so far.
    pub trace: Trace,
    /// Pictures of the trace, by number.
    pictures: Vec<Arc<Picture>>,
    started: Instant,
    used_tokens: usize,
    /// Why the model last failed.
    failure: Option<Failure>,
    /// Masks that conversations led to, by the last round of each.
    masks: Vec<(usize, Finding)>,
}

impl<'a> Session<'a> {
    /// A session that has asked nothing yet.
    pub fn new(by: &str, models: Models<'a>, budget: Budget) -> Self {
        Self {
            models,
            budget,
            trace: Trace::new(by),
            pictures: Vec::new(),
            started: Instant::now(),
            used_tokens: 0,
            failure: None,
            masks: Vec::new(),
        }
    }

    /// The tools that actions use: segmenter, resampler, loader.
    pub(crate) fn tools(&mut self) -> crate::actions::Tools<'_> {
        crate::actions::Tools {
            // Reborrowed by hand: the trait object's own lifetime is longer than this call.
            segmenter: match &mut self.models.segmenter {
                Some(s) => Some(&mut **s),
                None => None,
            },
            resampler: self.models.resampler,
            loader: self.models.loader,
        }
    }

    /// Is there a model for a second opinion?
    pub fn has_second(&self) -> bool {
        self.models.second.is_some()
    }

    /// The dialect in which the model writes boxes.
    pub fn box_dialect(&self) -> &str {
        &self.models.first.info().box_dialect
    }

    /// The number of `picture` in the trace.
    pub fn enter(&mut self, picture: &Arc<Picture>) -> usize {
        let number = self.trace.enter(picture);
        if number == self.pictures.len() {
            self.pictures.push(Arc::clone(picture));
        }
        number
    }

    /// The reason why no further round may begin, if any.
    pub fn spent(&self) -> Option<Ended> {
        if self.trace.rounds.is_empty() {
            return None;
        }
        match (self.budget.new_tokens, self.budget.seconds) {
            (Some(tokens), _) if self.used_tokens >= tokens => Some(Ended::Tokens(tokens)),
            (_, Some(seconds)) if self.started.elapsed().as_secs_f64() >= seconds => {
                Some(Ended::Seconds(seconds))
            }
            _ => None,
        }
    }

    /// Asks one prompt; the number of its round, or why there is none.
    ///
    /// # Errors
    /// When a bound is met or the model fails; a failure is on record as a round.
    pub fn ask(&mut self, who: Who, ask: NewAsk) -> Result<usize, Ended> {
        self.ask_all(who, vec![ask]).pop().unwrap_or_else(|| Err(Ended::Stopped("nothing was asked".into())))
    }

    /// Asks several prompts as one batch; a result each.
    pub fn ask_all(&mut self, who: Who, asks: Vec<NewAsk>) -> Vec<Result<usize, Ended>> {
        if let Some(ended) = self.spent() {
            return asks.iter().map(|_| Err(ended.clone())).collect();
        }
        let left =
            self.budget.new_tokens.map(|t| t.saturating_sub(self.used_tokens).max(1) / asks.len().max(1));
        let mut prompts = Vec::with_capacity(asks.len());
        let mut rounds = Vec::with_capacity(asks.len());
        for ask in asks {
            let mut limits = ask.limits;
            if let Some(left) = left {
                limits.max_new_tokens = limits.max_new_tokens.min(left.max(1));
            }
            let mut turns = ask.follows.and_then(|n| self.trace.turns_of(n)).unwrap_or_default();
            if let Some(before) = ask.follows.and_then(|n| self.trace.rounds.get(n)) {
                turns.push(Turn::text(Role::Assistant, before.words()));
            }
            turns.extend(ask.turns.iter().cloned());
            let pictures = ask.pictures.iter().map(|p| self.enter(p)).collect();
            prompts.push(Ask { pictures: ask.pictures, turns, limits: limits.clone() });
            rounds.push(Round {
                purpose: ask.purpose,
                model: String::new(),
                follows: ask.follows,
                turns: ask.turns,
                pictures,
                limits,
                reply: None,
                said: None,
                action: None,
                error: None,
            });
        }
        let model: &mut dyn VisionLanguageModel = match (who, &mut self.models.second) {
            (Who::Second, Some(second)) => &mut **second,
            _ => &mut *self.models.first,
        };
        let name = model.info().name.clone();
        let replies = model.generate(&prompts);
        let mut out = Vec::with_capacity(rounds.len());
        for (mut round, reply) in rounds.into_iter().zip(replies) {
            round.model.clone_from(&name);
            let number = self.trace.rounds.len();
            out.push(match reply {
                Ok(reply) => {
                    self.used_tokens += reply.counts.new_tokens;
                    round.reply = Some(reply);
                    Ok(number)
                }
                Err(error) => {
                    round.error = Some(error.to_string());
                    let failure = Failure::from(error);
                    let ended = Ended::Failed(failure.reason.clone());
                    self.failure = Some(failure);
                    Err(ended)
                }
            });
            self.trace.rounds.push(round);
        }
        out
    }

    /// The reply of round `n`.
    pub fn reply(&self, n: usize) -> Option<&Reply> {
        self.trace.rounds.get(n)?.reply.as_ref()
    }

    /// The words of round `n`.
    pub fn text(&self, n: usize) -> &str {
        self.reply(n).map_or("", |r| r.text.as_str())
    }

    /// The pictures of round `n`'s ask, in order.
    pub(crate) fn pictures_of(&self, n: usize) -> Vec<Arc<Picture>> {
        let numbers = self.trace.rounds.get(n).map(|r| r.pictures.as_slice()).unwrap_or_default();
        numbers.iter().filter_map(|&p| self.pictures.get(p).cloned()).collect()
    }

    /// The record of round `n`, to add what came of it.
    pub(crate) fn round_mut(&mut self, n: usize) -> Option<&mut Round> {
        self.trace.rounds.get_mut(n)
    }

    /// Puts down the mask that the conversation whose last round is `round` led to.
    pub(crate) fn keep_mask(&mut self, round: usize, mask: Finding) {
        self.masks.push((round, mask));
    }

    /// Closes the session with an answer and the reason why it ended.
    pub(crate) fn finish(mut self, result: Result<Pass, RethinkError>) -> Result<Outcome, RethinkError> {
        // Who is out of reach has not failed: the conversation is held again another time, from its beginning.
        if let Some(failure) = self.failure.take_if(|failure| !failure.retry.is_final()) {
            return Err(RethinkError::NoReply { failure, trace: Box::new(self.trace) });
        }
        let pass = result?;
        self.trace.ended = pass.ended;
        let segmented = self.masks.into_iter().filter(|(round, _)| Some(*round) == pass.round);
        let last = pass.round.and_then(|n| self.trace.rounds.get(n)).filter(|r| r.reply.is_some());
        let last = last.or_else(|| self.trace.rounds.iter().rev().find(|r| r.reply.is_some()));
        let (Some(round), Some(mut reply)) = (last, last.and_then(|r| r.reply.clone())) else {
            let reason = match &self.trace.ended {
                Ended::Failed(reason) | Ended::Stopped(reason) => reason.clone(),
                _ => "nothing was asked".into(),
            };
            let failure = self.failure.take().unwrap_or_else(|| Failure::lasting(reason));
            return Err(RethinkError::NoReply { failure, trace: Box::new(self.trace) });
        };
        let placed = reply.findings.iter().filter_map(|found| {
            let picture = *round.pictures.get(found.picture)?;
            let origin = self.pictures.get(picture)?.origin.clone();
            Some(Finding { picture, origin, ..found.clone() })
        });
        let findings = placed.chain(segmented.map(|(_, mask)| mask)).collect();
        reply.text = pass.answer;
        (reply.counts, reply.timing) = (Counts::default(), Timing::default());
        for each in self.trace.rounds.iter().filter_map(|r| r.reply.as_ref()) {
            reply.counts += each.counts;
            reply.timing.prefill_s += each.timing.prefill_s;
            reply.timing.decode_s += each.timing.decode_s;
        }
        Ok(Outcome { reply, findings, trace: self.trace })
    }
}

/// What a pass over the question led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// The answer, or the best so far.
    pub answer: String,
    /// The round it was taken from.
    pub round: Option<usize>,
    /// Why there were no more rounds.
    pub ended: Ended,
}
