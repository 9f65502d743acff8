//! Text to tokens and back. What the caller wrote is literal: only the template's own special
//! tokens are special.

use crate::LoadError;
use crate::checkpoint::Checkpoint;
use loupe_core::words::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use tokenizers::Tokenizer;

/// Put inside special tokens that the caller wrote, taken out again before tokenising. A Unicode
/// noncharacter, so no text has it; one that comes anyway is dropped.
const MARK: char = '\u{10FFFE}';

/// The checkpoint's tokenizer.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    /// Special tokens with their ids, longest first.
    special: Vec<(String, u32)>,
    vocab: usize,
    /// Of tokenizer.json, in hexadecimal.
    pub(crate) sha256: String,
}

impl Tokens {
    /// Reads tokenizer.json; `vocab` is the number of rows of the embedding table.
    pub(crate) fn read(checkpoint: &Checkpoint, vocab: usize) -> Result<Self, LoadError> {
        const FILE: &str = "tokenizer.json";
        let failed = |problem: String| LoadError::File { file: FILE.into(), problem };
        let bytes = checkpoint.need_bytes(FILE)?;
        let sha256 = hex(&Sha256::digest(&bytes));
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| failed(e.to_string()))?;
        tokenizer.set_encode_special_tokens(true);
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| failed(e.to_string()))?;
        let added = tokenizer.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, t)| t.special && !t.content.is_empty());
        let mut special: Vec<(String, u32)> = special.map(|(id, t)| (t.content.clone(), *id)).collect();
        special.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
        if let Some((token, id)) = special.iter().find(|(_, id)| *id as usize >= vocab) {
            return Err(failed(format!(
                "token {token:?} has id {id}, but the embedding table has {vocab} rows"
            )));
        }
        Ok(Self { tokenizer, special, vocab, sha256 })
    }

    /// `text` with every special token in it made unrecognisable.
    pub(crate) fn protect(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (at, c) in text.char_indices().filter(|(_, c)| *c != MARK) {
            out.push(c);
            // Also where the text ends within a token, which the next part could complete.
            let rest = &text[at..];
            if self
                .special
                .iter()
                .any(|(token, _)| rest.starts_with(token.as_str()) || token.starts_with(rest))
            {
                out.push(MARK);
            }
        }
        out
    }

    /// Tokens of rendered text: special tokens as themselves, the runs between as plain text.
    pub(crate) fn encode(&self, rendered: &str) -> Result<Vec<u32>, String> {
        let mut ids = Vec::new();
        let mut plain = String::new();
        let mut rest = rendered;
        while let Some(first) = rest.chars().next() {
            if let Some((token, id)) = self.special.iter().find(|(t, _)| rest.starts_with(t.as_str())) {
                self.plain(&mut plain, &mut ids)?;
                ids.push(*id);
                rest = &rest[token.len()..];
                continue;
            }
            if first != MARK {
                plain.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
        self.plain(&mut plain, &mut ids)?;
        Ok(ids)
    }

    fn plain(&self, text: &mut String, ids: &mut Vec<u32>) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let encoded = self.tokenizer.encode_fast(text.as_str(), false).map_err(|e| e.to_string())?;
        if let Some(id) = encoded.get_ids().iter().find(|id| **id as usize >= self.vocab) {
            return Err(format!("token {id} is outside the model's vocabulary of {}", self.vocab));
        }
        ids.extend_from_slice(encoded.get_ids());
        text.clear();
        Ok(())
    }

    /// Text of `ids`. Special tokens are left out; `keep` are those that a box dialect is made of.
    pub(crate) fn decode(&self, ids: &[u32], keep_special: bool) -> Result<String, String> {
        self.tokenizer.decode(ids, !keep_special).map_err(|e| e.to_string())
    }

    /// The id of a token.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Ids that end a reply, as `generate` decides: generation_config.json, else config.json, else
    /// the tokenizer's end token.
    pub(crate) fn end_tokens(
        &self,
        checkpoint: &Checkpoint,
        config: &Value,
    ) -> Result<BTreeSet<u32>, LoadError> {
        let ids = |value: Option<&Value>| -> Option<BTreeSet<u32>> {
            let value = value.filter(|v| !v.is_null())?;
            let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
            Some(list.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok()).collect())
        };
        const EOS: &str = "eos_token_id";
        let generation = checkpoint.json("generation_config.json")?;
        let found = ids(generation.as_ref().and_then(|g| g.get(EOS)))
            .or_else(|| ids(config.get("text_config").and_then(|t| t.get(EOS))))
            .or_else(|| ids(config.get(EOS)));
        if let Some(found) = found {
            return Ok(found);
        }
        let tokenizer = checkpoint.json("tokenizer_config.json")?.unwrap_or(Value::Null);
        let name = tokenizer.get("eos_token").and_then(|t| t.as_str().or_else(|| t.get("content")?.as_str()));
        Ok(name.and_then(|n| self.id(n)).into_iter().collect())
    }
}
