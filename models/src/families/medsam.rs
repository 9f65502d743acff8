//! MedSAM: a SAM ViT-B fine-tuned on medical images, prompted with boxes.

use super::sam::is_vit_sam;
use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::sam::pipeline::{Answer, InputPipeline};
use crate::networks::sam::segmenter::{Sam, SamSettings};
use crate::networks::sam::upsample::Plane;
use crate::options::LoadOptions;
use loupe_core::{Picture, SegmentError, SegmentPrompt};
use loupe_preprocess::resize::skimage;
use serde_json::Value;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "medsam",
    paper: "MedSAM, Nature Communications 2024, arXiv 2304.12306",
    examples: &["bowang-lab/MedSAM medsam_vit_b", "wanglab/medsam-vit-base"],
    layouts: "Hugging Face folders, and the original names, as published (.pth) and as safetensors",
    licence: "Apache-2.0",
    parity: "transformers 5.23 with MedSAM's own preparation: embeddings 1e-5, mask logits 5e-5",
    input: "squashed to the square input (scikit-image's cubic spline with anti-aliasing, cut to 8 bits), its \
             minimum and maximum to 0 and 1; one box, the single-mask output; probabilities bilinear to the \
             picture, above 0.5",
    // Nothing in the tensors tells a MedSAM from a SAM, so its name has to.
    architectures: &[],
    claims: |clues| is_vit_sam(clues) && clues.is_called("medsam"),
    box_dialect: None,
    load: Loader::Segments(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// Loads a SAM in either dialect of names with the pipeline of MedSAM.
///
/// # Errors
/// When a tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam, LoadError> {
    let pipeline = |_: &Value, side| Ok(Box::new(MinMax { side }) as Box<dyn InputPipeline>);
    Sam::load(checkpoint, options, &SamSettings { family: FAMILY.name, tiny_vit: None, pipeline: &pipeline })
}

/// The kind of a prompt to a network that was taught boxes alone. (No network takes phrases; their refusal is the
/// same for all.)
pub(super) fn boxes_alone(prompt: &SegmentPrompt) -> Option<&'static str> {
    match prompt {
        SegmentPrompt::Point { .. } => Some("point"),
        SegmentPrompt::Mask(_) => Some("mask"),
        SegmentPrompt::Box(_) | SegmentPrompt::Phrase(_) => None,
    }
}

/// `MedSAM_Inference.py`.
#[derive(Debug)]
struct MinMax {
    side: usize,
}

impl InputPipeline for MinMax {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let side = self.side;
        let rgb = picture.to_rgb();
        let small = skimage::cubic_rgb(rgb.pixels(), [rgb.width(), rgb.height()], [side, side])
            .map_err(|e| SegmentError::Compute(e.to_string()))?;
        let (low, high) = small.iter().fold((255u8, 0u8), |(low, high), &v| (low.min(v), high.max(v)));
        let range = f64::from(high - low.min(high)).max(1e-8);
        let unit = |v: &u8| (f64::from(v - low) / range) as f32;
        Ok((0..3).flat_map(|channel| small.iter().skip(channel).step_by(3).map(unit)).collect())
    }

    fn filled(&self, _: usize, _: usize) -> [usize; 2] {
        [self.side, self.side]
    }

    fn refuses(&self, prompt: &SegmentPrompt) -> Option<&'static str> {
        boxes_alone(prompt)
    }

    fn answer(&self, _: &[SegmentPrompt]) -> Answer {
        Answer::Single
    }

    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        let share = |v: &f32| 1.0 / (1.0 + (-v).exp());
        let shares = Plane { values: low.values.iter().map(share).collect(), ..*low };
        let mut out = shares.resized(width, height);
        out.values.iter_mut().for_each(|v| *v -= 0.5);
        out
    }

    fn resample(&self) -> &'static str {
        "scikit-image"
    }
}
