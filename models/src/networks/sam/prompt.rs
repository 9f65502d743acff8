//! Points, boxes and masks to embeddings (`SamPromptEncoder`).

use super::config::PromptConfig;
use crate::error::LoadError;
use crate::layers::norm::norm_channels;
use crate::layers::vars::Vars;
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module};

/// Points and at most one box of one object, in pixels of the model's input.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SparsePrompt {
    /// `(x, y, inside)`.
    pub(crate) points: Vec<(f32, f32, bool)>,
    /// `[x0, y0, x1, y1]`.
    pub(crate) region: Option<[f32; 4]>,
}

/// The prompt encoder.
#[derive(Debug)]
pub(crate) struct PromptEncoder {
    /// `(2, C / 2)`: the random projection shared with the image.
    frequencies: Tensor,
    /// Outside point, inside point, top-left corner, bottom-right corner; each `(1, C)`.
    kinds: [Tensor; 4],
    nothing: Tensor,
    no_mask: Tensor,
    mask: MaskEmbedding,
    image_size: usize,
    grid: usize,
    /// SAM 2 adds the empty point whatever else there is, and once more when there is nothing.
    always_pads: bool,
}

#[derive(Debug)]
struct MaskEmbedding {
    conv1: Conv2d,
    norm1: (Tensor, Tensor),
    conv2: Conv2d,
    norm2: (Tensor, Tensor),
    conv3: Conv2d,
    eps: f64,
}

impl PromptEncoder {
    /// For an input of `image_size` pixels and an embedding of `grid` cells a side.
    pub(crate) fn load(
        config: &PromptConfig,
        [image_size, grid]: [usize; 2],
        vars: &Vars<'_>,
        frequencies: Tensor,
    ) -> std::result::Result<Self, LoadError> {
        let width = config.hidden_size;
        // SAM 2 in `transformers` keeps the four in one tensor.
        let together = vars.shape("point_embed.weight").map(|_| vars.get(&[4, width], "point_embed.weight"));
        let together = together.transpose()?;
        let kind = |n: usize| match &together {
            Some(rows) => Ok(rows.narrow(0, n, 1)?),
            None => vars.get(&[1, width], &format!("point_embed.{n}.weight")),
        };
        Ok(Self {
            frequencies,
            kinds: [kind(0)?, kind(1)?, kind(2)?, kind(3)?],
            nothing: vars.get(&[1, width], "not_a_point_embed.weight")?,
            no_mask: vars.get(&[1, width], "no_mask_embed.weight")?,
            mask: MaskEmbedding::load(config, &vars.pp("mask_embed"))?,
            image_size,
            grid,
            always_pads: false,
        })
    }

    /// The same with SAM 2's rule for empty points (`Sam2PromptEncoder`).
    pub(crate) fn always_padding(self) -> Self {
        Self { always_pads: true, ..self }
    }

    /// Side of the low-resolution mask that the decoder gives and a mask prompt has.
    pub(crate) fn mask_side(&self) -> usize {
        4 * self.grid
    }

    /// Positions `(…, 2)` in 0–1 to `(…, C)`.
    fn embed(&self, unit: &Tensor) -> Result<Tensor> {
        let centred = ((unit * 2.0)? - 1.0)?;
        let shape = centred.dims().to_vec();
        let flat = centred.reshape(((), 2))?.matmul(&self.frequencies)?;
        let turned = (flat * (2.0 * std::f64::consts::PI))?;
        let both = Tensor::cat(&[turned.sin()?, turned.cos()?], D::Minus1)?;
        let mut out = shape;
        if let Some(last) = out.last_mut() {
            *last = both.dim(1)?;
        }
        both.reshape(out)
    }

    /// The position embedding of the whole grid: `(1, C, G, G)`.
    pub(crate) fn grid_positions(&self) -> Result<Tensor> {
        let g = self.grid;
        let unit: Vec<f32> = (0..g)
            .flat_map(|y| {
                (0..g).flat_map(move |x| [(x as f32 + 0.5) / g as f32, (y as f32 + 0.5) / g as f32])
            })
            .collect();
        let unit = Tensor::from_vec(unit, (g, g, 2), self.frequencies.device())?
            .to_dtype(self.frequencies.dtype())?;
        self.embed(&unit)?.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()
    }

    /// Prompts of `N` objects with equal numbers of points and boxes: `(N, tokens, C)`.
    ///
    /// Numbers are pixel indices in SAM's sense: half a pixel is added to reach the centre. Without
    /// a box, one empty point is appended, as the original does.
    pub(crate) fn sparse(&self, prompts: &[&SparsePrompt]) -> Result<Tensor> {
        let rows = prompts.iter().map(|p| self.sparse_one(p)).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&rows, 0)
    }

    fn sparse_one(&self, prompt: &SparsePrompt) -> Result<Tensor> {
        let [outside, inside, top_left, bottom_right] = &self.kinds;
        let mut tokens = Vec::new();
        for &(x, y, positive) in &prompt.points {
            tokens.push((self.place(x, y)? + if positive { inside } else { outside })?);
        }
        match prompt.region {
            Some([x0, y0, x1, y1]) => {
                tokens.push((self.place(x0, y0)? + top_left)?);
                tokens.push((self.place(x1, y1)? + bottom_right)?);
            }
            None => tokens.push(self.nothing.clone()),
        }
        if self.always_pads && (prompt.region.is_some() || prompt.points.is_empty()) {
            tokens.push(self.nothing.clone());
        }
        Tensor::cat(&tokens, 0)
    }

    fn place(&self, x: f32, y: f32) -> Result<Tensor> {
        let side = self.image_size as f32;
        let unit = Tensor::new(&[[(x + 0.5) / side, (y + 0.5) / side]], self.device())?;
        self.embed(&unit.to_dtype(self.dtype())?)
    }

    /// The embedding that stands for "no mask": `(1, C, 1, 1)`, to be broadcast over the grid.
    pub(crate) fn dense_without_mask(&self) -> Result<Tensor> {
        self.no_mask.reshape((1, self.no_mask.dim(1)?, 1, 1))
    }

    /// Mask logits `(N, 1, 4G, 4G)` to `(N, C, G, G)`.
    pub(crate) fn dense(&self, masks: &Tensor) -> Result<Tensor> {
        self.mask.forward(masks)
    }

    /// Sparse and dense embeddings of `N` prompts; without masks, the one that stands for none.
    pub(crate) fn both(&self, prompts: &[&SparsePrompt], masks: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let dense = match masks {
            Some(masks) => self.dense(masks)?,
            None => self.dense_without_mask()?,
        };
        Ok((self.sparse(prompts)?, dense))
    }

    /// Side of the model's input.
    pub(crate) fn image_size(&self) -> usize {
        self.image_size
    }

    pub(crate) fn device(&self) -> &Device {
        self.frequencies.device()
    }

    pub(crate) fn dtype(&self) -> DType {
        self.frequencies.dtype()
    }
}

impl MaskEmbedding {
    fn load(config: &PromptConfig, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let (outer, inner) = (config.mask_input_channels, config.mask_input_channels / 4);
        let halving = Conv2dConfig { stride: 2, ..Conv2dConfig::default() };
        Ok(Self {
            conv1: vars.conv(1, inner, 2, halving, "conv1")?,
            norm1: vars.norm(inner, "layer_norm1")?,
            conv2: vars.conv(inner, outer, 2, halving, "conv2")?,
            norm2: vars.norm(outer, "layer_norm2")?,
            conv3: vars.conv(outer, config.hidden_size, 1, Conv2dConfig::default(), "conv3")?,
            eps: config.layer_norm_eps,
        })
    }

    fn forward(&self, masks: &Tensor) -> Result<Tensor> {
        let x =
            norm_channels(&self.conv1.forward(masks)?, &self.norm1.0, &self.norm1.1, self.eps)?.gelu_erf()?;
        let x =
            norm_channels(&self.conv2.forward(&x)?, &self.norm2.0, &self.norm2.1, self.eps)?.gelu_erf()?;
        self.conv3.forward(&x)
    }
}
