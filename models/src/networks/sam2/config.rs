//! Sizes and settings of a SAM 2; what config.json leaves out has the class defaults of
//! `transformers`' `Sam2VideoConfig`.

use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use crate::networks::sam::config::{DecoderConfig, PromptConfig};
use serde_json::Value;

/// Pixels of the input a cell of the coarsest grid covers: a stride of 4 and two halvings.
pub(crate) const STRIDE: usize = 16;

/// The whole network.
#[derive(Debug, Clone)]
pub(crate) struct Sam2Config {
    /// Side of the model's input in pixels.
    pub(crate) side: usize,
    /// Width of the decoder and of the pyramid.
    pub(crate) width: usize,
    pub(crate) backbone: HieraConfig,
    /// Stages (from 0, the finest) to which the coarser level is added.
    pub(crate) top_down: Vec<usize>,
    pub(crate) prompt: PromptConfig,
    pub(crate) decoder: DecoderConfig,
    pub(crate) stability: Option<Stability>,
    pub(crate) memory: MemoryConfig,
}

/// When the single mask is too unstable to be given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stability {
    pub(crate) delta: f32,
    pub(crate) least: f32,
}

/// The backbone, one number a stage.
#[derive(Debug, Clone)]
pub(crate) struct HieraConfig {
    pub(crate) blocks: [usize; 4],
    pub(crate) widths: [usize; 4],
    pub(crate) heads: [usize; 4],
    pub(crate) windows: [usize; 4],
    /// Blocks, counted from the beginning, that attend to the whole grid.
    pub(crate) global: Vec<usize>,
    /// Side of the stored background positions.
    pub(crate) background: usize,
    pub(crate) mlp_ratio: f64,
    pub(crate) layer_norm_eps: f64,
}

/// What an object is carried from frame to frame with.
#[derive(Debug, Clone)]
pub(crate) struct MemoryConfig {
    pub(crate) num_maskmem: usize,
    pub(crate) sigmoid_scale: f64,
    pub(crate) sigmoid_bias: f64,
    /// Most points of a prompt that is answered by the best of several masks; none for never.
    pub(crate) multimask_points: Option<[usize; 2]>,
    pub(crate) multimask_for_tracking: bool,
    pub(crate) max_pointers: usize,
    /// Most prompted frames that are looked at.
    pub(crate) max_prompted: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) downsample: usize,
    pub(crate) feed_forward: usize,
    pub(crate) channels: usize,
    pub(crate) rope_theta: f64,
    pub(crate) fuser_layers: usize,
    pub(crate) fuser_inner: usize,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            num_maskmem: 7,
            sigmoid_scale: 20.0,
            sigmoid_bias: -10.0,
            multimask_points: Some([0, 1]),
            multimask_for_tracking: true,
            max_pointers: 16,
            max_prompted: usize::MAX,
            layers: 4,
            heads: 1,
            downsample: 1,
            feed_forward: 2048,
            channels: 64,
            rope_theta: 10_000.0,
            fuser_layers: 2,
            fuser_inner: 1024,
        }
    }
}

const FILE: &str = "config.json";

impl Sam2Config {
    /// Reads config.json.
    pub(crate) fn read(config: &Value) -> Result<Self, LoadError> {
        let whole = Fields::new(config, FILE);
        let vision = whole.object_or_defaults("vision_config")?;
        let prompt = whole.object_or_defaults("prompt_encoder_config")?;
        let decoder = whole.object_or_defaults("mask_decoder_config")?;
        let hiera = vision.object_or_defaults("backbone_config")?;
        const GELU: (&str, &str) = ("hidden_act", "\"gelu\"");
        whole.only(&[
            ("quantization_config", "null"),
            ("memory_attention_feed_forward_hidden_act", "\"relu\""),
            ("mask_downsampler_hidden_act", "\"gelu\""),
            ("memory_fuser_hidden_act", "\"gelu\""),
        ])?;
        vision.only(&[GELU])?;
        hiera.only(&[GELU, ("num_channels", "3")])?;
        prompt.only(&[GELU, ("num_point_embeddings", "4"), ("scale", "1")])?;
        decoder.only(&[GELU])?;
        let width = positive(&vision, "fpn_hidden_size", 256)?;
        let side = square(&prompt, "image_size", 1024)?;
        let read = Self {
            side,
            width,
            backbone: HieraConfig::read(&hiera)?,
            top_down: vision.sizes("fpn_top_down_levels")?.unwrap_or_else(|| vec![2, 3]),
            prompt: PromptConfig {
                hidden_size: positive(&prompt, "hidden_size", 256)?,
                mask_input_channels: positive(&prompt, "mask_input_channels", 16)?,
                num_pos_feats: width / 2,
                layer_norm_eps: prompt.positive_f64_or("layer_norm_eps", 1e-6)?,
            },
            decoder: DecoderConfig {
                hidden_size: positive(&decoder, "hidden_size", 256)?,
                mlp_dim: positive(&decoder, "mlp_dim", 2048)?,
                num_hidden_layers: positive(&decoder, "num_hidden_layers", 2)?,
                num_attention_heads: positive(&decoder, "num_attention_heads", 8)?,
                attention_downsample_rate: positive(&decoder, "attention_downsample_rate", 2)?,
                num_multimask_outputs: decoder.usize_or("num_multimask_outputs", 3)?,
                iou_head_depth: positive(&decoder, "iou_head_depth", 3)?,
                iou_head_hidden_dim: positive(&decoder, "iou_head_hidden_dim", 256)?,
                // nn.LayerNorm's own, whatever the file says.
                layer_norm_eps: 1e-5,
            },
            stability: decoder
                .bool_or("dynamic_multimask_via_stability", true)?
                .then(|| {
                    Ok::<_, LoadError>(Stability {
                        delta: decoder.f64_or("dynamic_multimask_stability_delta", 0.05)? as f32,
                        least: decoder.f64_or("dynamic_multimask_stability_thresh", 0.98)? as f32,
                    })
                })
                .transpose()?,
            memory: MemoryConfig::read(&whole)?,
        };
        let expect = |fields: &Fields<'_>, field: &str, found: usize, value: usize| {
            if found == value {
                Ok(())
            } else {
                Err(fields.bad(field, format!("{found}; SAM 2 has {value} here")))
            }
        };
        let fits = |fields: &Fields<'_>, field: &str, fit: bool, problem: &str| {
            if fit { Ok(()) } else { Err(fields.bad(field, problem)) }
        };
        expect(&prompt, "patch_size", square(&prompt, "patch_size", STRIDE)?, STRIDE)?;
        expect(&prompt, "hidden_size", read.prompt.hidden_size, width)?;
        expect(&decoder, "hidden_size", read.decoder.hidden_size, width)?;
        expect(&vision, "fpn_kernel_size", vision.usize_or("fpn_kernel_size", 1)?, 1)?;
        expect(&vision, "num_feature_levels", vision.usize_or("num_feature_levels", 3)?, 3)?;
        expect(&whole, "image_size", square(&whole, "image_size", side)?, side)?;
        fits(
            &prompt,
            "image_size",
            side % 32 == 0 && side <= 1 << 14,
            "not a multiple of 32, or above 16384",
        )?;
        fits(
            &prompt,
            "mask_input_channels",
            read.prompt.mask_input_channels.is_multiple_of(4),
            "not a multiple of 4",
        )?;
        let heads = read.decoder.num_attention_heads;
        let inner = width / read.decoder.attention_downsample_rate;
        let whole_heads = width % 8 == 0 && width % heads == 0 && inner > 0 && inner.is_multiple_of(heads);
        fits(&decoder, "num_attention_heads", whole_heads, "does not divide the width")?;
        Ok(read)
    }
}

impl HieraConfig {
    fn read(fields: &Fields<'_>) -> Result<Self, LoadError> {
        let four = |field: &str, default: [usize; 4]| {
            let list = fields.sizes(field)?.unwrap_or_else(|| default.to_vec());
            let list = <[usize; 4]>::try_from(list).ok().filter(|l| !l.contains(&0));
            list.ok_or_else(|| fields.bad(field, "SAM 2 has four stages, with a number above 0 each"))
        };
        for (field, value) in
            [("patch_kernel_size", 7), ("patch_stride", 4), ("patch_padding", 3), ("query_stride", 2)]
        {
            if square(fields, field, value)? != value {
                return Err(fields.bad(field, format!("SAM 2 has {value} here")));
            }
        }
        if fields.usize_or("num_query_pool_stages", 3)? != 3 {
            return Err(fields.bad("num_query_pool_stages", "SAM 2 has 3 here"));
        }
        let read = Self {
            blocks: four("blocks_per_stage", [1, 2, 7, 2])?,
            widths: four("embed_dim_per_stage", [96, 192, 384, 768])?,
            heads: four("num_attention_heads_per_stage", [1, 2, 4, 8])?,
            windows: four("window_size_per_stage", [8, 4, 14, 7])?,
            global: fields.sizes("global_attention_blocks")?.unwrap_or_else(|| vec![5, 7, 9]),
            background: square(fields, "window_positional_embedding_background_size", 7)?,
            mlp_ratio: fields.f64_or("mlp_ratio", 4.0)?,
            layer_norm_eps: fields.positive_f64_or("layer_norm_eps", 1e-6)?,
        };
        if read.widths.iter().zip(&read.heads).any(|(width, heads)| width % heads != 0) {
            return Err(fields.bad("num_attention_heads_per_stage", "does not divide the widths"));
        }
        Ok(read)
    }
}

impl MemoryConfig {
    /// Refuses sizes that do not fit a decoder of this width.
    pub(crate) fn check(&self, width: usize) -> Result<(), LoadError> {
        let wrong = |field: &str, problem: &str| {
            Err(LoadError::Field { file: FILE, field: field.to_owned(), problem: problem.to_owned() })
        };
        let inner = width / self.downsample;
        if inner == 0 || !inner.is_multiple_of(4 * self.heads) {
            return wrong(
                "memory_attention_num_attention_heads",
                "leaves a head that is not a multiple of 4",
            );
        }
        if !self.channels.is_multiple_of(4) || !width.is_multiple_of(self.channels) {
            return wrong(
                "memory_encoder_output_channels",
                "not a multiple of 4, or does not divide the width",
            );
        }
        Ok(())
    }

    fn read(fields: &Fields<'_>) -> Result<Self, LoadError> {
        let usual = Self::default();
        let several = fields.bool_or("multimask_output_in_sam", true)?;
        let points =
            [fields.usize_or("multimask_min_pt_num", 0)?, fields.usize_or("multimask_max_pt_num", 1)?];
        // 5.x nests the base of the rotary positions.
        let theta = match fields.object("rope_parameters")? {
            Some(rope) => rope.positive_f64_or("rope_theta", usual.rope_theta)?,
            None => fields.positive_f64_or("memory_attention_rope_theta", usual.rope_theta)?,
        };
        for (field, value) in [
            ("mask_downsampler_kernel_size", 3),
            ("mask_downsampler_stride", 2),
            ("mask_downsampler_padding", 1),
            ("mask_downsampler_total_stride", STRIDE),
            ("memory_fuser_kernel_size", 7),
            ("memory_fuser_padding", 3),
        ] {
            if fields.usize_or(field, value)? != value {
                return Err(fields.bad(field, format!("SAM 2 has {value} here")));
            }
        }
        let prompted = match fields.get("max_cond_frame_num").map(|v| v.as_i64()) {
            None | Some(Some(-1)) => usize::MAX,
            Some(_) => fields.usize("max_cond_frame_num")?,
        };
        Ok(Self {
            num_maskmem: positive(fields, "num_maskmem", usual.num_maskmem)?,
            sigmoid_scale: fields.f64_or("sigmoid_scale_for_mem_enc", usual.sigmoid_scale)?,
            sigmoid_bias: fields.f64_or("sigmoid_bias_for_mem_enc", usual.sigmoid_bias)?,
            multimask_points: several.then_some(points),
            multimask_for_tracking: fields.bool_or("multimask_output_for_tracking", true)?,
            max_pointers: fields.usize_or("max_object_pointers_in_encoder", usual.max_pointers)?,
            max_prompted: prompted,
            layers: fields.usize_or("memory_attention_num_layers", usual.layers)?,
            heads: positive(fields, "memory_attention_num_attention_heads", usual.heads)?,
            downsample: positive(fields, "memory_attention_downsample_rate", usual.downsample)?,
            feed_forward: positive(fields, "memory_attention_feed_forward_hidden_size", usual.feed_forward)?,
            channels: positive(fields, "memory_encoder_output_channels", usual.channels)?,
            rope_theta: theta,
            fuser_layers: fields.usize_or("memory_fuser_num_layers", usual.fuser_layers)?,
            fuser_inner: positive(fields, "memory_fuser_intermediate_dim", usual.fuser_inner)?,
        })
    }
}

fn positive(fields: &Fields<'_>, field: &str, default: usize) -> Result<usize, LoadError> {
    match fields.usize_or(field, default)? {
        0 => Err(fields.bad(field, "must be above 0")),
        n => Ok(n),
    }
}

/// A side above 0, written once or once an axis.
fn square(fields: &Fields<'_>, field: &str, default: usize) -> Result<usize, LoadError> {
    if fields.get(field).is_some_and(Value::is_array) {
        return match fields.sizes(field)?.as_deref() {
            Some([a, b]) if a == b && *a > 0 => Ok(*a),
            _ => Err(fields.bad(field, "not two equal sizes above 0")),
        };
    }
    positive(fields, field, default)
}
