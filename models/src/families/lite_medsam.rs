//! LiteMedSAM: a small MedSAM, SAM's decoder behind a TinyViT of 256 pixels, prompted with boxes.

use super::mobile_sam::{self, STEM};
use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::sam::pipeline::{Answer, InputPipeline};
use crate::networks::sam::segmenter::{Sam, SamSettings};
use crate::networks::sam::upsample::Plane;
use crate::options::LoadOptions;
use loupe_core::{Picture, SegmentError, SegmentPrompt};
use loupe_preprocess::resize::opencv;
use serde_json::Value;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "lite-medsam",
    paper: "MedSAM, Nature Communications 2024, arXiv 2304.12306; its branch LiteMedSAM",
    examples: &["bowang-lab/MedSAM lite_medsam"],
    layouts: "the original names, as published (.pth) and as safetensors",
    licence: "Apache-2.0",
    parity: "the published checkpoint against the authors' network: mask logits 5e-4, masks equal; at random weights \
             embeddings 1e-5, mask logits 5e-5",
    input: "longest side to 256 pixels (OpenCV's INTER_AREA), minimum and maximum of the picture to 0 and 1, zeros \
            right and below; one box, cut to whole pixels of the input; the single-mask output; logits cropped, \
            bilinear to the picture, above 0",
    architectures: &[],
    claims: |clues| clues.no_config() && clues.shape(STEM).is_some_and(|s| s.ends_with(&[1, 1])),
    box_dialect: None,
    load: Loader::Segments(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// Loads the published file, or its tensors as `model.safetensors`.
///
/// # Errors
/// When a tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam, LoadError> {
    let pipeline = |_: &Value, side| Ok(Box::new(Shrunk { side }) as Box<dyn InputPipeline>);
    let side = Some(mobile_sam::side(checkpoint, 256)?);
    Sam::load(checkpoint, options, &SamSettings { family: FAMILY.name, tiny_vit: side, pipeline: &pipeline })
}

/// `CVPR24_LiteMedSAM_infer.py`.
#[derive(Debug)]
struct Shrunk {
    side: usize,
}

impl InputPipeline for Shrunk {
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let rgb = picture.to_rgb();
        let [columns, rows] = self.filled(rgb.width(), rgb.height());
        let small = opencv::area(rgb.pixels(), [rgb.width(), rgb.height()], 3, [columns, rows])
            .map_err(|e| SegmentError::Compute(e.to_string()))?;
        let (low, high) = small.iter().fold((255u8, 0u8), |(low, high), &v| (low.min(v), high.max(v)));
        let range = f64::from(high - low.min(high)).max(1e-8);
        let mut out = vec![0f32; 3 * self.side * self.side];
        for (channel, plane) in out.chunks_exact_mut(self.side * self.side).enumerate() {
            for (to, from) in plane.chunks_exact_mut(self.side).zip(small.chunks_exact(columns * 3)) {
                for (value, pixel) in to.iter_mut().zip(from.chunks_exact(3)) {
                    *value = (f64::from(pixel[channel] - low) / range) as f32;
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

    /// One factor for both sides, cut to whole pixels.
    fn place(&self, [x, y]: [f64; 2], width: usize, height: usize) -> [f32; 2] {
        let scale = self.side as f64 / width.max(height) as f64;
        [x, y].map(|v| (v * scale).trunc() as f32)
    }

    fn refuses(&self, prompt: &SegmentPrompt) -> Option<&'static str> {
        super::medsam::boxes_alone(prompt)
    }

    fn answer(&self, _: &[SegmentPrompt]) -> Answer {
        Answer::Single
    }

    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        let [columns, rows] = self.filled(width, height);
        low.resized(self.side, self.side).cropped(columns, rows).resized(width, height)
    }

    fn resample(&self) -> &'static str {
        "opencv area"
    }
}
