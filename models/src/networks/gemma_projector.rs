//! Gemma 3's way from the patches of SigLIP to tokens of its text model.

use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::networks::siglip::VisionConfig;
use candle_core::Tensor;

/// How the patches of a picture become its tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pooling {
    /// Tokens along a side of a picture.
    side: usize,
    /// Patches along a side of a token.
    kernel: usize,
    /// What is added to the weights of the norm: 1, unless the file has that done (GGUF).
    plus: f64,
}

impl Pooling {
    /// As `Gemma3Config` has it; the tokens must divide the patches evenly.
    pub(crate) fn read(root: &Fields<'_>, vision: &VisionConfig) -> Result<Self, LoadError> {
        const TOKENS: &str = "mm_tokens_per_image";
        let (tokens, grid) = (root.positive_or(TOKENS, 256)?, vision.grid());
        let side = tokens.isqrt();
        if side * side != tokens || !grid.is_multiple_of(side) {
            let problem = format!("{tokens} tokens are no square that divides {grid} × {grid} patches");
            return Err(root.bad(TOKENS, problem));
        }
        let plus = if root.bool_or("soft_emb_norm_includes_one", false)? { 0.0 } else { 1.0 };
        Ok(Self { side, kernel: grid / side, plus })
    }

    /// Tokens of a picture.
    pub(crate) fn tokens(self) -> usize {
        self.side * self.side
    }
}

/// `Gemma3MultiModalProjector`: means of squares of patches, a norm, a product.
pub(crate) struct Projector {
    pooling: Pooling,
    norm: Norm,
    product: Linear,
}

impl Projector {
    /// Reads the tensors under `prefix` (`model.multi_modal_projector.`).
    pub(crate) fn load(
        w: &Weights,
        prefix: &str,
        vision: &VisionConfig,
        pooling: Pooling,
        out: usize,
    ) -> Result<Self, LoadError> {
        let (input, eps) = (vision.stack.hidden, vision.stack.eps);
        // Stored as (in, out).
        let stored = w.f32(&format!("{prefix}mm_input_projection_weight"), &[input, out])?;
        let turned = (0..out).flat_map(|o| stored.iter().skip(o).step_by(out).copied()).collect();
        Ok(Self {
            pooling,
            norm: Norm::rms_plus(w, &format!("{prefix}mm_soft_emb_norm"), input, eps, pooling.plus)?,
            product: Linear::from_values(w, turned, None, input, out)?,
        })
    }

    /// (patches, vision width) of a picture to (tokens, text width).
    pub(crate) fn forward(&self, patches: &Tensor) -> candle_core::Result<Tensor> {
        let (Pooling { side, kernel, .. }, width) = (self.pooling, patches.dim(1)?);
        let squares = patches.reshape((side, kernel, side, kernel * width))?.mean(1)?;
        let pooled = squares.reshape((side * side, kernel, width))?.mean(1)?;
        self.product.forward(&self.norm.forward(&pooled)?)
    }
}
