//! What a cell of a reply file says: words, or why there are none.

use super::failures::stored_failure;
use crate::read::python_list;
use crate::read::values::{kind, words};
use serde_json::{Map, Value};

/// A reply, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// The words of the model; empty where the tool wrote an empty text.
    Words(String),
    /// There is no reply, for this reason.
    Nothing(String),
}

impl Said {
    /// Of the value of the reply's column. An object or a list is no reply, but for the ways in which chat
    /// interfaces write a text: a list of one text, or of parts with a `text` each.
    pub(super) fn of(value: Option<&Value>) -> Self {
        let text = match value {
            None | Some(Value::Null) => return Self::Nothing("the file has no reply in this row".to_owned()),
            Some(Value::String(text)) if is_response(text) => None,
            Some(Value::String(text)) => Some(one_of_list(text).unwrap_or_else(|| text.clone())),
            Some(Value::Array(parts)) => joined(parts),
            Some(Value::Object(fields)) if is_message(fields) => match message(fields) {
                Some(text) => Some(text),
                None => return Self::Nothing("the message in this row has no text".to_owned()),
            },
            Some(Value::Object(_)) => None,
            Some(single) => words(single),
        };
        match text {
            Some(text) => stored_failure(&text).map_or(Self::Words(text), Self::Nothing),
            None => {
                let what = value.map_or("nothing", kind);
                Self::Nothing(format!(
                    "the column of the reply holds {what} that is no text of a model; name the field inside with --reply-column"
                ))
            }
        }
    }

    /// Of a column that holds the tool's own error; nothing where there is none.
    pub(super) fn error(value: Option<&Value>) -> Option<Self> {
        let said = match value? {
            Value::Null | Value::Bool(false) => return None,
            // The status of an answer over HTTP.
            Value::Number(n) if n.as_u64().is_some_and(|n| n == 0 || (200..300).contains(&n)) => return None,
            Value::Number(n) => format!("status {n}"),
            Value::String(text) if text.trim().is_empty() || text == "nan" => return None,
            Value::Object(map) if map.is_empty() => return None,
            Value::Object(map) => {
                let word = ["code", "type", "message"].iter().find_map(|k| map.get(*k).and_then(words));
                word.map_or_else(|| "an error".to_owned(), short)
            }
            other => words(other).map_or_else(|| "an error".to_owned(), short),
        };
        Some(Self::Nothing(format!("the tool got no reply: {said}")))
    }

    /// The words, empty where there are none.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Words(text) => text,
            Self::Nothing(_) => "",
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map`")]
fn short(text: String) -> String {
    const MOST: usize = 120;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MOST).collect()
}

/// Can this value be a reply? For the guess which column is the reply's.
pub(super) fn is_text(value: &Value) -> bool {
    match value {
        Value::String(text) => !is_response(text),
        Value::Array(parts) => joined(parts).is_some(),
        Value::Object(_) => false,
        _ => true,
    }
}

/// The text of a list: of its only element, or of the parts of a message.
fn joined(parts: &[Value]) -> Option<String> {
    match parts {
        [Value::String(text)] => Some(text.clone()),
        [Value::Array(inside)] => joined(inside),
        [] => None,
        parts => {
            let texts = parts.iter().map(part).collect::<Option<Vec<_>>>()?;
            let texts: Vec<String> = texts.into_iter().flatten().collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
    }
}

/// Is the object one message of a chat interface?
fn is_message(fields: &Map<String, Value>) -> bool {
    let has = |key: &str| fields.contains_key(key);
    let bare = fields.keys().all(|key| matches!(key.as_str(), "content" | "refusal"));
    (has("content") && (has("role") || has("refusal"))) || (bare && !fields.is_empty())
}

/// The text of a message, or the words with which the model refuses: a refusal is an answer, and one that was left
/// out would raise the share of right ones.
fn message(fields: &Map<String, Value>) -> Option<String> {
    let content = match fields.get("content") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => joined(parts),
        _ => None,
    };
    let refusal = || fields.get("refusal").and_then(Value::as_str).map(str::to_owned);
    content.as_ref().filter(|text| !text.trim().is_empty()).cloned().or_else(refusal).or(content)
}

/// The text of one part of a message; an empty one of a part that is no text for people (reasoning, a call).
fn part(value: &Value) -> Option<Option<String>> {
    let Value::Object(map) = value else { return None };
    match (map.get("text"), map.get("content")) {
        (Some(Value::String(text)), _) => Some(Some(text.clone())),
        _ if map.get("refusal").is_some_and(Value::is_string) => Some(words(map.get("refusal")?)),
        (_, Some(Value::Array(inside))) => Some(joined(inside)),
        _ => map.contains_key("type").then_some(None),
    }
}

/// `['B']`: the list of one text as Python prints it.
fn one_of_list(text: &str) -> Option<String> {
    let quoted = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    let quote = quoted.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    if !quoted.ends_with(quote) {
        return None;
    }
    match python_list(text)?.as_slice() {
        [Some(only)] => Some(only.clone()),
        _ => None,
    }
}

/// Is the text what an interface answered, written out, and not what a model said?
fn is_response(text: &str) -> bool {
    let text = text.trim();
    if !text.starts_with('{') || !text.ends_with('}') {
        return false;
    }
    let has = |key: &str| text.contains(&format!("\"{key}\":")) || text.contains(&format!("'{key}':"));
    [
        ["choices", "message"],
        ["role", "content"],
        ["completion", "model"],
        ["status_code", "body"],
        ["output", "usage"],
    ]
    .iter()
    .any(|keys| keys.iter().all(|key| has(key)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_of_chat_interfaces_are_replies_and_objects_are_not() {
        for (value, text) in [
            (json!("B"), "B"),
            (json!(""), ""),
            (json!(3.0), "3"),
            (json!(true), "true"),
            (json!([["C"]]), "C"),
            (json!("['it\\'s B']"), "it's B"),
            (
                json!([{"type": "reasoning", "summary": []}, {"type": "text", "text": "a "}, {"type": "text", "text": "b"}]),
                "a b",
            ),
            (json!([{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}]), "yes"),
            (json!("[{\"bbox_2d\": [1, 2, 3, 4]}]"), "[{\"bbox_2d\": [1, 2, 3, 4]}]"),
            (json!("{\"answer\": \"B\"}"), "{\"answer\": \"B\"}"),
        ] {
            assert_eq!(Said::of(Some(&value)), Said::Words(text.to_owned()), "{value}");
            assert!(is_text(&value));
        }
        for value in [
            json!({"text": "B"}),
            json!([]),
            json!(["a", "b"]),
            json!([[-1.5, false], [-2.0, true]]),
            json!("{'id': 1, 'choices': [{'message': {'role': 'assistant', 'content': 'B'}}]}"),
        ] {
            let Said::Nothing(why) = Said::of(Some(&value)) else { panic!("{value}") };
            assert!(why.contains("--reply-column") && !is_text(&value), "{why}");
        }
        assert!(matches!(Said::of(None), Said::Nothing(_)));
        assert!(matches!(Said::of(Some(&json!("Request timed out."))), Said::Nothing(_)));
    }

    #[test]
    fn a_refusal_is_a_reply() {
        let said = |value: Value| Said::of(Some(&value));
        let words = |text: &str| Said::Words(text.to_owned());
        for (value, text) in [
            (json!({"role": "assistant", "content": "B", "refusal": null}), "B"),
            (
                json!({"role": "assistant", "content": null, "refusal": "I can't help with that."}),
                "I can't help with that.",
            ),
            (json!({"content": "", "refusal": "No."}), "No."),
            (json!({"role": "assistant", "content": ""}), ""),
            (
                json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "I won't."}]}),
                "I won't.",
            ),
            (json!([{"type": "message", "content": [{"type": "refusal", "refusal": "Never."}]}]), "Never."),
        ] {
            assert_eq!(said(value.clone()), words(text), "{value}");
        }
        for value in [
            json!({"role": "assistant", "content": null, "tool_calls": []}),
            json!({"role": "assistant", "content": null, "refusal": null}),
            json!({"content": "B", "score": 1}),
        ] {
            assert!(matches!(said(value.clone()), Said::Nothing(_)), "{value}");
        }
    }

    #[test]
    fn errors_of_the_tool_are_failures() {
        for none in [json!(null), json!(""), json!(200), json!({}), json!(false)] {
            assert_eq!(Said::error(Some(&none)), None, "{none}");
        }
        let why = |value| match Said::error(Some(&value)) {
            Some(Said::Nothing(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(json!(429)), "the tool got no reply: status 429");
        assert_eq!(
            why(json!({"code": "batch_expired", "message": "…"})),
            "the tool got no reply: batch_expired"
        );
        assert_eq!(why(json!("out of memory")), "the tool got no reply: out of memory");
    }
}
