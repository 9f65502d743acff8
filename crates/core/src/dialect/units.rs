//! What the numbers of a dialect measure.

use crate::geometry::{Frame, Given, Map2};

/// Numbers as a model wrote them, x before y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Spoken;

impl Frame for Spoken {
    const NAME: &'static str = "spoken";
}

/// Width and height of a picture, as given and as the model saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureSizes {
    /// Width and height of the picture given, in pixels.
    pub given: [usize; 2],
    /// Width and height after the model's own resizing, in pixels; equal to `given` where the
    /// family's units do not depend on it.
    pub model_input: [usize; 2],
}

impl PictureSizes {
    /// A picture that the model does not resize, or whose dialect does not depend on it.
    pub fn given(width: usize, height: usize) -> Self {
        Self { given: [width, height], model_input: [width, height] }
    }
}

/// What the numbers of a dialect measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// Pixels of the picture after the model's own resizing.
    ModelInputPixels,
    /// Pixels of the picture given.
    GivenPixels,
    /// 0 to 1000 across each side.
    Thousandths,
    /// 0 to 1000 across the side of the square that the picture was padded to, centred (the smaller
    /// half of an odd padding goes left or above). Where the model's own resizing made a square of a picture that
    /// was not padded, 0 to 1000 across each side, which is what such a model sees.
    ThousandthsOfSquare,
    /// 0 to 1 across each side.
    Unit,
    /// 0 to 1 across each side, y upwards from the lower edge.
    UnitFromLowerLeft,
    /// Bins 0 to 1023; a bin stands for its left or upper edge.
    Bins1024,
    /// Bins 0 to 999; a bin stands for its centre (Florence-2's `dequantize`, which then cuts to whole
    /// pixels; here the centre is kept).
    Bins1000Centre,
    /// The same across a square that the picture was scaled into by its longer side, both sides rounded to whole pixels,
    /// and centred in (the smaller half of an odd padding goes left or above). The square is what the model saw; where it
    /// saw none, it has the longer side of the picture.
    Bins1000OfLetterbox,
}

/// Width and height of a picture that is scaled into a square of `side` pixels by its longer side, and the pixels left of it
/// and above it there; half a pixel is rounded to even, and no side vanishes.
pub fn letterbox([width, height]: [usize; 2], side: usize) -> ([usize; 2], [usize; 2]) {
    let scale = side as f64 / width.max(height).max(1) as f64;
    let scaled = |n: usize| ((n as f64 * scale).round_ties_even() as usize).clamp(1, side.max(1));
    let size = [scaled(width), scaled(height)];
    (size, size.map(|n| side.saturating_sub(n) / 2))
}

impl Units {
    /// The map from spoken numbers to continuous pixel edges of the picture given.
    pub fn given_from_spoken(self, sizes: PictureSizes) -> Map2<Given, Spoken> {
        let [w, h] = sizes.given.map(|v| v as f64);
        let [mw, mh] = sizes.model_input.map(|v| v as f64);
        match self {
            Self::ModelInputPixels => Map2::scale_then_shift(w / mw, h / mh, 0.0, 0.0),
            Self::GivenPixels => Map2::identity(),
            Self::Thousandths => Map2::scale_then_shift(w / 1000.0, h / 1000.0, 0.0, 0.0),
            Self::ThousandthsOfSquare if mw == mh && w != h => {
                Map2::scale_then_shift(w / 1000.0, h / 1000.0, 0.0, 0.0)
            }
            Self::ThousandthsOfSquare => {
                let side = w.max(h);
                let (left, above) = (((side - w) / 2.0).floor(), ((side - h) / 2.0).floor());
                Map2::scale_then_shift(side / 1000.0, side / 1000.0, -left, -above)
            }
            Self::Unit => Map2::scale_then_shift(w, h, 0.0, 0.0),
            Self::UnitFromLowerLeft => Map2::scale_then_shift(w, -h, 0.0, h),
            Self::Bins1024 => Map2::scale_then_shift(w / 1024.0, h / 1024.0, 0.0, 0.0),
            Self::Bins1000OfLetterbox => {
                let side = if mw == mh { sizes.model_input[0] } else { sizes.given[0].max(sizes.given[1]) };
                let (size, [left, above]) = letterbox(sizes.given, side);
                let [across, down] = [w / size[0] as f64, h / size[1] as f64];
                let bin = side as f64 / 1000.0;
                let begin = |before: usize, scale: f64| (bin / 2.0 - before as f64) * scale;
                Map2::scale_then_shift(bin * across, bin * down, begin(left, across), begin(above, down))
            }
            Self::Bins1000Centre => Map2::scale_then_shift(w / 1000.0, h / 1000.0, w / 2000.0, h / 2000.0),
        }
    }
}
