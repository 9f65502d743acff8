//! Writes questions over several pictures in the columns of MedFrameQA, as the Hugging Face copy has
//! them (`data/test-*.parquet`: text columns, `options` as a list, `image_1` … `image_5` as
//! `{bytes, path}`).

use crate::frames::{FrameRow, PICTURES};
use loupe_core::{DataError, Spot};
use std::path::Path;

/// Writes the rows to `path`, making its folder.
///
/// # Errors
/// When a row has no picture or more than five, or the file cannot be written.
pub fn write_frames(path: &Path, rows: &[FrameRow]) -> Result<(), DataError> {
    // The folder may be a patient's; the file's own name is ours.
    let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(row) = rows.iter().position(|r| r.pictures.is_empty() || r.pictures.len() > PICTURES) {
        return Err(DataError::Row {
            file,
            at: Spot::Row(row + 1),
            problem: format!("a question has 1 to {PICTURES} pictures"),
        });
    }
    write(path, rows).map_err(|problem| DataError::Read { file, problem })
}

#[cfg(feature = "parquet")]
fn write(path: &Path, rows: &[FrameRow]) -> Result<(), String> {
    crate::parquet_frames::write(path, rows).map_err(|e| e.to_string())
}

#[cfg(not(feature = "parquet"))]
fn write(_: &Path, _: &[FrameRow]) -> Result<(), String> {
    Err(crate::features::NO_PARQUET.to_owned())
}
