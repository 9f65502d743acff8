//! Matrix products with weights of the checkpoint.

use super::packed::{Differentiable, Kept, Packed};
use super::product::product;
use crate::checkpoint::weights::{Dtype, Stored, StoredAs, Weights};
use crate::error::LoadError;
use candle_core::{Device, Result, Tensor};
use half::{bf16, f16};
use rayon::prelude::*;
use std::sync::Arc;

/// `x Wᵀ + b` with W of shape (out, in).
#[derive(Debug, Clone)]
pub(crate) enum Linear {
    /// On the processor.
    Packed(Arc<Packed>),
    /// On the processor, outputs side by side of matrices that are kept differently.
    Beside(Arc<[Packed]>),
    /// On a device with its own product, in the number type of activations.
    Plain { weight: Tensor, bias: Option<Tensor> },
}

impl Linear {
    /// Reads `name.weight` and, when `bias`, `name.bias`.
    pub(crate) fn load(
        w: &Weights,
        name: &str,
        input: usize,
        out: usize,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        Self::load_stacked(w, &[(name, out)], input, bias)
    }

    /// Several layers on the same input as one product, their outputs side by side.
    pub(crate) fn load_stacked(
        w: &Weights,
        parts: &[(&str, usize)],
        input: usize,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        Self::load_kept(w, parts, input, bias, w.numbers.weights.into())
    }

    /// [`Linear::load_stacked`], on the processor kept so.
    pub(crate) fn load_kept(
        w: &Weights,
        parts: &[(&str, usize)],
        input: usize,
        bias: bool,
        kept: Kept,
    ) -> std::result::Result<Self, LoadError> {
        let mut biases = Vec::new();
        if bias {
            for (name, out) in parts {
                biases.extend(w.f32(&format!("{name}.bias"), &[*out])?);
            }
        }
        let bias = bias.then_some(biases);
        let total = parts.iter().map(|(_, out)| out).sum();
        let weight =
            |(name, out): &(&str, usize)| Ok((w.stored(&format!("{name}.weight"), &[*out, input])?, *out));
        let stored = parts.iter().map(weight).collect::<std::result::Result<Vec<_>, LoadError>>()?;
        if w.numbers.as_stored {
            return Self::as_stored(&stored, input, bias.as_deref(), w.numbers.rounds);
        }
        let read = |first: usize, out: &mut [f32]| {
            by_part(&stored, input, first, out, |part, row, lines| {
                part.read(row * input, lines, &mut Vec::new())
            })
        };
        if w.numbers.packs {
            let kept = kept.fitting(input, w.numbers.weights);
            let packed = Packed::new(input, total, bias, kept, read)?;
            return Ok(Self::Packed(Arc::new(packed.rounding(w.numbers.rounds))));
        }
        let bias = bias.map(|b| w.numbers.place(b, &[total][..]).map_err(LoadError::Compute)).transpose()?;
        let (shape, cpu) = ((total, input), &Device::Cpu);
        let weight = match w.numbers.weights {
            Dtype::F32 => Tensor::from_vec(rounded(input, total, read, |v| v)?, shape, cpu),
            Dtype::F16 => Tensor::from_vec(rounded(input, total, read, f16::from_f32)?, shape, cpu),
            Dtype::Bf16 => Tensor::from_vec(rounded(input, total, read, bf16::from_f32)?, shape, cpu),
        }?;
        Ok(Self::Plain { weight: weight.to_device(&w.numbers.device)?, bias })
    }

    /// Every matrix in the number type of its file; those that follow each other in one type are one product.
    fn as_stored(
        parts: &[(Stored<'_>, usize)],
        input: usize,
        bias: Option<&[f32]>,
        rounds: bool,
    ) -> std::result::Result<Self, LoadError> {
        let (mut all, mut at) = (Vec::new(), 0);
        for group in parts.chunk_by(|a, b| a.0.stored_as() == b.0.stored_as()) {
            let out: usize = group.iter().map(|(_, out)| out).sum();
            let own = bias.map(|bias| bias[at..at + out].to_vec());
            at += out;
            let packed = match group[0].0.stored_as() {
                StoredAs::Blocks(block) => {
                    let width = input / block.inputs() * block.bytes();
                    Packed::of_blocks(input, out, own, block, |first, lines| {
                        by_part(group, width, first, lines, |part, row, lines| {
                            part.read_stored(row * input, lines.len() / block.bytes() * block.inputs(), lines)
                        })
                    })?
                }
                StoredAs::Numbers(dtype) => Packed::new(input, out, own, dtype.into(), |first, lines| {
                    by_part(group, input, first, lines, |part, row, lines| {
                        part.read(row * input, lines, &mut Vec::new())
                    })
                })?,
            };
            all.push(packed.rounding(rounds));
        }
        if all.len() == 1
            && let Some(only) = all.pop()
        {
            return Ok(Self::Packed(Arc::new(only)));
        }
        Ok(Self::Beside(all.into()))
    }

    /// A layer from values in (out, in) order.
    pub(crate) fn from_values(
        w: &Weights,
        values: Vec<f32>,
        bias: Option<Vec<f32>>,
        input: usize,
        out: usize,
    ) -> std::result::Result<Self, LoadError> {
        let numbers = &w.numbers;
        if numbers.packs {
            let packed = Packed::of_values(&values, input, out, bias, numbers.weights.into())?;
            return Ok(Self::Packed(Arc::new(packed.rounding(numbers.rounds))));
        }
        let place =
            |values: Vec<f32>, shape: &[usize]| numbers.place(values, shape).map_err(LoadError::Compute);
        let bias = bias.map(|b| place(b, &[out])).transpose()?;
        Ok(Self::Plain { weight: place(values, &[out, input])?, bias })
    }

    /// (n, in) to (n, out).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Packed(packed) if x.track_op() => {
                x.contiguous()?.apply_op1(Differentiable(Arc::clone(packed)))
            }
            Self::Packed(packed) => x.contiguous()?.apply_op1_no_bwd(packed.as_ref()),
            Self::Beside(parts) => {
                let x = x.contiguous()?;
                let outs = parts.iter().map(|part| x.apply_op1_no_bwd(part)).collect::<Result<Vec<_>>>()?;
                Tensor::cat(&outs, 1)
            }
            Self::Plain { weight, bias } => {
                let y = product(x, &weight.t()?)?;
                bias.as_ref().map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
            }
        }
    }

    /// Rows of W (an embedding table that is also the output head).
    pub(crate) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        match self {
            Self::Packed(packed) => {
                let (width, rows) = packed.shape();
                if let Some(id) = ids.iter().find(|id| **id as usize >= rows) {
                    return Err(candle_core::Error::Msg(format!("token {id} has no embedding")));
                }
                let values: Vec<f32> = ids.iter().flat_map(|id| packed.row(*id as usize)).collect();
                Tensor::from_vec(values, (ids.len(), width), &Device::Cpu)
            }
            Self::Beside(_) => Err(candle_core::Error::Msg("a table is one matrix".into())),
            Self::Plain { weight, .. } => weight.index_select(&Tensor::new(ids, weight.device())?, 0),
        }
    }
}

/// The values of a matrix (out, in), read and rounded by all cores; `read` fills whole rows from a row on.
fn rounded<T: Copy + Default + Send>(
    input: usize,
    out: usize,
    read: impl Fn(usize, &mut [f32]) -> std::result::Result<(), LoadError> + Sync,
    round: impl Fn(f32) -> T + Sync,
) -> std::result::Result<Vec<T>, LoadError> {
    /// Values that a task reads.
    const TASK: usize = 1 << 18;
    let width = input.max(1);
    let rows = (TASK / width).max(1);
    let mut all = vec![T::default(); input * out];
    all.par_chunks_mut(rows * width).enumerate().try_for_each_init(Vec::new, |space, (n, part)| {
        space.resize(part.len(), 0f32);
        read(n * rows, space)?;
        part.iter_mut().zip(space.iter()).for_each(|(to, value)| *to = round(*value));
        Ok::<(), LoadError>(())
    })?;
    Ok(all)
}

/// Fills lines, `width` values each, with the rows of all parts from row `first` on; `read` does so for rows of one part.
fn by_part<T>(
    parts: &[(Stored<'_>, usize)],
    width: usize,
    first: usize,
    mut lines: &mut [T],
    read: impl Fn(&Stored<'_>, usize, &mut [T]) -> std::result::Result<(), LoadError>,
) -> std::result::Result<(), LoadError> {
    let (mut at, mut row) = (0, first);
    for (part, rows) in parts {
        let count = (at + rows).saturating_sub(row).min(lines.len() / width.max(1));
        let (own, rest) = std::mem::take(&mut lines).split_at_mut(count * width);
        if count > 0 {
            read(part, row - at, own)?;
        }
        (lines, row, at) = (rest, row + count, at + rows);
    }
    Ok(())
}

/// Rows that go through an MLP at a time; bounds the memory of its wide middle.
pub(crate) const MLP_ROWS: usize = 512;

/// Applies `f` to a limited number of rows at a time.
pub(crate) fn by_rows(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let rows = x.dim(0)?;
    if rows <= MLP_ROWS {
        return f(x);
    }
    let parts = (0..rows).step_by(MLP_ROWS).map(|at| f(&x.narrow(0, at, MLP_ROWS.min(rows - at))?));
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
}
