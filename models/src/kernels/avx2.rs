//! x86-64 with AVX2, FMA and F16C.
//!
//! Invariants: these functions run only where [`super::InstructionSet`] found the three extensions, and pointers stay
//! within slices whose lengths [`super::InstructionSet::add`] compared: panels are equally long, a row has
//! [`Format::INPUTS`] values for each unit of a panel.
#![allow(unsafe_code)]

use super::brain::{Brain, Pair, Panel, Row};
use super::formats::{Bf16, F16, F32, Format, LANES, PANELS};
use super::k_quants::{Q4K, Q6K};
use super::quantised::{Q4_0, Q8_0};
use super::tiles::{Lanes, tiles};
use std::arch::x86_64::*;

/// How a format is widened in registers.
pub(crate) trait Load: Format {
    /// What [`Format::SHARED`] inputs of a unit share.
    type Scale: Copy;

    /// What part `part` of a unit's inputs shares.
    ///
    /// # Safety
    /// The processor has AVX2, FMA and F16C, `unit` can be read, and `part` is below [`Format::INPUTS`] /
    /// [`Format::SHARED`].
    unsafe fn scale(unit: *const Self::Unit, part: usize) -> Self::Scale;

    /// Weights of outputs 0–7 and 8–15 for one input of a unit.
    ///
    /// # Safety
    /// The processor has AVX2, FMA and F16C; `unit` can be read, `scale` is that of the input's part, and `input` is
    /// below [`Format::INPUTS`].
    unsafe fn load(unit: *const Self::Unit, scale: Self::Scale, input: usize) -> (__m256, __m256);

    /// Panels whose units are lines of f32 already.
    fn lines<'a, 'b>(_: &'a [&'b [Self::Unit]]) -> Option<&'a [&'b [[f32; LANES]]]> {
        None
    }
}

/// The scales at the head of a unit.
///
/// # Safety
/// Sixteen half-precision numbers can be read from `unit` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scales(unit: *const __m128i) -> (__m256, __m256) {
    // SAFETY: sixteen of 16 bits are two times 128 bits.
    unsafe { (_mm256_cvtph_ps(_mm_loadu_si128(unit)), _mm256_cvtph_ps(_mm_loadu_si128(unit.add(1)))) }
}

/// Sixteen signed bytes times their scales.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scaled(bytes: __m128i, scale: (__m256, __m256)) -> (__m256, __m256) {
    let low = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    let high = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes)));
    (_mm256_mul_ps(low, scale.0), _mm256_mul_ps(high, scale.1))
}

impl Load for Q8_0 {
    type Scale = (__m256, __m256);

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scale(unit: *const Self::Unit, _: usize) -> Self::Scale {
        // SAFETY: a unit begins with its scales.
        unsafe { scales(unit.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, scale: Self::Scale, input: usize) -> (__m256, __m256) {
        // SAFETY: behind 32 bytes of scales there are 16 for each input.
        let bytes = unsafe { _mm_loadu_si128(unit.cast::<__m128i>().add(2 + input)) };
        scaled(bytes, scale)
    }
}

impl Load for Q4_0 {
    type Scale = (__m256, __m256);

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scale(unit: *const Self::Unit, _: usize) -> Self::Scale {
        // SAFETY: a unit begins with its scales.
        unsafe { scales(unit.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, scale: Self::Scale, input: usize) -> (__m256, __m256) {
        // SAFETY: behind 32 bytes of scales there are 16 for each two inputs.
        let both = unsafe { _mm_loadu_si128(unit.cast::<__m128i>().add(2 + input / 2)) };
        let own = if input.is_multiple_of(2) { both } else { _mm_srli_epi16::<4>(both) };
        let level = _mm_and_si128(own, _mm_set1_epi8(15));
        scaled(_mm_sub_epi8(level, _mm_set1_epi8(8)), scale)
    }
}

/// Sixteen bytes as numbers without sign.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unsigned(bytes: __m128i) -> (__m256, __m256) {
    (
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128::<8>(bytes))),
    )
}

/// The bits of each of sixteen bytes that `mask` keeps once they are shifted down.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn bits(bytes: __m128i, shift: usize, mask: i8) -> __m128i {
    _mm_and_si128(_mm_srl_epi16(bytes, _mm_cvtsi32_si128(shift as i32)), _mm_set1_epi8(mask))
}

impl Load for Q4K {
    /// Scales, and what is taken off.
    type Scale = ((__m256, __m256), (__m256, __m256));

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scale(unit: *const Self::Unit, part: usize) -> Self::Scale {
        let lines = unit.cast::<__m128i>();
        let line = |at: usize| {
            // SAFETY: behind two times 32 bytes of half-precision numbers there are 12 lines of 16 bytes, and `at` is
            // below 12.
            unsafe { _mm_loadu_si128(lines.add(Self::SCALES + at)) }
        };
        // `six_bits` of `k_quants.rs`, for sixteen outputs.
        let (own, off) = match part {
            0..4 => (bits(line(part), 0, 63), bits(line(part + 4), 0, 63)),
            _ => {
                let lower = line(part + 4);
                let upper = |at: usize| _mm_slli_epi16::<4>(bits(line(at), 6, 3));
                (
                    _mm_or_si128(bits(lower, 0, 15), upper(part - 4)),
                    _mm_or_si128(bits(lower, 4, 15), upper(part)),
                )
            }
        };
        // SAFETY: a unit begins with the half-precision numbers.
        unsafe { (scaled(own, scales(lines)), scaled(off, scales(lines.add(2)))) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, (own, off): Self::Scale, input: usize) -> (__m256, __m256) {
        // SAFETY: behind the scales there are 16 bytes for each two inputs.
        let both = unsafe { _mm_loadu_si128(unit.cast::<__m128i>().add(Self::WEIGHTS + input / 2)) };
        let (low, high) = unsigned(bits(both, input % 2 * 4, 15));
        (_mm256_fmsub_ps(low, own.0, off.0), _mm256_fmsub_ps(high, own.1, off.1))
    }
}

impl Load for Q6K {
    type Scale = (__m256, __m256);

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scale(unit: *const Self::Unit, part: usize) -> Self::Scale {
        let lines = unit.cast::<__m128i>();
        // SAFETY: a unit begins with a line of half-precision numbers, behind which there are 16 lines of bytes; `part`
        // is below 16.
        unsafe { scaled(_mm_loadu_si128(lines.add(Self::SCALES + part)), scales(lines)) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, scale: Self::Scale, input: usize) -> (__m256, __m256) {
        let lines = unit.cast::<__m128i>();
        // SAFETY: behind the scales there are 16 bytes of lower bits for each two inputs, then 16 of upper ones for each
        // four.
        let (lower, upper) = unsafe {
            (
                _mm_loadu_si128(lines.add(Self::LOWER + input / 2)),
                _mm_loadu_si128(lines.add(Self::UPPER + input / 4)),
            )
        };
        let lower = bits(lower, input % 2 * 4, 15);
        let upper = _mm_slli_epi16::<4>(bits(upper, input % 4 * 2, 3));
        scaled(_mm_sub_epi8(_mm_or_si128(lower, upper), _mm_set1_epi8(32)), scale)
    }
}

impl Load for F32 {
    type Scale = ();

    fn lines<'a, 'b>(panels: &'a [&'b [Self::Unit]]) -> Option<&'a [&'b [[f32; LANES]]]> {
        Some(panels)
    }

    #[inline]
    unsafe fn scale(_: *const Self::Unit, _: usize) -> Self::Scale {}

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, (): (), _: usize) -> (__m256, __m256) {
        // SAFETY: a unit holds 16 values.
        unsafe { (_mm256_loadu_ps(unit.cast()), _mm256_loadu_ps(unit.cast::<f32>().add(8))) }
    }
}

impl Load for F16 {
    type Scale = ();

    #[inline]
    unsafe fn scale(_: *const Self::Unit, _: usize) -> Self::Scale {}

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, (): (), _: usize) -> (__m256, __m256) {
        let unit = unit.cast::<__m128i>();
        // SAFETY: a unit holds two times 128 bits.
        unsafe { (_mm256_cvtph_ps(_mm_loadu_si128(unit)), _mm256_cvtph_ps(_mm_loadu_si128(unit.add(1)))) }
    }
}

impl Load for Bf16 {
    type Scale = ();

    #[inline]
    unsafe fn scale(_: *const Self::Unit, _: usize) -> Self::Scale {}

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, (): (), input: usize) -> (__m256, __m256) {
        // SAFETY: a unit holds two times 256 bits.
        let (low, high) =
            unsafe { (_mm256_loadu_si256(unit.cast()), _mm256_loadu_si256(unit.cast::<__m256i>().add(1))) };
        if input == 0 { (first(low), first(high)) } else { (second(low), second(high)) }
    }
}

/// The first number of each of eight pairs.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn first(pairs: __m256i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs))
}

/// The second.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn second(pairs: __m256i) -> __m256 {
    _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(0xffff_0000_u32.cast_signed())))
}

/// See [`super::InstructionSet::add`], which has checked all lengths.
pub(super) fn add<F: Load>(panels: &[&[F::Unit]], x: &[&[f32]], sums: &mut [[f32; LANES]]) {
    let rows = x.len();
    let (all, at_once) = (panels.len(), PANELS[rows]);
    let mut from = 0;
    while from < all {
        let count = if from + at_once <= all { at_once } else { 1 };
        let part = &panels[from..from + count];
        // SAFETY: only called where the three extensions were found.
        unsafe {
            match (rows, count) {
                (1, 4) => tile::<F, 1, 4>(part, x, sums, from, all),
                (2, 3) => tile::<F, 2, 3>(part, x, sums, from, all),
                (3, 2) => tile::<F, 3, 2>(part, x, sums, from, all),
                (1, _) => tile::<F, 1, 1>(part, x, sums, from, all),
                (2, _) => tile::<F, 2, 1>(part, x, sums, from, all),
                (3, _) => tile::<F, 3, 1>(part, x, sums, from, all),
                (4, _) => tile::<F, 4, 1>(part, x, sums, from, all),
                (5, _) => tile::<F, 5, 1>(part, x, sums, from, all),
                (6, _) => tile::<F, 6, 1>(part, x, sums, from, all),
                _ => {}
            }
        }
        from += count;
    }
}

/// `R` rows and `P` panels, their sums in registers over all inputs; `from` is the first panel of `all`.
#[target_feature(enable = "avx2,fma,f16c")]
fn tile<F: Load, const R: usize, const P: usize>(
    panels: &[&[F::Unit]],
    x: &[&[f32]],
    sums: &mut [[f32; LANES]],
    from: usize,
    all: usize,
) {
    let units = panels[0].len();
    let weights: [*const F::Unit; P] = std::array::from_fn(|p| panels[p].as_ptr());
    let rows: [*const f32; R] = std::array::from_fn(|r| x[r].as_ptr());
    let mut held = [[[_mm256_setzero_ps(); 2]; P]; R];
    for (r, line) in held.iter_mut().enumerate() {
        for (p, pair) in line.iter_mut().enumerate() {
            let start = sums[r * all + from + p].as_ptr();
            // SAFETY: there are 16 sums.
            *pair = unsafe { [_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8))] };
        }
    }
    for unit in 0..units {
        for part in 0..F::INPUTS / F::SHARED {
            // SAFETY: all panels have `units` units, which have so many parts.
            let mut scale = [unsafe { F::scale(weights[0].add(unit), part) }; P];
            for p in 1..P {
                // SAFETY: as above.
                scale[p] = unsafe { F::scale(weights[p].add(unit), part) };
            }
            for input in part * F::SHARED..(part + 1) * F::SHARED {
                // SAFETY: all panels have `units` units, all rows `units × INPUTS` values.
                unsafe {
                    let mut x = [_mm256_setzero_ps(); R];
                    for r in 0..R {
                        x[r] = _mm256_broadcast_ss(&*rows[r].add(unit * F::INPUTS + input));
                    }
                    for p in 0..P {
                        let (low, high) = F::load(weights[p].add(unit), scale[p], input);
                        for r in 0..R {
                            held[r][p][0] = _mm256_fmadd_ps(x[r], low, held[r][p][0]);
                            held[r][p][1] = _mm256_fmadd_ps(x[r], high, held[r][p][1]);
                        }
                    }
                }
            }
        }
    }
    for (r, line) in held.iter().enumerate() {
        for (p, pair) in line.iter().enumerate() {
            let start = sums[r * all + from + p].as_mut_ptr();
            // SAFETY: there are 16 sums.
            unsafe {
                _mm256_storeu_ps(start, pair[0]);
                _mm256_storeu_ps(start.add(8), pair[1]);
            }
        }
    }
}

/// See [`super::InstructionSet::widen`], which has checked the lengths.
pub(super) fn widen<F: Load>(panel: &[F::Unit], out: &mut [[f32; LANES]]) {
    // SAFETY: only called where the three extensions were found.
    unsafe { widen_here::<F>(panel, out) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn widen_here<F: Load>(panel: &[F::Unit], out: &mut [[f32; LANES]]) {
    for (unit, lines) in panel.iter().zip(out.chunks_exact_mut(F::INPUTS)) {
        for (part, lines) in lines.chunks_exact_mut(F::SHARED).enumerate() {
            // SAFETY: `unit` is a reference, and there are as many parts.
            let scale = unsafe { F::scale(unit, part) };
            for (input, line) in lines.iter_mut().enumerate() {
                // SAFETY: there are `INPUTS` lines of 16 values.
                unsafe {
                    let (low, high) = F::load(unit, scale, part * F::SHARED + input);
                    _mm256_storeu_ps(line.as_mut_ptr(), low);
                    _mm256_storeu_ps(line.as_mut_ptr().add(8), high);
                }
            }
        }
    }
}

/// Two registers of eight.
type Two = (__m256, __m256);

impl Lanes for Two {
    /// First and second inputs.
    type Weights = [Two; 2];
    type Inputs = [__m256; 2];

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn zero() -> Self {
        (_mm256_setzero_ps(), _mm256_setzero_ps())
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: sixteen numbers can be read.
        unsafe { (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: sixteen numbers can be written.
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn weights(from: *const Pair) -> [Two; 2] {
        // SAFETY: sixteen pairs can be read.
        let (low, high) =
            unsafe { (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.cast::<__m256i>().add(1))) };
        [(first(low), first(high)), (second(low), second(high))]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn inputs(pair: u32) -> [__m256; 2] {
        let pairs = _mm256_set1_epi32(pair.cast_signed());
        [first(pairs), second(pairs)]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn dot(self, weights: [Two; 2], inputs: [__m256; 2]) -> Self {
        let later = (
            _mm256_fmadd_ps(inputs[1], weights[1].0, self.0),
            _mm256_fmadd_ps(inputs[1], weights[1].1, self.1),
        );
        (_mm256_fmadd_ps(inputs[0], weights[0].0, later.0), _mm256_fmadd_ps(inputs[0], weights[0].1, later.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add_scaled(self, own: Self, scale: Self) -> Self {
        (_mm256_fmadd_ps(own.0, scale.0, self.0), _mm256_fmadd_ps(own.1, scale.1, self.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn take_off(self, off: Self, sum: f32) -> Self {
        let sum = _mm256_set1_ps(sum);
        (_mm256_fnmadd_ps(off.0, sum, self.0), _mm256_fnmadd_ps(off.1, sum, self.1))
    }
}

/// Panels of a tile of pairs by its rows, without and with scales: at most sixteen registers are in use.
pub(super) const PLAIN: &[usize] = &[1, 4, 2, 1, 1];
pub(super) const SCALED: &[usize] = &[1, 2, 1];

tiles!("avx2,fma,f16c", Two, (1, 4), (1, 2), (2, 2), (1, 1), (2, 1), (3, 1), (4, 1));

/// How the numbers of a format are made ready.
pub(crate) trait Levels: Load + Brain {
    /// With this, [`Load::load`] gives the numbers without their scale.
    fn one() -> Self::Scale;
    /// Writes the scale of a part, and what is taken off.
    fn store(scale: Self::Scale, own: &mut [f32; LANES], off: Option<&mut [f32; LANES]>);
}

fn ones() -> Two {
    // SAFETY: any bits are numbers.
    unsafe { std::mem::transmute::<[f32; LANES], Two>([1.0; LANES]) }
}

fn write(from: Two, to: &mut [f32; LANES]) {
    // SAFETY: any bits are numbers.
    *to = unsafe { std::mem::transmute::<Two, [f32; LANES]>(from) };
}

impl Levels for Bf16 {
    fn one() {}

    fn store((): (), own: &mut [f32; LANES], _: Option<&mut [f32; LANES]>) {
        *own = [1.0; LANES];
    }
}

macro_rules! scaled_levels {
    ($($format:ty),*) => {$(
        impl Levels for $format {
            #[inline]
            fn one() -> Two {
                ones()
            }

            #[inline]
            fn store(scale: Two, own: &mut [f32; LANES], _: Option<&mut [f32; LANES]>) {
                write(scale, own);
            }
        }
    )*};
}
scaled_levels!(Q8_0, Q4_0, Q6K);

impl Levels for Q4K {
    #[inline]
    fn one() -> Self::Scale {
        // SAFETY: any bits are numbers.
        (ones(), unsafe { std::mem::transmute::<[f32; LANES], Two>([0.0; LANES]) })
    }

    #[inline]
    fn store((scale, taken): Self::Scale, own: &mut [f32; LANES], off: Option<&mut [f32; LANES]>) {
        write(scale, own);
        if let Some(off) = off {
            write(taken, off);
        }
    }
}

/// See [`super::InstructionSet::ready`], which has checked the lengths.
pub(super) fn ready<F: Levels>(
    panel: &[F::Unit],
    pairs: &mut [Pair],
    scales: &mut [[f32; LANES]],
    offs: &mut [[f32; LANES]],
) {
    // SAFETY: only called where the three extensions were found.
    unsafe { ready_here::<F>(panel, pairs, scales, offs) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn ready_here<F: Levels>(
    panel: &[F::Unit],
    pairs: &mut [Pair],
    scales: &mut [[f32; LANES]],
    offs: &mut [[f32; LANES]],
) {
    let (parts, one) = (F::INPUTS / F::SHARED, F::one());
    for (n, (unit, pairs)) in panel.iter().zip(pairs.chunks_exact_mut(F::INPUTS / 2)).enumerate() {
        for (at, pair) in pairs.iter_mut().enumerate() {
            // SAFETY: `unit` is a reference, and there is a place of sixteen words for each of its pairs. What bf16 holds has nothing in
            // the lower half.
            unsafe {
                let ((a, b), (c, d)) = (F::load(unit, one, 2 * at), F::load(unit, one, 2 * at + 1));
                let both = |first: __m256, second: __m256| {
                    _mm256_or_si256(
                        _mm256_srli_epi32::<16>(_mm256_castps_si256(first)),
                        _mm256_castps_si256(second),
                    )
                };
                let place = pair.as_mut_ptr().cast::<__m256i>();
                _mm256_storeu_si256(place, both(a, c));
                _mm256_storeu_si256(place.add(1), both(b, d));
            }
        }
        for part in 0..parts {
            let at = n * parts + part;
            // SAFETY: there are as many parts.
            let scale = unsafe { <F as Load>::scale(unit, part) };
            F::store(scale, &mut scales[at], offs.get_mut(at));
        }
    }
}
