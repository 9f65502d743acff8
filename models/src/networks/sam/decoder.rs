//! Tokens and image attend to each other, then masks are read off (`SamMaskDecoder`).

use super::config::DecoderConfig;
use super::upconv::Blocks;
use crate::error::LoadError;
use crate::layers::fused::gelu;
use crate::layers::multi_head::MultiHead;
use crate::layers::norm::LayerNorm;
use crate::layers::norm::norm_channels;
use crate::layers::vars::Vars;
use candle_core::{Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module};

/// The mask decoder.
#[derive(Debug)]
pub(crate) struct MaskDecoder {
    /// The quality token, then one token a mask: `(1 + masks, C)`.
    own_tokens: Tensor,
    blocks: Vec<Block>,
    final_attention: MultiHead,
    final_norm: LayerNorm,
    up1: Blocks,
    up_norm: (Tensor, Tensor),
    up2: Blocks,
    hypernetworks: Vec<FeedForward>,
    quality: FeedForward,
    second: Option<Second>,
}

/// What SAM 2 adds: finer features of the picture, and whether there is an object at all.
#[derive(Debug)]
struct Second {
    /// Projections of the features on the grids of `4G` and `2G`.
    fine: [Conv2d; 2],
    object_score: FeedForward,
}

/// What the decoder gives for `N` prompts.
#[derive(Debug)]
pub(crate) struct DecoderOutput {
    /// Logits `(N, masks, 4G, 4G)`; mask 0 is the single-mask output, 1… the multimask outputs.
    pub(crate) masks: Tensor,
    /// Predicted IoU, `(N, masks)`.
    pub(crate) quality: Tensor,
    /// The mask tokens behind them, `(N, masks, C)`.
    pub(crate) tokens: Tensor,
    /// SAM 2: logit of "there is an object", `(N, 1)`.
    pub(crate) object_score: Option<Tensor>,
}

#[derive(Debug)]
struct Block {
    self_attention: MultiHead,
    norm1: LayerNorm,
    token_to_image: MultiHead,
    norm2: LayerNorm,
    lin1: Linear,
    lin2: Linear,
    norm3: LayerNorm,
    image_to_token: MultiHead,
    norm4: LayerNorm,
    /// The first block has no positions in its self-attention, and no residual around it.
    first: bool,
}

/// Linear layers with ReLU between them.
#[derive(Debug)]
pub(crate) struct FeedForward {
    layers: Vec<Linear>,
}

type Loaded<T> = std::result::Result<T, LoadError>;

impl MaskDecoder {
    pub(crate) fn load(config: &DecoderConfig, vars: &Vars<'_>) -> Loaded<Self> {
        let width = config.hidden_size;
        let masks = config.num_multimask_outputs + 1;
        let mut own_tokens = vec![
            vars.get(&[1, width], "iou_token.weight")?,
            vars.get(&[masks, width], "mask_tokens.weight")?,
        ];
        let mut second = None;
        if vars.shape("obj_score_token.weight").is_some() {
            own_tokens.push(vars.get(&[1, width], "obj_score_token.weight")?);
            let project = |to: usize, name: &str| vars.conv(width, to, 1, Conv2dConfig::default(), name);
            second = Some(Second {
                fine: [project(width / 8, "conv_s0")?, project(width / 4, "conv_s1")?],
                object_score: FeedForward::load(width, width, 1, 3, &vars.pp("pred_obj_score_head"))?,
            });
        }
        let transformer = vars.pp("transformer");
        let blocks = (0..config.num_hidden_layers)
            .map(|n| Block::load(config, n == 0, &transformer.pp(&format!("layers.{n}"))))
            .collect::<Loaded<_>>()?;
        let hypernetworks = (0..masks)
            .map(|n| {
                FeedForward::load(
                    width,
                    width,
                    width / 8,
                    3,
                    &vars.pp(&format!("output_hypernetworks_mlps.{n}")),
                )
            })
            .collect::<Loaded<_>>()?;
        Ok(Self {
            own_tokens: Tensor::cat(&own_tokens, 0)?,
            blocks,
            final_attention: attention(
                config,
                config.attention_downsample_rate,
                &transformer.pp("final_attn_token_to_image"),
            )?,
            // The class default of nn.LayerNorm, whatever the config says.
            final_norm: transformer.layer_norm(width, 1e-5, "layer_norm_final_attn")?,
            up1: Blocks::load(width, width / 4, &vars.pp("upscale_conv1"))?,
            up_norm: vars.norm(width / 4, "upscale_layer_norm")?,
            up2: Blocks::load(width / 4, width / 8, &vars.pp("upscale_conv2"))?,
            hypernetworks,
            quality: FeedForward::load(
                width,
                config.iou_head_hidden_dim,
                masks,
                config.iou_head_depth,
                &vars.pp("iou_prediction_head"),
            )?,
            second,
        })
    }

    /// SAM 2: projects the finer features, `(1, C, 4G, 4G)` and `(1, C, 2G, 2G)`, for
    /// [`MaskDecoder::forward`]; once a picture.
    pub(crate) fn project(&self, fine: [&Tensor; 2]) -> Result<Vec<Tensor>> {
        let Some(second) = &self.second else { return Ok(Vec::new()) };
        second.fine.iter().zip(fine).map(|(conv, features)| conv.forward(features)).collect()
    }

    /// Masks of `N` prompts on one picture, in many small products: to be called on the pool
    /// ([`crate::layers::on_pool`]).
    ///
    /// `image` and `positions` are `(1, C, G, G)`, `sparse` is `(N, tokens, C)`, `dense` is
    /// `(1 or N, C, 1 or G, 1 or G)`; `fine` is what [`MaskDecoder::project`] gave.
    pub(crate) fn forward(
        &self,
        image: &Tensor,
        positions: &Tensor,
        sparse: &Tensor,
        dense: &Tensor,
        fine: &[Tensor],
    ) -> Result<DecoderOutput> {
        let (n, _, width) = sparse.dims3()?;
        let (_, _, g, _) = image.dims4()?;
        let own = self.own_tokens.unsqueeze(0)?.broadcast_as((n, self.own_tokens.dim(0)?, width))?;
        let tokens = Tensor::cat(&[&own.contiguous()?, sparse], 1)?;
        let flat = |x: Tensor| x.flatten_from(2)?.transpose(1, 2)?.contiguous();
        let picture = image.broadcast_add(dense)?;
        let mut keys = flat(picture.broadcast_as((n, width, g, g))?.contiguous()?)?;
        let places = flat(positions.broadcast_as((n, width, g, g))?.contiguous()?)?;
        let mut queries = tokens.clone();
        for block in &self.blocks {
            (queries, keys) = block.forward(&queries, &keys, &tokens, &places)?;
        }
        let attended = self.final_attention.forward(&(&queries + &tokens)?, &(&keys + &places)?, &keys)?;
        let queries = self.final_norm.forward(&(queries + attended)?)?;
        let picture = keys.transpose(1, 2)?.contiguous()?.reshape((n, width, g, g))?;
        let mut up = self.up1.forward(&picture)?;
        if let [_, half] = fine {
            up = up.broadcast_add(half)?;
        }
        let up = gelu(norm_channels(&up, &self.up_norm.0, &self.up_norm.1, 1e-6)?)?;
        let mut up = self.up2.forward(&up)?;
        if let [quarter, _] = fine {
            up = up.broadcast_add(quarter)?;
        }
        let up = gelu(up)?;
        let (_, channels, height, columns) = up.dims4()?;
        let weights = self
            .hypernetworks
            .iter()
            .enumerate()
            .map(|(m, net)| net.forward(&queries.narrow(1, 1 + m, 1)?))
            .collect::<Result<Vec<_>>>()?;
        let weights = Tensor::cat(&weights, 1)?;
        let masks = weights.matmul(&up.reshape((n, channels, height * columns))?)?.reshape((
            n,
            weights.dim(1)?,
            height,
            columns,
        ))?;
        let mut quality = self.quality.forward(&queries.narrow(1, 0, 1)?)?.squeeze(1)?;
        let count = self.hypernetworks.len();
        let mut object_score = None;
        if let Some(second) = &self.second {
            quality = candle_nn::ops::sigmoid(&quality)?;
            object_score = Some(second.object_score.forward(&queries.narrow(1, 1 + count, 1)?)?.squeeze(1)?);
        }
        Ok(DecoderOutput { masks, quality, tokens: queries.narrow(1, 1, count)?, object_score })
    }
}

impl Block {
    fn load(config: &DecoderConfig, first: bool, vars: &Vars<'_>) -> Loaded<Self> {
        let width = config.hidden_size;
        let norm = |name: &str| vars.layer_norm(width, config.layer_norm_eps, name);
        let across = config.attention_downsample_rate;
        Ok(Self {
            self_attention: attention(config, 1, &vars.pp("self_attn"))?,
            norm1: norm("layer_norm1")?,
            token_to_image: attention(config, across, &vars.pp("cross_attn_token_to_image"))?,
            norm2: norm("layer_norm2")?,
            lin1: vars.linear(width, config.mlp_dim, true, "mlp.lin1")?,
            lin2: vars.linear(config.mlp_dim, width, true, "mlp.lin2")?,
            norm3: norm("layer_norm3")?,
            image_to_token: attention(config, across, &vars.pp("cross_attn_image_to_token"))?,
            norm4: norm("layer_norm4")?,
            first,
        })
    }

    fn forward(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        tokens: &Tensor,
        places: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let queries = if self.first {
            self.self_attention.forward(queries, queries, queries)?
        } else {
            let placed = (queries + tokens)?;
            (queries + self.self_attention.forward(&placed, &placed, queries)?)?
        };
        let queries = self.norm1.forward(&queries)?;
        let attended = self.token_to_image.forward(&(&queries + tokens)?, &(keys + places)?, keys)?;
        let queries = self.norm2.forward(&(queries + attended)?)?;
        let inner = self.lin2.forward(&self.lin1.forward(&queries)?.relu()?)?;
        let queries = self.norm3.forward(&(queries + inner)?)?;
        let attended = self.image_to_token.forward(&(keys + places)?, &(&queries + tokens)?, &queries)?;
        let keys = self.norm4.forward(&(keys + attended)?)?;
        Ok((queries, keys))
    }
}

/// Attention whose heads sharing a part of the width.
fn attention(config: &DecoderConfig, downsample: usize, vars: &Vars<'_>) -> Loaded<MultiHead> {
    let width = config.hidden_size;
    MultiHead::load(vars, width, width, width / downsample.max(1), config.num_attention_heads)
}

impl FeedForward {
    pub(crate) fn load(from: usize, inner: usize, to: usize, depth: usize, vars: &Vars<'_>) -> Loaded<Self> {
        let mut layers = vec![vars.linear(from, inner, true, "proj_in")?];
        for n in 0..depth.saturating_sub(2) {
            layers.push(vars.linear(inner, inner, true, &format!("layers.{n}"))?);
        }
        layers.push(vars.linear(inner, to, true, "proj_out")?);
        Ok(Self { layers })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let last = self.layers.len() - 1;
        let mut x = x.clone();
        for (n, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x)?;
            if n < last {
                x = x.relu()?;
            }
        }
        Ok(x)
    }
}
