//! JSON as Python writes it.

use serde_json::Value;

/// A document. `NaN`, `Infinity` and `-Infinity`, which Python's `json.dump` writes for a missing cell of a
/// table and which are no JSON, are null, and so is a number that is too large: what holds it loses that
/// field, not the document.
///
/// # Errors
/// Where the text is no JSON otherwise.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match mended(text) {
        Some(text) => serde_json::from_str(&text),
        None => Err(error),
    })
}

/// The text with null for every number that is none; nothing when there is none of these.
fn mended(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(c) = rest.chars().next() {
        let end = if c == '"' {
            string_end(rest)
        } else if c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.') {
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
                .unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        let (token, after) = rest.split_at(end);
        let begins = token.trim_start_matches('-');
        let infinite = || token.parse::<f64>().is_ok_and(f64::is_infinite);
        let none = matches!(begins, "NaN" | "Infinity")
            || (begins.starts_with(|c: char| c.is_ascii_digit()) && infinite());
        found |= none;
        out.push_str(if none { "null" } else { token });
        rest = after;
    }
    found.then_some(out)
}

/// Where the string that the text begins with ends.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::parse;
    use serde_json::json;

    #[test]
    fn numbers_that_are_none_are_null() {
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity, 1e999, -2.5e-3], "NaN": "NaN \" NaN \\", "é": "Infinity"}"#;
        assert_eq!(
            parse(text).unwrap(),
            json!({"a": null, "b": [null, null, null, -2.5e-3], "NaN": "NaN \" NaN \\", "é": "Infinity"})
        );
        for bad in ["", "{\"a\": NaN", "[nan]", "[NaNa]", "[\"open, NaN]"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
