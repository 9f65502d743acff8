//! From stored to meaningful values: modality transform and windows (PS3.3 C.11.1, C.11.2).

use super::format::{Format, Photometric, Stored};
use super::functional;
use super::lut::Lut;
use crate::presentation::{Presentation, StoredWindow};
use loupe_core::media::MediaError;
use loupe_core::window::{Window, WindowFunction};
use loupe_core::words::counted;
use loupe_dicom::object::{Dataset, Object, describe, malformed};
use loupe_dicom::{Tag, tags};

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

    /// True when whole numbers become whole numbers.
    pub fn keeps_whole_numbers(&self) -> bool {
        match self {
            Self::Linear { slope, intercept } => slope.fract() == 0.0 && intercept.fract() == 0.0,
            Self::Table(_) => true,
        }
    }

    /// True when values stay as stored.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::Linear { slope, intercept } if *slope == 1.0 && *intercept == 0.0)
    }
}

/// What the file says about the grey levels of a frame: its windows with the maker's names, its VOI tables,
/// and which of them cannot be used. `transform` is that of the frame.
pub fn presentation(data: &Dataset, frame: usize, format: &Format, transform: &Transform) -> Presentation {
    let (windows, mut notes) = windows(data, frame);
    // Inputs of the tables are values of the modality, which are signed when rescaling can make them so
    // (C.11.2.1.1).
    let signed =
        matches!(transform, Transform::Linear { intercept, .. } if format.signed || *intercept < 0.0);
    let place = functional::place(data, frame, tags::FRAME_VOILUT_SEQUENCE);
    let mut tables = Vec::new();
    for (n, item) in place.items(tags::VOILUT_SEQUENCE).iter().enumerate() {
        match Lut::from_item(item, signed) {
            Ok(table) => tables.push(table),
            Err(error) => notes.push(format!("VOI table {n} of the file is not used: {error}")),
        }
    }
    let integer = format.stored == Stored::Integer;
    Presentation {
        windows,
        tables,
        eight_bits: format.bits_stored == 8 && integer && !format.signed && transform.is_identity(),
        inverted: format.photometric == Photometric::Monochrome1,
        whole: Some(integer && transform.keeps_whole_numbers()),
        notes,
    }
}

/// The windows of a frame in the order of the file, and what is to be said about them.
fn windows(data: &Dataset, frame: usize) -> (Vec<StoredWindow>, Vec<String>) {
    let place = functional::place(data, frame, tags::FRAME_VOILUT_SEQUENCE);
    let mut notes = Vec::new();
    let centres = decimals(place, tags::WINDOW_CENTER, &mut notes);
    let widths = decimals(place, tags::WINDOW_WIDTH, &mut notes);
    if centres.len() != widths.len() {
        let pairs = counted(centres.len().min(widths.len()), "pair");
        let (c, w) = (counted(centres.len(), "window centre"), counted(widths.len(), "width"));
        notes.push(format!("the file has {c}, but {w}: {pairs} used, the rest is left out"));
    }
    let function = match place.text(tags::VOILUT_FUNCTION).as_deref() {
        Some("SIGMOID") => WindowFunction::Sigmoid,
        Some("LINEAR_EXACT") => WindowFunction::LinearExact,
        _ => WindowFunction::Linear,
    };
    let names = place.decoded(tags::WINDOW_CENTER_WIDTH_EXPLANATION, &data.charset()).unwrap_or_default();
    let mut names = names.split('\\').map(|name| name.trim().to_owned());
    let pairs = centres.into_iter().zip(widths).enumerate();
    let windows = pairs.map(|(n, (centre, width))| {
        let mut window = Window { centre, width, function };
        if !window.has_width() {
            let problem = match (centre.is_finite() && width.is_finite(), width) {
                (true, width) => format!("its width is {width}"),
                (false, _) => "its centre or width is no number".to_owned(),
            };
            notes.push(format!("window {n} of the file is not used: {problem}"));
        } else if !window.is_valid() {
            window = window.for_values(true);
            notes.push(format!(
                "window {n} of the file: LINEAR needs a width of at least 1, not {width}; LINEAR_EXACT used"
            ));
        }
        StoredWindow { window, name: names.next().filter(|name| !name.is_empty()) }
    });
    (windows.collect(), notes)
}

/// The values of a decimal string, NaN where one is no number. Commas, which some writers use, are read as
/// points.
fn decimals(data: &Dataset, tag: Tag, notes: &mut Vec<String>) -> Vec<f64> {
    if let Some(values) = data.numbers(tag) {
        return values;
    }
    let Some(text) = data.text(tag) else { return Vec::new() };
    if text.contains(',') {
        notes.push(format!("{}: decimal commas read as points", describe(tag)));
    }
    let number = |part: &str| part.trim_matches([' ', '\0']).replace(',', ".").parse().unwrap_or(f64::NAN);
    text.split('\\').map(number).collect()
}
