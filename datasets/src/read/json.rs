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

/// The line, from 1, on which each element of the list that the text is begins; nothing where elements share
/// lines, so that a line does not tell which is meant.
pub(crate) fn lines_of_elements(text: &str) -> Option<Vec<usize>> {
    let mut lines = Vec::new();
    let (mut line, mut depth, mut open) = (1, 0usize, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // An element begins at the first mark after the bracket or comma before it.
        if open && depth == 1 && !c.is_whitespace() && c != ']' {
            lines.push(line);
            open = false;
        }
        let end = if c == '"' { string_end(rest) } else { c.len_utf8() };
        let (token, after) = rest.split_at(end);
        match c {
            '[' | '{' => {
                depth += 1;
                open |= depth == 1;
            }
            ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 1 => open = true,
            _ => {}
        }
        line += token.matches('\n').count();
        rest = after;
    }
    lines.windows(2).all(|pair| pair[0] < pair[1]).then_some(lines)
}

/// Where the string that the text begins with ends.
pub(crate) fn string_end(text: &str) -> usize {
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
    use super::{lines_of_elements, parse};
    use serde_json::json;

    #[test]
    fn elements_are_found_on_their_lines() {
        let text = "[\n  {\"a\": [1,\n 2]},\n\n  {\"b\": \"x],\\\"\"}, \n 7\n]";
        assert_eq!(lines_of_elements(text).unwrap(), [2, 5, 6]);
        assert_eq!(lines_of_elements("[{}, {}]"), None);
        assert!(lines_of_elements("[]").unwrap().is_empty());
        assert_eq!(lines_of_elements("[{}]\n").unwrap(), [1]);
    }

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
