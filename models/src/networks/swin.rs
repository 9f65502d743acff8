//! Swin Transformer (Liu et al. 2021, arXiv 2103.14030): places attend within windows, in every second block within windows
//! that lie half a window further; between stages four neighbouring places become one. Tensors have the names of
//! `transformers` 4.

use super::stack::patches;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::fused::{gelu, softmax};
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use candle_core::{Device, Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

const EPS: f64 = 1e-5;
/// Is added to scores of places that only a shift made neighbours.
const APART: f32 = -100.0;
/// Most places of a side of a window; published ones have 7 to 24.
const MOST_WINDOW: usize = 24;

/// The windows of a grid.
struct Windows {
    /// Places of a side of a window, and windows.
    side: usize,
    count: usize,
    /// The place under each place of the windows, one window after the other; behind the last place stands padding.
    take: Tensor,
    /// Where each place is among them.
    back: Tensor,
    /// (windows, 1, places, places), where the windows are shifted.
    apart: Option<Tensor>,
}

impl Windows {
    fn new(grid: usize, side: usize, shift: usize, device: &Device) -> Result<Self> {
        let padded = grid.next_multiple_of(side);
        let (across, places) = (padded / side, side * side);
        let count = across * across;
        // Row and column in the shifted, padded picture of a place of a window.
        let cell = |n: usize| {
            let (window, place) = (n / places, n % places);
            [window / across * side + place / side, window % across * side + place % side]
        };
        let place = |n: usize| match cell(n).map(|at| (at + shift) % padded) {
            [y, x] if y < grid && x < grid => y * grid + x,
            _ => grid * grid,
        };
        let take: Vec<u32> = (0..count * places).map(|n| place(n) as u32).collect();
        let mut back = vec![0u32; grid * grid];
        for (n, place) in take.iter().enumerate() {
            if let Some(own) = back.get_mut(*place as usize) {
                *own = n as u32;
            }
        }
        let region = |at: usize| usize::from(at + side >= padded) + usize::from(at + shift >= padded);
        let regions = |n: usize| cell(n).map(region);
        let apart = |window: usize| {
            (0..places * places)
                .map(move |pair| [window * places + pair / places, window * places + pair % places])
        };
        let apart = (shift > 0).then(|| -> Result<Tensor> {
            let all = (0..count).flat_map(apart);
            let values: Vec<f32> =
                all.map(|[a, b]| if regions(a) == regions(b) { 0.0 } else { APART }).collect();
            Tensor::from_vec(values, (count, 1, places, places), device)
        });
        Ok(Self {
            side,
            count,
            take: Tensor::new(take, device)?,
            back: Tensor::new(back, device)?,
            apart: apart.transpose()?,
        })
    }
}

struct Block {
    norm1: Norm,
    qkv: Linear,
    heads: usize,
    /// (1, heads, places, places).
    bias: Tensor,
    out: Linear,
    norm2: Norm,
    up: Linear,
    down: Linear,
    windows: Windows,
}

impl Block {
    /// The `number`-th block of a stage; its window and heads are those of its table of relative positions.
    fn load(w: &Weights, prefix: &str, number: usize, width: usize, grid: usize) -> Loaded<Self> {
        let name = |part: &str| format!("{prefix}{part}");
        let table = name("attention.self.relative_position_bias_table");
        let stored = w.shape(&table).unwrap_or_default();
        let (rows, heads) = match stored[..] {
            [rows, heads] if heads > 0 && width.is_multiple_of(heads) => (rows, heads),
            _ => (0, 1),
        };
        let reach = rows.isqrt();
        // A table that fits no window, or none of this grid, has another shape than this.
        let side = reach.div_ceil(2).clamp(1, grid.clamp(1, MOST_WINDOW));
        let values = w.tensor(&table, &[(2 * side - 1).pow(2), heads])?;
        let places = side * side;
        let step = |a: usize, b: usize| a + side - 1 - b;
        let pair = |n: usize| {
            let (from, to) = (n / places, n % places);
            (step(from / side, to / side) * reach + step(from % side, to % side)) as u32
        };
        let pairs: Vec<u32> = (0..places * places).map(pair).collect();
        let bias = values.index_select(&Tensor::new(pairs, values.device())?, 0)?;
        let wide =
            w.shape(&name("intermediate.dense.weight")).and_then(|s| s.first().copied()).unwrap_or_default();
        let [q, k, v] = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        let shift = if number % 2 == 1 && grid > side { side / 2 } else { 0 };
        Ok(Self {
            norm1: Norm::layer(w, &name("layernorm_before"), width, EPS)?,
            qkv: Linear::load_stacked(w, &[(&q, width), (&k, width), (&v, width)], width, true)?,
            heads,
            bias: bias.t()?.contiguous()?.reshape((1, heads, places, places))?,
            out: Linear::load(w, &name("attention.output.dense"), width, width, true)?,
            norm2: Norm::layer(w, &name("layernorm_after"), width, EPS)?,
            up: Linear::load(w, &name("intermediate.dense"), width, wide, true)?,
            down: Linear::load(w, &name("output.dense"), wide, width, true)?,
            windows: Windows::new(grid, side, shift, values.device())?,
        })
    }

    /// (places, width) of one picture.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let seen = self.attention(&self.norm1.forward(x)?)?;
        let x = (x + seen)?;
        let inner = gelu(self.up.forward(&self.norm2.forward(&x)?)?)?;
        x + self.down.forward(&inner)?
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (_, width) = x.dims2()?;
        let Windows { side, count, take, back, apart } = &self.windows;
        let (places, heads, d) = (side * side, self.heads, width / self.heads);
        // Padding is 0 before it is projected, and attended to like any place.
        let padded = Tensor::cat(&[x, &Tensor::zeros((1, width), x.dtype(), x.device())?], 0)?;
        let qkv = self.qkv.forward(&padded.index_select(take, 0)?)?;
        let qkv = qkv.reshape((*count, places, 3, heads, d))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let scores = ((q * (d as f64).powf(-0.5))?).matmul(&k.transpose(2, 3)?.contiguous()?)?;
        let mut scores = scores.broadcast_add(&self.bias)?;
        if let Some(apart) = apart {
            scores = scores.broadcast_add(&apart.to_dtype(scores.dtype())?)?;
        }
        let seen = softmax(scores, None)?.matmul(&v)?;
        let seen = seen.transpose(1, 2)?.contiguous()?.reshape((count * places, width))?;
        self.out.forward(&seen)?.index_select(back, 0)
    }
}

/// Four neighbouring places side by side, projected to twice the width.
struct Merge {
    /// The four places of each new one, column by column; behind the last place stands padding.
    take: Tensor,
    norm: Norm,
    reduction: Linear,
}

impl Merge {
    fn load(w: &Weights, prefix: &str, width: usize, grid: usize) -> Loaded<Self> {
        let half = grid.div_ceil(2);
        let place = |y: usize, x: usize| if y < grid && x < grid { y * grid + x } else { grid * grid };
        let four = |n: usize| {
            let (y, x) = (n / half * 2, n % half * 2);
            [place(y, x), place(y + 1, x), place(y, x + 1), place(y + 1, x + 1)].map(|n| n as u32)
        };
        let take: Vec<u32> = (0..half * half).flat_map(four).collect();
        Ok(Self {
            take: Tensor::new(take, &w.numbers.device)?,
            norm: Norm::layer(w, &format!("{prefix}norm"), 4 * width, EPS)?,
            reduction: Linear::load(w, &format!("{prefix}reduction"), 4 * width, 2 * width, false)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, width) = x.dims2()?;
        let padded = Tensor::cat(&[x, &Tensor::zeros((1, width), x.dtype(), x.device())?], 0)?;
        let four = padded.index_select(&self.take, 0)?.reshape(((), 4 * width))?;
        self.reduction.forward(&self.norm.forward(&four)?)
    }
}

struct Stage {
    blocks: Vec<Block>,
    merge: Option<Merge>,
}

/// A loaded tower.
pub(crate) struct Swin {
    patch: Linear,
    patch_side: usize,
    grid: usize,
    patch_norm: Norm,
    stages: Vec<Stage>,
    norm: Norm,
    /// Values of a picture's vector.
    pub(crate) width: usize,
}

impl Swin {
    /// Reads the tensors under `prefix` (`vision_model.model.`), whose sizes they show; pictures have `side` pixels a side.
    pub(crate) fn load(w: &Weights, prefix: &str, side: usize) -> Loaded<Self> {
        let name = |part: &str| format!("{prefix}{part}");
        let projection = name("embeddings.patch_embeddings.projection");
        let kernel = w.shape(&format!("{projection}.weight")).unwrap_or_default();
        let (mut width, patch) = match kernel[..] {
            [width, _, patch, _] if (1..=side).contains(&patch) => (width, patch),
            _ => (1, 1),
        };
        let values = w.f32(&format!("{projection}.weight"), &[width, 3, patch, patch])?;
        let bias = w.f32(&format!("{projection}.bias"), &[width])?;
        let whole = side / patch;
        let patch_linear = Linear::from_values(w, values, Some(bias), 3 * patch * patch, width)?;
        let patch_norm = Norm::layer(w, &name("embeddings.norm"), width, EPS)?;
        let (mut grid, mut stages) = (whole, Vec::new());
        loop {
            let stage = name(&format!("encoder.layers.{}.", stages.len()));
            let block = |n: usize| format!("{stage}blocks.{n}.");
            let is_there = |n: &usize| w.shape(&format!("{}layernorm_before.weight", block(*n))).is_some();
            let blocks = (0..).take_while(is_there).map(|n| Block::load(w, &block(n), n, width, grid));
            let blocks = blocks.collect::<Loaded<Vec<_>>>()?;
            if blocks.is_empty() {
                break;
            }
            let merge = format!("{stage}downsample.");
            let merge = match w.shape(&format!("{merge}norm.weight")) {
                Some(_) => Some(Merge::load(w, &merge, width, grid)?),
                None => None,
            };
            if merge.is_some() {
                (width, grid) = (2 * width, grid.div_ceil(2));
            }
            stages.push(Stage { blocks, merge });
        }
        Ok(Self {
            patch: patch_linear,
            patch_side: patch,
            grid: whole,
            patch_norm,
            stages,
            norm: Norm::layer(w, &name("layernorm"), width, EPS)?,
            width,
        })
    }

    /// Pixel values of one picture (3, side, side) to the mean of its places, (1, width).
    pub(crate) fn forward(&self, planes: &Tensor) -> Result<Tensor> {
        let patches = patches(planes, self.patch_side, self.grid)?;
        let mut x = self.patch_norm.forward(&self.patch.forward(&patches)?)?;
        for stage in &self.stages {
            for block in &stage.blocks {
                x = block.forward(&x)?;
            }
            if let Some(merge) = &stage.merge {
                x = merge.forward(&x)?;
            }
        }
        self.norm.forward(&x)?.mean_keepdim(0)
    }
}
