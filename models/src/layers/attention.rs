//! Exact attention of packed rows to shared prefixes and to their own tokens.
//!
//! The rows of a group fold into the query dimension, so that a prefix is read once for all of them;
//! one softmax runs over prefix and own columns together. Queries go in chunks, so that the scores
//! of a long prompt need little memory.

use super::kv::Group;
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

/// Most scores held at a time (f32: 32 MiB).
const SCORES: usize = 8 << 20;

/// Heads of a text layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) dim: usize,
    /// Multiplies scores.
    pub(crate) scale: f64,
}

/// A product with an operand that may be a view; CUDA wants the left one contiguous.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.device().is_cpu() { a.matmul(b) } else { a.contiguous()?.matmul(&b.contiguous()?) }
}

/// `q` (tokens, query heads, dim), `k` and `v` (tokens, kv heads, dim) of the group's rows one after
/// the other; returns (tokens, query heads × dim).
pub(crate) fn attend(
    group: &mut Group,
    layer: usize,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: Heads,
) -> Result<Tensor> {
    let (rows, step, kv, d) = (group.rows(), group.step(), heads.keys, heads.dim);
    let per_kv = heads.queries / kv;
    let padding = Padding::of(&group.tokens, q.device())?;
    let spread = |t: &Tensor, heads: usize| padding.spread(t)?.reshape((rows, step, kv, heads / kv, d));
    let q = (spread(q, heads.queries)? * heads.scale)?;
    let q = q.permute((2, 0, 1, 3, 4))?.contiguous()?;
    let own = |t: &Tensor| spread(t, kv)?.squeeze(3)?.permute((2, 0, 1, 3))?.contiguous();
    let (keys, values) = group.append(layer, &own(k)?, &own(v)?)?;

    let before = group.columns;
    let shared: usize = group.prefix.iter().map(|p| p.tokens).sum();
    let wide = heads.queries * rows * (shared + before + step);
    let chunk = (SCORES / wide.max(1)).clamp(1, step);
    let mut outs = Vec::new();
    for from in (0..step).step_by(chunk) {
        let t = chunk.min(step - from);
        let columns = before + from + t;
        let part = q.narrow(2, from, t)?.contiguous()?;
        let folded = part.reshape((kv, rows * t * per_kv, d))?;
        let by_row = part.reshape((kv, rows, t * per_kv, d))?;
        let mut scores = Vec::with_capacity(group.prefix.len() + 1);
        for piece in &group.prefix {
            let keys = piece.segment.layers[layer].0.narrow(1, 0, piece.tokens)?;
            let s = product(&folded, &keys.transpose(1, 2)?)?;
            scores.push(s.reshape((kv, rows, t * per_kv, piece.tokens))?);
        }
        let s = product(&by_row, &keys.narrow(2, 0, columns)?.transpose(2, 3)?)?;
        scores.push(match mask(group, from, t, per_kv, columns, q.device())? {
            Some(mask) => s.broadcast_add(&mask.to_dtype(s.dtype())?)?,
            None => s,
        });
        let weights = softmax_last_dim(&Tensor::cat(&scores, D::Minus1)?)?;
        let w = weights.narrow(3, shared, columns)?;
        let mut out = product(&w, &values.narrow(2, 0, columns)?)?;
        let mut at = 0;
        for piece in &group.prefix {
            let values = piece.segment.layers[layer].1.narrow(1, 0, piece.tokens)?;
            let w =
                weights.reshape((kv, rows * t * per_kv, shared + columns))?.narrow(2, at, piece.tokens)?;
            out = (out + product(&w, &values)?.reshape((kv, rows, t * per_kv, d))?)?;
            at += piece.tokens;
        }
        outs.push(out.reshape((kv, rows, t, per_kv, d))?);
    }
    let out = if outs.len() == 1 { outs.swap_remove(0) } else { Tensor::cat(&outs, 2)? };
    let out = out.permute((1, 2, 0, 3, 4))?.contiguous()?.reshape((rows * step, heads.queries * d))?;
    padding.gather(&out)
}

/// 0 where a token sees a column, minus infinity elsewhere; `None` when all is seen.
fn mask(
    group: &Group,
    from: usize,
    t: usize,
    per_kv: usize,
    columns: usize,
    device: &Device,
) -> Result<Option<Tensor>> {
    let hide = |hidden: bool| if hidden { f32::NEG_INFINITY } else { 0.0 };
    if group.step() > 1 {
        if group.columns > 0 {
            return Err(candle_core::Error::Msg("a row continues by one token at a time".into()));
        }
        let line = |i: usize| (0..columns).map(move |c| hide(c > from + i));
        let values: Vec<f32> = (0..t * per_kv).flat_map(|i| line(i / per_kv)).collect();
        return Tensor::from_vec(values, (1, 1, t * per_kv, columns), device).map(Some);
    }
    if group.columns == 0 || !group.is_ragged() {
        return Ok(None);
    }
    let line = |row: usize| (0..columns).map(move |c| hide(!group.sees(row, c)));
    let values: Vec<f32> = (0..group.rows()).flat_map(line).collect();
    Tensor::from_vec(values, (1, group.rows(), 1, columns), device).map(Some)
}

/// Between packed rows of different lengths and a padded rectangle.
enum Padding {
    /// All rows have the same length.
    None,
    Some {
        /// Packed token under each padded place; short rows repeat their last token.
        spread: Tensor,
        /// Padded place of each packed token.
        gather: Tensor,
    },
}

impl Padding {
    fn of(tokens: &[usize], device: &Device) -> Result<Self> {
        let longest = tokens.iter().copied().max().unwrap_or(0);
        if tokens.iter().all(|n| *n == longest) {
            return Ok(Self::None);
        }
        let (mut spread, mut gather, mut start) = (Vec::new(), Vec::new(), 0);
        for (row, n) in tokens.iter().enumerate() {
            spread.extend((0..longest).map(|t| (start + t.min(n - 1)) as u32));
            gather.extend((0..*n).map(|t| (row * longest + t) as u32));
            start += n;
        }
        let (spread, gather) = (Tensor::new(spread, device)?, Tensor::new(gather, device)?);
        Ok(Self::Some { spread, gather })
    }

    fn spread(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::Some { spread, .. } => x.contiguous()?.index_select(spread, 0),
        }
    }

    fn gather(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::Some { gather, .. } => x.index_select(gather, 0),
        }
    }
}

/// Attention without mask within runs of `length` tokens: `q`, `k`, `v` (tokens, heads, dim), the
/// number of tokens a multiple of `length`; returns (tokens, heads × dim).
pub(crate) fn within_runs(q: &Tensor, k: &Tensor, v: &Tensor, length: usize) -> Result<Tensor> {
    let (tokens, heads, d) = q.dims3()?;
    let runs = tokens / length;
    let by_head =
        |t: &Tensor| -> Result<Tensor> { t.reshape((runs, length, heads, d))?.transpose(1, 2)?.contiguous() };
    let (q, k, v) = (by_head(&(q * (d as f64).powf(-0.5))?)?, by_head(k)?, by_head(v)?);
    let k = k.transpose(2, 3)?;
    let chunk = (SCORES / (runs * heads * length).max(1)).clamp(1, length);
    let mut outs = Vec::new();
    for from in (0..length).step_by(chunk) {
        let part = q.narrow(2, from, chunk.min(length - from))?.contiguous()?;
        outs.push(softmax_last_dim(&part.matmul(&k)?)?.matmul(&v)?);
    }
    let out = if outs.len() == 1 { outs.swap_remove(0) } else { Tensor::cat(&outs, 2)? };
    out.transpose(1, 2)?.contiguous()?.reshape((tokens, heads * d))
}
