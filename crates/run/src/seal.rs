//! Lines that tell whether they were changed: each ends with a digest of what stands before it.

use crate::made_by::FORMAT;
use serde::Serialize;
use sha2::{Digest, Sha256};

const NAME: &str = ",\"sum\":\"";
/// Hexadecimal digits of the digest; sixteen tell any accident.
const DIGITS: usize = 16;

/// What a line says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// It is as it was written.
    Whole,
    /// It was changed.
    Broken,
    /// It has none, as everything in the first layout of run folders.
    None,
}

impl Seal {
    /// Is it to be believed in a folder of layout `format`? Whoever writes the present one seals everything, so that there a missing
    /// digest was taken away.
    pub(crate) fn holds(self, format: u32) -> bool {
        self == Self::Whole || (self == Self::None && format < FORMAT)
    }
}

fn digest(text: &[u8]) -> String {
    let mut digits = loupe_core::words::hex(&Sha256::digest(text));
    digits.truncate(DIGITS);
    digits
}

/// A JSON object on a line of its own, with the digest as its last field.
///
/// # Errors
/// When it cannot be written as a JSON object.
pub(crate) fn sealed(line: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    use serde::ser::Error;
    let mut text = serde_json::to_vec(line)?;
    if text.pop() != Some(b'}') {
        return Err(serde_json::Error::custom("a line is an object"));
    }
    let sum = digest(&text);
    text.extend_from_slice(NAME.as_bytes());
    text.extend_from_slice(sum.as_bytes());
    text.extend_from_slice(b"\"}\n");
    Ok(text)
}

const FIELD: &str = ",\n  \"sum\": \"";
const CLOSE: &str = "\"\n}\n";

/// A JSON object that is a file of its own, over several lines, with the digest as its last field.
///
/// # Errors
/// When it cannot be written as a JSON object.
pub fn sealed_file(of: &impl Serialize) -> serde_json::Result<String> {
    use serde::ser::Error;
    let mut text = serde_json::to_string_pretty(of)?;
    let Some(length) = text.strip_suffix("\n}").map(str::len) else {
        return Err(serde_json::Error::custom("a file is an object"));
    };
    text.truncate(length);
    let sum = digest(text.as_bytes());
    text.extend([FIELD, &sum, CLOSE]);
    Ok(text)
}

/// Looks at such a file.
pub(crate) fn seal_of_file(text: &str) -> Seal {
    let ends =
        text.strip_suffix(CLOSE).and_then(|rest| rest.split_at_checked(rest.len().checked_sub(DIGITS)?));
    match ends.and_then(|(rest, sum)| Some((rest.strip_suffix(FIELD)?, sum))) {
        Some((text, sum)) if digest(text.as_bytes()) == sum => Seal::Whole,
        Some(_) => Seal::Broken,
        None if text.contains("\"sum\":") => Seal::Broken,
        None => Seal::None,
    }
}

/// Looks at a line, with or without its line break.
pub(crate) fn seal(line: &[u8]) -> Seal {
    let line = line.trim_ascii_end();
    let end = line.strip_suffix(b"\"}").and_then(|rest| rest.split_last_chunk::<DIGITS>());
    match end.and_then(|(rest, sum)| Some((rest.strip_suffix(NAME.as_bytes())?, sum))) {
        Some((text, sum)) if digest(text).as_bytes() == sum => Seal::Whole,
        Some(_) => Seal::Broken,
        // A change within the digest's own name looks like a line without one.
        None if line.windows(6).rev().take(64).any(|w| w == b"\"sum\":") => Seal::Broken,
        None => Seal::None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn any_change_of_a_line_shows() {
        let line =
            sealed(&json!({ "item": 3, "id": "q\"3", "outcome": { "reply": { "text": "ja, “肝”" } } }))
                .unwrap();
        assert_eq!((seal(&line), line.last()), (Seal::Whole, Some(&b'\n')));
        assert_eq!(serde_json::from_slice::<Value>(&line).unwrap()["item"], 3);
        for at in 0..line.len() - 1 {
            for bit in 0..8 {
                let mut changed = line.clone();
                changed[at] ^= 1 << bit;
                assert_ne!(seal(&changed), Seal::Whole, "byte {at}, bit {bit}");
            }
        }
        assert_eq!(seal(b"{\"item\":3}\n"), Seal::None);
        assert!(
            Seal::None.holds(1)
                && !Seal::None.holds(FORMAT)
                && Seal::Whole.holds(FORMAT)
                && !Seal::Broken.holds(1)
        );
        assert!(sealed(&3).is_err());
        let file = sealed_file(&json!({ "format": 2, "n": 3 })).unwrap();
        assert_eq!(seal_of_file(&file), Seal::Whole);
        assert_eq!(serde_json::from_str::<Value>(&file).unwrap()["n"], 3);
        assert_eq!(seal_of_file(&file.replace("3", "4")), Seal::Broken);
        assert_eq!(seal_of_file(&file.replace(' ', "")), Seal::Broken);
        assert_eq!(seal_of_file("{\"format\": 2}"), Seal::None);
    }
}
