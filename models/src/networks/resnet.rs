//! ResNet with bottlenecks (He et al. 2016, arXiv 1512.03385) as torchvision has it: strides in the 3 × 3 convolutions,
//! normalisation by running averages, which is folded into the convolution before it.

use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::linear::Linear;
use candle_core::{Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

/// PyTorch's epsilon of batch normalisation.
const EPS: f64 = 1e-5;
const STAGES: usize = 4;

/// A convolution with the normalisation behind it.
struct Conv {
    kernel: Tensor,
    /// (1, out, 1, 1).
    bias: Tensor,
    stride: usize,
    padding: usize,
}

impl Conv {
    /// Reads `conv.weight` and the tensors of `norm`; `side` is the kernel's.
    fn load(w: &Weights, [conv, norm]: [&str; 2], from: usize, side: usize, stride: usize) -> Loaded<Self> {
        let name = format!("{conv}.weight");
        let out = w.shape(&name).and_then(|shape| shape.first().copied()).unwrap_or_default();
        let kernel = w.tensor(&name, &[out, from, side, side])?;
        let part = |part: &str| w.tensor(&format!("{norm}.{part}"), &[out]);
        let [weight, bias, mean, variance] =
            [part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?];
        let scale = (weight / (variance + EPS)?.sqrt()?)?;
        Ok(Self {
            kernel: kernel.broadcast_mul(&scale.reshape((out, 1, 1, 1))?)?,
            bias: (bias - (mean * scale)?)?.reshape((1, out, 1, 1))?,
            stride,
            padding: side / 2,
        })
    }

    fn channels(&self) -> Loaded<usize> {
        Ok(self.kernel.dim(0)?)
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.conv2d(&self.kernel, self.padding, self.stride, 1, 1)?.broadcast_add(&self.bias)
    }
}

struct Block {
    convs: [Conv; 3],
    /// Brings what is added to the size of what comes out.
    shortcut: Option<Conv>,
}

impl Block {
    fn load(w: &Weights, prefix: &str, from: usize, stride: usize) -> Loaded<Self> {
        let name = |part: &str| format!("{prefix}.{part}");
        let conv = |n: usize, from: usize, side: usize, stride: usize| {
            Conv::load(w, [&name(&format!("conv{n}")), &name(&format!("bn{n}"))], from, side, stride)
        };
        let first = conv(1, from, 1, 1)?;
        let second = conv(2, first.channels()?, 3, stride)?;
        let third = conv(3, second.channels()?, 1, 1)?;
        let shortcut = name("downsample.0");
        let shortcut = match w.shape(&format!("{shortcut}.weight")) {
            Some(_) => Some(Conv::load(w, [&shortcut, &name("downsample.1")], from, 1, stride)?),
            None => None,
        };
        Ok(Self { convs: [first, second, third], shortcut })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.convs;
        let inner = third.forward(&second.forward(&first.forward(x)?.relu()?)?.relu()?)?;
        let own = self.shortcut.as_ref().map(|conv| conv.forward(x)).transpose()?;
        (inner + own.as_ref().unwrap_or(x))?.relu()
    }
}

/// A loaded network.
pub(crate) struct ResNet {
    stem: Conv,
    blocks: Vec<Block>,
    head: Linear,
}

impl ResNet {
    /// Reads the tensors under `prefix` (`vision_model.model.`); vectors have `width` values.
    pub(crate) fn load(w: &Weights, prefix: &str, width: usize) -> Loaded<Self> {
        let name = |part: &str| format!("{prefix}{part}");
        let stem = Conv::load(w, [&name("conv1"), &name("bn1")], 3, 7, 2)?;
        let (mut from, mut blocks) = (stem.channels()?, Vec::new());
        for stage in 1..=STAGES {
            let block = |n: usize| name(&format!("layer{stage}.{n}"));
            for n in (0..).take_while(|n| w.shape(&format!("{}.conv1.weight", block(*n))).is_some()) {
                let stride = if stage > 1 && n == 0 { 2 } else { 1 };
                let one = Block::load(w, &block(n), from, stride)?;
                from = one.convs[2].channels()?;
                blocks.push(one);
            }
        }
        Ok(Self { stem, blocks, head: Linear::load(w, &name("fc"), from, width, false)? })
    }

    /// Pixel values of one picture (3, side, side) to its vector, (1, width).
    pub(crate) fn forward(&self, planes: &Tensor) -> Result<Tensor> {
        let x = self.stem.forward(&planes.unsqueeze(0)?)?.relu()?;
        // Nothing is below 0 here, so that zeros around change no maximum.
        let x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
        let mut x = x.max_pool2d_with_stride(3, 2)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.head.forward(&x.flatten_from(2)?.mean(2)?)
    }
}
