//! A vocabulary of SentencePiece as a tokenizer.json, in the way of `transformers` (`LlamaConverter`): pieces with bytes
//! for unknown letters, and two pieces are joined where the vocabulary has both and what they make, likelier ones first.
//! tokenizer.model (`sentencepiece.rs`) and GGUF files have the same pieces in different wrappings.

use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Letters of the longest piece, and pieces of the largest vocabulary; published ones have 16 and 262 208.
const LONGEST: usize = 512;
pub(super) const MOST: usize = 1 << 20;

/// Kinds of pieces (`ModelProto.SentencePiece.Type`, and `llama_token_type`, which counts the same).
pub(super) const UNKNOWN: u64 = 2;
pub(super) const CONTROL: u64 = 3;
pub(super) const USER_DEFINED: u64 = 4;

/// A piece.
pub(super) struct Piece {
    /// Its number as a token.
    pub(super) id: u64,
    /// A space is `▁`.
    pub(super) text: String,
    /// Logarithm of how likely it is; the higher, the earlier it is joined.
    pub(super) score: f32,
    pub(super) kind: u64,
}

/// The pieces of a vocabulary, and how texts are made ready for them.
pub(super) struct Pieces {
    pub(super) pieces: Vec<Piece>,
    /// Is a space put before a text?
    pub(super) prefix: bool,
    /// `legacy` of `transformers`: a space is put before every run of words, not before a text alone.
    pub(super) legacy: bool,
    /// The token that the tokenizer puts before a text.
    pub(super) begin: Option<String>,
}

impl Pieces {
    /// Numbers of the pieces by their texts.
    ///
    /// # Errors
    /// In words, when there are more or longer ones than any vocabulary has, or one is there twice.
    pub(super) fn ids(&self) -> Result<HashMap<&str, u64>, String> {
        if self.pieces.len() > MOST {
            return Err(format!("more than {MOST} pieces"));
        }
        let mut ids = HashMap::new();
        for piece in &self.pieces {
            if piece.text.chars().count() > LONGEST {
                return Err(format!("piece {} has more than {LONGEST} letters", piece.id));
            }
            if ids.insert(piece.text.as_str(), piece.id).is_some() {
                return Err(format!("the piece {:?} is there twice", piece.text));
            }
        }
        Ok(ids)
    }

    /// Pairs that are joined, likelier ones first.
    fn merges(&self, ids: &HashMap<&str, u64>) -> Vec<[&str; 2]> {
        let mut found = Vec::new();
        for piece in &self.pieces {
            let splits = piece.text.char_indices().skip(1).map(|(at, _)| piece.text.split_at(at));
            let known = splits.filter_map(|(l, r)| Some((*ids.get(l)?, *ids.get(r)?, l, r)));
            let mut own: Vec<_> = known.collect();
            own.sort_by_key(|(l, r, _, _)| (*l, *r));
            found.extend(own.into_iter().map(|(_, _, l, r)| (piece.score, l, r)));
        }
        let letters = |text: &str| Reverse(text.chars().count());
        found.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then((letters(a.1), letters(a.2)).cmp(&(letters(b.1), letters(b.2))))
        });
        found.into_iter().map(|(_, l, r)| [l, r]).collect()
    }

    /// tokenizer.json; `unknown` stands for letters that are neither pieces nor bytes, and `added` are tokens that texts
    /// are searched for before they are cut ([`added_token`]).
    ///
    /// # Errors
    /// As [`Pieces::ids`].
    pub(super) fn tokenizer_json(&self, unknown: &str, added: &[Value]) -> Result<Value, String> {
        let ids = self.ids()?;
        let vocab: Map<String, Value> =
            self.pieces.iter().map(|piece| (piece.text.clone(), piece.id.into())).collect();
        let (normalizer, pre_tokenizer) = if self.legacy {
            let mut steps =
                vec![json!({ "type": "Replace", "pattern": { "String": " " }, "content": "\u{2581}" })];
            if self.prefix {
                steps.insert(0, json!({ "type": "Prepend", "prepend": "\u{2581}" }));
            }
            (json!({ "type": "Sequence", "normalizers": steps }), Value::Null)
        } else {
            let scheme = if self.prefix { "first" } else { "never" };
            let spaces = json!({ "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": scheme, "split": false });
            (Value::Null, spaces)
        };
        let mut decoders = vec![
            json!({ "type": "Replace", "pattern": { "String": "\u{2581}" }, "content": " " }),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ];
        if self.prefix {
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        let first = self.begin.as_deref().and_then(|begin| Some((begin, ids.get(begin)?)));
        let post_processor = first.map(|(begin, id)| {
            let token = json!({ "SpecialToken": { "id": begin, "type_id": 0 } });
            let text = |name: &str, kind: u8| json!({ "Sequence": { "id": name, "type_id": kind } });
            json!({
                "type": "TemplateProcessing", "single": [token, text("A", 0)],
                "pair": [token, text("A", 0), text("B", 1)],
                "special_tokens": { begin: { "id": begin, "ids": [id], "tokens": [begin] } },
            })
        });
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
            "decoder": { "type": "Sequence", "decoders": decoders },
            "model": {
                "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": vocab, "merges": self.merges(&ids),
            },
        }))
    }
}

/// An entry of `added_tokens` in tokenizer.json: found in texts as it is written.
pub(super) fn added_token(id: u64, text: &str, special: bool) -> Value {
    json!({
        "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": special,
    })
}
