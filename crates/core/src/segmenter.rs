//! Models that segment: prompts, masks, and an object followed from frame to frame (slices of a volume,
//! frames of a clip).

use crate::geometry::{Box2, Given, Point2};
use crate::mask::{LabelVolume, Mask};
use crate::model::ModelInfo;
use crate::picture::Picture;
use crate::volume::Volume;
use thiserror::Error;

/// A prompt for segmentation, in pixels of the picture given.
#[derive(Debug, Clone, PartialEq)]
pub enum SegmentPrompt {
    /// A place inside (positive) or outside (negative) the object.
    Point {
        /// Position in pixels of the picture.
        at: Point2<Given>,
        /// Inside the object?
        positive: bool,
    },
    /// A box around the object.
    Box(Box2<Given>),
    /// A rough mask, or one of an earlier round.
    Mask(Mask),
    /// Words that name the object.
    Phrase(String),
}

/// A mask with the model's own estimate of its quality.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// In the pixel grid of the picture given.
    pub mask: Mask,
    /// Predicted IoU, when the model gives one.
    pub predicted_iou: Option<f32>,
}

/// A mask that further prompts about the same object can go on from.
#[derive(Debug, Clone, PartialEq)]
pub struct Refined {
    /// The best of all candidate masks, whatever the prompts.
    pub segment: Segment,
    /// The same mask as the network keeps it, logits on a grid of its own; nothing where the model takes none back.
    pub logits: Option<Vec<f32>>,
}

/// Why a segmenter could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// This kind of prompt is not understood by the model.
    #[error("{model} takes no {kind} prompts")]
    Prompt {
        /// Name of the family.
        model: String,
        /// Kind of prompt.
        kind: &'static str,
    },
    /// The prompt lies outside the picture or is empty.
    #[error("{0}")]
    BadPrompt(String),
    /// What the network gave is not a number, or infinite: no mask may be read out of it.
    #[error(
        "{0} are not finite; the weights or settings of the checkpoint are damaged, or their numbers are too large for the number type (try --dtype f32)"
    )]
    NotFinite(&'static str),
    /// The computation failed.
    #[error("the computation failed: {0}")]
    Compute(String),
}

/// A model that segments what prompts point at.
pub trait Segmenter: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Segments the *one* object that all `prompts` together describe; several candidate masks, best
    /// first, when the model gives them. The image embedding is computed once per picture content.
    fn segment(&mut self, picture: &Picture, prompts: &[SegmentPrompt])
    -> Result<Vec<Segment>, SegmentError>;

    /// Segments the one object that all `prompts` so far describe, from where an earlier call about it stopped:
    /// `earlier` are the logits that it gave. Models that keep no such logits look at the prompts alone.
    ///
    /// # Errors
    /// As [`Segmenter::segment`]; also when `earlier` came from another model.
    fn refine(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
        _earlier: Option<&[f32]>,
    ) -> Result<Refined, SegmentError> {
        let found = self.segment(picture, prompts)?.into_iter().next();
        let segment = found.ok_or_else(|| SegmentError::Compute("the model gave no mask".to_owned()))?;
        Ok(Refined { segment, logits: None })
    }

    /// Segments several objects of one picture: one result an object, in order. One bad object does
    /// not spoil the others; models that can decode them together do.
    fn segment_all(
        &mut self,
        picture: &Picture,
        objects: &[Vec<SegmentPrompt>],
    ) -> Vec<Result<Vec<Segment>, SegmentError>> {
        objects.iter().map(|prompts| self.segment(picture, prompts)).collect()
    }

    /// Follows the object that `prompts` describe in frame `start` through the frames before and
    /// after it, until it ends: one mask a frame, empty where the object is not. Frames are slices
    /// of a volume or of a clip, in order, and of one size.
    ///
    /// # Errors
    /// When `start` is not a frame, a prompt cannot be used, or the computation fails.
    fn follow(
        &mut self,
        frames: &[Picture],
        start: usize,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Mask>, SegmentError> {
        by_previous_mask(self, frames, start, prompts, &FollowRules::default())
    }

    /// Why [`Segmenter::follow`] found the object in frame `start` alone, where its mask is `first`: a reason for
    /// each neighbouring frame.
    ///
    /// # Errors
    /// When the computation fails.
    fn why_alone(
        &mut self,
        frames: &[Picture],
        start: usize,
        first: &Mask,
    ) -> Result<Vec<String>, SegmentError> {
        why_not_continued(self, frames, start, first, &FollowRules::default())
    }
}

/// A model that labels every voxel of a volume without being prompted.
pub trait VolumeSegmenter: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Labels on the volume's own grid.
    fn label(&mut self, volume: &Volume) -> Result<LabelVolume, SegmentError>;
}

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

/// One mask a frame, empty where the object is not. The object is first_mask in frame `start` with
/// `prompts` and followed both ways, each frame prompted with the box and the mask of the one before
/// it (with the box alone for models that take no masks), until it ends.
///
/// # Errors
/// When `start` is not a frame, the frames differ in size, or the model fails.
pub fn by_previous_mask<S: Segmenter + ?Sized>(
    segmenter: &mut S,
    frames: &[Picture],
    start: usize,
    prompts: &[SegmentPrompt],
    rules: &FollowRules,
) -> Result<Vec<Mask>, SegmentError> {
    let Some(first) = frames.get(start) else {
        let count = frames.len();
        return Err(SegmentError::BadPrompt(format!("frame {start} was prompted, but there are {count}")));
    };
    let size = (first.width(), first.height());
    if frames.iter().any(|f| (f.width(), f.height()) != size) {
        return Err(SegmentError::BadPrompt("all frames must have the same size".to_owned()));
    }
    let mut masks = vec![Mask::empty(size.0, size.1); frames.len()];
    let Some(first_mask) = best(segmenter.segment(first, prompts)?).map(|s| s.mask) else { return Ok(masks) };
    let after: Vec<usize> = (start + 1..frames.len()).collect();
    let before: Vec<usize> = (0..start).rev().collect();
    let mut takes_masks = true;
    for way in [after, before] {
        let mut last = first_mask.clone();
        for n in way.into_iter().take(rules.max_frames) {
            let found = next(segmenter, &frames[n], &last, rules, &mut takes_masks)?;
            let Some(found) = found.filter(|f| continues(f, &last, rules)) else { break };
            masks[n] = found.mask.clone();
            last = found.mask;
        }
    }
    masks[start] = first_mask;
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
    let region = SegmentPrompt::Box(wide.clipped(frame.width() as f64, frame.height() as f64));
    if *takes_masks {
        match segmenter.segment(frame, &[region.clone(), SegmentPrompt::Mask(last.clone())]) {
            Err(SegmentError::Prompt { .. }) => *takes_masks = false,
            other => return other.map(best),
        }
    }
    segmenter.segment(frame, &[region]).map(best)
}

/// Why the object of frame `start`, whose mask is `first`, is not followed into the frames beside it by
/// [`by_previous_mask`].
///
/// # Errors
/// When the model fails.
pub fn why_not_continued<S: Segmenter + ?Sized>(
    segmenter: &mut S,
    frames: &[Picture],
    start: usize,
    first: &Mask,
    rules: &FollowRules,
) -> Result<Vec<String>, SegmentError> {
    let mut reasons = Vec::new();
    let mut takes_masks = true;
    let beside = [start.checked_sub(1), start.checked_add(1).filter(|n| *n < frames.len())];
    for n in beside.into_iter().flatten() {
        let Some(frame) = frames.get(n) else { continue };
        let found = next(segmenter, frame, first, rules, &mut takes_masks)?;
        let low = |found: &Segment| found.predicted_iou.filter(|iou| *iou < rules.min_predicted_iou);
        reasons.push(match found {
            None => format!("slice {n}: nothing is found there"),
            Some(found) => match low(&found) {
                Some(iou) => {
                    format!(
                        "slice {n}: predicted IoU {iou:.2}, at least {} is needed",
                        rules.min_predicted_iou
                    )
                }
                None => format!(
                    "slice {n}: its mask overlaps by {:.2}, at least {} is needed",
                    found.mask.iou(first),
                    rules.min_overlap
                ),
            },
        });
    }
    if reasons.is_empty() {
        reasons.push("there are no slices beside it".to_owned());
    }
    Ok(reasons)
}

fn continues(found: &Segment, last: &Mask, rules: &FollowRules) -> bool {
    found.predicted_iou.is_none_or(|iou| iou >= rules.min_predicted_iou)
        && found.mask.iou(last) >= rules.min_overlap
}
