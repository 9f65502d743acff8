//! Readers of medical visual question answering, grounding, segmentation and report sets.
//!
//! A set is opened by name from the folder its users have on disk ([`open`]); its rows become
//! [`Sample`](loupe_core::Sample)s. Nothing here decodes pixels: a sample refers to image files, or
//! carries the encoded bytes of a parquet or TSV row, read only when that sample is asked for.
//! One file a set in `sets/`, one line in [`SETS`].

mod check;
mod entry;
mod listed;
mod overlap;
mod read;
pub mod replies;
mod sets;
mod write_parquet;

pub use check::{CheckReport, SplitCheck, check};
pub use entry::{Known, SetEntry};
pub use overlap::{Overlap, Perceptual, overlap};
pub use sets::SETS;
pub use write_parquet::{FrameRow, write_frames};

use loupe_core::{DataError, Dataset};
use std::path::Path;

/// The entry of the set called `name`.
///
/// # Errors
/// [`DataError::Unknown`] with the nearest known name.
pub fn find(name: &str) -> Result<&'static SetEntry, DataError> {
    SETS.iter().copied().find(|entry| entry.name == name).ok_or_else(|| DataError::Unknown {
        name: name.to_owned(),
        suggestion: entry::nearest(name, SETS.iter().map(|entry| entry.name)),
    })
}

/// Opens the set called `name` that lies in `path` (a folder, or the one file that some formats
/// consist of). `split` is one of the set's splits, with an option after a colon where the set has
/// any (`test:zh`); nothing means the set's own default.
///
/// A row that breaks the format does not spoil the others: its error is what `get` returns for it.
///
/// # Errors
/// No such set or split, a missing file (naming it and the layout), an unreadable annotation file.
pub fn open(name: &str, path: &Path, split: Option<&str>) -> Result<Box<dyn Dataset>, DataError> {
    Ok(Box::new(find(name)?.open(path, split)?))
}

/// SHA-256 of a file's bytes, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn file_sha256(path: &Path) -> Result<String, DataError> {
    read::file_digest(path).map_err(|e| DataError::Read {
        file: path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        problem: e.to_string(),
    })
}

/// SHA-256 of a text, in hexadecimal.
pub fn text_sha256(text: &str) -> String {
    read::digest_hex(&[text.as_bytes()])
}
