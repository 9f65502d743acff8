//! The vocabulary of a GGUF file as tokenizer.json: byte-level BPE as Qwen2 has it.

use super::keys::Keys;
use crate::chat::vocabulary::disguises;
use crate::error::LoadError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const TOKENS: &str = "tokenizer.ggml.tokens";
const MERGES: &str = "tokenizer.ggml.merges";
const TYPES: &str = "tokenizer.ggml.token_type";
/// `LLAMA_TOKEN_TYPE_CONTROL`, `_USER_DEFINED` and `_UNUSED`.
const CONTROL: u64 = 3;
const ADDED: u64 = 4;
const UNUSED: u64 = 5;
/// How Qwen2 cuts a text into words (`PRETOKENIZE_REGEX` of `tokenization_qwen2.py`).
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The tokens of a file.
pub(crate) struct GgufTokens<'a> {
    keys: &'a Keys<'a>,
    tokens: Vec<&'a str>,
    types: Vec<u64>,
}

impl<'a> GgufTokens<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// When they are missing, of a kind that is not read, or do not fit together.
    pub(crate) fn read(keys: &'a Keys<'a>) -> Result<Self, LoadError> {
        const MODEL: &str = "tokenizer.ggml.model";
        const SPLIT: &str = "tokenizer.ggml.pre";
        const BEGIN: &str = "tokenizer.ggml.add_bos_token";
        for (key, read) in [(MODEL, "gpt2"), (SPLIT, "qwen2")] {
            let found = keys.text(key)?;
            if found != read {
                return Err(
                    keys.bad(key, &format!("{found:?} is not read from GGUF files, only {read:?} is"))
                );
            }
        }
        if keys.flag(BEGIN)? {
            return Err(keys.bad(BEGIN, "true, but texts of these models begin without a token"));
        }
        let tokens = keys.texts(TOKENS)?;
        let types: Option<Vec<u64>> = keys.list(TYPES)?.iter().map(Value::as_u64).collect();
        let types = types.filter(|types| types.len() == tokens.len());
        let types = types.ok_or_else(|| keys.bad(TYPES, "not a number for every token"))?;
        let own = Self { keys, tokens, types };
        let mut seen = BTreeSet::new();
        if let Some((_, token, _)) = own.used().find(|(_, token, _)| !seen.insert(*token)) {
            return Err(keys.bad(TOKENS, &format!("{token:?} is there twice")));
        }
        // A text would lose the bytes that are no token.
        let missing = disguises().into_keys().filter(|c| !seen.contains(c.to_string().as_str())).count();
        match missing {
            0 => Ok(own),
            some => Err(keys.bad(
                TOKENS,
                &format!("{some} of the 256 bytes are no tokens, so that texts cannot be read: the vocabulary is a placeholder, or of another kind"),
            )),
        }
    }

    /// Number, token and type of those that are not there for filling alone.
    fn used(&self) -> impl Iterator<Item = (usize, &'a str, u64)> + use<'_, 'a> {
        let all = self.tokens.iter().zip(&self.types).enumerate();
        all.filter(|(_, (_, kind))| **kind != UNUSED).map(|(id, (token, kind))| (id, *token, *kind))
    }

    /// The number of a token.
    pub(crate) fn id(&self, token: &str) -> Option<usize> {
        self.used().find(|(_, own, _)| *own == token).map(|(id, _, _)| id)
    }

    /// The token whose number is under a key, when there is one.
    pub(crate) fn named(&self, key: &str) -> Result<Option<(usize, &'a str)>, LoadError> {
        let Some(value) = self.keys.get(key) else { return Ok(None) };
        let id = value.as_u64().and_then(|id| usize::try_from(id).ok());
        let found = id.and_then(|id| Some((id, *self.tokens.get(id)?)));
        found.map(Some).ok_or_else(|| self.keys.bad(key, "not the number of a token"))
    }

    /// tokenizer.json.
    ///
    /// # Errors
    /// When a merge is none of two tokens to a third.
    pub(crate) fn to_json(&self) -> Result<Value, LoadError> {
        let vocab: Map<String, Value> =
            self.used().map(|(id, token, _)| (token.to_owned(), id.into())).collect();
        let merges = self.keys.texts(MERGES)?;
        let pair = |merge: &&str| -> Option<Value> {
            let (left, right) = merge.split_once(' ')?;
            let known = [left, right, &format!("{left}{right}")].iter().all(|part| vocab.contains_key(*part));
            known.then(|| json!([left, right]))
        };
        let pairs: Option<Vec<Value>> = merges.iter().map(pair).collect();
        let pairs = pairs.ok_or_else(|| self.keys.bad(MERGES, "not each of two tokens that make a third"))?;
        let added = self.used().filter(|(_, _, kind)| [CONTROL, ADDED].contains(kind));
        let added = added.map(|(id, token, kind)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": kind == CONTROL,
            })
        });
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false });
        Ok(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": { "type": "NFC" },
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
                { "type": "Split", "pattern": { "Regex": QWEN2 }, "behavior": "Isolated", "invert": false },
                bytes,
            ] },
            "post_processor": bytes,
            "decoder": bytes,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocab, "merges": pairs,
            },
        }))
    }

    /// Numbers of the tokens that end a reply: those that the file names, and as llama.cpp does those that end a turn or a
    /// text by their name.
    pub(crate) fn ends(&self) -> Result<BTreeSet<usize>, LoadError> {
        let mut ends = BTreeSet::new();
        for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
            ends.extend(self.named(key)?.map(|(id, _)| id));
        }
        let named = self
            .used()
            .filter(|(_, token, kind)| *kind == CONTROL && ["<|im_end|>", "<|endoftext|>"].contains(token));
        ends.extend(named.map(|(id, _, _)| id));
        Ok(ends)
    }
}
