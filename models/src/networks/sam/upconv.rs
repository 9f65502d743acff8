//! Transposed convolutions that double the sides, as plain products: candle's own visits every tap of
//! every output by itself.

use crate::error::LoadError;
use crate::layers::vars::Vars;
use candle_core::{Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

/// `ConvTranspose2d(kernel 2, stride 2)`: every pixel becomes its own block of four.
#[derive(Debug)]
pub(super) struct Blocks {
    /// `(from, to · 4)`.
    weight: Tensor,
    /// `(1, to, 1, 1)`.
    bias: Tensor,
}

impl Blocks {
    pub(super) fn load(from: usize, to: usize, vars: &Vars<'_>) -> Loaded<Self> {
        Ok(Self {
            weight: vars.get(&[from, to, 2, 2], "weight")?.reshape((from, 4 * to))?,
            bias: vars.get(&[to], "bias")?.reshape((1, to, 1, 1))?,
        })
    }

    /// `(N, from, H, W)` to `(N, to, 2H, 2W)`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, from, h, w) = x.dims4()?;
        let to = self.weight.dim(1)? / 4;
        let pixels = x.permute((0, 2, 3, 1))?.contiguous()?.reshape((n * h * w, from))?;
        let blocks = pixels.matmul(&self.weight)?.reshape((n, h, w, to, 2, 2))?;
        let blocks = blocks.permute((0, 3, 1, 4, 2, 5))?.contiguous()?;
        blocks.reshape((n, to, 2 * h, 2 * w))?.broadcast_add(&self.bias)
    }
}

/// `ConvTranspose2d(kernel 4, stride 2, padding 1)` without bias: outputs of each parity are a
/// 2 × 2 convolution of their own.
#[derive(Debug)]
pub(super) struct Overlapping {
    /// `(to, from, 2, 2)` for even and odd rows, and for even and odd columns of each.
    weights: [[Tensor; 2]; 2],
}

impl Overlapping {
    pub(super) fn load(from: usize, to: usize, vars: &Vars<'_>) -> Loaded<Self> {
        let whole = vars.get(&[from, to, 4, 4], "weight")?.transpose(0, 1)?.contiguous()?;
        // Output 2i reads inputs i-1 and i with taps 3 and 1; output 2i+1 reads i and i+1 with 2 and 0.
        let picked = |parity: usize| Tensor::new([[3u32, 1], [2, 0]][parity].as_slice(), whole.device());
        let part = |row: usize, column: usize| {
            whole.index_select(&picked(row)?, 2)?.index_select(&picked(column)?, 3)?.contiguous()
        };
        Ok(Self { weights: [[part(0, 0)?, part(0, 1)?], [part(1, 0)?, part(1, 1)?]] })
    }

    /// `(N, from, H, W)` to `(N, to, 2H, 2W)`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, _, h, w) = x.dims4()?;
        let x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
        let mut rows = Vec::with_capacity(2);
        for (row, weights) in self.weights.iter().enumerate() {
            let mut columns = Vec::with_capacity(2);
            for (column, weight) in weights.iter().enumerate() {
                let x = x.narrow(2, row, h + 1)?.narrow(3, column, w + 1)?.contiguous()?;
                columns.push(x.conv2d(weight, 0, 1, 1, 1)?);
            }
            rows.push(Tensor::stack(&columns, 4)?);
        }
        let to = self.weights[0][0].dim(0)?;
        Tensor::stack(&rows, 3)?.contiguous()?.reshape((n, to, 2 * h, 2 * w))
    }
}
