//! The inverse DCT of libjpeg's `jidctint.c`: Loeffler, Ligtenberg and Moschytz (ICASSP 1989) in
//! 13-bit fixed point, two passes, which decoders agree on to the bit.

const CONST_BITS: u32 = 13;

const F_0_298: i64 = 2446;
const F_0_390: i64 = 3196;
const F_0_541: i64 = 4433;
const F_0_765: i64 = 6270;
const F_0_899: i64 = 7373;
const F_1_175: i64 = 9633;
const F_1_501: i64 = 12299;
const F_1_847: i64 = 15137;
const F_1_961: i64 = 16069;
const F_2_053: i64 = 16819;
const F_2_562: i64 = 20995;
const F_3_072: i64 = 25172;

/// Eight outputs before descaling.
#[inline]
fn one_dimension(input: [i64; 8]) -> [i64; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    let z1 = (i2 + i6) * F_0_541;
    let tmp2 = z1 - i6 * F_1_847;
    let tmp3 = z1 + i2 * F_0_765;
    let tmp0 = (i0 + i4) << CONST_BITS;
    let tmp1 = (i0 - i4) << CONST_BITS;
    let (e0, e3) = (tmp0 + tmp3, tmp0 - tmp3);
    let (e1, e2) = (tmp1 + tmp2, tmp1 - tmp2);

    let z1 = -(i7 + i1) * F_0_899;
    let z2 = -(i5 + i3) * F_2_562;
    let (z3, z4) = (i7 + i3, i5 + i1);
    let z5 = (z3 + z4) * F_1_175;
    let z3 = z5 - z3 * F_1_961;
    let z4 = z5 - z4 * F_0_390;
    let o0 = i7 * F_0_298 + z1 + z3;
    let o1 = i5 * F_2_053 + z2 + z4;
    let o2 = i3 * F_3_072 + z2 + z3;
    let o3 = i1 * F_1_501 + z1 + z4;
    [e0 + o3, e1 + o2, e2 + o1, e3 + o0, e3 - o0, e2 - o1, e1 - o2, e0 - o3]
}

#[inline]
fn descale(value: i64, bits: u32) -> i64 {
    (value + (1 << (bits - 1))) >> bits
}

/// Samples of a block of dequantised coefficients in row order, limited to `precision` bits.
pub(super) fn block(coefficients: &[i32; 64], precision: u32) -> [u16; 64] {
    let pass1_bits = if precision == 8 { 2 } else { 1 };
    let mut work = [0i64; 64];
    for column in 0..8 {
        let input = std::array::from_fn(|row| i64::from(coefficients[row * 8 + column]));
        let output = one_dimension(input);
        for (row, value) in output.into_iter().enumerate() {
            work[row * 8 + column] = descale(value, CONST_BITS - pass1_bits);
        }
    }
    let (centre, max) = (1i64 << (precision - 1), (1i64 << precision) - 1);
    let mut samples = [0u16; 64];
    for (line, out) in work.as_chunks::<8>().0.iter().zip(samples.as_chunks_mut::<8>().0) {
        let output = one_dimension(*line);
        for (value, sample) in output.into_iter().zip(out) {
            *sample = (descale(value, CONST_BITS + pass1_bits + 3) + centre).clamp(0, max) as u16;
        }
    }
    samples
}
