//! The network of SAM 2 for single pictures.

use super::config::{STRIDE, Sam2Config, Stability};
use super::hiera::Hiera;
use super::neck::Neck;
use crate::error::LoadError;
use crate::layers::vars::Vars;
use crate::networks::sam::decoder::{DecoderOutput, MaskDecoder};
use crate::networks::sam::prompt::{PromptEncoder, SparsePrompt};
use crate::networks::sam::segmenter::Network;
use candle_core::{DType, Result, Tensor};

/// What the image encoder gives for one picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Features<'a> {
    /// The coarsest level as a picture without history has it, `(1, C, G, G)`.
    pub(super) alone: &'a Tensor,
    /// The finer levels as the decoder projects them, `(1, C/8, 4G, 4G)` and `(1, C/4, 2G, 2G)`.
    pub(super) fine: &'a [Tensor],
    /// The coarsest level, `(1, C, G, G)`.
    pub(super) coarse: &'a Tensor,
}

impl<'a> Features<'a> {
    /// What [`Network::encode`] of this network gave.
    pub(crate) fn of(encoded: &'a [Tensor]) -> Result<Self> {
        let [alone, fine @ .., coarse] = encoded else { candle_core::bail!("the picture was not encoded") };
        Ok(Self { alone, fine, coarse })
    }
}

/// The network for single pictures.
#[derive(Debug)]
pub(crate) struct Sam2Network {
    backbone: Hiera,
    neck: Neck,
    /// Stands for "nothing remembered": `(1, C, 1, 1)`.
    no_memory: Tensor,
    prompts: PromptEncoder,
    decoder: MaskDecoder,
    /// Positions of the coarsest grid for the decoder, `(1, C, G, G)`.
    positions: Tensor,
    /// The single mask counts only when its area hardly depends on the threshold
    /// (`dynamic_multimask_via_stability`).
    stability: Option<Stability>,
}

impl Sam2Network {
    pub(crate) fn load(config: &Sam2Config, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let width = config.width;
        let frequencies = vars.get(&[2, width / 2], "shared_image_embedding.positional_embedding")?;
        let prompt = vars.pp("prompt_encoder");
        if prompt.shape("shared_embedding.positional_embedding").is_some() {
            let copy = prompt.get(&[2, width / 2], "shared_embedding.positional_embedding")?;
            let flat = |t: &Tensor| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
            if flat(&copy)? != flat(&frequencies)? {
                return Err(LoadError::Field {
                    file: "model.safetensors",
                    field: "prompt_encoder.shared_embedding.positional_embedding".to_owned(),
                    problem: "must equal shared_image_embedding.positional_embedding".to_owned(),
                });
            }
        }
        let extent = [config.side, config.side / STRIDE];
        let prompts = PromptEncoder::load(&config.prompt, extent, &prompt, frequencies)?.always_padding();
        let positions = prompts.grid_positions()?;
        let encoder = vars.pp("vision_encoder");
        Ok(Self {
            backbone: Hiera::load(&config.backbone, config.side, &encoder.pp("backbone"))?,
            neck: Neck::load(config, &encoder.pp("neck"))?,
            no_memory: vars.get(&[1, 1, width], "no_memory_embedding")?.reshape((1, width, 1, 1))?,
            prompts,
            decoder: MaskDecoder::load(&config.decoder, &vars.pp("mask_decoder"))?,
            positions,
            stability: config.stability,
        })
    }

    /// Decodes prompts on one picture; `coarse` are its features, with or without memory.
    pub(crate) fn decode_on(
        &self,
        coarse: &Tensor,
        fine: &[Tensor],
        prompts: &[&SparsePrompt],
        masks: Option<&Tensor>,
    ) -> Result<DecoderOutput> {
        let (sparse, dense) = self.prompts.both(prompts, masks)?;
        self.decoder.forward(coarse, &self.positions, &sparse, &dense, fine)
    }
}

impl Network for Sam2Network {
    /// In the order that [`Features::of`] expects.
    fn encode(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        let [finest, middle, coarse] = self.neck.forward(&self.backbone.forward(pixels)?)?;
        let mut out = vec![coarse.broadcast_add(&self.no_memory)?];
        out.extend(self.decoder.project([&finest, &middle])?);
        out.push(coarse);
        Ok(out)
    }

    fn decode(
        &self,
        image: &[Tensor],
        prompts: &[&SparsePrompt],
        masks: Option<&Tensor>,
    ) -> Result<DecoderOutput> {
        let features = Features::of(image)?;
        self.decode_on(features.alone, features.fine, prompts, masks)
    }

    fn prompts(&self) -> &PromptEncoder {
        &self.prompts
    }

    /// As `SAM2ImagePredictor` clamps what it returns.
    fn most_logit(&self) -> Option<f32> {
        Some(32.0)
    }

    fn single(&self, masks: &[Vec<f32>], quality: &[f32]) -> usize {
        let (Some(stability), Some(single)) = (self.stability, masks.first()) else { return 0 };
        let above = |level: f32| single.iter().filter(|v| **v > level).count() as f32;
        let (inner, outer) = (above(stability.delta), above(-stability.delta));
        if outer == 0.0 || inner / outer >= stability.least { 0 } else { best(quality) }
    }
}

/// The multimask output (1 …) of highest predicted IoU, the first one among equals.
pub(crate) fn best(quality: &[f32]) -> usize {
    let later = quality.iter().enumerate().skip(1);
    later.fold((0, f32::NEG_INFINITY), |best, (n, &q)| if q > best.1 { (n, q) } else { best }).0
}

/// The fixed positions of DETR (Carion et al. 2020) on a `side` × `side` grid, `(1, width, side,
/// side)`: rows in the first half of the channels, columns in the second, normalised to one turn.
pub(crate) fn sine_positions(width: usize, side: usize) -> Result<Tensor> {
    let half = width / 2;
    let frequency = |k: usize| 10_000f32.powf((2 * (k / 2)) as f32 / half as f32);
    let turn = 2.0 * std::f64::consts::PI as f32;
    let place = |n: usize| (n + 1) as f32 / (side as f32 + 1e-6) * turn;
    let wave = |n: usize, k: usize| {
        let angle = place(n) / frequency(k);
        if k.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    let mut values = Vec::with_capacity(width * side * side);
    for channel in 0..width {
        for row in 0..side {
            for column in 0..side {
                values.push(if channel < half { wave(row, channel) } else { wave(column, channel - half) });
            }
        }
    }
    Tensor::from_vec(values, (1, width, side, side), &candle_core::Device::Cpu)
}
