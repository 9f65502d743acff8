//! Ids of tokens that a checkpoint's settings name, held against the tokens that it has.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use serde_json::Value;

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
