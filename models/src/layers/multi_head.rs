//! Attention with a projection each for queries, keys, values and output, as the decoders of SAM and the
//! memory of SAM 2 have it.

use super::fused::attend;
use super::vars::Vars;
use crate::error::LoadError;
use candle_core::{D, Result, Tensor};
use candle_nn::{Linear, Module};

/// The four projections.
#[derive(Debug)]
pub(crate) struct MultiHead {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: usize,
}

impl MultiHead {
    /// Reads `q_proj`, `k_proj`, `v_proj` and `out_proj`. Queries and output have `width` values, keys and
    /// values come from `source`, and the heads share `inner`.
    pub(crate) fn load(
        vars: &Vars<'_>,
        width: usize,
        source: usize,
        inner: usize,
        heads: usize,
    ) -> std::result::Result<Self, LoadError> {
        let linear = |from: usize, to: usize, name: &str| vars.linear(from, to, true, name);
        Ok(Self {
            q: linear(width, inner, "q_proj")?,
            k: linear(source, inner, "k_proj")?,
            v: linear(source, inner, "v_proj")?,
            out: linear(inner, width, "out_proj")?,
            heads: heads.max(1),
        })
    }

    /// Projects `(N, length, width)` of queries, keys and values to `(N × heads, length, head)` each.
    pub(crate) fn project(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<[Tensor; 3]> {
        let split = |x: Tensor| {
            let (n, length, width) = x.dims3()?;
            let head = width / self.heads;
            let x = x.reshape((n, length, self.heads, head))?.transpose(1, 2)?.contiguous()?;
            x.reshape((n * self.heads, length, head))
        };
        Ok([split(self.q.forward(q)?)?, split(self.k.forward(k)?)?, split(self.v.forward(v)?)?])
    }

    /// Attention of what [`MultiHead::project`] gave, `(N, length, width)`.
    pub(crate) fn attend(&self, [q, k, v]: &[Tensor; 3]) -> Result<Tensor> {
        let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
        let out = attend(q, k, v, scale, None)?;
        let (all, length, head) = out.dims3()?;
        let out = out.reshape((all / self.heads, self.heads, length, head))?.transpose(1, 2)?;
        self.out.forward(&out.contiguous()?.flatten_from(2)?)
    }

    /// `(N, length, width)` each; keys and values have equal length.
    pub(crate) fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        self.attend(&self.project(q, k, v)?)
    }
}
