//! Scripted models and small volumes for the tests of commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use loupe_core::dialect::{PictureSizes, dialect};
use loupe_core::{
    Ask, LpsFromIndex, Mask, Modality, ModelError, ModelInfo, Picture, Point2, Reply, ReplySink, Segment,
    SegmentError, SegmentPrompt, Segmenter, VisionLanguageModel, Volume,
};
use ndarray::Array3;
use std::collections::VecDeque;
use std::path::Path;

pub(crate) fn info(name: &str) -> ModelInfo {
    ModelInfo {
        family: "script".into(),
        name: name.into(),
        weights_sha256: String::new(),
        parameters: 0,
        dtype: "f32".into(),
        device: "cpu".into(),
        resample: "pillow".into(),
        box_dialect: "point-detect-count".into(),
        context_tokens: 4096,
    }
}

/// Says its lines in order; boxes in them are pixels of the last picture of the ask.
pub(crate) struct Script {
    info: ModelInfo,
    lines: VecDeque<String>,
    pub(crate) asks: Vec<Ask>,
}

impl Script {
    pub(crate) fn new(lines: &[&str]) -> Self {
        Self {
            info: info("script"),
            lines: lines.iter().map(|l| (*l).to_owned()).collect(),
            asks: Vec::new(),
        }
    }
}

impl VisionLanguageModel for Script {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn generate(&mut self, asks: &[Ask], _: &mut dyn ReplySink) -> Vec<Result<Reply, ModelError>> {
        let one = |ask: &Ask| {
            self.asks.push(ask.clone());
            let line = self.lines.pop_front();
            let mut reply = Reply::from_text(line.ok_or(ModelError::Compute("no more lines".into()))?);
            let dialect = dialect(&self.info.box_dialect).unwrap();
            let sizes: Vec<_> =
                ask.pictures.iter().map(|p| PictureSizes::given(p.width(), p.height())).collect();
            let found = dialect.found(&dialect.parse(&reply.text), &sizes, ask.pictures.len() - 1);
            (reply.boxes, reply.points) = (found.boxes, found.points);
            Ok(reply)
        };
        asks.iter().map(one).collect()
    }
}

/// Outlines the box of the prompt, or 5 × 5 pixels around a point; refuses phrases.
pub(crate) struct Outlines(pub(crate) ModelInfo);

impl Segmenter for Outlines {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn segment(&mut self, picture: &Picture, hints: &[SegmentPrompt]) -> Result<Vec<Segment>, SegmentError> {
        let inside = |x: usize, y: usize| {
            let p = Point2::new(x as f64 + 0.5, y as f64 + 0.5);
            hints.iter().any(|h| match h {
                SegmentPrompt::Box(b) => b.contains(p),
                SegmentPrompt::Point { at, positive } => {
                    *positive && (at.x - p.x).abs() <= 2.5 && (at.y - p.y).abs() <= 2.5
                }
                SegmentPrompt::Mask(mask) => mask.get(x, y),
                SegmentPrompt::Phrase(_) => false,
            })
        };
        if hints.iter().any(|h| matches!(h, SegmentPrompt::Phrase(_))) {
            return Err(SegmentError::Prompt { model: "script".into(), hint: "phrase" });
        }
        let (w, h) = (picture.width(), picture.height());
        // Nothing is found where the picture is black, so that outlines end.
        let lit = |n: usize| picture.pixel(n % w, n / w).is_some_and(|p| p[0] > 0);
        let bits = (0..w * h).map(|n| inside(n % w, n / w) && lit(n)).collect();
        Ok(vec![Segment { mask: Mask::new(w, h, bits).unwrap(), predicted_iou: Some(0.9) }])
    }
}

/// A CT of 12 × 10 × 6 voxels of 0.5 × 2 × 3 mm, written as NIfTI: slices 1 to 4 are 10 HU a slice,
/// the first and the last are air.
pub(crate) fn write_ct(file: &Path) {
    let voxels = Array3::from_shape_fn((6, 10, 12), |(k, _, _)| match k {
        1..=4 => 10.0 * k as f32,
        _ => -1000.0,
    });
    let lps_from_index =
        LpsFromIndex::from_columns([0.5, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [-10.0, -20.0, 30.0]);
    let volume = Volume { voxels, lps_from_index, modality: Modality::Ct };
    std::fs::write(file, loupe_preprocess::nifti::volume_bytes(&volume).unwrap()).unwrap();
}
