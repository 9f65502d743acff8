//! The files of a run folder by name, and how they are written.

use crate::error::RunError;
use loupe_core::files::write_whole;
use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::path::Path;

pub(crate) const RUN: &str = "run.json";
pub(crate) const SAMPLES: &str = "samples.jsonl";
pub(crate) const REPLIES: &str = "replies.jsonl";
pub(crate) const PROBE: &str = ".space";
pub(crate) const LOCK: &str = ".lock";

/// Writes a file of the folder, whole or not at all.
///
/// # Errors
/// When the folder cannot be written or `write` fails.
pub fn replace(
    dir: &Path,
    name: &'static str,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), RunError> {
    write_whole(&dir.join(name), write).map_err(|source| write_error(dir, name, source))
}

/// Removes what a kill left of files that were being written, under the names that `write_whole` gives them. The caller holds the
/// folder's lock.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<(), RunError> {
    for name in [RUN, SAMPLES, REPLIES] {
        match std::fs::remove_file(dir.join(format!(".{name}.part"))) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(write_error(dir, name, source));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn write_error(dir: &Path, file: &'static str, source: std::io::Error) -> RunError {
    RunError::Write { folder: dir.into(), file, source }
}

pub(crate) fn read_error(dir: &Path, file: &'static str, source: std::io::Error) -> RunError {
    RunError::Read { folder: dir.into(), file, source }
}
