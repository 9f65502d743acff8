//! An object carried from frame to frame (`Sam2VideoModel`): what is remembered of earlier frames
//! conditions the features of the next one.

use super::config::STRIDE;
use super::config::{MemoryConfig, Sam2Config};
use super::memory_attention::{MemoryAttention, Remembered};
use super::memory_encoder::MemoryEncoder;
use super::network::{Features, Sam2Network, best, sine_positions};
use super::resample::shrunk;
use crate::error::LoadError;
use crate::layers::all_finite;
use crate::layers::vars::Vars;
use crate::networks::sam::decoder::FeedForward;
use crate::networks::sam::prompt::SparsePrompt;
use crate::networks::sam::segmenter::Network;
use crate::networks::sam::upsample::Plane;
use candle_core::{DType, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module};
use std::collections::BTreeMap;

/// Logit of every cell of a frame in which there is no object.
const NO_OBJECT: f32 = -1024.0;

/// The parts of the network that remember.
#[derive(Debug)]
pub(crate) struct Tracker {
    attention: MemoryAttention,
    encoder: MemoryEncoder,
    pointer: FeedForward,
    no_pointer: Tensor,
    mask_downsample: Conv2d,
    /// Added to the memory of a frame without the object (SAM 2.1), `(1, M)`.
    absent: Option<Tensor>,
    /// How long ago, for grids: `(num_maskmem, M)`.
    temporal: Tensor,
    /// How long ago, for pointers (SAM 2.1).
    pointer_time: Option<Linear>,
    /// Positions of the current frame's cells, `(G², C)`.
    places: Tensor,
    /// Positions of the remembered cells, `(G², M)`.
    memory_places: Tensor,
    side: usize,
    config: MemoryConfig,
}

/// What is remembered of one frame.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// `(G², M)`.
    pub(super) memory: Tensor,
    /// `(1, C)`.
    pub(super) pointer: Tensor,
}

/// What is remembered of one object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bank {
    /// Frames with prompts, by number.
    pub(crate) prompted: BTreeMap<usize, Entry>,
    /// Frames that were tracked, by number.
    pub(crate) tracked: BTreeMap<usize, Entry>,
}

/// Which way the object is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// What is said about the object in a frame, in pixels of the model's input.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    /// Points and a box.
    Sparse(SparsePrompt),
    /// A mask of 0 and 1 at the input's size; it is taken as it is.
    Mask(Plane),
}

/// One object in one frame.
#[derive(Debug, Clone)]
pub(crate) struct FrameMask {
    /// Mask logits, `4G × 4G`.
    pub(crate) logits: Plane,
    /// Logit of "the object is in this frame".
    pub(crate) object_score: f32,
    /// Predicted IoU; 1 for a mask that was given.
    pub(crate) predicted_iou: f32,
}

impl Tracker {
    pub(crate) fn load(config: &Sam2Config, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        config.memory.check(config.width)?;
        let (width, memory) = (config.width, config.memory.channels);
        let (grid, slots) = (config.side / STRIDE, config.memory.num_maskmem);
        let temporal = vars.get(&[slots, 1, 1, memory], "memory_temporal_positional_encoding")?;
        let rows = |t: Tensor| t.flatten_from(2)?.squeeze(0)?.t()?.contiguous();
        let like = |t: Tensor| t.to_dtype(temporal.dtype())?.to_device(temporal.device());
        let four = Conv2dConfig { stride: 4, ..Conv2dConfig::default() };
        let optional = |name: &str| vars.shape(name).is_some();
        let (absent, time) =
            ("occlusion_spatial_embedding_parameter", "temporal_positional_encoding_projection_layer");
        Ok(Self {
            attention: MemoryAttention::load(config, grid, &vars.pp("memory_attention"))?,
            encoder: MemoryEncoder::load(config, &vars.pp("memory_encoder"))?,
            pointer: FeedForward::load(width, width, width, 3, &vars.pp("object_pointer_proj"))?,
            no_pointer: vars.get(&[1, width], "no_object_pointer")?,
            mask_downsample: vars.conv(1, 1, 4, four, "mask_downsample")?,
            absent: optional(absent).then(|| vars.get(&[1, memory], absent)).transpose()?,
            pointer_time: optional(&format!("{time}.weight"))
                .then(|| vars.linear(width, memory, true, time))
                .transpose()?,
            places: like(rows(sine_positions(width, grid)?)?)?,
            memory_places: like(rows(sine_positions(memory, grid)?)?)?,
            temporal: temporal.reshape((slots, memory))?,
            side: config.side,
            config: config.memory.clone(),
        })
    }

    /// How many frames back anything but a prompted frame is looked at.
    pub(crate) fn reach(&self) -> usize {
        self.config.num_maskmem.max(self.config.max_pointers)
    }

    /// The object in a frame where something is said about it.
    pub(crate) fn prompted(
        &self,
        net: &Sam2Network,
        features: Features<'_>,
        given: &Given,
    ) -> Result<(FrameMask, Entry)> {
        match given {
            Given::Sparse(prompt) => {
                let points = prompt.points.len() + 2 * usize::from(prompt.region.is_some());
                let several = self.suits_multimask(points);
                let (mask, pointer) = self.head(net, features, features.alone, prompt, None, several)?;
                let memory = self.remember(features, &mask, true)?;
                Ok((mask, Entry { memory, pointer }))
            }
            Given::Mask(mask) => self.given(net, features, mask),
        }
    }

    /// The object in frame `at` of `frames`, from what is remembered.
    pub(crate) fn tracked(
        &self,
        net: &Sam2Network,
        features: Features<'_>,
        bank: &Bank,
        at: usize,
        frames: usize,
        direction: Direction,
    ) -> Result<(FrameMask, Entry)> {
        let remembered = self.recall(bank, at, frames, direction)?;
        let (_, width, grid, _) = features.coarse.dims4()?;
        let current = features.coarse.flatten_from(2)?.squeeze(0)?.t()?.contiguous()?;
        let current = (current + (&self.places * 0.1)?)?;
        let coarse = self.attention.forward(&current, &remembered)?.t()?.contiguous()?;
        let coarse = coarse.reshape((1, width, grid, grid))?;
        let several = self.config.multimask_for_tracking && self.suits_multimask(0);
        let (mask, pointer) = self.head(net, features, &coarse, &SparsePrompt::default(), None, several)?;
        let memory = self.remember(features, &mask, false)?;
        Ok((mask, Entry { memory, pointer }))
    }

    fn suits_multimask(&self, points: usize) -> bool {
        self.config.multimask_points.is_some_and(|[least, most]| (least..=most).contains(&points))
    }

    /// The mask of a prompt and the object's pointer, `(1, C)`.
    fn head(
        &self,
        net: &Sam2Network,
        features: Features<'_>,
        coarse: &Tensor,
        prompt: &SparsePrompt,
        mask: Option<&Tensor>,
        several: bool,
    ) -> Result<(FrameMask, Tensor)> {
        let out = net.decode_on(coarse, features.fine, &[prompt], mask)?;
        let (_, count, side, _) = out.masks.dims4()?;
        let mut masks: Vec<Vec<f32>> =
            out.masks.to_dtype(DType::F32)?.reshape((count, side * side))?.to_vec2()?;
        let quality: Vec<f32> = out.quality.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let object_score = match &out.object_score {
            Some(score) => score.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?.first().copied(),
            None => None,
        };
        if !masks.iter().chain([&quality]).all(|values| all_finite(values))
            || object_score.is_some_and(|score| !score.is_finite())
        {
            candle_core::bail!("mask logits or scores of masks are not finite");
        }
        let object_score = object_score.unwrap_or(f32::INFINITY);
        // The single mask keeps its own token even when a more stable mask replaces it.
        let (mask, token) = if several && count > 1 {
            let best = best(&quality);
            (best, best)
        } else {
            (net.single(&masks, &quality), 0)
        };
        let values = if object_score > 0.0 { masks.swap_remove(mask) } else { vec![NO_OBJECT; side * side] };
        let pointer = if object_score > 0.0 {
            self.pointer.forward(&out.tokens.narrow(1, token, 1)?.squeeze(1)?)?
        } else {
            self.no_pointer.clone()
        };
        let logits = Plane { width: side, height: side, values };
        let predicted_iou = quality.get(mask).copied().unwrap_or(0.0);
        Ok((FrameMask { logits, object_score, predicted_iou }, pointer))
    }

    /// A given mask is the answer of its frame; the decoder only makes the pointer. As in
    /// `transformers`, the pointer comes from the best multimask token; the original repository
    /// takes the single-mask token here.
    fn given(&self, net: &Sam2Network, features: Features<'_>, mask: &Plane) -> Result<(FrameMask, Entry)> {
        let (side, low) = (mask.width, net.prompts().mask_side());
        let tensor = self.plane(mask)?;
        let small = self.mask_downsample.forward(&tensor)?;
        let nothing = SparsePrompt::default();
        let (_, pointer) = self.head(net, features, features.coarse, &nothing, Some(&small), true)?;
        let present = mask.values.iter().any(|v| *v > 0.0);
        let values = mask.values.iter().map(|v| v * 20.0 - 10.0).collect();
        let logits = shrunk(&Plane { width: side, height: side, values }, low, low);
        let pointer = if present { pointer } else { self.no_pointer.clone() };
        let object_score = if present { 10.0 } else { -10.0 };
        let memory = self.memory(features, mask.values.clone(), object_score)?;
        Ok((FrameMask { logits, object_score, predicted_iou: 1.0 }, Entry { memory, pointer }))
    }

    /// Encodes the memory of a frame: the mask is hard where the object was prompted.
    fn remember(&self, features: Features<'_>, mask: &FrameMask, hard: bool) -> Result<Tensor> {
        let full = mask.logits.resized(self.side, self.side);
        let soft = |v: f32| 1.0 / (1.0 + (-v).exp());
        let value = |v: f32| if hard { f32::from(u8::from(v > 0.0)) } else { soft(v) };
        let shares = full.values.iter().map(|v| value(*v)).collect();
        self.memory(features, shares, mask.object_score)
    }

    /// Shares of the object (0 to 1) at the input's size to `(G², M)`.
    fn memory(&self, features: Features<'_>, shares: Vec<f32>, object_score: f32) -> Result<Tensor> {
        let (scale, bias) = (self.config.sigmoid_scale, self.config.sigmoid_bias);
        let mask = self
            .plane(&Plane { width: self.side, height: self.side, values: shares })?
            .affine(scale, bias)?;
        let memory = self.encoder.forward(features.coarse, &mask)?;
        let mut memory = memory.flatten_from(2)?.squeeze(0)?.t()?.contiguous()?;
        if let (Some(absent), false) = (&self.absent, object_score > 0.0) {
            memory = memory.broadcast_add(absent)?;
        }
        // The reference keeps memories in bfloat16 whatever it computes in.
        memory.to_dtype(DType::BF16)?.to_dtype(self.temporal.dtype())
    }

    fn plane(&self, plane: &Plane) -> Result<Tensor> {
        let shape = (1, 1, plane.height, plane.width);
        Tensor::from_slice(&plane.values, shape, self.temporal.device())?.to_dtype(self.temporal.dtype())
    }

    /// Memories and pointers that frame `at` looks at.
    fn recall(&self, bank: &Bank, at: usize, frames: usize, direction: Direction) -> Result<Remembered> {
        let back = |ago: usize| match direction {
            Direction::Up => at.checked_sub(ago),
            Direction::Down => at.checked_add(ago).filter(|n| *n < frames),
        };
        let (near, far) = self.closest(bank, at);
        // The last row of the table is for prompted frames, row n - 1 for n frames ago.
        let slots = self.config.num_maskmem;
        let mut grids: Vec<(usize, &Entry)> = near.into_iter().map(|entry| (slots - 1, entry)).collect();
        for ago in (1..slots).rev() {
            let Some(frame) = back(ago) else { continue };
            let entry = bank.tracked.get(&frame).or_else(|| far.get(&frame).copied());
            grids.extend(entry.map(|entry| (ago - 1, entry)));
        }
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        for (row, entry) in grids {
            tokens.push(entry.memory.clone());
            positions.push(self.memory_places.broadcast_add(&self.temporal.narrow(0, row, 1)?)?);
        }
        let (pointers, count) = self.pointers(bank, at, frames, direction)?;
        for (pointer, time) in pointers {
            tokens.push(pointer);
            positions.push(time);
        }
        Ok(Remembered {
            tokens: Tensor::cat(&tokens, 0)?,
            positions: Tensor::cat(&positions, 0)?,
            pointers: count,
        })
    }

    /// Prompted frames that are looked at in full, and the others.
    fn closest<'a>(&self, bank: &'a Bank, at: usize) -> (Vec<&'a Entry>, BTreeMap<usize, &'a Entry>) {
        let all = &bank.prompted;
        let most = self.config.max_prompted;
        if all.len() <= most {
            return (all.values().collect(), BTreeMap::new());
        }
        let before = all.range(..at).next_back().map(|(n, _)| *n);
        let after = all.range(at..).next().map(|(n, _)| *n);
        let mut chosen: Vec<usize> = before.into_iter().chain(after).collect();
        let mut rest: Vec<usize> = all.keys().copied().filter(|n| !chosen.contains(n)).collect();
        rest.sort_by_key(|n| n.abs_diff(at));
        chosen.extend(rest.into_iter().take(most.saturating_sub(chosen.len())));
        let (near, far): (Vec<_>, Vec<_>) = all.iter().partition(|(n, _)| chosen.contains(n));
        (near.into_iter().map(|(_, e)| e).collect(), far.into_iter().map(|(n, e)| (*n, e)).collect())
    }

    /// Pointers of frames already passed, each cut into tokens of the memory's width, with the
    /// positions that say how long ago; and the number of tokens.
    fn pointers(
        &self,
        bank: &Bank,
        at: usize,
        frames: usize,
        direction: Direction,
    ) -> Result<(Vec<(Tensor, Tensor)>, usize)> {
        let most = frames.min(self.config.max_pointers);
        let passed = |n: usize| match direction {
            Direction::Up => at.checked_sub(n),
            Direction::Down => n.checked_sub(at),
        };
        let mut found: Vec<(usize, &Entry)> =
            bank.prompted.iter().filter_map(|(n, entry)| passed(*n).map(|ago| (ago, entry))).collect();
        let recent = bank.tracked.iter().filter_map(|(n, entry)| passed(*n).map(|ago| (ago, entry)));
        found.extend(recent.filter(|(ago, _)| (1..most).contains(ago)));
        let memory = self.memory_places.dim(1)?;
        let mut out = Vec::new();
        let mut count = 0;
        for (ago, entry) in found {
            let width = entry.pointer.dim(1)?;
            let pieces = (width / memory).max(1);
            let time = match &self.pointer_time {
                Some(projection) => {
                    projection.forward(&self.moment(ago as f32 / (most as f32 - 1.0), width)?)?
                }
                None => entry.pointer.zeros_like()?.narrow(1, 0, memory)?,
            };
            out.push((
                entry.pointer.reshape((pieces, memory))?,
                time.broadcast_as((pieces, memory))?.contiguous()?,
            ));
            count += pieces;
        }
        Ok((out, count))
    }

    /// Sines, then cosines, of a moment (`get_1d_sine_pe`): `(1, width)`.
    fn moment(&self, moment: f32, width: usize) -> Result<Tensor> {
        let half = width / 2;
        let angle = |k: usize| moment / 10_000f32.powf((2 * (k / 2)) as f32 / half as f32);
        let values: Vec<f32> =
            (0..half).map(|k| angle(k).sin()).chain((0..half).map(|k| angle(k).cos())).collect();
        Tensor::from_vec(values, (1, 2 * half), self.temporal.device())?.to_dtype(self.temporal.dtype())
    }
}
