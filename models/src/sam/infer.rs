//! Sizes of a checkpoint in the original layout, which comes without config.json: every one of them
//! can be read off the shapes of the tensors.

use super::{DecoderConfig, PromptConfig, SamConfig, VisionConfig};
use crate::LoadError;
use crate::weights::Weights;

/// The configuration that the tensors' shapes imply (names already canonical).
pub(crate) fn config_from_shapes(weights: &Weights) -> Result<SamConfig, LoadError> {
    let shape =
        |name: &str| weights.shape(name).ok_or_else(|| LoadError::MissingTensor { name: name.to_owned() });
    let size = |name: &str, axis: usize| {
        shape(name)?.get(axis).copied().ok_or_else(|| LoadError::MissingTensor { name: name.to_owned() })
    };
    let count = |stem: &str| {
        (0..).take_while(|n| weights.names().any(|name| name.starts_with(&format!("{stem}.{n}.")))).count()
    };

    let patch = "vision_encoder.patch_embed.projection.weight";
    let (hidden_size, patch_size) = (size(patch, 0)?, size(patch, 2)?);
    let grid = size("vision_encoder.pos_embed", 1)?;
    let num_hidden_layers = count("vision_encoder.layers");
    let mut heads = 1;
    let (mut window_size, mut global_attn_indexes) = (0, Vec::new());
    for n in 0..num_hidden_layers {
        let table = shape(&format!("vision_encoder.layers.{n}.attn.rel_pos_h"))?;
        let [rows, head] = table[..] else {
            return Err(LoadError::MissingTensor { name: "rel_pos_h of two dimensions".to_owned() });
        };
        heads = hidden_size / head.max(1);
        if rows == 2 * grid - 1 {
            global_attn_indexes.push(n);
        } else {
            window_size = rows.div_ceil(2);
        }
    }
    let transformer = "mask_decoder.transformer";
    let width = size("mask_decoder.iou_token.weight", 1)?;
    let inner = size(&format!("{transformer}.final_attn_token_to_image.q_proj.weight"), 0)?;
    Ok(SamConfig {
        vision: VisionConfig {
            hidden_size,
            output_channels: width,
            num_hidden_layers,
            num_attention_heads: heads,
            image_size: grid * patch_size,
            patch_size,
            window_size,
            global_attn_indexes,
            mlp_dim: size("vision_encoder.layers.0.mlp.lin1.weight", 0)?,
            qkv_bias: true,
            use_abs_pos: true,
            use_rel_pos: true,
            layer_norm_eps: 1e-6,
            adapters: weights.shape("vision_encoder.layers.0.Adapter.norm.weight").is_some(),
        },
        prompt: PromptConfig {
            hidden_size: width,
            mask_input_channels: size("prompt_encoder.mask_embed.conv2.weight", 0)?,
            num_pos_feats: width / 2,
            layer_norm_eps: 1e-6,
        },
        decoder: DecoderConfig {
            hidden_size: width,
            mlp_dim: size(&format!("{transformer}.layers.0.mlp.lin1.weight"), 0)?,
            num_hidden_layers: count(&format!("{transformer}.layers")),
            // The one number that no shape tells; 8 in every released SAM.
            num_attention_heads: 8,
            attention_downsample_rate: width / inner.max(1),
            num_multimask_outputs: size("mask_decoder.mask_tokens.weight", 0)?.saturating_sub(1),
            iou_head_depth: count("mask_decoder.iou_prediction_head.layers") + 2,
            iou_head_hidden_dim: size("mask_decoder.iou_prediction_head.proj_in.weight", 0)?,
            // The original's nn.LayerNorm has PyTorch's default in the decoder's transformer.
            layer_norm_eps: 1e-5,
        },
    })
}
