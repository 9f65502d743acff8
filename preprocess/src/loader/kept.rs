//! The last things read: many slices or frames of one file are usually asked for in turn, and of a
//! segmentation those of an image and of its label map.

use super::contents::Contents;
use loupe_core::limits::io_error;
use loupe_core::media::MediaError;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// How many are kept.
const MOST: usize = 2;

/// A file or folder as it was when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileState {
    path: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
}

impl FileState {
    /// What the file system says of `path`, and whether it is a folder.
    pub(super) fn of(path: &Path) -> Result<(Self, bool), MediaError> {
        let facts = std::fs::metadata(path).map_err(|e| io_error(&e))?;
        let state = Self { path: path.to_owned(), bytes: facts.len(), changed: facts.modified().ok() };
        Ok((state, facts.is_dir()))
    }
}

/// Which requests kept contents answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Serves {
    /// The frame, time point or phase that they are; all of them when not given.
    pub(super) number: Option<usize>,
    /// As a volume or frame by frame; the same thing when not given.
    pub(super) as_volume: Option<bool>,
}

impl Serves {
    fn this(self, number: usize, as_volume: bool) -> bool {
        self.number.is_none_or(|n| n == number) && self.as_volume.is_none_or(|v| v == as_volume)
    }
}

/// Contents by the file that they are of, least recently used first.
#[derive(Default)]
pub(super) struct KeptContents(Mutex<Vec<(FileState, Serves, Contents)>>);

impl KeptContents {
    /// What was kept of a file, for frame `number` as a volume or frame by frame.
    pub(super) fn find(&self, state: &FileState, number: usize, as_volume: bool) -> Option<Contents> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(s, serves, _)| s == state && serves.this(number, as_volume))?;
        let entry = all.remove(at);
        let found = entry.2.clone();
        all.push(entry);
        Some(found)
    }

    /// Bytes of everything kept.
    pub(super) fn bytes(&self) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(_, _, contents)| contents.bytes()).sum()
    }

    /// Keeps nothing any more.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps contents; what was not used for longest goes.
    pub(super) fn put(&self, state: &FileState, serves: Serves, contents: &Contents) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(s, other, _)| s != state || *other != serves);
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push((state.clone(), serves, contents.clone()));
    }
}
