//! Loops that are worth fusing on the processor; other devices take the plain operations.

use super::product::{most_scores, product};
use candle_core::{
    CpuStorage, CustomOp1, CustomOp3, D, DType, Error, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result,
    Shape, Tensor,
};
use candle_nn::ops::{silu, softmax_last_dim};
use rayon::prelude::*;

/// Values that one task of an elementwise loop takes.
const TASK: usize = 1 << 14;

/// The loops have no gradient.
pub(super) fn fused(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && !x.track_op()
}

/// The values of a contiguous f32 tensor on the processor.
pub(super) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(v), Some((from, to))) => Ok(&v[from..to]),
        _ => Err(Error::Msg("contiguous f32 values are needed".into())),
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(v), Some((from, to))) => Ok(&mut v[from..to]),
        _ => Err(Error::Msg("contiguous f32 values are needed".into())),
    }
}

/// GELU with the error function, in place of a tensor that nobody else holds.
pub(crate) fn gelu(x: Tensor) -> Result<Tensor> {
    if !fused(&x) || !x.is_contiguous() {
        return x.gelu_erf();
    }
    x.inplace_op1(&Gelu)?;
    Ok(x)
}

/// GELU by its tanh approximation, in place of a tensor whose values nobody reads again.
pub(crate) fn gelu_tanh(x: Tensor) -> Result<Tensor> {
    if !fused(&x) || !x.is_contiguous() {
        return x.gelu();
    }
    x.inplace_op1(&GeluTanh)?;
    Ok(x)
}

struct Gelu;

impl InplaceOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu-erf"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let arch = pulp::Arch::new();
        let all = values_mut(storage, layout)?;
        all.par_chunks_mut(TASK).for_each(|part| arch.dispatch(GeluLoop(part)));
        Ok(())
    }
}

struct GeluTanh;

impl InplaceOp1 for GeluTanh {
    fn name(&self) -> &'static str {
        "gelu-tanh"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let arch = pulp::Arch::new();
        let all = values_mut(storage, layout)?;
        all.par_chunks_mut(TASK).for_each(|part| arch.dispatch(GeluTanhLoop(part)));
        Ok(())
    }
}

struct GeluTanhLoop<'a>(&'a mut [f32]);

impl pulp::WithSimd for GeluTanhLoop<'_> {
    type Output = ();

    /// `(1 + tanh z) / 2` is `1 / (1 + e^-2z)`, written so that the exponent is never above 0.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        const TWICE_ROOT: f32 = 1.595_769;
        for v in self.0 {
            let z = TWICE_ROOT * (*v + 0.044_715 * *v * *v * *v);
            let e = exp(-z.abs());
            *v *= if z < 0.0 { e } else { 1.0 } / (1.0 + e);
        }
    }
}

struct GeluLoop<'a>(&'a mut [f32]);

impl pulp::WithSimd for GeluLoop<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for v in self.0 {
            *v *= 0.5 + 0.5 * erf(*v * std::f32::consts::FRAC_1_SQRT_2);
        }
    }
}

/// `silu(gate) · up` of (rows, 2 n), gate and up side by side.
pub(crate) fn gated_silu(both: &Tensor) -> Result<Tensor> {
    if fused(both) {
        return both.apply_op1_no_bwd(&GatedSilu);
    }
    let wide = both.dim(1)? / 2;
    silu(&both.narrow(1, 0, wide)?)? * both.narrow(1, wide, wide)?
}

struct GatedSilu;

impl CustomOp1 for GatedSilu {
    fn name(&self) -> &'static str {
        "gated-silu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, both) = layout.shape().dims2()?;
        let (values, wide) = (values(storage, layout)?, both / 2);
        let arch = pulp::Arch::new();
        let mut out = vec![0f32; rows * wide];
        out.par_chunks_mut(wide.max(1)).zip(values.par_chunks(both.max(1))).for_each(|(out, line)| {
            let (gate, up) = line.split_at(wide);
            arch.dispatch(GateRow { out, gate, up });
        });
        Ok((CpuStorage::F32(out), Shape::from((rows, wide))))
    }
}

struct GateRow<'a> {
    out: &'a mut [f32],
    gate: &'a [f32],
    up: &'a [f32],
}

impl pulp::WithSimd for GateRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for ((o, g), u) in self.out.iter_mut().zip(self.gate).zip(self.up) {
            // The exponent is never above 0.
            let e = exp(-g.abs());
            *o = g * u * (if *g < 0.0 { e } else { 1.0 } / (1.0 + e));
        }
    }
}

/// The error function to a few units in the last place: a quotient of polynomials on ±4, where f32
/// reaches ±1 (the approximation of Eigen and XLA).
#[inline(always)]
fn erf(x: f32) -> f32 {
    const ABOVE: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506e-5,
        -7.349_906e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BELOW: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let above = ABOVE.iter().skip(1).fold(ABOVE[0], |sum, c| sum.mul_add(square, *c));
    let below = BELOW.iter().skip(1).fold(BELOW[0], |sum, c| sum.mul_add(square, *c));
    x * above / below
}

/// eˣ for x ≤ 0 to a few units in the last place (Cephes' polynomial); 0 below -87.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest whole number in the low bits.
    const WHOLE: f32 = 12_582_912.0;
    const LEAST: f32 = -87.0;
    // What is not a number stays so.
    let is_less = x < LEAST;
    let x = if is_less { LEAST } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, WHOLE);
    let n = shifted - WHOLE;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let mut p = 1.987_569_1e-4f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = p.mul_add(r, c);
    }
    let y = p.mul_add(r * r, r) + 1.0;
    let y = y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1f32.to_bits()));
    if is_less { 0.0 } else { y }
}

/// Softmax over the last dimension, in place of scores that nobody else holds.
///
/// `added` `(1, 1 or rows, tokens, columns)` is added to the last columns of `scores` (heads, rows, queries, columns)
/// before: what tokens do not see, as minus infinity, or a bias. As many neighbouring queries as there are for a token share a line of it.
pub(crate) fn softmax(scores: Tensor, added: Option<&Tensor>) -> Result<Tensor> {
    if fused(&scores) && scores.is_contiguous() {
        match added {
            Some(added) => scores.inplace_op2(added, &Softmax)?,
            None => scores.inplace_op1(&Softmax)?,
        }
        return Ok(scores);
    }
    match added {
        Some(added) => softmax_of_sum(&scores, added),
        None => plain_softmax(&scores),
    }
}

/// By the operations that every device has; scores without a gradient are overwritten.
fn softmax_of_sum(scores: &Tensor, added: &Tensor) -> Result<Tensor> {
    let (heads, rows, queries, all) = scores.dims4()?;
    let (tokens, wide) = (added.dim(2)?.max(1), added.dim(3)?);
    let by_token = scores.reshape((heads, rows, tokens, queries / tokens, all))?;
    let last = by_token.narrow(4, all - wide, wide)?.broadcast_add(&added.unsqueeze(3)?)?;
    let sum = if wide == all {
        last
    } else if scores.track_op() || !scores.is_contiguous() {
        Tensor::cat(&[by_token.narrow(4, 0, all - wide)?, last], 4)?
    } else {
        by_token.slice_set(&last, 4, all - wide)?;
        by_token
    };
    plain_softmax(&sum)?.reshape((heads, rows, queries, all))
}

fn plain_softmax(scores: &Tensor) -> Result<Tensor> {
    if scores.track_op() { candle_nn::ops::softmax(scores, D::Minus1) } else { softmax_last_dim(scores) }
}

struct Softmax;

impl Softmax {
    /// Lines of `columns` scores; `added` gives what is added to the last of each by its number.
    fn lines<'a>(scores: &mut [f32], columns: usize, added: impl Fn(usize) -> &'a [f32] + Sync) {
        let arch = pulp::Arch::new();
        let lines = scores.par_chunks_exact_mut(columns.max(1)).enumerate();
        lines.with_min_len(TASK.div_ceil(columns.max(1))).for_each(|(n, line)| {
            arch.dispatch(SoftmaxLine { line, added: added(n) });
        });
    }
}

impl InplaceOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, scores: &mut CpuStorage, at: &Layout) -> Result<()> {
        let columns = at.dims().last().copied().unwrap_or_default();
        Self::lines(values_mut(scores, at)?, columns, |_| &[]);
        Ok(())
    }
}

impl InplaceOp2 for Softmax {
    fn name(&self) -> &'static str {
        "softmax-of-sum"
    }

    fn cpu_fwd(
        &self,
        scores: &mut CpuStorage,
        at: &Layout,
        added: &CpuStorage,
        added_at: &Layout,
    ) -> Result<()> {
        let (_, rows, queries, columns) = at.shape().dims4()?;
        let (one, own_rows, tokens, wide) = added_at.shape().dims4()?;
        let fits = (own_rows == 1 || own_rows == rows) && queries.is_multiple_of(tokens);
        if one != 1 || !fits || wide > columns {
            return Err(Error::Msg("what is added does not fit the scores".into()));
        }
        let added = values(added, added_at)?;
        let shared = (queries / tokens.max(1)).max(1);
        Self::lines(values_mut(scores, at)?, columns, |n| {
            let (row, token) = (n / queries % rows, n % queries / shared);
            let own = if own_rows == 1 { 0 } else { row } * tokens + token;
            &added[own * wide..(own + 1) * wide]
        });
        Ok(())
    }
}

struct SoftmaxLine<'a> {
    line: &'a mut [f32],
    /// Added to the last scores.
    added: &'a [f32],
}

impl pulp::WithSimd for SoftmaxLine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        const LANES: usize = 16;
        let Self { line, added } = self;
        let before = line.len() - added.len();
        line[before..].iter_mut().zip(added).for_each(|(s, a)| *s += a);
        let (body, tail) = line.as_chunks_mut::<LANES>();
        let mut most = [f32::NEG_INFINITY; LANES];
        for line in body.iter() {
            most.iter_mut().zip(line).for_each(|(m, s)| *m = if *s > *m { *s } else { *m });
        }
        let most = most.iter().chain(tail.iter()).fold(f32::NEG_INFINITY, |m, s| m.max(*s));
        let mut sums = [0f32; LANES];
        for line in body.iter_mut() {
            for (s, sum) in line.iter_mut().zip(&mut sums) {
                *s = exp(*s - most);
                *sum += *s;
            }
        }
        tail.iter_mut().for_each(|s| *s = exp(*s - most));
        let sum = sums.iter().chain(tail.iter()).sum::<f32>();
        let share = 1.0 / sum;
        line.iter_mut().for_each(|s| *s *= share);
    }
}

/// What decomposed relative positions add to the scores of a grid of keys: `along_rows`
/// `(n, queries, rows)` and `along_columns` `(n, queries, columns)`, keys in row order.
pub(crate) struct Relative {
    pub(crate) along_rows: Tensor,
    pub(crate) along_columns: Tensor,
}

/// Attention of `(n, length, head)` each, `q` scaled here; chunks keep the scores small.
pub(crate) fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    relative: Option<&Relative>,
) -> Result<Tensor> {
    let (n, length, _) = q.dims3()?;
    let keys = k.dim(1)?;
    let q = (q * scale)?;
    let most = most_scores(q.device());
    let batch = (most / (length * keys).max(1)).clamp(1, n.max(1));
    let rows = (most / (batch * keys).max(1)).clamp(1, length.max(1));
    let mut parts = Vec::new();
    for b in (0..n).step_by(batch) {
        let count = batch.min(n - b);
        let (k, v) = (k.narrow(0, b, count)?.transpose(1, 2)?, v.narrow(0, b, count)?);
        let mut chunks = Vec::new();
        for from in (0..length).step_by(rows) {
            let take = rows.min(length - from);
            let part = |t: &Tensor| t.narrow(0, b, count)?.narrow(1, from, take)?.contiguous();
            let scores = product(&part(&q)?, &k)?;
            let shares = match relative {
                None => softmax(scores, None)?,
                Some(r) => relative_softmax(scores, &part(&r.along_rows)?, &part(&r.along_columns)?)?,
            };
            chunks.push(product(&shares, &v)?);
        }
        parts.push(if chunks.len() == 1 { chunks.remove(0) } else { Tensor::cat(&chunks, 1)? });
    }
    if parts.len() == 1 { Ok(parts.remove(0)) } else { Tensor::cat(&parts, 0) }
}

/// Softmax of `scores` plus relative positions, in place of the scores.
fn relative_softmax(scores: Tensor, along_rows: &Tensor, along_columns: &Tensor) -> Result<Tensor> {
    if fused(&scores) {
        scores.inplace_op3(along_rows, along_columns, &RelativeSoftmax)?;
        return Ok(scores);
    }
    let (n, queries, keys) = scores.dims3()?;
    let bias = along_rows.unsqueeze(D::Minus1)?.broadcast_add(&along_columns.unsqueeze(2)?)?;
    plain_softmax(&(scores + bias.reshape((n, queries, keys))?)?)
}

struct RelativeSoftmax;

impl InplaceOp3 for RelativeSoftmax {
    fn name(&self) -> &'static str {
        "relative-softmax"
    }

    fn cpu_fwd(
        &self,
        scores: &mut CpuStorage,
        at: &Layout,
        rows: &CpuStorage,
        rows_at: &Layout,
        columns: &CpuStorage,
        columns_at: &Layout,
    ) -> Result<()> {
        let last = |layout: &Layout| layout.dims().last().copied().unwrap_or_default();
        let (h, w) = (last(rows_at), last(columns_at));
        if h == 0 || w == 0 || h * w != last(at) {
            return Err(Error::Msg("relative positions do not fit the scores".into()));
        }
        let (rows, columns) = (values(rows, rows_at)?, values(columns, columns_at)?);
        let arch = pulp::Arch::new();
        let scores = values_mut(scores, at)?.par_chunks_exact_mut(h * w);
        scores
            .zip(rows.par_chunks_exact(h))
            .zip(columns.par_chunks_exact(w))
            .for_each(|((scores, rows), columns)| arch.dispatch(SoftmaxRow { scores, rows, columns }));
        Ok(())
    }
}

struct SoftmaxRow<'a> {
    scores: &'a mut [f32],
    rows: &'a [f32],
    columns: &'a [f32],
}

impl pulp::WithSimd for SoftmaxRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Self { scores, rows, columns } = self;
        for (line, row) in scores.chunks_exact_mut(columns.len()).zip(rows) {
            line.iter_mut().zip(columns).for_each(|(s, column)| *s += row + column);
        }
        SoftmaxLine { line: scores, added: &[] }.with_simd(simd);
    }
}

/// A 3 × 3 convolution of each channel by itself, zeros around: `x` `(1, C, H, W)`, `weight`
/// `(C, 1, 3, 3)`, `bias` `(C)`.
pub(crate) fn depthwise(x: &Tensor, weight: &Tensor, bias: &Tensor, stride: usize) -> Result<Tensor> {
    let (batch, channels, _, _) = x.dims4()?;
    if fused(x) && batch == 1 {
        return x.contiguous()?.apply_op3_no_bwd(weight, bias, &Depthwise { stride });
    }
    x.conv2d(weight, 1, stride, 1, channels)?.broadcast_add(&bias.reshape((1, channels, 1, 1))?)
}

struct Depthwise {
    stride: usize,
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_at: &Layout,
        weight: &CpuStorage,
        weight_at: &Layout,
        bias: &CpuStorage,
        bias_at: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, channels, height, width) = x_at.shape().dims4()?;
        let (x, weight, bias) = (values(x, x_at)?, values(weight, weight_at)?, values(bias, bias_at)?);
        let (rows, columns) = (height.div_ceil(self.stride), width.div_ceil(self.stride));
        let wide = width + 2;
        let arch = pulp::Arch::new();
        let mut out = vec![0f32; channels * rows * columns];
        let planes = out.par_chunks_exact_mut(rows * columns).zip(x.par_chunks_exact(height * width));
        planes.zip(weight.par_chunks_exact(9)).zip(bias).for_each(|(((out, plane), weight), bias)| {
            let mut padded = vec![0f32; (height + 2) * wide];
            for (to, from) in padded[wide..].chunks_exact_mut(wide).zip(plane.chunks_exact(width)) {
                to[1..=width].copy_from_slice(from);
            }
            for (y, line) in out.chunks_exact_mut(columns).enumerate() {
                line.fill(*bias);
                let stride = self.stride;
                let source = &padded[y * stride * wide..][..3 * wide];
                arch.dispatch(DepthwiseRow { line, source, wide, weight, stride });
            }
        });
        Ok((CpuStorage::F32(out), Shape::from((1, channels, rows, columns))))
    }
}

/// One row of output from three padded rows of input.
struct DepthwiseRow<'a> {
    line: &'a mut [f32],
    source: &'a [f32],
    wide: usize,
    weight: &'a [f32],
    stride: usize,
}

impl pulp::WithSimd for DepthwiseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (tap, weight) in self.weight.iter().enumerate() {
            let from = &self.source[tap / 3 * self.wide + tap % 3..];
            if self.stride == 1 {
                self.line.iter_mut().zip(from).for_each(|(o, v)| *o = weight.mul_add(*v, *o));
            } else {
                let from = from.iter().step_by(self.stride);
                self.line.iter_mut().zip(from).for_each(|(o, v)| *o = weight.mul_add(*v, *o));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use candle_core::Device;

    /// Draws within `most` of 0, so that what is made of them has a largest last bit, and a difference a bound.
    fn draws(most: f32, shape: impl Into<Shape>) -> Tensor {
        Tensor::randn(0f32, most / 2.0, shape, &Device::Cpu).unwrap().clamp(-most, most).unwrap()
    }

    #[test]
    fn fused_loops_equal_the_plain_operations() {
        let close = |a: &Tensor, b: &Tensor, most: f32| {
            let off = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            assert!(off.to_scalar::<f32>().unwrap() <= most, "{off}");
        };
        // Below 8, where the last bit is 5e-7; the error function is whole from 5.7 on.
        let x = draws(6.0, (3, 35, 20));
        close(&gelu(x.copy().unwrap()).unwrap(), &x.gelu_erf().unwrap(), 2e-6);
        close(&gelu_tanh(x.copy().unwrap()).unwrap(), &x.gelu().unwrap(), 2e-6);
        // Sums of three below 8: in another order they differ by one last bit.
        let (rows, columns) = (draws(1.0, (3, 35, 4)), draws(1.0, (3, 35, 5)));
        let bias = rows.unsqueeze(3).unwrap().broadcast_add(&columns.unsqueeze(2).unwrap()).unwrap();
        let plain = softmax_last_dim(&(&x + bias.reshape((3, 35, 20)).unwrap()).unwrap()).unwrap();
        close(&relative_softmax(x, &rows, &columns).unwrap(), &plain, 1e-6);

        // Products below 4, where the last bit is 2.4e-7.
        let both = Tensor::cat(&[draws(6.0, (7, 23)), draws(0.6, (7, 23))], 1).unwrap();
        let plain =
            (silu(&both.narrow(1, 0, 23).unwrap()).unwrap() * both.narrow(1, 23, 23).unwrap()).unwrap();
        close(&gated_silu(&both).unwrap(), &plain, 2e-6);
        for (columns, rows, tokens) in [(37, 1, 6), (37, 3, 1), (20, 3, 6), (20, 3, 2), (37, 1, 3), (1, 1, 1)]
        {
            // In 16 bits the last bit below 8 is 3e-2: half of it is rounded, and a share moves by half of that.
            let scores = draws(8.0, (2, 3, 6, 37));
            let hidden: Vec<f32> = (0..rows * tokens * columns)
                .map(|n| if n % 3 == 1 { f32::NEG_INFINITY } else { 0.0 })
                .collect();
            let hidden = Tensor::from_vec(hidden, (1, rows, tokens, columns), &Device::Cpu).unwrap();
            let each: Vec<u32> = (0..6).map(|query| query * tokens as u32 / 6).collect();
            let by_query = hidden.index_select(&Tensor::new(each, &Device::Cpu).unwrap(), 2).unwrap();
            let left = scores.narrow(3, 0, 37 - columns).unwrap();
            let last = scores.narrow(3, 37 - columns, columns).unwrap().broadcast_add(&by_query).unwrap();
            let all = if columns == 37 { last } else { Tensor::cat(&[left, last], 3).unwrap() };
            let plain = softmax_last_dim(&all).unwrap();
            let half = |t: &Tensor| t.to_dtype(DType::BF16).unwrap();
            let in_half = softmax(half(&scores), Some(&half(&hidden))).unwrap();
            close(&in_half.to_dtype(DType::F32).unwrap(), &plain, 2e-2);
            close(&softmax_of_sum(&scores.copy().unwrap(), &hidden).unwrap(), &plain, 1e-6);
            close(&softmax(scores, Some(&hidden)).unwrap(), &plain, 1e-6);
        }
        let mut line = [0f32, f32::NAN, 1.0];
        Softmax::lines(&mut line, 3, |_| &[]);
        assert!(line.iter().all(|v| v.is_nan()), "what is not a number is not hidden");

        // Nine products and what is added are below 16 together: nine roundings of half a last bit of 1e-6, twice.
        let (picture, weight, bias) = (draws(1.0, (1, 5, 9, 12)), draws(1.0, (5, 1, 3, 3)), draws(1.0, 5));
        for stride in [1, 2] {
            let plain = picture.conv2d(&weight, 1, stride, 1, 5).unwrap();
            let plain = plain.broadcast_add(&bias.reshape((1, 5, 1, 1)).unwrap()).unwrap();
            close(&depthwise(&picture, &weight, &bias, stride).unwrap(), &plain, 1e-5);
        }
    }

    #[test]
    fn the_exponential_holds_over_its_whole_range() {
        for n in 0..=20_000u16 {
            let x = -f32::from(n) * 87.0 / 20_000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 3e-7 * exact, "{x}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
