//! Rotary positions: tables of cosines and sines for arbitrary positions along several axes.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::rotary_emb::rope_thd;

/// Cosines and sines, (tokens, head dimension / 2) each.
pub(crate) struct Rope {
    cos: Tensor,
    sin: Tensor,
}

/// `1 / theta^(2i / dim)` for i < dim / 2, rounded to f32 where the reference rounds.
pub(crate) fn inverse_frequencies(theta: f64, dim: usize) -> Vec<f32> {
    let exponent = |i: usize| (2 * i) as f32 / dim as f32;
    (0..dim / 2).map(|i| 1.0 / (theta.powf(f64::from(exponent(i))) as f32)).collect()
}

impl Rope {
    /// One angle row a token: `angles` has `tokens` × `half` values.
    pub(crate) fn new(angles: &[f32], half: usize, dtype: DType, device: &Device) -> Result<Self> {
        let table = |f: fn(f64) -> f64| -> Result<Tensor> {
            let values: Vec<f32> = angles.iter().map(|a| f(f64::from(*a)) as f32).collect();
            Tensor::from_vec(values, (angles.len() / half, half), &Device::Cpu)?
                .to_dtype(dtype)?
                .to_device(device)
        };
        Ok(Self { cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// Sectioned positions (M-RoPE, arXiv 2409.12191): frequency i turns with the temporal, row or
    /// column position according to the section that i falls in.
    pub(crate) fn sectioned(
        positions: &[[u32; 3]],
        sections: [usize; 3],
        frequencies: &[f32],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let axes: Vec<usize> = sections.iter().enumerate().flat_map(|(axis, n)| vec![axis; *n]).collect();
        let angle = |p: &[u32; 3]| -> Vec<f32> {
            axes.iter().zip(frequencies).map(|(axis, f)| p[*axis] as f32 * f).collect()
        };
        let angles: Vec<f32> = positions.iter().flat_map(angle).collect();
        Self::new(&angles, frequencies.len(), dtype, device)
    }

    /// Rotates (tokens, heads, head dimension); the halves of a head are the two coordinates.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        rope_thd(&x.unsqueeze(0)?.contiguous()?, &self.cos, &self.sin)?.squeeze(0)
    }
}
