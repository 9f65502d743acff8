//! The loops of [`super::brain`] with sums in registers, the same for every instruction set with vectors.
#![allow(unsafe_code)]

use super::brain::Pair;

/// Sixteen sums in registers.
pub(super) trait Lanes: Copy {
    /// Sixteen pairs of weights.
    type Weights: Copy;
    /// A pair of inputs, as often as it is needed.
    type Inputs: Copy;

    /// # Safety
    /// The processor has the instructions of the type, for this function and all others of it.
    unsafe fn zero() -> Self;
    /// # Safety
    /// Sixteen numbers can be read.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// Sixteen numbers can be written.
    unsafe fn store(self, to: *mut f32);
    /// # Safety
    /// Sixteen pairs can be read.
    unsafe fn weights(from: *const Pair) -> Self::Weights;
    /// # Safety
    /// See [`Lanes::zero`].
    unsafe fn inputs(pair: u32) -> Self::Inputs;
    /// Adds the products of the second inputs, then those of the first.
    ///
    /// # Safety
    /// See [`Lanes::zero`].
    unsafe fn dot(self, weights: Self::Weights, inputs: Self::Inputs) -> Self;
    /// Adds `own × scale`.
    ///
    /// # Safety
    /// See [`Lanes::zero`].
    unsafe fn add_scaled(self, own: Self, scale: Self) -> Self;
    /// Takes `off × sum` off.
    ///
    /// # Safety
    /// See [`Lanes::zero`].
    unsafe fn take_off(self, off: Self, sum: f32) -> Self;
}

/// `add_rounded` of an instruction set: its features, its [`Lanes`], and the tiles (rows, panels) that its registers hold.
macro_rules! tiles {
    ($features:literal, $lanes:ty, $(($rows:literal, $panels:literal)),* $(,)?) => {
        /// See [`super::InstructionSet::add_rounded`], which has checked all lengths.
        pub(super) fn add_rounded(panels: &[Panel<'_>], rows: &[Row<'_>], sums: &mut [[f32; LANES]], at_once: usize) {
            let all = panels.len();
            let first = panels.first();
            let (scaled, lowered) = (
                first.is_some_and(|panel| !panel.scales.is_empty()),
                first.is_some_and(|panel| !panel.offs.is_empty()),
            );
            let mut from = 0;
            while from < all {
                // The tiles that there are have 1, 2, 4 panels.
                let count = 1 << at_once.min(all - from).ilog2();
                let part = &panels[from..from + count];
                // SAFETY: only called where the features were found.
                unsafe {
                    match (rows.len(), count) {
                        $(($rows, $panels) => match (scaled, lowered) {
                            (false, _) => tile_rounded::<$rows, $panels, false, false>(part, rows, sums, from, all),
                            (true, false) => tile_rounded::<$rows, $panels, true, false>(part, rows, sums, from, all),
                            (true, true) => tile_rounded::<$rows, $panels, true, true>(part, rows, sums, from, all),
                        },)*
                        _ => {}
                    }
                }
                from += count;
            }
        }

        /// `R` rows and `P` panels, their sums in registers over all inputs; `from` is the first panel of `all`.
        #[target_feature(enable = $features)]
        fn tile_rounded<const R: usize, const P: usize, const SCALED: bool, const LOWERED: bool>(
            panels: &[Panel<'_>],
            rows: &[Row<'_>],
            sums: &mut [[f32; LANES]],
            from: usize,
            all: usize,
        ) {
            type L = $lanes;
            let weights: [*const Pair; P] = std::array::from_fn(|p| panels[p].pairs.as_ptr());
            let inputs: [*const u32; R] = std::array::from_fn(|r| rows[r].pairs.as_ptr());
            let parts = if SCALED { panels[0].scales.len() } else { 1 };
            let length = panels[0].pairs.len() / parts.max(1);
            // SAFETY: there are sixteen sums of each row and panel; all panels and rows have `parts × length` pairs, panels
            // `parts` scales (and what is taken off), rows `parts` sums.
            unsafe {
                let mut held = [[L::zero(); P]; R];
                for r in 0..R {
                    for p in 0..P {
                        held[r][p] = L::load(sums[r * all + from + p].as_ptr());
                    }
                }
                for part in 0..parts {
                    let mut own = if SCALED { [[L::zero(); P]; R] } else { held };
                    for at in part * length..(part + 1) * length {
                        let mut w = [L::weights(weights[0].add(at)); P];
                        for p in 1..P {
                            w[p] = L::weights(weights[p].add(at));
                        }
                        for r in 0..R {
                            let x = L::inputs(*inputs[r].add(at));
                            for p in 0..P {
                                own[r][p] = own[r][p].dot(w[p], x);
                            }
                        }
                    }
                    if !SCALED {
                        held = own;
                        continue;
                    }
                    for p in 0..P {
                        let scale = L::load(panels[p].scales.as_ptr().add(part).cast());
                        for r in 0..R {
                            held[r][p] = held[r][p].add_scaled(own[r][p], scale);
                        }
                        if LOWERED {
                            let off = L::load(panels[p].offs.as_ptr().add(part).cast());
                            for r in 0..R {
                                held[r][p] = held[r][p].take_off(off, *rows[r].sums.as_ptr().add(part));
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
    };
}
pub(super) use tiles;
