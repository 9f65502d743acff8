//! Is a file what it was meant to be?

use crate::object::{Dataset, Element, Object, Value, malformed, offset_table};
use crate::parse;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;

/// Reads a file that was made of `object` and compares: the same attributes, items, fragments and values.
///
/// # Errors
/// When it cannot be read or holds something else; the attribute is named.
pub fn check(file: Vec<u8>, object: &Object, limits: &DecodeLimits) -> Result<(), MediaError> {
    let copy = parse::parse(file, limits)?;
    if let Some(tag) = copy.truncated_in {
        return Err(malformed(tag, "the copy ends early"));
    }
    same(&object.data, &copy.data)
}

fn same(meant: &Dataset, found: &Dataset) -> Result<(), MediaError> {
    let written = |e: &&Element| e.tag.0 > 2 && e.tag.1 != 0;
    let mut found_elements = found.elements().iter().filter(written);
    for element in meant.elements().iter().filter(written) {
        let other = found_elements.next();
        let equal = match (&element.value, other.map(|e| &e.value)) {
            (Value::Items(a), Some(Value::Items(b))) if a.len() == b.len() => {
                a.iter().zip(b).try_for_each(|(a, b)| same(a, b))?;
                true
            }
            (Value::Bytes(a), Some(Value::Bytes(b))) => {
                // Numbers that stand in another byte order than the file's are turned around on writing.
                is_padded(a.bytes(), b.bytes()) || meant.big_endian != found.big_endian
            }
            (Value::Fragments(a), Some(Value::Fragments(b))) => {
                let [a_rest, b_rest] = [a, b].map(|all| all.get(1..).unwrap_or_default());
                offset_table(a) == offset_table(b)
                    && a_rest.len() == b_rest.len()
                    && a_rest.iter().zip(b_rest).all(|(a, b)| is_padded(a.bytes(), b.bytes()))
            }
            _ => false,
        };
        if !equal || other.map(|e| e.tag) != Some(element.tag) {
            return Err(malformed(element.tag, "the copy holds something else than was meant"));
        }
    }
    match found_elements.next() {
        Some(more) => Err(malformed(more.tag, "the copy holds what was not meant to be in it")),
        None => Ok(()),
    }
}

/// Is `found` what was meant, made even in length?
fn is_padded(meant: &[u8], found: &[u8]) -> bool {
    found
        .strip_prefix(meant)
        .is_some_and(|rest| rest.is_empty() || (meant.len() % 2 == 1 && matches!(rest, [0 | b' '])))
}
