//! Exact attention of packed rows to shared prefixes and to their own tokens, as far as each sees.
//!
//! The rows of a group fold into the query dimension, so that a prefix is read once for all of them;
//! one softmax runs over prefix and own columns together. Queries go in chunks, so that the scores
//! of a long prompt need little memory.

use super::kv::Group;
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

/// Most scores held at a time (f32: 32 MiB).
pub(crate) const SCORES: usize = 8 << 20;

/// Heads of a text layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) dim: usize,
    /// Multiplies scores.
    pub(crate) scale: f64,
    /// What a token sees.
    pub(crate) sight: Sight,
}

/// What a token sees besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The last so many tokens, itself included; all before it when `None`.
    pub(crate) window: Option<usize>,
    /// The other tokens of its picture too, later ones and those outside the window included.
    pub(crate) pictures: bool,
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
    let shared = group.shared();
    let wide = heads.queries * rows * (shared + before + step);
    let chunk = (SCORES / wide.max(1)).clamp(1, step);
    let seen = Seen::of(group, heads.sight);
    let mut outs = Vec::new();
    for from in (0..step).step_by(chunk) {
        let t = chunk.min(step - from);
        let columns = seen.columns(from + t);
        let part = q.narrow(2, from, t)?.contiguous()?;
        let folded = part.reshape((kv, rows * t * per_kv, d))?;
        let by_row = part.reshape((kv, rows, t * per_kv, d))?;
        let mut scores = Vec::with_capacity(group.prefix.len() + 1);
        for piece in &group.prefix {
            let keys = piece.segment.layers[layer].0.narrow(1, 0, piece.tokens)?;
            let s = product(&folded, &keys.transpose(1, 2)?)?;
            scores.push(s.reshape((kv, rows, t * per_kv, piece.tokens))?);
        }
        scores.push(product(&by_row, &keys.narrow(2, 0, columns)?.transpose(2, 3)?)?);
        let scores = Tensor::cat(&scores, D::Minus1)?;
        let scores = match seen.mask(from, t, per_kv, columns, q.device())? {
            Some(mask) => scores.broadcast_add(&mask.to_dtype(scores.dtype())?)?,
            None => scores,
        };
        let weights = softmax_last_dim(&scores)?;
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

/// Which columns the tokens of a call see: prefix first, then the group's own.
enum Seen {
    /// All of them: one token a row, no hole, no window.
    All { columns: usize },
    /// Those before, alike in every row: no hole, no window, no picture.
    Before { shared: usize, before: usize },
    /// Whatever the rows hold.
    ByRow { shared: usize, before: usize, step: usize, window: usize, rows: Vec<SeenByRow> },
}

/// One row of a group.
struct SeenByRow {
    /// Tokens before the call, without the prefix.
    length: usize,
    /// Tokens of the call.
    tokens: usize,
    /// Token in each column before the call.
    held: Vec<Option<usize>>,
    /// Pictures of the call: first token and number.
    pictures: Vec<(usize, usize)>,
}

impl Seen {
    fn of(group: &Group, sight: Sight) -> Self {
        let (shared, before, step) = (group.shared(), group.columns, group.step());
        let pictures = sight.pictures && group.pictures.iter().any(|p| !p.is_empty());
        let longest = shared + (0..group.rows()).map(|r| group.length(r)).max().unwrap_or(0) + step;
        let window = sight.window.filter(|w| *w < longest);
        if window.is_none() && !pictures && !group.is_ragged() {
            return match step {
                1 => Self::All { columns: before + 1 },
                _ => Self::Before { shared, before },
            };
        }
        let row = |r: usize| SeenByRow {
            length: group.length(r),
            tokens: group.tokens[r],
            held: group.held(r),
            pictures: if pictures { group.pictures[r].clone() } else { Vec::new() },
        };
        let rows = (0..group.rows()).map(row).collect();
        Self::ByRow { shared, before, step, window: window.unwrap_or(usize::MAX), rows }
    }

    /// Own columns that the first `end` tokens of the call may see.
    fn columns(&self, end: usize) -> usize {
        match self {
            Self::All { columns } => *columns,
            Self::Before { before, .. } => before + end,
            // A picture may reach beyond the part at hand.
            Self::ByRow { before, step, rows, .. } => {
                before + if rows.iter().any(|r| !r.pictures.is_empty()) { *step } else { end }
            }
        }
    }

    /// 0 where a token sees a column, minus infinity elsewhere, for tokens `from..from + t` of the call, each
    /// `per_kv` times: (1, 1 or rows, t × per_kv, prefix and own columns); `None` when all is seen.
    fn mask(
        &self,
        from: usize,
        t: usize,
        per_kv: usize,
        columns: usize,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        let hide = |hidden: bool| if hidden { f32::NEG_INFINITY } else { 0.0 };
        match self {
            Self::All { .. } => Ok(None),
            Self::Before { shared, before, .. } => {
                let wide = shared + columns;
                let line = |i: usize| (0..wide).map(move |c| hide(c > shared + before + from + i));
                let values: Vec<f32> = (0..t * per_kv).flat_map(|i| line(i / per_kv)).collect();
                Tensor::from_vec(values, (1, 1, t * per_kv, wide), device).map(Some)
            }
            Self::ByRow { shared, before, window, rows, .. } => {
                let wide = shared + columns;
                let mut values = Vec::with_capacity(rows.len() * t * per_kv * wide);
                for row in rows {
                    for i in 0..t {
                        // Rows are filled up with copies of their last token.
                        let token = (from + i).min(row.tokens.saturating_sub(1));
                        let own = shared + row.length + token;
                        let near = |other: usize| other <= own && own - other < *window;
                        let mut line: Vec<f32> = (0..*shared).map(|c| hide(!near(c))).collect();
                        line.extend(row.held.iter().map(|h| hide(!h.is_some_and(|h| near(shared + h)))));
                        let together = |other: usize| {
                            let inside =
                                |n: usize, first: usize, count: usize| n >= first && n < first + count;
                            row.pictures.iter().any(|(f, n)| inside(token, *f, *n) && inside(other, *f, *n))
                        };
                        line.extend((0..columns - before).map(|other| {
                            let real = other < row.tokens;
                            hide(!(real && (near(shared + row.length + other) || together(other))))
                        }));
                        (0..per_kv).for_each(|_| values.extend_from_slice(&line));
                    }
                }
                Tensor::from_vec(values, (1, rows.len(), t * per_kv, wide), device).map(Some)
            }
        }
    }
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
