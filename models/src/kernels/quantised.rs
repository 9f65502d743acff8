//! Weights in blocks of 32 inputs that share a scale, as GGML has them (`quantize_row_q8_0_ref`, `quantize_row_q4_0_ref`
//! of llama.cpp): the numbers are the same, only they lie side by side for sixteen outputs. A weight times its scale is exact
//! in f32.

use super::formats::{Format, LANES, ROWS};
use half::f16;

/// Inputs of a block.
pub(crate) const BLOCK: usize = 32;
/// Inputs of a word of [`Q4_0`].
pub(super) const WORD: usize = 8;

/// [`Format::PANELS`]: sums, scales and a weight have a register each.
const PANELS: [usize; ROWS + 1] = [1, 3, 2, 1, 1, 1, 1];

/// Scales of sixteen outputs, then 32 lines of sixteen signed bytes.
#[derive(Clone, Copy)]
pub(crate) struct Q8_0;

impl Format for Q8_0 {
    type Unit = [[u16; LANES]; 1 + BLOCK / 2];
    const INPUTS: usize = BLOCK;
    const PANELS: [usize; ROWS + 1] = PANELS;

    fn pack(values: &[[f32; LANES]]) -> Self::Unit {
        let mut unit = [[0; LANES]; 1 + BLOCK / 2];
        let mut inverse = [0f32; LANES];
        for lane in 0..LANES {
            let largest = values.iter().map(|line| line[lane].abs()).fold(0.0, f32::max);
            let scale = largest / 127.0;
            inverse[lane] = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            unit[0][lane] = f16::from_f32(scale).to_bits();
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut unit[1..]);
        for (line, values) in bytes.chunks_exact_mut(LANES).zip(values) {
            for (byte, (value, inverse)) in line.iter_mut().zip(values.iter().zip(inverse)) {
                *byte = ((value * inverse).round() as i8).cast_unsigned();
            }
        }
        unit
    }

    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let bytes: &[u8] = bytemuck::cast_slice(&unit[1..]);
        std::array::from_fn(|lane| {
            f32::from(bytes[input * LANES + lane].cast_signed()) * f16::from_bits(unit[0][lane]).to_f32()
        })
    }
}

/// Scales of sixteen outputs, then for each eight inputs a word of 32 bits an output: four bits an input from the lowest on,
/// signed, so that two shifts of a vector of words give the levels of one input.
#[derive(Clone, Copy)]
pub(crate) struct Q4_0;

impl Format for Q4_0 {
    type Unit = [[u16; LANES]; 1 + BLOCK / 4];
    const INPUTS: usize = BLOCK;
    const PANELS: [usize; ROWS + 1] = PANELS;

    fn pack(values: &[[f32; LANES]]) -> Self::Unit {
        let mut unit = [[0; LANES]; 1 + BLOCK / 4];
        let mut inverse = [0f32; LANES];
        for lane in 0..LANES {
            let farther = |a: f32, b: f32| if b.abs() > a.abs() { b } else { a };
            let scale = values.iter().map(|line| line[lane]).fold(0.0, farther) / -8.0;
            inverse[lane] = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            unit[0][lane] = f16::from_f32(scale).to_bits();
        }
        for (lines, values) in unit[1..].chunks_exact_mut(2).zip(values.chunks_exact(WORD)) {
            for lane in 0..LANES {
                // GGML counts levels from 0 to 15; without its 8 they are signed.
                let level =
                    |line: &[f32; LANES]| (((line[lane] * inverse[lane] + 8.5) as u32).min(15) + 8) & 15;
                let word = values.iter().rev().fold(0, |word, line| word << 4 | level(line));
                let place = &mut lines[lane / 8][lane % 8 * 2..][..2];
                (place[0], place[1]) = (word as u16, (word >> 16) as u16);
            }
        }
        unit
    }

    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let lines = &unit[1 + input / WORD * 2..];
        std::array::from_fn(|lane| {
            let place = &lines[lane / 8][lane % 8 * 2..];
            let word = u32::from(place[0]) | u32::from(place[1]) << 16;
            let level = (word << (28 - input % WORD * 4)).cast_signed() >> 28;
            level as f32 * f16::from_bits(unit[0][lane]).to_f32()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    /// One output of 32 weights.
    fn packed<F: Format>(weights: &[f32; BLOCK]) -> Vec<f32> {
        let lines: Vec<[f32; LANES]> = weights.iter().map(|w| [*w; LANES]).collect();
        let unit = F::pack(&lines);
        (0..BLOCK).map(|input| F::widen(&unit, input)[3]).collect()
    }

    #[test]
    fn blocks_hold_what_ggml_would() {
        // By hand from `quantize_row_q8_0_ref`: the largest is 127 scales, halves go away from zero.
        let mut weights = [0f32; BLOCK];
        (weights[0], weights[1], weights[2], weights[31]) = (-127.0, 2.5, -2.5, 126.4);
        let wanted = |at: usize| {
            [(0, -127.0), (1, 3.0), (2, -3.0), (31, 126.0)].iter().find(|w| w.0 == at).map_or(0.0, |w| w.1)
        };
        assert_eq!(packed::<Q8_0>(&weights), (0..BLOCK).map(wanted).collect::<Vec<_>>());
        // By hand from `quantize_row_q4_0_ref`: the value farthest from zero is -8 scales.
        let mut weights = [0f32; BLOCK];
        (weights[0], weights[1], weights[2], weights[3]) = (-16.0, 13.0, 15.9, -1.0);
        let wanted =
            |at: usize| [(0, -16.0), (1, 14.0), (2, 14.0)].iter().find(|w| w.0 == at).map_or(0.0, |w| w.1);
        assert_eq!(packed::<Q4_0>(&weights), (0..BLOCK).map(wanted).collect::<Vec<_>>());
        let mut weights = [0f32; BLOCK];
        (weights[0], weights[1]) = (16.0, -14.0);
        assert_eq!(packed::<Q4_0>(&weights)[..2], [16.0, -14.0]);
        assert_eq!(packed::<Q4_0>(&[0.0; BLOCK]), [0.0; BLOCK]);
        assert_eq!(packed::<Q8_0>(&[0.0; BLOCK]), [0.0; BLOCK]);
    }
}
