//! SAM-Med2D: a SAM of 256 × 256 pixels with adapters, fine-tuned on 2-D medical images.

use super::sam::is_vit_sam;
use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::sam::pipeline::{Answer, InputPipeline};
use crate::networks::sam::segmenter::{Sam, SamSettings};
use crate::networks::sam::upsample::Plane;
use crate::options::LoadOptions;
use loupe_core::{Picture, SegmentError, SegmentPrompt};
use serde_json::Value;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "sam-med2d",
    paper: "SAM-Med2D, arXiv 2308.16184",
    examples: &["OpenGVLab/SAM-Med2D sam-med2d_b"],
    layouts: "the original names, as published (.pth, .pt) and as safetensors",
    licence: "Apache-2.0",
    parity: "transformers 5.23, its own parts restated from its repository: embeddings 1e-5, mask logits 5e-5",
    input: "ImageNet mean and deviation, then squashed to the square input (nearest, OpenCV's rule); of the \
             multimask output the mask with the best predicted IoU; logits bilinear to the input and to the \
             picture, above 0",
    architectures: &[],
    claims: |clues| {
        is_vit_sam(clues) && (clues.has_tensor(".blocks.0.Adapter.") || clues.is_called("sammed2d"))
    },
    box_dialect: None,
    load: Loader::Segments(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// Loads `model.safetensors` in the original names, with or without adapters.
///
/// # Errors
/// When a tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam, LoadError> {
    let pipeline = |_: &Value, side| Ok(Box::new(Squashed { side }) as Box<dyn InputPipeline>);
    Sam::load(checkpoint, options, &SamSettings { family: FAMILY.name, tiny_vit: None, pipeline: &pipeline })
}

/// `SammedPredictor`.
#[derive(Debug)]
struct Squashed {
    side: usize,
}

impl InputPipeline for Squashed {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
        const STD: [f32; 3] = [58.395, 57.12, 57.375];
        let side = self.side;
        // OpenCV's INTER_NEAREST: the pixel under the top left corner.
        let sources = |length: usize| {
            let step = 1.0 / (side as f64 / length as f64);
            (0..side).map(move |n| ((n as f64 * step).floor() as usize).min(length - 1))
        };
        let (width, channels) = (picture.width(), picture.channels());
        let mut out = Vec::with_capacity(3 * side * side);
        for (channel, (mean, std)) in MEAN.into_iter().zip(STD).enumerate() {
            let channel = channel.min(channels - 1);
            for y in sources(picture.height()) {
                let row = &picture.pixels()[y * width * channels..(y + 1) * width * channels];
                out.extend(sources(width).map(|x| (f32::from(row[x * channels + channel]) - mean) / std));
            }
        }
        Ok(out)
    }

    fn filled(&self, _: usize, _: usize) -> [usize; 2] {
        [self.side, self.side]
    }

    fn refuses(&self, _: &SegmentPrompt) -> Option<&'static str> {
        None
    }

    fn answer(&self, _: &[SegmentPrompt]) -> Answer {
        Answer::Best
    }

    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        low.resized(self.side, self.side).resized(width, height)
    }

    fn resample(&self) -> &'static str {
        "opencv nearest"
    }
}
