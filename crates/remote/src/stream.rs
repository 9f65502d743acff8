//! A reply that comes piece by piece, as server-sent events.

use crate::error::EndpointError;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};

/// Reads the events of a streamed chat completion into the document that would have come in one piece; `piece` hears
/// the words as they come and says whether the rest is wanted.
///
/// # Errors
/// When the stream breaks off, is too long, or holds an error; nothing when nobody wants the rest.
pub(crate) fn collect(
    stream: impl Read,
    mut piece: impl FnMut(&str) -> bool,
) -> Result<Option<Value>, EndpointError> {
    let broken = |why: String| EndpointError::BrokenOff(why);
    let (mut content, mut reasoning, mut said) = (String::new(), String::new(), false);
    let (mut finish, mut stop_reason, mut usage) = (Value::Null, Value::Null, Value::Null);
    let (mut logprobs, mut ids) = (Vec::new(), Vec::new());
    let mut about = serde_json::Map::new();
    let mut whole = false;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|e| broken(e.to_string()))? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let Some(data) = text.trim().strip_prefix("data:").map(str::trim) else { continue };
        if data == "[DONE]" {
            whole = true;
            break;
        }
        let event: Value = serde_json::from_str(data)
            .map_err(|_| EndpointError::NotJson("an event of the stream is damaged"))?;
        if let Some(error) = event.get("error") {
            let code = error.get("code").and_then(Value::as_u64).and_then(|c| u16::try_from(c).ok());
            return Err(EndpointError::Busy(code.unwrap_or(500)));
        }
        for name in ["model", "system_fingerprint"] {
            if let Some(value) = event.get(name).filter(|v| v.is_string()) {
                about.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(counted) = event.get("usage").filter(|u| u.is_object()) {
            usage = counted.clone();
        }
        let Some(choice) = event.pointer("/choices/0") else { continue };
        let delta = |name: &str| choice.pointer(&format!("/delta/{name}")).and_then(Value::as_str);
        if let Some(words) = delta("reasoning_content").or_else(|| delta("reasoning")) {
            reasoning.push_str(words);
        }
        if let Some(words) = delta("content") {
            said = true;
            content.push_str(words);
            if !words.is_empty() && !piece(words) {
                return Ok(None);
            }
        }
        let lists = [("/logprobs/content", &mut logprobs), ("/token_ids", &mut ids)];
        for (at, list) in lists {
            list.extend(choice.pointer(at).and_then(Value::as_array).into_iter().flatten().cloned());
        }
        for (name, kept) in [("finish_reason", &mut finish), ("stop_reason", &mut stop_reason)] {
            if let Some(value) = choice.get(name).filter(|v| !v.is_null()) {
                *kept = value.clone();
            }
        }
        // Some servers end without saying that they do.
        whole |= !finish.is_null();
    }
    if !whole {
        return Err(broken("the stream ended before the reply did".to_owned()));
    }
    let content = if said { json!(content) } else { Value::Null };
    let mut choice = json!({
        "message": { "content": content, "reasoning_content": reasoning },
        "finish_reason": finish, "stop_reason": stop_reason,
    });
    if !logprobs.is_empty() {
        choice["logprobs"] = json!({ "content": logprobs });
    }
    if !ids.is_empty() {
        choice["token_ids"] = Value::Array(ids);
    }
    let mut value = json!({ "choices": [choice], "usage": usage });
    if let Some(object) = value.as_object_mut() {
        object.extend(about);
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    const EVENTS: &str = concat!(
        ": a comment\n",
        "data: {\"model\": \"m\", \"choices\": [{\"delta\": {\"role\": \"assistant\", \"content\": \"\"}}]}\n\n",
        "data: {\"choices\": [{\"delta\": {\"reasoning_content\": \"hm\"}}]}\n\n",
        "data: {\"choices\": [{\"delta\": {\"content\": \"ye\"}}]}\n\n",
        "data: {\"choices\": [{\"delta\": {\"content\": \"s\"}, \"finish_reason\": \"stop\"}]}\n\n",
        "data: {\"choices\": [], \"usage\": {\"completion_tokens\": 2}}\n\n",
        "data: [DONE]\n\n",
    );

    #[test]
    fn events_become_the_whole_document() {
        let mut heard = Vec::new();
        let value = collect(EVENTS.as_bytes(), |words| {
            heard.push(words.to_owned());
            true
        });
        let value = value.unwrap().unwrap();
        assert_eq!(heard, ["ye", "s"]);
        assert_eq!(value["choices"][0]["message"]["content"], "yes");
        assert_eq!(value["choices"][0]["message"]["reasoning_content"], "hm");
        assert_eq!(value["choices"][0]["finish_reason"], "stop");
        assert_eq!((&value["usage"]["completion_tokens"], &value["model"]), (&json!(2), &json!("m")));
        assert_eq!(collect(EVENTS.as_bytes(), |_| false).unwrap(), None);
    }

    #[test]
    fn a_stream_that_ends_early_is_no_reply() {
        let finish = EVENTS.find("\"finish_reason\"").unwrap();
        for end in [0, 60, finish - 60] {
            let error = collect(&EVENTS.as_bytes()[..end], |_| true).unwrap_err();
            assert!(error.may_pass(), "{end}: {error}");
        }
    }
}
