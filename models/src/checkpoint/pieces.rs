//! A vocabulary of SentencePiece as a tokenizer.json, in the way of `transformers` (`LlamaConverter`): pieces with bytes
//! for unknown letters, and two pieces are joined where the vocabulary has both and what they make, likelier ones first.
//! tokenizer.model (`sentencepiece.rs`) and GGUF files have the same pieces in different wrappings.

use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Letters of the longest piece, and pieces of the largest vocabulary; published ones have 16 and 262 208.
const LONGEST: usize = 512;
pub(super) const MOST: usize = 1 << 20;
/// Bytes of all pairs together: a hostile vocabulary of a few megabytes has pairs of many gigabytes, and published ones
/// of 262 208 pieces have pairs of 2^26. A pair is counted as its letters and what it takes beside them.
const MOST_PAIRS: usize = 1 << 29;
const PAIR: usize = 128;

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
    ///
    /// # Errors
    /// In words, when they take more memory than those of any vocabulary.
    fn merges(&self, ids: &HashMap<&str, u64>) -> Result<Vec<[&str; 2]>, String> {
        let mut found = Vec::new();
        let mut bytes = 0usize;
        for piece in &self.pieces {
            let length = piece.text.chars().count();
            let splits = piece.text.char_indices().enumerate().skip(1);
            let known = splits.filter_map(|(letters, (at, _))| {
                let (l, r) = piece.text.split_at(at);
                Some(((*ids.get(l)?, *ids.get(r)?), Reverse([letters, length - letters]), [l, r]))
            });
            let mut own: Vec<_> = known.collect();
            bytes = bytes.saturating_add(own.len() * (piece.text.len() + PAIR));
            if bytes > MOST_PAIRS {
                return Err(format!(
                    "its pieces are made of each other in so many ways that the pairs take more than {MOST_PAIRS} bytes, \
                     where those of published vocabularies take a seventh of that; fetch the file anew from where it was \
                     published"
                ));
            }
            own.sort_by_key(|(ids, ..)| *ids);
            found.extend(own.into_iter().map(|(_, letters, pair)| (piece.score, letters, pair)));
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Ok(found.into_iter().map(|(_, _, pair)| pair).collect())
    }

    /// tokenizer.json; `unknown` stands for letters that are neither pieces nor bytes, and `added` are tokens that texts
    /// are searched for before they are cut ([`added_token`]).
    ///
    /// # Errors
    /// As [`Pieces::ids`], and where its pairs take too much memory.
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
                "vocab": vocab, "merges": self.merges(&ids)?,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn pieces(texts: impl Iterator<Item = String>) -> Pieces {
        let piece = |(id, text)| Piece { id, text, score: -(id as f32), kind: 1 };
        Pieces { pieces: (0..).zip(texts).map(piece).collect(), prefix: false, legacy: true, begin: None }
    }

    #[test]
    fn likelier_pieces_come_first_and_within_one_the_longer_left_part() {
        let own = pieces(["a", "b", "aa", "ab", "aab", "ba"].into_iter().map(str::to_owned));
        let merges = own.merges(&own.ids().unwrap()).unwrap();
        assert_eq!(merges, [["a", "a"], ["a", "b"], ["aa", "b"], ["a", "ab"], ["b", "a"]]);
    }

    /// Every piece of a run of `a` and a run of `b` is made of two others wherever it is cut.
    #[test]
    fn pieces_that_are_made_of_each_other_without_end_are_refused() {
        let runs = |most: usize| {
            let lengths = (1..=most).flat_map(|n| (0..=n).map(move |a| (a, n - a)));
            pieces(lengths.map(|(a, b)| "a".repeat(a) + &"b".repeat(b)))
        };
        let made = |own: &Pieces| own.tokenizer_json("a", &[]);
        let few = made(&runs(20)).unwrap();
        // A piece of n letters has n - 1 cuts, and there are n + 1 of it.
        let wanted: usize = (1..=20).map(|n| (n + 1) * (n - 1)).sum();
        assert_eq!(few["model"]["merges"].as_array().unwrap().len(), wanted);
        let problem = made(&runs(200)).unwrap_err();
        assert!(problem.contains("more than 536870912 bytes") && problem.contains("fetch"), "{problem}");
    }
}
