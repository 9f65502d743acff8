//! RMS and layer normalisation over the last dimension.

use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use candle_core::{Result, Tensor};
use candle_nn::ops::{layer_norm, layer_norm_slow, rms_norm, rms_norm_slow};

/// `x / sqrt(mean(x²) + eps) · w`, or LayerNorm when there is a bias.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    weight: Tensor,
    bias: Option<Tensor>,
    eps: f32,
}

impl Norm {
    /// RMSNorm with the weight `name.weight`.
    pub(crate) fn rms(
        w: &Weights,
        name: &str,
        size: usize,
        eps: f64,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self { weight: w.tensor(&format!("{name}.weight"), &[size])?, bias: None, eps: eps as f32 })
    }

    /// RMSNorm multiplied by `plus` + the weight `name.weight` (1 for Gemma).
    pub(crate) fn rms_plus(
        w: &Weights,
        name: &str,
        size: usize,
        eps: f64,
        plus: f64,
    ) -> std::result::Result<Self, LoadError> {
        let norm = Self::rms(w, name, size, eps)?;
        if plus == 0.0 {
            return Ok(norm);
        }
        Ok(Self { weight: (norm.weight + plus)?, ..norm })
    }

    /// LayerNorm with weight and bias.
    pub(crate) fn layer(
        w: &Weights,
        name: &str,
        size: usize,
        eps: f64,
    ) -> std::result::Result<Self, LoadError> {
        let bias = Some(w.tensor(&format!("{name}.bias"), &[size])?);
        Ok(Self { weight: w.tensor(&format!("{name}.weight"), &[size])?, bias, eps: eps as f32 })
    }

    /// Same shape as `x`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // The fused loops have no gradient.
        match &self.bias {
            None if x.track_op() => rms_norm_slow(x, &self.weight, self.eps),
            Some(bias) if x.track_op() => layer_norm_slow(x, &self.weight, bias, self.eps),
            None => rms_norm(x, &self.weight, self.eps),
            Some(bias) => layer_norm(x, &self.weight, bias, self.eps),
        }
    }
}

/// Layer norm over the channels of `(B, C, H, W)`, as SAM's `LayerNorm2d`.
pub(crate) fn norm_channels(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let mean = x.mean_keepdim(1)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    let scaled = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    let shape = (1, weight.dim(0)?, 1, 1);
    scaled.broadcast_mul(&weight.reshape(shape)?)?.broadcast_add(&bias.reshape(shape)?)
}
