//! A frame and its mask to what is remembered of them (`Sam2VideoMemoryEncoder`).

use super::config::Sam2Config;
use crate::error::LoadError;
use crate::layers::fused::gelu;
use crate::layers::norm::norm_channels;
use crate::layers::vars::Vars;
use candle_core::{Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module};

/// The class default of `Sam2VideoLayerNorm`.
const EPS: f64 = 1e-6;

/// The memory encoder.
#[derive(Debug)]
pub(crate) struct MemoryEncoder {
    shrink: Vec<(Conv2d, (Tensor, Tensor))>,
    shrunk: Conv2d,
    features: Conv2d,
    fuser: Vec<Fuser>,
    out: Conv2d,
}

/// A block of ConvNeXt (Liu et al. 2022, arXiv 2201.03545).
#[derive(Debug)]
struct Fuser {
    depthwise: Conv2d,
    norm: (Tensor, Tensor),
    lin1: Linear,
    lin2: Linear,
    scale: Tensor,
}

impl MemoryEncoder {
    pub(crate) fn load(config: &Sam2Config, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let (width, memory) = (config.width, config.memory.channels);
        let halving = Conv2dConfig { stride: 2, padding: 1, ..Conv2dConfig::default() };
        let point = Conv2dConfig::default();
        let down = vars.pp("mask_downsampler");
        // Sixteen times in four halvings, each with four times the channels.
        let (mut shrink, mut channels) = (Vec::new(), 1);
        for n in 0..4 {
            let layer = down.pp(&format!("layers.{n}"));
            let conv = layer.conv(channels, 4 * channels, 3, halving, "conv")?;
            channels *= 4;
            shrink.push((conv, layer.norm(channels, "layer_norm")?));
        }
        let alone = Conv2dConfig { padding: 3, groups: width, ..Conv2dConfig::default() };
        let fuser = (0..config.memory.fuser_layers).map(|n| {
            let vars = vars.pp(&format!("memory_fuser.layers.{n}"));
            let depthwise = vars.pp("depthwise_conv");
            let inner = config.memory.fuser_inner;
            Ok::<_, LoadError>(Fuser {
                depthwise: Conv2d::new(
                    depthwise.get(&[width, 1, 7, 7], "weight")?,
                    Some(depthwise.get(&[width], "bias")?),
                    alone,
                ),
                norm: vars.norm(width, "layer_norm")?,
                lin1: vars.linear(width, inner, true, "pointwise_conv1")?,
                lin2: vars.linear(inner, width, true, "pointwise_conv2")?,
                scale: vars.get(&[width], "scale")?,
            })
        });
        Ok(Self {
            fuser: fuser.collect::<std::result::Result<_, _>>()?,
            shrink,
            shrunk: down.conv(channels, width, 1, point, "final_conv")?,
            features: vars.conv(width, width, 1, point, "feature_projection")?,
            out: vars.conv(width, memory, 1, point, "projection")?,
        })
    }

    /// Features `(1, C, G, G)` and mask values `(1, 1, image_size, image_size)` to `(1, M, G, G)`.
    pub(crate) fn forward(&self, features: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let mut mask = mask.clone();
        for (conv, (weight, bias)) in &self.shrink {
            mask = gelu(norm_channels(&conv.forward(&mask)?, weight, bias, EPS)?)?;
        }
        let mut x = (self.features.forward(features)? + self.shrunk.forward(&mask)?)?;
        for block in &self.fuser {
            let inner = norm_channels(&block.depthwise.forward(&x)?, &block.norm.0, &block.norm.1, EPS)?;
            let inner = inner.permute((0, 2, 3, 1))?.contiguous()?;
            let inner = block.lin2.forward(&gelu(block.lin1.forward(&inner)?)?)?;
            let inner = inner.broadcast_mul(&block.scale)?.permute((0, 3, 1, 2))?;
            x = (x + inner)?;
        }
        self.out.forward(&x)
    }
}
