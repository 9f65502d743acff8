//! SAM 2's input: the picture squashed to the square (`Sam2ImageProcessor`).

use crate::checkpoint::Checkpoint;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use crate::networks::sam::pipeline::{Answer, InputPipeline, candidates_for_one_point};
use crate::networks::sam::upsample::Plane;
use crate::options::LoadOptions;
use crate::processors::levels::{IMAGENET, Levels};
use crate::processors::square::Square;
use loupe_core::{Picture, SegmentError, SegmentPrompt};
use loupe_preprocess::resize::{Backend, Filter};
use serde_json::Value;

/// The picture is squashed to the square input and normalised (`Sam2ImageProcessor`).
#[derive(Debug)]
pub(crate) struct Squashed(Square);

impl Squashed {
    /// To a square of `side` pixels.
    pub(crate) fn new(side: usize, filter: Filter, backend: Backend, levels: Levels) -> Self {
        Self(Square { side, filter, backend, levels })
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
        // The class has only ever resized with torchvision.
        let backend = options.resample.unwrap_or(Backend::Torchvision);
        Ok(Self(Square::read(&file, side, backend, (2, IMAGENET))?))
    }
}

impl InputPipeline for Squashed {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        self.0.planes(picture).map_err(SegmentError::Compute)
    }

    fn filled(&self, _: usize, _: usize) -> [usize; 2] {
        [self.0.side, self.0.side]
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
        self.0.backend.name()
    }
}
