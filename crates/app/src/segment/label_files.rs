//! A label map on disk, with its names and colours for the programs that show it.

use crate::error::AppError;
use crate::files;
use loupe_core::mask::LabelVolume;
use loupe_preprocess::nifti::label_bytes;
use loupe_report::label_tables::{itk_snap_table, slicer_table};
use std::path::Path;

/// Writes `labels.nii.gz` and beside it `labels.ctbl` for 3D Slicer and `labels.txt` for ITK-SNAP. Labels without a
/// name are named by their number.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write_labels(dir: &Path, labels: &LabelVolume) -> Result<(), AppError> {
    let mut names = labels.names.clone();
    for label in labels.labels.iter().filter(|label| **label != 0) {
        names.entry(*label).or_insert_with(|| format!("label {label}"));
    }
    files::write(&dir.join("labels.nii.gz"), &label_bytes(labels)?)?;
    files::write(&dir.join("labels.ctbl"), slicer_table(&names).as_bytes())?;
    files::write(&dir.join("labels.txt"), itk_snap_table(&names).as_bytes())
}
