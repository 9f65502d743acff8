//! What the metadata say of a text model, in the fields of config.json that all families share.

use super::keys::Keys;
use crate::error::LoadError;
use serde_json::{Map, Value, json};

/// The fields of the text model of this architecture.
///
/// # Errors
/// When a key is missing or has no sense.
pub(super) fn text(keys: &Keys<'_>, architecture: &str) -> Result<Map<String, Value>, LoadError> {
    let key = |name: &str| format!("{architecture}.{name}");
    let size = |name: &str| keys.size(&key(name));
    let heads = size("attention.head_count")?;
    let rows = keys.shape("token_embd.weight").and_then(|shape| shape.first().copied());
    let rows = rows.ok_or_else(|| keys.bad("token_embd.weight", "the table of embeddings is missing"))?;
    let said = json!({
        "hidden_size": size("embedding_length")?,
        "intermediate_size": size("feed_forward_length")?,
        "num_hidden_layers": keys.layers(&key("block_count"))?,
        "num_attention_heads": heads,
        "num_key_value_heads": keys.size_or(&key("attention.head_count_kv"), heads)?,
        "rms_norm_eps": keys.positive(&key("attention.layer_norm_rms_epsilon"))?,
        "max_position_embeddings": size("context_length")?,
        // llama.cpp's own where the file has none.
        "rope_theta": keys.positive_or(&key("rope.freq_base"), 10_000.0)?,
        "vocab_size": rows,
        "tie_word_embeddings": keys.shape("output.weight").is_none(),
    });
    let Value::Object(mut said) = said else { return Ok(Map::new()) };
    if keys.get(&key("attention.key_length")).is_some() {
        let width = size("attention.key_length")?;
        for same in ["attention.value_length", "rope.dimension_count"] {
            if keys.size_or(&key(same), width)? != width {
                let problem = format!("differs from attention.key_length, {width}, which is not read");
                return Err(keys.bad(&key(same), &problem));
            }
        }
        said.insert("head_dim".to_owned(), width.into());
    }
    Ok(said)
}

/// By which number positions are divided (linear scaling), where they are.
///
/// # Errors
/// When they are scaled in another way.
pub(super) fn linear_scaling(keys: &Keys<'_>, architecture: &str) -> Result<Option<f64>, LoadError> {
    let kind = format!("{architecture}.rope.scaling.type");
    // The second is that of older files.
    let factors = ["scaling.factor", "scale_linear"].map(|name| format!("{architecture}.rope.{name}"));
    let said = match keys.get(&kind) {
        Some(_) => keys.text(&kind)?,
        None => "linear",
    };
    match said {
        "none" => Ok(None),
        // 0 stands for none as well.
        "linear" => match factors.iter().find(|key| keys.get(key).is_some_and(|v| v.as_f64() != Some(0.0))) {
            Some(key) => keys.positive(key).map(|factor| Some(factor).filter(|f| *f != 1.0)),
            None => Ok(None),
        },
        other => Err(keys.bad(&kind, &format!("{other:?} is not read from GGUF files"))),
    }
}
