//! What it took to fill a run.

use loupe_core::Counts;
use std::fmt;

/// What a call of [`crate::run`] took. Never part of anything that must be reproducible.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Effort {
    /// Replies that were made.
    pub replies: usize,
    /// Seconds from the first question to the last reply, loading not included.
    pub seconds: f64,
    /// Of these, seconds in which the model had nothing to do because images were still being decoded.
    pub waited_s: f64,
    /// Tokens of the prompts of these replies, of several rounds the last; and of the prompts of items that failed behind a reply.
    pub prompt_tokens: usize,
    /// Those among them that were computed for another question or earlier.
    pub reused_tokens: usize,
    /// Tokens of the replies, those of items that failed behind one included.
    pub new_tokens: usize,
    /// Tokens that prompt look-up proposed for them.
    pub proposed_tokens: usize,
    /// Proposed tokens that were generated.
    pub accepted_tokens: usize,
}

impl Effort {
    /// Counts the tokens of an item, which is a reply where it did not fail.
    pub(crate) fn add(&mut self, counts: &Counts, failed: bool) {
        self.replies += usize::from(!failed);
        self.prompt_tokens += counts.prompt_tokens;
        self.reused_tokens += counts.reused_tokens;
        self.new_tokens += counts.new_tokens;
        self.proposed_tokens += counts.proposed_tokens;
        self.accepted_tokens += counts.accepted_tokens;
    }

    /// Replies a minute.
    pub fn samples_per_minute(&self) -> f64 {
        60.0 * self.replies as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Tokens a second that went through the model: of prompts, as far as they were computed, and of replies.
    pub fn tokens_per_second(&self) -> f64 {
        let computed = self.prompt_tokens.saturating_sub(self.reused_tokens) + self.new_tokens;
        computed as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Share of the prompts' tokens that were reused; nothing where the model does not count.
    pub fn reused_share(&self) -> Option<f64> {
        (self.prompt_tokens > 0).then(|| self.reused_tokens as f64 / self.prompt_tokens as f64)
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} replies in {:.1} s: ", self.replies, self.seconds)?;
        write!(f, "{:.1} samples/min", self.samples_per_minute())?;
        if let Some(share) = self.reused_share() {
            let percent = 100.0 * share;
            write!(f, ", {:.1} tokens/s, {percent:.0} % of prompt tokens reused", self.tokens_per_second())?;
        }
        if self.proposed_tokens > 0 {
            let (right, all) = (self.accepted_tokens, self.proposed_tokens);
            let new = self.new_tokens;
            write!(f, ", {right} of {new} reply tokens looked up ({all} proposed)")?;
        }
        write!(f, ", {:.1} s waiting for images", self.waited_s)?;
        if let Some(bytes) = peak_memory() {
            write!(f, ", peak memory {} MiB", bytes >> 20)?;
        }
        Ok(())
    }
}

/// Most bytes that this process had in memory so far; `None` where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_was_computed() {
        let mut effort = Effort { seconds: 30.0, waited_s: 1.5, ..Effort::default() };
        for reused_tokens in [0, 90] {
            let counts = Counts { prompt_tokens: 100, reused_tokens, new_tokens: 5, ..Counts::default() };
            effort.add(&counts, false);
        }
        assert_eq!((effort.samples_per_minute(), effort.tokens_per_second()), (4.0, 4.0));
        assert_eq!(effort.reused_share(), Some(0.45));
        let words = effort.to_string();
        let wanted = "2 replies in 30.0 s: 4.0 samples/min, 4.0 tokens/s, 45 % of prompt tokens reused, 1.5 s waiting for images";
        assert!(words.starts_with(wanted), "{words}");
        effort.add(&Counts { prompt_tokens: 60, ..Counts::default() }, true);
        assert_eq!((effort.replies, effort.tokens_per_second()), (2, 6.0));
        let counts = Counts { new_tokens: 20, proposed_tokens: 16, accepted_tokens: 12, ..Counts::default() };
        effort.add(&counts, false);
        let words = effort.to_string();
        assert!(words.contains(" reused, 12 of 30 reply tokens looked up (16 proposed), 1.5 s"), "{words}");
        // A model that does not count.
        let bare = Effort { replies: 1, seconds: 60.0, ..Effort::default() };
        assert!(bare.to_string().starts_with("1 replies in 60.0 s: 1.0 samples/min, 0.0 s waiting"));
    }
}
