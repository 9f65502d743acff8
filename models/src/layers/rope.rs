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

/// How rotary frequencies are stretched for longer contexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RopeScaling {
    /// Not at all.
    None,
    /// All divided by this (`linear`).
    Linear(f64),
    /// Llama 3.1 (`llama3`, `_compute_llama3_parameters` of transformers): low frequencies are divided by
    /// `factor`, high ones stay, those between are blended.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        /// Tokens that the model was first trained on.
        original: f64,
    },
}

impl RopeScaling {
    /// Frequencies of half a head.
    pub(crate) fn frequencies(self, theta: f64, dim: usize) -> Vec<f32> {
        let plain = inverse_frequencies(theta, dim);
        match self {
            Self::None => plain,
            Self::Linear(factor) => plain.iter().map(|f| (f64::from(*f) / factor) as f32).collect(),
            Self::Llama3 { factor, low, high, original } => {
                let stretched = |f: &f32| {
                    let f = f64::from(*f);
                    let wavelength = 2.0 * std::f64::consts::PI / f;
                    let blend = (original / wavelength - low) / (high - low);
                    let value = if wavelength > original / low {
                        f / factor
                    } else if wavelength < original / high {
                        f
                    } else {
                        (1.0 - blend) * f / factor + blend * f
                    };
                    value as f32
                };
                plain.iter().map(stretched).collect()
            }
        }
    }
}

/// The axis of each frequency where sections of `sizes` frequencies lie end to end: those of time, of rows, of
/// columns.
pub(crate) fn end_to_end(sizes: [usize; 3]) -> Vec<usize> {
    sizes.iter().enumerate().flat_map(|(axis, n)| vec![axis; *n]).collect()
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

    /// Positions along several axes (M-RoPE, arXiv 2409.12191): frequency i turns with the position along
    /// axis `axes[i]` (time, row, column).
    pub(crate) fn by_axes(
        positions: &[[u32; 3]],
        axes: &[usize],
        frequencies: &[f32],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let angle = |p: &[u32; 3]| -> Vec<f32> {
            axes.iter()
                .zip(frequencies)
                .map(|(axis, f)| p.get(*axis).map_or(0.0, |p| *p as f32) * f)
                .collect()
        };
        let angles: Vec<f32> = positions.iter().flat_map(angle).collect();
        Self::new(&angles, frequencies.len(), dtype, device)
    }

    /// Rotates (tokens, heads, head dimension); the halves of a head are the two coordinates.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        rope_thd(&x.unsqueeze(0)?.contiguous()?, &self.cos, &self.sin)?.squeeze(0)
    }
}
