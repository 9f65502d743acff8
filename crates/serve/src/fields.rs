//! Which fields of a request are read, which may be there without effect, and which are refused.
//!
//! A field that is neither read nor known to be harmless is refused, because leaving it out silently could
//! change the reply. `null` is the same as a field that is not there.

use crate::api_error::ApiError;
use loupe_core::words::{did_you_mean, visible};
use serde_json::{Map, Value};

/// What happens to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is read.
    Read,
    /// It does not change what the model says, and is left aside.
    LeftAside,
    /// It is taken only with a value that changes nothing: these, as JSON.
    Only(&'static [&'static str]),
}

/// The fields of a chat completion, by name.
pub static CHAT_FIELDS: &[(&str, Rule)] = &[
    ("model", Rule::Read),
    ("messages", Rule::Read),
    ("stream", Rule::Read),
    ("stream_options", Rule::Read),
    ("max_tokens", Rule::Read),
    ("max_completion_tokens", Rule::Read),
    ("temperature", Rule::Read),
    ("top_p", Rule::Read),
    ("top_k", Rule::Read),
    ("seed", Rule::Read),
    ("stop", Rule::Read),
    ("repetition_penalty", Rule::Read),
    ("logprobs", Rule::Read),
    ("top_logprobs", Rule::Read),
    ("return_token_ids", Rule::Read),
    ("n", Rule::Only(&["1"])),
    ("best_of", Rule::Only(&["1"])),
    ("min_p", Rule::Only(&["0"])),
    ("typical_p", Rule::Only(&["1"])),
    ("presence_penalty", Rule::Only(&["0"])),
    ("frequency_penalty", Rule::Only(&["0"])),
    ("length_penalty", Rule::Only(&["1"])),
    ("min_tokens", Rule::Only(&["0"])),
    ("logit_bias", Rule::Only(&["{}"])),
    ("bad_words", Rule::Only(&["[]"])),
    ("allowed_token_ids", Rule::Only(&["[]"])),
    ("stop_token_ids", Rule::Only(&["[]"])),
    ("include_stop_str_in_output", Rule::Only(&["false"])),
    ("use_beam_search", Rule::Only(&["false"])),
    ("ignore_eos", Rule::Only(&["false"])),
    ("skip_special_tokens", Rule::Only(&["true"])),
    ("spaces_between_special_tokens", Rule::Only(&["true", "false"])),
    ("echo", Rule::Only(&["false"])),
    ("add_generation_prompt", Rule::Only(&["true"])),
    ("continue_final_message", Rule::Only(&["false"])),
    ("add_special_tokens", Rule::Only(&["false"])),
    ("chat_template_kwargs", Rule::Only(&["{}"])),
    ("mm_processor_kwargs", Rule::Only(&["{}"])),
    ("response_format", Rule::Only(&["{\"type\":\"text\"}"])),
    ("modalities", Rule::Only(&["[\"text\"]"])),
    ("tools", Rule::Only(&["[]"])),
    ("functions", Rule::Only(&["[]"])),
    ("tool_choice", Rule::Only(&["\"none\"", "\"auto\""])),
    ("function_call", Rule::Only(&["\"none\"", "\"auto\""])),
    ("reasoning_effort", Rule::Only(&["\"none\""])),
    ("prediction", Rule::Only(&[])),
    ("audio", Rule::Only(&[])),
    ("web_search_options", Rule::Only(&[])),
    ("structured_outputs", Rule::Only(&[])),
    ("guided_json", Rule::Only(&[])),
    ("guided_regex", Rule::Only(&[])),
    ("guided_choice", Rule::Only(&[])),
    ("guided_grammar", Rule::Only(&[])),
    ("grammar", Rule::Only(&[])),
    ("json_schema", Rule::Only(&[])),
    ("chat_template", Rule::Only(&[])),
    ("verbosity", Rule::Only(&["\"medium\""])),
    ("user", Rule::LeftAside),
    ("metadata", Rule::LeftAside),
    ("store", Rule::LeftAside),
    ("service_tier", Rule::LeftAside),
    ("parallel_tool_calls", Rule::LeftAside),
    ("safety_identifier", Rule::LeftAside),
    ("prompt_cache_key", Rule::LeftAside),
    ("prompt_cache_options", Rule::LeftAside),
    ("prompt_cache_retention", Rule::LeftAside),
    ("cache_prompt", Rule::LeftAside),
    ("cache_salt", Rule::LeftAside),
    ("request_id", Rule::LeftAside),
    ("priority", Rule::LeftAside),
];

/// The fields of a request for decisions, by name.
pub static DECISION_FIELDS: &[(&str, Rule)] = &[
    ("model", Rule::Read),
    ("input", Rule::Read),
    ("questions", Rule::Read),
    ("safety_identifier", Rule::LeftAside),
    ("prompt_cache_key", Rule::LeftAside),
    ("prompt_cache_options", Rule::LeftAside),
];

/// Checks every field of `given` against the table; `at` is where the object stands in the request, with a dot.
pub(crate) fn check(at: &str, given: &Map<String, Value>, table: &[(&str, Rule)]) -> Result<(), ApiError> {
    for (name, value) in given {
        if value.is_null() {
            continue;
        }
        let shown = shortened(name);
        match table.iter().find(|(known, _)| known == name) {
            Some((_, Rule::Read | Rule::LeftAside)) => {}
            Some((_, Rule::Only(values))) if values.iter().any(|only| same(only, value)) => {}
            Some((_, Rule::Only([]))) => {
                let message = format!("{at}{shown} is not supported; leave it out");
                return Err(ApiError::field(format!("{at}{shown}"), message).coded("unsupported_value"));
            }
            Some((_, Rule::Only(values))) => {
                let message = format!(
                    "{at}{shown} is supported with the value {} alone; leave it out",
                    values.join(" or ")
                );
                return Err(ApiError::field(format!("{at}{shown}"), message).coded("unsupported_value"));
            }
            None => {
                let meant = did_you_mean(&shown, table.iter().map(|(known, _)| *known));
                let message = format!(
                    "{at}{shown} is no field that this server knows{meant}; it is refused because it could change the reply"
                );
                return Err(ApiError::field(format!("{at}{shown}"), message).coded("unknown_field"));
            }
        }
    }
    Ok(())
}

/// Is this the value that the table writes? Numbers by their size, so that 1.0 is 1.
fn same(written: &str, value: &Value) -> bool {
    match (value.as_f64(), written.parse::<f64>()) {
        (Some(given), Ok(number)) => given == number,
        _ => {
            let text = value.to_string();
            text == written
        }
    }
}

/// A name out of a request, as far as a message holds it.
pub(crate) fn shortened(name: &str) -> String {
    const LONGEST: usize = 60;
    visible(&name.chars().take(LONGEST).collect::<String>()).into_owned()
}

/// The fields of an object of a request, each read by its name.
pub(crate) struct Fields<'a> {
    /// Where the object stands, with a dot behind it; nothing for the request itself.
    pub(crate) at: String,
    given: &'a mut Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// Of this value, which must be an object with no field outside of the table.
    pub(crate) fn of(at: &str, value: &'a mut Value, table: &[(&str, Rule)]) -> Result<Self, ApiError> {
        let what = if at.is_empty() { "the request" } else { at };
        let Value::Object(given) = value else {
            return Err(ApiError::field(at, format!("{what} is {}, expected an object", kind(value))));
        };
        let at = if at.is_empty() { String::new() } else { format!("{at}.") };
        check(&at, given, table)?;
        Ok(Self { at, given })
    }

    /// The full name of a field.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}{name}", self.at)
    }

    /// Takes a field out; nothing when it is not there or null.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.given.get_mut(name).map(Value::take).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub(crate) fn need(&mut self, name: &str) -> Result<Value, ApiError> {
        let path = self.path(name);
        self.take(name)
            .ok_or_else(|| ApiError::field(path.clone(), format!("{path} is missing")).coded("missing_field"))
    }

    /// The text of a field that must be there.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, ApiError> {
        let value = self.need(name)?;
        as_text(&self.path(name), value)
    }

    /// A yes or no; no when it is not there.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(self.wrong(name, &other, "true or false")),
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.wrong(name, &value, "a number")),
            },
        }
    }

    /// A whole number.
    pub(crate) fn whole(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, &value, "a whole number")),
            },
        }
    }

    /// The error of a field with a value of the wrong kind.
    pub(crate) fn wrong(&self, name: &str, value: &Value, expected: &str) -> ApiError {
        let path = self.path(name);
        let message = format!("{path} is {}, expected {expected}", kind(value));
        ApiError::field(path, message)
    }

    /// The error of a field whose value is out of bounds.
    pub(crate) fn refused(&self, name: &str, problem: &str) -> ApiError {
        let path = self.path(name);
        let message = format!("{path} {problem}");
        ApiError::field(path, message)
    }
}

/// The text of a value.
pub(crate) fn as_text(path: &str, value: Value) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(ApiError::field(path, format!("{path} is {}, expected text", kind(&other)))),
    }
}

/// What a value is, without saying it.
pub(crate) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}
