//! Sets by name.

use crate::entry::SetEntry;
use crate::sets::SETS;
use loupe_core::words::nearest;
use loupe_core::{DataError, Dataset};
use std::path::Path;

/// The entry of the set called `name`.
///
/// # Errors
/// [`DataError::Unknown`] with the nearest known name.
pub fn find(name: &str) -> Result<&'static SetEntry, DataError> {
    SETS.get(name).copied().ok_or_else(|| DataError::Unknown {
        name: name.to_owned(),
        suggestion: nearest(name, SETS.names()).map(str::to_owned),
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
    open_with_images(name, path, split, None)
}

/// The same for a set whose images lie in the folder `images` instead of beside its annotation files; paths of images stay
/// inside that folder.
///
/// # Errors
/// As [`open`].
pub fn open_with_images(
    name: &str,
    path: &Path,
    split: Option<&str>,
    images: Option<&Path>,
) -> Result<Box<dyn Dataset>, DataError> {
    Ok(Box::new(find(name)?.open_with_images(path, split, images)?))
}
