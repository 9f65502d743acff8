//! Values of annotation files as words, numbers and places.

use loupe_core::{Box2, Source};
use serde_json::{Number, Value};

/// A value as words: trimmed, nothing when it is empty or null or no single value. Numbers are written out,
/// because several sets mix integers into their answers; whole ones without a fraction, because a table
/// whose column has gaps writes `3` as `3.0`.
pub(crate) fn words(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
        Value::String(s) => s.trim().to_owned(),
        Value::Number(n) => number_words(n),
        Value::Bool(b) => b.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

fn number_words(number: &Number) -> String {
    /// Up to here every whole number is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(n) if number.is_f64() && n.fract() == 0.0 && n.abs() < EXACT => format!("{n:.0}"),
        _ => number.to_string(),
    }
}

/// A reference answer as words: true and false of JSON are yes and no, and `nan`, which Python makes of a
/// missing cell, is none.
pub(crate) fn answer_words(value: &Value) -> Option<String> {
    match value {
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Bool(false) => Some("no".to_owned()),
        other => words(other).filter(|w| !matches!(w.as_str(), "nan" | "NaN")),
    }
}

/// A whole number from 0, also when it is written with a fraction of zeros (`3.0`).
pub(crate) fn whole(text: &str) -> Option<usize> {
    let number = text.trim();
    let (digits, zeros) = number.split_once('.').unwrap_or((number, ""));
    if !zeros.bytes().all(|b| b == b'0') { None } else { digits.parse().ok() }
}

/// An identity as it is compared: a number that a table wrote with a fraction of zeros is that number.
pub(crate) fn key(text: &str) -> &str {
    let text = text.trim();
    match text.split_once('.') {
        Some((digits, zeros))
            if !digits.is_empty()
                && !zeros.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && zeros.bytes().all(|b| b == b'0') =>
        {
            digits
        }
        _ => text,
    }
}

/// Exactly `N` numbers of a list. What is wrong is said in words: text is no number, and nothing is left out
/// so that the rest moves up.
pub(crate) fn numbers<const N: usize>(value: &Value) -> Result<[f64; N], String> {
    let Value::Array(list) = value else {
        return Err(format!("expected a list of {N} numbers, found {}", kind(value)));
    };
    let one = |(at, value): (usize, &Value)| match value.as_f64().filter(|n| n.is_finite()) {
        Some(number) => Ok(number),
        None => Err(format!("number {} of a list of {N} is {}", at + 1, kind(value))),
    };
    let all = list.iter().enumerate().map(one).collect::<Result<Vec<f64>, String>>()?;
    all.try_into().map_err(|_| format!("expected {N} numbers, found {}", list.len()))
}

/// What a value is, without its contents.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A box from its upper left and lower right corner; one whose corners stand the other way round is not
/// turned, because nobody knows which of the numbers is at fault.
pub(crate) fn corners([x0, y0, x1, y1]: [f64; 4]) -> Result<Box2<Source>, String> {
    if x1 < x0 || y1 < y0 {
        return Err(format!(
            "the box {x0}, {y0}, {x1}, {y1} is reversed: its second corner lies before the first"
        ));
    }
    Ok(Box2::new(x0, y0, x1, y1))
}

/// A box from its upper left corner, width and height.
pub(crate) fn xywh([x, y, width, height]: [f64; 4]) -> Result<Box2<Source>, String> {
    if width < 0.0 || height < 0.0 {
        return Err(format!("the box has the width {width} and the height {height}"));
    }
    Ok(Box2::from_xywh(x, y, width, height))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (value, expected) in
            [(json!(3.0), "3"), (json!(-2.0), "-2"), (json!(2.5), "2.5"), (json!("3.0"), "3.0")]
        {
            assert_eq!(words(&value).unwrap(), expected);
        }
        assert_eq!(
            (whole("3.0"), whole("3."), whole("3"), whole("3.5"), whole("x")),
            (Some(3), Some(3), Some(3), None, None)
        );
        assert_eq!((key("12.0"), key("1.2.0"), key("v.0"), key("7.50")), ("12", "1.2.0", "v.0", "7.50"));
        assert_eq!(
            (answer_words(&json!(true)), answer_words(&json!("true"))),
            (Some("yes".into()), Some("true".into()))
        );
    }

    #[test]
    fn places_are_read_whole_or_not_at_all() {
        assert_eq!(numbers::<4>(&json!([1, 2.5, 3, 4])).unwrap(), [1.0, 2.5, 3.0, 4.0]);
        for (value, said) in [
            (json!(["1", 2, 3, 4]), "number 1 of a list of 4 is text"),
            (json!([1, 2, null, 4, 5]), "number 3 of a list of 4 is null"),
            (json!([1, 2, 3]), "expected 4 numbers, found 3"),
            (json!([1, 2, 3, 4, 5]), "expected 4 numbers, found 5"),
            (json!([[1], 2, 3, 4]), "is a list"),
            (json!(null), "found null"),
            (json!([true, 2, 3, 4]), "true or false"),
        ] {
            let error = numbers::<4>(&value).unwrap_err();
            assert!(error.contains(said), "{value}: {error}");
        }
        assert!(corners([5.0, 0.0, 4.0, 1.0]).unwrap_err().contains("reversed"));
        assert!(xywh([5.0, 0.0, 4.0, -1.0]).is_err());
        assert_eq!(xywh([5.0, 0.0, 4.0, 1.0]).unwrap(), corners([5.0, 0.0, 9.0, 1.0]).unwrap());
    }
}
