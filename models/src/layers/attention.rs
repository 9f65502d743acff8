//! Exact attention of packed rows to shared prefixes and to their own tokens, as far as each sees.
//!
//! The rows of a group fold into the query dimension, so that a prefix is read once for all of them;
//! one softmax runs over prefix and own columns together. Queries go in chunks, so that the scores
//! of a long prompt need little memory.

use super::fused::softmax;
use super::kv::Group;
use super::product::{most_scores, product};
use super::sight::Sight;
use candle_core::{D, DType, Device, Result, Tensor};

/// Most tokens of a row whose queries are taken at a time where none sees beyond itself: less is computed that is hidden, in
/// more steps.
fn most_queries(device: &Device) -> usize {
    if device.is_cpu() { 128 } else { 1024 }
}

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
    // A picture may reach beyond the part at hand.
    let pictures = heads.sight.pictures && group.pictures.iter().any(|p| !p.is_empty());
    let alone = group.one_by_one && q.device().is_cpu();
    let usual = if alone { 1 } else { most_queries(q.device()) };
    let most = if pictures { step } else { usual };
    let chunk = (most_scores(q.device()) / wide.max(1)).min(most).clamp(1, step);
    let mut outs = Vec::new();
    for from in (0..step).step_by(chunk) {
        let t = chunk.min(step - from);
        let columns = before + if pictures { step } else { from + t };
        let part = q.narrow(2, from, t)?.contiguous()?;
        let folded = part.reshape((kv, rows * t * per_kv, d))?;
        let by_row = part.reshape((kv, rows, t * per_kv, d))?;
        let mut scores = Vec::with_capacity(group.prefix.len() + 1);
        for piece in &group.prefix {
            let keys = piece.segment.layers[layer].0.narrow(1, 0, piece.tokens)?;
            let s = product(&folded, &keys.transpose(1, 2)?)?;
            scores.push(s.reshape((kv, rows, t * per_kv, piece.tokens))?);
        }
        let own = product(&by_row, &keys.narrow(2, 0, columns)?.transpose(2, 3)?)?;
        let hidden = mask(group, heads.sight, [from, t, columns], own.dtype(), own.device())?;
        let weights = softmax(joined(scores, own)?, hidden.as_ref())?;
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

/// Scores of prefix and own columns side by side.
fn joined(mut prefix: Vec<Tensor>, own: Tensor) -> Result<Tensor> {
    if prefix.is_empty() {
        return Ok(own);
    }
    prefix.push(own);
    Tensor::cat(&prefix, D::Minus1)
}

/// What a part of a call, tokens `from..from + t` of it, sees of the last columns. Layers with the same sight share it.
fn mask(
    group: &mut Group,
    sight: Sight,
    [from, t, columns]: [usize; 3],
    dtype: DType,
    device: &Device,
) -> Result<Option<Tensor>> {
    let key = (sight, from, t);
    if let Some(known) = group.masks.get(&key) {
        return Ok(known.clone());
    }
    let made = match Seen::of(group, sight) {
        Seen::All => None,
        // What lies behind is not among the columns.
        Seen::Before { .. } if t == 1 => None,
        Seen::Before { before } => {
            let mut values = vec![0f32; t * columns];
            for (line, own) in values.chunks_exact_mut(columns.max(1)).zip(before + from + 1..) {
                line[own.min(columns)..].fill(f32::NEG_INFINITY);
            }
            Some(Tensor::from_vec(values, (1, 1, t, columns), device)?.to_dtype(dtype)?)
        }
        Seen::ByRow { windowed, rows } => {
            let skip = if windowed { 0 } else { group.shared() };
            let wide = group.shared() + columns - skip;
            let mut values = Vec::with_capacity(rows.len() * t * wide);
            for row in &rows {
                (from..from + t).for_each(|i| values.extend(row.line(i, columns).skip(skip)));
            }
            Some(Tensor::from_vec(values, (1, rows.len(), t, wide), device)?.to_dtype(dtype)?)
        }
    };
    group.masks.insert(key, made.clone());
    Ok(made)
}

fn hide(hidden: bool) -> f32 {
    if hidden { f32::NEG_INFINITY } else { 0.0 }
}

/// Which columns the tokens of a call see.
enum Seen {
    /// All of them: one token a row, no hole, no window.
    All,
    /// Those before, alike in every row: no hole, no window, no picture. So many own columns are in use.
    Before { before: usize },
    /// Whatever the rows hold; part of the prefix may be outside a window.
    ByRow { windowed: bool, rows: Vec<SeenByRow> },
}

/// One row of a group.
struct SeenByRow {
    /// Tokens of the prefix, and after it before the call.
    shared: usize,
    length: usize,
    /// Tokens of the call.
    tokens: usize,
    /// Token in each column before the call.
    held: Vec<Option<usize>>,
    /// Pictures of the call: first token and number.
    pictures: Vec<(usize, usize)>,
    window: usize,
}

impl Seen {
    fn of(group: &Group, sight: Sight) -> Self {
        let (shared, before, step) = (group.shared(), group.columns, group.step());
        let pictures = sight.pictures && group.pictures.iter().any(|p| !p.is_empty());
        let longest = shared + (0..group.rows()).map(|r| group.length(r)).max().unwrap_or(0) + step;
        let window = sight.window.filter(|w| *w < longest);
        if window.is_none() && !pictures && !group.is_ragged() {
            return if step == 1 { Self::All } else { Self::Before { before } };
        }
        let row = |r: usize| SeenByRow {
            shared,
            length: group.length(r),
            tokens: group.tokens[r],
            held: group.held(r),
            pictures: if pictures { group.pictures[r].clone() } else { Vec::new() },
            window: window.unwrap_or(usize::MAX),
        };
        Self::ByRow { windowed: window.is_some(), rows: (0..group.rows()).map(row).collect() }
    }
}

impl SeenByRow {
    /// What token `i` of the call sees of the prefix and of `columns` own columns.
    fn line(&self, i: usize, columns: usize) -> impl Iterator<Item = f32> + '_ {
        // Rows are filled up with copies of their last token.
        let token = i.min(self.tokens.saturating_sub(1));
        let own = self.shared + self.length + token;
        // A window only ever hides what lies before, and it does so within a picture too.
        let near = move |other: usize| other > own || own - other < self.window;
        let past = move |other: usize| other <= own && near(other);
        let inside = |n: usize, first: usize, count: usize| n >= first && n < first + count;
        let together = move |other: usize| {
            self.pictures.iter().any(|(f, n)| inside(token, *f, *n) && inside(other, *f, *n))
        };
        let prefix = (0..self.shared).map(move |c| hide(!past(c)));
        let held = self.held.iter().map(move |h| hide(!h.is_some_and(|h| past(self.shared + h))));
        let first = self.shared + self.length;
        let call = (0..columns - self.held.len()).map(move |other| {
            let seen = past(first + other) || (together(other) && near(first + other));
            hide(!(other < self.tokens && seen))
        });
        prefix.chain(held).chain(call)
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

/// Attention within runs of `length` tokens, to all of a run or, where it is `causal`, to those before: `q`, `k`, `v`
/// (tokens, heads, dim), the number of tokens a multiple of `length`; returns (tokens, heads × dim).
pub(crate) fn within_runs(q: &Tensor, k: &Tensor, v: &Tensor, length: usize, causal: bool) -> Result<Tensor> {
    let (tokens, heads, d) = q.dims3()?;
    let runs = tokens / length;
    let by_head =
        |t: &Tensor| -> Result<Tensor> { t.reshape((runs, length, heads, d))?.transpose(1, 2)?.contiguous() };
    let (q, k, v) = (by_head(&(q * (d as f64).powf(-0.5))?)?, by_head(k)?, by_head(v)?);
    let k = k.transpose(2, 3)?;
    let chunk = (most_scores(q.device()) / (runs * heads * length).max(1)).clamp(1, length);
    let mut outs = Vec::new();
    for from in (0..length).step_by(chunk) {
        let t = chunk.min(length - from);
        let scores = product(&q.narrow(2, from, t)?, &k)?;
        let hidden = || -> Result<Tensor> {
            let values: Vec<f32> =
                (from..from + t).flat_map(|i| (0..length).map(move |c| hide(c > i))).collect();
            Tensor::from_vec(values, (1, 1, t, length), scores.device())?.to_dtype(scores.dtype())
        };
        let hidden = if causal { Some(hidden()?) } else { None };
        outs.push(product(&softmax(scores, hidden.as_ref())?, &v)?);
    }
    let out = if outs.len() == 1 { outs.swap_remove(0) } else { Tensor::cat(&outs, 2)? };
    out.transpose(1, 2)?.contiguous()?.reshape((tokens, heads * d))
}
