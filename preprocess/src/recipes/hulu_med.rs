//! Hulu-Med on volumes (ZJU-AI4H/Hulu-Med-7B, main branch, `processing_hulumed.py`, `load_nii`, as its model card calls it): at
//! most 180 slices across the third axis of the file, each from its own smallest to its largest value as grey, fractions
//! dropped. A slice's rows run along the file's first axis, so that it lies on its side beside how viewers show it; the
//! model was trained so.

use super::prepared::{Prepared, Recipe, grey, range, slice_pictures};
use loupe_core::geometry::Map2;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::picture::Picture;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "hulu-med",
    summary: "at most 180 slices on their side, min to max of each slice as grey in RGB",
    source: "ZJU-AI4H/Hulu-Med-7B processing_hulumed.py and model card",
    prepare,
};

const MOST_SLICES: usize = 180;
const ON_ITS_SIDE: &str = "rows and columns change places";

fn prepare(volume: &Volume, _: &DecodeLimits) -> Result<Prepared, MediaError> {
    let numbers = numbers(volume.shape()[0]);
    let step = "slice range as grey in RGB";
    let pictures = slice_pictures(volume, &numbers, 1, step, |values| {
        let (low, high) = range(values.iter().copied());
        // The fraction is dropped.
        values.iter().map(|&v| grey(v, low, high) as u8).collect()
    })?;
    let pictures: Vec<Picture> = pictures.iter().map(on_its_side).collect::<Result<_, _>>()?;
    let steps = vec![step.to_owned(), ON_ITS_SIDE.to_owned(), format!("slices {numbers:?}")];
    Ok(Prepared { pictures, captions: Vec::new(), volume: None, steps })
}

/// `numpy.linspace(0, count - 1, 180, dtype=int)`, which drops fractions; all where there are no more.
fn numbers(count: usize) -> Vec<usize> {
    if count <= MOST_SLICES {
        return (0..count).collect();
    }
    let step = (count - 1) as f64 / (MOST_SLICES - 1) as f64;
    let last = MOST_SLICES - 1;
    // The last one is set, not computed, as in numpy.
    (0..MOST_SLICES).map(|n| if n == last { count - 1 } else { (n as f64 * step) as usize }).collect()
}

/// The picture with rows and columns changed, in RGB.
fn on_its_side(picture: &Picture) -> Result<Picture, MediaError> {
    let (w, h, pixels) = (picture.width(), picture.height(), picture.pixels());
    let turned: Vec<u8> = (0..w).flat_map(|x| (0..h).flat_map(move |y| [pixels[y * w + x]; 3])).collect();
    let made = Picture::new(h, w, 3, turned).map_err(|e| MediaError::View(e.to_string()))?;
    let mut origin = picture.origin.clone();
    let turn = Map2::new([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
    origin.source_from_self = origin.source_from_self.after(&turn);
    origin.steps.push(ON_ITS_SIDE.to_owned());
    Ok(made.with_origin(origin))
}
