//! A slice of a volume with its neighbours.

use crate::pages::kit::series::Series;
use loupe_core::loader::DisplayMaterial;
use loupe_core::{MediaError, MediaLoader, MediaRef, SliceAt, View};
use serde::Serialize;

/// Slices of a volume on a page, in order.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VolumeSlices {
    /// Their numbers in the volume, from 0.
    pub(crate) slice_numbers: Vec<usize>,
    #[serde(flatten)]
    pub(crate) series: Series,
}
/// `own`, which is what `media` shows, with at most `most` slices of its volume before it and as many after it, or with all of them; and
/// its place among them. A picture that is no slice of a volume stays alone.
///
/// # Errors
/// When a slice that the volume has cannot be read.
pub fn around(
    loader: &dyn MediaLoader,
    media: &MediaRef,
    own: DisplayMaterial,
    most: Option<usize>,
) -> Result<(Vec<DisplayMaterial>, usize), MediaError> {
    let origin = own.picture.origin.clone();
    let Some(at) = origin.slice.filter(|_| most != Some(0)) else {
        return Ok((vec![own], 0));
    };
    let other = |n: usize| -> Result<Option<DisplayMaterial>, MediaError> {
        let view = View {
            slice: Some(SliceAt::Index(n)),
            plane: origin.plane.unwrap_or(media.view.plane),
            ..media.view.clone()
        };
        match loader.load_for_display(&MediaRef { view, ..media.clone() }) {
            Ok(found) => Ok(Some(found)),
            // Past the last slice.
            Err(MediaError::View(_)) => Ok(None),
            Err(e) => Err(e),
        }
    };
    let mut slices = Vec::new();
    for n in most.map_or(0, |most| at.saturating_sub(most))..at {
        slices.extend(other(n)?);
    }
    let first = slices.len();
    slices.push(own);
    let mut n = at + 1;
    while most.is_none_or(|most| n <= at + most) {
        let Some(found) = other(n)? else { break };
        slices.push(found);
        n += 1;
    }
    Ok((slices, first))
}
