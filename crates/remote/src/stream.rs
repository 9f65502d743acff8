//! A reply that comes piece by piece, as server-sent events.

use crate::error::EndpointError;
use crate::wire::error_in;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};

/// Reads the events of a streamed chat completion into the document that would have come in one piece; `piece` hears
/// the words as they come and says whether the rest is wanted; `refusal` says what an error in it means.
///
/// # Errors
/// When the stream breaks off, is too long, or holds an error or pieces of several replies; nothing when nobody wants the
/// rest.
pub(crate) fn collect(
    stream: impl Read,
    mut piece: impl FnMut(&str) -> bool,
    refusal: impl Fn(&Value) -> EndpointError,
) -> Result<Option<Value>, EndpointError> {
    let broken = |why: String| EndpointError::BrokenOff(why);
    let (mut content, mut reasoning, mut said) = (String::new(), String::new(), false);
    let (mut finish, mut stop_reason, mut usage) = (Value::Null, Value::Null, Value::Null);
    let (mut logprobs, mut ids) = (Vec::new(), Vec::new());
    let (mut about, mut index, mut id) = (serde_json::Map::new(), None, None);
    let (mut whole, mut open) = (false, false);
    let mut reader = BufReader::new(stream);
    if let Some(value) = whole_document(&mut reader, &refusal)? {
        let words = value.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
        return Ok((words.is_empty() || piece(words)).then_some(value));
    }
    let mut events = Events::new(reader);
    while let Some(told) = events.next()? {
        let event = match told {
            Told::Piece(event) => event,
            Told::Error(event) => return Err(refusal(&event)),
            Told::Done => {
                whole = true;
                break;
            }
        };
        for name in ["model", "system_fingerprint"] {
            if let Some(value) = event.get(name).filter(|v| v.is_string()) {
                about.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(counted) = event.get("usage").filter(|u| u.is_object()) {
            usage = counted.clone();
        }
        let choice = match event.get("choices").and_then(Value::as_array).map(Vec::as_slice) {
            None | Some([]) => continue,
            Some([choice]) => choice,
            Some(several) => return Err(EndpointError::Several(several.len())),
        };
        // The pieces of several replies make no reply; a proxy may mix those of two requests.
        let name = event.get("id").and_then(Value::as_str).filter(|name| !name.is_empty());
        if let Some(name) = name
            && id.get_or_insert_with(|| name.to_owned()) != name
        {
            return Err(EndpointError::Mixed);
        }
        let number = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if *index.get_or_insert(number) != number {
            return Err(EndpointError::Several(2));
        }
        let delta = |name: &str| choice.pointer(&format!("/delta/{name}")).and_then(Value::as_str);
        let thought = delta("reasoning_content").or_else(|| delta("reasoning"));
        let speaks = [thought, delta("content")].into_iter().flatten().any(|words| !words.is_empty());
        // Some servers name the reason with every piece, so that it ends nothing.
        if speaks && open && !finish.is_null() {
            return Err(broken("the stream goes on after the end of the reply".to_owned()));
        }
        open |= speaks && choice.get("finish_reason").is_none_or(Value::is_null);
        if let Some(words) = thought {
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

/// The document of a server that does not stream although it was asked to.
fn whole_document(
    reader: &mut impl BufRead,
    refusal: &impl Fn(&Value) -> EndpointError,
) -> Result<Option<Value>, EndpointError> {
    let broken = |e: std::io::Error| EndpointError::BrokenOff(e.to_string());
    if reader.fill_buf().map_err(broken)?.first() != Some(&b'{') {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(broken)?;
    let value = serde_json::from_slice(&bytes);
    let value = value.map_err(|_| EndpointError::NotJson("it ends early, or its syntax is wrong"))?;
    match error_in(&value) {
        Some(_) => Err(refusal(&value)),
        None => Ok(Some(value)),
    }
}

/// What an event of a stream is.
enum Told {
    Piece(Value),
    /// An error, by what the event holds or by its name.
    Error(Value),
    /// The end that the stream announces.
    Done,
}

impl Told {
    fn of(event: Value, is_error: bool) -> Self {
        if is_error || error_in(&event).is_some() { Self::Error(event) } else { Self::Piece(event) }
    }
}

/// The events of a stream, as the HTML standard divides them (9.2.6), and each line with a whole document as one: some
/// servers leave the empty line out.
struct Events<R: BufRead> {
    reader: R,
    line: Vec<u8>,
    /// The lines of an event that has not ended.
    data: String,
    /// Is the event called an error?
    is_error: bool,
    first: bool,
}

impl<R: BufRead> Events<R> {
    fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), data: String::new(), is_error: false, first: true }
    }

    /// The next event; nothing when the stream ends without saying so.
    fn next(&mut self) -> Result<Option<Told>, EndpointError> {
        loop {
            self.line.clear();
            let read = self.reader.read_until(b'\n', &mut self.line);
            let ended = read.map_err(|e| EndpointError::BrokenOff(e.to_string()))? == 0;
            let text = String::from_utf8_lossy(&self.line);
            let text = text.trim_end();
            let text = if self.first { text.trim_start_matches('\u{feff}') } else { text };
            self.first = false;
            if let Some(name) = text.strip_prefix("event:") {
                self.is_error = name.trim() == "error";
            }
            if let Some(data) = text.strip_prefix("data:").map(str::trim) {
                let whole = if self.data.is_empty() { serde_json::from_str(data).ok() } else { None };
                match whole {
                    _ if self.data.is_empty() && data == "[DONE]" => return Ok(Some(Told::Done)),
                    Some(event) => return Ok(Some(Told::of(event, std::mem::take(&mut self.is_error)))),
                    None => {
                        self.data.push_str(data);
                        self.data.push('\n');
                    }
                }
            }
            if text.is_empty() && !self.data.trim().is_empty() {
                let event = serde_json::from_str(&self.data);
                self.data.clear();
                let damaged = |_| EndpointError::NotJson("an event of the stream is damaged");
                let event = event.map_err(damaged)?;
                return Ok(Some(Told::of(event, std::mem::take(&mut self.is_error))));
            }
            if text.is_empty() {
                self.is_error = false;
            }
            if ended {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::wire::Wire;
    use std::time::Duration;

    fn collected(stream: &[u8], piece: impl FnMut(&str) -> bool) -> Result<Option<Value>, EndpointError> {
        let wire = Wire::new("http://h/v1", None, Duration::from_secs(1));
        collect(stream, piece, |event| wire.refusal(event, ""))
    }

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
        let value = collected(EVENTS.as_bytes(), |words| {
            heard.push(words.to_owned());
            true
        });
        let value = value.unwrap().unwrap();
        assert_eq!(heard, ["ye", "s"]);
        assert_eq!(value["choices"][0]["message"]["content"], "yes");
        assert_eq!(value["choices"][0]["message"]["reasoning_content"], "hm");
        assert_eq!(value["choices"][0]["finish_reason"], "stop");
        assert_eq!((&value["usage"]["completion_tokens"], &value["model"]), (&json!(2), &json!("m")));
        assert_eq!(collected(EVENTS.as_bytes(), |_| false).unwrap(), None);
    }

    #[test]
    fn a_stream_that_ends_early_is_no_reply() {
        let finish = EVENTS.find("\"finish_reason\"").unwrap();
        for end in [0, 60, finish - 60] {
            let error = collected(&EVENTS.as_bytes()[..end], |_| true).unwrap_err();
            assert!(error.may_pass(), "{end}: {error}");
        }
    }

    fn said(stream: &str) -> Result<String, EndpointError> {
        let value = collected(stream.as_bytes(), |_| true)?.unwrap();
        Ok(value["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned())
    }

    #[test]
    fn events_are_divided_as_the_standard_does_and_without_empty_lines() {
        let end = "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}], \"error\": null}\n\ndata: [DONE]\n\n";
        for begin in [
            "\u{feff}: hi\r\nid: 1\r\ndata:{\"choices\": [{\"delta\": {\"content\": \"yes\"}}]}\r\n\r\n",
            "data: {\"choices\":\ndata: [{\"delta\":\ndata:{\"content\": \"yes\"}}]}\n\n",
            "data: {\"choices\": [{\"delta\": {\"content\": \"ye\"}}]}\ndata: {\"choices\": [{\"delta\": {\"content\": \"s\"}}]}\n",
        ] {
            assert_eq!(said(&format!("{begin}{end}")).as_deref(), Ok("yes"), "{begin}");
        }
    }

    #[test]
    fn a_server_that_does_not_stream_is_heard() {
        let whole = "{\"choices\": [{\"message\": {\"content\": \"yes\"}, \"finish_reason\": \"stop\"}]}";
        let mut heard = String::new();
        let value = collected(whole.as_bytes(), |words| {
            heard += words;
            true
        });
        assert_eq!(
            (value.unwrap().unwrap()["choices"][0]["finish_reason"].as_str(), heard.as_str()),
            (Some("stop"), "yes")
        );
        assert!(matches!(said(&whole[..40]).unwrap_err(), EndpointError::NotJson(_)));
        assert_eq!(said("{\"error\": \"boom\"}").unwrap_err(), EndpointError::Busy(502));
    }

    #[test]
    fn pieces_that_make_no_reply_are_refused() {
        let piece = |words: &str, index: u32, finish: &str| {
            let mut choice = json!({ "index": index, "delta": { "content": words } });
            if !finish.is_empty() {
                choice["finish_reason"] = finish.into();
            }
            format!("data: {}\n\n", json!({ "choices": [choice] }))
        };
        let ended = |events: String| said(&format!("{events}data: [DONE]\n\n"));
        // Of two replies at once.
        let two =
            [piece("n", 1, ""), piece("y", 0, ""), piece("o", 1, "stop"), piece("es", 0, "stop")].concat();
        assert_eq!(ended(two).unwrap_err(), EndpointError::Several(2));
        // Twice the same.
        let twice = (piece("yes", 0, "") + &piece("", 0, "stop")).repeat(2);
        assert!(matches!(ended(twice).unwrap_err(), EndpointError::BrokenOff(_)));
        assert_eq!(ended(piece("ye", 0, "stop") + &piece("s", 0, "stop")).as_deref(), Ok("yes"));
        assert_eq!(ended(piece("yes", 0, "") + &piece("", 0, "stop").repeat(2)).as_deref(), Ok("yes"));
        let because = || EndpointError::RefusedBecause { status: 400, says: "boom".to_owned() };
        // Errors in the middle, by several names.
        for (error, is) in [
            ("data: {\"error\": {\"message\": \"boom\", \"code\": 400}}\n\n", because()),
            ("data: {\"error\": {\"message\": \"boom\", \"code\": 50302}}\n\n", EndpointError::Busy(502)),
            ("data: {\"error\": \"boom\"}\n\n", EndpointError::Busy(502)),
            ("event: error\ndata: {\"message\": \"boom\"}\n\n", EndpointError::Busy(502)),
        ] {
            assert_eq!(ended(piece("ye", 0, "") + error).unwrap_err(), is, "{error}");
        }
        // As OpenRouter and vLLM write them.
        let routed = json!({ "error": { "code": 503 }, "choices": [{ "delta": { "content": "" }, "finish_reason": "error" }] });
        let kind = json!({ "object": "error", "message": "boom", "code": 400 });
        for (error, is) in [(routed, EndpointError::Busy(503)), (kind, because())] {
            let error = format!("data: {error}\n\n");
            assert_eq!(ended(piece("ye", 0, "") + &error).unwrap_err(), is, "{error}");
        }
        let damaged = ended("data: {\"choi\n\n".to_owned()).unwrap_err();
        assert!(matches!(damaged, EndpointError::NotJson(_)), "{damaged}");
    }

    #[test]
    fn pieces_of_two_requests_are_not_joined() {
        let stream = |ids: [&str; 3]| {
            let piece = |words: &str, id: &str, finish: Value| {
                let choice = json!({ "delta": { "content": words }, "finish_reason": finish });
                let mut event = json!({ "choices": [choice] });
                if id != "none" {
                    event["id"] = id.into();
                }
                format!("data: {event}\n\n")
            };
            let end = piece("", ids[2], "stop".into());
            piece("no ", ids[0], Value::Null) + &piece("nodule", ids[1], Value::Null) + &end
        };
        for ids in [["a", "a", "a"], ["none"; 3], ["", "a", "a"], ["a", "none", ""]] {
            assert_eq!(said(&stream(ids)).as_deref(), Ok("no nodule"), "{ids:?}");
        }
        for ids in [["a", "b", "a"], ["a", "a", "b"], ["none", "a", "b"]] {
            let error = said(&stream(ids)).unwrap_err();
            assert!(error == EndpointError::Mixed && error.may_pass(), "{ids:?}: {error}");
        }
        // What belongs to no piece, as counts do in some servers.
        let counts = "data: {\"id\": \"c\", \"choices\": [], \"usage\": {\"completion_tokens\": 2}}\n\n";
        assert_eq!(said(&(stream(["a"; 3]) + counts)).as_deref(), Ok("no nodule"));
    }
}
