//! Rotary positions: tables of cosines and sines for arbitrary positions along several axes.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::rotary_emb::rope_thd;
use rayon::prelude::*;

/// Angles that one task takes.
const TASK: usize = 1 << 12;

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
#[derive(Debug, Clone, PartialEq)]
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
    /// Phi-3 of long contexts (`longrope`, `_compute_longrope_parameters` of transformers), within the length that it was
    /// first trained on: each frequency is divided by a factor of its own.
    LongRope {
        /// `short_factor`, one a frequency.
        short: Vec<f64>,
        /// What cosines and sines are multiplied by.
        magnitude: f64,
        /// Tokens that the model was first trained on. Longer prompts take other factors.
        original: usize,
    },
}

impl RopeScaling {
    /// Frequencies of half a head.
    pub(crate) fn frequencies(&self, theta: f64, dim: usize) -> Vec<f32> {
        let plain = inverse_frequencies(theta, dim);
        match *self {
            Self::None => plain,
            Self::LongRope { ref short, .. } => {
                // In single precision, as there.
                let power = |i: usize| (theta as f32).powf(2.0 * i as f32 / dim as f32);
                short.iter().enumerate().map(|(i, factor)| 1.0 / (*factor as f32 * power(i))).collect()
            }
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

impl RopeScaling {
    /// What cosines and sines are multiplied by.
    pub(crate) fn magnitude(&self) -> f32 {
        match self {
            Self::LongRope { magnitude, .. } => *magnitude as f32,
            _ => 1.0,
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
        Self::magnified(angles, half, 1.0, dtype, device)
    }

    fn magnified(angles: &[f32], half: usize, magnitude: f32, dtype: DType, device: &Device) -> Result<Self> {
        let table = |f: fn(f64) -> f64| -> Result<Tensor> {
            let value = |a: &f32| f(f64::from(*a)) as f32 * magnitude;
            let values: Vec<f32> = angles.par_iter().with_min_len(TASK).map(value).collect();
            Tensor::from_vec(values, (angles.len() / half, half), &Device::Cpu)?
                .to_dtype(dtype)?
                .to_device(device)
        };
        Ok(Self { cos: table(f64::cos)?, sin: table(f64::sin)? })
    }

    /// Positions along several axes (M-RoPE, arXiv 2409.12191): frequency i turns with the position along
    /// axis `axes[i]` (time, row, column). Cosines and sines are multiplied by the
    /// magnitude.
    pub(crate) fn by_axes(
        positions: &[[u32; 3]],
        axes: &[usize],
        (frequencies, magnitude): (&[f32], f32),
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
        Self::magnified(&angles, frequencies.len(), magnitude, dtype, device)
    }

    /// Positions in rows and columns, as vision towers have them: the first half of the frequencies turns with the row,
    /// the second with the column.
    pub(crate) fn on_grid(
        places: impl ExactSizeIterator<Item = (usize, usize)>,
        frequencies: &[f32],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let half = frequencies.len() * 2;
        let mut angles = Vec::with_capacity(places.len() * half);
        for (row, column) in places {
            angles.extend(frequencies.iter().map(|f| row as f32 * f));
            angles.extend(frequencies.iter().map(|f| column as f32 * f));
        }
        Self::new(&angles, half, dtype, device)
    }

    /// Rotates (tokens, heads, head dimension); the halves of a head are the two coordinates.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        rope_thd(&x.unsqueeze(0)?.contiguous()?, &self.cos, &self.sin)?.squeeze(0)
    }
}
