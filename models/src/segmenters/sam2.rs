//! SAM 2 and 2.1 as `transformers` runs them.

use super::{Clues, SegmenterFamily, SegmenterLoader};
use crate::checkpoint::Checkpoint;
use crate::image_processor::ProcessorFile;
use crate::sam::Plane;
use crate::sam::recipe::{Answer, Recipe, candidates_for_one_point};
use crate::sam2::Sam2;
use crate::{LoadError, LoadOptions};
use loupe_core::{Picture, SegmentError, SegmentPrompt};
use loupe_preprocess::resize::{Backend, Filter, resize};

/// The table entry.
pub static FAMILY: SegmenterFamily = SegmenterFamily {
    name: "sam2",
    paper: "SAM 2, arXiv 2408.00714",
    examples: &["facebook/sam2.1-hiera-tiny", "facebook/sam2.1-hiera-small", "facebook/sam2.1-hiera-large"],
    recipe: "squashed to the square input (bilinear, antialiased), ImageNet mean and deviation; logits bilinear to \
             the picture, above 0",
    claims,
    load: SegmenterLoader::Picture(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// The marks that all checkpoints of the architecture show.
pub(super) fn claims(clues: &Clues<'_>) -> bool {
    clues.is("Sam2VideoModel", "sam2_video")
        || clues.is("Sam2Model", "sam2")
        || clues.has_tensor("sam_mask_decoder.")
}

/// Loads a checkpoint in the Hugging Face layout, or `model.safetensors` in the names of the `sam2`
/// repository, whose released sizes need no config.json.
///
/// # Errors
/// When a file or tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam2, LoadError> {
    Sam2::load(checkpoint, options, FAMILY.name, 1024, &|config, side| {
        let file = ProcessorFile::read(checkpoint, config)?;
        let fields = file.fields();
        let class = fields.text("image_processor_type").unwrap_or("Sam2ImageProcessorFast");
        if !class.starts_with("Sam2ImageProcessor") {
            let problem = format!("{class:?} does not prepare pictures for this family");
            return Err(fields.bad("image_processor_type", problem));
        }
        if let Some(size) = fields.object("size") {
            for edge in ["height", "width"] {
                if size.usize_or(edge, side)? != side {
                    return Err(size.bad(edge, format!("the model reads {side} × {side} pixels")));
                }
            }
        }
        for field in ["do_resize", "do_rescale", "do_normalize"] {
            if !fields.bool_or(field, true)? {
                return Err(fields.bad(field, "switching this off is not supported"));
            }
        }
        let filter = fields.usize_or("resample", 2)? as u64;
        let filter =
            Filter::from_pil_constant(filter).ok_or_else(|| fields.bad("resample", "not a filter"))?;
        let factor = fields.f64_or("rescale_factor", 1.0 / 255.0)?;
        let mean = fields.numbers("image_mean", IMAGENET_MEAN)?;
        let std = fields.numbers("image_std", IMAGENET_STD)?;
        // The class has only ever resized with torchvision.
        let backend = options.resample.unwrap_or(Backend::Torchvision);
        Ok(Box::new(Squashed::new(side, filter, backend, factor, mean, std)))
    })
}

pub(super) const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
pub(super) const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// The picture is squashed to the square input and normalised (`Sam2ImageProcessor`).
#[derive(Debug)]
pub(super) struct Squashed {
    side: usize,
    /// Value of every level of every channel.
    levels: [[f32; 256]; 3],
    filter: Filter,
    backend: Backend,
}

impl Squashed {
    /// A level becomes `(level · factor − mean) / std`.
    pub(super) fn new(
        side: usize,
        filter: Filter,
        backend: Backend,
        factor: f64,
        mean: [f64; 3],
        std: [f64; 3],
    ) -> Self {
        let levels = std::array::from_fn(|channel| {
            std::array::from_fn(|level| ((level as f64 * factor - mean[channel]) / std[channel]) as f32)
        });
        Self { side, levels, filter, backend }
    }
}

impl Recipe for Squashed {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let small = resize(picture, self.side, self.side, self.filter, self.backend)
            .map_err(|e| SegmentError::Compute(e.to_string()))?
            .to_rgb();
        let mut out = Vec::with_capacity(small.pixels().len());
        for (channel, levels) in self.levels.iter().enumerate() {
            out.extend(small.pixels().iter().skip(channel).step_by(3).map(|v| levels[usize::from(*v)]));
        }
        Ok(out)
    }

    fn filled(&self, _: usize, _: usize) -> [usize; 2] {
        [self.side, self.side]
    }

    fn refuses(&self, _: &SegmentPrompt) -> Option<&'static str> {
        None
    }

    fn answer(&self, hints: &[SegmentPrompt]) -> Answer {
        candidates_for_one_point(hints)
    }

    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        low.resized(width, height)
    }

    fn resample(&self) -> &'static str {
        self.backend.name()
    }
}
