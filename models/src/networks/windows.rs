//! Windows of a picture's places, for towers that attend within them.

use candle_core::{Result, Tensor};

/// `(B, H, W, C)` to windows `(B × windows, side, side, C)`, zeros added below and to the right.
pub(super) fn partition(x: &Tensor, side: usize) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let (rows, columns) = (h.div_ceil(side), w.div_ceil(side));
    x.pad_with_zeros(1, 0, rows * side - h)?
        .pad_with_zeros(2, 0, columns * side - w)?
        .reshape((b, rows, side, columns, side, c))?
        .permute((0, 1, 3, 2, 4, 5))?
        .contiguous()?
        .reshape((b * rows * columns, side, side, c))
}

/// The inverse of [`partition`].
pub(super) fn unpartition(windows: &Tensor, side: usize, h: usize, w: usize) -> Result<Tensor> {
    let (rows, columns) = (h.div_ceil(side), w.div_ceil(side));
    let (n, _, _, c) = windows.dims4()?;
    windows
        .reshape((n / (rows * columns), rows, columns, side, side, c))?
        .permute((0, 1, 3, 2, 4, 5))?
        .contiguous()?
        .reshape((n / (rows * columns), rows * side, columns * side, c))?
        .narrow(1, 0, h)?
        .narrow(2, 0, w)?
        .contiguous()
}
