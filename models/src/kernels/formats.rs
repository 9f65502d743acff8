//! How weights lie in memory.

use bytemuck::Pod;
use half::{bf16, f16};

/// Outputs side by side.
pub(crate) const LANES: usize = 16;
/// Most rows of a tile: with 6 × 16 sums, weights and an input, sixteen 256-bit registers are in use.
pub(crate) const ROWS: usize = 6;
/// Panels of a tile by its rows: enough sums that are independent of each other to keep two multipliers busy.
pub(crate) const PANELS: [usize; ROWS + 1] = [1, 4, 3, 2, 1, 1, 1];

/// A number type of packed weights: how sixteen outputs lie side by side.
pub(crate) trait Format: Copy + Send + Sync + 'static {
    /// The weights of sixteen outputs for [`Format::INPUTS`] successive inputs.
    type Unit: Pod + Send + Sync;
    /// Inputs of a unit.
    const INPUTS: usize;
    /// Successive inputs of a unit that share scales; a divisor of [`Format::INPUTS`].
    const SHARED: usize = Self::INPUTS;

    /// The weights for one input of a unit.
    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES];
}

/// A format that numbers are rounded to when they are loaded.
pub(crate) trait Rounding: Format {
    /// The nearest weights to `values`, which are [`Format::INPUTS`] lines.
    fn pack(values: &[[f32; LANES]]) -> Self::Unit;
}

/// A format that GGML has too: its files store weights row by row, in blocks that share scales.
pub(crate) trait Storable: Format {
    /// Bytes of a block of [`Format::INPUTS`] weights of one output.
    const BYTES: usize;
    /// Where in a block its half-precision numbers begin.
    const HALVES: &'static [usize];

    /// A unit of up to sixteen outputs from the block of each; what is left is zero.
    fn gather(blocks: &[&[u8]]) -> Self::Unit;
}

/// 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct F32;

impl Format for F32 {
    type Unit = [f32; LANES];
    const INPUTS: usize = 1;

    fn widen(unit: &Self::Unit, _: usize) -> [f32; LANES] {
        *unit
    }
}

impl Rounding for F32 {
    fn pack(values: &[[f32; LANES]]) -> Self::Unit {
        values[0]
    }
}

/// IEEE half precision.
#[derive(Clone, Copy)]
pub(crate) struct F16;

impl Format for F16 {
    type Unit = [u16; LANES];
    const INPUTS: usize = 1;

    fn widen(unit: &Self::Unit, _: usize) -> [f32; LANES] {
        unit.map(|bits| f16::from_bits(bits).to_f32())
    }
}

impl Rounding for F16 {
    fn pack(values: &[[f32; LANES]]) -> Self::Unit {
        values[0].map(|v| f16::from_f32(v).to_bits())
    }
}

/// bfloat16: the upper half of an f32. Two successive inputs share a word, the first in its lower half: a shift widens one of them,
/// a mask the other.
#[derive(Clone, Copy)]
pub(crate) struct Bf16;

impl Format for Bf16 {
    type Unit = [u32; LANES];
    const INPUTS: usize = 2;

    fn widen(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        unit.map(|pair| f32::from_bits(if input == 0 { pair << 16 } else { pair & 0xffff_0000 }))
    }
}

impl Rounding for Bf16 {
    fn pack(values: &[[f32; LANES]]) -> Self::Unit {
        let word = |value: f32| u32::from(bf16::from_f32(value).to_bits());
        std::array::from_fn(|lane| word(values[0][lane]) | word(values[1][lane]) << 16)
    }
}
