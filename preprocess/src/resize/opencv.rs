//! `cv2.resize` on 8-bit pixels with `cv2.INTER_AREA` and `cv2.INTER_LINEAR`, in the order of operations of OpenCV 4
//! and 5.
//!
//! By area, what shrinks along both sides is averaged: by whole blocks in integers where both factors are whole, else
//! with fractional shares in single precision. Where a side grows, OpenCV interpolates between two neighbours in
//! fixed point, at places of its own. Linear interpolation does so always (of a picture twice as large nearly all is left
//! out), except that halves are averaged.

use super::filter::ResizeError;
use loupe_core::picture::PictureError;
use rayon::prelude::*;

/// A source index and its share of an output pixel.
type Share = (usize, f32);

/// `pixels` in (row, column, channel) order at another size; sizes are `[width, height]`.
///
/// # Errors
/// When a side is zero or the length does not fit.
pub fn area(
    pixels: &[u8],
    from: [usize; 2],
    channels: usize,
    to: [usize; 2],
) -> Result<Vec<u8>, ResizeError> {
    let source = Source::checked(pixels, from, channels, to)?;
    if from == to {
        return Ok(pixels.to_vec());
    }
    let scales = scales(from, to);
    if scales.iter().any(|s| *s < 1.0) {
        let neighbours = |axis: usize| neighbours_of_areas(from[axis], to[axis], scales[axis]);
        return Ok(source.interpolated(to, &neighbours(0), &neighbours(1)));
    }
    let whole = scales.map(|s| s.round());
    if scales.iter().zip(whole).all(|(s, w)| (s - w).abs() < f64::EPSILON) {
        return Ok(source.blocks(to, whole.map(|w| w as usize)));
    }
    Ok(source.averaged(to, scales))
}

/// As [`area`], by `INTER_LINEAR`.
///
/// # Errors
/// As [`area`].
pub fn linear(
    pixels: &[u8],
    from: [usize; 2],
    channels: usize,
    to: [usize; 2],
) -> Result<Vec<u8>, ResizeError> {
    let source = Source::checked(pixels, from, channels, to)?;
    if from == to {
        return Ok(pixels.to_vec());
    }
    if from == to.map(|n| 2 * n) {
        return Ok(source.blocks(to, [2, 2]));
    }
    let [across, down] = scales(from, to);
    let across = neighbours_of_centres(from[0], to[0], across, true);
    let down = neighbours_of_centres(from[1], to[1], down, false);
    Ok(source.interpolated(to, &across, &down))
}

/// Source over output pixels along each side; OpenCV takes the inverse of the inverse.
fn scales(from: [usize; 2], to: [usize; 2]) -> [f64; 2] {
    std::array::from_fn(|axis| 1.0 / (to[axis] as f64 / from[axis] as f64))
}

struct Source<'a> {
    pixels: &'a [u8],
    columns: usize,
    rows: usize,
    channels: usize,
}

/// To 8 bits, halves to even.
fn rounded(value: f32) -> u8 {
    value.round_ties_even().clamp(0.0, 255.0) as u8
}

impl<'a> Source<'a> {
    /// Pixels of the size that they are said to have, to be brought to another.
    fn checked(
        pixels: &'a [u8],
        from: [usize; 2],
        channels: usize,
        to: [usize; 2],
    ) -> Result<Self, ResizeError> {
        let ([columns, rows], [width, height]) = (from, to);
        let side = |n: usize| (1..=1 << 20).contains(&n);
        let need = columns.checked_mul(rows).and_then(|n| n.checked_mul(channels));
        let (true, Some(need)) = (from.into_iter().chain(to).all(side), need) else {
            let (from_width, from_height) = (columns, rows);
            return Err(ResizeError::Size { from_width, from_height, width, height });
        };
        if pixels.len() != need {
            let got = pixels.len();
            return Err(PictureError::Length { width: columns, height: rows, channels, got }.into());
        }
        Ok(Self { pixels, columns, rows, channels })
    }

    fn row(&self, y: usize) -> &[u8] {
        let length = self.columns * self.channels;
        &self.pixels[y * length..][..length]
    }

    fn rows_of(&self, [width, height]: [usize; 2], row: impl Fn(usize, &mut [u8]) + Sync) -> Vec<u8> {
        let mut out = vec![0u8; width * height * self.channels];
        out.par_chunks_mut(width * self.channels).enumerate().for_each(|(y, line)| row(y, line));
        out
    }

    /// Means of blocks of whole pixels.
    fn blocks(&self, to: [usize; 2], [wide, high]: [usize; 2]) -> Vec<u8> {
        let share = 1.0 / (wide * high) as f32;
        self.rows_of(to, |y, line| {
            for (n, value) in line.iter_mut().enumerate() {
                let (x, channel) = (n / self.channels, n % self.channels);
                let sum: u32 = (y * high..(y + 1) * high)
                    .map(|v| {
                        let row = self.row(v);
                        let at = |u: usize| u32::from(row[u * self.channels + channel]);
                        (x * wide..(x + 1) * wide).map(at).sum::<u32>()
                    })
                    .sum();
                *value = match (wide, high) {
                    (2, 2) => ((sum + 2) >> 2) as u8,
                    _ => rounded(sum as f32 * share),
                };
            }
        })
    }

    /// Means with fractional shares at the borders.
    fn averaged(&self, to: [usize; 2], scales: [f64; 2]) -> Vec<u8> {
        let across = shares(self.columns, to[0], scales[0]);
        let down = shares(self.rows, to[1], scales[1]);
        self.rows_of(to, |y, line| {
            let mut sum = vec![0f32; line.len()];
            for (n, &(v, share)) in down[y].iter().enumerate() {
                let row = self.row(v);
                for (at, total) in sum.iter_mut().enumerate() {
                    let (x, channel) = (at / self.channels, at % self.channels);
                    let mean = |sum: f32, &(u, share): &Share| {
                        sum + f32::from(row[u * self.channels + channel]) * share
                    };
                    let part = share * across[x].iter().fold(0.0, mean);
                    *total = if n == 0 { part } else { *total + part };
                }
            }
            line.iter_mut().zip(sum).for_each(|(value, sum)| *value = rounded(sum));
        })
    }

    /// Between two neighbours a side, in fixed point with 11 bits.
    fn interpolated(&self, to: [usize; 2], across: &[Neighbours], down: &[Neighbours]) -> Vec<u8> {
        self.rows_of(to, |y, line| {
            let (top, bottom, [above, below]) = down[y];
            let (top, bottom) = (self.row(top), self.row(bottom));
            for (n, value) in line.iter_mut().enumerate() {
                let (x, channel) = (n / self.channels, n % self.channels);
                let (left, right, [near, far]) = across[x];
                let at = |row: &[u8], u: usize| i32::from(row[u * self.channels + channel]);
                let [one, other] = [top, bottom].map(|row| at(row, left) * near + at(row, right) * far);
                let sum = ((above * (one >> 4)) >> 16) + ((below * (other >> 4)) >> 16);
                *value = ((sum + 2) >> 2).clamp(0, 255) as u8;
            }
        })
    }
}

/// `computeResizeAreaTab`.
fn shares(from: usize, to: usize, scale: f64) -> Vec<Vec<Share>> {
    let one = |n: usize| {
        let begin = n as f64 * scale;
        let end = begin + scale;
        let cell = scale.min(from as f64 - begin);
        let last = (end.floor() as usize).min(from - 1);
        let first = (begin.ceil() as usize).min(last);
        let mut out = Vec::new();
        if first as f64 - begin > 1e-3 {
            out.push((first - 1, ((first as f64 - begin) / cell) as f32));
        }
        out.extend((first..last).map(|at| (at, (1.0 / cell) as f32)));
        let rest = end - last as f64;
        if rest > 1e-3 {
            out.push((last, (rest.min(1.0).min(cell) / cell) as f32));
        }
        out
    };
    (0..to).map(one).collect()
}

/// Left neighbour, right neighbour and their weights in 2048ths.
type Neighbours = (usize, usize, [i32; 2]);

/// A share in 2048ths, halves to even.
fn fixed(share: f32) -> i32 {
    (share * 2048.0).round_ties_even() as i32
}

/// Neighbours by the centres of pixels; `within` keeps them where both are in the picture (columns), else the outer one
/// is the border again (rows).
fn neighbours_of_centres(from: usize, to: usize, scale: f64, within: bool) -> Vec<Neighbours> {
    let one = |n: usize| {
        let place = ((n as f64 + 0.5) * scale - 0.5) as f32;
        let (mut at, mut far) = (place.floor(), place - place.floor());
        if within && at < 0.0 {
            (at, far) = (0.0, 0.0);
        }
        if within && at >= (from - 1) as f32 {
            (at, far) = ((from - 1) as f32, 0.0);
        }
        let place = |at: f32| at.clamp(0.0, (from - 1) as f32) as usize;
        (place(at), place(at + 1.0), [fixed(1.0 - far), fixed(far)])
    };
    (0..to).map(one).collect()
}

fn neighbours_of_areas(from: usize, to: usize, scale: f64) -> Vec<Neighbours> {
    let inverse = to as f64 / from as f64;
    let one = |n: usize| {
        let mut at = (n as f64 * scale).floor() as usize;
        let mut far = ((n + 1) as f64 - (at + 1) as f64 * inverse) as f32;
        far = if far <= 0.0 { 0.0 } else { far - far.floor() };
        if at + 1 >= from {
            (at, far) = (from - 1, 0.0);
        }
        (at, (at + 1).min(from - 1), [fixed(1.0 - far), fixed(far)])
    };
    (0..to).map(one).collect()
}
