//! What a family does around the network: pictures to input, prompts to the input's frame, logits to
//! masks. One implementation a family, in `segmenters/`.

use super::prompt::SparsePrompt;
use super::upsample::Plane;
use loupe_core::{Mask, Picture, SegmentError, SegmentPrompt};

/// Which masks answer a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The single-mask output.
    Single,
    /// Every mask of the multimask output, best predicted IoU first.
    Candidates,
    /// The mask of the multimask output with the best predicted IoU.
    Best,
}

/// The steps of one family; `S` is the side of the model's square input.
pub(crate) trait InputPipeline: std::fmt::Debug + Send {
    /// The picture as the encoder reads it: `(3, S, S)`.
    fn pixels(&self, picture: &Picture) -> Result<Vec<f32>, SegmentError>;

    /// Columns and rows of the input that a picture of this size fills, from the top left.
    fn filled(&self, width: usize, height: usize) -> [usize; 2];

    /// A place in a picture of this size in pixels of the input.
    fn place(&self, [x, y]: [f64; 2], width: usize, height: usize) -> [f32; 2] {
        let [columns, rows] = self.filled(width, height);
        [x * (columns as f64 / width as f64), y * (rows as f64 / height as f64)].map(|v| v as f32)
    }

    /// The kind of a prompt that the family was not made for.
    fn refuses(&self, prompt: &SegmentPrompt) -> Option<&'static str>;

    /// Which masks answer these prompts.
    fn answer(&self, prompts: &[SegmentPrompt]) -> Answer;

    /// Low-resolution logits to the picture's own pixels; the object is where the result is above 0.
    fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane;

    /// Whose resizing prepares the picture.
    fn resample(&self) -> &'static str;
}

/// A single point may mean a part or the whole, so all masks are candidates; anything more means one
/// object (the advice of `SamPredictor.predict`).
pub(crate) fn candidates_for_one_point(prompts: &[SegmentPrompt]) -> Answer {
    if matches!(prompts, [SegmentPrompt::Point { .. }]) { Answer::Candidates } else { Answer::Single }
}

/// Points and box in pixels of the model's input, and the mask if there is one.
///
/// Numbers are scaled and otherwise used as they are, as SAM's own tools use them
/// (`ResizeLongestSide.apply_coords`): the encoder adds the half pixel to the centre itself.
pub(crate) fn sparse_prompt(
    family: &'static str,
    pipeline: &dyn InputPipeline,
    picture: &Picture,
    prompts: &[SegmentPrompt],
) -> Result<(SparsePrompt, Option<Mask>), SegmentError> {
    let bad = |problem: String| Err(SegmentError::BadPrompt(problem));
    let (width, height) = (picture.width(), picture.height());
    let place = |x: f64, y: f64| pipeline.place([x, y], width, height);
    let mut sparse = SparsePrompt::default();
    let mut rough = None;
    for prompt in prompts {
        if let Some(kind) = pipeline.refuses(prompt) {
            return Err(SegmentError::Prompt { model: family.to_owned(), kind });
        }
        match prompt {
            SegmentPrompt::Point { at, positive } => {
                if !picture.bounds().contains(*at) {
                    return bad(format!(
                        "the point ({}, {}) lies outside the {width} × {height} picture",
                        at.x, at.y
                    ));
                }
                let [x, y] = place(at.x, at.y);
                sparse.points.push((x, y, *positive));
            }
            SegmentPrompt::Box(region) => {
                if !region.clipped(width as f64, height as f64).is_proper() {
                    return bad("the box covers nothing of the picture".to_owned());
                }
                if sparse.region.is_some() {
                    return bad("one object takes one box; ask once a box".to_owned());
                }
                let [x0, y0, x1, y1] = region.xyxy();
                let ([x0, y0], [x1, y1]) = (place(x0, y0), place(x1, y1));
                sparse.region = Some([x0, y0, x1, y1]);
            }
            SegmentPrompt::Mask(mask) => {
                if (mask.width(), mask.height()) != (width, height) {
                    return bad("the mask prompt has another size than the picture".to_owned());
                }
                if rough.is_some() {
                    return bad("one object takes one mask".to_owned());
                }
                rough = Some(mask.clone());
            }
            SegmentPrompt::Phrase(_) => {
                return Err(SegmentError::Prompt { model: family.to_owned(), kind: "phrase" });
            }
        }
    }
    if sparse.points.is_empty() && sparse.region.is_none() && rough.is_none() {
        return bad("a point, a box or a mask is needed".to_owned());
    }
    Ok((sparse, rough))
}

/// A binary mask as the logits that a mask prompt holds: ±10 on the low-resolution grid of the whole
/// input, whose side is `low`.
pub(crate) fn mask_logits(pipeline: &dyn InputPipeline, mask: &Mask, side: usize, low: usize) -> Vec<f32> {
    let values = mask.bits().iter().map(|&b| if b { 10.0 } else { -10.0 }).collect();
    let full = Plane { width: mask.width(), height: mask.height(), values };
    let small = |n: usize| ((n * low) as f64 / side as f64).round().clamp(1.0, low as f64) as usize;
    let [columns, rows] = pipeline.filled(mask.width(), mask.height()).map(small);
    let shrunk = full.resized(columns, rows);
    let mut out = vec![-10.0; low * low];
    for (to, from) in out.chunks_exact_mut(low).zip(shrunk.values.chunks_exact(columns)) {
        to[..columns].copy_from_slice(from);
    }
    out
}
