//! Content items of structured reports (PS3.15 E.3.4): their form, codes, numbers and coordinates stay.
//!
//! Text, names, dates and UIDs of items are attributes with rows of their own in table E.1-1. Here are the items that identify by
//! what they are about, and those that an option keeps.

use super::method;
use super::options::Options;
use super::people::People;
use super::table::{self, Action};
use crate::object::{Dataset, Value};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// DCM "Subject Sex", and what stands for a sex that is not told (PS3.16 CID 7455).
const SUBJECT_SEX: &str = "121032";
const UNDETERMINED_SEX: (&str, &str) = ("121103", "Undetermined sex");

/// Is the data set a content item?
pub(super) fn is_item(data: &Dataset) -> bool {
    data.get(tags::VALUE_TYPE).is_some() && data.get(tags::CONCEPT_NAME_CODE_SEQUENCE).is_some()
}

/// Cleans an item by its concept, after its attributes were cleaned by theirs.
pub(super) fn clean(original: &Dataset, data: &mut Dataset, options: &Options, people: &People) {
    let Some(concept) = original.item(tags::CONCEPT_NAME_CODE_SEQUENCE) else { return };
    let text = |tag: Tag| concept.text(tag).unwrap_or_default();
    let (scheme, code) = (text(tags::CODING_SCHEME_DESIGNATOR), text(tags::CODE_VALUE));
    let kind = original.text(tags::VALUE_TYPE).unwrap_or_default();
    let Some(action) = table::content(&scheme, &code, &kind, options) else { return };
    let value = match kind.as_str() {
        "TEXT" => tags::TEXT_VALUE,
        "UIDREF" => tags::UID,
        "DATE" => tags::DATE,
        "TIME" => tags::TIME,
        "DATETIME" => tags::DATE_TIME,
        "NUM" => tags::MEASURED_VALUE_SEQUENCE,
        "CODE" => tags::CONCEPT_CODE_SEQUENCE,
        _ => return,
    };
    match (action, kind.as_str()) {
        (Action::Keep, "NUM" | "CODE") | (Action::Shift, _) => {}
        (Action::Keep, _) => {
            if let Some(element) = original.get(value)
                && let Value::Bytes(bytes) = &element.value
                && !people.named_in(bytes.bytes())
            {
                data.put(element.clone());
            }
        }
        // A number without a value is one that is not known.
        (_, "NUM") => data.put_items(value, Vec::new()),
        (_, "CODE") => {
            let (code, meaning) = if code == SUBJECT_SEX { UNDETERMINED_SEX } else { ("121110", "Not told") };
            let item = method::code(data, code, meaning);
            data.put_items(value, vec![item]);
        }
        _ => {}
    }
}
