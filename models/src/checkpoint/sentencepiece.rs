//! tokenizer.model, as SentencePiece stores it, as a tokenizer.json: older checkpoints of Llama, Mistral and what was
//! tuned from them have nothing else. How pieces become a tokenizer.json is in `pieces.rs`.

use super::pieces::{CONTROL, MOST, Piece, Pieces, UNKNOWN, USER_DEFINED, added_token};
use serde_json::Value;

/// What a model says.
struct Model {
    pieces: Vec<Piece>,
    /// Is a space put before a text?
    prefix: bool,
}

/// A field of a message: its number and what it holds.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Fields of a message in protocol buffers' wire format.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut out = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            out |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(out);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next field; `Err` where the bytes are no message.
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, ()> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint().ok_or(())?;
        let field = match key & 7 {
            0 => Field::Number(self.varint().ok_or(())?),
            1 => Field::Bytes(self.take(8).ok_or(())?),
            2 => {
                let length = self.varint().and_then(|n| usize::try_from(n).ok()).ok_or(())?;
                Field::Bytes(self.take(length).ok_or(())?)
            }
            5 => Field::Bytes(self.take(4).ok_or(())?),
            _ => return Err(()),
        };
        Ok(Some((key >> 3, field)))
    }
}

fn piece(id: u64, bytes: &[u8]) -> Result<Piece, ()> {
    let mut piece = Piece { id, text: String::new(), score: 0.0, kind: 1 };
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(text)) => piece.text = String::from_utf8(text.to_vec()).map_err(|_| ())?,
            (2, Field::Bytes(score)) => piece.score = f32::from_le_bytes(score.try_into().map_err(|_| ())?),
            (3, Field::Number(kind)) => piece.kind = kind,
            _ => {}
        }
    }
    Ok(piece)
}

impl Model {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let broken = |()| "not a SentencePiece model".to_owned();
        let mut model = Self { pieces: Vec::new(), prefix: true };
        let mut fields = Fields(bytes);
        let mut is_bpe = false;
        while let Some(field) = fields.next().map_err(broken)? {
            match field {
                (1, Field::Bytes(bytes)) => {
                    model.pieces.push(piece(model.pieces.len() as u64, bytes).map_err(broken)?);
                }
                (2, Field::Bytes(bytes)) => {
                    let mut trainer = Fields(bytes);
                    while let Some(field) = trainer.next().map_err(broken)? {
                        if let (3, Field::Number(kind)) = field {
                            is_bpe = kind == 2;
                        }
                    }
                }
                (3, Field::Bytes(bytes)) => model.read_normalizer(bytes)?,
                _ => {}
            }
            if model.pieces.len() > MOST {
                return Err(format!("more than {MOST} pieces"));
            }
        }
        if !is_bpe {
            return Err("only SentencePiece models of kind BPE are read".to_owned());
        }
        Ok(model)
    }

    fn read_normalizer(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut normalizer = Fields(bytes);
        while let Some(field) = normalizer.next().map_err(|()| "not a SentencePiece model".to_owned())? {
            match field {
                (2, Field::Bytes(map)) if !map.is_empty() => {
                    return Err(
                        "it replaces letters (precompiled_charsmap), which is not supported".to_owned()
                    );
                }
                (3, Field::Number(prefix)) => self.prefix = prefix != 0,
                (4, Field::Number(1..)) => {
                    let problem = "it takes spaces away (remove_extra_whitespaces), which is not supported";
                    return Err(problem.to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// tokenizer.json of a tokenizer.model; `settings` is tokenizer_config.json and `added` added_tokens.json, or null.
///
/// # Errors
/// In words.
pub(super) fn tokenizer_json(model: &[u8], settings: &Value, added: &Value) -> Result<Value, String> {
    let Model { pieces, prefix } = Model::read(model)?;
    let known = |name: &str| settings.get(name).and_then(Value::as_bool).unwrap_or(true);
    let begin = known("add_bos_token").then(|| "<s>".to_owned());
    let model = Pieces { pieces, prefix, legacy: known("legacy"), begin };
    let ids = model.ids()?;
    let unknown = model.pieces.iter().find(|piece| piece.kind == UNKNOWN);
    let unknown = unknown.ok_or("it has no piece for what is unknown")?;
    let own = model.pieces.iter().filter(|piece| [UNKNOWN, CONTROL, USER_DEFINED].contains(&piece.kind));
    let mut tokens: Vec<Value> =
        own.map(|piece| added_token(piece.id, &piece.text, piece.kind != USER_DEFINED)).collect();
    let mut more: Vec<(u64, String, bool)> =
        match settings.get("added_tokens_decoder").and_then(Value::as_object) {
            Some(decoder) => decoder
                .iter()
                .filter_map(|(id, token)| {
                    let special = token.get("special").and_then(Value::as_bool).unwrap_or(true);
                    Some((id.parse().ok()?, token.get("content")?.as_str()?.to_owned(), special))
                })
                .collect(),
            None => {
                let listed = added.as_object().into_iter().flatten();
                listed.filter_map(|(text, id)| Some((id.as_u64()?, text.clone(), true))).collect()
            }
        };
    more.retain(|(_, text, _)| !ids.contains_key(text.as_str()));
    more.sort();
    for (wanted, (id, text, special)) in (model.pieces.len() as u64..).zip(&more) {
        if *id != wanted {
            return Err(format!("the added token {text:?} has the number {id} where {wanted} is next"));
        }
        tokens.push(added_token(*id, text, *special));
    }
    model.tokenizer_json(&unknown.text, &tokens)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;
    use std::path::Path;
    use tokenizers::Tokenizer;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sentencepiece").join(name))
            .unwrap()
    }

    #[test]
    fn texts_have_the_tokens_of_sentencepiece() {
        let expected: Value = serde_json::from_slice(&fixture("expected.json")).unwrap();
        let made =
            tokenizer_json(&fixture("tokenizer.model"), &Value::Null, &json!({ "<pad>": 400 })).unwrap();
        let tokenizer = Tokenizer::from_bytes(made.to_string()).unwrap();
        for (text, ids) in expected.as_object().unwrap() {
            let got: Vec<u64> = tokenizer
                .encode(text.as_str(), false)
                .unwrap()
                .get_ids()
                .iter()
                .map(|id| u64::from(*id))
                .collect();
            let want: Vec<u64> = ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
            assert_eq!(got, want, "{text:?}");
            let ids: Vec<u32> = want.iter().map(|id| *id as u32).collect();
            assert_eq!(&tokenizer.decode(&ids, false).unwrap(), text);
        }
        assert_eq!(tokenizer.token_to_id("<pad>"), Some(400));
        assert_eq!(tokenizer.encode("left", true).unwrap().get_ids()[0], 1);
        // Not of the same kind, or with a hole.
        let hole = tokenizer_json(&fixture("tokenizer.model"), &Value::Null, &json!({ "<pad>": 402 }));
        assert!(hole.unwrap_err().contains("400 is next"));
    }

    #[test]
    fn what_is_no_such_model_is_refused() {
        let whole = fixture("tokenizer.model");
        let read = |bytes: &[u8]| tokenizer_json(bytes, &Value::Null, &Value::Null).map(|_| ());
        assert!(read(b"IQ== 0\nIg== 1\n").is_err());
        assert!(read(&[]).is_err());
        for length in (0..whole.len()).step_by(97) {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
    }
}
