//! The backbone: Hiera (Ryali et al. 2023, arXiv 2306.00989) with windowed absolute positions
//! (Bolya et al. 2023, arXiv 2311.05613), as `Sam2HieraDetModel`.

use super::config::HieraConfig;
use super::resample::bicubic;
use crate::error::LoadError;
use crate::layers::fused::{attend, gelu};
use crate::layers::norm::LayerNorm;
use crate::layers::vars::Vars;
use crate::networks::windows::{partition, unpartition};
use candle_core::{Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module};

type Loaded<T> = std::result::Result<T, LoadError>;

/// Pixels to one feature map a stage.
#[derive(Debug)]
pub(crate) struct Hiera {
    patch: Conv2d,
    /// `(1, 4G, 4G, width)`.
    positions: Tensor,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    heads: usize,
    norm2: LayerNorm,
    lin1: Linear,
    lin2: Linear,
    /// Where the width changes, the residual is projected (and pooled).
    residual: Option<Linear>,
    /// Side of a window in cells; 0 for the whole grid.
    window: usize,
    /// Factor by which queries are pooled; 1 for none.
    pool: usize,
    /// The block's output is a feature map of the stage.
    last: bool,
}

impl Hiera {
    pub(crate) fn load(config: &HieraConfig, image_size: usize, vars: &Vars<'_>) -> Loaded<Self> {
        let width = config.widths[0];
        let how = Conv2dConfig { stride: 4, padding: 3, ..Conv2dConfig::default() };
        let patch = vars.conv(3, width, 7, how, "patch_embed.projection")?;
        let mut blocks = Vec::new();
        for (stage, &count) in config.blocks.iter().enumerate() {
            for place in 0..count {
                blocks.push(Block::load(config, stage, place, blocks.len(), vars)?);
            }
        }
        let positions = positions(config, image_size / 4, width, vars)?;
        Ok(Self { patch, positions, blocks })
    }

    /// `(B, 3, image_size, image_size)` normalised pixels to one map a stage, `(B, side, side,
    /// width)`, the finest first.
    pub(crate) fn forward(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = self.patch.forward(pixels)?.permute((0, 2, 3, 1))?.broadcast_add(&self.positions)?;
        let mut stages = Vec::new();
        for block in &self.blocks {
            x = block.forward(&x)?;
            if block.last {
                stages.push(x.clone());
            }
        }
        Ok(stages)
    }
}

/// The background positions resized to the grid, plus the window's positions repeated over it.
fn positions(config: &HieraConfig, grid: usize, width: usize, vars: &Vars<'_>) -> Loaded<Tensor> {
    let (back, window) = (config.background, config.windows[0]);
    let background = vars.get(&[1, width, back, back], "pos_embed")?;
    let tile = vars.get(&[1, width, window, window], "pos_embed_window")?;
    if !grid.is_multiple_of(window) {
        return Err(LoadError::Field {
            file: "config.json",
            field: "vision_config.backbone_config.window_size_per_stage".to_owned(),
            problem: format!("the first window of {window} does not divide the grid of {grid}"),
        });
    }
    let flat = |t: &Tensor| t.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>();
    let (background_values, tile_values) = (flat(&background)?, flat(&tile)?);
    let mut values = vec![0f32; grid * grid * width];
    for channel in 0..width {
        let plane = bicubic(&background_values[channel * back * back..][..back * back], back, grid);
        for row in 0..grid {
            for column in 0..grid {
                let within = tile_values[(channel * window + row % window) * window + column % window];
                values[(row * grid + column) * width + channel] = plane[row * grid + column] + within;
            }
        }
    }
    let whole = Tensor::from_vec(values, (1, grid, grid, width), &candle_core::Device::Cpu)?;
    Ok(whole.to_dtype(background.dtype())?.to_device(background.device())?)
}

impl Block {
    /// Block `place` of `stage`, number `number` of all.
    fn load(
        config: &HieraConfig,
        stage: usize,
        place: usize,
        number: usize,
        vars: &Vars<'_>,
    ) -> Loaded<Self> {
        let vars = vars.pp(&format!("blocks.{number}"));
        // The first block of a stage still has the width and the windows of the stage before.
        let before = if place == 0 { stage.saturating_sub(1) } else { stage };
        let (from, to) = (config.widths[before], config.widths[stage]);
        let global = config.global.contains(&number);
        let inner = (to as f64 * config.mlp_ratio) as usize;
        let attention = vars.pp("attn");
        Ok(Self {
            norm1: vars.layer_norm(from, config.layer_norm_eps, "layer_norm1")?,
            qkv: attention.linear(from, 3 * to, true, "qkv")?,
            proj: attention.linear(to, to, true, "proj")?,
            heads: config.heads[stage],
            norm2: vars.layer_norm(to, config.layer_norm_eps, "layer_norm2")?,
            lin1: vars.linear(to, inner, true, "mlp.proj_in")?,
            lin2: vars.linear(inner, to, true, "mlp.proj_out")?,
            residual: (from != to).then(|| vars.linear(from, to, true, "proj")).transpose()?,
            window: if global { 0 } else { config.windows[before] },
            pool: if place == 0 && stage > 0 { 2 } else { 1 },
            last: place + 1 == config.blocks[stage],
        })
    }

    /// `(B, H, W, from)` to `(B, H / pool, W / pool, to)`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.norm1.forward(x)?;
        let residual = match &self.residual {
            Some(proj) => pooled(&proj.forward(&normed)?, self.pool)?,
            None => x.clone(),
        };
        let (_, h, w, _) = residual.dims4()?;
        let attended = if self.window == 0 {
            self.attention(&normed)?
        } else {
            let windows = partition(&normed, self.window)?;
            unpartition(&self.attention(&windows)?, self.window / self.pool, h, w)?
        };
        let x = (residual + attended)?;
        let inner = gelu(self.lin1.forward(&self.norm2.forward(&x)?)?)?;
        x + self.lin2.forward(&inner)?
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (b, h, w, _) = x.dims4()?;
        let qkv = self.qkv.forward(x)?;
        let width = qkv.dim(3)? / 3;
        let head = width / self.heads;
        let part = |n: usize| qkv.narrow(3, n * width, width)?.contiguous();
        let split = |t: &Tensor| {
            let (b, h, w, _) = t.dims4()?;
            t.reshape((b, h * w, self.heads, head))?.transpose(1, 2)?.contiguous()?.reshape((
                b * self.heads,
                h * w,
                head,
            ))
        };
        let q = split(&pooled(&part(0)?, self.pool)?)?;
        let out = attend(&q, &split(&part(1)?)?, &split(&part(2)?)?, 1.0 / (head as f64).sqrt(), None)?;
        let (h, w) = (h / self.pool, w / self.pool);
        let out = out
            .reshape((b, self.heads, h * w, head))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((b, h, w, width))?;
        self.proj.forward(&out)
    }
}

/// The maxima of `factor` × `factor` cells of `(B, H, W, C)`.
fn pooled(x: &Tensor, factor: usize) -> Result<Tensor> {
    if factor == 1 {
        return Ok(x.clone());
    }
    x.permute((0, 3, 1, 2))?.contiguous()?.max_pool2d(factor)?.permute((0, 2, 3, 1))?.contiguous()
}
