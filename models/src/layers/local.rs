//! Convolutions of each channel by itself over rows of places, as towers have them whose pictures are (places, channels).

use super::fused::{fused, values};
use candle_core::{CpuStorage, CustomOp3, Error, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// A 3 × 3 convolution of each channel by itself, zeros around: `x` (rows × columns, channels), `taps` (9, channels) row by row, `bias`
/// (channels); gives the shape of `x`. No place is moved, as it would be for planes of channels.
pub(crate) fn local(x: &Tensor, grid: [usize; 2], taps: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if fused(x) {
        return x.contiguous()?.apply_op3_no_bwd(taps, bias, &Local { grid });
    }
    let ([rows, columns], channels) = (grid, x.dim(1)?);
    let planes = x.t()?.contiguous()?.reshape((1, channels, rows, columns))?;
    let weight = taps.t()?.contiguous()?.reshape((channels, 1, 3, 3))?;
    let out =
        planes.conv2d(&weight, 1, 1, 1, channels)?.broadcast_add(&bias.reshape((1, channels, 1, 1))?)?;
    out.squeeze(0)?.flatten_from(1)?.t()?.contiguous()
}

struct Local {
    grid: [usize; 2],
}

impl CustomOp3 for Local {
    fn name(&self) -> &'static str {
        "local-convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_at: &Layout,
        taps: &CpuStorage,
        taps_at: &Layout,
        bias: &CpuStorage,
        bias_at: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (places, channels) = x_at.shape().dims2()?;
        let [rows, columns] = self.grid;
        let (x, taps, bias) = (values(x, x_at)?, values(taps, taps_at)?, values(bias, bias_at)?);
        if places != rows * columns || taps.len() != 9 * channels || bias.len() != channels || channels == 0 {
            return Err(Error::Msg("a convolution of other channels or places".into()));
        }
        let arch = pulp::Arch::new();
        let mut out = vec![0f32; x.len()];
        out.par_chunks_exact_mut((columns * channels).max(1)).enumerate().for_each(|(row, line)| {
            arch.dispatch(Row { line, row, x, taps, bias, grid: self.grid });
        });
        Ok((CpuStorage::F32(out), Shape::from((places, channels))))
    }
}

/// A row of places.
struct Row<'a> {
    line: &'a mut [f32],
    row: usize,
    x: &'a [f32],
    taps: &'a [f32],
    bias: &'a [f32],
    grid: [usize; 2],
}

impl pulp::WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let ([rows, columns], channels) = (self.grid, self.bias.len());
        for (column, place) in self.line.chunks_exact_mut(channels).enumerate() {
            place.copy_from_slice(self.bias);
            for (tap, weights) in self.taps.chunks_exact(channels).enumerate() {
                // What lies around is zero and adds nothing.
                let (y, x) = (self.row + tap / 3, column + tap % 3);
                if y == 0 || y > rows || x == 0 || x > columns {
                    continue;
                }
                let from = &self.x[((y - 1) * columns + x - 1) * channels..][..channels];
                for ((o, v), w) in place.iter_mut().zip(from).zip(weights) {
                    *o = w.mul_add(*v, *o);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::layers::fused::depthwise;
    use candle_core::Device;

    #[test]
    fn places_give_what_planes_do() {
        for (rows, columns, channels) in [(1, 1, 3), (5, 7, 16), (12, 3, 33), (2, 9, 1)] {
            let draw = |shape: &[usize]| Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
            let (x, weight, bias) =
                (draw(&[rows * columns, channels]), draw(&[channels, 1, 3, 3]), draw(&[channels]));
            let planes = x.t().unwrap().contiguous().unwrap().reshape((1, channels, rows, columns)).unwrap();
            let wanted = depthwise(&planes, &weight, &bias, 1).unwrap();
            let wanted =
                wanted.squeeze(0).unwrap().flatten_from(1).unwrap().t().unwrap().contiguous().unwrap();
            let taps = weight.reshape((channels, 9)).unwrap().t().unwrap().contiguous().unwrap();
            let found = local(&x, [rows, columns], &taps, &bias).unwrap();
            // The same products in the same order.
            assert_eq!(
                found.to_vec2::<f32>().unwrap(),
                wanted.to_vec2::<f32>().unwrap(),
                "{rows} × {columns}"
            );
        }
    }
}
