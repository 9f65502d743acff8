//! An ask on its way to a reply.

use super::architecture::PromptPicture;
use super::cache::{Key, Prefix};
use super::generate::lookup::Lookup;
use super::generate::row::Row;
use super::prompt::Prompt;
use loupe_core::model::AskId;
use loupe_core::{Picture, ReplyForm, Timing};
use std::sync::Arc;

/// An ask on its way to a reply.
pub(crate) struct Job<P> {
    pub(crate) id: AskId,
    /// Pictures of the ask, in its order.
    pub(crate) given: Vec<Arc<Picture>>,
    /// Are log-probabilities wanted?
    pub(crate) logprobs: bool,
    /// The form that the reply must have.
    pub(crate) form: Option<ReplyForm>,
    /// Most tokens of the reply.
    pub(crate) most: usize,
    pub(crate) prompt: Arc<Prompt<P>>,
    pub(crate) row: Row,
    pub(crate) lookup: Lookup,
    /// What was computed before its own tokens.
    pub(crate) prefix: Prefix,
    /// Tokens of the prompt that were computed for others or earlier.
    pub(crate) reused: usize,
    pub(crate) timing: Timing,
    /// Bytes of keys and values that are set aside for it.
    pub(crate) reserved: u64,
    /// Bytes that encoding its largest picture takes.
    pub(crate) encode_bytes: u64,
}

impl<P: PromptPicture> Job<P> {
    /// Content of the tokens whose keys and values the job's row may hold, after the prefix.
    pub(crate) fn own_keys(&self) -> impl Iterator<Item = Key> + '_ {
        let prompt = self.prompt.keys.iter().skip(self.prefix.tokens).copied();
        prompt.chain(self.row.ids.iter().map(|id| Key::from(*id)))
    }

    /// What goes into the network next: the token that was chosen last and those that may follow it.
    pub(crate) fn next_tokens(&self) -> impl Iterator<Item = u32> + '_ {
        self.row.ids.last().into_iter().chain(&self.lookup.ahead).copied()
    }

    /// How many that are.
    pub(crate) fn next_count(&self) -> usize {
        1 + self.lookup.ahead.len()
    }

    /// Their positions.
    pub(crate) fn next_positions(&self) -> impl Iterator<Item = [u32; 3]> + use<P> {
        let first = self.prompt.next + (self.row.ids.len() as u32).saturating_sub(1);
        (first..).take(self.next_count()).map(|position| [position; 3])
    }
}
