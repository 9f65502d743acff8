//! x86-64 with AVX2, FMA and F16C.
//!
//! Invariants: these functions run only where [`super::InstructionSet`] found the three extensions, and pointers stay
//! within slices whose lengths [`super::InstructionSet::add`] compared: panels are equally long, a row has
//! [`Format::INPUTS`] values for each unit of a panel.
#![allow(unsafe_code)]

use super::formats::{Bf16, F16, F32, Format, LANES};
use super::quantised::{Q4_0, Q8_0, WORD};
use std::arch::x86_64::*;

/// How a format is widened in registers.
pub(crate) trait Load: Format {
    /// What all inputs of a unit share.
    type Scale: Copy;

    /// What all inputs of a unit share.
    ///
    /// # Safety
    /// The processor has AVX2, FMA and F16C, and `unit` can be read.
    unsafe fn scale(unit: *const Self::Unit) -> Self::Scale;

    /// Weights of outputs 0–7 and 8–15 for one input of a unit.
    ///
    /// # Safety
    /// The processor has AVX2, FMA and F16C; `unit` can be read, `scale` is its own, and `input` is below
    /// [`Format::INPUTS`].
    unsafe fn load(unit: *const Self::Unit, scale: Self::Scale, input: usize) -> (__m256, __m256);
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

/// Sixteen levels times their scales.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scaled(levels: (__m256i, __m256i), scale: (__m256, __m256)) -> (__m256, __m256) {
    (
        _mm256_mul_ps(_mm256_cvtepi32_ps(levels.0), scale.0),
        _mm256_mul_ps(_mm256_cvtepi32_ps(levels.1), scale.1),
    )
}

impl Load for Q8_0 {
    type Scale = (__m256, __m256);

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scale(unit: *const Self::Unit) -> Self::Scale {
        // SAFETY: a unit begins with its scales.
        unsafe { scales(unit.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, scale: Self::Scale, input: usize) -> (__m256, __m256) {
        // SAFETY: behind 32 bytes of scales there are 16 for each input.
        let eight = |half: usize| unsafe {
            let bytes = unit.cast::<u8>().add(2 * LANES + input * LANES + half * 8);
            _mm256_cvtepi8_epi32(_mm_loadl_epi64(bytes.cast()))
        };
        scaled((eight(0), eight(1)), scale)
    }
}

impl Load for Q4_0 {
    type Scale = (__m256, __m256);

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scale(unit: *const Self::Unit) -> Self::Scale {
        // SAFETY: a unit begins with its scales.
        unsafe { scales(unit.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, scale: Self::Scale, input: usize) -> (__m256, __m256) {
        let up = _mm_cvtsi32_si128((28 - input % WORD * 4) as i32);
        // SAFETY: behind 32 bytes of scales there are 64 for each eight inputs.
        let eight = |half: usize| unsafe {
            let words = _mm256_loadu_si256(unit.cast::<__m256i>().add(1 + input / WORD * 2 + half));
            _mm256_srai_epi32::<28>(_mm256_sll_epi32(words, up))
        };
        scaled((eight(0), eight(1)), scale)
    }
}

impl Load for F32 {
    type Scale = ();

    #[inline]
    unsafe fn scale(_: *const Self::Unit) -> Self::Scale {}

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
    unsafe fn scale(_: *const Self::Unit) -> Self::Scale {}

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
    unsafe fn scale(_: *const Self::Unit) -> Self::Scale {}

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(unit: *const Self::Unit, (): (), _: usize) -> (__m256, __m256) {
        // SAFETY: a unit holds 256 bits.
        let both = unsafe { _mm256_loadu_si256(unit.cast()) };
        let upper = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
        (
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(both)),
            _mm256_castsi256_ps(_mm256_and_si256(both, upper)),
        )
    }
}

/// See [`super::InstructionSet::add`], which has checked all lengths.
pub(super) fn add<F: Load>(panels: &[&[F::Unit]], x: &[&[f32]], sums: &mut [[f32; LANES]]) {
    let rows = x.len();
    let (all, at_once) = (panels.len(), F::PANELS[rows]);
    let mut from = 0;
    while from < all {
        let count = if from + at_once <= all { at_once } else { 1 };
        let part = &panels[from..from + count];
        // SAFETY: only called where the three extensions were found.
        unsafe {
            match (rows, count) {
                (1, 4) => tile::<F, 1, 4>(part, x, sums, from, all),
                (1, 3) => tile::<F, 1, 3>(part, x, sums, from, all),
                (2, 3) => tile::<F, 2, 3>(part, x, sums, from, all),
                (2, 2) => tile::<F, 2, 2>(part, x, sums, from, all),
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
        // SAFETY: all panels have `units` units.
        let mut scale = [unsafe { F::scale(weights[0].add(unit)) }; P];
        for p in 1..P {
            // SAFETY: as above.
            scale[p] = unsafe { F::scale(weights[p].add(unit)) };
        }
        let mut step = |input: usize| {
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
        };
        match F::INPUTS {
            1 => step(0),
            // Written out, because shifts by constants are faster.
            _ => (0..F::INPUTS).step_by(WORD).for_each(|first| {
                step(first);
                step(first + 1);
                step(first + 2);
                step(first + 3);
                step(first + 4);
                step(first + 5);
                step(first + 6);
                step(first + 7);
            }),
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
        // SAFETY: `unit` is a reference.
        let scale = unsafe { F::scale(unit) };
        for (input, line) in lines.iter_mut().enumerate() {
            // SAFETY: there are `INPUTS` lines of 16 values.
            unsafe {
                let (low, high) = F::load(unit, scale, input);
                _mm256_storeu_ps(line.as_mut_ptr(), low);
                _mm256_storeu_ps(line.as_mut_ptr().add(8), high);
            }
        }
    }
}
