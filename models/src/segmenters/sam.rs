//! SAM as its authors and `transformers` run it.

use super::{Clues, SegmenterFamily, SegmenterLoader};
use crate::checkpoint::Checkpoint;
use crate::image_processor::ProcessorFile;
use crate::sam::recipe::{Answer, Recipe, candidates_for_one_point};
use crate::sam::{Family, Plane, Sam};
use crate::{LoadError, LoadOptions};
use loupe_core::{Picture, SegmentError, SegmentPrompt};
use loupe_preprocess::resize::{Backend, Filter, resize};
use serde_json::Value;

/// The table entry.
pub static FAMILY: SegmenterFamily = SegmenterFamily {
    name: "sam",
    paper: "Segment Anything, arXiv 2304.02643",
    examples: &["facebook/sam-vit-base", "facebook/sam-vit-large", "facebook/sam-vit-huge"],
    recipe: RECIPE,
    claims: is_vit_sam,
    load: SegmenterLoader::Picture(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

pub(super) const RECIPE: &str = "longest side to the input's size (bilinear, antialiased), ImageNet mean and \
                                 deviation, zeros right and below; three candidates for a single point, else one \
                                 mask; logits bilinear to the input, cropped, bilinear to the picture, above 0";

/// The network of SAM, whatever the recipe.
pub(super) fn is_vit_sam(clues: &Clues<'_>) -> bool {
    clues.is("SamModel", "sam") || (clues.no_config() && clues.has_tensor("image_encoder.blocks.0.attn.qkv"))
}

/// Loads a checkpoint in the Hugging Face layout, or one with `model.safetensors` in the original
/// names and no config.json, with the recipe of this family.
///
/// # Errors
/// When a file or tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam, LoadError> {
    let recipe = |config: &Value, side| padded(checkpoint, options, config, side);
    Sam::load(checkpoint, options, &Family { name: FAMILY.name, tiny_vit: None, recipe: &recipe })
}

/// The recipe with the numbers of the checkpoint's processor file.
pub(super) fn padded(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    config: &Value,
    side: usize,
) -> Result<Box<dyn Recipe>, LoadError> {
    let file = ProcessorFile::read(checkpoint, config)?;
    let fields = file.fields();
    let class = fields.text("image_processor_type").unwrap_or("SamImageProcessor");
    if !class.starts_with("SamImageProcessor") {
        let problem = format!("{class:?} does not prepare pictures for this family");
        return Err(fields.bad("image_processor_type", problem));
    }
    for (part, edge) in [("size", "longest_edge"), ("pad_size", "height"), ("pad_size", "width")] {
        let Some(size) = fields.object(part) else { continue };
        if size.usize_or(edge, side)? != side {
            return Err(size.bad(edge, format!("the model reads {side} × {side} pixels")));
        }
    }
    for field in ["do_resize", "do_rescale", "do_normalize", "do_pad"] {
        if !fields.bool_or(field, true)? {
            return Err(fields.bad(field, "switching this off is not supported"));
        }
    }
    let filter = fields.usize_or("resample", 2)? as u64;
    let filter = Filter::from_pil_constant(filter).ok_or_else(|| fields.bad("resample", "not a filter"))?;
    let factor = fields.f64_or("rescale_factor", 1.0 / 255.0)?;
    let mean = fields.numbers("image_mean", [0.485, 0.456, 0.406])?;
    let std = fields.numbers("image_std", [0.229, 0.224, 0.225])?;
    let backend = options.resample.unwrap_or_else(|| file.backend(class));
    let levels = std::array::from_fn(|channel| {
        std::array::from_fn(|level| ((level as f64 * factor - mean[channel]) / std[channel]) as f32)
    });
    Ok(Box::new(Padded { side, levels, filter, backend }))
}

/// `SamImageProcessor`; `ResizeLongestSide` and `Sam.preprocess` of the original.
#[derive(Debug)]
struct Padded {
    side: usize,
    /// Value of every level of every channel.
    levels: [[f32; 256]; 3],
    filter: Filter,
    backend: Backend,
}

impl Recipe for Padded {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let [columns, rows] = self.filled(picture.width(), picture.height());
        let small = resize(picture, columns, rows, self.filter, self.backend)
            .map_err(|e| SegmentError::Compute(e.to_string()))?
            .to_rgb();
        let side = self.side;
        let mut out = vec![0f32; 3 * side * side];
        for (channel, (plane, levels)) in out.chunks_exact_mut(side * side).zip(&self.levels).enumerate() {
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

    fn answer(&self, hints: &[SegmentPrompt]) -> Answer {
        candidates_for_one_point(hints)
    }

    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        let [columns, rows] = self.filled(width, height);
        low.resized(self.side, self.side).cropped(columns, rows).resized(width, height)
    }

    fn resample(&self) -> &'static str {
        self.backend.name()
    }
}
