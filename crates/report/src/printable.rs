//! Words as documents of other systems may hold them.

use std::borrow::Cow;

/// The words with `\u{FFFD}` for every control character but tabs and ends of lines: neither DICOM (PS3.5 6.1.3) nor FHIR (R4 `string`) may hold one,
/// and a reply or a worklist may.
pub(crate) fn printable(words: &str) -> Cow<'_, str> {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    match words.contains(is_odd) {
        true => Cow::Owned(words.replace(is_odd, "\u{FFFD}")),
        false => Cow::Borrowed(words),
    }
}
