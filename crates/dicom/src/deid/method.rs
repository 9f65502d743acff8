//! What was done, as the copy records it (PS3.15 E.1.1; codes of PS3.16 CID 7050).

use super::options::{Dates, Options};
use super::table;
use crate::object::Dataset;
use dicom_dictionary_std::tags;

/// What a copy says about itself.
pub(super) struct Done {
    /// A tree of content items was cleaned.
    pub content: bool,
    /// Graphic annotations were cleaned.
    pub graphics: bool,
    /// Private attributes were kept.
    pub private: bool,
}

/// Writes the attributes that say that the object is de-identified, and by what. What an earlier hand wrote there goes.
///
/// The codes of a structured report are what readers take from it, so there the options are told in words alone: E.1.1 asks for De-identification
/// Method, its Code Sequence, or both.
pub(super) fn record(data: &mut Dataset, options: &Options, done: &Done) {
    data.put_text(tags::PATIENT_IDENTITY_REMOVED, "YES");
    let mut method =
        format!("loupe {}\\{} E.1-1 and all free text", env!("CARGO_PKG_VERSION"), table::EDITION);
    let codes = [
        (true, "113100", "Basic Application Confidentiality Profile"),
        (done.graphics, "113103", "Clean Graphics Option"),
        (done.content, "113104", "Clean Structured Content Option"),
        (
            options.dates == Dates::Kept,
            "113106",
            "Retain Longitudinal Temporal Information Full Dates Option",
        ),
        (
            options.dates == Dates::Shifted,
            "113107",
            "Retain Longitudinal Temporal Information Modified Dates Option",
        ),
        (options.keep_patient_characteristics, "113108", "Retain Patient Characteristics Option"),
        (options.keep_device, "113109", "Retain Device Identity Option"),
        (options.keep_uids, "113110", "Retain UIDs Option"),
        (done.private, "113111", "Retain Safe Private Option"),
        (options.keep_institution, "113112", "Retain Institution Identity Option"),
    ];
    let used = codes.iter().filter(|(used, ..)| *used);
    if done.content {
        used.for_each(|(_, _, meaning)| {
            method.push('\\');
            method.push_str(meaning);
        });
        data.retain(|element| element.tag != tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE);
    } else {
        let items = used.map(|(_, value, meaning)| code(data, value, meaning)).collect();
        data.put_items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, items);
    }
    data.put_text(tags::DEIDENTIFICATION_METHOD, &method);
    let dates = match options.dates {
        Dates::Removed => "REMOVED",
        Dates::Shifted => "MODIFIED",
        Dates::Kept => "UNMODIFIED",
    };
    data.put_text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, dates);
}

/// Adds that pixels were blanked where text is burned in (PS3.15 E.3.1).
pub fn record_blanked(data: &mut Dataset) {
    data.put_text(tags::BURNED_IN_ANNOTATION, "NO");
    let mut items = data.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).to_vec();
    items.insert(1.min(items.len()), code(data, "113101", "Clean Pixel Data Option"));
    data.put_items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, items);
}

/// An item that holds a code of DICOM's own.
pub(super) fn code(data: &Dataset, value: &str, meaning: &str) -> Dataset {
    let mut item = Dataset::new(Vec::new(), data.big_endian);
    item.put_text(tags::CODE_VALUE, value);
    item.put_text(tags::CODING_SCHEME_DESIGNATOR, "DCM");
    item.put_text(tags::CODE_MEANING, meaning);
    item
}
