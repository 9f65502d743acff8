//! Products with weights on the processor, whose layout is arranged once when loading.
//!
//! A general product arranges the weights anew in every call, which costs more than the product
//! itself when few rows are decoded. Here outputs lie in panels of [`LANES`], and a tile of sums stays in registers
//! over the whole depth. Half-precision weights stay so in memory, which is read once for all rows of a call; sums are f32, and do
//! not depend on how rows and outputs are shared out.

use super::tiling::{Exact, InBrain, by_tiles};
use crate::checkpoint::weights::{Dtype, Numbers, Quant};
use crate::kernels::{
    BLOCK, Bf16, Block, BrainKernel, F16, F32, Format, LANES, Q4_0, Q8_0, Rounding, Storable, with_block,
};
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};
use memmap2::MmapMut;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// Weights (out, in) in panels: for each 16 outputs, input by input.
pub(crate) struct Packed {
    /// Units of the format of `kept`.
    memory: MmapMut,
    kept: Kept,
    input: usize,
    out: usize,
    bias: Option<Vec<f32>>,
    /// Are inputs rounded to bf16 where weights are so, or come in blocks?
    rounds: bool,
    /// The same with inputs and outputs changed over, made when a gradient is first asked for.
    turned: OnceLock<Box<Packed>>,
}

/// How weights are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    F32,
    F16,
    Bf16,
    Blocks(Block),
}

impl From<Dtype> for Kept {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::Bf16 => Self::Bf16,
        }
    }
}

impl Kept {
    /// The matrices of a language model.
    pub(crate) fn language(numbers: &Numbers) -> Self {
        match numbers.quant {
            Some(Quant::Q8_0) => Self::Blocks(Block::Q8_0),
            Some(Quant::Q4_0) => Self::Blocks(Block::Q4_0),
            None => numbers.weights.into(),
        }
    }

    /// Its embeddings and output head, where 4 bits cost more than elsewhere.
    pub(crate) fn head(numbers: &Numbers) -> Self {
        if numbers.quant.is_some() { Self::Blocks(Block::Q8_0) } else { numbers.weights.into() }
    }

    /// What can be kept so: rows that are no whole blocks stay in the number type of the other weights.
    pub(crate) fn fitting(self, input: usize, weights: Dtype) -> Self {
        match self {
            Self::Blocks(_) if !input.is_multiple_of(BLOCK) => weights.into(),
            fitting => fitting,
        }
    }
}

/// Evaluates an expression with `$format` standing for the format of what is kept.
macro_rules! with_format {
    ($kept:expr, $format:ident => $what:expr) => {
        match $kept {
            Kept::F32 => {
                type $format = F32;
                $what
            }
            Kept::F16 => {
                type $format = F16;
                $what
            }
            Kept::Bf16 => {
                type $format = Bf16;
                $what
            }
            Kept::Blocks(block) => with_block!(block, $format => $what),
        }
    };
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({}, {}, {:?})", self.out, self.input, self.kept)
    }
}

impl Packed {
    /// Arranges the rows of a matrix (out, in), kept so. `rows` fills its second argument with whole rows from
    /// the one on that the first names; it is called for a few rows at a time and from several threads.
    ///
    /// # Errors
    /// When the system gives no memory, or `rows` fails.
    pub(crate) fn new<E: From<Error> + Send>(
        input: usize,
        out: usize,
        bias: Option<Vec<f32>>,
        kept: Kept,
        rows: impl Fn(usize, &mut [f32]) -> std::result::Result<(), E> + Sync,
    ) -> std::result::Result<Self, E> {
        Self::filled(input, out, bias, kept, |place| match kept {
            Kept::F32 => rounded::<F32, E>(input, out, place, rows),
            Kept::F16 => rounded::<F16, E>(input, out, place, rows),
            Kept::Bf16 => rounded::<Bf16, E>(input, out, place, rows),
            Kept::Blocks(Block::Q8_0) => rounded::<Q8_0, E>(input, out, place, rows),
            Kept::Blocks(Block::Q4_0) => rounded::<Q4_0, E>(input, out, place, rows),
            Kept::Blocks(other) => {
                Err(Error::Msg(format!("numbers are not rounded to {} here", other.name())).into())
            }
        })
    }

    /// Arranges the rows of a matrix (out, in) whose weights come in blocks, which stay as they are. `rows` fills its
    /// second argument with the blocks of whole rows from the one on that the first names; it is called as in
    /// [`Packed::new`].
    ///
    /// # Errors
    /// When the system gives no memory, or `rows` fails.
    pub(crate) fn of_blocks<E: From<Error> + Send>(
        input: usize,
        out: usize,
        bias: Option<Vec<f32>>,
        block: Block,
        rows: impl Fn(usize, &mut [u8]) -> std::result::Result<(), E> + Sync,
    ) -> std::result::Result<Self, E> {
        Self::filled(
            input,
            out,
            bias,
            Kept::Blocks(block),
            |place| with_block!(block, F => stored::<F, E>(input, out, bytemuck::cast_slice_mut(place), rows)),
        )
    }

    /// Memory for a matrix, which `fill` fills.
    fn filled<E: From<Error>>(
        input: usize,
        out: usize,
        bias: Option<Vec<f32>>,
        kept: Kept,
        fill: impl FnOnce(&mut [u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<Self, E> {
        let bytes = with_format!(kept, F => units::<F>(input, out) * size_of::<<F as Format>::Unit>());
        let mut memory = MmapMut::map_anon(bytes.max(1)).map_err(Error::from)?;
        // Weights are read from one end to the other: with large pages the processor looks fewer of them up and reads
        // further ahead. Where there are none, small ones do.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        fill(&mut memory[..bytes])?;
        Ok(Self { memory, kept, input, out, bias, rounds: false, turned: OnceLock::new() })
    }

    /// Arranges `values` in (out, in) order.
    ///
    /// # Errors
    /// When the system gives no memory.
    pub(crate) fn of_values(
        values: &[f32],
        input: usize,
        out: usize,
        bias: Option<Vec<f32>>,
        kept: Kept,
    ) -> Result<Self> {
        Self::new(input, out, bias, kept, |row, lines| {
            lines.copy_from_slice(&values[row * input..][..lines.len()]);
            Ok(())
        })
    }

    /// The same, with inputs that are rounded to bf16 or are not: where weights are bf16 or come in blocks.
    pub(crate) fn rounding(self, rounds: bool) -> Self {
        Self { rounds, ..self }
    }

    fn units<F: Format>(&self) -> &[F::Unit] {
        let count = units::<F>(self.input, self.out);
        bytemuck::cast_slice(&self.memory[..count * size_of::<F::Unit>()])
    }

    /// Row `index` of the weights.
    pub(crate) fn row(&self, index: usize) -> Vec<f32> {
        with_format!(self.kept, F => {
            let depth = self.input.div_ceil(F::INPUTS);
            let panel = &self.units::<F>()[index / LANES * depth..][..depth];
            let unit = |unit| (0..F::INPUTS).map(move |input| F::widen(unit, input)[index % LANES]);
            panel.iter().flat_map(unit).take(self.input).collect()
        })
    }

    /// The weights (in, out) without bias.
    ///
    /// # Errors
    /// When the system gives no memory.
    fn turned(&self) -> Result<&Self> {
        if let Some(turned) = self.turned.get() {
            return Ok(turned);
        }
        let mut values = vec![0f32; self.input * self.out];
        for column in 0..self.out {
            let row = self.row(column);
            row.iter().zip(values.chunks_exact_mut(self.out)).for_each(|(v, line)| line[column] = *v);
        }
        let kept = match self.kept {
            // Other blocks would be rounded anew.
            Kept::Blocks(_) => Kept::F32,
            exact => exact,
        };
        let turned = Self::of_values(&values, self.out, self.input, None, kept)?;
        Ok(self.turned.get_or_init(|| Box::new(turned)))
    }

    /// Inputs and outputs.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.input, self.out)
    }

    /// (rows, in) to (rows, out).
    fn product(&self, x: &[f32]) -> Vec<f32> {
        match self.kept {
            Kept::Bf16 if self.rounds => self.rounded_product::<Bf16>(x),
            Kept::Blocks(block) if self.rounds => with_block!(block, F => self.rounded_product::<F>(x)),
            kept => with_format!(kept, F => {
                let rows = Exact::<F>::new(self.units::<F>(), x, self.input);
                by_tiles(&rows, x.len() / self.input.max(1), self.out, self.bias.as_deref())
            }),
        }
    }

    fn rounded_product<F: BrainKernel>(&self, x: &[f32]) -> Vec<f32> {
        let rows = InBrain::<F>::new(self.units::<F>(), x, self.input);
        by_tiles(&rows, x.len() / self.input.max(1), self.out, self.bias.as_deref())
    }
}

/// Units of a matrix.
fn units<F: Format>(input: usize, out: usize) -> usize {
    out.div_ceil(LANES) * input.div_ceil(F::INPUTS)
}

/// Fills the units of a matrix (out, in); outputs that fill the last panel up are zero.
fn rounded<F: Rounding, E: Send>(
    input: usize,
    out: usize,
    place: &mut [u8],
    rows: impl Fn(usize, &mut [f32]) -> std::result::Result<(), E> + Sync,
) -> std::result::Result<(), E> {
    let units: &mut [F::Unit] = bytemuck::cast_slice_mut(place);
    let depth = input.div_ceil(F::INPUTS).max(1);
    let space = || (vec![0f32; LANES * input], vec![[0f32; LANES]; F::INPUTS]);
    units.par_chunks_mut(depth).enumerate().try_for_each_init(space, |(values, lines), (panel, units)| {
        let count = LANES.min(out - panel * LANES);
        values.fill(0.0);
        rows(panel * LANES, &mut values[..count * input])?;
        for (at, unit) in units.iter_mut().enumerate() {
            for (line, place) in lines.iter_mut().zip(at * F::INPUTS..) {
                *line = if place < input {
                    std::array::from_fn(|lane| values[lane * input + place])
                } else {
                    [0.0; LANES]
                };
            }
            *unit = F::pack(lines);
        }
        Ok(())
    })
}

/// Fills the units of a matrix (out, in) from the blocks of its rows; outputs that fill the last panel up are zero.
fn stored<F: Storable, E: Send>(
    input: usize,
    out: usize,
    units: &mut [F::Unit],
    rows: impl Fn(usize, &mut [u8]) -> std::result::Result<(), E> + Sync,
) -> std::result::Result<(), E> {
    let depth = input / F::INPUTS;
    let space = || vec![0u8; LANES * depth * F::BYTES];
    units.par_chunks_mut(depth.max(1)).enumerate().try_for_each_init(space, |space, (panel, units)| {
        let lines = &mut space[..LANES.min(out - panel * LANES) * depth * F::BYTES];
        rows(panel * LANES, lines)?;
        let mut lanes = Vec::with_capacity(LANES);
        for (at, unit) in units.iter_mut().enumerate() {
            lanes.clear();
            lanes.extend(lines.chunks_exact(depth * F::BYTES).map(|line| &line[at * F::BYTES..][..F::BYTES]));
            *unit = F::gather(&lanes);
        }
        Ok(())
    })
}

impl CustomOp1 for Packed {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let wrong = || Error::Msg("a packed layer takes contiguous f32 rows of its width".into());
        let (CpuStorage::F32(values), Some((from, to))) = (storage, layout.contiguous_offsets()) else {
            return Err(wrong());
        };
        match layout.dims() {
            [rows, width] if *width == self.input => {
                let y = self.product(&values[from..to]);
                Ok((CpuStorage::F32(y), Shape::from((*rows, self.out))))
            }
            _ => Err(wrong()),
        }
    }
}

/// A packed layer whose gradient is wanted.
pub(crate) struct Differentiable(pub(crate) Arc<Packed>);

impl CustomOp1 for Differentiable {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(storage, layout)
    }

    /// (rows, out) to (rows, in): the gradient times the weights as they are kept.
    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(self.0.turned()?)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn products_equal_plain_sums(rows in 1usize..130, input in prop_oneof![1usize..40, (1usize..40).prop_map(|n| 32 * n)], out in 1usize..70, biased: bool) {
            let value = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 504.5 - 1.0;
            let x: Vec<f32> = (0..rows * input).map(value).collect();
            let w: Vec<f32> = (0..out * input).map(|i| value(i + 7)).collect();
            let bias: Option<Vec<f32>> = biased.then(|| (0..out).map(value).collect());
            let quantised = [Kept::Blocks(Block::Q8_0), Kept::Blocks(Block::Q4_0)];
            for kept in [Kept::F32, Kept::Bf16, Kept::F16].into_iter().chain(quantised) {
                let kept = kept.fitting(input, Dtype::F32);
                let packed = Packed::of_values(&w, input, out, bias.clone(), kept).unwrap();
                let rounded: Vec<f32> = (0..out).flat_map(|i| packed.row(i)).collect();
                if kept == Kept::F32 {
                    prop_assert_eq!(&rounded, &w);
                }
                prop_assert!(equals_plain_sums(&packed, &x, &rounded, bias.as_deref()));
                let packed = packed.rounding(true);
                let x: Vec<f32> = match kept {
                    Kept::F32 | Kept::F16 => x.clone(),
                    Kept::Bf16 | Kept::Blocks(_) => x.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect(),
                };
                prop_assert!(equals_plain_sums(&packed, &x, &rounded, bias.as_deref()));
            }
        }

        /// A row gives the same alone and among others, to the bit, and rounding it before changes nothing.
        #[test]
        fn rounded_rows_do_not_depend_on_each_other(rows in 2usize..40, out in 1usize..70, units in 1usize..12) {
            let input = 32 * units;
            let value = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 504.5 - 1.0;
            let w: Vec<f32> = (0..out * input).map(|i| value(i + 7)).collect();
            let x: Vec<f32> = (0..rows * input).map(value).collect();
            for kept in [Kept::Bf16, Kept::Blocks(Block::Q8_0), Kept::Blocks(Block::Q4_0)] {
                let packed = Packed::of_values(&w, input, out, None, kept).unwrap().rounding(true);
                let all = packed.product(&x);
                let alone: Vec<f32> = x.chunks(input).flat_map(|row| packed.product(row)).collect();
                prop_assert_eq!(&all, &alone);
                let before: Vec<f32> = x.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect();
                prop_assert_eq!(&all, &packed.product(&before));
            }
        }

        #[test]
        fn stored_blocks_stay_as_they_are(rows in 1usize..40, blocks in 1usize..4, out in 1usize..40, seed: u8) {
            for block in Block::ALL {
                let input = blocks * block.inputs();
                let byte = |i: usize| ((i * 2_654_435_761 + usize::from(seed)) >> 5) as u8;
                let mut file: Vec<u8> = (0..out * blocks * block.bytes()).map(byte).collect();
                // Scales of ordinary size: the upper bytes of all half-precision numbers.
                for at in file.chunks_exact_mut(block.bytes()) {
                    let halves: &[usize] = match block {
                        Block::Q4K => &[1, 3],
                        Block::Q6K => &[209],
                        _ => &[1],
                    };
                    halves.iter().for_each(|half| at[*half] = at[*half] & 0x83 | 0x20);
                }
                let mut weights = vec![0f32; out * input];
                block.widen(&file, &mut weights);
                let packed = Packed::of_blocks::<Error>(input, out, None, block, |row, lines| {
                    lines.copy_from_slice(&file[row * blocks * block.bytes()..][..lines.len()]);
                    Ok(())
                })
                .unwrap();
                let same: Vec<f32> = (0..out).flat_map(|i| packed.row(i)).collect();
                prop_assert_eq!(&same, &weights);
                let x: Vec<f32> = (0..rows * input).map(|i| f32::from(byte(i * 7)) / 128.0 - 1.0).collect();
                prop_assert!(equals_plain_sums(&packed, &x, &weights, None));
                let (packed, x) = (packed.rounding(true), x.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect::<Vec<_>>());
                prop_assert!(equals_plain_sums(&packed, &x, &weights, None));
            }
        }
    }

    fn equals_plain_sums(packed: &Packed, x: &[f32], weights: &[f32], bias: Option<&[f32]>) -> bool {
        let (input, out) = packed.shape();
        let y = packed.product(x);
        y.iter().enumerate().all(|(i, y)| {
            let (r, o) = (i / out, i % out);
            let pairs = x[r * input..][..input].iter().zip(&weights[o * input..][..input]);
            let products = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b));
            let (sum, size) = products.fold((0.0, 0.0), |(sum, size), v| (sum + v, size + v.abs()));
            let want = sum + bias.map_or(0.0, |b| f64::from(b[o]));
            (f64::from(*y) - want).abs() < 1e-5 * (1.0 + size)
        })
    }
}
