//! A segmenter that draws its prompts.

use loupe_core::{Mask, ModelInfo, Picture, Point2, Segment, SegmentError, SegmentPrompt, Segmenter};

/// Segments the box of a prompt, 5 × 5 pixels around a positive point, or the mask given; refuses phrases.
#[derive(Debug, Clone)]
pub struct PromptShapes {
    /// What it says it is.
    pub info: ModelInfo,
    /// Leave out black pixels, so that an object that is followed ends?
    pub lit: bool,
}

impl PromptShapes {
    /// One that draws on black as well.
    pub fn new(info: ModelInfo) -> Self {
        Self { info, lit: false }
    }

    /// One that leaves out black pixels.
    pub fn lit(info: ModelInfo) -> Self {
        Self { info, lit: true }
    }
}

impl Segmenter for PromptShapes {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn segment(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Segment>, SegmentError> {
        if prompts.iter().any(|p| matches!(p, SegmentPrompt::Phrase(_))) {
            return Err(SegmentError::Prompt { model: self.info.family.clone(), kind: "phrase" });
        }
        let inside = |x: usize, y: usize| {
            let p = Point2::new(x as f64 + 0.5, y as f64 + 0.5);
            prompts.iter().any(|prompt| match prompt {
                SegmentPrompt::Box(b) => b.contains(p),
                SegmentPrompt::Point { at, positive } => {
                    *positive && (at.x - p.x).abs() <= 2.5 && (at.y - p.y).abs() <= 2.5
                }
                SegmentPrompt::Mask(mask) => mask.get(x, y),
                SegmentPrompt::Phrase(_) => false,
            })
        };
        let drawn = |x: usize, y: usize| !self.lit || picture.pixel(x, y).is_some_and(|p| p[0] > 0);
        let (w, h) = (picture.width(), picture.height());
        let bits = (0..w * h).map(|n| inside(n % w, n / w) && drawn(n % w, n / w)).collect();
        Ok(vec![Segment { mask: Mask::new(w, h, bits).unwrap(), predicted_iou: Some(0.9) }])
    }
}
