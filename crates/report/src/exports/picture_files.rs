//! Pictures beside an export, under names that say image, plane and slice.

use crate::encode::png;
use crate::exports::exporter::{Export, ExportError, ExportFile, ExportImage};

/// The name of image `number` as a file: its number, then its name with nothing that a file system or an address takes
/// for more than a letter.
pub(crate) fn picture_name(number: usize, image: &ExportImage<'_>) -> String {
    let name: String = image
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' })
        .collect();
    let tail: String = name.chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
    let tail = tail.trim_matches(['-', '.']);
    format!("images/{:04}-{tail}.png", number + 1)
}

/// The pictures of all images; those that cannot be had are said.
pub(crate) fn picture_files(
    export: &Export<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<ExportFile>, ExportError> {
    let mut files = Vec::new();
    for (number, image) in export.images.iter().enumerate() {
        match (export.pictures)(number) {
            Ok(picture) => {
                files.push(ExportFile { name: picture_name(number, image), bytes: png(&picture)? });
            }
            Err(error) => notes.push(format!("image {} has no picture beside it: {error}", number + 1)),
        }
    }
    Ok(files)
}
