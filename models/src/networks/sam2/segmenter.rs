//! A loaded SAM 2: prompts on pictures as with SAM, and objects followed through a volume.

use super::config::Sam2Config;
use super::infer::config_from_shapes;
use super::names;
use super::network::Sam2Network;
use super::tracker::Tracker;
use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::layers::vars::Vars;
use crate::networks::sam::segmenter::{MakePipeline, Opened, Sam, failed};
use crate::options::LoadOptions;
use loupe_core::segmenter::{FollowRules, Refined, by_previous_mask, why_not_continued};
use loupe_core::{Mask, ModelInfo, Picture, Segment, SegmentError, SegmentPrompt, Segmenter};
use serde_json::Value;
use std::sync::Arc;

/// A loaded SAM 2.
#[derive(Debug)]
pub struct Sam2 {
    pub(super) sam: Sam,
    pub(super) network: Arc<Sam2Network>,
    /// Missing when the checkpoint holds the network for single pictures only.
    pub(super) tracker: Option<Tracker>,
}

impl Sam2 {
    /// Loads a checkpoint; `side` is that of the input when no config.json tells it.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        family: &'static str,
        side: usize,
        pipeline: MakePipeline<'_>,
    ) -> Result<Self, LoadError> {
        let original = names::is_original(checkpoint.tensors()?.iter().map(|t| t.name.as_str()));
        let opened = Opened::open(checkpoint, options, |name| names::canonical(name, original))?;
        let sizes = match &opened.config {
            Some(config) => Sam2Config::read(config)?,
            None => config_from_shapes(&opened.weights, side)?,
        };
        let pipeline = pipeline(opened.config.as_ref().unwrap_or(&Value::Null), sizes.side)?;
        let vars = Vars::root(&opened.weights);
        let network = Arc::new(Sam2Network::load(&sizes, &vars)?);
        let remembers = vars.shape("memory_temporal_positional_encoding").is_some();
        let tracker = remembers.then(|| Tracker::load(&sizes, &vars)).transpose()?;
        let sam = Sam::assemble(checkpoint, opened, family, network.clone(), pipeline)?;
        Ok(Self { sam, network, tracker })
    }

    /// What the encoder gives for a picture, each tensor's values in row order: the coarse embedding
    /// `(C, G, G)` and the finer ones, `(C / 8, 4G, 4G)` and `(C / 4, 2G, 2G)`; computed once a
    /// content.
    ///
    /// # Errors
    /// When the computation fails.
    pub fn embeddings(&mut self, picture: &Picture) -> Result<Vec<Vec<f32>>, SegmentError> {
        let encoded = self.sam.embed(picture)?;
        let flat = |t: &candle_core::Tensor| t.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1();
        encoded.iter().take(3).map(flat).collect::<candle_core::Result<_>>().map_err(failed)
    }

    /// The same network for single pictures.
    pub fn pictures(&mut self) -> &mut Sam {
        &mut self.sam
    }
}

impl Segmenter for Sam2 {
    fn info(&self) -> &ModelInfo {
        self.sam.info()
    }

    fn segment(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Segment>, SegmentError> {
        self.sam.segment(picture, prompts)
    }

    fn refine(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
        earlier: Option<&[f32]>,
    ) -> Result<Refined, SegmentError> {
        self.sam.refine(picture, prompts, earlier)
    }

    /// With the network's memory; see [`Sam2::track`] for when an object ends. A checkpoint for
    /// single pictures is prompted from mask to mask instead.
    fn follow(
        &mut self,
        frames: &[Picture],
        start: usize,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Mask>, SegmentError> {
        if self.tracker.is_none() {
            return by_previous_mask(self, frames, start, prompts, &FollowRules::default());
        }
        self.segment_frames(frames, start, prompts)
    }

    fn why_alone(
        &mut self,
        frames: &[Picture],
        start: usize,
        first: &Mask,
    ) -> Result<Vec<String>, SegmentError> {
        if self.tracker.is_none() {
            return why_not_continued(self, frames, start, first, &FollowRules::default());
        }
        let beside = [start.checked_sub(1), Some(start + 1).filter(|n| *n < frames.len())];
        Ok(match beside.into_iter().flatten().collect::<Vec<_>>()[..] {
            [] => vec!["there are no slices beside it".to_owned()],
            ref beside => {
                let said =
                    |n: &usize| format!("slice {n}: the model's memory finds the object there no more");
                beside.iter().map(said).collect()
            }
        })
    }

    fn segment_all(
        &mut self,
        picture: &Picture,
        objects: &[Vec<SegmentPrompt>],
    ) -> Vec<Result<Vec<Segment>, SegmentError>> {
        self.sam.segment_all(picture, objects)
    }
}
