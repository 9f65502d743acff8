//! The DICOM objects behind images.

use crate::error::{AppError, InStep};
use loupe_core::DecodeLimits;
use loupe_dicom::{parse, tags};
use loupe_preprocess::dicom::files::{begins_as_dicom, collect};
use loupe_report::dicom::{SourceFile, SourceStudy};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The headers of every DICOM image in a file, folder or archive; what is no image is passed over.
///
/// # Errors
/// When the path cannot be read.
pub(super) fn headers(path: &Path, limits: &DecodeLimits) -> Result<Vec<SourceFile>, AppError> {
    let words = || format!("{} could not be read", path.display());
    let mut found = Vec::new();
    for blob in collect(path, limits).step(words)? {
        let Ok(bytes) = blob.read(limits) else { continue };
        if !begins_as_dicom(&bytes) {
            continue;
        }
        let Ok(object) = parse::parse(bytes, limits) else { continue };
        found.extend(SourceFile::of(object));
    }
    Ok(found)
}

/// The study among `paths` that the object in `bytes` says it is of, else the largest; nothing without paths.
///
/// # Errors
/// When a path cannot be read, or holds no DICOM image.
pub(super) fn study_of(
    bytes: &[u8],
    paths: &[PathBuf],
    limits: &DecodeLimits,
) -> Result<Option<SourceStudy>, AppError> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut studies: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
    for path in paths {
        for file in headers(path, limits)? {
            studies.entry(file.study.clone()).or_default().push(file);
        }
    }
    let own = begins_as_dicom(bytes).then(|| parse::parse(bytes.to_vec(), limits).ok()).flatten();
    let own = own.and_then(|object| object.data.text(tags::STUDY_INSTANCE_UID));
    let largest = studies.iter().max_by_key(|(_, files)| files.len()).map(|(uid, _)| uid.clone());
    let wanted = own.filter(|uid| studies.contains_key(uid)).or(largest);
    let files = wanted.and_then(|uid| studies.remove(&uid));
    let files = files.ok_or_else(|| AppError::input("--source holds no DICOM image"))?;
    SourceStudy::of(files)
        .map(Some)
        .map_err(|error| AppError::input(format!("--source could not be used: {error}")))
}
