//! SAM 2's input: the picture squashed to the square (`Sam2ImageProcessor`).

use crate::checkpoint::Checkpoint;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use crate::networks::sam::pipeline::{Answer, InputPipeline, candidates_for_one_point};
use crate::networks::sam::upsample::Plane;
use crate::options::LoadOptions;
use crate::processors::levels::{IMAGENET, Levels};
use loupe_core::{Picture, SegmentError, SegmentPrompt};
use loupe_preprocess::resize::{Backend, Filter, resize};
use serde_json::Value;

/// The picture is squashed to the square input and normalised (`Sam2ImageProcessor`).
#[derive(Debug)]
pub(crate) struct Squashed {
    side: usize,
    levels: Levels,
    filter: Filter,
    backend: Backend,
}

impl Squashed {
    /// To a square of `side` pixels.
    pub(crate) fn new(side: usize, filter: Filter, backend: Backend, levels: Levels) -> Self {
        Self { side, levels, filter, backend }
    }

    /// With the numbers of the checkpoint's processor file.
    pub(crate) fn read(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        config: &Value,
        side: usize,
    ) -> Result<Self, LoadError> {
        let file = ProcessorFile::read(checkpoint, config)?;
        file.class(&["Sam2ImageProcessor"])?;
        file.need_side(side, &[("size", "height"), ("size", "width")])?;
        file.need_steps(&["do_resize", "do_rescale", "do_normalize"], &[])?;
        // The class has only ever resized with torchvision.
        let backend = options.resample.unwrap_or(Backend::Torchvision);
        Ok(Self::new(side, file.filter(2)?, backend, Levels::read(&file.fields(), IMAGENET)?))
    }
}

impl InputPipeline for Squashed {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let small = resize(picture, self.side, self.side, self.filter, self.backend)
            .map_err(|e| SegmentError::Compute(e.to_string()))?
            .to_rgb();
        Ok(self.levels.planes(&small))
    }

    fn filled(&self, _: usize, _: usize) -> [usize; 2] {
        [self.side, self.side]
    }

    fn refuses(&self, _: &SegmentPrompt) -> Option<&'static str> {
        None
    }

    fn answer(&self, prompts: &[SegmentPrompt]) -> Answer {
        candidates_for_one_point(prompts)
    }

    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        low.resized(width, height)
    }

    fn resample(&self) -> &'static str {
        self.backend.name()
    }
}
