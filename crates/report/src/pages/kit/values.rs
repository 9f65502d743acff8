//! Intensities on the page: 16 bits a value in the red and green of a PNG, so that a browser decodes
//! them without loss and the reader can choose the window.

use crate::encode::{data_uri, png};
use loupe_core::window::WindowFunction;
use loupe_core::{Intensities, Picture};
use serde::Serialize;

/// Values behind a picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PackedValues {
    /// PNG whose pixels hold the number 256·red + green.
    pub(crate) uri: String,
    /// Value of the number 0.
    offset: f64,
    /// Step from one number to the next.
    scale: f64,
    /// High values are dark.
    inverted: bool,
    /// The values are Hounsfield units, so that the usual windows apply.
    hounsfield: bool,
    /// The window that the model saw.
    centre: f64,
    width: f64,
    function: WindowFunction,
    /// Smallest and largest value.
    range: [f64; 2],
}

impl PackedValues {
    /// Of a picture that was made with a window; `None` when it was not, or there are no finite values.
    /// Whole numbers that span less than 65 536 are kept exactly, others to 1/65 535 of their range.
    /// What is not finite, padding among it, becomes the value that is shown darkest.
    pub(crate) fn of(picture: &Picture, from: &Intensities) -> Option<Self> {
        let window = picture.origin.window?;
        let finite = from.values.iter().copied().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if low > high {
            return None;
        }
        let (low, high) = (f64::from(low), f64::from(high));
        let whole = from.values.iter().all(|v| !v.is_finite() || v.fract() == 0.0);
        let scale = if whole && high - low <= 65_535.0 {
            1.0
        } else {
            ((high - low) / 65_535.0).max(f64::MIN_POSITIVE)
        };
        let dark = if from.inverted { high } else { low };
        let number = |v: f32| {
            let v = if v.is_finite() { f64::from(v) } else { dark };
            ((v - low) / scale).round() as u16
        };
        let split = |v: &f32| {
            let [high, low] = number(*v).to_be_bytes();
            [high, low, 0]
        };
        let pixels: Vec<u8> = from.values.iter().flat_map(split).collect();
        let packed = Picture::new(from.width, from.height, 3, pixels).ok()?;
        Some(Self {
            uri: data_uri("image/png", &png(&packed).ok()?),
            offset: low,
            scale,
            inverted: from.inverted,
            hounsfield: from.hounsfield,
            centre: window.centre,
            width: window.width,
            function: window.function,
            range: [low, high],
        })
    }
}
