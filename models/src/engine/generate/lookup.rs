//! Prompt look-up (Saxena 2023, `prompt_lookup_num_tokens` of transformers): where the last tokens of a reply stood before, in its prompt
//! or in the reply, those that followed there may follow here.

use crate::engine::cache::Key;
use std::collections::BTreeSet;

/// Fewest tokens that must have stood together before.
const LEAST: usize = 2;
/// Of two places, the one where more tokens are the same counts, up to so many.
const COMPARED: usize = 16;
/// Tokens that a reply proposes the first time.
const FIRST: usize = 4;
/// Steps that a reply proposes nothing in at most, after proposals of which nothing was right.
const LONGEST_PAUSE: usize = 32;

/// What a reply proposes, and how well it did so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookup {
    /// Most tokens proposed at a time; 0 for none ever.
    most: usize,
    /// Tokens to propose next.
    next: usize,
    /// Steps in which nothing is proposed, from here on and after the next failure.
    wait: usize,
    pause: usize,
    /// Tokens that may follow the last one, in the step at hand.
    pub(crate) ahead: Vec<u32>,
    /// Tokens proposed so far, and those of them that were chosen.
    pub(crate) proposed: usize,
    pub(crate) accepted: usize,
}

impl Lookup {
    /// At most `most` tokens at a time.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, next: FIRST.min(most), pause: 1, ..Self::default() }
    }

    /// Looks up what may follow, at most `room` tokens and none of `ends` or behind.
    pub(crate) fn propose(&mut self, prompt: &[Key], reply: &[u32], ends: &BTreeSet<u32>, room: usize) {
        self.ahead.clear();
        if self.wait > 0 {
            self.wait -= 1;
            return;
        }
        let most = self.next.min(room);
        if most == 0 {
            return;
        }
        let Some(from) = followed(prompt, reply) else { return };
        for at in from..from + most {
            let length = prompt.len() + reply.len();
            // What repeats itself goes on with what was just proposed.
            let key = if at < length { key(prompt, reply, at) } else { Key::from(self.ahead[at - length]) };
            // Features of pictures are no tokens.
            match u32::try_from(key) {
                Ok(id) if !ends.contains(&id) => self.ahead.push(id),
                _ => break,
            }
        }
    }

    /// So many of what was proposed were chosen.
    pub(crate) fn settle(&mut self, accepted: usize) {
        let proposed = std::mem::take(&mut self.ahead).len();
        self.proposed += proposed;
        self.accepted += accepted;
        if proposed == 0 {
            return;
        }
        if accepted == 0 {
            self.wait = self.pause;
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            self.next = (self.next / 2).max(1);
        } else {
            self.pause = (self.pause / 2).max(1);
            self.next = if accepted == proposed { 2 * self.next } else { accepted + 1 }.min(self.most);
        }
    }
}

/// Token `at` of prompt and reply.
fn key(prompt: &[Key], reply: &[u32], at: usize) -> Key {
    prompt.get(at).copied().unwrap_or_else(|| Key::from(reply[at - prompt.len()]))
}

/// Where the last tokens stood before, the place behind them: of the places with the most tokens in common the last; nothing where none has
/// [`LEAST`].
fn followed(prompt: &[Key], reply: &[u32]) -> Option<usize> {
    let length = prompt.len() + reply.len();
    let mut best = (LEAST - 1, None);
    for end in (LEAST..length).rev() {
        let same = |n: &usize| key(prompt, reply, end - 1 - n) == key(prompt, reply, length - 1 - n);
        let common = (0..end.min(COMPARED)).take_while(same).count();
        if common > best.0 {
            best = (common, Some(end));
            if common == COMPARED {
                break;
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn proposed(lookup: &mut Lookup, prompt: &[Key], reply: &[u32], room: usize) -> Vec<u32> {
        lookup.propose(prompt, reply, &BTreeSet::from([0]), room);
        lookup.ahead.clone()
    }

    fn first(prompt: &[Key], reply: &[u32]) -> Vec<u32> {
        proposed(&mut Lookup::new(FIRST), prompt, reply, 99)
    }

    #[test]
    fn what_followed_the_longest_repetition_is_proposed() {
        // 7 8 stood twice; behind 6 it is the first place that counts, else the later one.
        let prompt = [6, 7, 8, 1, 2, 5, 7, 8, 3, 4];
        assert_eq!(first(&prompt, &[6, 7, 8]), [1, 2, 5, 7]);
        assert_eq!(first(&prompt, &[9, 7, 8]), [3, 4, 9, 7]);
        // Across the end of the prompt, and in the reply alone.
        assert_eq!(first(&[1, 2], &[3, 4, 1, 2]), [3, 4, 1, 2]);
        assert_eq!(first(&[], &[5, 6, 7, 5, 6]), [7, 5, 6, 7]);
        // One token is too little, and so is nothing.
        assert_eq!(first(&prompt, &[9, 8]), [] as [u32; 0]);
        assert_eq!(first(&[], &[]), [] as [u32; 0]);
        assert_eq!(first(&[1], &[]), [] as [u32; 0]);
    }

    #[test]
    fn ends_and_pictures_are_not_proposed() {
        let picture = 1 << 90;
        assert_eq!(first(&[1, 2, 3, 0, 5, 6], &[1, 2]), [3]);
        assert_eq!(first(&[1, 2, 3, picture, 5, 6], &[1, 2]), [3]);
        assert_eq!(first(&[1, 2, picture, 5], &[1, 2]), [] as [u32; 0]);
        assert_eq!(proposed(&mut Lookup::new(8), &[1, 2, 3, 4, 5], &[1, 2], 2), [3, 4]);
        assert_eq!(proposed(&mut Lookup::new(8), &[1, 2, 3, 4, 5], &[1, 2], 0), [] as [u32; 0]);
        assert_eq!(proposed(&mut Lookup::new(0), &[1, 2, 3, 4, 5], &[1, 2], 9), [] as [u32; 0]);
    }

    #[test]
    fn who_is_right_proposes_more_and_who_is_wrong_waits() {
        let mut lookup = Lookup::new(8);
        let mut sizes = Vec::new();
        for accepted in [4, 8, 8, 2, 3] {
            sizes.push(proposed(&mut lookup, &[], &[1; 9], 99).len());
            lookup.settle(accepted);
        }
        assert_eq!(sizes, [4, 8, 8, 8, 3]);
        assert_eq!((lookup.proposed, lookup.accepted), (31, 25));
        // Always wrong: of 1000 steps few propose, and little each.
        let mut lookup = Lookup::new(8);
        let mut tokens = 0;
        for _ in 0..1000 {
            tokens += proposed(&mut lookup, &[], &[1; 9], 99).len();
            lookup.settle(0);
        }
        assert!((30..50).contains(&tokens), "{tokens}");
        // And right again.
        while proposed(&mut lookup, &[], &[1; 9], 99).is_empty() {
            lookup.settle(0);
        }
        let mut sizes = vec![];
        for _ in 0..5 {
            let ahead = proposed(&mut lookup, &[], &[1; 9], 99).len();
            sizes.push(ahead);
            lookup.settle(ahead);
        }
        assert_eq!(sizes, [1, 2, 4, 8, 8]);
    }
}
