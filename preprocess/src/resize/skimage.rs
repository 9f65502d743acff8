//! `skimage.transform.resize(order=3, anti_aliasing=True, preserve_range=True)` on 8-bit pixels, and
//! truncation to 8 bits, in the order of operations of scikit-image 0.26 and SciPy 1.17.
//!
//! A Gaussian blurs what shrinks, the pixels become coefficients of a cubic B-spline (Unser et al.
//! 1991) mirrored at the edges, and the spline is read at the centres of the output's pixels. The
//! channels are an axis like the others. Truncation makes the result depend on the last bit where a
//! value is whole, so nothing is rearranged to go faster.

use super::filter::ResizeError;
use loupe_core::picture::PictureError;
use rayon::prelude::*;

/// Pole of the cubic B-spline, √3 − 2.
const POLE: f64 = -0.267_949_192_431_122_7;

/// RGB `pixels` in (row, column, channel) order at another size; sizes are `[width, height]`.
///
/// # Errors
/// When a side is zero or the length does not fit.
pub fn cubic_rgb(pixels: &[u8], from: [usize; 2], to: [usize; 2]) -> Result<Vec<u8>, ResizeError> {
    let ([columns, rows], [width, height]) = (from, to);
    let side = |n: usize| (1..=1 << 20).contains(&n);
    let need = columns.checked_mul(rows).and_then(|n| n.checked_mul(3));
    let (true, Some(need)) = (from.into_iter().chain(to).all(side), need) else {
        let (from_width, from_height) = (columns, rows);
        return Err(ResizeError::Size { from_width, from_height, width, height });
    };
    if pixels.len() != need {
        let got = pixels.len();
        return Err(PictureError::Length { width: columns, height: rows, channels: 3, got }.into());
    }
    if from == to {
        return Ok(pixels.to_vec());
    }
    let (low, high) = pixels.iter().fold((255u8, 0u8), |(low, high), &v| (low.min(v), high.max(v)));
    let mut image =
        Lines { values: pixels.iter().map(|&v| f64::from(v)).collect(), shape: [rows, columns, 3] };
    for (axis, (from, to)) in [(rows, height), (columns, width)].into_iter().enumerate() {
        let sigma = ((from as f64 / to as f64) - 1.0) / 2.0;
        if sigma > 1e-15 {
            let kernel = gaussian(sigma);
            image.along(axis, |line| blur(line, &kernel));
        }
    }
    for axis in 0..3 {
        image.along(axis, spline_coefficients);
    }
    let across: [Vec<Tap>; 3] = [taps(rows, height), taps(columns, width), taps(3, 3)];
    let mut out = vec![0u8; width * height * 3];
    out.par_chunks_mut(width * 3).zip(&across[0]).for_each(|(line, row)| {
        for (pixel, column) in line.chunks_exact_mut(3).zip(&across[1]) {
            for (value, channel) in pixel.iter_mut().zip(&across[2]) {
                let mut sum = 0.0;
                for (y, wy) in row.at.iter().zip(row.weights) {
                    for (x, wx) in column.at.iter().zip(column.weights) {
                        let at = (y * columns + x) * 3;
                        for (c, wc) in channel.at.iter().zip(channel.weights) {
                            sum += image.values[at + c] * wy * wx * wc;
                        }
                    }
                }
                *value = sum.clamp(f64::from(low), f64::from(high)) as u8;
            }
        }
    });
    Ok(out)
}

/// Values in (row, column, channel) order.
struct Lines {
    values: Vec<f64>,
    shape: [usize; 3],
}

impl Lines {
    /// Changes every line along `axis`.
    fn along(&mut self, axis: usize, change: impl Fn(&mut [f64]) + Sync + Send) {
        let [rows, columns, channels] = self.shape;
        match axis {
            2 => self.values.par_chunks_mut(channels).for_each(change),
            1 => self.values.par_chunks_mut(columns * channels).for_each(|row| {
                let mut line = vec![0.0; columns];
                for channel in 0..channels {
                    let own = || (channel..columns * channels).step_by(channels);
                    own().zip(&mut line).for_each(|(at, v)| *v = row[at]);
                    change(&mut line);
                    own().zip(&line).for_each(|(at, v)| row[at] = *v);
                }
            }),
            _ => {
                let wide = columns * channels;
                let lines: Vec<Vec<f64>> = (0..wide)
                    .into_par_iter()
                    .map(|at| {
                        let mut line: Vec<f64> = (0..rows).map(|row| self.values[row * wide + at]).collect();
                        change(&mut line);
                        line
                    })
                    .collect();
                self.values.par_chunks_mut(wide).enumerate().for_each(|(row, values)| {
                    values.iter_mut().zip(&lines).for_each(|(v, line)| *v = line[row]);
                });
            }
        }
    }
}

/// `at` reflected about the centres of the first and the last of `length` values.
fn mirrored(at: isize, length: usize) -> usize {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length as isize - 1);
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}

/// SciPy's `_gaussian_kernel1d` with `truncate=4`, from the centre outwards.
fn gaussian(sigma: f64) -> Vec<f64> {
    let radius = (4.0 * sigma + 0.5) as i32;
    let weight = |n: i32| (-0.5 / (sigma * sigma) * f64::from(n * n)).exp();
    let all: Vec<f64> = (-radius..=radius).map(weight).collect();
    let total = pairwise_sum(&all);
    all[radius as usize..].iter().map(|w| w / total).collect()
}

/// NumPy's order of adding up to 128 values, and in sequence beyond.
fn pairwise_sum(values: &[f64]) -> f64 {
    if !(8..=128).contains(&values.len()) {
        return values.iter().sum();
    }
    let mut r = [0.0; 8];
    let (whole, rest) = values.split_at(values.len() / 8 * 8);
    for eight in whole.chunks_exact(8) {
        r.iter_mut().zip(eight).for_each(|(r, v)| *r += v);
    }
    let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(sum, |sum, v| sum + v)
}

/// Correlation with a symmetric kernel, farthest pair first as in `NI_Correlate1D`.
fn blur(line: &mut [f64], kernel: &[f64]) {
    let source = line.to_vec();
    let value = |at: isize| source[mirrored(at, source.len())];
    for (n, out) in line.iter_mut().enumerate() {
        let n = n as isize;
        let mut sum = value(n) * kernel[0];
        for (away, weight) in kernel.iter().enumerate().skip(1).rev() {
            let away = away as isize;
            sum += (value(n - away) + value(n + away)) * weight;
        }
        *out = sum;
    }
}

/// Values to coefficients of a cubic B-spline, mirrored at both ends (`apply_filter`).
fn spline_coefficients(c: &mut [f64]) {
    let n = c.len();
    if n < 2 {
        return;
    }
    let gain = (1.0 - POLE) * (1.0 - 1.0 / POLE);
    c.iter_mut().for_each(|v| *v *= gain);
    let far = POLE.powf((n - 1) as f64);
    let mut power = POLE;
    c[0] += far * c[n - 1];
    for i in 1..n - 1 {
        c[0] += power * (c[i] + far * c[n - 1 - i]);
        power *= POLE;
    }
    c[0] /= 1.0 - far * far;
    for i in 1..n {
        c[i] += POLE * c[i - 1];
    }
    c[n - 1] = (POLE * c[n - 2] + c[n - 1]) * POLE / (POLE * POLE - 1.0);
    for i in (0..n - 1).rev() {
        c[i] = POLE * (c[i + 1] - c[i]);
    }
}

/// The four coefficients around an output position and their weights.
struct Tap {
    at: [usize; 4],
    weights: [f64; 4],
}

/// Where the centres of `to` output pixels lie among `from` input pixels.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let zoom = from as f64 / to as f64;
    let last = from as f64 - 1.0;
    (0..to)
        .map(|n| {
            let at = (n as f64 + 0.5) * zoom - 0.5;
            // Enlarging reaches half a pixel beyond the outermost centres.
            let at = if from == 1 {
                0.0
            } else if at < 0.0 {
                -at
            } else if at > last {
                2.0 * last - at
            } else {
                at
            };
            let first = at.floor() as isize - 1;
            let y = at - at.floor();
            let z = 1.0 - y;
            let w1 = (y * y * (y - 2.0) * 3.0 + 4.0) / 6.0;
            let w2 = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
            let w0 = z * z * z / 6.0;
            Tap {
                at: [0, 1, 2, 3].map(|k| mirrored(first + k, from)),
                weights: [w0, w1, w2, 1.0 - w0 - w1 - w2],
            }
        })
        .collect()
}
