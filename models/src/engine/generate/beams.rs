//! Beam search as `generate` of `transformers` does it (`_beam_search` of version 5), in the same number type and order
//! of operations: the same sequences with the same scores.

use super::rules::{Rules, penalise};
use super::sampling::{logprob, ranked, readable};
use loupe_core::{ModelError, TokenLogprob};
use std::collections::BTreeSet;

/// Stands for "never chosen" in sums, as in `transformers`.
const NEVER: f32 = -1.0e9;
/// Most sequences that are followed.
pub(crate) const MOST_BEAMS: usize = 64;

/// When a search ends before the longest reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum EarlyStop {
    /// When no running sequence is better than the worst complete one, at the length it has now.
    #[default]
    Likely,
    /// When there are as many complete sequences as beams.
    Full,
    /// When no running sequence could become better, at any length.
    Certain,
}

/// How sequences are followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BeamSettings {
    /// Sequences followed at a time.
    pub(crate) beams: usize,
    /// The sum of log-probabilities is divided by the length to this power.
    pub(crate) length_penalty: f64,
    pub(crate) early_stop: EarlyStop,
}

/// What is the same in every step of a search.
#[derive(Debug, Clone)]
pub(crate) struct SearchRules {
    pub(crate) settings: BeamSettings,
    pub(crate) rules: Rules,
    pub(crate) ends: BTreeSet<u32>,
    pub(crate) repetition_penalty: f64,
    /// Most tokens of a reply.
    pub(crate) most: usize,
    /// As [`loupe_core::GenerationLimits::logprobs`].
    pub(crate) logprobs: Option<usize>,
}

/// A sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beam {
    /// Its tokens, after the one that starts a reply.
    pub(crate) ids: Vec<u32>,
    /// What the search chose by: the sum of log-probabilities of a running sequence, of a complete one that divided
    /// by the length to the penalty.
    pub(crate) score: f32,
    /// What each token added to the sum; 0 for one that was forced.
    pub(crate) added: Vec<f32>,
    pub(crate) logprobs: Vec<TokenLogprob>,
    is_complete: bool,
}

/// A sequence with one more token.
struct Candidate {
    parent: usize,
    token: u32,
    score: f32,
    added: f32,
    ends: bool,
}

/// A search for the reply to one prompt.
pub(crate) struct BeamSearch {
    how: SearchRules,
    start: u32,
    running: Vec<Beam>,
    best: Vec<Beam>,
    /// Could a running sequence become better than the complete ones?
    can_improve: bool,
    is_over: bool,
}

/// Sequences to go on with: the number each has among those before, and its new token.
pub(crate) struct Onward {
    pub(crate) parents: Vec<u32>,
    pub(crate) tokens: Vec<u32>,
}

impl BeamSearch {
    /// A search whose sequences begin with `start`, which is the first token to compute for every row.
    pub(crate) fn new(how: SearchRules, start: u32) -> Self {
        let beams = how.settings.beams;
        // At first all sequences are the same: only one of them counts.
        let running = (0..beams).map(|n| Beam { score: if n == 0 { 0.0 } else { NEVER }, ..Beam::default() });
        let best = vec![Beam { score: NEVER, ..Beam::default() }; beams];
        Self { running: running.collect(), best, how, start, can_improve: true, is_over: false }
    }

    /// Sequences that are followed.
    pub(crate) fn width(&self) -> usize {
        self.how.settings.beams
    }

    /// The best sequence, once the search is over.
    pub(crate) fn result(&self) -> Option<&Beam> {
        self.best.first().filter(|best| self.is_over && best.is_complete)
    }

    /// Takes the logits after the last token of each running sequence; the sequences to go on with, or `None` when
    /// the search is over.
    ///
    /// # Errors
    /// When a logit is not finite: a reply chosen from such numbers would mean nothing.
    pub(crate) fn advance(&mut self, logits: &[Vec<f32>]) -> Result<Option<Onward>, ModelError> {
        let BeamSettings { beams, .. } = self.how.settings;
        let keep = 2.max(1 + self.how.ends.len()) * beams;
        let mut scores: Vec<(f32, f32)> = Vec::new();
        let mut vocab = 0;
        for (beam, logits) in self.running.iter().zip(logits) {
            vocab = logits.len();
            scores.extend(self.scored(beam, logits)?.into_iter().map(|added| (added + beam.score, added)));
        }
        let sums: Vec<f32> = scores.iter().map(|(sum, _)| *sum).collect();
        // The longest reply is over whatever its last token.
        let length = self.running.first().map_or(0, |beam| beam.ids.len()) + 1;
        let is_full = length >= self.how.most;
        let candidate = |at: usize| {
            let (token, (score, added)) = ((at % vocab.max(1)) as u32, scores[at]);
            let ends = is_full || self.how.ends.contains(&token);
            Candidate { parent: at / vocab.max(1), token, score, added, ends }
        };
        let candidates: Vec<Candidate> = ranked(&sums, keep).into_iter().map(candidate).collect();
        let best = self.merged(&candidates, length, logits);
        // Those that go on: complete ones are pushed behind the others.
        let pushed: Vec<f32> =
            candidates.iter().map(|c| if c.ends { c.score + NEVER } else { c.score }).collect();
        let chosen: Vec<(&Candidate, f32)> =
            ranked(&pushed, beams).into_iter().map(|n| (&candidates[n], pushed[n])).collect();
        let onward = Onward {
            parents: chosen.iter().map(|(c, _)| c.parent as u32).collect(),
            tokens: chosen.iter().map(|(c, _)| c.token).collect(),
        };
        let running = chosen.iter().map(|(c, score)| Beam { score: *score, ..self.longer(c, logits) });
        self.running = running.collect();
        self.best = best;
        let is_ended = candidates.iter().all(|c| c.ends);
        self.is_over = is_ended || !self.goes_on(length);
        Ok((!self.is_over).then_some(onward))
    }

    /// Log-probabilities of the next tokens, processed.
    fn scored(&self, beam: &Beam, logits: &[f32]) -> Result<Vec<f32>, ModelError> {
        readable(logits)?;
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let norm = logits.iter().map(|l| f64::from(l - most).exp()).sum::<f64>().ln() as f32;
        let mut scores: Vec<f32> = logits.iter().map(|l| (l - most) - norm).collect();
        let sequence: Vec<u32> = std::iter::once(self.start).chain(beam.ids.iter().copied()).collect();
        if self.how.repetition_penalty != 1.0 {
            let seen: BTreeSet<u32> = sequence.iter().copied().collect();
            penalise(&mut scores, &seen, self.how.repetition_penalty);
        }
        self.how.rules.apply(&sequence, self.how.most + 1, &mut scores);
        Ok(scores)
    }

    /// The sequence of a candidate.
    fn longer(&self, candidate: &Candidate, logits: &[Vec<f32>]) -> Beam {
        let mut beam = self.running.get(candidate.parent).cloned().unwrap_or_default();
        beam.ids.push(candidate.token);
        beam.added.push(candidate.added);
        beam.score = candidate.score;
        if let (Some(count), Some(logits)) = (self.how.logprobs, logits.get(candidate.parent)) {
            beam.logprobs.push(logprob(logits, candidate.token, count));
        }
        beam
    }

    /// The best complete sequences with those that are complete now.
    fn merged(&self, candidates: &[Candidate], length: usize, logits: &[Vec<f32>]) -> Vec<Beam> {
        let BeamSettings { beams, length_penalty, early_stop } = self.how.settings;
        let divisor = (length as f64).powf(length_penalty) as f32;
        let is_full = early_stop == EarlyStop::Full && self.best.iter().all(|b| b.is_complete);
        let closed = u8::from(is_full) + u8::from(!self.can_improve);
        let score = |(n, c): (usize, &Candidate)| {
            // Only what is among the best counts; the others are there so that enough sequences go on.
            let complete = c.ends && n < beams;
            let never = closed + u8::from(!complete);
            ((0..never).fold(c.score / divisor, |score, _| score + NEVER), complete)
        };
        let new: Vec<(f32, bool)> = candidates.iter().enumerate().map(score).collect();
        let all: Vec<f32> = self.best.iter().map(|b| b.score).chain(new.iter().map(|(s, _)| *s)).collect();
        let take = |at: usize| match at.checked_sub(self.best.len()) {
            None => self.best[at].clone(),
            Some(n) => {
                let (score, is_complete) = new[n];
                Beam { score, is_complete, ..self.longer(&candidates[n], logits) }
            }
        };
        ranked(&all, beams).into_iter().map(take).collect()
    }

    /// Is it worth going on, with sequences of `length` tokens?
    fn goes_on(&mut self, length: usize) -> bool {
        let BeamSettings { length_penalty, early_stop, .. } = self.how.settings;
        let hoped = match early_stop {
            EarlyStop::Certain if length_penalty > 0.0 => self.how.most,
            _ => length,
        };
        let divisor = (hoped as f64).powf(length_penalty) as f32;
        let possible = self.running.first().map_or(NEVER, |beam| beam.score) / divisor;
        let worst = self.best.iter().map(|b| b.score).fold(f32::INFINITY, f32::min);
        let better = self.best.iter().any(|b| possible > if b.is_complete { worst } else { NEVER });
        self.can_improve = self.can_improve && better;
        let full = early_stop == EarlyStop::Full && self.best.iter().all(|b| b.is_complete);
        self.can_improve && !full
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn search(rules: Rules, most: usize) -> BeamSearch {
        let settings = BeamSettings { beams: 2, length_penalty: 1.0, early_stop: EarlyStop::Likely };
        let ends = BTreeSet::from([0]);
        let how = SearchRules { settings, rules, ends, repetition_penalty: 1.0, most, logprobs: None };
        BeamSearch::new(how, 0)
    }

    /// Logits of these probabilities.
    fn of(shares: [f32; 4]) -> Vec<f32> {
        shares.iter().map(|p| p.ln()).collect()
    }

    #[test]
    fn the_likeliest_sequence_need_not_begin_with_the_likeliest_token() {
        let mut search = search(Rules::default(), 9);
        let first = of([0.1, 0.5, 0.4, 1e-9]);
        let onward = search.advance(&[first.clone(), first]).unwrap().unwrap();
        assert_eq!((onward.parents, onward.tokens), (vec![0, 0], vec![1, 2]));
        // After 1 all is open, after 2 the end is certain.
        let open = of([0.25, 0.2501, 0.25, 0.2499]);
        search.advance(&[open.clone(), of([1.0, 1e-9, 1e-9, 1e-9])]).unwrap();
        for _ in 0..7 {
            if search.result().is_none() {
                search.advance(&[open.clone(), open.clone()]).unwrap();
            }
        }
        let best = search.result().unwrap();
        assert_eq!(best.ids, [2, 0]);
        assert!((best.score - 0.4f32.ln() / 2.0).abs() < 1e-6, "{}", best.score);
        assert_eq!(best.added.len(), 2);
    }

    #[test]
    fn the_longest_sequence_is_complete_whatever_its_last_token() {
        let mut search = search(Rules::default(), 1);
        let logits = of([0.1, 0.2, 0.3, 0.4]);
        assert!(search.advance(&[logits.clone(), logits]).unwrap().is_none());
        assert_eq!(search.result().unwrap().ids, [3]);
    }

    #[test]
    fn numbers_that_are_not_finite_are_no_choice() {
        let mut search = search(Rules::default(), 5);
        let found = search.advance(&[vec![0.0, f32::NAN], vec![0.0, 0.0]]).err();
        assert_eq!(found, Some(ModelError::NotFinite("logits")));
        let mut search = self::search(Rules::default(), 5);
        let equal = search.advance(&[vec![1.0; 4], vec![1.0; 4]]).err();
        assert_eq!(equal, Some(ModelError::EqualLogits), "as when tokens are drawn one by one");
    }
}
