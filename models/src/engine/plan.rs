//! What to compute once for several prompts that begin alike.

use super::cache::Key;
use super::prompt::{FeatureSpan, cut};

/// Tokens of work that a shared run must save to be computed on its own.
pub(crate) const LEAST_SAVING: usize = 32;

/// A prompt as the plan reads it.
#[derive(Clone, Copy)]
pub(crate) struct PromptKeys<'a> {
    pub(crate) keys: &'a [Key],
    pub(crate) spans: &'a [FeatureSpan],
}

/// A run of a prompt's tokens to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedRun {
    /// The run that it continues, when that is not computed already.
    pub(crate) parent: Option<usize>,
    /// The prompt it is taken from.
    pub(crate) prompt: usize,
    /// Tokens `from..to` of the prompt.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Does it end the prompt? Otherwise several prompts continue it.
    pub(crate) last: bool,
}

/// Splits those of `prompts` that are `members` and share their first `from` tokens into shared runs and ends,
/// parents first.
pub(crate) fn runs(prompts: &[PromptKeys<'_>], members: &[usize], from: usize, out: &mut Vec<PlannedRun>) {
    split(prompts, members, from, None, out);
}

fn split(
    prompts: &[PromptKeys<'_>],
    members: &[usize],
    from: usize,
    parent: Option<usize>,
    out: &mut Vec<PlannedRun>,
) {
    // Branches by next token, in order of first appearance.
    let mut branches: Vec<Vec<usize>> = Vec::new();
    for &p in members {
        let next = |p: usize| prompts[p].keys.get(from);
        let same = |b: &Vec<usize>| b.first().is_some_and(|&first| next(first) == next(p));
        match branches.iter_mut().find(|b| same(b)) {
            Some(branch) => branch.push(p),
            None => branches.push(vec![p]),
        }
    }
    let mut ends = Vec::new();
    for branch in branches {
        let to = from + shared(prompts, &branch, from);
        if (to - from) * (branch.len() - 1) >= LEAST_SAVING {
            out.push(PlannedRun { parent, prompt: branch[0], from, to, last: false });
            split(prompts, &branch, to, Some(out.len() - 1), out);
        } else {
            ends.extend(branch);
        }
    }
    let end = |prompt: usize| PlannedRun { parent, prompt, from, to: prompts[prompt].keys.len(), last: true };
    out.extend(ends.into_iter().map(end));
}

/// Tokens from `from` on that all `members` share; each keeps one for itself, and features stay whole.
fn shared(prompts: &[PromptKeys<'_>], members: &[usize], from: usize) -> usize {
    let Some((&first, others)) = members.split_first() else { return 0 };
    let one = prompts[first];
    let mut n = one.keys.len().saturating_sub(from + 1);
    for &p in others {
        let other = prompts[p].keys;
        let pairs = one.keys[from..].iter().zip(&other[from..other.len() - 1]);
        n = n.min(pairs.take_while(|(a, b)| a == b).count());
    }
    members.iter().fold(from + n, |to, p| cut(prompts[*p].spans, to)).saturating_sub(from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    fn plan(prompts: &[Vec<Key>], spans: &[FeatureSpan]) -> Vec<PlannedRun> {
        let all: Vec<PromptKeys<'_>> = prompts.iter().map(|keys| PromptKeys { keys, spans }).collect();
        let mut out = Vec::new();
        runs(&all, &(0..all.len()).collect::<Vec<_>>(), 0, &mut out);
        out
    }

    #[test]
    fn one_picture_many_questions() {
        let picture: Vec<Key> = (0..250).map(|i| 1 << 100 | i).collect();
        let prompts: Vec<Vec<Key>> =
            (0..22).map(|q| picture.iter().copied().chain([7, 8, 100 + q, 9]).collect()).collect();
        let out = plan(&prompts, &[FeatureSpan { tokens: 0..250, picture: 0, first: 0 }]);
        assert_eq!(out.len(), 23);
        assert_eq!((out[0].from, out[0].to, out[0].last), (0, 252, false));
        assert!(out[1..].iter().all(|r| r.parent == Some(0) && (r.from, r.to) == (252, 254) && r.last));
    }

    #[test]
    fn features_are_never_cut() {
        // The last token of the picture is the end of the second prompt, which keeps a token for itself.
        let picture: Vec<Key> = (0..100).map(|i| 1 << 100 | i).collect();
        let prompts = [[vec![5; 60], picture.clone(), vec![1]].concat(), [vec![5; 60], picture].concat()];
        let out = plan(&prompts, &[FeatureSpan { tokens: 60..160, picture: 0, first: 0 }]);
        assert_eq!((out[0].from, out[0].to, out[0].last), (0, 60, false));
        assert!(out[1..].iter().all(|r| r.from == 60 && r.last));
    }

    #[test]
    fn short_overlaps_are_not_split() {
        let prompts: Vec<Vec<Key>> = (0..3).map(|q| vec![1, 2, 3, q + 10, 5]).collect();
        assert!(plan(&prompts, &[]).iter().all(|r| r.parent.is_none() && r.from == 0 && r.last));
    }

    proptest! {
        #[test]
        fn every_prompt_is_covered_exactly_once(
            prompts in proptest::collection::vec(proptest::collection::vec(0u128..2, 1..90), 1..8)
        ) {
            let out = plan(&prompts, &[]);
            for (p, keys) in prompts.iter().enumerate() {
                let mut run = out.iter().find(|r| r.last && r.prompt == p).unwrap();
                prop_assert_eq!(run.to, keys.len());
                prop_assert!(run.from < run.to);
                while let Some(parent) = run.parent {
                    let next = &out[parent];
                    prop_assert_eq!(next.to, run.from);
                    prop_assert_eq!(&prompts[next.prompt][next.from..next.to], &keys[next.from..next.to]);
                    run = next;
                }
                prop_assert_eq!(run.from, 0);
            }
        }
    }
}
