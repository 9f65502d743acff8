//! Speculative decoding (arXiv 2211.17192) without a second model: tokens that were looked up for a reply run through the network together
//! with the token before them, and are kept as far as they are what is chosen anyway.
//!
//! Every token is chosen from its own logits, one after the other, so that draws, penalties, stop strings and limits are those of plain
//! decoding. What was proposed wrongly is never chosen from, and its keys and values are given up.

use super::architecture::Architecture;
use super::job::Job;
use super::serve::Engine;
use super::work::Work;
use crate::layers::kv::GROWTH;
use loupe_core::model::Go;
use loupe_core::{ModelError, ReplySink};

/// Tokens of a step, one a reply and what is proposed, from which on more cost as much as they can save: reading the weights is then no longer
/// what takes the time.
const TOKENS_CPU: usize = 16;
const TOKENS_DEVICE: usize = 128;

impl<A: Architecture> Engine<A> {
    /// Lets the replies in work propose tokens, as far as that is faster and memory is left. Returns how many there are.
    pub(super) fn look_up(&self, work: &mut Work<A::Picture>) -> usize {
        let mut rows = work.rows();
        if self.lookup == 0 || rows == 0 {
            return 0;
        }
        let taken = work.bytes(&self.budget) + self.cache.bytes();
        let step = self.budget.step(self.budget.step_tokens, rows);
        let mut free = self.budget.limit.saturating_sub(taken + step);
        let most = if self.is_cpu { TOKENS_CPU } else { TOKENS_DEVICE };
        // Most of a step stays for prompts.
        let mut room = most.min(self.budget.step_tokens / 4).saturating_sub(rows);
        let mut proposed = 0;
        for live in &mut work.live {
            // Tokens of one row are holes in the others, until these are moved together.
            let holes = match live.jobs.len() {
                1 => 0,
                n => self.budget.kv(n * (GROWTH + self.lookup)),
            };
            let before = proposed;
            for job in &mut live.jobs {
                let fit = free.saturating_sub(holes) / self.budget.row_logits().max(1);
                let left = job.most.saturating_sub(job.row.ids.len() + 1);
                let share = room.div_ceil(rows).min(left).min(usize::try_from(fit).unwrap_or(usize::MAX));
                job.lookup.propose(&job.prompt.keys, &job.row.ids, &self.ends, share);
                let ahead = job.lookup.ahead.len();
                free = free.saturating_sub(self.budget.row_logits() * ahead as u64);
                (rows, room, proposed) = (rows - 1, room - ahead, proposed + ahead);
            }
            free = free.saturating_sub(if proposed > before { holes } else { 0 });
        }
        proposed
    }

    /// The next tokens of a row, one for each line of logits, as long as what was proposed is what is chosen. Returns how many of the tokens
    /// that the row was given in this step hold; fails when nobody wants the reply any more.
    pub(super) fn take_tokens(
        &self,
        job: &mut Job<A::Picture>,
        logits: &[Vec<f32>],
        replies: &mut dyn ReplySink,
    ) -> Result<usize, ModelError> {
        let (mut taken, mut accepted) = (0, 0);
        for (n, line) in logits.iter().enumerate() {
            self.take_token(job, line, replies)?;
            taken += 1;
            let is_right = job.lookup.ahead.get(n).is_some_and(|id| job.row.ids.last() == Some(id));
            accepted += usize::from(is_right);
            if !is_right || job.row.stop.is_some() {
                break;
            }
        }
        job.lookup.settle(accepted);
        Ok(taken)
    }

    /// The next token of a row; fails when nobody wants the reply any more.
    fn take_token(
        &self,
        job: &mut Job<A::Picture>,
        logits: &[f32],
        replies: &mut dyn ReplySink,
    ) -> Result<(), ModelError> {
        if job.row.stop.is_some() {
            return Ok(());
        }
        let piece = job.row.take(logits, &self.ends, &self.tokens)?;
        match replies.piece(job.id, &piece) {
            Go::On => Ok(()),
            Go::Stop => Err(ModelError::Cancelled),
        }
    }
}
