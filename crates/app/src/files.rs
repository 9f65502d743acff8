//! Files and folders whose names stand in what is said when they cannot be used.

use crate::error::{AppError, InStep};
use std::path::Path;

pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<(), AppError> {
    std::fs::write(file, bytes).step(|| format!("{} could not be written", file.display()))
}

pub(crate) fn make_folder(dir: &Path) -> Result<(), AppError> {
    std::fs::create_dir_all(dir).step(|| format!("{} could not be made", dir.display()))
}
