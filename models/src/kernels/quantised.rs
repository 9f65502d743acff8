//! Weights in blocks of 32 inputs that share a scale, as GGML has them (`quantize_row_q8_0_ref`, `quantize_row_q4_0_ref`
//! of llama.cpp): the numbers are the same, only they lie side by side for sixteen outputs. A weight times its scale is exact
//! in f32.

use super::brain::Brain;
use super::formats::{Format, LANES, Rounding, Storable};
use half::f16;

/// Inputs of a block.
pub(crate) const BLOCK: usize = 32;

/// Scales of sixteen outputs, then 32 lines of sixteen signed bytes.
#[derive(Clone, Copy)]
pub(crate) struct Q8_0;

impl Format for Q8_0 {
    type Unit = [[u16; LANES]; 1 + BLOCK / 2];
    const INPUTS: usize = BLOCK;

    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let (level, (scale, _)) = (Self::level(unit, input), Self::scale(unit, 0));
        std::array::from_fn(|lane| level[lane] * scale[lane])
    }
}

impl Brain for Q8_0 {
    const SCALED: bool = true;

    fn level(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let bytes: &[u8] = bytemuck::cast_slice(&unit[1..]);
        std::array::from_fn(|lane| f32::from(bytes[input * LANES + lane].cast_signed()))
    }

    fn scale(unit: &Self::Unit, _: usize) -> ([f32; LANES], [f32; LANES]) {
        (unit[0].map(|bits| f16::from_bits(bits).to_f32()), [0.0; LANES])
    }
}

impl Rounding for Q8_0 {
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
}

impl Storable for Q8_0 {
    const BYTES: usize = 2 + BLOCK;
    const HALVES: &'static [usize] = &[0];

    fn gather(blocks: &[&[u8]]) -> Self::Unit {
        let mut unit = [[0; LANES]; 1 + BLOCK / 2];
        for (lane, block) in blocks.iter().enumerate().take(LANES) {
            unit[0][lane] = u16::from_le_bytes([block[0], block[1]]);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut unit[1..]);
            bytes.iter_mut().skip(lane).step_by(LANES).zip(&block[2..]).for_each(|(to, from)| *to = *from);
        }
        unit
    }
}

/// Scales of sixteen outputs, then 16 lines of sixteen bytes: an even input in the lower half of each, the next one in
/// the upper.
#[derive(Clone, Copy)]
pub(crate) struct Q4_0;

impl Format for Q4_0 {
    type Unit = [[u16; LANES]; 1 + BLOCK / 4];
    const INPUTS: usize = BLOCK;

    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let (level, (scale, _)) = (Self::level(unit, input), Self::scale(unit, 0));
        std::array::from_fn(|lane| level[lane] * scale[lane])
    }
}

impl Brain for Q4_0 {
    const SCALED: bool = true;

    fn level(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let bytes: &[u8] = bytemuck::cast_slice(&unit[1..]);
        std::array::from_fn(|lane| f32::from(bytes[input / 2 * LANES + lane] >> (input % 2 * 4) & 15) - 8.0)
    }

    fn scale(unit: &Self::Unit, _: usize) -> ([f32; LANES], [f32; LANES]) {
        (unit[0].map(|bits| f16::from_bits(bits).to_f32()), [0.0; LANES])
    }
}

impl Rounding for Q4_0 {
    fn pack(values: &[[f32; LANES]]) -> Self::Unit {
        let mut unit = [[0; LANES]; 1 + BLOCK / 4];
        let mut inverse = [0f32; LANES];
        for lane in 0..LANES {
            let farther = |a: f32, b: f32| if b.abs() > a.abs() { b } else { a };
            let scale = values.iter().map(|line| line[lane]).fold(0.0, farther) / -8.0;
            inverse[lane] = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            unit[0][lane] = f16::from_f32(scale).to_bits();
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut unit[1..]);
        for (line, values) in bytes.chunks_exact_mut(LANES).zip(values.chunks_exact(2)) {
            for lane in 0..LANES {
                let level = |value: f32| ((value * inverse[lane] + 8.5) as u8).min(15);
                line[lane] = level(values[0][lane]) | level(values[1][lane]) << 4;
            }
        }
        unit
    }
}

impl Storable for Q4_0 {
    const BYTES: usize = 2 + BLOCK / 2;
    const HALVES: &'static [usize] = &[0];

    fn gather(blocks: &[&[u8]]) -> Self::Unit {
        let mut unit = [[0; LANES]; 1 + BLOCK / 4];
        for (lane, block) in blocks.iter().enumerate().take(LANES) {
            unit[0][lane] = u16::from_le_bytes([block[0], block[1]]);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut unit[1..]);
            // The first 16 inputs are in the lower halves.
            let level = |input: usize| block[2 + input % 16] >> (input / 16 * 4) & 15;
            for (pair, to) in bytes.iter_mut().skip(lane).step_by(LANES).enumerate() {
                *to = level(2 * pair) | level(2 * pair + 1) << 4;
            }
        }
        unit
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    /// One output of 32 weights.
    fn packed<F: Rounding>(weights: &[f32; BLOCK]) -> Vec<f32> {
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
