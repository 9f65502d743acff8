//! SigLIP's two towers (arXiv 2303.15343): layers of LayerNorm, attention over all tokens and an MLP with tanh-GELU,
//! over the patches of a square picture or the tokens of a padded text.

use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::attention::{SCORES, within_runs};
use crate::layers::fused;
use crate::layers::linear::{Linear, MLP_ROWS, by_rows};
use crate::layers::norm::Norm;
use candle_core::{Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

/// Shape of the layers of either tower.
#[derive(Debug, Clone)]
pub(crate) struct StackConfig {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) depth: usize,
    pub(crate) heads: usize,
    pub(crate) eps: f64,
}

impl StackConfig {
    /// As `SiglipVisionConfig` and `SiglipTextConfig` read it; published files leave out what is default.
    pub(crate) fn read(fields: &Fields<'_>) -> Loaded<Self> {
        let config = Self {
            hidden: fields.positive_or("hidden_size", 768)?,
            intermediate: fields.positive_or("intermediate_size", 3072)?,
            depth: fields.positive_or("num_hidden_layers", 12)?,
            heads: fields.positive_or("num_attention_heads", 12)?,
            eps: fields.f64_or("layer_norm_eps", 1e-6)?,
        };
        if !config.hidden.is_multiple_of(config.heads) {
            let problem = format!("{} does not divide hidden_size {}", config.heads, config.hidden);
            return Err(fields.bad("num_attention_heads", problem));
        }
        match fields.text("hidden_act")? {
            None | Some("gelu_pytorch_tanh") => Ok(config),
            Some(other) => {
                Err(fields.bad("hidden_act", format!("{other:?} is not supported; gelu_pytorch_tanh is")))
            }
        }
    }
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
        let stack = StackConfig::read(fields)?;
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

struct Mlp {
    up: Linear,
    down: Linear,
}

impl Mlp {
    fn load(w: &Weights, prefix: &str, c: &StackConfig) -> Loaded<Self> {
        Ok(Self {
            up: Linear::load(w, &format!("{prefix}fc1"), c.hidden, c.intermediate, true)?,
            down: Linear::load(w, &format!("{prefix}fc2"), c.intermediate, c.hidden, true)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        by_rows(x, |rows| self.down.forward(&fused::gelu_tanh(self.up.forward(rows)?)?))
    }
}

struct Layer {
    norm1: Norm,
    qkv: Linear,
    out: Linear,
    norm2: Norm,
    mlp: Mlp,
}

/// The layers of a tower.
struct Stack {
    config: StackConfig,
    layers: Vec<Layer>,
}

impl Stack {
    /// Reads the tensors under `prefix` (`encoder.`).
    fn load(w: &Weights, prefix: &str, config: StackConfig) -> Loaded<Self> {
        let (c, h) = (&config, config.hidden);
        let layer = |i: usize| -> Loaded<Layer> {
            let name = |part: &str| format!("{prefix}layers.{i}.{part}");
            let [q, k, v] = ["q_proj", "k_proj", "v_proj"].map(|p| name(&format!("self_attn.{p}")));
            Ok(Layer {
                norm1: Norm::layer(w, &name("layer_norm1"), h, c.eps)?,
                qkv: Linear::load_stacked(w, &[(&q, h), (&k, h), (&v, h)], h, true)?,
                out: Linear::load(w, &name("self_attn.out_proj"), h, h, true)?,
                norm2: Norm::layer(w, &name("layer_norm2"), h, c.eps)?,
                mlp: Mlp::load(w, &name("mlp."), c)?,
            })
        };
        Ok(Self { layers: (0..c.depth).map(layer).collect::<Loaded<_>>()?, config })
    }

    /// `x` (tokens, hidden): sequences of `length` tokens one after the other.
    fn forward(&self, mut x: Tensor, length: usize) -> Result<Tensor> {
        let (tokens, heads) = (x.dim(0)?, self.config.heads);
        for layer in &self.layers {
            let qkv = layer.qkv.forward(&layer.norm1.forward(&x)?)?;
            let qkv = qkv.reshape((tokens, 3 * heads, self.config.hidden / heads))?;
            let part = |n: usize| qkv.narrow(1, n * heads, heads);
            let seen = within_runs(&part(0)?, &part(1)?, &part(2)?, length)?;
            x = (x + layer.out.forward(&seen)?)?;
            x = (&x + layer.mlp.forward(&layer.norm2.forward(&x)?)?)?;
        }
        Ok(x)
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
        let read = planes.narrow(1, 0, grid * p)?.narrow(2, 0, grid * p)?;
        let patches = read.reshape((3, grid, p, grid, p))?.permute((1, 3, 0, 2, 4))?.contiguous()?;
        let x = (self.patch.forward(&patches.reshape((grid * grid, 3 * p * p))?)? + &self.positions)?;
        self.norm.forward(&self.stack.forward(x, grid * grid)?)
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
        let c = &self.config.stack;
        let (patches, patch) = ((self.config.grid() * self.config.grid()) as u64, self.config.patch as u64);
        // Pixels twice; residual, normed and sum; queries, keys and values, by head.
        let rows = patches * (6 * patch * patch + 12 * c.hidden as u64);
        let middle = 3 * c.intermediate as u64 * patches.min(MLP_ROWS as u64);
        let scores = 3 * (SCORES as u64).min(c.heads as u64 * patches * patches);
        (rows + middle + scores) * self.numbers.activations.size_in_bytes() as u64
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
        let last = self.stack.forward(x, length)?.narrow(0, length - 1, 1)?;
        self.head.forward(&self.norm.forward(&last)?)
    }
}
