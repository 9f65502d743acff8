//! Content items of structured reports (PS3.15 E.3.4): their form, codes, numbers and coordinates stay.
//!
//! Text, names, dates and UIDs of items are attributes with rows of their own in table E.1-1. Here are the items that identify by
//! what they are about, and those that an option keeps.

use super::options::Options;
use super::people::People;
use super::table::{self, Action};
use super::{dummy, method};
use crate::object::{Dataset, Element, Slice, Value};
use crate::syntax::dictionary_vr;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// What stands for the subject's sex, the one code that the table removes, where no item may go (DCM, PS3.16 CID 7455).
const UNDETERMINED_SEX: (&str, &str) = ("121103", "Undetermined sex");

/// Is the data set a content item?
pub(super) fn is_item(data: &Dataset) -> bool {
    data.get(tags::VALUE_TYPE).is_some() && data.get(tags::CONCEPT_NAME_CODE_SEQUENCE).is_some()
}

/// Do items of the data set point to others by their positions, so that none may go?
pub(super) fn has_references(data: &Dataset) -> bool {
    data.get(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER).is_some()
        || data.items(tags::CONTENT_SEQUENCE).iter().any(has_references)
}

/// A number or a code that identifies: without its value there is nothing that readers could show, so the item goes as a
/// whole.
pub(super) fn goes(item: &Dataset, options: &Options) -> bool {
    item.text(tags::VALUE_TYPE).is_some_and(|kind| matches!(kind.as_str(), "NUM" | "CODE"))
        && rule(item, options).is_some_and(|action| !matches!(action, Action::Keep | Action::Shift))
}

/// What the table does to an item; nothing where it does not name its concept.
fn rule(item: &Dataset, options: &Options) -> Option<Action> {
    let concept = item.item(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    let text = |tag: Tag| concept.text(tag).unwrap_or_default();
    let (scheme, code) = (text(tags::CODING_SCHEME_DESIGNATOR), text(tags::CODE_VALUE));
    let kind = item.text(tags::VALUE_TYPE).unwrap_or_default();
    table::content(&scheme, &code, &kind, options)
}

/// Cleans an item by its concept, after its attributes were cleaned by theirs.
pub(super) fn clean(original: &Dataset, data: &mut Dataset, options: &Options, people: &People) {
    let Some(action) = rule(original, options) else { return };
    let kind = original.text(tags::VALUE_TYPE).unwrap_or_default();
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
            let item = method::code(data, UNDETERMINED_SEX.0, UNDETERMINED_SEX.1);
            data.put_items(value, vec![item]);
        }
        // What an option keeps or shifts in general goes where the concept says whose it is (a date of birth).
        _ => {
            if let Some(element) = original.get(value)
                && let Value::Bytes(bytes) = &element.value
            {
                let vr = dictionary_vr(value);
                let put = match vr {
                    VR::UI => dummy::uids(bytes.bytes(), options),
                    vr => dummy::of(vr, bytes.bytes()),
                };
                data.put(Element { tag: value, vr, value: Value::Bytes(Slice::owned(put)) });
            }
        }
    }
}
