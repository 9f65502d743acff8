//! InternVL 2.5, 3 and 3.5 with the text model Qwen2.5 or Qwen3 from GGUF files. They are made from the layout with code of
//! its own (`conversion/intern_vision.py` of llama.cpp), so that pictures are cut and resized as that code does.

use super::keys::Keys;
use super::tokenizer::GgufTokens;
use super::vision::{activation, colours, key, width};
use crate::error::LoadError;
use crate::processors::levels::IMAGENET;
use serde_json::{Map, Value, json};

/// Fewest and most tiles of a picture in the published config.json (`min_dynamic_patch`, `max_dynamic_patch`).
const TILES: [(&str, u64); 2] = [("preproc_min_tiles", 1), ("preproc_max_tiles", 12)];

/// config.json beside the text model.
///
/// # Errors
/// When a key is missing or has no sense, or the file is of the first InternVL 2, which has other prompts.
pub(super) fn config(
    text: &Keys<'_>,
    vision: &Keys<'_>,
    architecture: &str,
    tokens: &GgufTokens<'_>,
    notes: &mut Vec<String>,
) -> Result<Map<String, Value>, LoadError> {
    const SCALE: &str = "projector.scale_factor";
    refuse_first(text)?;
    refuse_first(vision)?;
    width(vision, text, architecture)?;
    let size = |name: &str| vision.size(&key(name));
    if size(SCALE)? != 2 {
        return Err(vision.bad(&key(SCALE), "only 2 is read: squares of 2 × 2 patches are a token"));
    }
    for (name, published) in [("image_mean", IMAGENET[0]), ("image_std", IMAGENET[1])] {
        let near = |(a, b): (f64, f64)| (a - b).abs() < 1e-6;
        if !colours(vision, name)?.into_iter().zip(published).all(near) {
            let problem = format!("not that of ImageNet, {published:?}, which InternVL's code has");
            return Err(vision.bad(&key(name), &problem));
        }
    }
    for mark in ["<img>", "</img>", "<IMG_CONTEXT>"] {
        tokens.need(mark)?;
    }
    let side = size("image_size")?;
    let [(least, fewest), (most, largest)] = TILES;
    let tiles = [vision.size_or(&key(least), fewest)?, vision.size_or(&key(most), largest)?];
    notes.push(format!(
        "{} does not say how pictures are cut{}: {} to {} tiles of {side} × {side} and the whole picture, as the published checkpoints of InternVL 2.5 and 3 have it",
        vision.file,
        if vision.get(&key(most)).is_some() { " beside the number of tiles" } else { "" },
        tiles[0],
        tiles[1]
    ));
    let has = |name: &str| vision.shape(name).is_some();
    let config = json!({
        "template": "internvl2_5", "ps_version": "v2", "select_layer": -1, "downsample_ratio": 0.5,
        "dynamic_image_size": true, "use_thumbnail": true, "min_dynamic_patch": tiles[0], "max_dynamic_patch": tiles[1],
        "force_image_size": side,
        "vision_config": {
            "hidden_act": activation(vision)?,
            "hidden_size": size("embedding_length")?, "intermediate_size": size("feed_forward_length")?,
            "num_hidden_layers": vision.layers(&key("block_count"))?,
            "num_attention_heads": size("attention.head_count")?,
            "layer_norm_eps": vision.positive(&key("attention.layer_norm_epsilon"))?,
            "image_size": side, "patch_size": size("patch_size")?,
            // LayerNorm has a bias, RMSNorm none.
            "norm_type": if has("v.blk.0.ln1.bias") { "layer_norm" } else { "rms_norm" },
            "qkv_bias": has("v.blk.0.attn_q.bias") || has("v.blk.0.attn_qkv.bias"),
            "qk_normalization": has("v.blk.0.attn_q_norm.weight"),
        },
    });
    let Value::Object(config) = config else { return Ok(Map::new()) };
    Ok(config)
}

/// Refuses a file that calls itself InternVL 2 or older: its conversations begin with another system prompt, of which the
/// file says nothing.
fn refuse_first(keys: &Keys<'_>) -> Result<(), LoadError> {
    for name in ["general.name", "general.basename"] {
        let Some(said) = keys.get(name).and_then(Value::as_str) else { continue };
        let plain = said.to_lowercase().replace(['-', '_', ' ', '.'], "");
        let Some((_, version)) = plain.split_once("internvl") else { continue };
        let first = version.starts_with('1') || (version.starts_with('2') && !version.starts_with("25"));
        if first || version.starts_with("chat") {
            return Err(keys.bad(
                name,
                "a model older than InternVL 2.5, whose prompts are others; name the folder of the checkpoint that the file was made from",
            ));
        }
    }
    Ok(())
}
