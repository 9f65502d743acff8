//! What to compute once for several prompts that begin alike.

use crate::engine::cache::Key;

/// Tokens of work that a shared run must save to be computed on its own.
const LEAST_SAVING: usize = 32;

/// A run of a prompt's tokens to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The run that it continues, when that is not stored already.
    pub(crate) parent: Option<usize>,
    /// The prompt it is taken from.
    pub(crate) prompt: usize,
    /// Tokens `from..to` of the prompt.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Does it end the prompt? Otherwise several prompts continue it.
    pub(crate) last: bool,
}

/// Splits prompts that share their first `from` tokens into shared runs and ends, parents first.
pub(crate) fn runs(keys: &[&[Key]], prompts: &[usize], from: usize, out: &mut Vec<Run>) {
    split(keys, prompts, from, None, out);
}

fn split(keys: &[&[Key]], prompts: &[usize], from: usize, parent: Option<usize>, out: &mut Vec<Run>) {
    // Branches by next token, in order of first appearance.
    let mut branches: Vec<Vec<usize>> = Vec::new();
    for &p in prompts {
        let same =
            |b: &Vec<usize>| b.first().is_some_and(|&first| keys[first].get(from) == keys[p].get(from));
        match branches.iter_mut().find(|b| same(b)) {
            Some(branch) => branch.push(p),
            None => branches.push(vec![p]),
        }
    }
    let mut ends = Vec::new();
    for branch in branches {
        let to = from + shared(keys, &branch, from);
        if (to - from) * (branch.len() - 1) >= LEAST_SAVING {
            let run = Run { parent, prompt: branch[0], from, to, last: false };
            out.push(run);
            split(keys, &branch, to, Some(out.len() - 1), out);
        } else {
            ends.extend(branch);
        }
    }
    let end = |prompt: usize| Run { parent, prompt, from, to: keys[prompt].len(), last: true };
    out.extend(ends.into_iter().map(end));
}

/// Tokens from `from` on that all `prompts` share; each keeps one for itself.
fn shared(keys: &[&[Key]], prompts: &[usize], from: usize) -> usize {
    let Some((&first, others)) = prompts.split_first() else { return 0 };
    let mut n = keys[first].len().saturating_sub(from + 1);
    for &p in others {
        let pairs = keys[first][from..].iter().zip(&keys[p][from..keys[p].len() - 1]);
        n = n.min(pairs.take_while(|(a, b)| a == b).count());
    }
    n
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    fn plan(prompts: &[Vec<Key>]) -> Vec<Run> {
        let keys: Vec<&[Key]> = prompts.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        runs(&keys, &(0..keys.len()).collect::<Vec<_>>(), 0, &mut out);
        out
    }

    #[test]
    fn one_picture_many_questions() {
        let picture: Vec<Key> = (0..250).map(|i| 1 << 100 | i).collect();
        let prompts: Vec<Vec<Key>> =
            (0..22).map(|q| picture.iter().copied().chain([7, 8, 100 + q, 9]).collect()).collect();
        let out = plan(&prompts);
        assert_eq!(out.len(), 23);
        assert_eq!((out[0].from, out[0].to, out[0].last), (0, 252, false));
        assert!(out[1..].iter().all(|r| r.parent == Some(0) && (r.from, r.to) == (252, 254) && r.last));
    }

    #[test]
    fn short_overlaps_are_not_split() {
        let prompts: Vec<Vec<Key>> = (0..3).map(|q| vec![1, 2, 3, q + 10, 5]).collect();
        assert!(plan(&prompts).iter().all(|r| r.parent.is_none() && r.from == 0 && r.last));
    }

    proptest! {
        #[test]
        fn every_prompt_is_covered_exactly_once(
            prompts in proptest::collection::vec(proptest::collection::vec(0u128..2, 1..90), 1..8)
        ) {
            let out = plan(&prompts);
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
