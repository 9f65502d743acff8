//! What a file says about the grey levels of a frame, and the grey scale that comes of it (PS3.3 C.11.2,
//! C.7.6.3.1.2).

use crate::dicom::lut::Lut;
use loupe_core::media::MediaError;
use loupe_core::picture::BLANK;
use loupe_core::window::{Side, Window};
use serde::Serialize;

/// A window of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredWindow {
    /// Centre, width and function.
    #[serde(flatten)]
    pub window: Window,
    /// The maker's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What the file says about the grey levels of one frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Presentation {
    /// Windows in the order of the file, those that cannot be used among them so that their numbers stand.
    pub windows: Vec<StoredWindow>,
    /// VOI tables, counted after the windows.
    pub tables: Vec<Lut>,
    /// Are the values grey levels of 8 bits already?
    pub eight_bits: bool,
    /// Are low values shown white (MONOCHROME1)?
    pub inverted: bool,
    /// Are all values whole numbers, where the file tells?
    pub whole: Option<bool>,
    /// What of it is not used as it stands, and why.
    pub notes: Vec<String>,
}

impl Presentation {
    /// The curve with number `n`, windows before tables; `None` when there is none or it cannot be used.
    pub fn curve(&self, n: usize) -> Option<Curve> {
        match self.windows.get(n) {
            Some(stored) => stored.window.is_valid().then_some(Curve::Window(stored.window)),
            None => {
                let at = n - self.windows.len();
                self.tables.get(at).cloned().map(|table| Curve::Table(table, at))
            }
        }
    }

    /// What a viewer shows without being told: the first usable window, else the first VOI table, else the
    /// levels as they are when they fill 8 bits.
    pub fn first(&self) -> Option<Curve> {
        let mut curves = (0..self.windows.len() + self.tables.len()).filter_map(|n| self.curve(n));
        curves.next().or(self.eight_bits.then_some(Curve::Window(Window::between(0.0, 255.0))))
    }
}

/// The median of the centres and of the widths of window `n` over all frames or slices that have it.
///
/// # Errors
/// When none has it, or they are of different functions.
pub fn median_window<'a>(
    all: impl Iterator<Item = &'a Presentation>,
    n: usize,
) -> Result<Window, MediaError> {
    let windows: Vec<Window> =
        all.filter_map(|p| p.windows.get(n)).map(|w| w.window).filter(Window::is_valid).collect();
    let Some(first) = windows.first() else {
        return Err(MediaError::View(format!("the file has no stored window {n} (counted from 0)")));
    };
    if windows.iter().any(|w| w.function != first.function) {
        return Err(MediaError::View(
            "the stored windows have different VOI LUT functions, so they have no median; give numbers"
                .into(),
        ));
    }
    let median = |value: fn(&Window) -> f64| {
        let mut values: Vec<f64> = windows.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        low + (high - low) / 2.0
    };
    Ok(Window { centre: median(|w| w.centre), width: median(|w| w.width), function: first.function })
}

/// How a value becomes a grey level.
#[derive(Debug, Clone, PartialEq)]
pub enum Curve {
    /// By a window.
    Window(Window),
    /// By a VOI table of the file, with its number.
    Table(Lut, usize),
}

impl Curve {
    /// The level of a value in the modality's unit.
    pub fn level(&self, value: f64) -> u8 {
        match self {
            Self::Window(window) => window.level(value),
            Self::Table(table, _) => {
                let top = f64::from((1u32 << table.bits) - 1);
                (f64::from(table.apply(value.round() as i64)) / top * 255.0).round_ties_even() as u8
            }
        }
    }
}

/// A curve, which end of it is black, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct GreyScale {
    /// From value to level.
    pub curve: Curve,
    /// Are low values shown white (MONOCHROME1)?
    pub inverted: bool,
    /// For the record.
    pub steps: Vec<String>,
}

impl GreyScale {
    /// A window for values of which low ones are black.
    pub fn of(window: Window, step: impl Into<String>) -> Self {
        Self { curve: Curve::Window(window), inverted: false, steps: vec![step.into()] }
    }

    /// The level of a value in the modality's unit.
    pub fn level(&self, value: f64) -> u8 {
        let level = self.curve.level(value);
        if self.inverted { 255 - level } else { level }
    }

    /// The window, where it is one.
    pub fn window(&self) -> Option<Window> {
        match self.curve {
            Curve::Window(window) => Some(window),
            Curve::Table(..) => None,
        }
    }

    /// What has to be said of a picture of which no value is reached by the window: it is of one level, whatever it
    /// shows. `range` is the smallest and largest value of the picture.
    pub fn missed(&self, range: Option<[f64; 2]>) -> Option<String> {
        let (window, [low, high]) = (self.window()?, range?);
        let side = match window.passed_by(low, high)? {
            Side::Below => "below",
            Side::Above => "above",
        };
        Some(format!(
            "{BLANK}the window lies outside of the values: all of them are {side} it and shown as one level"
        ))
    }

    /// Everything that was done, in order.
    pub fn record(&self) -> Vec<String> {
        let mut steps = self.steps.clone();
        if let Curve::Table(_, n) = self.curve {
            steps.push(format!("voi lut {n}"));
        }
        if self.inverted {
            steps.push("monochrome1 inverted".to_owned());
        }
        steps
    }
}
