//! What a figure is worth: the accuracy of answers that never look at a picture.

use loupe_core::{Sample, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Accuracies without a model, over the samples of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Number of samples.
    pub n: u64,
    /// Guessing among what the question offers: the mean of one over the number of options, a half for
    /// yes or no; none for open questions.
    pub chance: Option<f64>,
    /// Always the answer that is most frequent in the set.
    pub commonest: Option<f64>,
}

/// The baselines of a set's closed, open and multiple-choice questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// Questions whose `answer_type` is `closed`.
    pub closed: Baseline,
    /// Other questions with words for an answer.
    pub open: Baseline,
    /// Questions with options.
    pub choice: Baseline,
}

#[derive(Default)]
struct Tally {
    n: u64,
    chance: f64,
    of: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, answer: String, chance: f64) {
        self.n += 1;
        self.chance += chance;
        *self.of.entry(answer).or_default() += 1;
    }

    fn end(&self, guessed: bool) -> Baseline {
        let share = |part: f64| (self.n > 0).then(|| part / self.n as f64);
        Baseline {
            n: self.n,
            chance: share(self.chance).filter(|_| guessed),
            commonest: share(self.of.values().copied().max().unwrap_or(0) as f64),
        }
    }
}

impl Baselines {
    /// All kinds together, each by its own commonest answer; chance where every kind has one.
    pub fn all(&self) -> Baseline {
        let kinds: Vec<&Baseline> =
            [&self.closed, &self.open, &self.choice].into_iter().filter(|kind| kind.n > 0).collect();
        let n: u64 = kinds.iter().map(|kind| kind.n).sum();
        let mean = |of: fn(&Baseline) -> Option<f64>| {
            let sum: Option<f64> = kinds.iter().map(|kind| Some(of(kind)? * kind.n as f64)).sum();
            sum.filter(|_| n > 0).map(|sum| sum / n as f64)
        };
        Baseline { n, chance: mean(|kind| kind.chance), commonest: mean(|kind| kind.commonest) }
    }
}

/// Gathers one sample at a time.
#[derive(Default)]
pub(crate) struct BaselineTally {
    closed: Tally,
    open: Tally,
    choice: Tally,
}

impl BaselineTally {
    /// Counts a sample; one whose reference is neither words nor a letter changes nothing.
    pub(crate) fn add(&mut self, sample: &Sample) {
        match &sample.target {
            Target::Choice(letter) if !sample.choices.is_empty() => {
                self.choice.add(letter.to_string(), 1.0 / sample.choices.len() as f64);
            }
            Target::Choices(letters) if !sample.choices.is_empty() => {
                // Any set of options but the empty one.
                let sets = 2f64.powi(i32::try_from(sample.choices.len()).unwrap_or(i32::MAX)) - 1.0;
                self.choice.add(letters.iter().collect(), 1.0 / sets);
            }
            Target::Text(_) => {
                let Some(answer) = sample.target.text() else { return };
                let is_closed =
                    sample.tag("answer_type").is_some_and(|t| t.trim().eq_ignore_ascii_case("closed"));
                let tally = if is_closed { &mut self.closed } else { &mut self.open };
                tally.add(answer.trim().to_lowercase(), 0.5);
            }
            _ => {}
        }
    }

    pub(crate) fn finish(&self) -> Baselines {
        Baselines { closed: self.closed.end(true), open: self.open.end(false), choice: self.choice.end(true) }
    }
}

/// Counts over `samples`; those whose reference is neither words nor a letter are left out.
pub fn baselines<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Baselines {
    let mut tally = BaselineTally::default();
    samples.into_iter().for_each(|sample| tally.add(sample));
    tally.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use loupe_core::Choice;

    fn sample(target: Target, options: usize, closed: bool) -> Sample {
        let choices =
            ('A'..).take(options).map(|letter| Choice { letter, text: letter.to_string() }).collect();
        let kind = if closed { "CLOSED" } else { "OPEN" };
        Sample {
            id: String::new(),
            media: Vec::new(),
            question: String::new(),
            choices,
            target,
            group: String::new(),
            tags: [("answer_type".to_owned(), kind.to_owned())].into(),
            language: "en".to_owned(),
        }
    }

    #[test]
    fn chance_and_the_commonest_answer_are_counted_by_kind() {
        let text = |words: &str| Target::Text(vec![words.to_owned()]);
        let samples = [
            sample(text("yes"), 0, true),
            sample(text("Yes "), 0, true),
            sample(text("no"), 0, true),
            sample(text("left"), 0, false),
            sample(Target::Choice('B'), 2, false),
            sample(Target::Choice('B'), 4, false),
            sample(Target::Choice('A'), 4, false),
            sample(Target::Unknown, 0, false),
        ];
        let found = baselines(&samples);
        assert_eq!(found.closed, Baseline { n: 3, chance: Some(0.5), commonest: Some(2.0 / 3.0) });
        assert_eq!(found.open, Baseline { n: 1, chance: None, commonest: Some(1.0) });
        assert_eq!(found.choice, Baseline { n: 3, chance: Some(1.0 / 3.0), commonest: Some(2.0 / 3.0) });
        assert_eq!(baselines([]).closed, Baseline::default());
        assert_eq!(found.all(), Baseline { n: 7, chance: None, commonest: Some(5.0 / 7.0) });
        assert_eq!(baselines(&samples[4..7]).all(), found.choice);
        assert_eq!(baselines([]).all(), Baseline::default());
    }
}
