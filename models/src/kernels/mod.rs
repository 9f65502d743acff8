//! Sums of products with packed weights, one file an instruction set: `scalar` says what is computed, the others
//! compute the same sums, bit by bit, faster. Only here is `unsafe` allowed, for vector instructions and for the memory pool of a GPU.
//!
//! Sixteen outputs lie side by side, input by input ([`Format`]), so that a vector holds neighbouring outputs and each
//! sum runs over the inputs in order: it is the same whatever rows and outputs are computed with it, and on
//! every processor.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocks;
mod brain;
#[cfg(feature = "cuda")]
pub(crate) mod device_memory;
mod formats;
mod k_quants;
mod quantised;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub(crate) use blocks::{Block, with_block};
pub(crate) use brain::{Panel, Ready, Rounded, Row};
use formats::PANELS;
pub(crate) use formats::{Bf16, F16, F32, Format, LANES, Rounding, Storable};
pub(crate) use k_quants::{Q4K, Q6K};
pub(crate) use quantised::{BLOCK, Q4_0, Q8_0};

/// A format that every instruction set can multiply with.
#[cfg(target_arch = "x86_64")]
pub(crate) trait Kernel: avx2::Load {}
#[cfg(target_arch = "x86_64")]
impl<F: avx2::Load> Kernel for F {}
/// A format that every instruction set can multiply with.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) trait Kernel: Format {}
#[cfg(not(target_arch = "x86_64"))]
impl<F: Format> Kernel for F {}

/// A format that every instruction set can multiply with when inputs are rounded to bf16.
#[cfg(target_arch = "x86_64")]
pub(crate) trait BrainKernel: avx512::Wide {}
#[cfg(target_arch = "x86_64")]
impl<F: avx512::Wide> BrainKernel for F {}
/// A format that every instruction set can multiply with when inputs are rounded to bf16.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) trait BrainKernel: brain::Brain {}
#[cfg(not(target_arch = "x86_64"))]
impl<F: brain::Brain> BrainKernel for F {}

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstructionSet {
    /// Any processor.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The same with AVX-512 and its products in bf16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

/// All that there are, the fastest first.
const SETS: &[InstructionSet] = &[
    #[cfg(target_arch = "x86_64")]
    InstructionSet::Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    InstructionSet::Avx2,
    InstructionSet::Scalar,
];

impl InstructionSet {
    /// The fastest of this processor.
    pub(crate) fn best() -> Self {
        SETS.iter().copied().find(|set| set.is_here()).unwrap_or(Self::Scalar)
    }

    fn is_here(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                    && std::is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => {
                Self::Avx2.is_here()
                    && std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512bf16")
            }
        }
    }

    /// Adds to each sum the products of its row and its output: `sums[row × panels + panel]` holds the 16 outputs of a
    /// panel. Panels are equally long, and a row of `x` has as many values as a panel has inputs.
    ///
    /// # Panics
    /// When lengths do not fit together or there are more rows than a tile takes: a mistake of the caller.
    pub(crate) fn add<F: Kernel>(self, panels: &[&[F::Unit]], x: &[&[f32]], sums: &mut [[f32; LANES]]) {
        let units = panels.first().map_or(0, |panel| panel.len());
        let most = self.tiles::<F>().len();
        assert!(x.len() < most && sums.len() == x.len() * panels.len(), "a tile of another shape");
        assert!(panels.iter().all(|panel| panel.len() == units), "panels of unequal lengths");
        assert!(
            x.iter().all(|row| row.len() == units * F::INPUTS),
            "a row of another length than its panels"
        );
        match self {
            Self::Scalar => scalar::add::<F>(panels, x, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::add::<F>(panels, x, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => match F::lines(panels) {
                Some(lines) => avx512::add_f32(lines, x, sums),
                None => avx2::add::<F>(panels, x, sums),
            },
        }
    }

    /// How many panels a tile takes, by its rows; the last is the most rows of a tile.
    pub(crate) fn tiles<F: Kernel>(self) -> &'static [usize] {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Avx512Bf16 && F::lines(&[]).is_some() {
            return avx512::PLAIN;
        }
        &PANELS
    }

    /// Writes the weights of a panel, input by input, in f32: for more rows than it is worth widening them for each tile.
    ///
    /// # Panics
    /// When `out` has another length: a mistake of the caller.
    pub(crate) fn widen<F: Kernel>(self, panel: &[F::Unit], out: &mut [[f32; LANES]]) {
        assert!(out.len() == panel.len() * F::INPUTS, "a panel of another length");
        match self {
            Self::Scalar => scalar::widen::<F>(panel, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::Avx512Bf16 => avx2::widen::<F>(panel, out),
        }
    }

    /// How many panels a tile of inputs in bf16 takes, by its rows; the last is the most rows of a tile.
    pub(crate) fn rounded_tiles(self, scaled: bool) -> &'static [usize] {
        match (self, scaled) {
            (Self::Scalar, _) => &[1, 1, 1, 1],
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, false) => avx2::PLAIN,
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, true) => avx2::SCALED,
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512Bf16, false) => avx512::PLAIN,
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512Bf16, true) => avx512::SCALED,
        }
    }

    /// The same sums with inputs that were rounded to bf16; see [`brain`].
    ///
    /// # Panics
    /// When lengths do not fit together or there are more rows than a tile takes: a mistake of the caller.
    pub(crate) fn add_rounded(self, panels: &[Panel<'_>], rows: &[Row<'_>], sums: &mut [[f32; LANES]]) {
        let (pairs, parts) = panels.first().map_or((0, 0), |panel| (panel.pairs.len(), panel.scales.len()));
        let tiles = self.rounded_tiles(parts > 0);
        assert!(
            rows.len() < tiles.len() && sums.len() == rows.len() * panels.len(),
            "a tile of another shape"
        );
        let fits = |panel: &Panel<'_>| {
            panel.pairs.len() == pairs
                && panel.scales.len() == parts
                && [0, parts].contains(&panel.offs.len())
        };
        let lowered = panels.first().is_some_and(|panel| !panel.offs.is_empty());
        assert!(
            panels.iter().all(|panel| fits(panel) && panel.offs.is_empty() != lowered),
            "panels of unequal lengths"
        );
        assert!(pairs.is_multiple_of(parts.max(1)), "parts of unequal lengths");
        let summed = if lowered { parts } else { 0 };
        assert!(
            rows.iter().all(|row| row.pairs.len() == pairs && row.sums.len() >= summed),
            "a row of another length than its panels"
        );
        match self {
            Self::Scalar => brain::add(panels, rows, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::add_rounded(panels, rows, sums, tiles[rows.len()]),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => avx512::add_rounded(panels, rows, sums, tiles[rows.len()]),
        }
    }

    /// Can [`InstructionSet::add_blocks`] be used?
    pub(crate) fn adds_blocks(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Self::Avx512Bf16;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// [`InstructionSet::add_rounded`] with blocks as they are: for rows that fit into one tile, which use once what is made ready.
    ///
    /// # Panics
    /// As [`InstructionSet::add_rounded`], and where it cannot be used.
    pub(crate) fn add_blocks<F: BrainKernel>(
        self,
        panels: &[&[F::Unit]],
        rows: &[Row<'_>],
        sums: &mut [[f32; LANES]],
    ) {
        let units = panels.first().map_or(0, |panel| panel.len());
        let (pairs, parts) = (units * F::INPUTS / 2, units * (F::INPUTS / F::SHARED));
        let summed = if F::LOWERED { parts } else { 0 };
        let most = self.rounded_tiles(true).len();
        assert!(self.adds_blocks() && rows.len() < most, "rows for a tile of blocks");
        assert!(sums.len() == rows.len() * panels.len(), "a tile of another shape");
        assert!(panels.iter().all(|panel| panel.len() == units), "panels of unequal lengths");
        assert!(
            rows.iter().all(|row| row.pairs.len() == pairs && row.sums.len() >= summed),
            "a row of another length than its panels"
        );
        #[cfg(target_arch = "x86_64")]
        avx512::add_blocks::<F>(panels, rows, sums);
    }

    /// Makes panels of blocks ready for [`InstructionSet::add_rounded`].
    pub(crate) fn ready<F: BrainKernel>(self, panels: &[&[F::Unit]], space: &mut Ready) {
        let units = panels.first().map_or(0, |panel| panel.len());
        assert!(panels.iter().all(|panel| panel.len() == units), "panels of unequal lengths");
        space.make_room::<F>(panels.len(), units);
        for (at, panel) in panels.iter().enumerate() {
            let (pairs, scales, offs) = space.places(at);
            match self {
                Self::Scalar => brain::ready::<F>(panel, pairs, scales, offs),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2::ready::<F>(panel, pairs, scales, offs),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Bf16 => avx512::ready::<F>(panel, pairs, scales, offs),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    /// Numbers of either sign and very different sizes.
    pub(super) fn value(i: usize, seed: u64) -> f32 {
        let mut state = seed ^ (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state ^= state >> 29;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let size = 2f32.powi((state >> 60) as i32 - 8);
        ((state >> 20) as u32 as f32 / u32::MAX as f32 - 0.5) * size
    }

    /// Blocks of every bit, their scales of either sign and ordinary size.
    pub(super) fn noise<F: Storable>(values: &[[f32; LANES]]) -> F::Unit {
        let block = |lane: usize| {
            let byte = |at: usize| (values[at % F::INPUTS][lane].to_bits() >> (at / F::INPUTS * 8)) as u8;
            let mut block: Vec<u8> = (0..F::BYTES).map(byte).collect();
            for (n, at) in F::HALVES.iter().enumerate() {
                let half = half::f16::from_f32(values[n][lane] / 8.0);
                block[*at..at + 2].copy_from_slice(&half.to_le_bytes());
            }
            block
        };
        let blocks: Vec<Vec<u8>> = (0..LANES).map(block).collect();
        F::gather(&blocks.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn all_sets_agree<F: Kernel>(
        rows: usize,
        panels: usize,
        units: usize,
        seed: u64,
        pack: fn(&[[f32; LANES]]) -> F::Unit,
    ) {
        let inputs = units * F::INPUTS;
        let weights: Vec<Vec<F::Unit>> = (0..panels)
            .map(|panel| {
                let line = |d: usize| std::array::from_fn(|l| value((panel * inputs + d) * LANES + l, seed));
                let lines: Vec<[f32; LANES]> = (0..inputs).map(line).collect();
                lines.chunks_exact(F::INPUTS).map(pack).collect()
            })
            .collect();
        let x: Vec<Vec<f32>> =
            (0..rows).map(|r| (0..inputs).map(|d| value(r * inputs + d, !seed)).collect()).collect();
        let weights: Vec<&[F::Unit]> = weights.iter().map(Vec::as_slice).collect();
        let x: Vec<&[f32]> = x.iter().map(Vec::as_slice).collect();
        let begin: Vec<[f32; LANES]> =
            (0..rows * panels).map(|i| std::array::from_fn(|l| value(i * LANES + l, seed / 3))).collect();
        let mut wanted = begin.clone();
        let add = |set: InstructionSet, sums: &mut [[f32; LANES]]| {
            let most = set.tiles::<F>().len() - 1;
            for (x, sums) in x.chunks(most).zip(sums.chunks_mut(most * panels)) {
                set.add::<F>(&weights, x, sums);
            }
        };
        add(InstructionSet::Scalar, &mut wanted);
        // The scalar kernel itself, against sums in double precision.
        for (at, (sums, begin)) in wanted.iter().zip(&begin).enumerate() {
            let (row, panel) = (at / panels, at % panels);
            for lane in 0..LANES {
                let (mut sum, mut size) = (f64::from(begin[lane]), f64::from(begin[lane]).abs());
                for (d, x) in x[row].iter().enumerate() {
                    let w = F::widen(&weights[panel][d / F::INPUTS], d % F::INPUTS)[lane];
                    sum += f64::from(*x) * f64::from(w);
                    size += (f64::from(*x) * f64::from(w)).abs();
                }
                assert!((f64::from(sums[lane]) - sum).abs() <= 1e-5 * size, "{} {sum}", sums[lane]);
            }
        }
        for set in SETS.iter().filter(|set| set.is_here()) {
            let mut sums = begin.clone();
            add(*set, &mut sums);
            let bits =
                |sums: &[[f32; LANES]]| -> Vec<u32> { sums.iter().flatten().map(|v| v.to_bits()).collect() };
            assert_eq!(bits(&sums), bits(&wanted), "{set:?}, {rows} rows, {panels} panels, {units} units");
            let (mut all, mut exact) = (vec![[0f32; LANES]; inputs], vec![[0f32; LANES]; inputs]);
            set.widen::<F>(weights[0], &mut all);
            InstructionSet::Scalar.widen::<F>(weights[0], &mut exact);
            assert_eq!(bits(&all), bits(&exact), "{set:?}, {units} units");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_instruction_set_gives_the_same_sums(
            rows in 1usize..=14, panels in 1usize..6, units in 0usize..40, seed: u64
        ) {
            all_sets_agree::<F32>(rows, panels, units, seed, F32::pack);
            all_sets_agree::<F16>(rows, panels, units, seed, F16::pack);
            all_sets_agree::<Bf16>(rows, panels, units, seed, Bf16::pack);
            all_sets_agree::<Q8_0>(rows, panels, units.div_ceil(8), seed, Q8_0::pack);
            all_sets_agree::<Q4_0>(rows, panels, units.div_ceil(8), seed, Q4_0::pack);
            all_sets_agree::<Q8_0>(rows, panels, units.div_ceil(8), seed, noise::<Q8_0>);
            all_sets_agree::<Q4_0>(rows, panels, units.div_ceil(8), seed, noise::<Q4_0>);
            all_sets_agree::<Q4K>(rows, panels, units.div_ceil(20), seed, noise::<Q4K>);
            all_sets_agree::<Q6K>(rows, panels, units.div_ceil(20), seed, noise::<Q6K>);
        }
    }

    #[test]
    fn every_sixteen_bit_number_is_widened_exactly() {
        for from in (0..=u16::MAX).step_by(LANES) {
            let bits: [u16; LANES] = std::array::from_fn(|lane| from + lane as u16);
            fn check<F: Kernel>(unit: F::Unit, wanted: [f32; LANES]) {
                let mut x = vec![0.0; F::INPUTS];
                x[0] = 1.0;
                for set in SETS.iter().filter(|set| set.is_here()) {
                    let mut sums = [[0f32; LANES]];
                    set.add::<F>(&[&[unit]], &[&x], &mut sums);
                    for (found, wanted) in sums[0].iter().zip(wanted) {
                        assert!(*found == wanted || (found.is_nan() && wanted.is_nan()), "{found} {wanted}");
                    }
                }
            }
            let f16 = bits.map(|b| half::f16::from_bits(b).to_f32());
            check::<F16>(F16::pack(&[f16]), f16);
            let bf16 = bits.map(|b| half::bf16::from_bits(b).to_f32());
            check::<Bf16>(Bf16::pack(&[bf16, [0.0; LANES]]), bf16);
        }
    }
}
