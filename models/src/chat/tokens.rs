//! Text to tokens and back. What the caller wrote is literal: only the template's own special
//! tokens are special.

use super::tokenizer::BoundedTokenizer;
use super::vocabulary::{TokenBytes, lone_byte};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::generation_file::{GenerationFile, end_ids};
use crate::checkpoint::token_ids;
use crate::error::LoadError;
use loupe_core::words::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Put inside special tokens that the caller wrote, taken out again before tokenising. A Unicode
/// noncharacter, so no text has it; one that comes anyway is dropped.
const MARK: char = '\u{10FFFE}';

/// Stands for the features of a picture in rendered text. A noncharacter too; the caller's are dropped.
pub(crate) const FEATURES: char = '\u{10FFFF}';

/// A part of tokenised text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoded {
    /// A token.
    Token(u32),
    /// The place of [`FEATURES`].
    Features,
}

/// The checkpoint's tokenizer.
pub(crate) struct Tokens {
    tokenizer: BoundedTokenizer,
    /// For runs of words that do not begin a text, where the tokenizer reads these differently.
    later: Option<BoundedTokenizer>,
    /// Is every run of words between pictures a text of its own?
    words_apart: bool,
    /// What the tokenizer puts before a text.
    lead: Vec<u32>,
    /// Special tokens with their ids, longest first.
    special: Vec<(String, u32)>,
    /// What the chat template writes for a picture, special token or not.
    mark: String,
    vocab: usize,
    /// Of tokenizer.json, in hexadecimal.
    pub(crate) sha256: String,
}

impl Tokens {
    /// Reads tokenizer.json; `vocab` is the number of rows of the embedding table, `mark` what the chat
    /// template writes for a picture.
    pub(crate) fn read(checkpoint: &Checkpoint, vocab: usize, mark: &str) -> Result<Self, LoadError> {
        Self::read_with(checkpoint, vocab, mark, &[])
    }

    /// [`Tokens::read`] with special tokens that a family's code adds to the file's, behind them, where they are not
    /// in it.
    pub(crate) fn read_with(
        checkpoint: &Checkpoint,
        vocab: usize,
        mark: &str,
        added: &[String],
    ) -> Result<Self, LoadError> {
        const FILE: &str = "tokenizer.json";
        let failed = |problem: String| LoadError::File { file: FILE.into(), problem };
        let mut bytes = checkpoint.need_bytes(FILE)?;
        let sha256 = hex(&Sha256::digest(&bytes));
        if !added.is_empty() {
            bytes = with_special(&bytes, added).map_err(failed)?;
        }
        let tokenizer = BoundedTokenizer::read(&bytes, None, true).map_err(failed)?;
        let added = tokenizer.inner().get_added_tokens_decoder();
        let special = added.iter().filter(|(_, t)| t.special && !t.content.is_empty());
        let mut special: Vec<(String, u32)> = special.map(|(id, t)| (t.content.clone(), *id)).collect();
        special.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
        let later = without_first_space(&bytes).map_err(failed)?;
        let later = later.map(|bytes| BoundedTokenizer::read(&bytes, None, true)).transpose();
        let mark = mark.to_owned();
        let later = later.map_err(failed)?;
        Ok(Self { tokenizer, later, words_apart: false, lead: Vec::new(), special, mark, vocab, sha256 })
    }

    /// Every run of words between pictures is a text of its own where `words_apart`. Prompts begin as texts do where
    /// there is a `begin`: with the tokens that the tokenizer puts before a text, or where it puts none with this one.
    pub(crate) fn with_ways(self, words_apart: bool, begin: Option<&str>) -> Result<Self, LoadError> {
        let Some(begin) = begin else { return Ok(Self { words_apart, ..self }) };
        let word = |framed| self.tokenizer.encode("a", framed);
        let found = word(true).and_then(|framed| {
            let bare = word(false)?;
            let at = framed.windows(bare.len().max(1)).position(|part| part == bare).unwrap_or(0);
            Ok(framed[..at].to_vec())
        });
        let failed = |problem: String| LoadError::File { file: "tokenizer.json".into(), problem };
        let mut lead = found.map_err(failed)?;
        if lead.is_empty() {
            lead.extend(self.id(begin));
        }
        Ok(Self { words_apart, lead, ..self })
    }

    /// The number of tokens that a text of so many bytes has at least, when that is more than `most`: told without
    /// reading it.
    pub(crate) fn too_long(&self, bytes: usize, most: usize) -> Option<usize> {
        (bytes > self.tokenizer.most_bytes(most)).then(|| self.tokenizer.least_tokens(bytes))
    }

    /// `text` with every special token and picture mark in it made unrecognisable.
    pub(crate) fn protect(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let special = || self.special.iter().map(|(token, _)| token.as_str()).chain([self.mark.as_str()]);
        for (at, c) in text.char_indices().filter(|(_, c)| !matches!(*c, MARK | FEATURES)) {
            out.push(c);
            // Also where the text ends within a token, which the next part could complete.
            let rest = &text[at..];
            if special().any(|token| rest.starts_with(token) || token.starts_with(rest)) {
                out.push(MARK);
            }
        }
        out
    }

    /// Tokens of a rendered prompt: special tokens as themselves, the runs between as plain text.
    pub(crate) fn encode(&self, rendered: &str) -> Result<Vec<Encoded>, String> {
        let mut out = self.runs(rendered, true)?;
        let led = self.lead.iter().enumerate().all(|(n, id)| out.get(n) == Some(&Encoded::Token(*id)));
        if !led {
            out.splice(..0, self.lead.iter().map(|id| Encoded::Token(*id)));
        }
        Ok(out)
    }

    /// Tokens of words that stand behind others.
    pub(crate) fn encode_behind(&self, words: &str) -> Result<Vec<Encoded>, String> {
        self.runs(words, false)
    }

    fn runs(&self, rendered: &str, mut first: bool) -> Result<Vec<Encoded>, String> {
        let mut out = Vec::new();
        let mut plain = String::new();
        let mut rest = rendered;
        while let Some(letter) = rest.chars().next() {
            if let Some((token, id)) = self.special.iter().find(|(t, _)| rest.starts_with(t.as_str())) {
                self.plain(&mut plain, first, &mut out)?;
                self.known(*id)?;
                out.push(Encoded::Token(*id));
                (first, rest) = (false, &rest[token.len()..]);
                continue;
            }
            match letter {
                MARK => {}
                FEATURES => {
                    self.plain(&mut plain, first, &mut out)?;
                    out.push(Encoded::Features);
                    first = self.words_apart;
                }
                _ => plain.push(letter),
            }
            rest = &rest[letter.len_utf8()..];
        }
        self.plain(&mut plain, first, &mut out)?;
        Ok(out)
    }

    fn plain(&self, text: &mut String, first: bool, out: &mut Vec<Encoded>) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let tokenizer = self.later.as_ref().filter(|_| !first).unwrap_or(&self.tokenizer);
        let ids = tokenizer.encode(text.as_str(), false)?;
        ids.iter().try_for_each(|id| self.known(*id))?;
        out.extend(ids.into_iter().map(Encoded::Token));
        text.clear();
        Ok(())
    }

    /// Refuses a token without an embedding. Tokenizers may have some, which must not be used: that of Gemma 3
    /// marks features of pictures with a token that models for words alone lack.
    fn known(&self, id: u32) -> Result<(), String> {
        match id as usize >= self.vocab {
            true => Err(format!("token {id} is outside the model's vocabulary of {}", self.vocab)),
            false => Ok(()),
        }
    }

    /// Can what these tokens say still change with the next one? Tokens of single bytes are read together, and a run of them that is
    /// no UTF-8 becomes one replacement character a byte (`ByteFallback` of the package tokenizers).
    pub(crate) fn is_open(&self, ids: &[u32]) -> bool {
        let is_special = |id: &u32| self.special.iter().any(|(_, special)| special == id);
        let last = ids.iter().rev().find(|id| !is_special(id));
        let token = last.and_then(|id| self.tokenizer.inner().id_to_token(*id));
        token.is_some_and(|token| lone_byte(&token).is_some())
    }

    /// Text of `ids`. Special tokens are left out; `keep` are those that a box dialect is made of.
    pub(crate) fn decode(&self, ids: &[u32], keep_special: bool) -> Result<String, String> {
        self.tokenizer.decode(ids, !keep_special)
    }

    /// The bytes that each token stands for.
    pub(crate) fn vocabulary(&self) -> TokenBytes {
        TokenBytes::new(&self.tokenizer)
    }

    /// The id of a token.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.inner().token_to_id(token)
    }

    /// Ids that end a reply, as `generate` decides: generation_config.json, else config.json, else
    /// the tokenizer's end token.
    ///
    /// # Errors
    /// When a token that these files name is none of the model's.
    pub(crate) fn end_tokens(
        &self,
        checkpoint: &Checkpoint,
        generation: &GenerationFile,
        config: &Value,
    ) -> Result<BTreeSet<u32>, LoadError> {
        token_ids::within(checkpoint, config, self.vocab)?;
        const FILE: &str = "tokenizer_config.json";
        let tokenizer = checkpoint.json(FILE)?.unwrap_or(Value::Null);
        let named = |role: &str| token_ids::token_text(tokenizer.get(role)?);
        let bad = |role: &str, problem: String| Err(Fields::new(&tokenizer, FILE).bad(role, problem));
        for role in ["bos_token", "eos_token"] {
            if let Some(id) =
                named(role).and_then(|name| self.id(name)).filter(|id| *id as usize >= self.vocab)
            {
                return bad(
                    role,
                    format!("token {id} is outside the model's vocabulary of {} tokens", self.vocab),
                );
            }
        }
        let root = Fields::new(config, "config.json");
        let text = root.object("text_config")?;
        let in_config = match text.map(|t| end_ids(&t)).transpose()?.flatten() {
            Some(found) => Some(found),
            None => end_ids(&root)?,
        };
        if let Some(found) = generation.ends.clone().or(in_config) {
            return Ok(found);
        }
        match named("eos_token").map(|name| self.id(name)) {
            None => Ok(BTreeSet::new()),
            Some(Some(id)) => Ok(BTreeSet::from([id])),
            Some(None) => {
                bad("eos_token", "tokenizer.json has no such token, so that replies would not end".to_owned())
            }
        }
    }
}

/// tokenizer.json with these special tokens too, numbered on from the last one.
fn with_special(tokenizer: &[u8], added: &[String]) -> Result<Vec<u8>, String> {
    let mut settings: Value = serde_json::from_slice(tokenizer).map_err(|e| e.to_string())?;
    let known = |list: &[Value], token: &str| {
        list.iter().any(|t| t.get("content").and_then(Value::as_str) == Some(token))
    };
    let vocab = settings.pointer("/model/vocab").and_then(Value::as_object);
    let last = vocab.into_iter().flat_map(|v| v.values()).filter_map(Value::as_u64).max();
    let mut list = settings.get("added_tokens").and_then(Value::as_array).cloned().unwrap_or_default();
    let last = list.iter().filter_map(|t| t.get("id")?.as_u64()).chain(last).max();
    let mut next = last.map_or(0, |id| id.saturating_add(1));
    for token in added {
        if known(&list, token) {
            continue;
        }
        list.push(serde_json::json!({
            "id": next, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }));
        next = next.saturating_add(1);
    }
    let object = settings.as_object_mut().ok_or("it is no object")?;
    object.insert("added_tokens".to_owned(), list.into());
    Ok(settings.to_string().into_bytes())
}

/// tokenizer.json for words that do not begin a text, where a space is put before those alone that do
/// (`prepend_scheme` `first`); `None` where all are read alike.
fn without_first_space(tokenizer: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut settings: Value = serde_json::from_slice(tokenizer).map_err(|e| e.to_string())?;
    let Some(whole) = settings.get_mut("pre_tokenizer") else { return Ok(None) };
    let mut changed = false;
    let mut change = |step: &mut Value| {
        let is = |field: &str, value: &str| step.get(field).and_then(Value::as_str) == Some(value);
        if is("type", "Metaspace") && is("prepend_scheme", "first") {
            step["prepend_scheme"] = "never".into();
            changed = true;
        }
    };
    change(whole);
    whole.get_mut("pretokenizers").and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
    Ok(changed.then(|| settings.to_string().into_bytes()))
}
