//! What a model can do to look again. Each action returns a picture that knows its way back.

use crate::pixels::{self, PixelError, RED};
use loupe_core::media::{SliceAt, View, WindowChoice};
use loupe_core::{
    Box2, Given, MediaError, MediaLoader, MediaRef, Picture, Plane, ResampleError, Resampler, Segment,
    SegmentError, SegmentPrompt, Segmenter,
};
use thiserror::Error;

/// What actions work with.
pub struct Tools<'a> {
    /// Segments objects.
    pub segmenter: Option<&'a mut dyn Segmenter>,
    /// Enlarges crops.
    pub resampler: &'a dyn Resampler,
    /// Decodes other slices and windows.
    pub loader: Option<&'a dyn MediaLoader>,
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The shape cannot be drawn or cut.
    #[error(transparent)]
    Pixels(#[from] PixelError),
    /// The picture could not be enlarged.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// The segmenter refused.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The slice or window could not be had.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The action needs something this run does not have.
    #[error("{0}")]
    Unavailable(&'static str),
}

/// Draws the outlines of `boxes` in red, 3 pixels wide.
///
/// # Errors
/// When the corners of a box are in the wrong order.
pub fn mark(picture: &Picture, boxes: &[[f64; 4]]) -> Result<Picture, ActionError> {
    Ok(pixels::rectangles(picture, boxes, RED, 3)?)
}

/// Cuts `region` out of `picture` and enlarges it to what `size` says about the crop's width and
/// height (the same size: left as it is).
///
/// # Errors
/// When nothing is left of the region, or resampling fails.
pub fn zoom(
    picture: &Picture,
    region: [f64; 4],
    size: impl FnOnce(usize, usize) -> (usize, usize),
    filter: &str,
    tools: &Tools<'_>,
) -> Result<Picture, ActionError> {
    let cut = pixels::crop(picture, region)?;
    let (w, h) = size(cut.width(), cut.height());
    if (w, h) == (cut.width(), cut.height()) {
        return Ok(cut);
    }
    Ok(tools.resampler.resize(&cut, w, h, filter)?)
}

/// Segments what `prompts` describe and lays the best mask over the picture, tinted red.
///
/// # Errors
/// When there is no segmenter or it refuses the prompts.
pub fn segment(
    picture: &Picture,
    prompts: &[SegmentPrompt],
    tools: &mut Tools<'_>,
) -> Result<(Picture, Segment), ActionError> {
    let Some(segmenter) = &mut tools.segmenter else {
        return Err(ActionError::Unavailable("no segmentation model is loaded"));
    };
    let Some(best) = segmenter.segment(picture, prompts)?.into_iter().next() else {
        return Err(ActionError::Unavailable("the segmentation model found nothing"));
    };
    let shown = pixels::overlay(picture, &best.mask, RED.rgb, 0.5)?;
    Ok((shown, best))
}

/// Shows another slice, plane or window of `media`; what is not given stays as it is.
///
/// # Errors
/// When the image has no such slice or window, or cannot be decoded.
pub fn view(
    media: &MediaRef,
    slice: Option<SliceAt>,
    plane: Option<Plane>,
    window: Option<WindowChoice>,
    tools: &Tools<'_>,
) -> Result<(Picture, MediaRef), ActionError> {
    let Some(loader) = tools.loader else {
        return Err(ActionError::Unavailable("slices and windows cannot be changed here"));
    };
    let view = View {
        // Another plane makes the old slice number meaningless: the middle one is shown.
        slice: slice.or(if plane.is_some_and(|p| p != media.view.plane) { None } else { media.view.slice }),
        plane: plane.unwrap_or(media.view.plane),
        window: window.or_else(|| media.view.window.clone()),
        frame: media.view.frame,
        layer: None,
    };
    let media = MediaRef { view, ..media.clone() };
    Ok((loader.load(&media)?, media))
}

/// `region` made bigger by `share` of its size on each side, inside the picture.
pub fn grown(region: Box2<Given>, share: f64, picture: &Picture) -> Box2<Given> {
    let (dx, dy) = (region.width() * share, region.height() * share);
    Box2::new(region.x0 - dx, region.y0 - dy, region.x1 + dx, region.y1 + dy)
        .clipped(picture.width() as f64, picture.height() as f64)
}
