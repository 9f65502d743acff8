//! The image encoder of MobileSAM and LiteMedSAM: a TinyViT (Wu et al. 2022, arXiv 2207.10666) whose last merge
//! keeps the grid, and SAM's neck. LiteMedSAM's stem looks at single pixels and keeps the grid too. Batch norms are folded into their convolutions when they are read.

use super::encoder::Neck;
use crate::error::LoadError;
use crate::layers::fused::{depthwise, gelu, softmax};
use crate::layers::norm::LayerNorm;
use crate::layers::vars::Vars;
use crate::networks::windows::{partition, unpartition};
use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module};

type Loaded<T> = std::result::Result<T, LoadError>;

/// Pixels to an embedding grid.
#[derive(Debug)]
pub(super) struct TinyVit {
    stem: [Conv; 2],
    stages: Vec<Stage>,
    neck: Neck,
}

#[derive(Debug)]
struct Stage {
    blocks: Vec<Block>,
    merge: Option<[Conv; 3]>,
}

#[derive(Debug)]
enum Block {
    /// Inverted bottleneck: widen, convolve each channel, narrow.
    Convolution([Conv; 3]),
    Attention(AttentionBlock),
}

#[derive(Debug)]
struct AttentionBlock {
    norm: LayerNorm,
    qkv: Linear,
    proj: Linear,
    /// `(1, heads, window², window²)`.
    bias: Tensor,
    window: usize,
    local: Conv,
    mlp_norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

/// A convolution with its batch norm.
#[derive(Debug)]
struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    depthwise: bool,
}

impl TinyVit {
    /// `out` is the width of the embedding; all other sizes are those of the tensors.
    pub(super) fn load(out: usize, vars: &Vars<'_>) -> Loaded<Self> {
        let stem = vars.pp("patch_embed.seq");
        let stem = [Conv::load(2, &stem.pp("0"))?, Conv::load(2, &stem.pp("2"))?];
        let stage = |n: usize| vars.pp(&format!("layers.{n}"));
        let merges = |n: usize| stage(n).shape("downsample.conv1.c.weight").is_some();
        let mut stages: Vec<Stage> = Vec::new();
        loop {
            let n = stages.len();
            let (vars, first) = (stage(n), if n == 0 { "conv1.c.weight" } else { "attn.qkv.weight" });
            let block = |m: usize| vars.pp(&format!("blocks.{m}"));
            let count = (0..).take_while(|m| block(*m).shape(first).is_some()).count();
            let load = |m: usize| match n {
                0 => convolutions(&block(m), 1).map(Block::Convolution),
                _ => AttentionBlock::load(&block(m)).map(Block::Attention),
            };
            // At least one, so that a stage that is missing is named.
            let blocks = (0..count.max(1)).map(load).collect::<Loaded<_>>()?;
            if !merges(n) {
                stages.push(Stage { blocks, merge: None });
                break;
            }
            // The last merge widens without shrinking, which keeps the grid of SAM's decoder.
            let stride = if merges(n + 1) { 2 } else { 1 };
            let merge = Some(convolutions(&vars.pp("downsample"), stride)?);
            stages.push(Stage { blocks, merge });
        }
        let neck = vars.pp("neck");
        let width = neck.shape("conv1.weight").and_then(|s| s.get(1).copied()).unwrap_or(out);
        Ok(Self { stem, stages, neck: Neck::load(width, out, &neck)? })
    }

    /// `(1, 3, S, S)` normalised pixels to `(1, C, G, G)`; `G` is `S/16`, or `S/4` with LiteMedSAM's stem.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let [first, second] = &self.stem;
        let mut x = second.forward(&gelu(first.forward(pixels)?)?)?;
        for stage in &self.stages {
            for block in &stage.blocks {
                x = match block {
                    Block::Convolution(three) => gelu((chain(three, &x)? + &x)?)?,
                    Block::Attention(block) => block.forward(&x)?,
                };
            }
            if let Some(merge) = &stage.merge {
                x = chain(merge, &x)?;
            }
        }
        self.neck.forward(&x)
    }
}

/// A 1 × 1, a depthwise and a 1 × 1 convolution.
fn convolutions(vars: &Vars<'_>, stride: usize) -> Loaded<[Conv; 3]> {
    let load = |stride: usize, name: &str| Conv::load(stride, &vars.pp(name));
    Ok([load(1, "conv1")?, load(stride, "conv2")?, load(1, "conv3")?])
}

fn chain([first, second, third]: &[Conv; 3], x: &Tensor) -> Result<Tensor> {
    third.forward(&gelu(second.forward(&gelu(first.forward(x)?)?)?)?)
}

impl Conv {
    /// Reads `c.weight` and the batch norm `bn`.
    fn load(stride: usize, vars: &Vars<'_>) -> Loaded<Self> {
        let missing = || LoadError::MissingTensor { name: vars.name("c.weight") };
        let shape = vars.shape("c.weight").ok_or_else(missing)?;
        let [out, from, side, _] = shape[..] else { return Err(missing()) };
        let weight = vars.get(&[out, from, side, side], "c.weight")?;
        let (gain, shift) = vars.pp("bn").pair(out, "weight", "bias")?;
        let (mean, variance) = vars.pp("bn").pair(out, "running_mean", "running_var")?;
        // BatchNorm2d's epsilon.
        let gain = (gain / (variance + 1e-5)?.sqrt()?)?;
        let bias = (shift - (mean * &gain)?)?;
        let weight = weight.broadcast_mul(&gain.reshape((out, 1, 1, 1))?)?;
        Ok(Self { weight, bias, stride, depthwise: from == 1 && side == 3 })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (out, _, side, _) = self.weight.dims4()?;
        if self.depthwise {
            return depthwise(x, &self.weight, &self.bias, self.stride);
        }
        let (b, from, h, w) = x.dims4()?;
        let bias = self.bias.reshape((1, out, 1, 1))?;
        if side == 1 {
            let flat = x.reshape((b, from, h * w))?;
            let y = self.weight.reshape((out, from))?.broadcast_matmul(&flat)?;
            return y.reshape((b, out, h, w))?.broadcast_add(&bias);
        }
        x.conv2d(&self.weight, side / 2, self.stride, 1, 1)?.broadcast_add(&bias)
    }
}

impl AttentionBlock {
    fn load(vars: &Vars<'_>) -> Loaded<Self> {
        let attn = vars.pp("attn");
        let missing = |name: &str| LoadError::MissingTensor { name: vars.name(name) };
        let size = |name: &str| {
            let shape = vars.shape(name).filter(|s| s.len() == 2).ok_or_else(|| missing(name))?;
            Ok::<_, LoadError>((shape[0], shape[1]))
        };
        let (out, width) = size("attn.qkv.weight")?;
        let (heads, offsets) = size("attn.attention_biases")?;
        let (inner, _) = size("mlp.fc1.weight")?;
        let window = offsets.isqrt();
        if window * window != offsets || heads == 0 || width % heads != 0 || out != 3 * width {
            let name = vars.name("attn.attention_biases");
            return Err(LoadError::Shape {
                name,
                found: vec![heads, offsets],
                expected: vec![heads, window * window],
            });
        }
        // Offsets are numbered in the order in which the first cell of a window meets them.
        let cells = || (0..window).flat_map(|y| (0..window).map(move |x| (y, x)));
        let index: Vec<u32> = cells()
            .flat_map(|(y, x)| cells().map(move |(v, u)| (y.abs_diff(v) * window + x.abs_diff(u)) as u32))
            .collect();
        let table = attn.get(&[heads, offsets], "attention_biases")?;
        let index = Tensor::from_vec(index, offsets * offsets, table.device())?;
        let bias = table.index_select(&index, 1)?.reshape((1, heads, offsets, offsets))?;
        Ok(Self {
            norm: attn.layer_norm(width, 1e-5, "norm")?,
            qkv: attn.linear(width, out, true, "qkv")?,
            proj: attn.linear(width, width, true, "proj")?,
            bias,
            window,
            local: Conv::load(1, &vars.pp("local_conv"))?,
            mlp_norm: vars.layer_norm(width, 1e-5, "mlp.norm")?,
            widen: vars.linear(width, inner, true, "mlp.fc1")?,
            narrow: vars.linear(inner, width, true, "mlp.fc2")?,
        })
    }

    /// `(1, C, H, W)` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let x = x.permute((0, 2, 3, 1))?.contiguous()?;
        let windows = self.attention(&partition(&x, self.window)?)?;
        let x = (x + unpartition(&windows, self.window, h, w)?)?;
        let x = self.local.forward(&x.permute((0, 3, 1, 2))?.contiguous()?)?;
        let x = x.permute((0, 2, 3, 1))?.contiguous()?;
        let inner = gelu(self.widen.forward(&self.mlp_norm.forward(&x)?)?)?;
        (x + self.narrow.forward(&inner)?)?.permute((0, 3, 1, 2))?.contiguous()
    }

    /// Windows `(n, side, side, C)`; cells added at the edge are attended to, as in the reference.
    fn attention(&self, windows: &Tensor) -> Result<Tensor> {
        let (n, side, _, width) = windows.dims4()?;
        let (length, heads) = (side * side, self.bias.dim(1)?);
        let head = width / heads;
        let normed = self.norm.forward(&windows.reshape((n, length, width))?)?;
        // (3, n, heads, length, head): query, key and value of a head lie side by side.
        let qkv =
            self.qkv.forward(&normed)?.reshape((n, length, heads, 3, head))?.permute((3, 0, 2, 1, 4))?;
        let qkv = qkv.contiguous()?;
        let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let scores = (q * (head as f64).powf(-0.5))?.matmul(&k.transpose(2, 3)?.contiguous()?)?;
        let shares = softmax(scores, Some(&self.bias))?;
        let out = shares.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((n, length, width))?;
        self.proj.forward(&out)?.reshape((n, side, side, width))
    }
}
