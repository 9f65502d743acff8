//! What is known of a volume beside its values: how its slices are shown, where they came from, and which
//! voxels are padding.

use crate::presentation::{Presentation, StoredWindow, median_window};
use loupe_core::media::MediaError;
use loupe_core::window::Window;
use ndarray::Array3;
use serde::Serialize;
use std::sync::Arc;

/// The object that a slice was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SliceInstance {
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: Option<String>,
    /// Instance Number (0020,0013).
    pub instance_number: Option<i64>,
    /// Frame of a multi-frame object, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<usize>,
}

/// How a slice was made of what is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SliceMaking {
    /// It is stored.
    #[default]
    Stored,
    /// A copy of the nearest stored slice, which lies elsewhere.
    Nearest,
    /// Interpolated between two stored slices.
    Between,
}

impl SliceMaking {
    /// What is to be said of measures on such a slice.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Stored => None,
            Self::Nearest => Some("no slice is stored here: this is the nearest one (--irregular nearest)"),
            Self::Between => {
                Some("no slice is stored here: interpolated between its neighbours (--irregular resample)")
            }
        }
    }
}

/// What is known of one slice along k.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SliceFacts {
    /// How it is shown.
    pub presentation: Arc<Presentation>,
    /// How it was made.
    pub making: SliceMaking,
    /// The objects it was taken from: one, or two when interpolated; none where the format has none.
    pub instances: Vec<SliceInstance>,
}

/// What is known of a volume beside its values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VolumeFacts {
    /// Of each slice along k, or one entry that holds for all; empty where nothing is known.
    pub slices: Vec<SliceFacts>,
    /// Voxels that only fill the frames up (PS3.3 C.7.5.1.1.2), in the shape of the volume; none without any.
    pub padding: Option<Array3<bool>>,
    /// Are the stored slices upright as they are, so that viewers do not turn them (DICOM)?
    pub upright: bool,
    /// Frame of Reference UID (0020,0052), by which masks are told to belong here; never shown.
    pub frame_of_reference: Option<String>,
}

impl VolumeFacts {
    /// Facts of a format that holds one window for the whole volume, or none.
    pub fn of_window(window: Option<Window>) -> Self {
        let windows = window.map(|window| StoredWindow { window, name: None });
        let presentation = Presentation { windows: windows.into_iter().collect(), ..Presentation::default() };
        let slices = vec![SliceFacts { presentation: Arc::new(presentation), ..SliceFacts::default() }];
        Self { slices, ..Self::default() }
    }

    /// What is known of slice `k`.
    pub fn slice(&self, k: usize) -> Option<&SliceFacts> {
        self.slices.get(if self.slices.len() == 1 { 0 } else { k })
    }

    fn presentations(&self) -> impl Iterator<Item = &Presentation> {
        self.slices.iter().map(|s| &*s.presentation)
    }

    /// How all slices are shown, when it is the same way.
    pub fn common(&self) -> Option<&Presentation> {
        let first = self.presentations().next()?;
        let same = |p: &Presentation| {
            (p.eight_bits, p.inverted) == (first.eight_bits, first.inverted)
                && p.windows == first.windows
                && p.tables == first.tables
        };
        self.presentations().all(same).then_some(first)
    }

    /// Are all values whole numbers? Nothing where the files do not tell.
    pub fn whole(&self) -> Option<bool> {
        let told = self.presentations().map(|p| p.whole);
        told.reduce(|a, b| Some(a? && b?)).flatten()
    }

    /// The median of stored window `n` over all slices.
    ///
    /// # Errors
    /// When no slice has it.
    pub fn median(&self, n: usize) -> Result<Window, MediaError> {
        median_window(self.presentations(), n)
    }

    /// Is slice `k`, or every slice when it is not given, shown with low values white (MONOCHROME1)?
    ///
    /// # Errors
    /// When slices of both kinds would be in one picture.
    pub fn inverted(&self, k: Option<usize>) -> Result<bool, MediaError> {
        if let Some(k) = k {
            return Ok(self.slice(k).is_some_and(|s| s.presentation.inverted));
        }
        let mut all = self.presentations().map(|p| p.inverted);
        let first = all.next().unwrap_or(false);
        if all.any(|inverted| inverted != first) {
            return Err(MediaError::View(
                "some slices are MONOCHROME1 and some MONOCHROME2, so a plane across them cannot be shown; \
                 look at the stored slices"
                    .into(),
            ));
        }
        Ok(first)
    }

    /// What is to be said of the slices: windows that vary or are not used, inversion, padding.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.presentations().any(|p| p.inverted) {
            notes.push("MONOCHROME1: low values are shown white".to_owned());
        }
        if self.common().is_none() {
            notes.extend(self.variation());
        }
        for presentation in self.presentations() {
            for note in &presentation.notes {
                if !notes.contains(note) {
                    notes.push(note.clone());
                }
            }
        }
        if let Some(padding) = &self.padding {
            let share = 100.0 * padding.iter().filter(|p| **p).count() as f64 / padding.len().max(1) as f64;
            notes.push(format!("padding: {share:.1} % of the voxels take no part in windows and statistics"));
        }
        notes
    }

    /// Between what the first window varies.
    fn variation(&self) -> Option<String> {
        let first = |p: &Presentation| p.windows.first().map(|w| w.window).filter(Window::is_valid);
        let windows: Vec<Window> = self.presentations().filter_map(first).collect();
        let span = |value: fn(&Window) -> f64| {
            let values = windows.iter().map(value);
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            if low == high { format!("{low}") } else { format!("{low} to {high}") }
        };
        if windows.is_empty() {
            return None;
        }
        let (have, all) = (windows.len(), self.slices.len());
        let (some, others) = match have < all {
            true => (format!(" ({have} of {all} slices have one)"), "slices without one and "),
            false => (String::new(), ""),
        };
        let (centre, width) = (span(|w| w.centre), span(|w| w.width));
        Some(format!(
            "stored windows vary by slice: centre {centre}, width {width}{some}; each slice is shown in its own, \
             {others}planes across slices in the median"
        ))
    }
}
