//! The tokenizer of a BERT that was published with its vocabulary alone (`vocab.txt`), as `BertTokenizerFast` makes it.

use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use serde_json::{Map, Value, json};

pub(crate) const VOCABULARY: &str = "vocab.txt";
/// The special tokens that `transformers` takes where no file names others.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// tokenizer.json of the vocabulary. Letters are made small unless tokenizer_config.json says that they are not
/// (`do_lower_case`), whatever letters the vocabulary has.
///
/// # Errors
/// When a file cannot be read, or one of the tokens that frame a text is not in the vocabulary.
pub(crate) fn tokenizer(checkpoint: &Checkpoint) -> Result<Vec<u8>, LoadError> {
    let failed = |problem: String| LoadError::File { file: VOCABULARY.into(), problem };
    let bytes = checkpoint.need_bytes(VOCABULARY)?;
    let text = std::str::from_utf8(&bytes).map_err(|e| failed(e.to_string()))?;
    let settings = checkpoint.json("tokenizer_config.json")?;
    let lower =
        settings.as_ref().and_then(|s| s.get("do_lower_case")).and_then(Value::as_bool).unwrap_or(true);
    let mut vocab = Map::new();
    for (id, token) in text.lines().enumerate() {
        // Of two alike the last counts.
        vocab.insert(token.trim_end().to_owned(), json!(id));
    }
    let id = |token: &str| {
        let found = vocab.get(token).and_then(Value::as_u64);
        found.ok_or_else(|| failed(format!("has no line {token}: it is not the vocabulary of a BERT")))
    };
    let [_, _, cls, sep, _] = SPECIAL.map(id);
    let (cls, sep) = (cls?, sep?);
    let special = |token: &&str| {
        let entry = json!({
            "id": vocab.get(*token)?, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        });
        Some(entry)
    };
    let added: Vec<Value> = SPECIAL.iter().filter_map(special).collect();
    let described = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": lower,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", sep], "cls": ["[CLS]", cls] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    });
    Ok(described.to_string().into_bytes())
}
