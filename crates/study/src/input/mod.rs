//! Files of readings: one row a reading, as CSV or as JSON lines (`docs/reference/readings.md`).

mod cells;
mod collect;

use crate::error::StudyError;
use crate::readings::Readings;
use loupe_core::files::read_at_most;
use std::path::Path;

/// Reads a file; `.jsonl` and `.ndjson` are JSON lines, anything else is CSV with a header.
///
/// # Errors
/// With the number of the line for a cell that cannot be read, a reading that is there twice, and cases whose truth, group
/// or lesions differ between rows.
pub fn read(path: &Path) -> Result<Readings, StudyError> {
    let bytes = read_at_most(path, u64::MAX)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| StudyError::File("the file is not UTF-8; save it as UTF-8".to_owned()))?;
    let lines = matches!(path.extension().and_then(|e| e.to_str()), Some("jsonl" | "ndjson"));
    if lines { read_jsonl(text) } else { read_csv(text) }
}

/// Reads CSV with a header.
///
/// # Errors
/// As [`read`].
pub fn read_csv(text: &str) -> Result<Readings, StudyError> {
    let (rows, unread) = cells::of_csv(text)?;
    collect::collect(&rows, unread)
}

/// Reads JSON lines, an object a line.
///
/// # Errors
/// As [`read`].
pub fn read_jsonl(text: &str) -> Result<Readings, StudyError> {
    let (rows, unread) = cells::of_jsonl(text)?;
    collect::collect(&rows, unread)
}
