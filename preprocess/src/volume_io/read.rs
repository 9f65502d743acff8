//! What reading a research format gives, and where its second file may lie.

use crate::render::{ChosenWindow, window_of};
use loupe_core::media::{MediaError, WindowChoice};
use loupe_core::volume::Volume;
use loupe_core::window::Window;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A volume read from a research format, with what the record needs.
#[derive(Debug, Clone)]
pub struct ReadVolume {
    /// The voxels of one frame and their place.
    pub volume: Volume,
    /// Frames (time points, echoes, components) in the file.
    pub frames: usize,
    /// The window the file recommends.
    pub stored_window: Option<Window>,
    /// Number type in the file.
    pub stored_type: &'static str,
    /// Names of labels, where the format holds them.
    pub label_names: BTreeMap<u16, String>,
    /// Decisions for the record: which matrix, which unit, what was ignored.
    pub notes: Vec<String>,
}

impl ReadVolume {
    /// The window for `choice`, of the whole volume. Without one the file's own is used when it has one.
    ///
    /// # Errors
    /// As [`window_for`](crate::render::window_for).
    pub fn window(&self, choice: Option<&WindowChoice>) -> Result<ChosenWindow, MediaError> {
        match (choice, self.stored_window) {
            (None | Some(WindowChoice::Stored(0)), Some(window)) => {
                Ok(ChosenWindow { window, step: "window stored in the file".into() })
            }
            _ => window_of(&self.volume, choice),
        }
    }
}

/// The path of `name` inside `folder`, when it stays inside: no absolute paths, no `..`, no links
/// that lead out. For file names written in headers and manifests.
///
/// # Errors
/// When it leads out ([`MediaError::View`]) or is not there.
pub fn inside(folder: &Path, name: &str) -> Result<PathBuf, MediaError> {
    let relative = Path::new(name);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let out = || MediaError::View("a file name inside the file or manifest leads out of its folder".into());
    if !plain || name.contains("://") {
        return Err(out());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let base = folder.canonicalize().map_err(|_| MediaError::NotFound)?;
    let full = base.join(relative).canonicalize().map_err(|_| MediaError::NotFound)?;
    if full.starts_with(&base) { Ok(full) } else { Err(out()) }
}
