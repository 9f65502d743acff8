//! One reply while it is generated.

use super::rules::Rules;
use super::sampling::Sampler;
use super::stream::TextStream;
use crate::chat::tokens::Tokens;
use loupe_core::{GenerationLimits, ModelError, Stop, TokenLogprob};
use std::collections::BTreeSet;

/// One reply while it is generated.
pub(crate) struct Row {
    sampler: Sampler,
    limits: GenerationLimits,
    stream: TextStream,
    /// Generated tokens; the end token is the last one when it was met.
    pub(crate) ids: Vec<u32>,
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// Set when the reply is over.
    pub(crate) stop: Option<Stop>,
    /// Bytes of decoded text that are settled, and how many tokens they came from.
    settled: (String, usize),
    room: usize,
}

impl Row {
    /// A reply to a prompt of these tokens; `room` tokens are left in the model's context.
    pub(crate) fn new(limits: &GenerationLimits, prompt: &[u32], room: usize) -> Result<Self, ModelError> {
        let mut row = Self {
            sampler: Sampler::new(limits, prompt)?,
            limits: limits.clone(),
            stream: TextStream::default(),
            ids: Vec::new(),
            logprobs: Vec::new(),
            stop: None,
            settled: (String::new(), 0),
            room,
        };
        row.check_length();
        Ok(row)
    }

    /// With rules about the next token, in a model whose replies begin with the token `start`.
    pub(crate) fn with_rules(mut self, rules: Rules, start: u32) -> Self {
        let longest = 1 + self.limits.max_new_tokens.min(self.room);
        self.sampler = self.sampler.with_rules(rules, start, longest);
        self
    }

    fn check_length(&mut self) {
        if self.ids.len() >= self.limits.max_new_tokens {
            self.stop = Some(Stop::Length);
        } else if self.ids.len() >= self.room {
            self.stop = Some(Stop::ContextFull);
        }
    }

    /// Takes the next token from `logits`; returns the piece of text that became certain.
    pub(crate) fn take(
        &mut self,
        logits: &[f32],
        ends: &BTreeSet<u32>,
        tokens: &Tokens,
    ) -> Result<String, ModelError> {
        let chosen = self.sampler.next(logits)?;
        self.ids.push(chosen.id);
        if ends.contains(&chosen.id) {
            self.stop = Some(Stop::EndOfTurn);
            return Ok(self.stream.finish());
        }
        self.logprobs.extend(chosen.logprob);
        let whole = self.decode(tokens)?;
        let (piece, stopped) = self.stream.update(&whole, &self.limits.stop, tokens.is_open(&self.ids));
        if stopped {
            self.stop = Some(Stop::StopString);
            return Ok(piece);
        }
        self.check_length();
        Ok(if self.stop.is_some() { piece + &self.stream.finish() } else { piece })
    }

    /// The text so far. Only the last tokens are decoded again: earlier ones are settled once the
    /// text after them does not end within a character.
    fn decode(&mut self, tokens: &Tokens) -> Result<String, ModelError> {
        /// Tokens of context that settled text keeps, because decoders look back.
        const LOOK_BACK: usize = 8;
        let failed = ModelError::Compute;
        let (_, count) = self.settled;
        let start = count.saturating_sub(LOOK_BACK);
        let before = tokens.decode(&self.ids[start..count], false).map_err(failed)?;
        let all = tokens.decode(&self.ids[start..], false).map_err(failed)?;
        let Some(new) = all.strip_prefix(before.as_str()) else {
            return tokens.decode(&self.ids, false).map_err(failed);
        };
        let whole = format!("{}{new}", self.settled.0);
        let is_open = whole.ends_with(char::REPLACEMENT_CHARACTER) || tokens.is_open(&self.ids);
        if !new.is_empty() && !is_open {
            self.settled = (whole.clone(), self.ids.len());
        }
        Ok(whole)
    }

    /// Generated tokens without the end token.
    pub(crate) fn reply_ids(&self) -> &[u32] {
        let end = usize::from(self.stop == Some(Stop::EndOfTurn));
        &self.ids[..self.ids.len().saturating_sub(end)]
    }

    /// The words.
    pub(crate) fn text(&self) -> &str {
        self.stream.text()
    }
}
