//! Qwen2-VL and Qwen2.5-VL from GGUF files.

use super::keys::Keys;
use super::tokenizer::GgufTokens;
use super::vision::{activation, colours, key, width};
use crate::error::LoadError;
use serde_json::{Map, Value, json};

/// Least and most pixels of a picture in the processor files of Qwen2-VL and Qwen2.5-VL, for vision parts that do not say.
const PIXELS: [(&str, u64); 2] = [("image_min_pixels", 3136), ("image_max_pixels", 12_845_056)];

/// What is added to config.json: positions in three axes, the token of pictures and the tower of a model of `model_type`.
///
/// # Errors
/// When a key is missing or has no sense.
pub(super) fn config(
    text: &Keys<'_>,
    vision: &Keys<'_>,
    tokens: &GgufTokens<'_>,
    model_type: &str,
) -> Result<Map<String, Value>, LoadError> {
    const SECTIONS: &str = "qwen2vl.rope.dimension_sections";
    let sections = text.list(SECTIONS)?;
    // The fourth is of an axis that pictures do not have.
    if sections.len() != 4 || sections[3] != 0 {
        return Err(text.bad(SECTIONS, "not three numbers and a zero"));
    }
    let mut config = Map::new();
    config.insert("rope_scaling".to_owned(), json!({ "type": "mrope", "mrope_section": sections[..3] }));
    config.insert("image_token_id".to_owned(), tokens.need("<|image_pad|>")?.into());
    config.insert("vision_config".to_owned(), tower(text, vision, model_type)?);
    Ok(config)
}

fn tower(text: &Keys<'_>, vision: &Keys<'_>, model_type: &str) -> Result<Value, LoadError> {
    let size = |name: &str| vision.size(&key(name));
    let width = width(vision, text, "qwen2vl")?;
    let (depth, hidden) = (vision.layers(&key("block_count"))?, size("embedding_length")?);
    let mut tower = json!({
        "depth": depth, "num_heads": size("attention.head_count")?, "patch_size": size("patch_size")?,
        "spatial_merge_size": vision.size_or(&key("spatial_merge_size"), 2)?, "temporal_patch_size": 2,
        "hidden_act": activation(vision)?,
    });
    if model_type == "qwen2_5_vl" {
        // Every nth block sees the whole picture, the others their windows.
        let pattern = size("n_wa_pattern")?;
        let full: Vec<u64> = (0..depth).filter(|block| (block + 1) % pattern == 0).collect();
        tower["fullatt_block_indexes"] = full.into();
        tower["window_size"] = vision.size_or(&key("window_size"), 112)?.into();
        tower["hidden_size"] = hidden.into();
        tower["out_hidden_size"] = width.into();
        tower["intermediate_size"] = size("feed_forward_length")?.into();
    } else {
        // The key of the inner width holds another number in published files.
        let wide =
            |name: &str| vision.shape(name).and_then(|shape| shape.first().copied()).unwrap_or(0) as u64;
        let inner = wide("v.blk.0.ffn_up.weight").max(wide("v.blk.0.ffn_down.weight"));
        tower["embed_dim"] = hidden.into();
        tower["hidden_size"] = width.into();
        tower["mlp_ratio"] = (inner as f64 / hidden as f64).into();
    }
    Ok(tower)
}

/// preprocessor_config.json, and what stands in for keys that the file lacks.
///
/// # Errors
/// When a key is missing or has no sense.
pub(super) fn processor(vision: &Keys<'_>, notes: &mut Vec<String>) -> Result<Value, LoadError> {
    let [(least, fewest), (most, largest)] = PIXELS;
    let absent: Vec<String> =
        [least, most].into_iter().map(key).filter(|key| vision.get(key).is_none()).collect();
    if !absent.is_empty() {
        notes.push(format!(
            "{} does not say {}: pictures of {fewest} to {largest} pixels, as the published checkpoints have it",
            vision.file,
            absent.join(" and ")
        ));
    }
    Ok(json!({
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_mean": colours(vision, "image_mean")?,
        "image_std": colours(vision, "image_std")?,
        "patch_size": vision.size(&key("patch_size"))?,
        "merge_size": vision.size_or(&key("spatial_merge_size"), 2)?,
        "temporal_patch_size": 2,
        "min_pixels": vision.size_or(&key(least), fewest)?,
        "max_pixels": vision.size_or(&key(most), largest)?,
    }))
}
