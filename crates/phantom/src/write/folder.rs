//! The folder that phantoms are written into.

use crate::error::PhantomError;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Pixels along an edge of pictures; slices of volumes have [`super::VOLUME_SIZE`].
pub const PICTURE_SIZE: usize = 336;

/// Counts the files it writes and makes the folders they need.
pub(super) struct Folder {
    root: PathBuf,
    files: usize,
}

impl Folder {
    /// Files go below `root`.
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: 0 }
    }

    /// How many were written.
    pub(super) fn files(&self) -> usize {
        self.files
    }

    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), PhantomError> {
        let path = self.root.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
        self.files += 1;
        made.map_err(|source| PhantomError::Write { path, source })
    }

    pub(super) fn write_json(&mut self, name: &str, value: &Value) -> Result<(), PhantomError> {
        self.write(name, format!("{value:#}\n").as_bytes())
    }
}
