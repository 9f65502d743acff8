//! Sizes of a checkpoint in the original layout, which comes without config.json: widths are read
//! off the tensors; windows and heads, which no shape tells, are those of the released sizes.

use super::config::{HieraConfig, MemoryConfig, Sam2Config, Stability};
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::networks::sam::config::{DecoderConfig, PromptConfig};

/// A released backbone.
struct Released {
    width: usize,
    blocks: [usize; 4],
    /// Heads of the first stage.
    heads: usize,
    windows: [usize; 4],
    /// Blocks with global attention.
    global: [usize; 3],
}

/// Tiny, small, base+ and large (`sam2/configs/sam2.1`).
const RELEASED: [Released; 4] = [
    Released { width: 96, blocks: [1, 2, 7, 2], heads: 1, windows: [8, 4, 14, 7], global: [5, 7, 9] },
    Released { width: 96, blocks: [1, 2, 11, 2], heads: 1, windows: [8, 4, 14, 7], global: [7, 10, 13] },
    Released { width: 112, blocks: [2, 3, 16, 3], heads: 2, windows: [8, 4, 14, 7], global: [12, 16, 20] },
    Released { width: 144, blocks: [2, 6, 36, 4], heads: 2, windows: [8, 4, 16, 8], global: [23, 33, 43] },
];

/// The configuration that the tensors' shapes imply (names already canonical) for an input of
/// `side` pixels.
pub(crate) fn config_from_shapes(weights: &Weights, side: usize) -> Result<Sam2Config, LoadError> {
    let size = |name: &str, axis: usize| {
        let shape = weights.shape(name).and_then(|shape| shape.get(axis).copied());
        shape.ok_or_else(|| LoadError::MissingTensor { name: name.to_owned() })
    };
    let width = size("vision_encoder.backbone.patch_embed.projection.weight", 0)?;
    let blocks = (0..)
        .take_while(|n| {
            weights.shape(&format!("vision_encoder.backbone.blocks.{n}.attn.proj.weight")).is_some()
        })
        .count();
    let released = RELEASED.iter().find(|r| r.width == width && r.blocks.iter().sum::<usize>() == blocks);
    let Some(released) = released else {
        return Err(LoadError::Field {
            file: "config.json",
            field: "vision_config.backbone_config".to_owned(),
            problem: format!(
                "missing, and {blocks} blocks of width {width} are none of the released sizes; put a config.json of \
                 transformers' Sam2VideoConfig beside the weights"
            ),
        });
    };
    let transformer = "mask_decoder.transformer";
    let decoder = size("mask_decoder.iou_token.weight", 1)?;
    let inner = size(&format!("{transformer}.final_attn_token_to_image.q_proj.weight"), 0)?;
    Ok(Sam2Config {
        side,
        width: decoder,
        backbone: HieraConfig {
            blocks: released.blocks,
            widths: [0, 1, 2, 3].map(|stage| width << stage),
            heads: [0, 1, 2, 3].map(|stage| released.heads << stage),
            windows: released.windows,
            global: released.global.to_vec(),
            background: size("vision_encoder.backbone.pos_embed", 2)?,
            mlp_ratio: 4.0,
            layer_norm_eps: 1e-6,
        },
        top_down: vec![2, 3],
        prompt: PromptConfig {
            hidden_size: decoder,
            mask_input_channels: size("prompt_encoder.mask_embed.conv2.weight", 0)?,
            num_pos_feats: decoder / 2,
            layer_norm_eps: 1e-6,
        },
        decoder: DecoderConfig {
            hidden_size: decoder,
            mlp_dim: size(&format!("{transformer}.layers.0.mlp.lin1.weight"), 0)?,
            num_hidden_layers: 2,
            num_attention_heads: 8,
            attention_downsample_rate: decoder / inner.max(1),
            num_multimask_outputs: size("mask_decoder.mask_tokens.weight", 0)?.saturating_sub(1),
            iou_head_depth: 3,
            iou_head_hidden_dim: size("mask_decoder.iou_prediction_head.proj_in.weight", 0)?,
            layer_norm_eps: 1e-5,
        },
        stability: Some(Stability { delta: 0.05, least: 0.98 }),
        memory: MemoryConfig::default(),
    })
}
