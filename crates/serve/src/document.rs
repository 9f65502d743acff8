//! JSON of strangers: read into values, of which there may be only so many. A list of zeros takes sixteen times the
//! memory of its text.

use crate::api_error::ApiError;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Most values, those inside others counted. A request of 400 questions with 255 options each has fewer.
const MOST_VALUES: usize = 400_000;

/// The value that a body holds.
///
/// # Errors
/// When it is no JSON, holds too many values, or an object has a key twice.
pub(crate) fn read(body: &[u8]) -> Result<Value, ApiError> {
    let mut left = MOST_VALUES;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Node(&mut left).deserialize(&mut reader);
    value.and_then(|value| reader.end().map(|()| value)).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        let message = match e.classify() {
            // Our own words.
            serde_json::error::Category::Data => format!("the body is refused: {e}"),
            _ => format!("the body is no JSON document (line {line}, column {column})"),
        };
        ApiError::new(400, "invalid_json", message)
    })
}

/// A value; what is left counts down.
struct Node<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0.checked_sub(1) {
            Some(left) => *self.0 = left,
            None => return Err(D::Error::custom(format!("it holds more than {MOST_VALUES} values"))),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Node(&mut *self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Node(&mut *self.0))?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("an object has a key twice, so it is open which one is meant"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_read_as_serde_json_reads_them() {
        let text = r#" {"a": [1, -2, 3.5, 1e300, "x\u00e9\n", null, true, {}], "b": {"c": [[]]}, "d": 18446744073709551615} "#;
        assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read(b"3").unwrap(), json!(3));
    }

    #[test]
    fn what_is_too_much_or_open_is_refused() {
        let zeros = |n: usize| format!("[{}0]", "0,".repeat(n - 1));
        assert!(read(zeros(MOST_VALUES - 1).as_bytes()).is_ok());
        assert!(read(zeros(MOST_VALUES).as_bytes()).unwrap_err().message.contains("more than 400000 values"));
        assert!(read(br#"{"a": 1, "a": 2}"#).unwrap_err().message.contains("a key twice"));
        for bad in ["", "{", "[1] 2", "[1,]", "nope", "{\"a\": \"\\ud800\"}"] {
            let error = read(bad.as_bytes()).unwrap_err();
            assert!(error.message.contains("no JSON document"), "{bad}: {}", error.message);
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes()).is_err());
    }
}
