//! The vocabulary of a GGUF file as tokenizer.json: byte-level BPE as Qwen2 has it, or pieces of SentencePiece as Gemma
//! has them.

use super::keys::{ARCHITECTURE, Keys};
use crate::chat::vocabulary::disguises;
use crate::checkpoint::pieces::{Piece, Pieces, UNKNOWN, added_token};
use crate::error::LoadError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const MODEL: &str = "tokenizer.ggml.model";
const TOKENS: &str = "tokenizer.ggml.tokens";
const MERGES: &str = "tokenizer.ggml.merges";
const TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const BEGIN: &str = "tokenizer.ggml.add_bos_token";
const SPACE: &str = "tokenizer.ggml.add_space_prefix";
const UNKNOWN_ID: &str = "tokenizer.ggml.unknown_token_id";
const TEMPLATE: &str = "tokenizer.chat_template";
/// `LLAMA_TOKEN_TYPE_CONTROL`, `_USER_DEFINED` and `_UNUSED`.
const CONTROL: u64 = 3;
const ADDED: u64 = 4;
const UNUSED: u64 = 5;
/// How Qwen2 cuts a text into words (`PRETOKENIZE_REGEX` of `tokenization_qwen2.py`).
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How a vocabulary cuts texts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `gpt2` in the file.
    ByteLevel,
    /// `llama` in the file.
    Pieces,
}

/// The tokens of a file.
pub(super) struct GgufTokens<'a> {
    keys: &'a Keys<'a>,
    kind: Kind,
    tokens: Vec<&'a str>,
    types: Vec<u64>,
}

impl<'a> GgufTokens<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// When they are missing, of a kind that is not read, or do not fit together.
    pub(super) fn read(keys: &'a Keys<'a>) -> Result<Self, LoadError> {
        const SPLIT: &str = "tokenizer.ggml.pre";
        let kind = match keys.text(ARCHITECTURE)? {
            "gemma3" => Kind::Pieces,
            _ => Kind::ByteLevel,
        };
        let read: &[(&str, &str)] = match kind {
            Kind::Pieces => &[(MODEL, "llama")],
            Kind::ByteLevel => &[(MODEL, "gpt2"), (SPLIT, "qwen2")],
        };
        for (key, read) in read {
            let found = keys.text(key)?;
            if found != *read {
                return Err(keys.bad(key, &format!("{found:?} is not read here, only {read:?} is")));
            }
        }
        match kind {
            Kind::ByteLevel if keys.flag(BEGIN)? => {
                return Err(keys.bad(BEGIN, "true, but texts of these models begin without a token"));
            }
            Kind::Pieces if keys.flag(SPACE)? => {
                return Err(keys.bad(SPACE, "true, but texts of Gemma begin without a space"));
            }
            _ => {}
        }
        let tokens = keys.texts(TOKENS)?;
        let types: Option<Vec<u64>> = keys.list(TYPES)?.iter().map(Value::as_u64).collect();
        let types = types.filter(|types| types.len() == tokens.len());
        let types = types.ok_or_else(|| keys.bad(TYPES, "not a number for every token"))?;
        let own = Self { keys, kind, tokens, types };
        let mut seen = BTreeSet::new();
        if let Some((_, token, _)) = own.used().find(|(_, token, _)| !seen.insert(*token)) {
            return Err(keys.bad(TOKENS, &format!("{token:?} is there twice")));
        }
        // A text would lose the bytes that are no token.
        let missing = match kind {
            Kind::ByteLevel => {
                disguises().into_keys().filter(|c| !seen.contains(c.to_string().as_str())).count()
            }
            Kind::Pieces => {
                (0..=u8::MAX).filter(|byte| !seen.contains(format!("<0x{byte:02X}>").as_str())).count()
            }
        };
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
    pub(super) fn id(&self, token: &str) -> Option<usize> {
        self.used().find(|(_, own, _)| *own == token).map(|(id, _, _)| id)
    }

    /// The number of a token that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn need(&self, token: &str) -> Result<usize, LoadError> {
        self.id(token).ok_or_else(|| self.keys.bad(TOKENS, &format!("has no token {token}")))
    }

    /// The token whose number is under a key, when there is one.
    fn named(&self, key: &str) -> Result<Option<(usize, &'a str)>, LoadError> {
        let Some(value) = self.keys.get(key) else { return Ok(None) };
        let id = value.as_u64().and_then(|id| usize::try_from(id).ok());
        let found = id.and_then(|id| Some((id, *self.tokens.get(id)?)));
        found.map(Some).ok_or_else(|| self.keys.bad(key, "not the number of a token"))
    }

    /// tokenizer_config.json: the tokens that a template can print.
    ///
    /// # Errors
    /// When a number is none of a token.
    pub(super) fn named_tokens(&self) -> Result<Map<String, Value>, LoadError> {
        let mut named = Map::new();
        // Texts of Qwen begin without a token, whatever the file names.
        let begins = (self.kind == Kind::Pieces).then_some(("bos", "bos_token"));
        for (key, name) in [("eos", "eos_token"), ("padding", "pad_token")].into_iter().chain(begins) {
            if let Some((_, token)) = self.named(&format!("tokenizer.ggml.{key}_token_id"))? {
                named.insert(name.to_owned(), token.into());
            }
        }
        Ok(named)
    }

    /// The chat template, where the file has one. llama.cpp begins texts with the first token where the file says so, whether or
    /// not the template writes it.
    ///
    /// # Errors
    /// When it is no text.
    pub(super) fn template(&self) -> Result<Option<String>, LoadError> {
        if self.keys.get(TEMPLATE).is_none() {
            return Ok(None);
        }
        let template = self.keys.text(TEMPLATE)?;
        let begin = self.named("tokenizer.ggml.bos_token_id")?.map(|(_, token)| token);
        let writes = template.contains("bos_token") || begin.is_some_and(|begin| template.contains(begin));
        let lacks = self.keys.flag(BEGIN)? && begin.is_some() && !writes;
        Ok(Some(if lacks { format!("{{{{ bos_token }}}}{template}") } else { template.to_owned() }))
    }

    /// tokenizer.json.
    ///
    /// # Errors
    /// When tokens do not fit together.
    pub(super) fn to_json(&self) -> Result<Value, LoadError> {
        match self.kind {
            Kind::ByteLevel => self.byte_level(),
            Kind::Pieces => self.pieces(),
        }
    }

    fn byte_level(&self) -> Result<Value, LoadError> {
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
        let added = added.map(|(id, token, kind)| added_token(id as u64, token, kind == CONTROL));
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

    fn pieces(&self) -> Result<Value, LoadError> {
        let scores = self.keys.list(SCORES)?;
        if scores.len() != self.tokens.len() || scores.iter().any(|score| score.as_f64().is_none()) {
            return Err(self.keys.bad(SCORES, "not a number for every token"));
        }
        let (mut pieces, mut added) = (Vec::new(), Vec::new());
        for (id, token, kind) in self.used() {
            // The converter writes spaces into added tokens, and -1000 as their scores: in the vocabulary that it reads they are
            // pieces that are always found, with the score 0.
            let text = if kind == ADDED { token.replace(' ', "\u{2581}") } else { token.to_owned() };
            let score = match kind {
                CONTROL | ADDED | UNKNOWN => 0.0,
                _ => scores[id].as_f64().unwrap_or_default() as f32,
            };
            if [CONTROL, ADDED, UNKNOWN].contains(&kind) {
                added.push(added_token(id as u64, &text, kind != ADDED && !is_plain(token)));
            }
            pieces.push(Piece { id: id as u64, text, score, kind });
        }
        let unknown = match self.named(UNKNOWN_ID)? {
            Some((_, token)) => Some(token),
            None => self.used().find(|(_, _, kind)| *kind == UNKNOWN).map(|(_, token, _)| token),
        };
        let unknown = unknown.ok_or_else(|| self.keys.bad(UNKNOWN_ID, "missing in the metadata"))?;
        let pieces = Pieces { pieces, prefix: false, legacy: true, begin: None };
        pieces.tokenizer_json(unknown, &added).map_err(|problem| self.keys.bad(TOKENS, &problem))
    }

    /// Numbers of the tokens that end a reply: those that the file names, and as llama.cpp does those that end a turn or a
    /// text by their name.
    pub(super) fn ends(&self) -> Result<BTreeSet<usize>, LoadError> {
        let names: &[&str] = match self.kind {
            Kind::ByteLevel => &["<|im_end|>", "<|endoftext|>"],
            Kind::Pieces => &["<end_of_turn>", "<eos>"],
        };
        let mut ends = BTreeSet::new();
        for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
            ends.extend(self.named(key)?.map(|(id, _)| id));
        }
        let named = self.used().filter(|(_, token, kind)| *kind == CONTROL && names.contains(token));
        ends.extend(named.map(|(id, _, _)| id));
        Ok(ends)
    }
}

/// Control tokens of a file that are ordinary ones in Gemma's vocabulary, so that replies keep them: the converter takes them for
/// special by their looks (`does_token_look_special`). MedGemma writes its thoughts between two of them.
fn is_plain(token: &str) -> bool {
    let unused = token.strip_prefix("<unused").and_then(|rest| rest.strip_suffix('>'));
    token == "<mask>" || unused.is_some_and(|n| n.bytes().all(|byte| byte.is_ascii_digit()))
}
