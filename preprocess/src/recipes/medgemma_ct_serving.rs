//! CT as the publisher's own server shows it to MedGemma (Google-Health/medgemma at 04b60ac,
//! `python/data_accessors/local_file_handlers/generic_dicom_handler.py`, `window_accurate` of
//! `python/data_processing/image_utils.py`): HU rounded to whole numbers, and a green window from **+135**, where the
//! notebook (`medgemma_ct.rs`) has -135. The text beside it calls 135 HU fat, which is negative: most likely a slip of
//! the sign, but it is what the server does.
//!
//! Not repeated: the server casts HU back to the type of the stored values, so that air in a series of unsigned
//! values becomes white. Which slices are sent is the client's choice there; here they are those of the notebook.

use super::medgemma_ct::captioned;
use super::prepared::Recipe;

pub(super) const RECIPE: Recipe = Recipe {
    name: "medgemma-ct-serving",
    summary: "whole HU, windows [-1024,1024], [135,215], [0,80] as RGB, at most 85 slices, captions SLICE n",
    source: "Google-Health/medgemma 04b60ac python/data_accessors/local_file_handlers/generic_dicom_handler.py",
    prepare: |volume, _| captioned(volume, &[(-1024.0, 1024.0), (135.0, 215.0), (0.0, 80.0)], level),
};

/// numpy's `interp` of the rounded value, rounded.
fn level(value: f32, low: f32, high: f32) -> u8 {
    let (low, high) = (f64::from(low), f64::from(high));
    let slope = 255.0 / (high - low);
    (slope * (f64::from(value).round_ties_even().clamp(low, high) - low)).round_ties_even() as u8
}
