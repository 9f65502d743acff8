//! config.json of Qwen2-VL and Qwen2.5-VL in the dialects of transformers 4.4x (text settings at the
//! top), 4.5x (`text_config`) and 5.x (`rope_parameters`), as `Qwen2_5_VLConfig` reads them.

use crate::LoadError;
use crate::fields::Fields;
use crate::layers::decoder::{BlockSpec, DecoderConfig, LayerSpec, RopeSpec};
use crate::layers::rope::{RopeScaling, end_to_end};
use serde_json::Value;

const FILE: &str = "config.json";

/// Which of the two vision towers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tower {
    /// Qwen2-VL: LayerNorm, two-layer MLP, full attention.
    Qwen2,
    /// Qwen2.5-VL: RMSNorm, gated MLP, windows except in some blocks.
    Qwen25 {
        /// Window side in pixels.
        window: usize,
        /// Blocks with full attention.
        full: Vec<usize>,
    },
}

/// Activation of a vision MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    QuickGelu,
}

/// Shape of the vision tower.
#[derive(Debug, Clone)]
pub(crate) struct VisionConfig {
    pub(crate) tower: Tower,
    pub(crate) depth: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) heads: usize,
    pub(crate) channels: usize,
    pub(crate) patch: usize,
    pub(crate) merge: usize,
    pub(crate) temporal: usize,
    pub(crate) out: usize,
    pub(crate) theta: f64,
    pub(crate) activation: Activation,
}

/// The whole configuration.
#[derive(Debug, Clone)]
pub(crate) struct QwenConfig {
    pub(crate) text: DecoderConfig,
    pub(crate) vision: VisionConfig,
    pub(crate) image_token: u32,
}

impl QwenConfig {
    /// Reads config.json; `windowed` for Qwen2.5-VL.
    pub(crate) fn read(config: &Value, windowed: bool) -> Result<Self, LoadError> {
        let root = Fields::new(config, FILE);
        let text = root.object("text_config").unwrap_or_else(|| root.clone());
        let tied =
            root.bool_or("tie_word_embeddings", false)? || text.bool_or("tie_word_embeddings", false)?;
        let decoder = decoder(&text, tied)?;
        let vision = vision(&root.need_object("vision_config")?, windowed)?;
        if vision.out != decoder.hidden {
            let problem =
                format!("{} does not fit the text model's hidden_size {}", vision.out, decoder.hidden);
            let field = if windowed { "vision_config.out_hidden_size" } else { "vision_config.hidden_size" };
            return Err(root.bad(field, problem));
        }
        let image_token = root.usize_or("image_token_id", 151_655)?;
        if image_token >= decoder.vocab {
            return Err(root.bad("image_token_id", format!("{image_token} is outside the vocabulary")));
        }
        Ok(Self { text: decoder, vision, image_token: image_token as u32 })
    }
}

fn decoder(text: &Fields<'_>, tied: bool) -> Result<DecoderConfig, LoadError> {
    let hidden = text.positive("hidden_size")?;
    let heads = text.positive("num_attention_heads")?;
    let kv_heads = text.usize_or("num_key_value_heads", heads)?;
    let layers = text.positive("num_hidden_layers")?;
    if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(2) {
        return Err(text
            .bad("num_attention_heads", format!("{heads} heads do not divide hidden_size {hidden} evenly")));
    }
    if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(text.bad("num_key_value_heads", format!("{kv_heads} does not divide {heads} heads")));
    }
    if text.text("hidden_act").is_some_and(|act| act != "silu") {
        return Err(text.bad("hidden_act", "only silu is supported"));
    }
    if text.bool_or("use_sliding_window", false)? && text.usize_or("max_window_layers", layers)? < layers {
        return Err(text.bad("use_sliding_window", "sliding windows are not supported"));
    }
    let head_dim = hidden / heads;
    // 4.x: rope_theta beside rope_scaling {type: mrope, mrope_section}; 5.x: all in rope_parameters.
    let rope = text.object("rope_parameters").or_else(|| text.object("rope_scaling"));
    let rope = rope.ok_or_else(|| text.bad("rope_scaling", "missing; mrope_section is needed"))?;
    let kind = rope.text("rope_type").or_else(|| rope.text("type")).unwrap_or("default");
    if !matches!(kind, "default" | "mrope") {
        return Err(rope.bad("rope_type", format!("{kind:?} is not supported; default and mrope are")));
    }
    let theta = rope.f64_or("rope_theta", text.f64_or("rope_theta", 1e6)?)?;
    let sections = rope.sizes("mrope_section")?.unwrap_or_default();
    if sections.len() != 3 || sections.iter().sum::<usize>() != head_dim / 2 {
        let problem = format!("{sections:?} should be three numbers that add up to {}", head_dim / 2);
        return Err(rope.bad("mrope_section", problem));
    }
    Ok(DecoderConfig {
        hidden,
        intermediate: text.positive("intermediate_size")?,
        layers: vec![LayerSpec { rope: 0, window: None }; layers],
        heads,
        kv_heads,
        head_dim,
        vocab: text.positive("vocab_size")?,
        eps: text.f64_or("rms_norm_eps", 1e-5)?,
        ropes: vec![RopeSpec {
            theta,
            scaling: RopeScaling::None,
            axes: end_to_end([sections[0], sections[1], sections[2]]),
        }],
        block: BlockSpec::QWEN2,
        tied,
        context: text.usize_or("max_position_embeddings", 32_768)?,
    })
}

fn vision(v: &Fields<'_>, windowed: bool) -> Result<VisionConfig, LoadError> {
    let hidden = v.positive(if windowed { "hidden_size" } else { "embed_dim" })?;
    let heads = v.positive("num_heads")?;
    if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(4) {
        return Err(
            v.bad("num_heads", format!("{heads} heads of {hidden} dimensions do not split into quarters"))
        );
    }
    let channels = v.usize_or("in_channels", v.usize_or("in_chans", 3)?)?;
    if channels != 3 {
        return Err(v.bad("in_channels", "only 3 is supported"));
    }
    let depth = v.usize_or("depth", 32)?;
    let patch = v.usize_or("patch_size", 14)?;
    let merge = v.usize_or("spatial_merge_size", 2)?;
    let temporal = v.usize_or("temporal_patch_size", 2)?;
    for (field, n) in
        [("patch_size", patch), ("spatial_merge_size", merge), ("temporal_patch_size", temporal)]
    {
        if n == 0 || n > 256 {
            return Err(v.bad(field, format!("{n} is out of range")));
        }
    }
    let default_act = if windowed { "silu" } else { "quick_gelu" };
    let activation = match v.text("hidden_act").unwrap_or(default_act) {
        "silu" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "quick_gelu" => Activation::QuickGelu,
        other => return Err(v.bad("hidden_act", format!("{other:?} is not supported"))),
    };
    let tower = if windowed {
        let window = v.usize_or("window_size", 112)?;
        if window < merge * patch {
            return Err(v.bad("window_size", format!("{window} is smaller than a merged patch")));
        }
        Tower::Qwen25 {
            window,
            full: v.sizes("fullatt_block_indexes")?.unwrap_or_else(|| vec![7, 15, 23, 31]),
        }
    } else {
        Tower::Qwen2
    };
    let intermediate = if windowed {
        v.positive("intermediate_size")?
    } else {
        // `int(embed_dim * mlp_ratio)`
        (hidden as f64 * v.f64_or("mlp_ratio", 4.0)?) as usize
    };
    let theta = v.object("rope_parameters").map_or(Ok(10_000.0), |r| r.f64_or("rope_theta", 10_000.0))?;
    Ok(VisionConfig {
        tower,
        depth,
        hidden,
        intermediate,
        heads,
        channels,
        patch,
        merge,
        temporal,
        out: v.positive(if windowed { "out_hidden_size" } else { "hidden_size" })?,
        theta,
        activation,
    })
}
