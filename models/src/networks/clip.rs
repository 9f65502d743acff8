//! CLIP's towers (arXiv 2103.00020) with their projections into one space.

use super::class_vit::{ClassVit, ClassVitConfig};
use super::stack::{Stack, StackConfig};
use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::activation::Activation;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use candle_core::{Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

/// The layers of a tower with these sizes where the file says nothing: hidden, intermediate, depth, heads.
pub(crate) fn stack([hidden, intermediate, depth, heads]: [usize; 4], causal: bool) -> StackConfig {
    StackConfig {
        hidden,
        intermediate,
        depth,
        heads,
        eps: 1e-5,
        activation: Activation::QuickGelu,
        rms: false,
        qkv_bias: true,
        qk_norm: false,
        scaled: false,
        causal,
    }
}

/// The tower that reads pictures, as `CLIPVisionConfig` reads it; `side` and `patch` where the file says nothing.
pub(crate) fn vision(
    fields: &Fields<'_>,
    plain: [usize; 4],
    side: usize,
    patch: usize,
) -> Loaded<ClassVitConfig> {
    if fields.text("model_type")?.is_some_and(|kind| !kind.starts_with("clip") && kind != "vit") {
        return Err(fields.bad("model_type", "only clip_vision_model is supported"));
    }
    fields.only(&[("num_channels", "3")])?;
    let bounded = |field: &str, default: usize| match fields.positive_or(field, default)? {
        n if n <= 16_384 => Ok(n),
        n => Err(fields.bad(field, format!("{n} pixels are out of range"))),
    };
    let (side, patch) = (bounded("image_size", side)?, bounded("patch_size", patch)?);
    if patch > side {
        return Err(fields.bad("patch_size", format!("{patch} is larger than image_size {side}")));
    }
    let stack = StackConfig::read(fields, stack(plain, false))?;
    Ok(ClassVitConfig { stack, side, patch, patch_bias: false, pre_norm: true })
}

/// The tower that reads pictures, with its projection.
pub(crate) struct PictureTower {
    pub(crate) tower: ClassVit,
    norm: Norm,
    projection: Linear,
}

impl PictureTower {
    /// Reads the tensors under `vision_model.` and `visual_projection.weight`; vectors have `width` values.
    pub(crate) fn load(w: &Weights, config: ClassVitConfig, width: usize) -> Loaded<Self> {
        let (hidden, eps) = (config.stack.hidden, config.stack.eps);
        Ok(Self {
            tower: ClassVit::load(w, "vision_model.", config)?,
            norm: Norm::layer(w, "vision_model.post_layernorm", hidden, eps)?,
            projection: Linear::load(w, "visual_projection", hidden, width, false)?,
        })
    }

    /// Pixel values (3, side, side) to the vector of the class token, (1, width).
    pub(crate) fn forward(&self, planes: &Tensor) -> Result<Tensor> {
        self.ended(&self.tower.forward(planes, usize::MAX)?)
    }

    /// What the tower gave after `layers` layers to the vector of the class token, (1, width); gradients pass.
    pub(crate) fn behind(&self, x: Tensor, layers: usize) -> Result<Tensor> {
        self.ended(&self.tower.behind(x, layers)?)
    }

    fn ended(&self, x: &Tensor) -> Result<Tensor> {
        self.projection.forward(&self.norm.forward(&x.narrow(0, 0, 1)?)?)
    }
}

/// The tower that reads texts, with its projection.
pub(crate) struct TextTower {
    words: Linear,
    /// (positions, hidden).
    positions: Tensor,
    stack: Stack,
    norm: Norm,
    projection: Linear,
}

impl TextTower {
    /// Reads the tensors under `text_model.` and `text_projection.weight`: `vocab` words, `length` positions, vectors
    /// of `width`.
    pub(crate) fn load(w: &Weights, stack: StackConfig, [vocab, length, width]: [usize; 3]) -> Loaded<Self> {
        let name = |part: &str| format!("text_model.{part}");
        let h = stack.hidden;
        Ok(Self {
            words: Linear::load(w, &name("embeddings.token_embedding"), h, vocab, false)?,
            positions: w.tensor(&name("embeddings.position_embedding.weight"), &[length, h])?,
            norm: Norm::layer(w, &name("final_layer_norm"), h, stack.eps)?,
            projection: Linear::load(w, "text_projection", h, width, false)?,
            stack: Stack::load(w, &name("encoder."), stack)?,
        })
    }

    /// The vector of a text: that of its token at `end`, (1, width). A token sees those before it alone, so what
    /// stands behind changes nothing.
    pub(crate) fn forward(&self, ids: &[u32], end: usize) -> Result<Tensor> {
        let length = ids.len();
        let x = (self.words.rows(ids)? + self.positions.narrow(0, 0, length)?)?;
        let end = self.stack.forward(x, length, usize::MAX)?.narrow(0, end, 1)?;
        self.projection.forward(&self.norm.forward(&end)?)
    }
}
