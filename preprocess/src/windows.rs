//! Named CT windows.
//!
//! Centres and widths are the typical values of Radiopaedia's article "Windowing (CT)" (A. Murphy
//! et al., rID 52108, <https://radiopaedia.org/articles/windowing-ct>): brain W:80 L:40, subdural W:130–300 L:50–100 (its middle is taken), stroke
//! W:8 L:32, lungs W:1500 L:-600, mediastinum W:350 L:50, soft tissues of the abdomen W:400 L:50,
//! liver W:150 L:30, bone W:1800 L:400. All are DICOM `LINEAR` windows in Hounsfield units.

use loupe_core::media::MediaError;
use loupe_core::registry::{Named, Registry};
use loupe_core::window::Window;

/// A window by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preset {
    /// The name to ask for.
    pub name: &'static str,
    /// Other names that are understood.
    pub also: &'static [&'static str],
    /// Centre and width in Hounsfield units.
    pub window_hu: Window,
}

impl Named for Preset {
    fn name(&self) -> &str {
        self.name
    }
}

/// Every named window.
pub static PRESETS: Registry<Preset> =
    Registry { kind: "window", listed_as: "windows", files: &[("windows", ROWS)] };

const ROWS: &[Preset] = &[
    named("brain", &["head"], 40.0, 80.0),
    named("subdural", &["blood"], 75.0, 215.0),
    named("stroke", &[], 32.0, 8.0),
    named("mediastinum", &["chest", "mediastinal"], 50.0, 350.0),
    named("soft-tissue", &["soft"], 50.0, 400.0),
    named("lung", &["lungs"], -600.0, 1500.0),
    named("bone", &["bones"], 400.0, 1800.0),
    named("liver", &[], 30.0, 150.0),
    named("abdomen", &["abdominal"], 50.0, 400.0),
];

const fn named(name: &'static str, also: &'static [&'static str], centre_hu: f64, width_hu: f64) -> Preset {
    Preset { name, also, window_hu: Window::linear(centre_hu, width_hu) }
}

/// The window of that name; case, spaces, hyphens and underscores do not matter.
pub fn preset_window(name: &str) -> Option<Window> {
    let wanted = plain(name);
    PRESETS
        .iter()
        .find(|p| plain(p.name) == wanted || p.also.iter().any(|a| *a == wanted))
        .map(|p| p.window_hu)
}

/// [`preset_window`], or an error with the nearest name.
///
/// # Errors
/// [`MediaError::View`] when there is no such preset.
pub fn preset(name: &str) -> Result<Window, MediaError> {
    preset_window(name).ok_or_else(|| MediaError::View(PRESETS.unknown(name).to_string()))
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_found_and_corrected() {
        assert_eq!(preset("Lung").unwrap(), Window::linear(-600.0, 1500.0));
        assert_eq!(preset("soft tissue").unwrap(), preset("soft_tissue").unwrap());
        let message = preset("lugn").unwrap_err().to_string();
        assert!(message.contains("did you mean \"lung\"?"), "{message}");
        assert!(!preset("zzzzzzzz").unwrap_err().to_string().contains("did you mean"));
    }
}
