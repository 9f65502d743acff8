//! x86-64 with AVX-512 and its products in bf16 (`vdpbf16ps`).
//!
//! Invariants: these functions run only where [`super::InstructionSet`] found the extensions, and pointers stay within slices
//! whose lengths it compared.
#![allow(unsafe_code)]

use super::avx2::{Levels, Load};
use super::brain::{Pair, Panel, Row};
use super::formats::{Bf16, LANES};
use super::k_quants::{Q4K, Q6K};
use super::quantised::{Q4_0, Q8_0};
use super::tiles::{Lanes, tiles};
use std::arch::x86_64::*;

impl Lanes for __m512 {
    type Weights = __m512i;
    type Inputs = __m512i;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn zero() -> Self {
        _mm512_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: sixteen numbers can be read.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: sixteen numbers can be written.
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn weights(from: *const Pair) -> __m512i {
        // SAFETY: sixteen pairs can be read.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn inputs(pair: u32) -> __m512i {
        _mm512_set1_epi32(pair.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn dot(self, weights: __m512i, inputs: __m512i) -> Self {
        // SAFETY: both are 512 bits, read as 32 numbers of 16.
        unsafe {
            _mm512_dpbf16_ps(
                self,
                std::mem::transmute::<__m512i, __m512bh>(weights),
                std::mem::transmute::<__m512i, __m512bh>(inputs),
            )
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn add_scaled(self, own: Self, scale: Self) -> Self {
        _mm512_fmadd_ps(own, scale, self)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn take_off(self, off: Self, sum: f32) -> Self {
        _mm512_fnmadd_ps(off, _mm512_set1_ps(sum), self)
    }
}

/// Most panels of a tile by its rows, without and with scales: with weights and inputs at most 32 registers are in use.
pub(super) const PLAIN: &[usize] = &[1, 4, 4, 4, 4, 4, 4];
pub(super) const SCALED: &[usize] = &[1, 4, 4, 4, 2, 2, 2];

tiles!(
    "avx512f,avx512bw,avx512bf16",
    __m512,
    (1, 4),
    (2, 4),
    (3, 4),
    (4, 4),
    (5, 4),
    (6, 4),
    (1, 2),
    (2, 2),
    (3, 2),
    (4, 2),
    (5, 2),
    (6, 2),
    (7, 2),
    (8, 2),
    (9, 2),
    (10, 2),
    (11, 2),
    (12, 2),
    (1, 1),
    (2, 1),
    (3, 1),
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 1),
    (8, 1),
    (9, 1),
    (10, 1),
    (11, 1),
    (12, 1)
);

/// See [`super::InstructionSet::add`], which has checked all lengths; for weights in f32, in tiles of [`PLAIN`].
pub(super) fn add_f32(panels: &[&[[f32; LANES]]], x: &[&[f32]], sums: &mut [[f32; LANES]]) {
    let (all, most) = (panels.len(), PLAIN[x.len()]);
    let mut from = 0;
    while from < all {
        // The tiles that there are have 1, 2, 4 panels.
        let count = 1 << most.min(all - from).ilog2();
        let part = &panels[from..from + count];
        // SAFETY: only called where the extensions were found.
        unsafe {
            macro_rules! tiles_of_f32 {
                ($(($rows:literal, $panels:literal)),*) => {
                    match (x.len(), count) {
                        $(($rows, $panels) => tile_f32::<$rows, $panels>(part, x, sums, from, all),)*
                        _ => {}
                    }
                };
            }
            tiles_of_f32!(
                (1, 4),
                (2, 4),
                (3, 4),
                (4, 4),
                (5, 4),
                (6, 4),
                (1, 2),
                (2, 2),
                (3, 2),
                (4, 2),
                (5, 2),
                (6, 2),
                (7, 2),
                (8, 2),
                (9, 2),
                (10, 2),
                (11, 2),
                (12, 2),
                (1, 1),
                (2, 1),
                (3, 1),
                (4, 1),
                (5, 1),
                (6, 1),
                (7, 1),
                (8, 1),
                (9, 1),
                (10, 1),
                (11, 1),
                (12, 1)
            );
        }
        from += count;
    }
}

/// `R` rows and `P` panels of f32, their sums in registers over all inputs; `from` is the first panel of `all`.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn tile_f32<const R: usize, const P: usize>(
    panels: &[&[[f32; LANES]]],
    x: &[&[f32]],
    sums: &mut [[f32; LANES]],
    from: usize,
    all: usize,
) {
    let weights: [*const [f32; LANES]; P] = std::array::from_fn(|p| panels[p].as_ptr());
    let inputs: [*const f32; R] = std::array::from_fn(|r| x[r].as_ptr());
    // SAFETY: there are sixteen sums of each row and panel; all panels and rows have as many inputs.
    unsafe {
        let mut held = [[_mm512_setzero_ps(); P]; R];
        for r in 0..R {
            for p in 0..P {
                held[r][p] = _mm512_loadu_ps(sums[r * all + from + p].as_ptr());
            }
        }
        for at in 0..panels[0].len() {
            let mut w = [_mm512_setzero_ps(); P];
            for p in 0..P {
                w[p] = _mm512_loadu_ps(weights[p].add(at).cast());
            }
            for r in 0..R {
                let x = _mm512_set1_ps(*inputs[r].add(at));
                for p in 0..P {
                    held[r][p] = _mm512_fmadd_ps(x, w[p], held[r][p]);
                }
            }
        }
        for r in 0..R {
            for p in 0..P {
                _mm512_storeu_ps(sums[r * all + from + p].as_mut_ptr(), held[r][p]);
            }
        }
    }
}

/// How pairs are made ready in registers.
pub(crate) trait Wide: Levels {
    /// The pair of a unit at inputs `2 at` and `2 at + 1`.
    ///
    /// # Safety
    /// The processor has the extensions, `unit` can be read, `2 at` is below `INPUTS`.
    unsafe fn pair(unit: *const Self::Unit, at: usize) -> __m512i;

    /// The scale of a part, and what is taken off.
    ///
    /// # Safety
    /// The processor has the extensions and those of AVX2, `unit` can be read, `part` is below `INPUTS` / `SHARED`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma,f16c")]
    unsafe fn scale_and_off(unit: *const Self::Unit, part: usize) -> (__m512, __m512) {
        let (mut own, mut off) = ([0f32; LANES], [0f32; LANES]);
        // SAFETY: see above; both have sixteen numbers.
        unsafe {
            Self::store(<Self as Load>::scale(unit, part), &mut own, Some(&mut off));
            (_mm512_loadu_ps(own.as_ptr()), _mm512_loadu_ps(off.as_ptr()))
        }
    }
}

/// See [`super::InstructionSet::add_blocks`], which has checked all lengths.
pub(super) fn add_blocks<F: Wide>(panels: &[&[F::Unit]], rows: &[Row<'_>], sums: &mut [[f32; LANES]]) {
    let (all, most) = (panels.len(), SCALED[rows.len()]);
    let mut from = 0;
    while from < all {
        // The tiles that there are have 1, 2, 4 panels.
        let count = 1 << most.min(all - from).ilog2();
        let part = &panels[from..from + count];
        // SAFETY: only called where the extensions were found.
        unsafe {
            match (rows.len(), count) {
                (1, 4) => tile_of_blocks::<F, 1, 4>(part, rows, sums, from, all),
                (1, 2) => tile_of_blocks::<F, 1, 2>(part, rows, sums, from, all),
                (1, _) => tile_of_blocks::<F, 1, 1>(part, rows, sums, from, all),
                (2, 4) => tile_of_blocks::<F, 2, 4>(part, rows, sums, from, all),
                (2, 2) => tile_of_blocks::<F, 2, 2>(part, rows, sums, from, all),
                (2, _) => tile_of_blocks::<F, 2, 1>(part, rows, sums, from, all),
                (3, 4) => tile_of_blocks::<F, 3, 4>(part, rows, sums, from, all),
                (3, 2) => tile_of_blocks::<F, 3, 2>(part, rows, sums, from, all),
                (3, _) => tile_of_blocks::<F, 3, 1>(part, rows, sums, from, all),
                (4, 2) => tile_of_blocks::<F, 4, 2>(part, rows, sums, from, all),
                (4, _) => tile_of_blocks::<F, 4, 1>(part, rows, sums, from, all),
                (5, 2) => tile_of_blocks::<F, 5, 2>(part, rows, sums, from, all),
                (5, _) => tile_of_blocks::<F, 5, 1>(part, rows, sums, from, all),
                (6, 2) => tile_of_blocks::<F, 6, 2>(part, rows, sums, from, all),
                (6, _) => tile_of_blocks::<F, 6, 1>(part, rows, sums, from, all),
                _ => {}
            }
        }
        from += count;
    }
}

/// `R` rows and `P` panels of blocks, whose numbers are made ready in registers.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma,f16c")]
fn tile_of_blocks<F: Wide, const R: usize, const P: usize>(
    panels: &[&[F::Unit]],
    rows: &[Row<'_>],
    sums: &mut [[f32; LANES]],
    from: usize,
    all: usize,
) {
    let weights: [*const F::Unit; P] = std::array::from_fn(|p| panels[p].as_ptr());
    let inputs: [*const u32; R] = std::array::from_fn(|r| rows[r].pairs.as_ptr());
    let (parts, length) = (F::INPUTS / F::SHARED, F::SHARED / 2);
    // SAFETY: there are sixteen sums of each row and panel; all panels have as many units, of `parts × length` pairs, as rows have
    // pairs; rows have a sum of each part where something is taken off.
    unsafe {
        let mut held = [[_mm512_setzero_ps(); P]; R];
        for r in 0..R {
            for p in 0..P {
                held[r][p] = _mm512_loadu_ps(sums[r * all + from + p].as_ptr());
            }
        }
        for unit in 0..panels[0].len() {
            for part in 0..parts {
                let mut own = [[_mm512_setzero_ps(); P]; R];
                for at in part * length..(part + 1) * length {
                    let mut w = [F::pair(weights[0].add(unit), at); P];
                    for p in 1..P {
                        w[p] = F::pair(weights[p].add(unit), at);
                    }
                    for r in 0..R {
                        let x = __m512::inputs(*inputs[r].add(unit * F::INPUTS / 2 + at));
                        for p in 0..P {
                            own[r][p] = own[r][p].dot(w[p], x);
                        }
                    }
                }
                for p in 0..P {
                    let (scale, off) = F::scale_and_off(weights[p].add(unit), part);
                    for r in 0..R {
                        held[r][p] = held[r][p].add_scaled(own[r][p], scale);
                        if F::LOWERED {
                            held[r][p] =
                                held[r][p].take_off(off, *rows[r].sums.as_ptr().add(unit * parts + part));
                        }
                    }
                }
            }
        }
        for r in 0..R {
            for p in 0..P {
                held[r][p].store(sums[r * all + from + p].as_mut_ptr());
            }
        }
    }
}

/// Whole numbers from `first` on as bf16.
const fn whole<const N: usize>(first: i32, period: i32) -> [u16; N] {
    let (mut table, mut at) = ([0; N], 0);
    while at < N {
        table[at] = (((first + at as i32 % period) as f32).to_bits() >> 16) as u16;
        at += 1;
    }
    table
}

/// Sixteen bytes as 32-bit words.
///
/// # Safety
/// Sixteen bytes can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn bytes(from: *const __m128i) -> __m512i {
    // SAFETY: see above.
    unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from)) }
}

/// The numbers that both halves of sixteen bytes stand for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn both_halves(bytes: __m512i, table: &'static [u16; 32]) -> __m512i {
    // Five bits of each 16 are looked up, and the table repeats itself after four.
    let places = _mm512_or_si512(bytes, _mm512_slli_epi32::<12>(bytes));
    // SAFETY: the table has 512 bits.
    _mm512_permutexvar_epi16(places, unsafe { _mm512_loadu_si512(table.as_ptr().cast()) })
}

/// Half-precision scales at the head of a unit.
macro_rules! scales_first {
    () => {
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma,f16c")]
        unsafe fn scale_and_off(unit: *const Self::Unit, _: usize) -> (__m512, __m512) {
            // SAFETY: a unit begins with sixteen scales.
            (_mm512_cvtph_ps(unsafe { _mm256_loadu_si256(unit.cast()) }), _mm512_setzero_ps())
        }
    };
}

impl Wide for Bf16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pair(unit: *const Self::Unit, _: usize) -> __m512i {
        // SAFETY: a unit is a pair.
        unsafe { _mm512_loadu_si512(unit.cast()) }
    }
}

impl Wide for Q8_0 {
    scales_first!();

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pair(unit: *const Self::Unit, at: usize) -> __m512i {
        let lines = unit.cast::<__m128i>();
        // SAFETY: behind 32 bytes of scales there are 16 for each input.
        let [first, second] =
            unsafe { [_mm_loadu_si128(lines.add(2 + 2 * at)), _mm_loadu_si128(lines.add(3 + 2 * at))] };
        let wide = |bytes: __m128i| _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
        // Whole numbers of 8 bits have nothing in the lower half.
        _mm512_or_si512(_mm512_srli_epi32::<16>(wide(first)), wide(second))
    }
}

impl Wide for Q4_0 {
    scales_first!();

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pair(unit: *const Self::Unit, at: usize) -> __m512i {
        static TABLE: [u16; 32] = whole(-8, 16);
        // SAFETY: behind 32 bytes of scales there are 16 for each two inputs.
        both_halves(unsafe { bytes(unit.cast::<__m128i>().add(2 + at)) }, &TABLE)
    }
}

impl Wide for Q4K {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pair(unit: *const Self::Unit, at: usize) -> __m512i {
        static TABLE: [u16; 32] = whole(0, 16);
        // SAFETY: behind the scales there are 16 bytes for each two inputs.
        both_halves(unsafe { bytes(unit.cast::<__m128i>().add(Self::WEIGHTS + at)) }, &TABLE)
    }
}

impl Wide for Q6K {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn pair(unit: *const Self::Unit, at: usize) -> __m512i {
        static TABLE: [u16; 64] = whole(-32, 64);
        let lines = unit.cast::<__m128i>();
        // SAFETY: behind the scales there are 16 bytes of lower bits for each two inputs, then 16 of upper ones for each four.
        let (lower, upper) =
            unsafe { (bytes(lines.add(Self::LOWER + at)), bytes(lines.add(Self::UPPER + at / 2))) };
        let upper = if at.is_multiple_of(2) { upper } else { _mm512_srli_epi32::<4>(upper) };
        let only = |words: __m512i, mask: i32| _mm512_and_si512(words, _mm512_set1_epi32(mask));
        let lower = _mm512_or_si512(only(lower, 15), only(_mm512_slli_epi32::<12>(lower), 15 << 16));
        let upper = _mm512_or_si512(
            only(_mm512_slli_epi32::<4>(upper), 48),
            only(_mm512_slli_epi32::<18>(upper), 48 << 16),
        );
        // SAFETY: the table has two times 512 bits.
        let (low, high) = unsafe {
            (_mm512_loadu_si512(TABLE.as_ptr().cast()), _mm512_loadu_si512(TABLE.as_ptr().add(32).cast()))
        };
        _mm512_permutex2var_epi16(low, _mm512_or_si512(lower, upper), high)
    }
}

/// See [`super::InstructionSet::ready`], which has checked the lengths.
pub(super) fn ready<F: Wide>(
    panel: &[F::Unit],
    pairs: &mut [Pair],
    scales: &mut [[f32; LANES]],
    offs: &mut [[f32; LANES]],
) {
    // SAFETY: only called where the extensions were found.
    unsafe { ready_here::<F>(panel, pairs, scales, offs) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16,avx2,fma,f16c")]
fn ready_here<F: Wide>(
    panel: &[F::Unit],
    pairs: &mut [Pair],
    scales: &mut [[f32; LANES]],
    offs: &mut [[f32; LANES]],
) {
    let parts = F::INPUTS / F::SHARED;
    for (n, (unit, pairs)) in panel.iter().zip(pairs.chunks_exact_mut(F::INPUTS / 2)).enumerate() {
        for (at, pair) in pairs.iter_mut().enumerate() {
            // SAFETY: `unit` is a reference, and there is a place for each of its pairs.
            unsafe { _mm512_storeu_si512(pair.as_mut_ptr().cast(), F::pair(unit, at)) }
        }
        for part in 0..parts {
            let at = n * parts + part;
            // SAFETY: there are as many parts.
            let scale = unsafe { <F as Load>::scale(unit, part) };
            F::store(scale, &mut scales[at], offs.get_mut(at));
        }
    }
}
