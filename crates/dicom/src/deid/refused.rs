//! Objects that cannot be cleaned, by name.

use crate::object::{Dataset, unsupported};
use dicom_dictionary_std::tags;
use loupe_core::media::MediaError;

/// SOP classes by the beginning of their UID, what they are, and what can be done.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "1.2.840.10008.5.1.4.1.1.104.",
        "an encapsulated document",
        "leave it out: nobody but a reader can clean it",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.9.4.",
        "a recording of sound",
        "leave it out: voices identify, and names are spoken",
    ),
    ("1.2.840.10008.1.3.10", "a directory of files (DICOMDIR)", "make a new one for the copies"),
];

/// SOP classes whose contents are removed as a whole.
const EMPTIED: &[(&str, &str)] = &[
    ("1.2.840.10008.5.1.4.1.1.66", "raw data"),
    ("1.2.840.10008.5.1.4.1.1.8", "a standalone overlay"),
    ("1.2.840.10008.5.1.4.1.1.9", "a standalone curve"),
    ("1.2.840.10008.5.1.4.1.1.129", "a standalone curve"),
];

/// Errors for an object of which no copy can be made that is both clean and readable.
pub(super) fn check(data: &Dataset) -> Result<(), MediaError> {
    let class = data.text(tags::SOP_CLASS_UID).unwrap_or_default();
    let refused = |what: &str, hint: &str| Err(unsupported(format!("a de-identified copy of {what}"), hint));
    if let Some((_, what, hint)) = REFUSED.iter().find(|(begin, ..)| class.starts_with(begin)) {
        return refused(what, hint);
    }
    if data.get(tags::ENCAPSULATED_DOCUMENT).is_some() {
        let (_, what, hint) = REFUSED[0];
        return refused(what, hint);
    }
    if let Some((_, what)) = EMPTIED.iter().find(|(uid, _)| class == *uid) {
        return refused(what, "leave it out: nothing of it would be left");
    }
    let pixels = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];
    let shows = pixels.iter().any(|tag| data.get(*tag).is_some());
    if !class.is_empty() && !class.starts_with("1.2.840.10008.") && !shows {
        return refused(
            "an object of a maker's own class without pixels",
            "leave it out: its contents are private",
        );
    }
    Ok(())
}
