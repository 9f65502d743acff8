//! The current frame looks at what is remembered (`Sam2VideoMemoryAttention`): self-attention, then
//! cross-attention to memories and object pointers, with rotary positions along both axes
//! (Heo et al. 2024, arXiv 2403.13298).

use super::config::{MemoryConfig, Sam2Config};
use crate::error::LoadError;
use crate::layers::multi_head::MultiHead;
use crate::layers::norm::LayerNorm;
use crate::layers::vars::Vars;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::rotary_emb::rope_i;
use candle_nn::{Linear, Module};

/// The class default of nn.LayerNorm.
const EPS: f64 = 1e-5;

/// The stack of layers.
#[derive(Debug)]
pub(crate) struct MemoryAttention {
    layers: Vec<Layer>,
    norm: LayerNorm,
    /// `(G², head / 2)`.
    cos: Tensor,
    sin: Tensor,
}

#[derive(Debug)]
struct Layer {
    own: MultiHead,
    memory: MultiHead,
    norm1: LayerNorm,
    norm2: LayerNorm,
    norm3: LayerNorm,
    lin1: Linear,
    lin2: Linear,
}

/// What is remembered, one row a token.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// `(tokens, M)`: whole grids of `G²` cells, then pointers.
    pub(crate) tokens: Tensor,
    /// Their positions in space and time, `(tokens, M)`.
    pub(crate) positions: Tensor,
    /// How many of the last rows are pointers, which have no place on the grid.
    pub(crate) pointers: usize,
}

type Loaded<T> = std::result::Result<T, LoadError>;

impl MemoryAttention {
    pub(crate) fn load(config: &Sam2Config, grid: usize, vars: &Vars<'_>) -> Loaded<Self> {
        let (width, memory) = (config.width, &config.memory);
        let (inner, heads) = (width / memory.downsample, memory.heads);
        let layers = (0..memory.layers)
            .map(|n| Layer::load(memory, [width, inner, heads], &vars.pp(&format!("layers.{n}"))))
            .collect::<Loaded<_>>()?;
        let norm = vars.layer_norm(width, EPS, "layer_norm")?;
        let (cos, sin) = axial(inner / heads, grid, memory.rope_theta, norm_device(&norm))?;
        Ok(Self { layers, norm, cos, sin })
    }

    /// Features of the current frame `(G², C)`, positions already added, to features that know the
    /// object, `(G², C)`.
    pub(crate) fn forward(&self, current: &Tensor, memory: &Remembered) -> Result<Tensor> {
        let mut x = current.clone();
        let keys = (&memory.tokens + &memory.positions)?;
        for layer in &self.layers {
            let normed = layer.norm1.forward(&x)?;
            x = (x + self.attend(&layer.own, &normed, &normed, &normed, 0)?)?;
            let normed = layer.norm2.forward(&x)?;
            x = (x + self.attend(&layer.memory, &normed, &keys, &memory.tokens, memory.pointers)?)?;
            let inner = layer.lin1.forward(&layer.norm3.forward(&x)?)?.relu()?;
            x = (x + layer.lin2.forward(&inner)?)?;
        }
        self.norm.forward(&x)
    }

    /// Queries `(G², C)` on keys and values `(length, …)`, of which the last `unplaced` are not
    /// turned.
    fn attend(
        &self,
        attention: &MultiHead,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        unplaced: usize,
    ) -> Result<Tensor> {
        let [q, k, v] = attention.project(&q.unsqueeze(0)?, &k.unsqueeze(0)?, &v.unsqueeze(0)?)?;
        let (heads, cells, head) = q.dims3()?;
        // Every remembered grid turns as the current one does.
        let turn = |x: &Tensor| {
            let grids = x.dim(1)? / cells;
            // In f32 whatever the rest is in, as the reference.
            let grid = x.reshape((heads, grids, cells, head))?.to_dtype(DType::F32)?;
            let turned = rope_i(&grid, &self.cos, &self.sin)?;
            turned.to_dtype(x.dtype())?.reshape((heads, grids * cells, head))
        };
        let placed = k.dim(1)? - unplaced;
        let turned = turn(&k.narrow(1, 0, placed)?.contiguous()?)?;
        let k =
            if unplaced == 0 { turned } else { Tensor::cat(&[turned, k.narrow(1, placed, unplaced)?], 1)? };
        attention.attend(&[turn(&q)?, k, v])?.squeeze(0)
    }
}

fn norm_device(norm: &LayerNorm) -> &Device {
    norm.0.weight().device()
}

/// Cosines and sines for the cells of the grid: the first half of the pairs turns with the column,
/// the second with the row.
fn axial(head: usize, grid: usize, theta: f64, device: &Device) -> Result<(Tensor, Tensor)> {
    let quarter = head / 4;
    let frequency = |k: usize| 1.0 / (theta as f32).powf((2 * k) as f32 / (2 * quarter) as f32);
    let mut angles = Vec::with_capacity(grid * grid * head / 2);
    for row in 0..grid {
        for column in 0..grid {
            angles.extend((0..quarter).map(|k| column as f32 * frequency(k)));
            angles.extend((0..quarter).map(|k| row as f32 * frequency(k)));
        }
    }
    let table = |f: fn(f32) -> f32| {
        let values = angles.iter().map(|a| f(*a)).collect::<Vec<_>>();
        Tensor::from_vec(values, (grid * grid, 2 * quarter), &Device::Cpu)?.to_device(device)
    };
    Ok((table(f32::cos)?, table(f32::sin)?))
}

impl Layer {
    fn load(config: &MemoryConfig, [width, inner, heads]: [usize; 3], vars: &Vars<'_>) -> Loaded<Self> {
        let norm = |name: &str| vars.layer_norm(width, EPS, name);
        let attention = |from: usize, name: &str| MultiHead::load(&vars.pp(name), width, from, inner, heads);
        let wide = config.feed_forward;
        Ok(Self {
            own: attention(width, "self_attn")?,
            memory: attention(config.channels, "cross_attn_image")?,
            norm1: norm("layer_norm1")?,
            norm2: norm("layer_norm2")?,
            norm3: norm("layer_norm3")?,
            lin1: vars.linear(width, wide, true, "linear1")?,
            lin2: vars.linear(wide, width, true, "linear2")?,
        })
    }
}
