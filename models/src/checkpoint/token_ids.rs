//! Tokens that a checkpoint's settings name, by their ids, held against those that it has, or by their texts.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use serde_json::Value;
use std::collections::BTreeSet;

/// Fields whose ids begin or end texts. Nothing is filled up with padding here, and published files name it outside of their
/// vocabulary.
const NAMED: [&str; 5] =
    ["bos_token_id", "eos_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id"];

/// Refuses ids in config.json (of the whole and of the text model) and in generation_config.json that are none of `vocab` tokens: a
/// reply would never end, or begin with a token that is not there.
///
/// # Errors
/// Names the first such field.
pub(crate) fn within(checkpoint: &Checkpoint, config: &Value, vocab: usize) -> Result<(), LoadError> {
    let root = Fields::new(config, "config.json");
    let generation = checkpoint.json("generation_config.json")?.unwrap_or(Value::Null);
    for part in ["text_config", "llm_config"] {
        if let Some(text) = root.object(part)? {
            known(&text, &NAMED, vocab)?;
        }
    }
    known(&root, &NAMED, vocab)?;
    known(&Fields::new(&generation, "generation_config.json"), &NAMED, vocab)
}

/// Refuses ids under `names` that are none of `vocab` tokens. Below 0 stands where older writers mean none.
///
/// # Errors
/// Names the first such field.
pub(crate) fn known(fields: &Fields<'_>, names: &[&str], vocab: usize) -> Result<(), LoadError> {
    for name in names {
        let Some(value) = fields.get(name) else { continue };
        let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        if let Some(id) = list.iter().find(|id| id.as_f64().is_some_and(|id| id >= vocab as f64)) {
            let problem = format!(
                "token {id} is outside the vocabulary of {vocab} tokens, whose ids are 0 to {}; correct the file, or use the one that belongs to these weights",
                vocab.saturating_sub(1)
            );
            return Err(fields.bad(name, problem));
        }
    }
    Ok(())
}

/// The ids under a field: one or several.
///
/// # Errors
/// When there is something else than token ids.
pub(crate) fn listed(fields: &Fields<'_>, name: &str) -> Result<Option<BTreeSet<u32>>, LoadError> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let ids = list.iter().map(|v| v.as_u64().and_then(|id| u32::try_from(id).ok()));
    let ids = ids.collect::<Option<BTreeSet<u32>>>();
    ids.map(Some).ok_or_else(|| fields.bad(name, format!("{value} is neither a token id nor a list of them")))
}

/// The text of a token as tokenizer_config.json has it: by itself, or in an object with its properties.
pub(crate) fn token_text(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}
