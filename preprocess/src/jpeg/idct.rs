//! The inverse DCT of libjpeg's `jidctint.c`: Loeffler, Ligtenberg and Moschytz (ICASSP 1989) in
//! 13-bit fixed point, two passes, which decoders agree on to the bit. Eight columns, then eight rows,
//! are done at a time.

use std::num::Wrapping;
use std::ops::{Add, Mul, Shl, Shr, Sub};

const CONST_BITS: usize = 13;

const F_0_298: i32 = 2446;
const F_0_390: i32 = 3196;
const F_0_541: i32 = 4433;
const F_0_765: i32 = 6270;
const F_0_899: i32 = 7373;
const F_1_175: i32 = 9633;
const F_1_501: i32 = 12299;
const F_1_847: i32 = 15137;
const F_1_961: i32 = 16069;
const F_2_053: i32 = 16819;
const F_2_562: i32 = 20995;
const F_3_072: i32 = 25172;

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
    fn descaled(self, bits: usize) -> Self {
        self.each(|v| (v + (T::of(1) << (bits - 1))) >> bits)
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

/// Eight outputs before descaling.
#[inline(always)]
fn one_dimension<T: Number>(input: [Lanes<T>; 8]) -> [Lanes<T>; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    let z1 = (i2 + i6).times(F_0_541);
    let tmp2 = z1 - i6.times(F_1_847);
    let tmp3 = z1 + i2.times(F_0_765);
    let tmp0 = (i0 + i4).up(CONST_BITS);
    let tmp1 = (i0 - i4).up(CONST_BITS);
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
fn both_passes<T: Number>(coefficients: &[i16; 64], factors: &[u16; 64], precision: u32) -> [[u16; 8]; 8] {
    let pass1_bits = if precision == 8 { 2 } else { 1 };
    let (centre, max) = (T::of(1 << (precision - 1)), (1 << precision) - 1);
    // Background and smooth colours: both passes keep a lone first coefficient as it is.
    if coefficients[1..].iter().fold(0, |any, c| any | c) == 0 {
        let value = T::of(i32::from(coefficients[0])) * T::of(i32::from(factors[0]));
        return [[(Lanes([value; 8]).descaled(3).0[0] + centre).limited(max); 8]; 8];
    }
    let mut lines = [Lanes([T::of(0); 8]); 8];
    let rows = coefficients.as_chunks::<8>().0.iter().zip(factors.as_chunks::<8>().0);
    for (line, (coefficients, factors)) in lines.iter_mut().zip(rows) {
        for (value, (coefficient, factor)) in line.0.iter_mut().zip(coefficients.iter().zip(factors)) {
            *value = T::of(i32::from(*coefficient)) * T::of(i32::from(*factor));
        }
    }
    lines = one_dimension(lines);
    for line in &mut lines {
        *line = line.descaled(CONST_BITS - pass1_bits);
    }
    lines = one_dimension(turned(lines));
    for line in &mut lines {
        *line = line.descaled(CONST_BITS + pass1_bits + 3);
    }
    let mut done = [[0; 8]; 8];
    for (to, from) in done.iter_mut().zip(turned(lines)) {
        for (value, v) in to.iter_mut().zip(from.0) {
            *value = (v + centre).limited(max);
        }
    }
    done
}

/// Samples of a line of blocks, side by side.
struct BlockLine<'a> {
    blocks: &'a [[i16; 64]],
    factors: &'a [u16; 64],
    precision: u32,
    samples: &'a mut [u16],
}

impl pulp::WithSimd for BlockLine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let stride = self.blocks.len() * 8;
        for (n, block) in self.blocks.iter().enumerate() {
            let done = if self.precision == 8 {
                both_passes::<Wrapping<i32>>(block, self.factors, self.precision)
            } else {
                both_passes::<Wrapping<i64>>(block, self.factors, self.precision)
            };
            for (line, values) in self.samples.chunks_exact_mut(stride).zip(&done) {
                line[n * 8..n * 8 + 8].copy_from_slice(values);
            }
        }
    }
}

/// Samples of a line of blocks of coefficients (in row order), limited to `precision` bits: eight
/// lines of eight samples a block.
pub(super) fn block_line(blocks: &[[i16; 64]], factors: &[u16; 64], precision: u32, samples: &mut [u16]) {
    pulp::Arch::new().dispatch(BlockLine { blocks, factors, precision, samples });
}
