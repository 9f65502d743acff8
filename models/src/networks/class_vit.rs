//! Vision transformers with a class token in front of the patches: CLIP's (arXiv 2103.00020) and InternViT
//! (arXiv 2312.14238).

use super::stack::{Stack, StackConfig, patches};
use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use candle_core::{Result, Tensor};

type Loaded<T> = std::result::Result<T, LoadError>;

/// Shape of a tower.
#[derive(Debug, Clone)]
pub(crate) struct ClassVitConfig {
    pub(crate) stack: StackConfig,
    /// Pixels of a side of the picture.
    pub(crate) side: usize,
    /// Pixels of a side of a patch.
    pub(crate) patch: usize,
    /// Has the projection of patches a bias (InternViT)?
    pub(crate) patch_bias: bool,
    /// Is there a norm before the layers (CLIP)?
    pub(crate) pre_norm: bool,
}

impl ClassVitConfig {
    /// Patches along a side.
    pub(crate) fn grid(&self) -> usize {
        self.side / self.patch
    }
}

/// A loaded tower.
pub(crate) struct ClassVit {
    pub(crate) config: ClassVitConfig,
    patch: Linear,
    /// The class token at its position, (1, hidden).
    class: Tensor,
    /// (patches, hidden).
    positions: Tensor,
    pre_norm: Option<Norm>,
    stack: Stack,
    numbers: Numbers,
}

impl ClassVit {
    /// Reads the tensors under `prefix` (`vision_model.`).
    pub(crate) fn load(w: &Weights, prefix: &str, config: ClassVitConfig) -> Loaded<Self> {
        let name = |part: &str| format!("{prefix}{part}");
        let (h, p, count) = (config.stack.hidden, config.patch, config.grid() * config.grid());
        let kernel = w.f32(&name("embeddings.patch_embedding.weight"), &[h, 3, p, p])?;
        let bias = match config.patch_bias {
            true => Some(w.f32(&name("embeddings.patch_embedding.bias"), &[h])?),
            false => None,
        };
        let class = flat(w, &name("embeddings.class_embedding"), [1, h])?;
        let positions = flat(w, &name("embeddings.position_embedding.weight"), [count + 1, h])?;
        Ok(Self {
            patch: Linear::from_values(w, kernel, bias, 3 * p * p, h)?,
            class: (class + positions.narrow(0, 0, 1)?)?,
            positions: positions.narrow(0, 1, count)?.contiguous()?,
            // Misspelt in CLIP's own files.
            pre_norm: match config.pre_norm {
                true => Some(config.stack.norm(w, &name("pre_layrnorm"))?),
                false => None,
            },
            stack: Stack::load(w, &name("encoder."), config.stack.clone())?,
            numbers: w.numbers.clone(),
            config,
        })
    }

    /// Pixel values of one picture (3, side, side) to (1 + patches, hidden), the class token first, after so many
    /// layers.
    pub(crate) fn forward(&self, planes: &Tensor, layers: usize) -> Result<Tensor> {
        let patches = patches(planes, self.config.patch, self.config.grid())?;
        let x = (self.patch.forward(&patches)? + &self.positions)?;
        let mut x = Tensor::cat(&[&self.class, &x], 0)?;
        if let Some(norm) = &self.pre_norm {
            x = norm.forward(&x)?;
        }
        let length = x.dim(0)?;
        self.stack.forward(x, length, layers)
    }

    /// Layers.
    pub(crate) fn depth(&self) -> usize {
        self.config.stack.depth
    }

    /// What [`ClassVit::forward`] gave after `layers` layers, through those that are left; gradients pass.
    pub(crate) fn behind(&self, x: Tensor, layers: usize) -> Result<Tensor> {
        let length = x.dim(0)?;
        self.stack.behind(x, length, layers)
    }

    /// About how many bytes [`ClassVit::forward`] takes while it computes.
    pub(crate) fn bytes(&self) -> u64 {
        let tokens = (self.config.grid() * self.config.grid() + 1) as u64;
        let pixels = 6 * (self.config.side * self.config.side) as u64;
        (pixels + self.config.stack.numbers(tokens, &self.numbers.device))
            * self.numbers.activations.size_in_bytes() as u64
    }
}

/// A tensor of so many values, whatever axes of length 1 writers put before them.
fn flat(w: &Weights, name: &str, shape: [usize; 2]) -> Loaded<Tensor> {
    let stored = w.shape(name).unwrap_or_else(|| shape.to_vec());
    let fits = stored.iter().filter(|n| **n != 1).eq(shape.iter().filter(|n| **n != 1));
    let asked = if fits { stored } else { shape.to_vec() };
    Ok(w.tensor(name, &asked)?.reshape(&shape)?)
}
