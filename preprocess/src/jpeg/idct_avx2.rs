//! The two passes of [`super::idct`] with AVX2, which the compiler does not find by itself: a register holds a number
//! of eight columns, then of eight rows.

use super::idct_numbers::{
    CONST_BITS, F_0_298, F_0_390, F_0_541, F_0_765, F_0_899, F_1_175, F_1_501, F_1_847, F_1_961, F_2_053,
    F_2_562, F_3_072, rounding,
};
use pulp::bytemuck::cast;
use pulp::x86::V3;
use std::arch::x86_64::__m256i;

const PASS1_BITS: usize = 2;
const BITS1: usize = CONST_BITS - PASS1_BITS;
const BITS2: usize = CONST_BITS + PASS1_BITS + 3;

/// The first places of the coding order: they lie in the first four rows and columns.
const IN_A_QUARTER: u64 = (1 << 10) - 1;

/// Samples of 8 bits of a block whose coefficients are zero where `taken` has no bit at their place in coding order.
#[inline(always)]
pub(super) fn both_passes(
    simd: V3,
    coefficients: &[i16; 64],
    taken: u64,
    factors: &[i32; 64],
) -> [[u16; 8]; 8] {
    if taken <= IN_A_QUARTER {
        passes::<true>(Lanes(simd), coefficients, factors)
    } else {
        passes::<false>(Lanes(simd), coefficients, factors)
    }
}

/// What is done to eight numbers of 32 bits.
#[derive(Clone, Copy)]
struct Lanes(V3);

impl Lanes {
    #[inline(always)]
    fn all(self, value: i32) -> __m256i {
        self.0.avx._mm256_set1_epi32(value)
    }
    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        self.0.avx2._mm256_add_epi32(a, b)
    }
    #[inline(always)]
    fn sub(self, a: __m256i, b: __m256i) -> __m256i {
        self.0.avx2._mm256_sub_epi32(a, b)
    }
    #[inline(always)]
    fn times(self, a: __m256i, factor: i32) -> __m256i {
        self.0.avx2._mm256_mullo_epi32(a, self.all(factor))
    }
    #[inline(always)]
    fn up(self, a: __m256i) -> __m256i {
        self.0.avx2._mm256_slli_epi32::<{ CONST_BITS as i32 }>(a)
    }
    #[inline(always)]
    fn dequantised(self, row: &[i16; 8], factors: &[i32; 8]) -> __m256i {
        self.0.avx2._mm256_mullo_epi32(self.0.avx2._mm256_cvtepi16_epi32(cast(*row)), cast(*factors))
    }

    /// As `idct::one_dimension`. With `FEW` the last four inputs are zero.
    #[inline(always)]
    fn one_dimension<const FEW: bool>(self, input: [__m256i; 8], rounding: i32) -> [__m256i; 8] {
        let (add, sub) = (|a, b| self.add(a, b), |a, b| self.sub(a, b));
        let times = |a, factor| self.times(a, factor);
        let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
        let tmp0 = add(self.up(if FEW { i0 } else { add(i0, i4) }), self.all(rounding));
        let tmp1 = if FEW { tmp0 } else { add(self.up(sub(i0, i4)), self.all(rounding)) };
        let z1 = times(if FEW { i2 } else { add(i2, i6) }, F_0_541);
        let tmp2 = if FEW { z1 } else { sub(z1, times(i6, F_1_847)) };
        let tmp3 = add(z1, times(i2, F_0_765));
        let (e0, e3) = (add(tmp0, tmp3), sub(tmp0, tmp3));
        let (e1, e2) = (add(tmp1, tmp2), sub(tmp1, tmp2));

        let z1 = times(if FEW { i1 } else { add(i7, i1) }, -F_0_899);
        let z2 = times(if FEW { i3 } else { add(i5, i3) }, -F_2_562);
        let (z3, z4) = if FEW { (i3, i1) } else { (add(i7, i3), add(i5, i1)) };
        let z5 = times(add(z3, z4), F_1_175);
        let z3 = sub(z5, times(z3, F_1_961));
        let z4 = sub(z5, times(z4, F_0_390));
        let (z13, z24, z23, z14) = (add(z1, z3), add(z2, z4), add(z2, z3), add(z1, z4));
        let o0 = if FEW { z13 } else { add(times(i7, F_0_298), z13) };
        let o1 = if FEW { z24 } else { add(times(i5, F_2_053), z24) };
        let o2 = add(times(i3, F_3_072), z23);
        let o3 = add(times(i1, F_1_501), z14);
        [
            add(e0, o3),
            add(e1, o2),
            add(e2, o1),
            add(e3, o0),
            sub(e3, o0),
            sub(e2, o1),
            sub(e1, o2),
            sub(e0, o3),
        ]
    }

    #[inline(always)]
    fn turned(self, rows: [__m256i; 8]) -> [__m256i; 8] {
        let avx2 = self.0.avx2;
        let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
        let two = |a, b| (avx2._mm256_unpacklo_epi32(a, b), avx2._mm256_unpackhi_epi32(a, b));
        let four = |a, b| (avx2._mm256_unpacklo_epi64(a, b), avx2._mm256_unpackhi_epi64(a, b));
        let eight = |a, b| {
            (avx2._mm256_permute2x128_si256::<0x20>(a, b), avx2._mm256_permute2x128_si256::<0x31>(a, b))
        };
        let ((a0, a1), (b0, b1), (c0, c1), (d0, d1)) = (two(r0, r1), two(r2, r3), two(r4, r5), two(r6, r7));
        let ((p0, p1), (p2, p3)) = (four(a0, b0), four(a1, b1));
        let ((q0, q1), (q2, q3)) = (four(c0, d0), four(c1, d1));
        let ((t0, t4), (t1, t5), (t2, t6), (t3, t7)) =
            (eight(p0, q0), eight(p1, q1), eight(p2, q2), eight(p3, q3));
        [t0, t1, t2, t3, t4, t5, t6, t7]
    }

    /// Columns of eight numbers to rows of samples of 8 bits, the first four in the lower halves.
    #[inline(always)]
    fn samples(self, columns: [__m256i; 8]) -> [[u16; 8]; 8] {
        let avx2 = self.0.avx2;
        let [c0, c1, c2, c3, c4, c5, c6, c7] = columns;
        // Limited from below here, and from above at the end.
        let four = |c0, c1, c2, c3| {
            let (even, odd) = (avx2._mm256_packus_epi32(c0, c2), avx2._mm256_packus_epi32(c1, c3));
            let (first, second) =
                (avx2._mm256_unpacklo_epi16(even, odd), avx2._mm256_unpackhi_epi16(even, odd));
            (avx2._mm256_unpacklo_epi32(first, second), avx2._mm256_unpackhi_epi32(first, second))
        };
        let ((left01, left23), (right01, right23)) = (four(c0, c1, c2, c3), four(c4, c5, c6, c7));
        let most = self.0.avx._mm256_set1_epi16(255);
        let limited = |v| cast::<__m256i, [[u16; 8]; 2]>(avx2._mm256_min_epu16(v, most));
        let [r0, r4] = limited(avx2._mm256_unpacklo_epi64(left01, right01));
        let [r1, r5] = limited(avx2._mm256_unpackhi_epi64(left01, right01));
        let [r2, r6] = limited(avx2._mm256_unpacklo_epi64(left23, right23));
        let [r3, r7] = limited(avx2._mm256_unpackhi_epi64(left23, right23));
        [r0, r1, r2, r3, r4, r5, r6, r7]
    }
}

#[inline(always)]
fn passes<const FEW: bool>(lanes: Lanes, coefficients: &[i16; 64], factors: &[i32; 64]) -> [[u16; 8]; 8] {
    let avx2 = lanes.0.avx2;
    let mut lines = [lanes.all(0); 8];
    let rows = coefficients.as_chunks::<8>().0.iter().zip(factors.as_chunks::<8>().0);
    for (line, (row, factors)) in lines.iter_mut().zip(rows).take(if FEW { 4 } else { 8 }) {
        *line = lanes.dequantised(row, factors);
    }
    lines = lanes.one_dimension::<FEW>(lines, rounding(BITS1, 0));
    for line in &mut lines {
        *line = avx2._mm256_srai_epi32::<{ BITS1 as i32 }>(*line);
    }
    lines = lanes.one_dimension::<FEW>(lanes.turned(lines), rounding(BITS2, 128));
    for line in &mut lines {
        *line = avx2._mm256_srai_epi32::<{ BITS2 as i32 }>(*line);
    }
    lanes.samples(lines)
}
