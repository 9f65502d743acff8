//! What a sequence may go on with, whatever the model would say: the processors of `transformers` that checkpoints of
//! encoder–decoders switch on.

use std::collections::BTreeSet;

/// Rules about the next token. The default forbids nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// No run of so many tokens comes twice (`NoRepeatNGramLogitsProcessor`); 0 for no such rule.
    pub(crate) no_repeat: usize,
    /// The first token behind the one that starts a reply (`ForcedBOSTokenLogitsProcessor`).
    pub(crate) first: Option<u32>,
    /// What the last token that there is room for must be one of (`ForcedEOSTokenLogitsProcessor`).
    pub(crate) last: BTreeSet<u32>,
}

impl Rules {
    /// Bars tokens by a score of −∞; a token that is forced has 0. `sequence` is the reply so far with the token that
    /// started it, `longest` how long it may become.
    pub(crate) fn apply(&self, sequence: &[u32], longest: usize, scores: &mut [f32]) {
        let n = self.no_repeat;
        if n > 0 && sequence.len() + 1 >= n {
            let end = &sequence[sequence.len() + 1 - n..];
            for run in sequence.windows(n) {
                let (begin, next) = run.split_at(n - 1);
                if let (true, Some(score)) =
                    (begin == end, next.first().and_then(|t| scores.get_mut(*t as usize)))
                {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
        if let (Some(first), 1) = (self.first, sequence.len()) {
            force(scores, |token| token == first);
        }
        if !self.last.is_empty() && sequence.len() + 1 == longest {
            force(scores, |token| self.last.contains(&token));
        }
    }
}

fn force(scores: &mut [f32], forced: impl Fn(u32) -> bool) {
    for (token, score) in scores.iter_mut().enumerate() {
        *score = if forced(token as u32) { 0.0 } else { f32::NEG_INFINITY };
    }
}

/// Makes tokens that were seen less likely (`RepetitionPenaltyLogitsProcessor`).
pub(crate) fn penalise<'a>(scores: &mut [f32], seen: impl IntoIterator<Item = &'a u32>, penalty: f64) {
    for id in seen {
        if let Some(score) = scores.get_mut(*id as usize) {
            let v = f64::from(*score);
            *score = if v < 0.0 { v * penalty } else { v / penalty } as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn open(rules: &Rules, sequence: &[u32], longest: usize) -> Vec<usize> {
        let mut scores = [0.5f32; 6];
        rules.apply(sequence, longest, &mut scores);
        scores.iter().enumerate().filter(|(_, s)| s.is_finite()).map(|(i, _)| i).collect()
    }

    #[test]
    fn runs_come_once() {
        let rules = Rules { no_repeat: 3, ..Rules::default() };
        assert_eq!(open(&rules, &[2, 1, 3, 4, 1, 3], 99), [0, 1, 2, 3, 5]);
        // The token that starts a reply counts.
        assert_eq!(open(&rules, &[2, 1, 3, 2, 1], 99), [0, 1, 2, 4, 5]);
        assert_eq!(open(&rules, &[2], 99).len(), 6);
        // Of one token: none twice.
        assert_eq!(open(&Rules { no_repeat: 1, ..Rules::default() }, &[2, 5], 99), [0, 1, 3, 4]);
    }

    #[test]
    fn ends_are_forced() {
        let rules = Rules { no_repeat: 0, first: Some(0), last: BTreeSet::from([2]) };
        assert_eq!(open(&rules, &[2], 9), [0]);
        assert_eq!(open(&rules, &[2, 0], 9).len(), 6);
        assert_eq!(open(&rules, &[2, 0, 1], 4), [2]);
        // Where there is room for one token alone, it is the last.
        assert_eq!(open(&rules, &[2], 2), [2]);
    }
}
