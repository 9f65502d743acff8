//! The vision towers of Qwen2-VL (arXiv 2409.12191), Qwen2.5-VL (arXiv 2502.13923) and Qwen3-VL (arXiv 2511.21631).

use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::activation::Activation;
use crate::layers::attention::within_runs;
use crate::layers::fused::gated_silu;
use crate::layers::linear::{Linear, MLP_ROWS, by_rows};
use crate::layers::norm::Norm;
use crate::layers::product::most_scores;
use crate::layers::rope::{Rope, inverse_frequencies};
use candle_core::{Result, Tensor};

/// Which of the vision towers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tower {
    /// Qwen2-VL: LayerNorm, two-layer MLP, full attention.
    Qwen2,
    /// Qwen2.5-VL: RMSNorm, gated MLP, windows except in some blocks.
    Qwen25 {
        /// Window side in pixels.
        window: usize,
        /// Blocks with full attention.
        full: Vec<usize>,
    },
    /// Qwen3-VL: LayerNorm, two-layer MLP, full attention, learned positions stretched over the picture, and features
    /// from inner blocks for the first layers of the text model (DeepStack, arXiv 2406.04334).
    Qwen3 {
        /// Learned positions along a side.
        side: usize,
        /// Blocks whose output is merged to features too, in order.
        deep: Vec<usize>,
    },
}

/// Shape of the vision tower.
#[derive(Debug, Clone)]
pub(crate) struct VitConfig {
    pub(crate) tower: Tower,
    pub(crate) depth: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) heads: usize,
    pub(crate) channels: usize,
    pub(crate) patch: usize,
    pub(crate) merge: usize,
    pub(crate) temporal: usize,
    pub(crate) out: usize,
    pub(crate) theta: f64,
    pub(crate) activation: Activation,
}

/// Epsilon of every norm of the towers.
const EPS: f64 = 1e-6;

/// Names of the parts of Qwen3-VL's mergers.
const THIRD: [&str; 3] = ["norm", "linear_fc1", "linear_fc2"];

enum Mlp {
    /// Two layers.
    Plain { up: Linear, down: Linear },
    /// Gated; gate and up side by side.
    Gated { gate_up: Linear, down: Linear },
}

struct Block {
    norm1: Norm,
    norm2: Norm,
    qkv: Linear,
    proj: Linear,
    mlp: Mlp,
    full: bool,
}

/// Squares of patches to features.
struct Merger {
    norm: Norm,
    /// Is the norm over the patches of a square together?
    joined: bool,
    up: Linear,
    down: Linear,
}

impl Merger {
    /// (patches, width) to (tokens, out); `merged` is the width of a square.
    fn forward(&self, x: &Tensor, merged: usize) -> Result<Tensor> {
        let squares = |x: &Tensor| x.reshape((x.elem_count() / merged, merged));
        let normed = match self.joined {
            true => self.norm.forward(&squares(x)?)?,
            false => squares(&self.norm.forward(x)?)?,
        };
        self.down.forward(&self.up.forward(&normed)?.gelu_erf()?)
    }
}

/// A loaded vision tower.
pub(crate) struct QwenVit {
    pub(crate) config: VitConfig,
    patch: Linear,
    /// Learned positions, (side², width).
    positions: Option<Tensor>,
    blocks: Vec<Block>,
    merger: Merger,
    /// By block.
    deep: Vec<(usize, Merger)>,
    frequencies: Vec<f32>,
    numbers: Numbers,
}

/// Order in which tokens run through the tower and which of them attend to each other.
struct Windows {
    /// Merged token at each place; `None` when the order is the natural one.
    order: Option<Vec<u32>>,
    /// Runs of equal windows: number of windows and patches a window.
    runs: Vec<(usize, usize)>,
}

impl QwenVit {
    /// Reads the tensors under `prefix` (`model.visual.`).
    pub(crate) fn load(w: &Weights, prefix: &str, config: VitConfig) -> std::result::Result<Self, LoadError> {
        let c = &config;
        let (h, wide) = (c.hidden, c.intermediate);
        let rms = matches!(c.tower, Tower::Qwen25 { .. });
        let norm = |name: &str| if rms { Norm::rms(w, name, h, EPS) } else { Norm::layer(w, name, h, EPS) };
        let third = matches!(c.tower, Tower::Qwen3 { .. });
        let block = |i: usize| -> std::result::Result<Block, LoadError> {
            let name = |part: &str| format!("{prefix}blocks.{i}.{part}");
            let mlp = if rms {
                let (gate, up) = (name("mlp.gate_proj"), name("mlp.up_proj"));
                Mlp::Gated {
                    gate_up: Linear::load_stacked(w, &[(&gate, wide), (&up, wide)], h, true)?,
                    down: Linear::load(w, &name("mlp.down_proj"), wide, h, true)?,
                }
            } else {
                let [up, down] = if third { ["linear_fc1", "linear_fc2"] } else { ["fc1", "fc2"] };
                Mlp::Plain {
                    up: Linear::load(w, &name(&format!("mlp.{up}")), h, wide, true)?,
                    down: Linear::load(w, &name(&format!("mlp.{down}")), wide, h, true)?,
                }
            };
            Ok(Block {
                norm1: norm(&name("norm1"))?,
                norm2: norm(&name("norm2"))?,
                qkv: match w.shape(&name("attn.q.weight")) {
                    // GGUF files have the three apart.
                    Some(_) => {
                        let [q, k, v] = ["q", "k", "v"].map(|part| name(&format!("attn.{part}")));
                        Linear::load_stacked(w, &[(&q, h), (&k, h), (&v, h)], h, true)?
                    }
                    None => Linear::load(w, &name("attn.qkv"), h, 3 * h, true)?,
                },
                proj: Linear::load(w, &name("attn.proj"), h, h, true)?,
                mlp,
                full: match &c.tower {
                    Tower::Qwen2 | Tower::Qwen3 { .. } => true,
                    Tower::Qwen25 { full, .. } => full.contains(&i),
                },
            })
        };
        // The convolution's stride is its kernel, so it is one product over flattened patches.
        let inputs = c.channels * c.temporal * c.patch * c.patch;
        let kernel = kernel(w, &format!("{prefix}patch_embed.proj.weight"), c)?;
        let merged = h * c.merge * c.merge;
        let merger = |name: &str, [norm, up, down]: [&str; 3], joined: bool| {
            let name = |part: &str| format!("{prefix}{name}.{part}");
            let of = if joined { merged } else { h };
            Ok::<_, LoadError>(Merger {
                norm: if rms {
                    Norm::rms(w, &name(norm), of, EPS)?
                } else {
                    Norm::layer(w, &name(norm), of, EPS)?
                },
                joined,
                up: Linear::load(w, &name(up), merged, merged, true)?,
                down: Linear::load(w, &name(down), merged, c.out, true)?,
            })
        };
        let (positions, bias, deep) = match &c.tower {
            Tower::Qwen3 { side, deep } => {
                let one = |(n, block): (usize, &usize)| {
                    Ok((*block, merger(&format!("deepstack_merger_list.{n}"), THIRD, true)?))
                };
                (
                    Some(w.tensor(&format!("{prefix}pos_embed.weight"), &[side * side, h])?),
                    Some(w.f32(&format!("{prefix}patch_embed.proj.bias"), &[h])?),
                    deep.iter().enumerate().map(one).collect::<std::result::Result<_, LoadError>>()?,
                )
            }
            _ => (None, None, Vec::new()),
        };
        Ok(Self {
            patch: Linear::from_values(w, kernel, bias, inputs, h)?,
            positions,
            blocks: (0..c.depth).map(block).collect::<std::result::Result<_, _>>()?,
            merger: merger("merger", if third { THIRD } else { ["ln_q", "mlp.0", "mlp.2"] }, false)?,
            deep,
            frequencies: inverse_frequencies(c.theta, h / c.heads / 2),
            numbers: w.numbers.clone(),
            config,
        })
    }

    /// Features of one picture: patches (patches, values a patch) to (tokens, text width), and as much again for every
    /// block that gives deep features; `grid` is frames, rows and columns of patches.
    pub(crate) fn forward(&self, patches: &Tensor, grid: [usize; 3]) -> Result<(Tensor, Vec<Tensor>)> {
        let c = &self.config;
        let unit = c.merge * c.merge;
        let windows = self.windows(grid);
        let mut x = self.patch.forward(patches)?;
        let count = x.dim(0)?;
        let mut places: Vec<(usize, usize)> = merged_order(grid[1], grid[2], c.merge).collect();
        let order = windows.order.as_deref().map(|o| Tensor::new(o, x.device())).transpose()?;
        if let (Tower::Qwen3 { side, .. }, Some(table)) = (&c.tower, &self.positions) {
            x = (x + stretched(table, *side, grid, &places)?)?;
        }
        if let (Some(order), Some(list)) = (&order, &windows.order) {
            x = x
                .reshape((count / unit, unit * c.hidden))?
                .index_select(order, 0)?
                .reshape((count, c.hidden))?;
            places = list.iter().flat_map(|o| &places[*o as usize * unit..][..unit]).copied().collect();
        }
        let Numbers { activations, device, .. } = &self.numbers;
        let rope = Rope::on_grid(places.into_iter(), &self.frequencies, *activations, device)?;
        let whole = [(1, count)];
        let merged = unit * c.hidden;
        let mut deep = Vec::with_capacity(self.deep.len());
        for (number, block) in self.blocks.iter().enumerate() {
            let runs = if block.full { &whole[..] } else { &windows.runs[..] };
            x = (&x + self.attention(block, &block.norm1.forward(&x)?, &rope, runs)?)?;
            x = (&x + by_rows(&block.norm2.forward(&x)?, |rows| self.mlp(&block.mlp, rows))?)?;
            for (_, merger) in self.deep.iter().filter(|(at, _)| *at == number) {
                deep.push(merger.forward(&x, merged)?);
            }
        }
        let out = self.merger.forward(&x, merged)?;
        let Some(list) = &windows.order else { return Ok((out, deep)) };
        let mut back = vec![0u32; list.len()];
        for (place, token) in list.iter().enumerate() {
            back[*token as usize] = place as u32;
        }
        Ok((out.index_select(&Tensor::new(back, out.device())?, 0)?, deep))
    }

    /// About how many bytes [`QwenVit::forward`] takes while it computes so many patches.
    pub(crate) fn bytes(&self, patches: usize) -> u64 {
        let c = &self.config;
        let number = self.numbers.activations.size_in_bytes() as u64;
        let patch = (c.channels * c.temporal * c.patch * c.patch) as u64;
        // Pixels; residual, normed and sum; queries, keys and values, turned and by head.
        let rows = patches as u64 * (patch + 4 * c.hidden as u64 + 9 * c.hidden as u64);
        let middle = 3 * c.intermediate as u64 * patches.min(MLP_ROWS) as u64;
        let scores = 3 * (most_scores(&self.numbers.device) as u64).min((c.heads * patches * patches) as u64);
        (rows + middle + scores) * number
    }

    fn attention(&self, block: &Block, x: &Tensor, rope: &Rope, runs: &[(usize, usize)]) -> Result<Tensor> {
        let (count, heads) = (x.dim(0)?, self.config.heads);
        let qkv = block.qkv.forward(x)?.reshape((count, 3 * heads, self.config.hidden / heads))?;
        let turned = rope.apply(&qkv.narrow(1, 0, 2 * heads)?)?;
        let (q, k, v) =
            (turned.narrow(1, 0, heads)?, turned.narrow(1, heads, heads)?, qkv.narrow(1, 2 * heads, heads)?);
        let mut at = 0;
        let mut outs = Vec::with_capacity(runs.len());
        for (windows, length) in runs {
            let n = windows * length;
            let part = |t: &Tensor| t.narrow(0, at, n);
            outs.push(within_runs(&part(&q)?, &part(&k)?, &part(&v)?, *length, false)?);
            at += n;
        }
        let out = if outs.len() == 1 { outs.swap_remove(0) } else { Tensor::cat(&outs, 0)? };
        block.proj.forward(&out)
    }

    fn mlp(&self, mlp: &Mlp, x: &Tensor) -> Result<Tensor> {
        let act = |x: Tensor| self.config.activation.apply(x);
        match mlp {
            Mlp::Plain { up, down } => down.forward(&act(up.forward(x)?)?),
            Mlp::Gated { gate_up, down } => {
                let both = gate_up.forward(x)?;
                if self.config.activation == Activation::Silu {
                    return down.forward(&gated_silu(&both)?);
                }
                let wide = self.config.intermediate;
                down.forward(&(act(both.narrow(1, 0, wide)?.contiguous()?)? * both.narrow(1, wide, wide)?)?)
            }
        }
    }

    /// Windows of merged tokens (`get_vision_window_index`), those of equal size side by side.
    /// Their order does not change the result, because it is undone after the merger.
    fn windows(&self, grid: [usize; 3]) -> Windows {
        let c = &self.config;
        let Tower::Qwen25 { window, .. } = &c.tower else {
            return Windows { order: None, runs: Vec::new() };
        };
        let side = window / c.merge / c.patch;
        let (rows, columns) = (grid[1] / c.merge, grid[2] / c.merge);
        let mut all: Vec<Vec<u32>> = Vec::new();
        for top in (0..rows).step_by(side) {
            for left in (0..columns).step_by(side) {
                let lines = top..(top + side).min(rows);
                let tokens =
                    lines.flat_map(|y| (left..(left + side).min(columns)).map(move |x| y * columns + x));
                all.push(tokens.map(|t| t as u32).collect());
            }
        }
        all.sort_by_key(Vec::len);
        let unit = c.merge * c.merge;
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for tokens in &all {
            match runs.last_mut() {
                Some((windows, length)) if *length == tokens.len() * unit => *windows += 1,
                _ => runs.push((1, tokens.len() * unit)),
            }
        }
        Windows { order: Some(all.concat()), runs }
    }
}

/// The convolution over frames of patches, (hidden, channels × frames × rows × columns); GGUF files have it frame by frame.
fn kernel(w: &Weights, name: &str, c: &VitConfig) -> std::result::Result<Vec<f32>, LoadError> {
    let frame = |number: usize| format!("{name}.{number}");
    if w.shape(&frame(0)).is_none() {
        return w.f32(name, &[c.hidden, c.channels, c.temporal, c.patch, c.patch]);
    }
    let area = c.patch * c.patch;
    let mut all = vec![0f32; c.hidden * c.channels * c.temporal * area];
    for number in 0..c.temporal {
        let values = w.f32(&frame(number), &[c.hidden, c.channels, c.patch, c.patch])?;
        let places = all.chunks_exact_mut(area).skip(number).step_by(c.temporal);
        places.zip(values.chunks_exact(area)).for_each(|(place, values)| place.copy_from_slice(values));
    }
    Ok(all)
}

/// A learned table of `side` × `side` positions at the patches of a grid, its corners on the picture's corners
/// (bilinear): (patches, width).
fn stretched(table: &Tensor, side: usize, grid: [usize; 3], places: &[(usize, usize)]) -> Result<Tensor> {
    let axis = |at: usize, length: usize| {
        let source = at as f32 * (side - 1) as f32 / length.saturating_sub(1).max(1) as f32;
        let near = source.floor();
        (near as usize, (near as usize + 1).min(side - 1), source - near)
    };
    let mut sum: Option<Tensor> = None;
    for corner in 0..4 {
        let mut rows = Vec::with_capacity(places.len());
        let mut shares = Vec::with_capacity(places.len());
        for (row, column) in places {
            let (top, bottom, down) = axis(*row, grid[1]);
            let (left, right, along) = axis(*column, grid[2]);
            let (y, of_row) = if corner < 2 { (top, 1.0 - down) } else { (bottom, down) };
            let (x, of_column) = if corner % 2 == 0 { (left, 1.0 - along) } else { (right, along) };
            rows.push((y * side + x) as u32);
            shares.push(of_row * of_column);
        }
        let shares = Tensor::from_vec(shares, (places.len(), 1), &candle_core::Device::Cpu)?
            .to_dtype(table.dtype())?
            .to_device(table.device())?;
        let part = table.index_select(&Tensor::new(rows, table.device())?, 0)?.broadcast_mul(&shares)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    sum.ok_or_else(|| candle_core::Error::Msg("no positions".into()))
}

/// Rows and columns of patches, block by block of `merge` × `merge`.
pub(crate) fn merged_order(
    rows: usize,
    columns: usize,
    merge: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let blocks = (0..rows / merge).flat_map(move |by| (0..columns / merge).map(move |bx| (by, bx)));
    blocks.flat_map(move |(by, bx)| {
        (0..merge).flat_map(move |y| (0..merge).map(move |x| (by * merge + y, bx * merge + x)))
    })
}
