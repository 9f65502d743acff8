//! The inverse DCT of libjpeg's `jidctint.c`: Loeffler, Ligtenberg and Moschytz (ICASSP 1989) in
//! 13-bit fixed point, two passes, which decoders agree on to the bit. Eight columns, then eight rows,
//! are done at a time.

use super::idct_numbers::{
    CONST_BITS, F_0_298, F_0_390, F_0_541, F_0_765, F_0_899, F_1_175, F_1_501, F_1_847, F_1_961, F_2_053,
    F_2_562, F_3_072, rounding,
};
#[cfg(target_arch = "x86_64")]
use std::any::Any;
use std::num::Wrapping;
use std::ops::{Add, Mul, Shl, Shr, Sub};

/// A number that wraps around: hostile coefficients overflow, sound ones never do.
trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Shl<usize, Output = Self>
    + Shr<usize, Output = Self>
{
    fn of(value: i32) -> Self;
    fn limited(self, max: i32) -> u16;
}

impl Number for Wrapping<i32> {
    #[inline(always)]
    fn of(value: i32) -> Self {
        Self(value)
    }
    #[inline(always)]
    fn limited(self, max: i32) -> u16 {
        self.0.clamp(0, max) as u16
    }
}

/// For 12 bits, whose sums need more than 32.
impl Number for Wrapping<i64> {
    #[inline(always)]
    fn of(value: i32) -> Self {
        Self(i64::from(value))
    }
    #[inline(always)]
    fn limited(self, max: i32) -> u16 {
        self.0.clamp(0, i64::from(max)) as u16
    }
}

/// The same number of eight columns.
#[derive(Clone, Copy)]
struct Lanes<T>([T; 8]);

// Loops, not `map` or `from_fn`: those are left as calls where the vector instructions are not on.
impl<T: Number> Lanes<T> {
    #[inline(always)]
    fn with(mut self, other: Self, work: impl Fn(T, T) -> T) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = work(*a, b);
        }
        self
    }
    #[inline(always)]
    fn each(mut self, work: impl Fn(T) -> T) -> Self {
        for v in &mut self.0 {
            *v = work(*v);
        }
        self
    }
    #[inline(always)]
    fn times(self, factor: i32) -> Self {
        self.each(|v| v * T::of(factor))
    }
    #[inline(always)]
    fn up(self, bits: usize) -> Self {
        self.each(|v| v << bits)
    }
    #[inline(always)]
    fn plus(self, value: T) -> Self {
        self.each(|v| v + value)
    }
    #[inline(always)]
    fn down(self, bits: usize) -> Self {
        self.each(|v| v >> bits)
    }
}

impl<T: Number> Add for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
}

impl<T: Number> Sub for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
}

/// Eight outputs before descaling; `rounding` is in each of them.
#[inline(always)]
fn one_dimension<T: Number>(input: [Lanes<T>; 8], rounding: T) -> [Lanes<T>; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    let z1 = (i2 + i6).times(F_0_541);
    let tmp2 = z1 - i6.times(F_1_847);
    let tmp3 = z1 + i2.times(F_0_765);
    let tmp0 = (i0 + i4).up(CONST_BITS).plus(rounding);
    let tmp1 = (i0 - i4).up(CONST_BITS).plus(rounding);
    let (e0, e3) = (tmp0 + tmp3, tmp0 - tmp3);
    let (e1, e2) = (tmp1 + tmp2, tmp1 - tmp2);

    let z1 = (i7 + i1).times(-F_0_899);
    let z2 = (i5 + i3).times(-F_2_562);
    let (z3, z4) = (i7 + i3, i5 + i1);
    let z5 = (z3 + z4).times(F_1_175);
    let z3 = z5 - z3.times(F_1_961);
    let z4 = z5 - z4.times(F_0_390);
    let o0 = i7.times(F_0_298) + z1 + z3;
    let o1 = i5.times(F_2_053) + z2 + z4;
    let o2 = i3.times(F_3_072) + z2 + z3;
    let o3 = i1.times(F_1_501) + z1 + z4;
    [e0 + o3, e1 + o2, e2 + o1, e3 + o0, e3 - o0, e2 - o1, e1 - o2, e0 - o3]
}

#[inline(always)]
fn turned<T: Number>(rows: [Lanes<T>; 8]) -> [Lanes<T>; 8] {
    let mut columns = rows;
    for (c, column) in columns.iter_mut().enumerate() {
        for (value, row) in column.0.iter_mut().zip(&rows) {
            *value = row.0[c];
        }
    }
    columns
}

#[inline(always)]
fn both_passes<T: Number>(coefficients: &[i16; 64], factors: &[i32; 64], precision: u32) -> [[u16; 8]; 8] {
    let pass1_bits = if precision == 8 { 2 } else { 1 };
    let (bits1, bits2) = (CONST_BITS - pass1_bits, CONST_BITS + pass1_bits + 3);
    let (centre, max) = (1 << (precision - 1), (1 << precision) - 1);
    let mut lines = [Lanes([T::of(0); 8]); 8];
    let rows = coefficients.as_chunks::<8>().0.iter().zip(factors.as_chunks::<8>().0);
    for (line, (coefficients, factors)) in lines.iter_mut().zip(rows) {
        for (value, (coefficient, factor)) in line.0.iter_mut().zip(coefficients.iter().zip(factors)) {
            *value = T::of(i32::from(*coefficient)) * T::of(*factor);
        }
    }
    lines = one_dimension(lines, T::of(rounding(bits1, 0)));
    for line in &mut lines {
        *line = line.down(bits1);
    }
    lines = one_dimension(turned(lines), T::of(rounding(bits2, centre)));
    for line in &mut lines {
        *line = line.down(bits2);
    }
    let mut done = [[0; 8]; 8];
    for (to, from) in done.iter_mut().zip(turned(lines)) {
        for (value, v) in to.iter_mut().zip(from.0) {
            *value = v.limited(max);
        }
    }
    done
}

/// Samples of a block of coefficients (in row order; all but the first are zero where `taken` has no bit at their place
/// in coding order), limited to `precision` bits: eight lines of eight, which lie `stride` apart in `samples`.
#[inline(always)]
pub(super) fn block<S: pulp::Simd>(
    simd: S,
    coefficients: &[i16; 64],
    taken: u64,
    factors: &[i32; 64],
    precision: u32,
    samples: &mut [u16],
    stride: usize,
) {
    let lines = samples.chunks_mut(stride.max(8)).filter_map(|line| line.first_chunk_mut::<8>());
    if taken == 0 {
        // Background and smooth colours: both passes keep a lone first coefficient as it is.
        let value = Wrapping(i32::from(coefficients[0])) * Wrapping(factors[0]) + Wrapping(4);
        let value = ((value >> 3).0.saturating_add(1 << (precision - 1))).clamp(0, (1 << precision) - 1);
        lines.take(8).for_each(|line| *line = [value as u16; 8]);
        return;
    }
    let done = both_passes_with(simd, coefficients, taken, factors, precision);
    lines.zip(done).for_each(|(line, values)| *line = values);
}

#[inline(always)]
fn both_passes_with<S: pulp::Simd>(
    simd: S,
    coefficients: &[i16; 64],
    taken: u64,
    factors: &[i32; 64],
    precision: u32,
) -> [[u16; 8]; 8] {
    if precision != 8 {
        return both_passes::<Wrapping<i64>>(coefficients, factors, precision);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(&simd) = (&simd as &dyn Any).downcast_ref::<pulp::x86::V3>() {
        return super::idct_avx2::both_passes(simd, coefficients, taken, factors);
    }
    let _ = (simd, taken);
    both_passes::<Wrapping<i32>>(coefficients, factors, precision)
}

/// Samples of a line of blocks, side by side.
struct BlockLine<'a> {
    blocks: &'a [[i16; 64]],
    taken: &'a [u64],
    factors: &'a [i32; 64],
    precision: u32,
    samples: &'a mut [u16],
}

impl pulp::WithSimd for BlockLine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Self { blocks, taken, factors, precision, samples } = self;
        for (n, (coefficients, taken)) in blocks.iter().zip(taken).enumerate() {
            let to = samples.get_mut(n * 8..).unwrap_or_default();
            block(simd, coefficients, *taken, factors, precision, to, blocks.len() * 8);
        }
    }
}

/// [`block`] for a line of blocks.
pub(super) fn block_line(
    blocks: &[[i16; 64]],
    taken: &[u64],
    factors: &[i32; 64],
    precision: u32,
    samples: &mut [u16],
) {
    pulp::Arch::new().dispatch(BlockLine { blocks, taken, factors, precision, samples });
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Both<'a>(&'a [i16; 64], u64, &'a [i32; 64]);

    impl pulp::WithSimd for Both<'_> {
        type Output = [[u16; 8]; 8];

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> Self::Output {
            both_passes_with(simd, self.0, self.1, self.2, 8)
        }
    }

    /// Whatever the processor has gives the same samples, of hostile coefficients too.
    #[test]
    fn vector_instructions_change_nothing() {
        let mut state = 1u32;
        let mut random = |most: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as i32 % (2 * most + 1) - most
        };
        for round in 0..3000 {
            let most = [3, 60, 1000, 32_767][round % 4];
            let count = [2, 5, 10, 11, 40, 64][round % 6];
            let (mut coefficients, mut factors) = ([0; 64], [0; 64]);
            for place in super::super::dct::ZIGZAG.iter().take(count) {
                coefficients[usize::from(*place)] = random(most) as i16;
            }
            factors.iter_mut().for_each(|f| *f = random(if round % 3 == 0 { 65_535 } else { 99 }).abs());
            let want = both_passes::<Wrapping<i32>>(&coefficients, &factors, 8);
            let got = pulp::Arch::new().dispatch(Both(&coefficients, u64::MAX >> (64 - count), &factors));
            assert_eq!(got, want, "round {round}");
        }
    }
}
