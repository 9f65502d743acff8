//! Weights in GGML's blocks of 256 inputs (`block_q4_K`, `block_q6_K` of llama.cpp's `ggml-common.h`): a half-precision scale
//! for the block, and small whole ones for each 32 or 16 of its inputs. The numbers are those of the file, only they
//! lie side by side for sixteen outputs. In f32 a weight of q6_k is exact, and one of q4_k is rounded once.

use super::brain::Brain;
use super::formats::{Format, LANES, Storable};
use half::f16;

/// Inputs of a block.
const BLOCK: usize = 256;

/// 4 bits a weight; for each 32 inputs a scale and what is taken off. Lines of sixteen half-precision numbers: scales of the
/// block and of what is taken off; then lines of sixteen bytes: 12 of the small scales as they are stored, and 128 of
/// weights, an even input in the lower half of each byte, the next one in the upper.
#[derive(Clone, Copy)]
pub(crate) struct Q4K;

impl Q4K {
    /// Lines of sixteen bytes before the small scales and before the weights.
    pub(super) const SCALES: usize = 4;
    pub(super) const WEIGHTS: usize = Self::SCALES + 12;
}

impl Format for Q4K {
    type Unit = [[[u16; LANES]; 24]; 3];
    const INPUTS: usize = BLOCK;
    const SHARED: usize = 32;

    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let (level, (scale, off)) = (Self::level(unit, input), Self::scale(unit, input / Self::SHARED));
        std::array::from_fn(|lane| level[lane].mul_add(scale[lane], -off[lane]))
    }
}

impl Brain for Q4K {
    const SCALED: bool = true;
    const LOWERED: bool = true;

    fn level(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let bytes: &[u8] = bytemuck::cast_slice(unit);
        let line = &bytes[(Self::WEIGHTS + input / 2) * LANES..];
        std::array::from_fn(|lane| f32::from(line[lane] >> (input % 2 * 4) & 15))
    }

    fn scale(unit: &Self::Unit, part: usize) -> ([f32; LANES], [f32; LANES]) {
        let (halves, bytes): (&[u16], &[u8]) = (bytemuck::cast_slice(unit), bytemuck::cast_slice(unit));
        let small: [[u8; 2]; LANES] =
            std::array::from_fn(|lane| six_bits(|at| bytes[(Self::SCALES + at) * LANES + lane], part));
        let times = |line: usize| {
            std::array::from_fn(|lane| {
                f16::from_bits(halves[line * LANES + lane]).to_f32() * f32::from(small[lane][line])
            })
        };
        (times(0), times(1))
    }
}

/// The scale and what is taken off of part `part` of eight, 6 bits each, out of twelve bytes (`get_scale_min_k4`).
fn six_bits(byte: impl Fn(usize) -> u8, part: usize) -> [u8; 2] {
    match part {
        0..4 => [byte(part) & 63, byte(part + 4) & 63],
        _ => [byte(part + 4) & 15 | byte(part - 4) >> 6 << 4, byte(part + 4) >> 4 | byte(part) >> 6 << 4],
    }
}

impl Storable for Q4K {
    const BYTES: usize = 144;
    const HALVES: &'static [usize] = &[0, 2];

    fn gather(blocks: &[&[u8]]) -> Self::Unit {
        let mut unit = [[[0; LANES]; 24]; 3];
        for (lane, block) in blocks.iter().enumerate().take(LANES) {
            let halves: &mut [u16] = bytemuck::cast_slice_mut(&mut unit);
            halves[lane] = u16::from_le_bytes([block[0], block[1]]);
            halves[LANES + lane] = u16::from_le_bytes([block[2], block[3]]);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut unit);
            for (at, packed) in block[4..16].iter().enumerate() {
                bytes[(Self::SCALES + at) * LANES + lane] = *packed;
            }
            // 32 bytes hold 64 inputs, the first 32 of them in the lower halves.
            let level = |input: usize| block[16 + input / 64 * 32 + input % 32] >> (input % 64 / 32 * 4) & 15;
            for pair in 0..BLOCK / 2 {
                bytes[(Self::WEIGHTS + pair) * LANES + lane] = level(2 * pair) | level(2 * pair + 1) << 4;
            }
        }
        unit
    }
}

/// 6 bits a weight and a signed scale for each 16 inputs. A line of sixteen half-precision scales of the block; then lines of
/// sixteen bytes: 16 of scales, 128 of the lower 4 bits of two inputs each, 64 of the upper 2 bits of four inputs each.
#[derive(Clone, Copy)]
pub(crate) struct Q6K;

impl Q6K {
    /// Lines of sixteen bytes before the scales, the lower and the upper bits.
    pub(super) const SCALES: usize = 2;
    pub(super) const LOWER: usize = Self::SCALES + 16;
    pub(super) const UPPER: usize = Self::LOWER + BLOCK / 2;
}

impl Format for Q6K {
    type Unit = [[[u16; LANES]; 21]; 5];
    const INPUTS: usize = BLOCK;
    const SHARED: usize = 16;

    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let (level, (scale, _)) = (Self::level(unit, input), Self::scale(unit, input / Self::SHARED));
        std::array::from_fn(|lane| level[lane] * scale[lane])
    }
}

impl Brain for Q6K {
    const SCALED: bool = true;

    fn level(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        let bytes: &[u8] = bytemuck::cast_slice(unit);
        std::array::from_fn(|lane| {
            let byte = |line: usize| bytes[line * LANES + lane];
            let lower = byte(Self::LOWER + input / 2) >> (input % 2 * 4) & 15;
            let upper = byte(Self::UPPER + input / 4) >> (input % 4 * 2) & 3;
            f32::from(lower | upper << 4) - 32.0
        })
    }

    fn scale(unit: &Self::Unit, part: usize) -> ([f32; LANES], [f32; LANES]) {
        let (halves, bytes): (&[u16], &[u8]) = (bytemuck::cast_slice(unit), bytemuck::cast_slice(unit));
        let own = |lane: usize| f32::from(bytes[(Self::SCALES + part) * LANES + lane].cast_signed());
        (std::array::from_fn(|lane| f16::from_bits(halves[lane]).to_f32() * own(lane)), [0.0; LANES])
    }
}

impl Storable for Q6K {
    const BYTES: usize = 210;
    const HALVES: &'static [usize] = &[208];

    fn gather(blocks: &[&[u8]]) -> Self::Unit {
        let mut unit = [[[0; LANES]; 21]; 5];
        for (lane, block) in blocks.iter().enumerate().take(LANES) {
            let halves: &mut [u16] = bytemuck::cast_slice_mut(&mut unit);
            halves[lane] = u16::from_le_bytes([block[208], block[209]]);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut unit);
            for (part, scale) in block[192..208].iter().enumerate() {
                bytes[(Self::SCALES + part) * LANES + lane] = *scale;
            }
            // Of each 128 inputs a quarter of 32 is in the lower or upper halves of one or the other 32 bytes; their upper
            // bits are in 32 bytes, quarter by quarter.
            let place = |input: usize| (input / 128, input % 128 / 32, input % 32);
            let lower = |input: usize| {
                let (half, quarter, at) = place(input);
                block[64 * half + quarter % 2 * 32 + at] >> (quarter / 2 * 4) & 15
            };
            let upper = |input: usize| {
                let (half, quarter, at) = place(input);
                block[128 + 32 * half + at] >> (quarter * 2) & 3
            };
            for pair in 0..BLOCK / 2 {
                bytes[(Self::LOWER + pair) * LANES + lane] = lower(2 * pair) | lower(2 * pair + 1) << 4;
            }
            for four in 0..BLOCK / 4 {
                let all = (0..4).fold(0, |all, n| all | upper(4 * four + n) << (2 * n));
                bytes[(Self::UPPER + four) * LANES + lane] = all;
            }
        }
        unit
    }
}
