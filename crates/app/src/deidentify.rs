//! Copies of DICOM files without what identifies the patient: the basic profile of PS3.15 E.1.

use crate::error::{AppError, InStep};
use crate::listener::Listener;
use loupe_core::DecodeLimits;
use loupe_core::files::{SETTINGS_BYTES, read_at_most};
use loupe_preprocess::dicom::export::{Export, Outcome};
use loupe_preprocess::dicom::{deid, files};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is kept although the basic profile would not (options of PS3.15 E.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Study, series and object UIDs.
    pub uids: bool,
    /// Full dates and times.
    pub dates: bool,
    /// Identity of the device.
    pub device: bool,
    /// Identity of the institution.
    pub institution: bool,
    /// Age, sex, size and weight of the patient.
    pub patient: bool,
}

/// Which files, and what is kept of them.
#[derive(Debug, Clone)]
pub struct DeidentifyOptions {
    /// File, folder, zip archive or DICOMDIR.
    pub source: PathBuf,
    /// Folder for the copies; it must be empty or not there yet.
    pub output: PathBuf,
    /// What is kept.
    pub keep: Kept,
    /// File whose contents decide the new UIDs; without it they agree within this call only.
    pub secret: Option<PathBuf>,
    /// How large a file may be.
    pub limits: DecodeLimits,
}

/// What came of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeidentifyDocument {
    /// Copies written.
    pub written: usize,
    /// Files that are not DICOM and were left out.
    pub not_dicom: usize,
    /// Files without a copy.
    pub failed: Vec<FailedFile>,
    /// Warnings, each with the number of its copies.
    pub warnings: BTreeMap<String, usize>,
}

/// A file without a copy, by number: names of files often name patients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedFile {
    /// In the order of names, from 1.
    pub file: usize,
    /// Why there is no copy.
    pub error: String,
}

/// Writes the copies. They are named by their new UIDs; pixels are not changed.
///
/// # Errors
/// When the folder is not empty, the source cannot be read, or the secret is empty.
pub fn deidentify(
    options: &DeidentifyOptions,
    listener: &dyn Listener,
) -> Result<DeidentifyDocument, AppError> {
    let secret = match &options.secret {
        Some(path) => {
            read_at_most(path, SETTINGS_BYTES).step(|| format!("{} could not be read", path.display()))?
        }
        None => unguessable(),
    };
    if secret.is_empty() {
        return Err(AppError::input("the secret is empty; anyone could then test guesses of the old UIDs"));
    }
    let keep = options.keep;
    let rules = deid::Options {
        secret,
        keep_uids: keep.uids,
        keep_dates: keep.dates,
        keep_device: keep.device,
        keep_institution: keep.institution,
        keep_patient_characteristics: keep.patient,
    };
    must_be_empty(&options.output)?;
    let blobs = files::collect(&options.source, &options.limits)
        .step(|| format!("{} could not be read", options.source.display()))?;
    listener.begin(blobs.len() as u64);
    let mut export = Export::new(&options.output, rules, options.limits);
    let mut document = DeidentifyDocument::default();
    for (n, blob) in blobs.iter().enumerate() {
        match export.file(blob) {
            Ok(Outcome::Written(warnings)) => {
                document.written += 1;
                warnings.into_iter().for_each(|w| *document.warnings.entry(w).or_default() += 1);
            }
            Ok(Outcome::NotDicom) => document.not_dicom += 1,
            Err(error) => document.failed.push(FailedFile { file: n + 1, error: error.to_string() }),
        }
        listener.advance(blobs.len() as u64);
    }
    listener.end();
    Ok(document)
}

/// Copies of two runs in one folder would mix, and a copy must never land on an original.
fn must_be_empty(folder: &Path) -> Result<(), AppError> {
    if let Ok(mut entries) = std::fs::read_dir(folder)
        && entries.next().is_some()
    {
        return Err(AppError::input(format!("{} is not empty; name a new folder", folder.display())));
    }
    Ok(())
}

/// Bits that nobody can guess, from the seeds that the operating system gives each hash table.
fn unguessable() -> Vec<u8> {
    use std::hash::{BuildHasher, RandomState};
    (0..4u8).flat_map(|n| RandomState::new().hash_one(n).to_le_bytes()).collect()
}
