//! Sizes of a checkpoint in the original layout, which comes without config.json: every one of them
//! can be read off the shapes of the tensors.

use super::config::{DecoderConfig, PromptConfig, SamConfig, Vision, VisionConfig};
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;

/// Shapes of tensors under their canonical names.
struct Shapes<'a>(&'a Weights);

impl Shapes<'_> {
    fn of(&self, name: &str) -> Result<Vec<usize>, LoadError> {
        self.0.shape(name).ok_or_else(|| LoadError::MissingTensor { name: name.to_owned() })
    }

    /// Length of one axis.
    fn size(&self, name: &str, axis: usize) -> Result<usize, LoadError> {
        let shape = self.of(name)?;
        shape.get(axis).copied().filter(|n| *n > 0).ok_or_else(|| LoadError::Shape {
            name: name.to_owned(),
            found: shape,
            expected: vec![1; axis + 1],
        })
    }

    /// How many of `stem.0.`, `stem.1.` … there are.
    fn count(&self, stem: &str) -> usize {
        let there = |n: &usize| self.0.names().any(|name| name.starts_with(&format!("{stem}.{n}.")));
        (0..).take_while(there).count()
    }
}

/// The configuration that the tensors' shapes imply. `tiny_vit` is the side of the input when the
/// encoder is a TinyViT, whose shapes do not tell it.
pub(super) fn config_from_shapes(weights: &Weights, tiny_vit: Option<usize>) -> Result<SamConfig, LoadError> {
    let shapes = Shapes(weights);
    let transformer = "mask_decoder.transformer";
    let width = shapes.size("mask_decoder.iou_token.weight", 1)?;
    let inner = shapes.size(&format!("{transformer}.final_attn_token_to_image.q_proj.weight"), 0)?;
    let vision = match tiny_vit {
        // The stem halves the grid twice, or, where its kernels are single pixels, not at all; two merges halve it.
        Some(side) => {
            let kernel = shapes.size("vision_encoder.patch_embed.seq.0.c.weight", 2)?;
            Vision::TinyVit { side, width, reduction: if kernel == 1 { 4 } else { 16 } }
        }
        None => Vision::Vit(vit(&shapes, width)?),
    };
    Ok(SamConfig {
        vision,
        prompt: PromptConfig {
            hidden_size: width,
            mask_input_channels: shapes.size("prompt_encoder.mask_embed.conv2.weight", 0)?,
            num_pos_feats: width / 2,
            layer_norm_eps: 1e-6,
        },
        decoder: DecoderConfig {
            hidden_size: width,
            mlp_dim: shapes.size(&format!("{transformer}.layers.0.mlp.lin1.weight"), 0)?,
            num_hidden_layers: shapes.count(&format!("{transformer}.layers")),
            // The one number that no shape tells; 8 in every released SAM.
            num_attention_heads: 8,
            attention_downsample_rate: width / inner,
            num_multimask_outputs: shapes.size("mask_decoder.mask_tokens.weight", 0)? - 1,
            iou_head_depth: shapes.count("mask_decoder.iou_prediction_head.layers") + 2,
            iou_head_hidden_dim: shapes.size("mask_decoder.iou_prediction_head.proj_in.weight", 0)?,
            // The original's nn.LayerNorm has PyTorch's default in the decoder's transformer.
            layer_norm_eps: 1e-5,
        },
    })
}

fn vit(shapes: &Shapes<'_>, output_channels: usize) -> Result<VisionConfig, LoadError> {
    let patch = "vision_encoder.patch_embed.projection.weight";
    let (hidden_size, patch_size) = (shapes.size(patch, 0)?, shapes.size(patch, 2)?);
    let grid = shapes.size("vision_encoder.pos_embed", 1)?;
    let num_hidden_layers = shapes.count("vision_encoder.layers");
    let mut heads = 1;
    let (mut window_size, mut global_attn_indexes) = (0, Vec::new());
    for n in 0..num_hidden_layers {
        let table = format!("vision_encoder.layers.{n}.attn.rel_pos_h");
        let (rows, head) = (shapes.size(&table, 0)?, shapes.size(&table, 1)?);
        heads = hidden_size / head;
        if rows == 2 * grid - 1 {
            global_attn_indexes.push(n);
        } else {
            window_size = rows.div_ceil(2);
        }
    }
    Ok(VisionConfig {
        hidden_size,
        output_channels,
        num_hidden_layers,
        num_attention_heads: heads,
        image_size: grid * patch_size,
        patch_size,
        window_size,
        global_attn_indexes,
        mlp_dim: shapes.size("vision_encoder.layers.0.mlp.lin1.weight", 0)?,
        qkv_bias: true,
        use_abs_pos: true,
        use_rel_pos: true,
        layer_norm_eps: 1e-6,
        adapters: shapes.of("vision_encoder.layers.0.Adapter.norm.weight").is_ok(),
    })
}
