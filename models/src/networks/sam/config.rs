//! Sizes of a SAM; what config.json leaves out has the class defaults of `transformers`.

use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use serde_json::Value;

/// Sizes of a SAM; what config.json leaves out has the class defaults of `transformers`.
#[derive(Debug, Clone)]
pub(crate) struct SamConfig {
    pub(crate) vision: Vision,
    pub(crate) prompt: PromptConfig,
    pub(crate) decoder: DecoderConfig,
}

/// The image encoder.
#[derive(Debug, Clone)]
pub(crate) enum Vision {
    /// The plain ViT of SAM.
    Vit(VisionConfig),
    /// The TinyViT of MobileSAM and LiteMedSAM; its other sizes are those of the tensors.
    TinyVit {
        /// Side of the input in pixels.
        side: usize,
        /// Channels of the embedding.
        width: usize,
        /// Pixels of the input that a cell of the embedding grid covers, along a side.
        reduction: usize,
    },
}

impl Vision {
    /// Side of the input in pixels.
    pub(crate) fn side(&self) -> usize {
        match self {
            Self::Vit(config) => config.image_size,
            Self::TinyVit { side, .. } => *side,
        }
    }

    /// Side of the embedding grid.
    pub(crate) fn grid(&self) -> usize {
        match self {
            Self::Vit(config) => config.grid(),
            Self::TinyVit { side, reduction, .. } => side / reduction,
        }
    }
}

/// Sizes of the plain ViT.
#[derive(Debug, Clone)]
pub(crate) struct VisionConfig {
    pub(crate) hidden_size: usize,
    pub(crate) output_channels: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) image_size: usize,
    pub(crate) patch_size: usize,
    /// Side of a window in patches; 0 for none.
    pub(crate) window_size: usize,
    pub(crate) global_attn_indexes: Vec<usize>,
    pub(crate) mlp_dim: usize,
    pub(crate) qkv_bias: bool,
    pub(crate) use_abs_pos: bool,
    pub(crate) use_rel_pos: bool,
    pub(crate) layer_norm_eps: f64,
    /// SAM-Med2D's adapters beside the MLPs.
    pub(crate) adapters: bool,
}

impl VisionConfig {
    /// Side of the embedding grid.
    pub(crate) fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }
}

/// Sizes of the prompt encoder.
#[derive(Debug, Clone)]
pub(crate) struct PromptConfig {
    pub(crate) hidden_size: usize,
    pub(crate) mask_input_channels: usize,
    pub(crate) num_pos_feats: usize,
    pub(crate) layer_norm_eps: f64,
}

/// Sizes of the mask decoder.
#[derive(Debug, Clone)]
pub(crate) struct DecoderConfig {
    pub(crate) hidden_size: usize,
    pub(crate) mlp_dim: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) attention_downsample_rate: usize,
    pub(crate) num_multimask_outputs: usize,
    pub(crate) iou_head_depth: usize,
    pub(crate) iou_head_hidden_dim: usize,
    pub(crate) layer_norm_eps: f64,
}

impl SamConfig {
    /// Reads config.json.
    pub(crate) fn read(config: &Value) -> Result<Self, LoadError> {
        const FILE: &str = "config.json";
        let whole = Fields::new(config, FILE);
        let part = |name: &str| whole.object_or_defaults(name);
        let (v, p, d) =
            (part("vision_config")?, part("prompt_encoder_config")?, part("mask_decoder_config")?);
        whole.only(&[("quantization_config", "null")])?;
        v.only(&[("hidden_act", "\"gelu\""), ("num_channels", "3")])?;
        p.only(&[("hidden_act", "\"gelu\""), ("num_point_embeddings", "4")])?;
        d.only(&[("hidden_act", "\"relu\"")])?;
        let positive =
            |fields: &Fields<'_>, field: &str, default: usize| match fields.usize_or(field, default)? {
                0 => Err(fields.bad(field, "must be above 0")),
                n => Ok(n),
            };
        let hidden_size = positive(&v, "hidden_size", 768)?;
        let ratio = v.f64_or("mlp_ratio", 4.0)?;
        let width = positive(&d, "hidden_size", 256)?;
        let vision = VisionConfig {
            hidden_size,
            output_channels: positive(&v, "output_channels", 256)?,
            num_hidden_layers: positive(&v, "num_hidden_layers", 12)?,
            num_attention_heads: positive(&v, "num_attention_heads", 12)?,
            image_size: positive(&v, "image_size", 1024)?,
            patch_size: positive(&v, "patch_size", 16)?,
            window_size: v.usize_or("window_size", 14)?,
            global_attn_indexes: v.sizes("global_attn_indexes")?.unwrap_or_else(|| vec![2, 5, 8, 11]),
            mlp_dim: positive(&v, "mlp_dim", (hidden_size as f64 * ratio) as usize)?,
            qkv_bias: v.bool_or("qkv_bias", true)?,
            use_abs_pos: v.bool_or("use_abs_pos", true)?,
            use_rel_pos: v.bool_or("use_rel_pos", true)?,
            layer_norm_eps: v.positive_f64_or("layer_norm_eps", 1e-6)?,
            adapters: false,
        };
        let prompt = PromptConfig {
            hidden_size: positive(&p, "hidden_size", 256)?,
            mask_input_channels: positive(&p, "mask_input_channels", 16)?,
            num_pos_feats: positive(&v, "num_pos_feats", 128)?,
            layer_norm_eps: p.positive_f64_or("layer_norm_eps", 1e-6)?,
        };
        let decoder = DecoderConfig {
            hidden_size: width,
            mlp_dim: positive(&d, "mlp_dim", 2048)?,
            num_hidden_layers: positive(&d, "num_hidden_layers", 2)?,
            num_attention_heads: positive(&d, "num_attention_heads", 8)?,
            attention_downsample_rate: positive(&d, "attention_downsample_rate", 2)?,
            num_multimask_outputs: d.usize_or("num_multimask_outputs", 3)?,
            iou_head_depth: positive(&d, "iou_head_depth", 3)?,
            iou_head_hidden_dim: positive(&d, "iou_head_hidden_dim", 256)?,
            layer_norm_eps: d.positive_f64_or("layer_norm_eps", 1e-6)?,
        };
        let fits = |fields: &Fields<'_>, field: &str, fit: bool, problem: &str| {
            if fit { Ok(()) } else { Err(fields.bad(field, problem)) }
        };
        let (heads, inner) = (decoder.num_attention_heads, width / decoder.attention_downsample_rate);
        let size = (vision.image_size, vision.patch_size);
        fits(
            &v,
            "image_size",
            size.0.is_multiple_of(size.1) && size.0 <= 1 << 14,
            "not a multiple of patch_size, or above 16384",
        )?;
        // Every window is filled up with zeros, so a senseless one would cost without end.
        let windows = vision.window_size <= 4 * vision.grid();
        fits(&v, "window_size", windows, "larger than four times the grid of patches")?;
        fits(
            &v,
            "num_attention_heads",
            hidden_size % vision.num_attention_heads == 0,
            "does not divide hidden_size",
        )?;
        fits(
            &v,
            "output_channels",
            vision.output_channels == width,
            "differs from mask_decoder_config.hidden_size",
        )?;
        fits(
            &v,
            "num_pos_feats",
            2 * prompt.num_pos_feats == width,
            "is not half the decoder's hidden_size",
        )?;
        // Parts that say the same of the input as the encoder does.
        for (field, value) in [
            ("image_size", vision.image_size),
            ("patch_size", vision.patch_size),
            ("image_embedding_size", vision.grid()),
        ] {
            p.only(&[(field, value.to_string().as_str())])?;
        }
        fits(&p, "hidden_size", prompt.hidden_size == width, "differs from mask_decoder_config.hidden_size")?;
        fits(&p, "mask_input_channels", prompt.mask_input_channels.is_multiple_of(4), "not a multiple of 4")?;
        fits(
            &d,
            "hidden_size",
            width % 8 == 0 && width % heads == 0,
            "not a multiple of 8 and of the heads",
        )?;
        fits(
            &d,
            "attention_downsample_rate",
            inner > 0 && inner % heads == 0,
            "leaves no whole number a head",
        )?;
        Ok(Self { vision: Vision::Vit(vision), prompt, decoder })
    }
}
