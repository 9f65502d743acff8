//! An outlined object followed from frame to frame: slices of a volume, frames of a clip.
//!
//! Models with a memory of their own replace [`crate::Segmenter::follow`]; for the others each frame
//! is prompted with what was found in the frame before (the way MedSAM and SAM-Med2D are used on
//! volumes).

use crate::geometry::Box2;
use crate::mask::Mask;
use crate::picture::Picture;
use crate::seam::{Hint, Segment, SegmentError, Segmenter};

/// When the object is taken to have ended, and how the next frame is prompted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FollowRules {
    /// Share of the box's sides that is added on each side, because the object may have grown.
    pub margin: f64,
    /// Smallest IoU of the masks of neighbouring frames.
    pub min_overlap: f64,
    /// Smallest predicted IoU, for models that predict one.
    pub min_predicted_iou: f32,
    /// Most frames in each direction.
    pub max_frames: usize,
}

impl Default for FollowRules {
    fn default() -> Self {
        Self { margin: 0.05, min_overlap: 0.2, min_predicted_iou: 0.3, max_frames: usize::MAX }
    }
}

/// One mask a frame, empty where the object is not. The object is outlined in frame `start` with
/// `hints` and followed both ways, each frame prompted with the box and the mask of the one before
/// it (with the box alone for models that take no masks), until it ends.
///
/// # Errors
/// When `start` is not a frame, the frames differ in size, or the model fails.
pub fn by_previous_mask<S: Segmenter + ?Sized>(
    segmenter: &mut S,
    frames: &[Picture],
    start: usize,
    hints: &[Hint],
    rules: &FollowRules,
) -> Result<Vec<Mask>, SegmentError> {
    let Some(first) = frames.get(start) else {
        let count = frames.len();
        return Err(SegmentError::BadHint(format!("frame {start} was prompted, but there are {count}")));
    };
    let size = (first.width(), first.height());
    if frames.iter().any(|f| (f.width(), f.height()) != size) {
        return Err(SegmentError::BadHint("all frames must have the same size".to_owned()));
    }
    let mut masks = vec![Mask::empty(size.0, size.1); frames.len()];
    let Some(outlined) = best(segmenter.segment(first, hints)?).map(|s| s.mask) else { return Ok(masks) };
    let after: Vec<usize> = (start + 1..frames.len()).collect();
    let before: Vec<usize> = (0..start).rev().collect();
    let mut takes_masks = true;
    for way in [after, before] {
        let mut last = outlined.clone();
        for n in way.into_iter().take(rules.max_frames) {
            let found = next(segmenter, &frames[n], &last, rules, &mut takes_masks)?;
            let Some(found) = found.filter(|f| continues(f, &last, rules)) else { break };
            masks[n] = found.mask.clone();
            last = found.mask;
        }
    }
    masks[start] = outlined;
    Ok(masks)
}

/// The candidate that the model lists first, when it covers anything.
fn best(found: Vec<Segment>) -> Option<Segment> {
    found.into_iter().next().filter(|s| s.mask.area_px() > 0)
}

/// The object in `frame`, prompted with its mask in the frame before.
fn next<S: Segmenter + ?Sized>(
    segmenter: &mut S,
    frame: &Picture,
    last: &Mask,
    rules: &FollowRules,
    takes_masks: &mut bool,
) -> Result<Option<Segment>, SegmentError> {
    let Some(tight) = last.bounding_box() else { return Ok(None) };
    let (dx, dy) = (tight.width() * rules.margin, tight.height() * rules.margin);
    let wide = Box2::new(tight.x0 - dx, tight.y0 - dy, tight.x1 + dx, tight.y1 + dy);
    let region = Hint::Box(wide.clipped(frame.width() as f64, frame.height() as f64));
    if *takes_masks {
        match segmenter.segment(frame, &[region.clone(), Hint::Mask(last.clone())]) {
            Err(SegmentError::Hint { .. }) => *takes_masks = false,
            other => return other.map(best),
        }
    }
    segmenter.segment(frame, &[region]).map(best)
}

fn continues(found: &Segment, last: &Mask, rules: &FollowRules) -> bool {
    found.predicted_iou.is_none_or(|iou| iou >= rules.min_predicted_iou)
        && found.mask.iou(last) >= rules.min_overlap
}
