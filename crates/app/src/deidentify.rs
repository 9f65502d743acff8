//! Copies of DICOM files without what identifies the patient: the basic profile of PS3.15 E.1.

use crate::error::{AppError, InStep};
use crate::key::{Key, lies_in, must_be_apart};
use crate::listener::Listener;
use loupe_core::files::{SETTINGS_BYTES, read_at_most};
use loupe_core::{DecodeLimits, MediaError};
pub use loupe_preprocess::dicom::blank::{Blank, Selection};
pub use loupe_preprocess::dicom::deid::Dates;
use loupe_preprocess::dicom::deid::{EDITION, Options, Subject};
use loupe_preprocess::dicom::export::{Export, Outcome, Rules};
use loupe_preprocess::dicom::files::{self, Blob};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is kept although the basic profile would not (options of PS3.15 E.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Study, series and object UIDs.
    pub uids: bool,
    /// Identity of the device.
    pub device: bool,
    /// Identity of the institution.
    pub institution: bool,
    /// Age, sex, size and weight of the patient.
    pub patient: bool,
    /// Private attributes that the standard lists as safe.
    pub private: bool,
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
    /// What becomes of dates.
    pub dates: Dates,
    /// File whose contents decide new UIDs, pseudonyms and dates; without it or a key they agree within this call only.
    pub secret: Option<PathBuf>,
    /// File that says which pseudonym stands for whom; made when it is not there. It has a secret of its own. With a template for
    /// pseudonyms and no file, `OUTPUT-key.json` beside the folder.
    pub key: Option<PathBuf>,
    /// How the key numbers pseudonyms, as `R{n:03}`.
    pub pseudonym: Option<String>,
    /// What is blanked in the pixels.
    pub blank: Vec<Blank>,
    /// Make no copy of an image whose pixels may show names, unless they were blanked.
    pub refuse_burned_in: bool,
    /// How large a file may be.
    pub limits: DecodeLimits,
}

/// What came of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeidentifyDocument {
    /// Edition of the standard whose table was applied.
    pub edition: &'static str,
    /// Copies written and read back.
    pub written: usize,
    /// Patients of the copies.
    pub patients: usize,
    /// Files that are not DICOM and were left out.
    pub not_dicom: usize,
    /// Files without a copy.
    pub failed: Vec<FailedFile>,
    /// Images whose pixels may show names, by the reason, as their files were given.
    pub burned_in: BTreeMap<&'static str, Vec<String>>,
    /// Other warnings, with the files that they are about.
    pub warnings: BTreeMap<String, Vec<String>>,
}

/// A file without a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedFile {
    /// In the order of names, from 1.
    pub file: usize,
    /// As it was given.
    pub name: String,
    /// Why there is no copy.
    pub error: String,
}

/// Writes the copies. They are named by pseudonyms and new UIDs; pixels are not changed but where they are to be blanked.
///
/// # Errors
/// When the folder is not empty, the source cannot be read, the secret is empty, or the key cannot be used or lies among the copies.
pub fn deidentify(
    options: &DeidentifyOptions,
    listener: &dyn Listener,
) -> Result<DeidentifyDocument, AppError> {
    must_be_empty(&options.output)?;
    let path = match (&options.key, &options.pseudonym) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(_)) => Some(beside(&options.output)?),
        (None, None) => None,
    };
    let mut key = match &path {
        Some(path) => {
            must_be_apart(path, &options.output)?;
            Some(Key::open(path, options.pseudonym.as_deref(), unguessable)?)
        }
        None => None,
    };
    if let (Some(path), None) = (&path, &options.key) {
        let path = path.display();
        listener.say(&format!("the key is {path}: it says who the copies are of; keep it apart from them"));
    }
    let secret = match (&key, &options.secret) {
        (Some(_), Some(_)) => {
            return Err(AppError::input("a key has a secret of its own; give --key or --secret, not both"));
        }
        (Some(key), None) => key.secret(),
        (None, Some(path)) => {
            read_at_most(path, SETTINGS_BYTES).step(|| format!("{} could not be read", path.display()))?
        }
        (None, None) => unguessable(),
    };
    if secret.is_empty() {
        return Err(AppError::input("the secret is empty; anyone could then test guesses of the old UIDs"));
    }
    let keep = options.keep;
    let profile = Options {
        secret,
        keep_uids: keep.uids,
        keep_device: keep.device,
        keep_institution: keep.institution,
        keep_patient_characteristics: keep.patient,
        keep_safe_private: keep.private,
        dates: options.dates,
    };
    let rules = Rules {
        profile: profile.clone(),
        blank: options.blank.clone(),
        refuse_burned_in: options.refuse_burned_in,
    };
    let blobs = files::collect(&options.source, &options.limits)
        .step(|| format!("{} could not be read", options.source.display()))?;
    if lies_in(&options.output, &options.source) {
        listener.say(
            "the copies lie inside the folder that is read: a later call on it would take them for originals",
        );
    }
    listener.begin(blobs.len() as u64);
    let mut export = Export::new(&options.output, rules, options.limits);
    let mut document = DeidentifyDocument { edition: EDITION, ..Default::default() };
    let mut patients = BTreeSet::new();
    for (n, blob) in blobs.iter().enumerate() {
        let mut last = None;
        let mut subject = |patient: &str| -> Result<Subject, MediaError> {
            let subject = match &mut key {
                Some(key) => key
                    .subject(patient, &profile)
                    .map_err(|error| MediaError::Io(format!("the key could not be written: {error}")))?,
                None => Subject::hashed(patient, &profile),
            };
            last = Some(subject.pseudonym.clone());
            Ok(subject)
        };
        let outcome = export.file(blob, &mut subject);
        let name = || match blob {
            Blob::File(path) => path.display().to_string(),
            Blob::Memory(_) => format!("member {} of {}", n + 1, options.source.display()),
        };
        match outcome {
            Ok(Outcome::Written { warnings, burned_in }) => {
                document.written += 1;
                patients.extend(last);
                warnings.into_iter().for_each(|w| document.warnings.entry(w).or_default().push(name()));
                if let Some(why) = burned_in {
                    document.burned_in.entry(why).or_default().push(name());
                }
            }
            Ok(Outcome::NotDicom) => document.not_dicom += 1,
            Err(error) => {
                document.failed.push(FailedFile { file: n + 1, name: name(), error: error.to_string() });
            }
        }
        listener.advance(blobs.len() as u64);
    }
    listener.end();
    document.patients = patients.len();
    Ok(document)
}

/// The key of copies that were given none.
fn beside(output: &Path) -> Result<PathBuf, AppError> {
    let name = output.file_name().ok_or_else(|| {
        AppError::input(
            "pseudonyms are numbered in a key; name its file with --key, outside the output folder",
        )
    })?;
    let mut name = name.to_owned();
    name.push("-key.json");
    Ok(output.with_file_name(name))
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
