//! The next token from logits, with the semantics of `transformers`' logits processors: repetition
//! penalty, then temperature, top-k, top-p.

use super::rules::{Rules, penalise};
use crate::layers::all_finite;
use crate::random::SplitMix;
use loupe_core::{GenerationLimits, ModelError, Sampling, TokenLogprob};
use std::borrow::Cow;
use std::collections::HashSet;

/// Chooses tokens for one reply.
pub(crate) struct Sampler {
    sampling: Sampling,
    penalty: f64,
    logprobs: Option<usize>,
    seen: HashSet<u32>,
    random: SplitMix,
    ruled: Option<Ruled>,
}

/// A reply that rules hold for.
struct Ruled {
    rules: Rules,
    /// What was said, with the token that started it.
    sequence: Vec<u32>,
    longest: usize,
}

/// A chosen token.
pub(crate) struct Chosen {
    pub(crate) id: u32,
    pub(crate) logprob: Option<TokenLogprob>,
}

impl Sampler {
    /// Checks the settings; `prompt` counts as seen.
    pub(crate) fn new(limits: &GenerationLimits, prompt: &[u32]) -> Result<Self, ModelError> {
        let bad = |setting: &'static str, problem: String| Err(ModelError::Setting { setting, problem });
        let penalty = limits.repetition_penalty.unwrap_or(1.0);
        if !(penalty > 0.0 && penalty.is_finite()) {
            return bad("repetition_penalty", format!("must be above 0, got {penalty}"));
        }
        let mut seed = 0;
        if let Sampling::Random { temperature, top_p, seed: given, .. } = limits.sampling {
            seed = given;
            if !(temperature > 0.0 && temperature.is_finite()) {
                return bad("temperature", format!("must be above 0, got {temperature}; use greedy for 0"));
            }
            if !(top_p > 0.0 && top_p <= 1.0) {
                return bad("top_p", format!("must be above 0 and at most 1, got {top_p}"));
            }
        }
        let seen = if penalty == 1.0 { HashSet::new() } else { prompt.iter().copied().collect() };
        Ok(Self {
            sampling: limits.sampling,
            penalty,
            logprobs: limits.logprobs,
            seen,
            random: SplitMix(seed),
            ruled: None,
        })
    }

    /// With rules for a reply that begins with `start` and has `longest` tokens at most, that one included.
    pub(crate) fn with_rules(self, rules: Rules, start: u32, longest: usize) -> Self {
        Self { ruled: Some(Ruled { rules, sequence: vec![start], longest }), ..self }
    }

    /// The next token.
    ///
    /// # Errors
    /// When nothing can be read out of the logits.
    pub(crate) fn next(&mut self, logits: &[f32]) -> Result<Chosen, ModelError> {
        readable(logits)?;
        let mut scores = Cow::Borrowed(logits);
        if self.penalty != 1.0 {
            penalise(scores.to_mut(), &self.seen, self.penalty);
        }
        if let Some(Ruled { rules, sequence, longest }) = &self.ruled {
            rules.apply(sequence, *longest, scores.to_mut());
        }
        let id = match self.sampling {
            Sampling::Greedy => largest(&scores),
            Sampling::Random { temperature, top_k, top_p, .. } => {
                draw(&scores, temperature, top_k, top_p, self.random.unit())
            }
        };
        if self.penalty != 1.0 {
            self.seen.insert(id);
        }
        if let Some(ruled) = &mut self.ruled {
            ruled.sequence.push(id);
        }
        Ok(Chosen { id, logprob: self.logprobs.map(|k| logprob(logits, id, k)) })
    }
}

/// Can anything be read out of these logits? Not where one is not finite, and not where all are equal: then numbers grew so large on
/// the way that a norm divided everything by infinity, and a token would be chosen all the same.
pub(crate) fn readable(logits: &[f32]) -> Result<(), ModelError> {
    if logits.is_empty() || !all_finite(logits) {
        return Err(ModelError::NotFinite("logits"));
    }
    match logits.len() > 1 && logits.iter().all(|l| *l == logits[0]) {
        true => Err(ModelError::EqualLogits),
        false => Ok(()),
    }
}

/// The first of the largest; none is NaN.
fn largest(scores: &[f32]) -> u32 {
    let (body, tail) = scores.as_chunks::<16>();
    let mut most = [f32::NEG_INFINITY; 16];
    for part in body {
        most.iter_mut().zip(part).for_each(|(m, s)| *m = if *s > *m { *s } else { *m });
    }
    let most = most.iter().chain(tail).fold(f32::NEG_INFINITY, |m, s| m.max(*s));
    scores.iter().position(|s| *s == most).unwrap_or(0) as u32
}

/// Indices from the largest score down; equal scores in order of index.
pub(crate) fn ranked(scores: &[f32], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let by = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    if most < order.len() && most > 0 {
        order.select_nth_unstable_by(most - 1, by);
        order.truncate(most);
    }
    order.sort_unstable_by(by);
    order
}

fn draw(scores: &[f32], temperature: f64, top_k: usize, top_p: f64, unit: f64) -> u32 {
    let most = if top_k == 0 { scores.len() } else { top_k };
    let order = ranked(scores, most);
    let top = order.first().map_or(0.0, |i| f64::from(scores[*i]));
    let weights: Vec<f64> =
        order.iter().map(|i| ((f64::from(scores[*i]) - top) / temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    // A token stays when those likelier than it hold less than top_p (`TopPLogitsWarper`).
    let mut kept = 0;
    let mut before = 0.0;
    for w in &weights {
        if kept > 0 && before >= top_p * total {
            break;
        }
        before += w;
        kept += 1;
    }
    let mut left = unit * before;
    for (i, w) in order.iter().zip(&weights).take(kept) {
        left -= w;
        if left < 0.0 {
            return *i as u32;
        }
    }
    order.get(kept.saturating_sub(1)).copied().unwrap_or(0) as u32
}

/// The log-probability of a token, and of the `most` likeliest.
pub(crate) fn logprob(logits: &[f32], id: u32, most: usize) -> TokenLogprob {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - top).exp()).sum();
    let norm = f64::from(top) + sum.ln();
    let of = |i: usize| (f64::from(logits[i]) - norm) as f32;
    let list = if most == 0 { Vec::new() } else { ranked(logits, most) };
    TokenLogprob { id, logprob: of(id as usize), top: list.into_iter().map(|i| (i as u32, of(i))).collect() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    const SCORES: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(largest(&SCORES), 1);
        for (length, at) in [(16, 15), (37, 36), (40, 3), (33, 32), (5, 0)] {
            let mut scores = vec![-2.0f32; length];
            scores[at..].fill(7.5);
            assert_eq!(largest(&scores), at as u32, "{length}");
        }
        assert_eq!(largest(&[f32::NEG_INFINITY; 3]), 0, "rules may leave nothing");
        assert_eq!(ranked(&SCORES, 3), [1, 3, 2]);
    }

    #[test]
    fn filters_leave_what_transformers_leaves() {
        // softmax of SCORES ≈ 0.049, 0.362, 0.133, 0.362, 0.007 (shares of the draw below)
        let all = |k, p| -> Vec<u32> {
            let mut ids: Vec<u32> =
                (0..2000).map(|i| draw(&SCORES, 1.0, k, p, f64::from(i) / 2000.0)).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        assert_eq!(all(0, 1.0), [0, 1, 2, 3, 4]);
        assert_eq!(all(2, 1.0), [1, 3]);
        assert_eq!(all(1, 1.0), [1]);
        assert_eq!(all(0, 0.3), [1]);
        assert_eq!(all(0, 0.7), [1, 3]);
        assert_eq!(all(0, 0.8), [1, 2, 3]);
        assert_eq!(all(3, 1e-9), [1]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let n = 20_000;
        let hits = (0..n).filter(|i| draw(&SCORES, 0.5, 0, 1.0, f64::from(*i) / f64::from(n)) == 2).count();
        let weights: Vec<f64> = SCORES.iter().map(|s| (f64::from(*s) / 0.5).exp()).collect();
        let share = weights[2] / weights.iter().sum::<f64>();
        assert!((hits as f64 / f64::from(n) - share).abs() < 1e-3);
    }

    #[test]
    fn penalty_divides_positive_and_multiplies_negative() {
        let limits = GenerationLimits { repetition_penalty: Some(2.0), ..GenerationLimits::default() };
        let mut sampler = Sampler::new(&limits, &[1, 3]).unwrap();
        assert_eq!(sampler.next(&SCORES).unwrap().id, 2);
        assert_eq!(sampler.next(&SCORES).unwrap().id, 1);
    }

    #[test]
    fn numbers_that_are_not_finite_are_no_choice() {
        let random = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 1 };
        for sampling in [Sampling::Greedy, random] {
            let limits = GenerationLimits { sampling, ..GenerationLimits::default() };
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let found = Sampler::new(&limits, &[]).unwrap().next(&[1.0, bad, 2.0]).err();
                assert_eq!(found, Some(ModelError::NotFinite("logits")));
            }
            assert!(Sampler::new(&limits, &[]).unwrap().next(&[]).is_err());
            let found = Sampler::new(&limits, &[]).unwrap().next(&[0.0; 5]).err();
            assert_eq!(found, Some(ModelError::EqualLogits));
            assert!(Sampler::new(&limits, &[]).unwrap().next(&[1.0, -3.0e38]).is_ok());
        }
    }

    #[test]
    fn logprobs_are_of_the_unfiltered_distribution() {
        let p = logprob(&SCORES, 2, 2);
        let total: f32 = SCORES.iter().map(|s| s.exp()).sum();
        assert!((p.logprob - (SCORES[2].exp() / total).ln()).abs() < 1e-6);
        assert_eq!(p.top.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn senseless_settings_are_refused() {
        let random = |temperature, top_p| Sampling::Random { temperature, top_k: 0, top_p, seed: 1 };
        for sampling in [random(0.0, 1.0), random(f64::NAN, 1.0), random(1.0, 0.0), random(1.0, 1.5)] {
            assert!(
                Sampler::new(&GenerationLimits { sampling, ..GenerationLimits::default() }, &[]).is_err()
            );
        }
        let limits = GenerationLimits { repetition_penalty: Some(0.0), ..GenerationLimits::default() };
        assert!(Sampler::new(&limits, &[]).is_err());
    }
}
