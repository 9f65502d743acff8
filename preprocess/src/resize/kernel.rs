//! Weighted sums of rows of bytes: both passes are brought to the same loop, in which neighbouring
//! bytes get the same weight, so that the compiler can keep many of them in one vector register.

use rayon::prelude::*;

/// Bytes that are summed together.
const LANES: usize = 64;

/// The weights of every output position along one axis, in fixed point.
pub(super) struct Taps {
    fraction_bits: u32,
    /// First source position and where its weights start.
    starts: Vec<(usize, usize)>,
    weights: Vec<i32>,
}

impl Taps {
    /// No positions yet; `positions` are expected.
    pub(super) fn new(fraction_bits: u32, positions: usize) -> Self {
        Self { fraction_bits, starts: Vec::with_capacity(positions), weights: Vec::new() }
    }

    /// The next output position: `weights` apply from source position `first` on.
    pub(super) fn push(&mut self, first: usize, weights: impl Iterator<Item = i32>) {
        self.starts.push((first, self.weights.len()));
        self.weights.extend(weights);
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn at(&self, position: usize) -> (usize, &[i32]) {
        let (first, start) = self.starts[position];
        let end = self.starts.get(position + 1).map_or(self.weights.len(), |next| next.1);
        (first, &self.weights[start..end])
    }
}

/// `out[n] = clamp(Σ weights[t] · bytes[t · stride + n])`, rounded, for a block of lanes.
#[inline(always)]
fn sum_block<const N: usize>(bytes: &[u8], stride: usize, weights: &[i32], bits: u32, out: &mut [u8; N]) {
    let mut sums = [1i32 << (bits - 1); N];
    for (t, &w) in weights.iter().enumerate() {
        let Some(row) = bytes.get(t * stride..).and_then(|rest| rest.first_chunk::<N>()) else { return };
        for (sum, &byte) in sums.iter_mut().zip(row) {
            *sum += i32::from(byte) * w;
        }
    }
    for (o, sum) in out.iter_mut().zip(sums) {
        *o = (sum >> bits).clamp(0, 255) as u8;
    }
}

/// One output row: the weighted sum of rows that lie `stride` bytes apart.
#[inline(always)]
fn sum_rows(bytes: &[u8], stride: usize, weights: &[i32], bits: u32, out: &mut [u8]) {
    let width = out.len();
    let mut at = 0;
    while at < width {
        // The last block overlaps the one before; narrow pictures go in smaller blocks.
        at = blocks::<LANES>(bytes, stride, weights, bits, out, at);
        at = blocks::<16>(bytes, stride, weights, bits, out, at);
        at = blocks::<1>(bytes, stride, weights, bits, out, at);
    }
}

#[inline(always)]
fn blocks<const N: usize>(
    bytes: &[u8],
    stride: usize,
    weights: &[i32],
    bits: u32,
    out: &mut [u8],
    mut at: usize,
) -> usize {
    if out.len() >= N && at < out.len() && (N <= 16 || out.len() - at >= N / 2) {
        while at < out.len() {
            let start = at.min(out.len() - N);
            if let Some(block) = out[start..].first_chunk_mut::<N>() {
                sum_block(&bytes[start..], stride, weights, bits, block);
            }
            at = start + N;
        }
    }
    at
}

/// [`sum_rows`] compiled for the vector instructions found at run time. (A struct, because the body
/// of a closure would not be inlined where those instructions are on.)
struct OneRow<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
    weights: &'a [i32],
    bits: u32,
    out: &'a mut [u8],
}

impl pulp::WithSimd for OneRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        sum_rows(self.bytes, self.row_bytes, self.weights, self.bits, self.out);
    }
}

/// All output columns of a strip that lies on its side; see [`columns_pass`].
struct OneStrip<'a> {
    strip: &'a [u8],
    taps: &'a Taps,
    out: &'a mut [u8],
}

impl pulp::WithSimd for OneStrip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (x, block) in self.out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let (first, weights) = self.taps.at(x);
            sum_block(&self.strip[first * LANES..], LANES, weights, self.taps.fraction_bits, block);
        }
    }
}

/// Every output row as a weighted sum of source rows of `row_bytes` bytes.
pub(super) fn rows_pass(pixels: &[u8], row_bytes: usize, taps: &Taps) -> Vec<u8> {
    let mut out = vec![0u8; row_bytes * taps.len()];
    out.par_chunks_mut(row_bytes).enumerate().for_each(|(y, row)| {
        let (first, weights) = taps.at(y);
        let bytes = &pixels[first * row_bytes..];
        pulp::Arch::new().dispatch(OneRow { bytes, row_bytes, weights, bits: taps.fraction_bits, out: row });
    });
    out
}

/// Every output column as a weighted sum of source columns. Strips of rows are turned on their
/// side, so that a column is a run of bytes, summed, and turned back.
pub(super) fn columns_pass(pixels: &[u8], from: [usize; 2], channels: usize, taps: &Taps) -> Vec<u8> {
    let (row_bytes, out_bytes) = (from[0] * channels, taps.len() * channels);
    let rows_in_strip = LANES / channels;
    let mut out = vec![0u8; out_bytes * from[1]];
    out.par_chunks_mut(out_bytes * rows_in_strip)
        .zip(pixels.par_chunks(row_bytes * rows_in_strip))
        .for_each_init(
            || (vec![0u8; from[0] * LANES], vec![0u8; taps.len() * LANES]),
            |(strip, summed), (target, source)| {
                turn_in(source, row_bytes, channels, strip);
                pulp::Arch::new().dispatch(OneStrip { strip, taps, out: summed });
                turn_out(summed, target, out_bytes, channels);
            },
        );
    out
}

/// Rows of pixels to columns of `LANES` bytes: row r of column x goes to `x · LANES + r · channels`.
fn turn_in(rows: &[u8], row_bytes: usize, channels: usize, columns: &mut [u8]) {
    let lanes = columns.as_chunks_mut::<LANES>().0;
    for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
        if channels == 1 {
            lanes.iter_mut().zip(row).for_each(|(lane, &byte)| lane[r] = byte);
            continue;
        }
        // Four bytes are moved for three: the fourth is overwritten by the next row.
        let at = r * 3;
        for (lane, four) in lanes.iter_mut().zip(row.windows(4).step_by(3)) {
            lane[at..at + 4].copy_from_slice(four);
        }
        if let (Some(lane), Some(last)) = (lanes.last_mut(), row.last_chunk::<3>()) {
            lane[at..at + 3].copy_from_slice(last);
        }
    }
}

/// The way back of [`turn_in`].
fn turn_out(columns: &[u8], rows: &mut [u8], row_bytes: usize, channels: usize) {
    let lanes = columns.as_chunks::<LANES>().0;
    for (r, row) in rows.chunks_exact_mut(row_bytes).enumerate() {
        if channels == 1 {
            lanes.iter().zip(row).for_each(|(lane, byte)| *byte = lane[r]);
        } else {
            let at = r * 3;
            for (lane, pixel) in lanes.iter().zip(row.as_chunks_mut::<3>().0) {
                pixel.copy_from_slice(&lane[at..at + 3]);
            }
        }
    }
}
