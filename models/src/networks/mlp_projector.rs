//! From a vision tower to the width of a text model: two layers with GELU between them (`mlp2x_gelu` of LLaVA),
//! after a norm in InternVL, whose features are four neighbouring patches side by side.

use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::activation::Activation;
use crate::layers::linear::{Linear, by_rows};
use crate::layers::norm::Norm;
use candle_core::{Result, Tensor};

/// A loaded projector.
pub(crate) struct MlpProjector {
    norm: Option<Norm>,
    up: Linear,
    down: Linear,
}

impl MlpProjector {
    /// Reads `linear_1` and `linear_2` under `prefix`, and `layer_norm` where there is a norm.
    pub(crate) fn load(
        w: &Weights,
        prefix: &str,
        [input, hidden, out]: [usize; 3],
        norm: bool,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        let name = |part: &str| format!("{prefix}{part}");
        Ok(Self {
            // PyTorch's epsilon.
            norm: if norm { Some(Norm::layer(w, &name("layer_norm"), input, 1e-5)?) } else { None },
            up: Linear::load(w, &name("linear_1"), input, hidden, bias)?,
            down: Linear::load(w, &name("linear_2"), hidden, out, bias)?,
        })
    }

    /// (patches, input) to (patches, out).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        by_rows(x, |rows| {
            let rows = match &self.norm {
                Some(norm) => norm.forward(rows)?,
                None => rows.clone(),
            };
            self.down.forward(&Activation::Gelu.apply(self.up.forward(&rows)?)?)
        })
    }
}

/// Squares of 2 × 2 patches of a square grid side by side (`pixel_shuffle` by one half, the second version):
/// (grid², width) to (grid² / 4, 4 · width).
pub(crate) fn side_by_side(x: &Tensor) -> Result<Tensor> {
    let (count, width) = x.dims2()?;
    let half = count.isqrt() / 2;
    let x = x.reshape((half, 2, half, 2 * width))?.transpose(1, 2)?.contiguous()?;
    x.reshape((half * half, 4 * width))
}
