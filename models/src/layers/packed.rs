//! Products with weights on the processor, whose layout is arranged once when loading.
//!
//! A general product arranges the weights anew in every call, which costs more than the product
//! itself when few rows are decoded. Here outputs lie in panels of [`LANES`]; rows go in blocks of
//! [`BLOCK`], so that a tile of sums stays in registers over the whole depth. Half-precision weights
//! stay so in memory and are widened a panel at a time; sums are f32.

use crate::checkpoint::weights::Dtype;
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape};
use half::{bf16, f16};
use rayon::prelude::*;

/// Outputs of a panel.
const LANES: usize = 16;
/// Rows of a tile: 6 × 16 sums fill the sixteen 256-bit registers.
const BLOCK: usize = 6;
/// Rows from which on threads share the rows instead of the outputs.
const MANY_ROWS: usize = 48;
/// Rows of one task when rows are shared.
const TASK_ROWS: usize = 8 * BLOCK;

enum Panels {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

/// Weights (out, in) in panels: for each 16 outputs, input by input.
pub(crate) struct Packed {
    panels: Panels,
    input: usize,
    out: usize,
    bias: Option<Vec<f32>>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({}, {})", self.out, self.input)
    }
}

impl Packed {
    /// Arranges `values` in (out, in) order; kept as `dtype`.
    pub(crate) fn new(
        values: &[f32],
        input: usize,
        out: usize,
        bias: Option<Vec<f32>>,
        dtype: Dtype,
    ) -> Self {
        let arranged = |at: usize| {
            let (panel, rest) = (at / (LANES * input), at % (LANES * input));
            let (depth, lane) = (rest / LANES, rest % LANES);
            values.get((panel * LANES + lane) * input + depth).copied().unwrap_or(0.0)
        };
        let all = out.div_ceil(LANES) * LANES * input;
        let panels = match dtype {
            Dtype::F32 => Panels::F32((0..all).into_par_iter().map(arranged).collect()),
            Dtype::F16 => Panels::F16((0..all).into_par_iter().map(|i| f16::from_f32(arranged(i))).collect()),
            Dtype::Bf16 => {
                Panels::Bf16((0..all).into_par_iter().map(|i| bf16::from_f32(arranged(i))).collect())
            }
        };
        Self { panels, input, out, bias }
    }

    /// Row `index` of the weights.
    pub(crate) fn row(&self, index: usize) -> Vec<f32> {
        let start = index / LANES * LANES * self.input + index % LANES;
        let at = (0..self.input).map(|depth| start + depth * LANES);
        match &self.panels {
            Panels::F32(p) => at.map(|i| p[i]).collect(),
            Panels::F16(p) => at.map(|i| p[i].to_f32()).collect(),
            Panels::Bf16(p) => at.map(|i| p[i].to_f32()).collect(),
        }
    }

    /// Inputs and outputs.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.input, self.out)
    }

    /// Panel `index` in f32; `space` holds it when it has to be widened.
    fn panel<'a>(&'a self, index: usize, space: &'a mut Vec<f32>) -> &'a [[f32; LANES]] {
        let size = LANES * self.input;
        let range = index * size..(index + 1) * size;
        match &self.panels {
            Panels::F32(p) => return p[range].as_chunks().0,
            Panels::F16(p) => {
                space.clear();
                space.extend(p[range].iter().map(|v| v.to_f32()));
            }
            Panels::Bf16(p) => {
                space.clear();
                space.extend(p[range].iter().map(|v| v.to_f32()));
            }
        }
        space.as_chunks().0
    }

    /// (rows, in) to (rows, out).
    fn product(&self, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.input;
        let mut y = vec![0f32; rows * self.out];
        let panels = self.out.div_ceil(LANES);
        let arch = pulp::Arch::new();
        if rows >= MANY_ROWS {
            let tasks = y.par_chunks_mut(TASK_ROWS * self.out).zip(x.par_chunks(TASK_ROWS * self.input));
            tasks.for_each(|(y, x)| {
                let blocks = arrange(x, self.input);
                let mut space = Vec::new();
                for index in 0..panels {
                    let panel = self.panel(index, &mut space);
                    for (b, block) in blocks.chunks_exact(self.input).enumerate() {
                        let sums = arch.dispatch(Tile { panel, block });
                        self.put(&sums, y, b * BLOCK, index, self.out, index * LANES);
                    }
                }
            });
            return y;
        }
        let blocks = arrange(x, self.input);
        // A few tasks a thread; each leaves its outputs side by side, they are put in rows after.
        let share = panels.div_ceil(rayon::current_num_threads() * 4).max(1);
        let parts: Vec<Vec<f32>> = (0..panels.div_ceil(share))
            .into_par_iter()
            .map(|task| {
                let range = task * share..((task + 1) * share).min(panels);
                let width = range.len() * LANES;
                let mut part = vec![0f32; rows * width];
                let mut space = Vec::new();
                for index in range.clone() {
                    let panel = self.panel(index, &mut space);
                    for (b, block) in blocks.chunks_exact(self.input).enumerate() {
                        let sums = arch.dispatch(Tile { panel, block });
                        self.put(&sums, &mut part, b * BLOCK, index, width, (index - range.start) * LANES);
                    }
                }
                part
            })
            .collect();
        for (task, part) in parts.iter().enumerate() {
            let width = part.len() / rows.max(1);
            let from = task * share * LANES;
            let n = width.min(self.out - from);
            for (row, line) in part.chunks_exact(width).enumerate() {
                y[row * self.out + from..][..n].copy_from_slice(&line[..n]);
            }
        }
        y
    }

    /// Writes a tile and its bias into rows of `width` from column `column` on.
    fn put(
        &self,
        sums: &[[f32; LANES]; BLOCK],
        y: &mut [f32],
        row: usize,
        panel: usize,
        width: usize,
        column: usize,
    ) {
        let n = LANES.min(self.out - panel * LANES);
        let bias = self.bias.as_deref().and_then(|b| b.get(panel * LANES..panel * LANES + n));
        for (r, line) in sums.iter().enumerate() {
            let start = (row + r) * width + column;
            let Some(place) = y.get_mut(start..start + n) else { return };
            match bias {
                None => place.copy_from_slice(&line[..n]),
                Some(bias) => place.iter_mut().zip(line).zip(bias).for_each(|((p, s), b)| *p = s + b),
            }
        }
    }
}

/// Rows in blocks of [`BLOCK`], input by input; missing rows are zero.
fn arrange(x: &[f32], input: usize) -> Vec<[f32; BLOCK]> {
    let rows = x.len() / input;
    let mut out = vec![[0f32; BLOCK]; rows.div_ceil(BLOCK) * input];
    for (row, line) in x.chunks_exact(input).enumerate() {
        let block = &mut out[row / BLOCK * input..][..input];
        block.iter_mut().zip(line).for_each(|(b, v)| b[row % BLOCK] = *v);
    }
    out
}

/// A tile of sums over the whole depth.
struct Tile<'a> {
    panel: &'a [[f32; LANES]],
    block: &'a [[f32; BLOCK]],
}

impl pulp::WithSimd for Tile<'_> {
    type Output = [[f32; LANES]; BLOCK];

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        let mut sums = [[0f32; LANES]; BLOCK];
        for (w, x) in self.panel.iter().zip(self.block) {
            for (line, x) in sums.iter_mut().zip(x) {
                for (sum, w) in line.iter_mut().zip(w) {
                    *sum = x.mul_add(*w, *sum);
                }
            }
        }
        sums
    }
}

impl CustomOp1 for Packed {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let wrong = || Error::Msg("a packed layer takes contiguous f32 rows of its width".into());
        let (CpuStorage::F32(values), Some((from, to))) = (storage, layout.contiguous_offsets()) else {
            return Err(wrong());
        };
        match layout.dims() {
            [rows, width] if *width == self.input => {
                let y = self.product(&values[from..to]);
                Ok((CpuStorage::F32(y), Shape::from((*rows, self.out))))
            }
            _ => Err(wrong()),
        }
    }
}

/// `silu(gate) · up` of rows that hold gate and up side by side: (rows, 2 n) to (rows, n).
pub(crate) struct GatedSilu;

impl CustomOp1 for GatedSilu {
    fn name(&self) -> &'static str {
        "gated-silu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(values), Some((from, to)), [rows, both]) =
            (storage, layout.contiguous_offsets(), layout.dims())
        else {
            return Err(Error::Msg("a gate takes contiguous f32 rows".into()));
        };
        let wide = both / 2;
        let mut out = vec![0f32; rows * wide];
        out.par_chunks_mut(wide).zip(values[from..to].par_chunks(*both)).for_each(|(out, line)| {
            let (gate, up) = line.split_at(wide);
            out.iter_mut().zip(gate).zip(up).for_each(|((o, g), u)| *o = g / (1.0 + (-g).exp()) * u);
        });
        Ok((CpuStorage::F32(out), Shape::from((*rows, wide))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn products_equal_plain_sums(rows in 1usize..130, input in 1usize..40, out in 1usize..70, biased: bool) {
            let value = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 504.5 - 1.0;
            let x: Vec<f32> = (0..rows * input).map(value).collect();
            let w: Vec<f32> = (0..out * input).map(|i| value(i + 7)).collect();
            let bias: Option<Vec<f32>> = biased.then(|| (0..out).map(value).collect());
            for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F16] {
                let packed = Packed::new(&w, input, out, bias.clone(), dtype);
                let rounded: Vec<f32> = (0..out).flat_map(|i| packed.row(i)).collect();
                if dtype == Dtype::F32 {
                    prop_assert_eq!(&rounded, &w);
                }
                let y = packed.product(&x);
                for r in 0..rows {
                    for o in 0..out {
                        let pairs = x[r * input..][..input].iter().zip(&rounded[o * input..][..input]);
                        let sum: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        let want = sum + bias.as_ref().map_or(0.0, |b| f64::from(b[o]));
                        prop_assert!((f64::from(y[r * out + o]) - want).abs() < 1e-4);
                    }
                }
            }
        }
    }
}
