//! Gemma 3 from GGUF files, with and without its vision part. llama.cpp's converter (`conversion/gemma.py`) adds 1 to the
//! weights of norms, and leaves out of the file what is the same in all published sizes.

use super::keys::Keys;
use super::tokenizer::GgufTokens;
use super::vision::{activation, colours, key, width};
use crate::error::LoadError;
use serde_json::{Map, Value, json};

/// Every so many layers, one sees the whole text (`sliding_window_pattern`), and the base of the positions of the others
/// (`rope_local_base_freq`): of all published sizes.
const PATTERN: u64 = 6;
const NEAR_BASE: f64 = 10_000.0;
/// Layers of the largest size, 27B. Its scores are scaled by the width of the model over the number of heads, those of the
/// others by the width of a head (`query_pre_attn_scalar`).
const LAYERS_27B: u64 = 62;
/// Patches along a side of a token's square where the file does not say (`clip.vision.projector.scale_factor`).
const POOLED: u64 = 4;
/// The token under the features of a picture.
const SOFT: &str = "<image_soft_token>";
/// Where a file says what it was made of: a model, the one that it was tuned from, and where they are published.
const NAMES: [&str; 5] = [
    "general.name",
    "general.basename",
    "general.repo_url",
    "general.base_model.0.name",
    "general.base_model.0.repo_url",
];

/// The fields of the text model that Gemma 3 has beside those of all families (`text.rs`); `factor` is that of linear
/// scaling.
///
/// # Errors
/// When a key is missing or has no sense.
pub(super) fn text(
    keys: &Keys<'_>,
    said: &Map<String, Value>,
    factor: Option<f64>,
    notes: &mut Vec<String>,
) -> Result<Map<String, Value>, LoadError> {
    for cap in ["gemma3.final_logit_softcapping", "gemma3.attn_logit_softcapping"] {
        if keys.get(cap).is_some_and(|value| value.as_f64() != Some(0.0)) {
            return Err(keys.bad(cap, "Gemma 3 has none, and it is not supported"));
        }
    }
    let number = |name: &str| said.get(name).and_then(Value::as_u64).unwrap_or(1).max(1);
    let layers = number("num_hidden_layers");
    // Needed: the width of the model over the number of heads is not that of a head.
    let head = keys.size("gemma3.attention.key_length")?;
    let scalar = match layers {
        LAYERS_27B => number("hidden_size") / number("num_attention_heads"),
        _ => head,
    };
    keys.positive("gemma3.rope.freq_base")?;
    let near = keys.positive_or("gemma3.rope.freq_base_swa", NEAR_BASE)?;
    let mut own = json!({
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": scalar,
        "rope_local_base_freq": near,
        "norm_weights_include_one": true,
    });
    if let Some(factor) = factor {
        own["rope_scaling"] = json!({ "rope_type": "linear", "factor": factor });
    }
    notes.push(format!(
        "{} does not say how scores of attention are scaled: by 1/√{scalar}, as the published sizes of Gemma 3 have it",
        keys.file
    ));
    if keys.get("tokenizer.ggml.add_space_prefix").is_none() {
        notes.push(format!(
            "{} does not say whether texts begin with a space: they do not, as in the published vocabulary of Gemma 3",
            keys.file
        ));
    }
    let Value::Object(mut own) = own else { return Ok(Map::new()) };
    windows(keys, layers, &mut own, notes)?;
    Ok(own)
}

/// Which layers look back over a window, and how far.
fn windows(
    keys: &Keys<'_>,
    layers: u64,
    own: &mut Map<String, Value>,
    notes: &mut Vec<String>,
) -> Result<(), LoadError> {
    const WINDOW: &str = "gemma3.attention.sliding_window";
    const LISTED: &str = "gemma3.attention.sliding_window_pattern";
    let mut put = |name: &str, value: Value| drop(own.insert(name.to_owned(), value));
    // Without a window the converter leaves the key out.
    if keys.get(WINDOW).is_none_or(|size| size.as_u64() == Some(0)) {
        put("sliding_window_pattern", 1.into());
        return Ok(());
    }
    put("sliding_window", keys.size(WINDOW)?.into());
    let Some(Value::Array(listed)) = keys.get(LISTED) else {
        if keys.get(LISTED).is_none() {
            notes.push(format!(
                "{} does not say which layers look back over a window: all but every {PATTERN}th, as the published sizes of Gemma 3 have it",
                keys.file
            ));
        }
        put("sliding_window_pattern", keys.size_or(LISTED, PATTERN)?.into());
        return Ok(());
    };
    let kind =
        |near: &Value| near.as_bool().map(|near| if near { "sliding_attention" } else { "full_attention" });
    let kinds: Option<Vec<&str>> = listed.iter().map(kind).collect();
    let kinds = kinds.filter(|kinds| kinds.len() as u64 == layers);
    let kinds =
        kinds.ok_or_else(|| keys.bad(LISTED, &format!("not a yes or no for each of {layers} layers")))?;
    put("layer_types", kinds.into());
    Ok(())
}

/// What config.json has beside the text model where there are pictures.
///
/// # Errors
/// When a key is missing or has no sense.
pub(super) fn config(
    text: &Keys<'_>,
    vision: &Keys<'_>,
    tokens: &GgufTokens<'_>,
) -> Result<Map<String, Value>, LoadError> {
    const SCALE: &str = "projector.scale_factor";
    let size = |name: &str| vision.size(&key(name));
    width(vision, text, "gemma3")?;
    if activation(vision)? != "gelu" {
        return Err(
            vision.bad("clip.use_gelu", "not true, but the tower of Gemma 3 is SigLIP, which has GELU")
        );
    }
    let (side, patch) = (size("image_size")?, size("patch_size")?);
    let (grid, pooled) = (side / patch, vision.size_or(&key(SCALE), POOLED)?);
    if grid == 0 || !grid.is_multiple_of(pooled) {
        let problem =
            format!("{pooled}, which does not divide the {grid} patches of a side of {side} pixels");
        return Err(vision.bad(&key(SCALE), &problem));
    }
    tokens.need("<start_of_image>")?;
    // Files of the first converter end before this token, whose embedding nothing reads.
    let rows = text.shape("token_embd.weight").and_then(|shape| shape.first().copied());
    let soft = tokens.id(SOFT).or(rows);
    let config = json!({
        "image_token_index": soft,
        "mm_tokens_per_image": (grid / pooled).pow(2),
        "soft_emb_norm_includes_one": true,
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": size("embedding_length")?, "intermediate_size": size("feed_forward_length")?,
            "num_hidden_layers": vision.layers(&key("block_count"))?,
            "num_attention_heads": size("attention.head_count")?,
            "layer_norm_eps": vision.positive(&key("attention.layer_norm_epsilon"))?,
            "image_size": side, "patch_size": patch,
        },
    });
    let Value::Object(config) = config else { return Ok(Map::new()) };
    Ok(config)
}

/// preprocessor_config.json.
///
/// # Errors
/// When a key is missing or has no sense.
pub(super) fn processor(vision: &Keys<'_>, notes: &mut Vec<String>) -> Result<Value, LoadError> {
    let side = vision.size(&key("image_size"))?;
    notes.push(format!(
        "{} does not say how pictures are resized: bilinear to {side} × {side}, without crops unless --pan-and-scan, as the published checkpoints of Gemma 3 have it",
        vision.file
    ));
    Ok(json!({
        "image_processor_type": "Gemma3ImageProcessor",
        "image_mean": colours(vision, "image_mean")?,
        "image_std": colours(vision, "image_std")?,
        "resample": 2,
        "size": { "height": side, "width": side },
    }))
}

/// Names of the model and of what it was tuned from, which tell MedGemma from Gemma 3.
pub(super) fn names(keys: &Keys<'_>) -> Option<String> {
    let known: Vec<&str> = NAMES.iter().filter_map(|key| keys.get(key)?.as_str()).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::super::reader::Header;
    use super::*;

    fn made(layers: u64, more: &[(&str, Value)]) -> (Map<String, Value>, Vec<String>) {
        let plain = json!({
            "gemma3.attention.key_length": 128, "gemma3.rope.freq_base": 1e6, "tokenizer.ggml.add_space_prefix": false,
        });
        let mut metadata = plain.as_object().unwrap().clone();
        metadata.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let header = Header { metadata, tensors: Vec::new() };
        let said = json!({ "num_hidden_layers": layers, "hidden_size": 5376, "num_attention_heads": 32 });
        let mut notes = Vec::new();
        let keys = Keys { header: &header, file: "a.gguf" };
        (text(&keys, said.as_object().unwrap(), None, &mut notes).unwrap(), notes)
    }

    #[test]
    fn scores_of_the_largest_size_are_scaled_by_the_width_of_the_model() {
        assert_eq!(made(62, &[]).0["query_pre_attn_scalar"], 168);
        assert_eq!(made(48, &[]).0["query_pre_attn_scalar"], 128);
    }

    #[test]
    fn windows_are_those_of_the_file_or_of_all_published_sizes() {
        const WINDOW: (&str, u64) = ("gemma3.attention.sliding_window", 1024);
        const PATTERN: &str = "gemma3.attention.sliding_window_pattern";
        let window = (WINDOW.0, WINDOW.1.into());
        let (own, notes) = made(3, std::slice::from_ref(&window));
        assert_eq!((&own["sliding_window"], &own["sliding_window_pattern"]), (&json!(1024), &json!(6)));
        assert_eq!(notes.len(), 2);
        let (own, notes) = made(3, &[window.clone(), (PATTERN, 2.into())]);
        assert_eq!((&own["sliding_window_pattern"], notes.len()), (&json!(2), 1));
        let (own, _) = made(3, &[window, (PATTERN, json!([true, false, true]))]);
        assert_eq!(own["layer_types"], json!(["sliding_attention", "full_attention", "sliding_attention"]));
        // Without a window every layer sees the whole text.
        assert_eq!(made(3, &[]).0["sliding_window_pattern"], 1);
    }

    #[test]
    fn positions_of_near_layers_have_their_own_base() {
        assert_eq!(made(3, &[]).0["rope_local_base_freq"], 10_000.0);
        let own = made(3, &[("gemma3.rope.freq_base_swa", json!(2000.0))]).0;
        assert_eq!(own["rope_local_base_freq"], 2000.0);
    }
}
