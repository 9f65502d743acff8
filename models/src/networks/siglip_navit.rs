//! SigLIP's tower made to read pictures of any size (`VideoLLaMA` 3, arXiv 2501.13106; Hulu-Med, arXiv 2510.08668): in place
//! of learned positions, queries and keys are turned by row and column. Features of slices of a volume are averaged over
//! squares of patches behind the last norm.

use super::qwen_vit::merged_order;
use super::siglip::stack_or;
use super::stack::{Stack, StackConfig};
use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::layers::rope::{Rope, inverse_frequencies};
use candle_core::{Result, Tensor};

/// Shape of the tower.
#[derive(Debug, Clone)]
pub(crate) struct NaVitConfig {
    pub(crate) stack: StackConfig,
    /// Pixels of a side of a patch.
    pub(crate) patch: usize,
}

impl NaVitConfig {
    /// As `HulumedVisionEncoderConfig` reads it; `published` has the sizes that ZJU-AI4H/SigLip-NaViT has in place of those
    /// of the class where the checkpoint does not describe its tower at all.
    pub(crate) fn read(fields: &Fields<'_>, published: bool) -> std::result::Result<Self, LoadError> {
        fields.only(&[("num_channels", "3")])?;
        let sizes = if published { [1152, 4304, 27, 16] } else { [768, 3072, 12, 12] };
        let stack = stack_or(fields, sizes)?;
        if !(stack.hidden / stack.heads).is_multiple_of(4) {
            let problem =
                format!("{} heads of {} dimensions do not split into quarters", stack.heads, stack.hidden);
            return Err(fields.bad("num_attention_heads", problem));
        }
        match fields.usize_or("patch_size", if published { 14 } else { 16 })? {
            patch @ 1..=256 => Ok(Self { stack, patch }),
            n => Err(fields.bad("patch_size", format!("{n} is out of range"))),
        }
    }
}

/// A loaded tower.
pub(crate) struct NaVit {
    pub(crate) config: NaVitConfig,
    patch: Linear,
    stack: Stack,
    norm: Norm,
    frequencies: Vec<f32>,
    numbers: Numbers,
}

impl NaVit {
    /// Reads the tensors under `prefix` (`model.vision_tower.`).
    pub(crate) fn load(
        w: &Weights,
        prefix: &str,
        config: NaVitConfig,
    ) -> std::result::Result<Self, LoadError> {
        let (stack, p) = (&config.stack, config.patch);
        let name = |part: &str| format!("{prefix}{part}");
        // The convolution's stride is its kernel, so it is one product over flattened patches.
        let kernel = w.f32(&name("embeddings.patch_embedding.weight"), &[stack.hidden, 3, p, p])?;
        let bias = w.f32(&name("embeddings.patch_embedding.bias"), &[stack.hidden])?;
        Ok(Self {
            patch: Linear::from_values(w, kernel, Some(bias), 3 * p * p, stack.hidden)?,
            stack: Stack::load(w, &name("encoder."), stack.clone())?,
            norm: Norm::layer(w, &name("post_layernorm"), stack.hidden, stack.eps)?,
            frequencies: inverse_frequencies(10_000.0, stack.hidden / stack.heads / 2),
            numbers: w.numbers.clone(),
            config,
        })
    }

    /// Patches (rows × columns, values), those of a square of `merge` × `merge` side by side, to a row a square.
    pub(crate) fn forward(
        &self,
        patches: &Tensor,
        [rows, columns]: [usize; 2],
        merge: usize,
    ) -> Result<Tensor> {
        let count = rows * columns;
        let places: Vec<(usize, usize)> = merged_order(rows, columns, merge).collect();
        let Numbers { activations, device, .. } = &self.numbers;
        let rope = Rope::on_grid(places.into_iter(), &self.frequencies, *activations, device)?;
        let x = self.stack.turned(self.patch.forward(patches)?, count, usize::MAX, Some(&rope))?;
        let x = self.norm.forward(&x)?;
        if merge == 1 {
            return Ok(x);
        }
        // What bilinear resizing to one half comes to.
        let square = merge * merge;
        x.reshape((count / square, square, self.config.stack.hidden))?.mean(1)
    }

    /// About how many bytes [`NaVit::forward`] takes while it computes so many patches.
    pub(crate) fn bytes(&self, patches: usize) -> u64 {
        let pixels = 6 * (patches * self.config.patch * self.config.patch) as u64;
        let number = self.numbers.activations.size_in_bytes() as u64;
        (pixels + self.config.stack.numbers(patches as u64, &self.numbers.device)) * number
    }
}
