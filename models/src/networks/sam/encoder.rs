//! The image encoder: a plain ViT with windowed attention, decomposed relative positions and a
//! convolutional neck (`SamVisionEncoder`).

use super::config::VisionConfig;
use super::upconv::Overlapping;
use super::upsample::taps;
use crate::error::LoadError;
use crate::layers::fused::{Relative, attend, gelu};
use crate::layers::norm::LayerNorm;
use crate::layers::norm::norm_channels;
use crate::layers::vars::Vars;
use crate::networks::windows::{partition, unpartition};
use candle_core::{Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module};

/// Pixels to an embedding grid.
#[derive(Debug)]
pub(super) struct Vit {
    patch: Conv2d,
    positions: Option<Tensor>,
    layers: Vec<Layer>,
    neck: Neck,
}

#[derive(Debug)]
struct Layer {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    lin1: Linear,
    lin2: Linear,
    adapter: Option<Adapter>,
    /// Side of a window in patches; 0 for the whole grid.
    window: usize,
}

#[derive(Debug)]
struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
    relative: Option<(Tensor, Tensor)>,
}

/// SAM-Med2D's `Adapter_Layer` (Cheng et al. 2023, arXiv 2308.16184): channels weighted by what
/// they hold on the whole, then a convolution down and up again.
#[derive(Debug)]
struct Adapter {
    squeeze: Linear,
    excite: Linear,
    down: Conv2d,
    up: Overlapping,
    norm: LayerNorm,
}

/// Two convolutions that bring the encoder's width to the decoder's.
#[derive(Debug)]
pub(super) struct Neck {
    conv1: Conv2d,
    norm1: (Tensor, Tensor),
    conv2: Conv2d,
    norm2: (Tensor, Tensor),
}

impl Vit {
    pub(super) fn load(config: &VisionConfig, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let (width, grid) = (config.hidden_size, config.grid());
        let stride = Conv2dConfig { stride: config.patch_size, ..Conv2dConfig::default() };
        let patch = vars.conv(3, width, config.patch_size, stride, "patch_embed.projection")?;
        let positions =
            config.use_abs_pos.then(|| vars.get(&[1, grid, grid, width], "pos_embed")).transpose()?;
        let layers = (0..config.num_hidden_layers)
            .map(|n| Layer::load(config, n, &vars.pp(&format!("layers.{n}"))))
            .collect::<std::result::Result<_, _>>()?;
        let neck = Neck::load(config.hidden_size, config.output_channels, &vars.pp("neck"))?;
        Ok(Self { patch, positions, layers, neck })
    }

    /// `(B, 3, image_size, image_size)` normalised pixels to `(B, C, G, G)`.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = self.patch.forward(pixels)?.permute((0, 2, 3, 1))?.contiguous()?;
        if let Some(positions) = &self.positions {
            x = x.broadcast_add(positions)?;
        }
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        self.neck.forward(&x.permute((0, 3, 1, 2))?.contiguous()?)
    }
}

impl Layer {
    fn load(config: &VisionConfig, index: usize, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let (width, inner) = (config.hidden_size, config.mlp_dim);
        let norm = |name: &str| vars.layer_norm(width, config.layer_norm_eps, name);
        let window = if config.global_attn_indexes.contains(&index) { 0 } else { config.window_size };
        let side = if window == 0 { config.grid() } else { window };
        let heads = config.num_attention_heads.max(1);
        let attn = vars.pp("attn");
        let relative = config
            .use_rel_pos
            .then(|| {
                let table = |name: &str| {
                    // A table made for another grid is stretched to this one.
                    let rows = attn.shape(name).and_then(|s| s.first().copied()).unwrap_or(2 * side - 1);
                    Ok::<_, LoadError>(stretched(&attn.get(&[rows, width / heads], name)?, 2 * side - 1)?)
                };
                Ok::<_, LoadError>((table("rel_pos_h")?, table("rel_pos_w")?))
            })
            .transpose()?;
        let attention = Attention {
            qkv: attn.linear(width, 3 * width, config.qkv_bias, "qkv")?,
            proj: attn.linear(width, width, true, "proj")?,
            heads,
            relative,
        };
        Ok(Self {
            norm1: norm("layer_norm1")?,
            attention,
            norm2: norm("layer_norm2")?,
            lin1: vars.linear(width, inner, true, "mlp.lin1")?,
            lin2: vars.linear(inner, width, true, "mlp.lin2")?,
            adapter: config.adapters.then(|| Adapter::load(width, &vars.pp("Adapter"))).transpose()?,
            window,
        })
    }

    /// `(B, H, W, width)` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, h, w, _) = x.dims4()?;
        let normed = self.norm1.forward(x)?;
        let attended = if self.window == 0 {
            self.attention.forward(&normed)?
        } else {
            let windows = partition(&normed, self.window)?;
            unpartition(&self.attention.forward(&windows)?, self.window, h, w)?
        };
        let x = (x + attended)?;
        let normed = self.norm2.forward(&x)?;
        let inner = self.lin2.forward(&gelu(self.lin1.forward(&normed)?)?)?;
        match &self.adapter {
            None => x + inner,
            Some(adapter) => (x + inner)? + adapter.forward(&normed)?,
        }
    }
}

impl Attention {
    /// `(B, H, W, width)` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (b, h, w, width) = x.dims4()?;
        let head = width / self.heads;
        // (3, B × heads, H·W, head)
        let qkv = self
            .qkv
            .forward(x)?
            .reshape((b, h * w, 3, self.heads, head))?
            .permute((2, 0, 3, 1, 4))?
            .contiguous()?
            .reshape((3, b * self.heads, h * w, head))?;
        let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let relative = match &self.relative {
            Some((rows, columns)) => Some(relative(&q, rows, columns, h, w)?),
            None => None,
        };
        let out = attend(&q, &k, &v, 1.0 / (head as f64).sqrt(), relative.as_ref())?;
        let out = out
            .reshape((b, self.heads, h, w, head))?
            .permute((0, 2, 3, 1, 4))?
            .contiguous()?
            .reshape((b, h, w, width))?;
        self.proj.forward(&out)
    }
}

/// A table of `(rows, head)` at another number of rows: linear interpolation between the centres of
/// rows, as `get_rel_pos` does.
fn stretched(table: &Tensor, rows: usize) -> Result<Tensor> {
    let (from, _) = table.dims2()?;
    if from == rows {
        return Ok(table.clone());
    }
    let taps = taps(from, rows);
    let side = |pick: fn(&(usize, usize, f32)) -> usize| {
        let index: Vec<u32> = taps.iter().map(|t| pick(t) as u32).collect();
        table.index_select(&Tensor::from_vec(index, rows, table.device())?, 0)
    };
    let shares: Vec<f32> = taps.iter().map(|t| t.2).collect();
    let shares = Tensor::from_vec(shares, (rows, 1), table.device())?.to_dtype(table.dtype())?;
    let (before, after) = (side(|t| t.0)?, side(|t| t.1)?);
    &before + (&after - &before)?.broadcast_mul(&shares)?
}

/// The table row for every (query, key) pair along one axis: `(length, length, head)`.
fn relative_table(table: &Tensor, length: usize) -> Result<Tensor> {
    let index: Vec<u32> =
        (0..length).flat_map(|q| (0..length).map(move |k| (q + length - 1 - k) as u32)).collect();
    let index = Tensor::from_vec(index, length * length, table.device())?;
    table.index_select(&index, 0)?.reshape((length, length, table.dim(1)?))
}

/// Decomposed relative positions (Li et al. 2022, MViTv2) from the unscaled queries
/// `(B·heads, H·W, head)`.
fn relative(q: &Tensor, rows: &Tensor, columns: &Tensor, h: usize, w: usize) -> Result<Relative> {
    let (n, _, head) = q.dims3()?;
    let grid = q.reshape((n, h, w, head))?;
    // (H, n·W, head) × (H, head, H) and (W, n·H, head) × (W, head, W)
    let along = |order: [usize; 4], table: &Tensor, side: usize, other: usize| {
        grid.permute(order)?
            .contiguous()?
            .reshape((side, n * other, head))?
            .matmul(&relative_table(table, side)?.transpose(1, 2)?.contiguous()?)?
            .reshape((side, n, other, side))
    };
    let along_rows = along([1, 0, 2, 3], rows, h, w)?.permute((1, 0, 2, 3))?.contiguous()?;
    let along_columns = along([2, 0, 1, 3], columns, w, h)?.permute((1, 2, 0, 3))?.contiguous()?;
    Ok(Relative {
        along_rows: along_rows.reshape((n, h * w, h))?,
        along_columns: along_columns.reshape((n, h * w, w))?,
    })
}

impl Adapter {
    fn load(width: usize, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let inner = vars.shape("channel.0.weight").and_then(|s| s.first().copied()).unwrap_or(width / 4);
        let halving = Conv2dConfig { stride: 2, padding: 1, ..Conv2dConfig::default() };
        Ok(Self {
            squeeze: vars.linear(width, inner, false, "channel.0")?,
            excite: vars.linear(inner, width, false, "channel.2")?,
            down: Conv2d::new(vars.get(&[width, width, 3, 3], "spatial.0.weight")?, None, halving),
            up: Overlapping::load(width, width, &vars.pp("spatial.2"))?,
            norm: vars.layer_norm(width, 1e-5, "norm")?,
        })
    }

    /// `(B, H, W, width)` to the same; both sides even.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.permute((0, 3, 1, 2))?.contiguous()?;
        let (b, width, _, _) = x.dims4()?;
        let whole = self.squeeze.forward(&x.mean((2, 3))?)?.relu()?;
        let share = candle_nn::ops::sigmoid(&self.excite.forward(&whole)?)?.reshape((b, width, 1, 1))?;
        let weighted = x.broadcast_mul(&share)?;
        let spatial = self.up.forward(&self.down.forward(&weighted)?.relu()?)?.relu()?;
        self.norm.forward(&(x + spatial)?.permute((0, 2, 3, 1))?.contiguous()?)
    }
}

impl Neck {
    pub(super) fn load(width: usize, out: usize, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let padded = Conv2dConfig { padding: 1, ..Conv2dConfig::default() };
        Ok(Self {
            conv1: Conv2d::new(vars.get(&[out, width, 1, 1], "conv1.weight")?, None, Conv2dConfig::default()),
            norm1: vars.norm(out, "layer_norm1")?,
            conv2: Conv2d::new(vars.get(&[out, out, 3, 3], "conv2.weight")?, None, padded),
            norm2: vars.norm(out, "layer_norm2")?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // The class default of SamLayerNorm, whatever the config says.
        let eps = 1e-6;
        let x = norm_channels(&self.conv1.forward(x)?, &self.norm1.0, &self.norm1.1, eps)?;
        norm_channels(&self.conv2.forward(&x)?, &self.norm2.0, &self.norm2.1, eps)
    }
}
