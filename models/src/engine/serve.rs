//! The engine: pulls asks while it has room, computes what they share once, and hands each reply over when
//! it is done.
//!
//! One step after the other (`step.rs`) computes the next token of every reply in work together with some of
//! the prompts that are still to be computed, so that replies leave and asks join at any step. What a reply
//! says does not depend on its company.

use super::architecture::{Architecture, Network};
use super::cache::PrefixCache;
use super::memory::Budget;
use super::work::Work;
use crate::chat::template::ChatTemplate;
use crate::chat::tokens::Tokens;
use crate::networks::decoder::Decoder;
use loupe_core::model::{AskSource, Next, Vocabulary};
use loupe_core::{ModelInfo, ReplySink, VisionLanguageModel};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// A loaded model of any family.
pub(crate) struct Engine<A> {
    pub(super) arch: A,
    pub(super) tokens: Tokens,
    pub(super) template: ChatTemplate,
    pub(super) ends: BTreeSet<u32>,
    /// The checkpoint's own, for asks that give none.
    pub(super) repetition_penalty: f64,
    pub(super) info: ModelInfo,
    pub(super) cache: PrefixCache,
    pub(super) budget: Budget,
    /// Most asks in work.
    pub(super) rows: usize,
    pub(super) is_cpu: bool,
    /// Most tokens that are looked up for a reply at a time; 0 for plain decoding.
    pub(super) lookup: usize,
    /// Where the ask that was answered last is dumped. Then one ask is in work at a time, and nothing is
    /// shared.
    pub(super) dump: Option<PathBuf>,
}

impl<A: Architecture> Engine<A> {
    /// What makes the text.
    pub(super) fn decoder(&self) -> &Decoder {
        let Network::Decoder(decoder) = self.arch.network();
        decoder
    }

    /// Takes asks while there is room. False when there will be no more.
    fn pull(
        &mut self,
        asks: &mut dyn AskSource,
        work: &mut Work<A::Picture>,
        replies: &mut dyn ReplySink,
    ) -> bool {
        while work.asks() < self.rows {
            let idle = work.asks() == 0;
            match asks.next(idle) {
                Next::Ask(id, ask) => match self.prepare(id, &ask) {
                    Ok(job) => work.queue.push_back(job),
                    Err(error) => replies.done(id, Err(error)),
                },
                Next::NotYet => break,
                Next::NoMore => return false,
            }
        }
        true
    }
}

impl<A: Architecture> VisionLanguageModel for Engine<A> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn vocabulary(&self) -> Option<Arc<dyn Vocabulary>> {
        Some(Arc::new(self.tokens.vocabulary()))
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut work = Work::new();
        let mut more = true;
        loop {
            more = more && self.pull(asks, &mut work, replies);
            if work.asks() == 0 {
                if more {
                    continue;
                }
                return;
            }
            self.admit(&mut work, replies);
            self.step(&mut work, replies);
        }
    }
}
