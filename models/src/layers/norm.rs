//! RMS and layer normalisation over the last dimension. Where the squares of a row overflow, the row is NaN.

use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use candle_core::{CpuStorage, D, DType, Module, Result, Storage, Tensor};
use candle_nn::ops::{layer_norm, layer_norm_slow, rms_norm, rms_norm_slow};
use rayon::prelude::*;

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
        let out = match &self.bias {
            None if x.track_op() => rms_norm_slow(x, &self.weight, self.eps),
            Some(bias) if x.track_op() => layer_norm_slow(x, &self.weight, bias, self.eps),
            None => rms_norm(x, &self.weight, self.eps),
            Some(bias) => layer_norm(x, &self.weight, bias, self.eps),
        };
        lost_as_nan(out?, x)
    }
}

/// candle's layer norm, for networks that use its layers.
#[derive(Debug, Clone)]
pub(crate) struct LayerNorm(pub(crate) candle_nn::LayerNorm);

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        lost_as_nan(self.0.forward(x)?, x)
    }
}

/// `out` with NaN in the rows whose norm was lost: where the squares of `x` add up to infinity, the row divided by their root is 0, and
/// whatever comes behind would be computed as if the picture or the text had said nothing. Looked at on the processor alone.
fn lost_as_nan(out: Tensor, x: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    if !x.device().is_cpu() || !may_overflow(x, width) {
        return Ok(out);
    }
    let squares = x.to_dtype(DType::F32)?.sqr()?.sum_keepdim(D::Minus1)?;
    // 0, and NaN for infinity.
    out.broadcast_add(&squares.affine(0.0, 0.0)?.to_dtype(out.dtype())?)
}

/// Is a value so large that the squares of a row could add up to infinity?
fn may_overflow(x: &Tensor, width: usize) -> bool {
    /// Values that one task looks at.
    const TASK: usize = 1 << 16;
    let (storage, layout) = x.storage_and_layout();
    let (Storage::Cpu(CpuStorage::F32(all)), Some((from, to))) = (&*storage, layout.contiguous_offsets())
    else {
        return true;
    };
    let Some(values) = all.get(from..to) else { return true };
    let most = (f32::MAX / width.max(1) as f32).sqrt().to_bits();
    // Of floats without their sign the bits are in the order of the values, NaN last.
    let largest = |part: &[f32]| part.iter().fold(0, |most, v| most.max(v.to_bits() & 0x7FFF_FFFF));
    match values.len() > TASK {
        true => values.par_chunks(TASK).any(|part| largest(part) >= most),
        false => largest(values) >= most,
    }
}

/// Layer norm over the channels of `(B, C, H, W)`, as SAM's `LayerNorm2d`.
pub(crate) fn norm_channels(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let mean = x.mean_keepdim(1)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    // Divided by an infinite root everything is 0: NaN instead, which is noticed.
    let lost = variance.affine(0.0, 0.0)?;
    let scaled = centred.broadcast_div(&((variance + eps)?.sqrt()? + lost)?)?;
    let shape = (1, weight.dim(0)?, 1, 1);
    scaled.broadcast_mul(&weight.reshape(shape)?)?.broadcast_add(&bias.reshape(shape)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use candle_core::Device;

    /// Rows whose squares add up to infinity are NaN, the others as they were.
    #[test]
    fn a_norm_that_overflows_is_no_number() {
        let rows = |large: f32| {
            let mut values = vec![0.5f32, -1.0, 2.0, 3.0];
            values.extend([large, -1.0, 2.0, 3.0]);
            Tensor::from_vec(values, (2, 4), &Device::Cpu).unwrap()
        };
        let ones = Tensor::ones(4, DType::F32, &Device::Cpu).unwrap();
        let plain = |bias: bool| Norm { weight: ones.clone(), bias: bias.then(|| ones.clone()), eps: 1e-6 };
        let candle = LayerNorm(candle_nn::LayerNorm::new(ones.clone(), ones.clone(), 1e-6));
        let two = |t: Tensor| t.to_vec2::<f32>().unwrap();
        for large in [1e30, -3e38, f32::INFINITY, f32::NAN, 2e19] {
            let found = [plain(false), plain(true)].map(|norm| two(norm.forward(&rows(large)).unwrap()));
            for out in found.into_iter().chain([two(candle.forward(&rows(large)).unwrap())]) {
                assert!(out[0].iter().all(|v| v.is_finite()), "{large}: {out:?}");
                assert!(out[1].iter().any(|v| v.is_nan()), "{large}: {out:?}");
            }
        }
        // Large, but no square is lost: as candle computes it.
        let x = rows(1e18);
        assert_eq!(two(plain(false).forward(&x).unwrap()), two(rms_norm(&x, &ones, 1e-6).unwrap()));
        assert_eq!(two(plain(true).forward(&x).unwrap()), two(layer_norm(&x, &ones, &ones, 1e-6).unwrap()));
    }

    #[test]
    fn a_norm_over_channels_that_overflows_is_no_number() {
        let ones = Tensor::ones(2, DType::F32, &Device::Cpu).unwrap();
        let x = Tensor::from_vec(vec![1.0f32, 1e30, 2.0, 5.0], (1, 2, 1, 2), &Device::Cpu).unwrap();
        let out =
            norm_channels(&x, &ones, &ones, 1e-6).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(out[0].is_finite() && out[2].is_finite() && out[1].is_nan() && out[3].is_nan(), "{out:?}");
    }
}
