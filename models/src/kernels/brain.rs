//! Products of numbers that are rounded to bf16, as processors with `vdpbf16ps` have them: two inputs at a time, each product exact,
//! each sum rounded once to f32, the second input of a pair before the first (Intel's manual, `VDPBF16PS`). A weight in blocks is a whole number, which is exact
//! in bf16, times a scale that its part of the block shares: the whole numbers are summed up part by part, and each sum is
//! multiplied once. So the weights are those of the file, and a sum is the same on every processor. (Numbers below 2⁻¹²⁶ count as
//! zero where the instruction is used.)

use super::formats::{Bf16, Format, LANES};
use half::bf16;
use rayon::prelude::*;

/// Pairs that one task rounds.
const TASK: usize = 1 << 14;

/// Weights of sixteen outputs for two successive inputs, or two inputs of a row: bf16, the first in the lower half.
pub(crate) type Pair = [u32; LANES];

/// A format whose weights are bf16, or whole numbers that bf16 holds times the scale of their part.
pub(crate) trait Brain: Format {
    /// Are sums of parts multiplied by scales? Otherwise weights are the numbers themselves.
    const SCALED: bool;
    /// Is something taken off every weight of a part?
    const LOWERED: bool = false;

    /// The numbers of one input.
    fn level(unit: &Self::Unit, input: usize) -> [f32; LANES];
    /// The scale of a part, and what is taken off; the weight is `level × scale - off`.
    fn scale(unit: &Self::Unit, part: usize) -> ([f32; LANES], [f32; LANES]);
}

impl Brain for Bf16 {
    const SCALED: bool = false;

    fn level(unit: &Self::Unit, input: usize) -> [f32; LANES] {
        Self::widen(unit, input)
    }

    fn scale(_: &Self::Unit, _: usize) -> ([f32; LANES], [f32; LANES]) {
        ([1.0; LANES], [0.0; LANES])
    }
}

/// Weights of sixteen outputs, made ready.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub(crate) pairs: &'a [Pair],
    /// The scale of each part, all equally long; none where weights are the numbers themselves.
    pub(crate) scales: &'a [[f32; LANES]],
    /// What is taken off the weights of each part; nothing where it is empty.
    pub(crate) offs: &'a [[f32; LANES]],
}

/// Inputs of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) pairs: &'a [u32],
    /// The sum of each part; needed where something is taken off.
    pub(crate) sums: &'a [f32],
}

/// Rows (n, inputs) of f32, rounded: an odd last input has a zero beside it.
#[derive(Debug, Default)]
pub(crate) struct Rounded {
    pairs: Vec<u32>,
    sums: Vec<f32>,
    /// Pairs and parts of a row.
    width: usize,
    parts: usize,
}

impl Rounded {
    /// Rounds rows of so many inputs, to the nearest, ties to even. With `part`, the sums of so many inputs each are taken too.
    pub(crate) fn new(x: &[f32], inputs: usize, part: Option<usize>) -> Self {
        let width = inputs.div_ceil(2);
        let mut pairs = vec![0; x.len() / inputs.max(1) * width];
        let arch = pulp::Arch::new();
        let lines = x.par_chunks_exact(inputs.max(1)).zip(pairs.par_chunks_exact_mut(width.max(1)));
        lines
            .with_min_len((TASK / width.max(1)).max(1))
            .for_each(|(line, to)| arch.dispatch(|| round(line, to)));
        let part = part.map_or(usize::MAX, |inputs| inputs / 2);
        let parts = width / part;
        let sum =
            |pairs: &[u32]| pairs.iter().fold(0f32, |sum, pair| sum + halves(*pair).1 + halves(*pair).0);
        let sums = if parts == 0 { Vec::new() } else { pairs.chunks_exact(part).map(sum).collect() };
        Self { pairs, sums, width, parts }
    }

    /// Pairs `from..to` of a row, which are whole parts.
    pub(crate) fn row(&self, row: usize, from: usize, to: usize) -> Row<'_> {
        let pairs = &self.pairs[row * self.width..][from..to];
        let sums = match self.width.checked_div(self.parts) {
            Some(part) => &self.sums[row * self.parts..][from / part..to / part],
            None => &[],
        };
        Row { pairs, sums }
    }
}

/// Two inputs as f32, the first first.
#[inline(always)]
pub(super) fn halves(pair: u32) -> (f32, f32) {
    (f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000))
}

#[inline(always)]
fn round(line: &[f32], to: &mut [u32]) {
    // NaN stays one: its upper half is kept, with a bit that says so.
    let upper = |v: f32| {
        let bits = v.to_bits();
        let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        if v.is_nan() { bits >> 16 | 0x40 } else { nearest }
    };
    let (whole, rest) = line.as_chunks::<2>();
    for (pair, to) in whole.iter().zip(to.iter_mut()) {
        *to = upper(pair[0]) | upper(pair[1]) << 16;
    }
    if let ([last], Some(to)) = (rest, to.last_mut()) {
        *to = upper(*last);
    }
}

/// Sixteen words that lie in one line of a cache: what goes over two takes several times as long to write.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; LANES]);

// SAFETY: any bits are words, and there is no gap between them.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Line {}

/// Lines that are used as numbers of 32 bits.
#[derive(Debug, Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn grow(&mut self, to: usize) {
        if self.0.len() < to {
            self.0.resize(to, Line([0; LANES]));
        }
    }

    fn part<T: bytemuck::Pod>(&self, from: usize, count: usize) -> &[[T; LANES]] {
        bytemuck::cast_slice(&self.0[from..from + count])
    }

    fn part_mut<T: bytemuck::Pod>(&mut self, from: usize, count: usize) -> &mut [[T; LANES]] {
        bytemuck::cast_slice_mut(&mut self.0[from..from + count])
    }
}

/// Space for panels that are made ready.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    pairs: Lines,
    scales: Lines,
    offs: Lines,
    /// Pairs and parts of a panel, and parts of which something is taken off.
    width: usize,
    parts: usize,
    lowered: usize,
}

impl Ready {
    /// Room for so many panels of so many units.
    pub(super) fn make_room<F: Brain>(&mut self, panels: usize, units: usize) {
        (self.width, self.parts) = (units * F::INPUTS / 2, units * (F::INPUTS / F::SHARED));
        self.lowered = if F::LOWERED { self.parts } else { 0 };
        self.pairs.grow(panels * self.width);
        self.scales.grow(panels * self.parts);
        self.offs.grow(panels * self.lowered);
    }

    /// The places of a panel: pairs, scales, what is taken off.
    pub(super) fn places(&mut self, panel: usize) -> (&mut [Pair], &mut [[f32; LANES]], &mut [[f32; LANES]]) {
        (
            self.pairs.part_mut(panel * self.width, self.width),
            self.scales.part_mut(panel * self.parts, self.parts),
            self.offs.part_mut(panel * self.lowered, self.lowered),
        )
    }

    /// One of the panels that were made ready last.
    pub(crate) fn panel(&self, panel: usize) -> Panel<'_> {
        Panel {
            pairs: self.pairs.part(panel * self.width, self.width),
            scales: self.scales.part(panel * self.parts, self.parts),
            offs: self.offs.part(panel * self.lowered, self.lowered),
        }
    }
}

/// See [`super::InstructionSet::ready`].
pub(super) fn ready<F: Brain>(
    panel: &[F::Unit],
    pairs: &mut [Pair],
    scales: &mut [[f32; LANES]],
    offs: &mut [[f32; LANES]],
) {
    let parts = F::INPUTS / F::SHARED;
    for (unit, pairs) in panel.iter().zip(pairs.chunks_exact_mut(F::INPUTS / 2)) {
        for (at, pair) in pairs.iter_mut().enumerate() {
            let (first, second) = (F::level(unit, 2 * at), F::level(unit, 2 * at + 1));
            *pair = std::array::from_fn(|lane| {
                u32::from(bf16::from_f32(first[lane]).to_bits())
                    | u32::from(bf16::from_f32(second[lane]).to_bits()) << 16
            });
        }
    }
    for (at, scale) in scales.iter_mut().enumerate() {
        let (own, off) = F::scale(&panel[at / parts], at % parts);
        *scale = own;
        if let Some(place) = offs.get_mut(at) {
            *place = off;
        }
    }
}

/// What every kernel computes; see [`super::InstructionSet::add_rounded`].
pub(super) fn add(panels: &[Panel<'_>], rows: &[Row<'_>], sums: &mut [[f32; LANES]]) {
    for (row, sums) in rows.iter().zip(sums.chunks_exact_mut(panels.len().max(1))) {
        for (panel, sums) in panels.iter().zip(sums) {
            if panel.scales.is_empty() {
                add_part(panel.pairs, row.pairs, sums);
                continue;
            }
            let length = panel.pairs.len() / panel.scales.len();
            for (part, scale) in panel.scales.iter().enumerate() {
                let mut own = [0f32; LANES];
                let range = part * length..(part + 1) * length;
                add_part(&panel.pairs[range.clone()], &row.pairs[range], &mut own);
                for lane in 0..LANES {
                    sums[lane] = own[lane].mul_add(scale[lane], sums[lane]);
                    if let Some(off) = panel.offs.get(part) {
                        sums[lane] = (-off[lane]).mul_add(row.sums[part], sums[lane]);
                    }
                }
            }
        }
    }
}

fn add_part(weights: &[Pair], x: &[u32], sums: &mut [f32; LANES]) {
    for (weights, x) in weights.iter().zip(x) {
        let x = halves(*x);
        for (sum, w) in sums.iter_mut().zip(weights) {
            let w = halves(*w);
            *sum = x.0.mul_add(w.0, x.1.mul_add(w.1, *sum));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::super::tests::{noise, value};
    use super::super::{BrainKernel, Q4_0, Q4K, Q6K, Q8_0, SETS};
    use super::*;
    use proptest::prelude::*;

    fn bits(sums: &[[f32; LANES]]) -> Vec<u32> {
        sums.iter().flatten().map(|v| v.to_bits()).collect()
    }

    /// Panels of units that `pack` makes of noise.
    fn weights<F: Brain>(
        panels: usize,
        units: usize,
        seed: u64,
        pack: fn(&[[f32; LANES]]) -> F::Unit,
    ) -> Vec<Vec<F::Unit>> {
        let inputs = units * F::INPUTS;
        let panel = |panel: usize| {
            let line = |d: usize| std::array::from_fn(|l| value((panel * inputs + d) * LANES + l, seed));
            let lines: Vec<[f32; LANES]> = (0..inputs).map(line).collect();
            lines.chunks_exact(F::INPUTS).map(pack).collect()
        };
        (0..panels).map(panel).collect()
    }

    fn all_sets_agree<F: BrainKernel>(
        rows: usize,
        panels: usize,
        units: usize,
        seed: u64,
        pack: fn(&[[f32; LANES]]) -> F::Unit,
    ) {
        let inputs = units * F::INPUTS;
        let weights = weights::<F>(panels, units, seed, pack);
        let weights: Vec<&[F::Unit]> = weights.iter().map(Vec::as_slice).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|i| value(i, !seed)).collect();
        let rounded = Rounded::new(&x, inputs, F::LOWERED.then_some(F::SHARED));
        let begin: Vec<[f32; LANES]> =
            (0..rows * panels).map(|i| std::array::from_fn(|l| value(i * LANES + l, seed / 3))).collect();
        let lines: Vec<Row<'_>> = (0..rows).map(|row| rounded.row(row, 0, inputs / 2)).collect();
        let mut wanted: Option<Vec<[f32; LANES]>> = None;
        for set in SETS.iter().rev().filter(|set| set.is_here()) {
            let mut space = Ready::default();
            set.ready::<F>(&weights, &mut space);
            let made: Vec<Panel<'_>> = (0..panels)
                .map(|at| match F::SCALED {
                    true => space.panel(at),
                    false => Panel { scales: &[], offs: &[], ..space.panel(at) },
                })
                .collect();
            let mut sums = begin.clone();
            let most = set.rounded_tiles(F::SCALED).len() - 1;
            for (lines, sums) in lines.chunks(most).zip(sums.chunks_mut(most * panels)) {
                set.add_rounded(&made, lines, sums);
            }
            if F::SCALED && set.adds_blocks() && rows <= most {
                let mut same = begin.clone();
                set.add_blocks::<F>(&weights, &lines, &mut same);
                assert_eq!(bits(&same), bits(&sums), "{set:?}, blocks as they are");
            }
            let wanted = wanted.get_or_insert_with(|| sums.clone());
            assert_eq!(bits(&sums), bits(wanted), "{set:?}, {rows} rows, {panels} panels, {units} units");
        }
        // The scalar kernel itself, against sums in double precision of rounded inputs and of the weights as they are stored.
        for (at, (sums, begin)) in wanted.unwrap().iter().zip(&begin).enumerate() {
            let (row, panel) = (at / panels, at % panels);
            for lane in 0..LANES {
                let (mut sum, mut size) = (f64::from(begin[lane]), f64::from(begin[lane]).abs());
                for (d, x) in x[row * inputs..][..inputs].iter().enumerate() {
                    let x = f64::from(bf16::from_f32(*x).to_f32());
                    let unit = &weights[panel][d / F::INPUTS];
                    sum += x * f64::from(F::widen(unit, d % F::INPUTS)[lane]);
                    let (level, scale) = (
                        F::level(unit, d % F::INPUTS)[lane],
                        <F as Brain>::scale(unit, d % F::INPUTS / F::SHARED),
                    );
                    size += (x * f64::from(level) * f64::from(scale.0[lane])).abs()
                        + (x * f64::from(scale.1[lane])).abs();
                }
                assert!((f64::from(sums[lane]) - sum).abs() <= 1e-5 * size, "{} {sum}", sums[lane]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_instruction_set_gives_the_same_sums(rows in 1usize..=14, panels in 1usize..6, units in 0usize..40, seed: u64) {
            all_sets_agree::<Bf16>(rows, panels, units, seed, <Bf16 as super::super::Rounding>::pack);
            all_sets_agree::<Q8_0>(rows, panels, units.div_ceil(8), seed, noise::<Q8_0>);
            all_sets_agree::<Q4_0>(rows, panels, units.div_ceil(8), seed, noise::<Q4_0>);
            all_sets_agree::<Q4K>(rows, panels, units.div_ceil(20), seed, noise::<Q4K>);
            all_sets_agree::<Q6K>(rows, panels, units.div_ceil(20), seed, noise::<Q6K>);
        }

        #[test]
        fn inputs_are_rounded_as_half_does(values in prop::collection::vec(any::<f32>(), 1..40)) {
            let rounded = Rounded::new(&values, values.len(), None);
            let row = rounded.row(0, 0, values.len().div_ceil(2));
            for (at, value) in values.iter().enumerate() {
                let pair = halves(row.pairs[at / 2]);
                let (found, wanted) = (if at % 2 == 0 { pair.0 } else { pair.1 }, bf16::from_f32(*value).to_f32());
                prop_assert!(found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan()), "{value} {found} {wanted}");
            }
            prop_assert!(values.len() % 2 == 0 || halves(row.pairs[values.len() / 2]).1 == 0.0);
        }
    }

    /// Weights of blocks are whole numbers that bf16 holds, times their scales.
    #[test]
    fn blocks_are_levels_and_scales() {
        fn check<F: Brain + super::super::Storable>(seed: u64) {
            for unit in weights::<F>(1, 3, seed, noise::<F>).concat() {
                for input in 0..F::INPUTS {
                    let (level, wanted) = (F::level(&unit, input), F::widen(&unit, input));
                    let (scale, off) = F::scale(&unit, input / F::SHARED);
                    for l in 0..LANES {
                        assert_eq!(bf16::from_f32(level[l]).to_f32(), level[l]);
                        assert_eq!(level[l], level[l].round());
                        assert_eq!(level[l].mul_add(scale[l], -off[l]), wanted[l]);
                    }
                }
            }
        }
        for seed in [1, 77, 4096] {
            check::<Q8_0>(seed);
            check::<Q4_0>(seed);
            check::<Q4K>(seed);
            check::<Q6K>(seed);
        }
    }
}
