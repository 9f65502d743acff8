//! Is a set on disk what it should be? Counts, images, ids and checksums.

use crate::digest::file_sha256;
use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::open::find;
use loupe_core::{DataError, Dataset, MeasureUnit, MediaSource, Sample, Target};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Names given in a report; the counts are complete.
const MOST_NAMES: usize = 10;

/// What was found in one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitCheck {
    /// Split, with its option.
    pub split: String,
    /// Rows in the files.
    pub rows: usize,
    /// Rows that the publishers state.
    pub known_rows: Option<usize>,
    /// Distinct image files that the rows refer to, or rows with embedded images.
    pub images: usize,
    /// Image files that are not there.
    pub missing_images: usize,
    /// The first of them, as the set names them.
    pub missing_names: Vec<String>,
    /// Images whose checksum is not the one that the set states.
    pub wrong_checksums: usize,
    /// Images whose checksum the set states (the tag `image_sha256`, for a row's first image).
    pub known_checksums: usize,
    /// Rows without any image.
    pub rows_without_image: usize,
    /// Rows whose reference is unknown or empty: they cannot be scored.
    pub rows_without_reference: usize,
    /// Ids that stand in the files more than once.
    pub repeated_ids: Vec<String>,
    /// Boxes without area.
    pub empty_boxes: usize,
    /// Lengths that are not above 0 and major axes shorter than the minor one.
    pub odd_measurements: usize,
    /// Rows that break the format.
    pub bad_rows: usize,
    /// The first of their errors.
    pub row_errors: Vec<String>,
    /// SHA-256 over the annotation files.
    pub fingerprint: String,
}

impl SplitCheck {
    /// Nothing is wrong with it.
    pub fn is_good(&self) -> bool {
        self.known_rows.is_none_or(|known| known == self.rows)
            && self.rows > 0
            && self.missing_images == 0
            && self.wrong_checksums == 0
            && self.repeated_ids.is_empty()
            && self.bad_rows == 0
    }
}

/// What was found in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Name of the set.
    pub set: &'static str,
    /// Splits that could be opened.
    pub splits: Vec<SplitCheck>,
    /// Splits that could not, with the reason.
    pub absent: Vec<(String, String)>,
}

impl CheckReport {
    /// At least one split is there, and nothing is wrong with those that are.
    pub fn is_good(&self) -> bool {
        !self.splits.is_empty() && self.splits.iter().all(SplitCheck::is_good)
    }
}

/// Opens every split of the set `name` in `path` and looks at every row and image file (their bytes
/// are read only where the set states checksums or embeds them).
///
/// # Errors
/// No such set, or nothing of it in `path`.
pub fn check(name: &str, path: &Path) -> Result<CheckReport, DataError> {
    let entry = find(name)?;
    let mut report = CheckReport { set: entry.name, splits: Vec::new(), absent: Vec::new() };
    let mut first_error = None;
    for split in splits(entry) {
        match entry.open(path, split.as_deref()) {
            Ok(set) => report.splits.push(look(entry, &set)),
            Err(error) => {
                let split = split.unwrap_or_else(|| "all".to_owned());
                report.absent.push((split, error.to_string()));
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if report.splits.is_empty() => Err(error),
        _ => Ok(report),
    }
}

/// Every split by itself and every selection with a published size.
fn splits(entry: &SetEntry) -> Vec<Option<String>> {
    if entry.splits.is_empty() {
        return vec![None];
    }
    let whole = entry.splits.iter().copied();
    let parts = entry.known.iter().map(|k| k.split).filter(|k| k.contains(':'));
    whole.chain(parts).map(|s| Some(s.to_owned())).collect()
}

fn look(entry: &SetEntry, set: &Listed) -> SplitCheck {
    let info = set.info();
    let mut found = SplitCheck {
        split: info.split.clone(),
        rows: set.len(),
        known_rows: known_rows(entry, &info.split, set.len()),
        images: 0,
        missing_images: 0,
        missing_names: Vec::new(),
        wrong_checksums: 0,
        known_checksums: 0,
        rows_without_image: 0,
        rows_without_reference: 0,
        repeated_ids: set.repeated_ids.clone(),
        empty_boxes: 0,
        odd_measurements: 0,
        bad_rows: 0,
        row_errors: Vec::new(),
        fingerprint: info.fingerprint.clone(),
    };
    let mut files = HashMap::new();
    for index in 0..set.len() {
        match set.get(index) {
            Ok(sample) => look_at(&mut found, &mut files, &sample),
            Err(error) => {
                found.bad_rows += 1;
                if found.row_errors.len() < MOST_NAMES {
                    found.row_errors.push(error.to_string());
                }
            }
        }
    }
    found
}

/// The published size. Where layouts of a set have different sizes, the one that fits.
fn known_rows(entry: &SetEntry, split: &str, rows: usize) -> Option<usize> {
    let sizes = || entry.known.iter().filter(|k| k.split == split).map(|k| k.rows);
    sizes().find(|known| *known == rows).or_else(|| sizes().next())
}

fn look_at(found: &mut SplitCheck, files: &mut HashMap<PathBuf, bool>, sample: &Sample) {
    found.rows_without_image += usize::from(sample.media.is_empty());
    match &sample.target {
        Target::Boxes(boxes) => found.empty_boxes += boxes.iter().filter(|b| !b.at.is_proper()).count(),
        Target::Measurements(all) => {
            let odd = all.iter().filter(|m| m.unit == MeasureUnit::Mm && m.value <= 0.0).count();
            let swapped = all.windows(2).filter(|w| w[0].name == "major axis" && w[0].value < w[1].value);
            found.odd_measurements += odd + swapped.count();
        }
        Target::Unknown => found.rows_without_reference += 1,
        _ => {}
    }
    for (at, media) in sample.media.iter().enumerate() {
        let path = match &media.source {
            MediaSource::File(path) | MediaSource::Folder(path) => path,
            MediaSource::Bytes(_) => {
                found.images += 1;
                continue;
            }
        };
        if files.contains_key(path) {
            continue;
        }
        let there = path.is_file() || path.is_dir();
        files.insert(path.clone(), there);
        found.images += 1;
        if !there {
            found.missing_images += 1;
            if found.missing_names.len() < MOST_NAMES {
                found.missing_names.push(media.name.clone());
            }
        } else if let Some(stated) = sample.tag("image_sha256").filter(|_| at == 0) {
            found.known_checksums += 1;
            let same = file_sha256(path).is_ok_and(|sum| sum.eq_ignore_ascii_case(stated));
            found.wrong_checksums += usize::from(!same);
        }
    }
}
