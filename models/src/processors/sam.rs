//! SAM's input: the longest side to the input's, zeros right and below (`SamImageProcessor`).

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

/// `SamImageProcessor`; `ResizeLongestSide` and `Sam.preprocess` of the original.
#[derive(Debug)]
pub(crate) struct Padded {
    side: usize,
    levels: Levels,
    filter: Filter,
    backend: Backend,
}

impl Padded {
    /// With the numbers of the checkpoint's processor file.
    pub(crate) fn read(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        config: &Value,
        side: usize,
    ) -> Result<Self, LoadError> {
        let file = ProcessorFile::read(checkpoint, config)?;
        let class = file.class(&["SamImageProcessor"])?;
        file.need_side(side, &[("size", "longest_edge"), ("pad_size", "height"), ("pad_size", "width")])?;
        file.need_steps(&["do_resize", "do_rescale", "do_normalize", "do_pad"], &[])?;
        Ok(Self {
            side,
            levels: Levels::read(&file.fields(), IMAGENET)?,
            filter: file.filter(2)?,
            backend: options.resample.unwrap_or_else(|| file.backend(&class)),
        })
    }
}

impl InputPipeline for Padded {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let [columns, rows] = self.filled(picture.width(), picture.height());
        let small = resize(picture, columns, rows, self.filter, self.backend)
            .map_err(|e| SegmentError::Compute(e.to_string()))?
            .to_rgb();
        let side = self.side;
        let mut out = vec![0f32; 3 * side * side];
        for (channel, (plane, levels)) in
            out.chunks_exact_mut(side * side).zip(self.levels.channels()).enumerate()
        {
            for (to, from) in plane.chunks_exact_mut(side).zip(small.pixels().chunks_exact(columns * 3)) {
                for (value, pixel) in to.iter_mut().zip(from.chunks_exact(3)) {
                    *value = levels[usize::from(pixel[channel])];
                }
            }
        }
        Ok(out)
    }

    /// `int(length · scale + 0.5)` with the scale that brings the longest side to the input's.
    fn filled(&self, width: usize, height: usize) -> [usize; 2] {
        let scale = self.side as f64 / width.max(height) as f64;
        [width, height].map(|n| ((n as f64 * scale + 0.5) as usize).clamp(1, self.side))
    }

    fn refuses(&self, _: &SegmentPrompt) -> Option<&'static str> {
        None
    }

    fn answer(&self, prompts: &[SegmentPrompt]) -> Answer {
        candidates_for_one_point(prompts)
    }

    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        let [columns, rows] = self.filled(width, height);
        low.resized(self.side, self.side).cropped(columns, rows).resized(width, height)
    }

    fn resample(&self) -> &'static str {
        self.backend.name()
    }
}
