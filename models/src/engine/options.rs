//! Options whose probabilities are wanted instead of a reply in words.

use super::generate::sampling::readable;
use loupe_core::{Ask, ModelError, OptionScore, OptionScores};
use std::collections::BTreeMap;

/// Most options of an ask.
const MOST: usize = 256;

/// A way to write an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spelling {
    /// Which of the options.
    pub(crate) option: usize,
    /// Its tokens, at least one.
    pub(crate) ids: Vec<u32>,
}

/// The options of an ask; none when it is to be answered in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// As they were given.
    texts: Vec<String>,
    pub(crate) spellings: Vec<Spelling>,
}

impl Options {
    /// The options of `ask`; `tokens` gives those of a text behind the prompt. An option of several letters counts with its first letter
    /// large and small.
    ///
    /// # Errors
    /// When there are too few, two are the same, or one has no tokens.
    pub(crate) fn read(
        ask: &Ask,
        tokens: impl Fn(&str) -> Result<Vec<u32>, ModelError>,
    ) -> Result<Self, ModelError> {
        let texts = ask.limits.options.clone().unwrap_or_default();
        let wrong = |problem: String| ModelError::Setting { setting: "options", problem };
        if texts.is_empty() {
            return Ok(Self::default());
        }
        if texts.len() < 2 || texts.len() > MOST {
            return Err(wrong(format!("there are {}; give 2 to {MOST}", texts.len())));
        }
        // As they were given comes first: "yes" and "Yes" may be two options.
        let written = texts.iter().cloned().enumerate();
        let others = texts.iter().enumerate().filter_map(|(i, text)| Some((i, other_case(text)?)));
        let mut known: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        let mut spellings = Vec::new();
        for (number, (option, text)) in written.chain(others).enumerate() {
            let ids = tokens(&text)?;
            if ids.is_empty() {
                return Err(wrong(format!("option {} is empty", option + 1)));
            }
            if let Some(first) = known.get(&ids) {
                if number < texts.len() {
                    return Err(wrong(format!("options {} and {} are the same", first + 1, option + 1)));
                }
                continue;
            }
            known.insert(ids.clone(), option);
            spellings.push(Spelling { option, ids });
        }
        Ok(Self { texts, spellings })
    }

    /// Is a reply in words wanted?
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Tokens of the longest.
    pub(crate) fn longest(&self) -> usize {
        self.spellings.iter().map(|s| s.ids.len()).max().unwrap_or(0)
    }

    /// Spellings of more than one token, which need the model once more.
    pub(crate) fn long(&self) -> impl Iterator<Item = &Spelling> {
        self.spellings.iter().filter(|s| s.ids.len() > 1)
    }

    /// Probabilities of the options from the log-probabilities of their spellings, in order. A reply that goes on to a longer option is
    /// not one that begins with the shorter: it counts for the longer alone.
    pub(crate) fn scores(&self, logprobs: &[f64]) -> OptionScores {
        let largest = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let largest = if largest.is_finite() { largest } else { 0.0 };
        let all: Vec<(&Spelling, f64)> =
            self.spellings.iter().zip(logprobs).map(|(s, l)| (s, (l - largest).exp())).collect();
        let mut sums = vec![0f64; self.texts.len()];
        for (spelling, p) in &all {
            sums[spelling.option] += p;
            // The longest spelling that this one continues.
            let shorter = all.iter().filter(|(other, _)| {
                other.ids.len() < spelling.ids.len() && spelling.ids.starts_with(&other.ids)
            });
            if let Some((within, _)) = shorter.max_by_key(|(other, _)| other.ids.len()) {
                sums[within.option] -= p;
            }
        }
        // Differences of nearly equal numbers.
        sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
        let total: f64 = sums.iter().sum();
        let share = |sum: f64| if total > 0.0 { sum / total } else { 1.0 / sums.len() as f64 };
        let each = self.texts.iter().zip(&sums);
        OptionScores {
            mass: (total * largest.exp()).min(1.0),
            each: each
                .map(|(text, sum)| OptionScore { text: text.clone(), probability: share(*sum) })
                .collect(),
        }
    }
}

/// The same with its first letter in the other case; nothing where there is none, or for a single letter, which is the name of a choice.
fn other_case(text: &str) -> Option<String> {
    let mut letters = text.chars();
    let first = letters.next()?;
    let rest = letters.as_str();
    if rest.is_empty() {
        return None;
    }
    let other: String =
        if first.is_uppercase() { first.to_lowercase().collect() } else { first.to_uppercase().collect() };
    (!other.starts_with(first)).then(|| other + rest)
}

/// Log-probabilities of tokens, in double precision.
///
/// # Errors
/// When nothing can be read out of the logits.
pub(crate) fn logprobs(logits: &[f32], ids: impl Iterator<Item = u32>) -> Result<Vec<f64>, ModelError> {
    readable(logits)?;
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - top).exp()).sum();
    let total = f64::from(top) + sum.ln();
    let of = |id| logits.get(id as usize).map_or(f64::NEG_INFINITY, |l| f64::from(*l) - total);
    Ok(ids.map(of).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use loupe_core::GenerationLimits;

    fn read(options: &[&str]) -> Result<Options, ModelError> {
        let options = Some(options.iter().map(|o| (*o).to_owned()).collect());
        let limits = GenerationLimits { options, ..GenerationLimits::default() };
        let ask = Ask { pictures: Vec::new(), turns: Vec::new(), limits };
        // A token a letter.
        Options::read(&ask, |text| Ok(text.chars().map(u32::from).collect()))
    }

    #[test]
    fn an_option_counts_with_its_first_letter_large_and_small() {
        let options = read(&["yes", "No", "A", "a", "42"]).unwrap();
        let written: Vec<(usize, String)> = options
            .spellings
            .iter()
            .map(|s| (s.option, s.ids.iter().map(|id| char::from_u32(*id).unwrap()).collect()))
            .collect();
        let wanted = [(0, "yes"), (1, "No"), (2, "A"), (3, "a"), (4, "42"), (0, "Yes"), (1, "no")];
        assert_eq!(written, wanted.map(|(option, text)| (option, text.to_owned())));
        // Told apart by nothing but their first letter.
        let both = read(&["yes", "Yes"]).unwrap();
        assert_eq!(both.spellings.len(), 2);
    }

    #[test]
    fn options_that_cannot_be_told_apart_are_refused() {
        for (options, problem) in [
            (&["yes"][..], "there are 1; give 2 to 256"),
            (&["yes", ""], "option 2 is empty"),
            (&["yes", "no", "yes"], "options 1 and 3 are the same"),
        ] {
            let error = read(options).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn what_goes_on_to_a_longer_option_does_not_count_for_the_shorter() {
        let options = read(&["left", "left lung", "5", "50"]).unwrap();
        // Tokens are letters; first letters count in both cases.
        let of = |text: &str| -> f64 {
            match text {
                "left" => 0.5,
                "left lung" => 0.2,
                "5" => 0.3,
                "50" => 0.1,
                "Left" => 0.08,
                "Left lung" => 0.02,
                other => panic!("{other}"),
            }
        };
        let logprobs: Vec<f64> = options
            .spellings
            .iter()
            .map(|s| of(&s.ids.iter().map(|id| char::from_u32(*id).unwrap()).collect::<String>()).ln())
            .collect();
        let scores = options.scores(&logprobs);
        assert!((scores.mass - 0.88).abs() < 1e-12);
        let wanted = [0.36, 0.22, 0.2, 0.1];
        for (score, wanted) in scores.each.iter().zip(wanted) {
            assert!((score.probability - wanted / 0.88).abs() < 1e-12, "{score:?}");
        }
        assert_eq!(scores.best().unwrap().text, "left");
        assert!((scores.each.iter().map(|s| s.probability).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn very_improbable_options_keep_their_shares() {
        let options = read(&["1", "2"]).unwrap();
        let scores = options.scores(&[-2000.0, -2000.0 - 3f64.ln()]);
        assert_eq!(scores.mass, 0.0);
        assert!((scores.each[0].probability - 0.75).abs() < 1e-12);
        let logits = [1.0f32, 2.0, 0.5];
        let all: f64 = logprobs(&logits, 0..3).unwrap().iter().map(|l| l.exp()).sum();
        assert!((all - 1.0).abs() < 1e-12);
    }
}
