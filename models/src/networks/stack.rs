//! The layers of encoders of pictures and texts: attention over a whole sequence and an MLP, each after a norm and
//! added to what came in. SigLIP, CLIP and InternViT are settings of it.

use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::activation::Activation;
use crate::layers::attention::within_runs;
use crate::layers::linear::{Linear, MLP_ROWS, by_rows};
use crate::layers::norm::Norm;
use crate::layers::product::most_scores;
use crate::layers::rope::Rope;
use candle_core::{Device, Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

/// Shape of the layers.
#[derive(Debug, Clone)]
pub(crate) struct StackConfig {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) depth: usize,
    pub(crate) heads: usize,
    pub(crate) eps: f64,
    pub(crate) activation: Activation,
    /// RMSNorm in place of LayerNorm (InternViT 6B).
    pub(crate) rms: bool,
    /// Have the projections to queries, keys and values a bias?
    pub(crate) qkv_bias: bool,
    /// Are queries and keys normalised over all heads together (InternViT 6B)?
    pub(crate) qk_norm: bool,
    /// Is what a part adds multiplied by a learned factor a channel (InternViT)?
    pub(crate) scaled: bool,
    /// Does a token see those before it alone (CLIP's texts)?
    pub(crate) causal: bool,
}

impl StackConfig {
    /// The fields that configurations of `transformers` share; `plain` has what a family's class has where the file
    /// says nothing.
    #[expect(clippy::needless_pass_by_value, reason = "made for this call")]
    pub(crate) fn read(fields: &Fields<'_>, plain: Self) -> Loaded<Self> {
        let config = Self {
            hidden: fields.positive_or("hidden_size", plain.hidden)?,
            intermediate: fields.positive_or("intermediate_size", plain.intermediate)?,
            depth: fields.positive_or("num_hidden_layers", plain.depth)?,
            heads: fields.positive_or("num_attention_heads", plain.heads)?,
            eps: fields.positive_f64_or("layer_norm_eps", plain.eps)?,
            activation: match fields.text("hidden_act")? {
                None => plain.activation,
                Some(name) => Activation::named(name)
                    .ok_or_else(|| fields.bad("hidden_act", format!("{name:?} is not supported")))?,
            },
            ..plain
        };
        if !config.hidden.is_multiple_of(config.heads) {
            let problem = format!("{} does not divide hidden_size {}", config.heads, config.hidden);
            return Err(fields.bad("num_attention_heads", problem));
        }
        Ok(config)
    }

    /// A norm of the layers.
    pub(super) fn norm(&self, w: &Weights, name: &str) -> Loaded<Norm> {
        match self.rms {
            true => Norm::rms(w, name, self.hidden, self.eps),
            false => Norm::layer(w, name, self.hidden, self.eps),
        }
    }

    /// About how many numbers the layers hold while they compute sequences of `length` tokens.
    pub(crate) fn numbers(&self, length: u64, device: &Device) -> u64 {
        // Residual, normed and sum; queries, keys and values, by head.
        let rows = length * 12 * self.hidden as u64;
        let middle = 3 * self.intermediate as u64 * length.min(MLP_ROWS as u64);
        rows + middle + 3 * (most_scores(device) as u64).min(self.heads as u64 * length * length)
    }
}

/// Two layers with an activation between them.
pub(super) struct Mlp {
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Mlp {
    pub(super) fn load(w: &Weights, prefix: &str, c: &StackConfig) -> Loaded<Self> {
        Ok(Self {
            up: Linear::load(w, &format!("{prefix}fc1"), c.hidden, c.intermediate, true)?,
            down: Linear::load(w, &format!("{prefix}fc2"), c.intermediate, c.hidden, true)?,
            activation: c.activation,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        by_rows(x, |rows| self.down.forward(&self.activation.apply(self.up.forward(rows)?)?))
    }
}

struct Layer {
    norm1: Norm,
    qkv: Linear,
    /// Of queries and of keys.
    qk_norm: Option<(Norm, Norm)>,
    out: Linear,
    norm2: Norm,
    mlp: Mlp,
    /// Of attention and MLP.
    scales: Option<(Tensor, Tensor)>,
}

/// The layers.
pub(super) struct Stack {
    config: StackConfig,
    layers: Vec<Layer>,
}

impl Stack {
    /// Reads the tensors under `prefix` (`encoder.`).
    pub(super) fn load(w: &Weights, prefix: &str, config: StackConfig) -> Loaded<Self> {
        let (c, h) = (&config, config.hidden);
        let layer = |i: usize| -> Loaded<Layer> {
            let name = |part: &str| format!("{prefix}layers.{i}.{part}");
            let own = |part: &str| format!("{prefix}layers.{i}.self_attn.{part}");
            // Some files hold the three projections as one.
            let joined = own("qkv");
            let qkv = if w.shape(&format!("{joined}.weight")).is_some() {
                Linear::load(w, &joined, h, 3 * h, c.qkv_bias)?
            } else {
                let [q, k, v] = ["q_proj", "k_proj", "v_proj"].map(own);
                Linear::load_stacked(w, &[(&q, h), (&k, h), (&v, h)], h, c.qkv_bias)?
            };
            let rms = |part: &str| Norm::rms(w, &own(part), h, 1e-6);
            Ok(Layer {
                norm1: c.norm(w, &name("layer_norm1"))?,
                qkv,
                qk_norm: if c.qk_norm { Some((rms("q_norm")?, rms("k_norm")?)) } else { None },
                out: Linear::load(w, &own("out_proj"), h, h, true)?,
                norm2: c.norm(w, &name("layer_norm2"))?,
                mlp: Mlp::load(w, &name("mlp."), c)?,
                scales: match c.scaled {
                    true => Some((w.tensor(&name("scale1"), &[h])?, w.tensor(&name("scale2"), &[h])?)),
                    false => None,
                },
            })
        };
        Ok(Self { layers: (0..c.depth).map(layer).collect::<Loaded<_>>()?, config })
    }

    /// `x` (tokens, hidden), sequences of `length` tokens one after the other, through the first `layers` layers.
    pub(super) fn forward(&self, x: Tensor, length: usize, layers: usize) -> Result<Tensor> {
        self.turned(x, length, layers, None)
    }

    /// What came out of layer `layer - 1` through the layers from `layer` on; gradients pass.
    pub(super) fn behind(&self, x: Tensor, length: usize, layer: usize) -> Result<Tensor> {
        self.through(x, length, self.layers.get(layer..).unwrap_or_default(), None)
    }

    /// The same, with queries and keys turned by their positions.
    pub(super) fn turned(
        &self,
        x: Tensor,
        length: usize,
        layers: usize,
        rope: Option<&Rope>,
    ) -> Result<Tensor> {
        self.through(x, length, &self.layers[..layers.min(self.layers.len())], rope)
    }

    fn through(&self, mut x: Tensor, length: usize, layers: &[Layer], rope: Option<&Rope>) -> Result<Tensor> {
        let (tokens, heads, h) = (x.dim(0)?, self.config.heads, self.config.hidden);
        for layer in layers {
            let mut qkv = layer.qkv.forward(&layer.norm1.forward(&x)?)?;
            if let Some((of_queries, of_keys)) = &layer.qk_norm {
                let part = |n: usize| qkv.narrow(1, n * h, h)?.contiguous();
                let (q, k) = (of_queries.forward(&part(0)?)?, of_keys.forward(&part(1)?)?);
                qkv = Tensor::cat(&[q, k, part(2)?], 1)?;
            }
            let qkv = qkv.reshape((tokens, 3 * heads, h / heads))?;
            let mut qk = qkv.narrow(1, 0, 2 * heads)?;
            if let Some(rope) = rope {
                qk = rope.apply(&qk)?;
            }
            let (q, k) = (qk.narrow(1, 0, heads)?, qk.narrow(1, heads, heads)?);
            let v = qkv.narrow(1, 2 * heads, heads)?;
            let seen = within_runs(&q, &k, &v, length, self.config.causal)?;
            let seen = layer.out.forward(&seen)?;
            let scaled = |x: Tensor, scale: Option<&Tensor>| match scale {
                Some(scale) => x.broadcast_mul(scale),
                None => Ok(x),
            };
            x = (x + scaled(seen, layer.scales.as_ref().map(|s| &s.0))?)?;
            let more = layer.mlp.forward(&layer.norm2.forward(&x)?)?;
            x = (x + scaled(more, layer.scales.as_ref().map(|s| &s.1))?)?;
        }
        Ok(x)
    }
}

/// Pixel values of one picture (3, side, side) to flattened patches (patches, 3 · patch²), row by row; what is left
/// over at the right and below is not read.
pub(super) fn patches(planes: &Tensor, patch: usize, grid: usize) -> Result<Tensor> {
    let read = planes.narrow(1, 0, grid * patch)?.narrow(2, 0, grid * patch)?;
    let parts = read.reshape((3, grid, patch, grid, patch))?.permute((1, 3, 0, 2, 4))?.contiguous()?;
    parts.reshape((grid * grid, 3 * patch * patch))
}
