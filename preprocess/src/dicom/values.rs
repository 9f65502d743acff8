//! From stored to meaningful values: modality transform and windows (PS3.3 C.11.1, C.11.2).

use super::functional;
use super::lut::Lut;
use loupe_core::media::MediaError;
use loupe_core::window::{Window, WindowFunction};
use loupe_dicom::object::{Dataset, Object, malformed};
use loupe_dicom::tags;

/// From stored values to the modality's unit (HU for CT).
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// `value · slope + intercept`.
    Linear {
        /// Rescale Slope (0028,1053).
        slope: f64,
        /// Rescale Intercept (0028,1052).
        intercept: f64,
    },
    /// Modality LUT Sequence (0028,3000).
    Table(Lut),
}

impl Transform {
    /// The transform of a frame.
    ///
    /// # Errors
    /// When numbers are not finite, the slope is 0 or a table is broken.
    pub fn read(object: &Object, frame: usize, signed: bool) -> Result<Self, MediaError> {
        let data = &object.data;
        let place = functional::place(data, frame, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        let tables = [place, data].into_iter().find_map(|set| set.item(tags::MODALITY_LUT_SEQUENCE));
        if let Some(item) = tables {
            return Ok(Self::Table(Lut::from_item(item, signed)?));
        }
        let read = |tag, default: f64| match (place.bytes(tag), place.number(tag)) {
            (None, _) => Ok(default),
            (Some(_), Some(value)) if value.is_finite() => Ok(value),
            _ => Err(malformed(tag, "not a finite number")),
        };
        // A dose grid has a factor of its own, to Gy (C.8.8.3.2), and no rescale slope.
        let factor = match data.bytes(tags::DOSE_GRID_SCALING) {
            Some(_) if place.bytes(tags::RESCALE_SLOPE).is_none() => tags::DOSE_GRID_SCALING,
            _ => tags::RESCALE_SLOPE,
        };
        let slope = match (factor, data.number(factor)) {
            (tags::DOSE_GRID_SCALING, Some(value)) if value.is_finite() => value,
            (tags::DOSE_GRID_SCALING, _) => return Err(malformed(factor, "not a finite number")),
            _ => read(factor, 1.0)?,
        };
        let intercept = read(tags::RESCALE_INTERCEPT, 0.0)?;
        if slope == 0.0 {
            return Err(malformed(factor, "0 would make every pixel alike"));
        }
        Ok(Self::Linear { slope, intercept })
    }

    /// The value in the modality's unit.
    pub fn apply(&self, stored: f64) -> f64 {
        match self {
            Self::Linear { slope, intercept } => stored * slope + intercept,
            Self::Table(lut) => f64::from(lut.apply(stored as i64)),
        }
    }

    /// True when values stay as stored.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::Linear { slope, intercept } if *slope == 1.0 && *intercept == 0.0)
    }
}

/// The windows of a frame in the order of the file, with the maker's names for them.
pub fn windows(data: &Dataset, frame: usize) -> Vec<(Window, Option<String>)> {
    let place = functional::place(data, frame, tags::FRAME_VOILUT_SEQUENCE);
    let centres = place.numbers(tags::WINDOW_CENTER).unwrap_or_default();
    let widths = place.numbers(tags::WINDOW_WIDTH).unwrap_or_default();
    let function = match place.text(tags::VOILUT_FUNCTION).as_deref() {
        Some("SIGMOID") => WindowFunction::Sigmoid,
        Some("LINEAR_EXACT") => WindowFunction::LinearExact,
        _ => WindowFunction::Linear,
    };
    let names = place.decoded(tags::WINDOW_CENTER_WIDTH_EXPLANATION, &data.charset()).unwrap_or_default();
    let mut names = names.split('\\').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    centres
        .into_iter()
        .zip(widths)
        .map(|(centre, width)| (Window { centre, width, function }, names.next()))
        .collect()
}

/// The VOI lookup tables of a frame (0028,3010). Their inputs are values of the modality, which are
/// signed when rescaling can make them so (C.11.2.1.1).
///
/// # Errors
/// When a table is broken.
pub fn voi_tables(data: &Dataset, frame: usize, signed: bool) -> Result<Vec<Lut>, MediaError> {
    let place = functional::place(data, frame, tags::FRAME_VOILUT_SEQUENCE);
    place.items(tags::VOILUT_SEQUENCE).iter().map(|item| Lut::from_item(item, signed)).collect()
}
