//! Slices on a page for the kit's viewer: lossless, small, and read by `inflate.js` in every browser.
//!
//! A series is JSON: the fields of [`Series`], and for each slice the base64 of a zlib stream. What is compressed are residuals:
//! a number minus its left plus upper minus upper left neighbour (0 outside), wrapped to the number's bits, and folded so that
//! small ones of either sign are small (`2r` for `r ≥ 0`, `−2r − 1` else). Grey values of 16 bits stand as all low bytes before all high bytes, colours plane after
//! plane. CT slices take three quarters of what deflate alone makes of them.

use crate::marks::{named_sides, pixel_mm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::ZlibEncoder};
use loupe_core::loader::DisplayMaterial;
use loupe_core::window::Window;
use loupe_core::{Intensities, Picture};
use serde::Serialize;
use std::io::Write;
use thiserror::Error;

/// The patient's directions at the edges: R, L, A, P, S (head), I (feet), or two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SideLetters {
    /// At the left edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// At the right edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<String>,
    /// At the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<String>,
    /// At the bottom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

/// Slices of one size and one place, as the viewer reads them. It holds pixels, pixel sizes and directions and nothing else of its
/// source: no name, path, identifier or date.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Columns of each slice.
    pub width: usize,
    /// Rows of each slice.
    pub height: usize,
    /// 1 for grey, 3 for colour.
    pub channels: usize,
    /// Bytes of a number: 2 for values behind a window, 1 for grey levels and colours.
    pub bytes: usize,
    /// Value of the number 0.
    pub offset: f64,
    /// From one number to the next.
    pub scale: f64,
    /// Smallest and largest value.
    pub range: [f64; 2],
    /// High values are dark (MONOCHROME1).
    pub inverted: bool,
    /// The values are Hounsfield units, so that named windows apply.
    pub hounsfield: bool,
    /// The window at the start; `None` for grey levels and colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Size of a pixel to the right and down in mm, where it is known for all of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<[f64; 2]>,
    /// What has to be said beside millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_note: Option<String>,
    /// From one slice to the next in mm, where slices lie in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_mm: Option<f64>,
    /// Directions of the patient.
    pub letters: SideLetters,
    /// Number of the slice at the start.
    pub first: usize,
    /// Each slice: base64 of a zlib stream.
    pub slices: Vec<String>,
}

/// Why slices are no series.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// There is no slice.
    #[error("there is no slice")]
    Empty,
    /// Sizes, channels or kinds of values differ.
    #[error("slice {slice} is {found}, and the first is {first}; give them as two series")]
    Differ {
        /// Number of the slice, from 0.
        slice: usize,
        /// What it is.
        found: String,
        /// What the first is.
        first: String,
    },
    /// No value is finite.
    #[error("slice {0} has no finite value")]
    Blank(usize),
    /// Memory.
    #[error("a slice could not be compressed: {0}")]
    Io(#[from] std::io::Error),
}

/// Values behind a picture that is shown with a window and has one value a pixel.
fn values(material: &DisplayMaterial) -> Option<&Intensities> {
    let picture = &material.picture;
    let fits = |v: &&Intensities| (v.width, v.height) == (picture.width(), picture.height());
    picture.origin.window.and(material.intensities.as_ref().filter(fits))
}

fn described(material: &DisplayMaterial) -> String {
    let picture = &material.picture;
    let kind = match (values(material), picture.channels()) {
        (Some(v), _) if v.hounsfield => "Hounsfield units",
        (Some(v), _) if v.inverted => "inverted values",
        (Some(_), _) => "values",
        (None, 3) => "colours",
        (None, _) => "grey levels",
    };
    format!("{} × {} {kind}", picture.width(), picture.height())
}

impl Series {
    /// Of slices in order, with the one that is shown first. Whole values that span less than 65 536 over all slices are kept exactly, others to 1/65 535 of their range; what
    /// is not finite, padding among it, becomes the value that is shown darkest.
    ///
    /// # Errors
    /// When there is no slice, slices differ in size or kind, or hold no finite value.
    pub fn of(slices: &[DisplayMaterial], first: usize) -> Result<Self, SeriesError> {
        let lead = slices.first().ok_or(SeriesError::Empty)?;
        let wanted = described(lead);
        for (slice, material) in slices.iter().enumerate() {
            let found = described(material);
            if found != wanted {
                return Err(SeriesError::Differ { slice, found, first: wanted });
            }
        }
        let picture = &lead.picture;
        let origin = &picture.origin;
        let mut series = Self {
            width: picture.width(),
            height: picture.height(),
            channels: picture.channels(),
            bytes: 1,
            offset: 0.0,
            scale: 1.0,
            range: [0.0, 255.0],
            inverted: false,
            hounsfield: false,
            window: None,
            spacing: pixel_mm(picture),
            spacing_note: origin.spacing_mm.and(origin.spacing_note.clone()),
            step_mm: step_mm(slices),
            letters: SideLetters::of(picture),
            first: first.min(slices.len() - 1),
            slices: Vec::with_capacity(slices.len()),
        };
        if let Some(values) = values(lead) {
            (series.channels, series.bytes) = (1, 2);
            (series.inverted, series.hounsfield) = (values.inverted, values.hounsfield);
            series.window = slices.get(series.first).and_then(|m| m.picture.origin.window);
            series.pack_values(slices)?;
        } else {
            for material in slices {
                let pixels = material.picture.pixels();
                let (n, size) = (series.channels, series.width * series.height);
                let planes: Vec<u16> =
                    (0..n * size).map(|i| u16::from(pixels[(i % size) * n + i / size])).collect();
                series.slices.push(series.packed(&planes)?);
            }
        }
        Ok(series)
    }

    fn pack_values(&mut self, slices: &[DisplayMaterial]) -> Result<(), SeriesError> {
        let (mut low, mut high, mut whole) = (f32::INFINITY, f32::NEG_INFINITY, true);
        for (n, values) in slices.iter().filter_map(values).enumerate() {
            let mut any = false;
            for v in values.values.iter().copied().filter(|v| v.is_finite()) {
                (low, high, any) = (low.min(v), high.max(v), true);
                whole &= v.fract() == 0.0;
            }
            if !any {
                return Err(SeriesError::Blank(n));
            }
        }
        let (low, high) = (f64::from(low), f64::from(high));
        let exact = whole && high - low <= 65_535.0;
        (self.offset, self.range) = (low, [low, high]);
        self.scale = if exact { 1.0 } else { ((high - low) / 65_535.0).max(f64::MIN_POSITIVE) };
        let dark = if self.inverted { high } else { low };
        for values in slices.iter().filter_map(values) {
            let number = |v: &f32| {
                let v = if v.is_finite() { f64::from(*v) } else { dark };
                ((v - low) / self.scale).round() as u16
            };
            let numbers: Vec<u16> = values.values.iter().map(number).collect();
            let slice = self.packed(&numbers)?;
            self.slices.push(slice);
        }
        Ok(())
    }

    /// A slice of numbers, plane after plane, as the page holds it.
    fn packed(&self, numbers: &[u16]) -> Result<String, SeriesError> {
        let (w, size) = (self.width, self.width * self.height);
        let folded = |i: usize| {
            let (x, y) = (i % size % w, i % size / w);
            let left = if x > 0 { numbers[i - 1] } else { 0 };
            let up = if y > 0 { numbers[i - w] } else { 0 };
            let before = if x > 0 && y > 0 { numbers[i - w - 1] } else { 0 };
            let residual = numbers[i].wrapping_sub(left.wrapping_add(up).wrapping_sub(before));
            match self.bytes {
                2 => (residual << 1) ^ ((residual as i16 >> 15) as u16),
                _ => u16::from(((residual as u8) << 1) ^ ((residual as u8 as i8 >> 7) as u8)),
            }
        };
        let folded: Vec<u16> = (0..numbers.len()).map(folded).collect();
        let low = folded.iter().map(|r| *r as u8);
        let high =
            folded.iter().map(|r| (*r >> 8) as u8).take(if self.bytes == 2 { numbers.len() } else { 0 });
        let bytes: Vec<u8> = low.chain(high).collect();
        let mut zlib = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(6));
        zlib.write_all(&bytes)?;
        Ok(STANDARD.encode(zlib.finish()?))
    }

    /// Bytes that the series takes in a page.
    pub fn size(&self) -> usize {
        self.slices.iter().map(|s| s.len() + 3).sum::<usize>() + 600
    }
}

impl SideLetters {
    /// Of a picture that knows where it lies in the patient; empty for others.
    pub(crate) fn of(picture: &Picture) -> Self {
        let [left, right, up, down] = named_sides(picture);
        Self { left, right, up, down }
    }

    /// Is no direction known?
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The distance of neighbours, where the pictures say where they were taken and it is the same between all of them to 1 %.
fn step_mm(slices: &[DisplayMaterial]) -> Option<f64> {
    let at = |m: &DisplayMaterial| {
        let middle = [m.picture.width() as f64 / 2.0, m.picture.height() as f64 / 2.0];
        m.picture.origin.lps_of(loupe_core::Point2::new(middle[0], middle[1]))
    };
    let places: Option<Vec<_>> = slices.iter().map(at).collect();
    let steps: Vec<f64> =
        places?.windows(2).map(|p| (0..3).map(|n| (p[1][n] - p[0][n]).powi(2)).sum::<f64>().sqrt()).collect();
    let first = *steps.first()?;
    (first > 0.0 && steps.iter().all(|s| (s - first).abs() <= first / 100.0)).then_some(first)
}
