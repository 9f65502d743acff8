//! SigLIP's two towers (arXiv 2303.15343): layers of LayerNorm, attention over all tokens and an MLP with tanh-GELU,
//! over the patches of a square picture or the tokens of a padded text.

use super::stack::{Mlp, Stack, StackConfig, patches};
use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::activation::Activation;
use crate::layers::fused;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use candle_core::{Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

/// The layers of either tower as `SiglipVisionConfig` and `SiglipTextConfig` read them; published files leave out what is
/// default.
pub(crate) fn stack(fields: &Fields<'_>) -> Loaded<StackConfig> {
    stack_or(fields, [768, 3072, 12, 12])
}

/// The same with other sizes where the file says nothing: width, width of the MLP, layers, heads.
pub(super) fn stack_or(
    fields: &Fields<'_>,
    [hidden, intermediate, depth, heads]: [usize; 4],
) -> Loaded<StackConfig> {
    fields.only(&[("hidden_act", "\"gelu_pytorch_tanh\"")])?;
    let plain = StackConfig {
        hidden,
        intermediate,
        depth,
        heads,
        eps: 1e-6,
        activation: Activation::GeluTanh,
        rms: false,
        qkv_bias: true,
        qk_norm: false,
        scaled: false,
        causal: false,
    };
    StackConfig::read(fields, plain)
}

/// Shape of the tower that reads pictures.
#[derive(Debug, Clone)]
pub(crate) struct VisionConfig {
    pub(crate) stack: StackConfig,
    /// Pixels of a side of the picture.
    pub(crate) side: usize,
    /// Pixels of a side of a patch.
    pub(crate) patch: usize,
}

impl VisionConfig {
    /// As `SiglipVisionConfig` reads it.
    pub(crate) fn read(fields: &Fields<'_>) -> Loaded<Self> {
        let stack = stack(fields)?;
        let bounded = |field: &str, default: usize| match fields.positive_or(field, default)? {
            n if n <= 16_384 => Ok(n),
            n => Err(fields.bad(field, format!("{n} pixels are out of range"))),
        };
        let (side, patch) = (bounded("image_size", 224)?, bounded("patch_size", 16)?);
        if patch > side {
            return Err(fields.bad("patch_size", format!("{patch} is larger than image_size {side}")));
        }
        if fields.usize_or("num_channels", 3)? != 3 {
            return Err(fields.bad("num_channels", "only 3 is supported"));
        }
        Ok(Self { stack, side, patch })
    }

    /// Patches along a side; what is left over at the right and below is not read.
    pub(crate) fn grid(&self) -> usize {
        self.side / self.patch
    }
}

/// Attention of one learnt query to all patches (`SiglipMultiheadAttentionPoolingHead`).
struct PoolingHead {
    /// The query, projected and scaled: (heads, 1, head dimension).
    query: Tensor,
    kv: Linear,
    out: Linear,
    norm: Norm,
    mlp: Mlp,
}

impl PoolingHead {
    fn load(w: &Weights, prefix: &str, c: &StackConfig) -> Loaded<Self> {
        let (h, heads) = (c.hidden, c.heads);
        let name = |part: &str| format!("{prefix}{part}");
        let mut weight = w.f32(&name("attention.in_proj_weight"), &[3 * h, h])?;
        let mut bias = w.f32(&name("attention.in_proj_bias"), &[3 * h])?;
        let (kv_weight, kv_bias) = (weight.split_off(h * h), bias.split_off(h));
        let query = Linear::from_values(w, weight, Some(bias), h, h)?;
        let query = query.forward(&w.tensor(&name("probe"), &[1, 1, h])?.reshape((1, h))?)?;
        let scale = ((h / heads) as f64).powf(-0.5);
        Ok(Self {
            query: (query.reshape((heads, 1, h / heads))? * scale)?,
            kv: Linear::from_values(w, kv_weight, Some(kv_bias), h, 2 * h)?,
            out: Linear::load(w, &name("attention.out_proj"), h, h, true)?,
            norm: Norm::layer(w, &name("layernorm"), h, c.eps)?,
            mlp: Mlp::load(w, &name("mlp."), c)?,
        })
    }

    /// (patches, hidden) of one picture to (1, hidden).
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ((patches, hidden), (heads, _, d)) = (x.dims2()?, self.query.dims3()?);
        let kv = self.kv.forward(x)?.reshape((patches, 2, heads, d))?.permute((1, 2, 0, 3))?.contiguous()?;
        let seen = fused::attend(&self.query, &kv.get(0)?, &kv.get(1)?, 1.0, None)?;
        let x = self.out.forward(&seen.reshape((1, hidden))?)?;
        &x + self.mlp.forward(&self.norm.forward(&x)?)?
    }
}

/// The tower that reads pictures.
pub(crate) struct VisionTower {
    pub(crate) config: VisionConfig,
    patch: Linear,
    /// (patches, hidden).
    positions: Tensor,
    stack: Stack,
    norm: Norm,
    head: Option<PoolingHead>,
    numbers: Numbers,
}

impl VisionTower {
    /// Reads the tensors under `prefix` (`vision_model.`), with the head that pools a picture to one vector
    /// where it is wanted.
    pub(crate) fn load(w: &Weights, prefix: &str, config: VisionConfig, head: bool) -> Loaded<Self> {
        let (stack, p) = (&config.stack, config.patch);
        let name = |part: &str| format!("{prefix}{part}");
        // The convolution's stride is its kernel, so it is one product over flattened patches.
        let kernel = w.f32(&name("embeddings.patch_embedding.weight"), &[stack.hidden, 3, p, p])?;
        let bias = w.f32(&name("embeddings.patch_embedding.bias"), &[stack.hidden])?;
        let places = [config.grid() * config.grid(), stack.hidden];
        Ok(Self {
            patch: Linear::from_values(w, kernel, Some(bias), 3 * p * p, stack.hidden)?,
            positions: w.tensor(&name("embeddings.position_embedding.weight"), &places)?,
            stack: Stack::load(w, &name("encoder."), stack.clone())?,
            norm: Norm::layer(w, &name("post_layernorm"), stack.hidden, stack.eps)?,
            head: if head { Some(PoolingHead::load(w, &name("head."), stack)?) } else { None },
            numbers: w.numbers.clone(),
            config,
        })
    }

    /// Pixel values of one picture (3, side, side) to (patches, hidden), patches row by row.
    pub(crate) fn forward(&self, planes: &Tensor) -> Result<Tensor> {
        let (p, grid) = (self.config.patch, self.config.grid());
        let x = (self.patch.forward(&patches(planes, p, grid)?)? + &self.positions)?;
        self.norm.forward(&self.stack.forward(x, grid * grid, usize::MAX)?)
    }

    /// One vector a picture, (1, hidden); the tower must have been loaded with its head.
    pub(crate) fn pooled(&self, planes: &Tensor) -> Result<Tensor> {
        match &self.head {
            Some(head) => head.forward(&self.forward(planes)?),
            None => Err(candle_core::Error::Msg("the tower was loaded without its head".into())),
        }
    }

    /// About how many bytes [`VisionTower::forward`] takes while it computes.
    pub(crate) fn bytes(&self) -> u64 {
        let patches = (self.config.grid() * self.config.grid()) as u64;
        let pixels = 6 * patches * (self.config.patch * self.config.patch) as u64;
        (pixels + self.config.stack.numbers(patches, &self.numbers.device))
            * self.numbers.activations.size_in_bytes() as u64
    }
}

/// The tower that reads texts.
pub(crate) struct TextTower {
    words: Linear,
    /// (positions, hidden).
    positions: Tensor,
    stack: Stack,
    norm: Norm,
    head: Linear,
}

impl TextTower {
    /// Reads the tensors under `prefix` (`text_model.`): `vocab` words, `length` positions, vectors of `out`.
    pub(crate) fn load(
        w: &Weights,
        prefix: &str,
        stack: StackConfig,
        [vocab, length, out]: [usize; 3],
    ) -> Loaded<Self> {
        let name = |part: &str| format!("{prefix}{part}");
        let h = stack.hidden;
        Ok(Self {
            words: Linear::load(w, &name("embeddings.token_embedding"), h, vocab, false)?,
            positions: w.tensor(&name("embeddings.position_embedding.weight"), &[length, h])?,
            norm: Norm::layer(w, &name("final_layer_norm"), h, stack.eps)?,
            head: Linear::load(w, &name("head"), h, out, true)?,
            stack: Stack::load(w, &name("encoder."), stack)?,
        })
    }

    /// The vector of a text, padded to all positions: that of its last token, (1, out).
    pub(crate) fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        let length = ids.len();
        let x = (self.words.rows(ids)? + self.positions.narrow(0, 0, length)?)?;
        let last = self.stack.forward(x, length, usize::MAX)?.narrow(0, length - 1, 1)?;
        self.head.forward(&self.norm.forward(&last)?)
    }
}
