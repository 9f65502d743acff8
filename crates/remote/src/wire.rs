//! One request over HTTP and what came back.

use crate::error::EndpointError;
use serde_json::Value;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

/// Most bytes of an endpoint's reply.
pub(crate) const MOST_BYTES: u64 = 16 << 20;
/// Longest time until there is a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest pause that an endpoint may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Connections that are kept open between requests.
const IDLE_CONNECTIONS: usize = 128;
/// Longest words of a server that are passed on.
const LONGEST_WORDS: usize = 300;

/// What lets a client in. Never shown, not even by `{:?}`.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// From the words of a variable or a file; spaces and line ends around them are no part of it.
    pub fn new(words: &str) -> Option<Self> {
        let words = words.trim();
        // What cannot stand in a header would show up in the error about it.
        let fits = !words.is_empty() && words.bytes().all(|b| (0x21..0x7f).contains(&b));
        fits.then(|| Self(words.to_owned()))
    }

    /// `text` with the key blotted out.
    fn blotted(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }

    /// Blots the key out of a document: what a server says of the request that it was sent may end up on record.
    fn blot(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.contains(&self.0) => *text = self.blotted(text),
            Value::Array(all) => all.iter_mut().for_each(|one| self.blot(one)),
            Value::Object(all) => all.values_mut().for_each(|one| self.blot(one)),
            _ => {}
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Connections to one server, which copies share. Redirects are not followed.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    agent: ureq::Agent,
    base: String,
    key: Option<Key>,
}

/// A failed request, with the pause that the server asks for.
pub(crate) type Failed = (EndpointError, Option<Duration>);

/// What a server said.
pub(crate) struct Said {
    /// A JSON document.
    pub(crate) value: Value,
    /// What the server calls itself.
    pub(crate) server: Option<String>,
}

impl Wire {
    /// To the server at `base`, such as `http://localhost:8000/v1`; `reply` is the longest time for a whole reply.
    pub(crate) fn new(base: &str, key: Option<Key>, reply: Duration) -> Self {
        let base = base.trim_end_matches('/');
        let base = base.strip_suffix("/chat/completions").unwrap_or(base).to_owned();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(reply))
            .timeout_connect(Some(CONNECT.min(reply)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .build()
            .new_agent();
        Self { agent, base, key }
    }

    /// The address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Posts a JSON document to `path` and reads the one that comes back.
    pub(crate) fn post(&self, path: &str, body: &str) -> Result<Said, Failed> {
        let began = Instant::now();
        let response = self.open_post(path, body, began)?;
        self.read(response, body, began)
    }

    /// Posts a JSON document to `path` and hands the reply's bytes on as they come.
    pub(crate) fn stream(&self, path: &str, body: &str) -> Result<Box<dyn Read>, Failed> {
        let began = Instant::now();
        let mut response = self.open_post(path, body, began)?;
        match response.status().as_u16() {
            200..=299 => {}
            _ => {
                return Err(self
                    .read(response, body, began)
                    .err()
                    .unwrap_or((EndpointError::NoContent, None)));
            }
        }
        let body = std::mem::replace(response.body_mut(), ureq::Body::builder().data(Vec::new()));
        Ok(Box::new(body.into_with_config().limit(MOST_BYTES).reader()))
    }

    /// Gets the JSON document at `url`; nothing but the status where it is none.
    pub(crate) fn get(&self, url: &str, patience: Duration) -> Result<(u16, Option<Said>), EndpointError> {
        let began = Instant::now();
        let mut request = self.agent.get(url).config().timeout_global(Some(patience)).build();
        if let Some(Key(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = request.call().map_err(|e| no_reply(&e, began))?;
        let status = response.status().as_u16();
        Ok((status, self.read(response, "", began).ok()))
    }

    fn open_post(
        &self,
        path: &str,
        body: &str,
        began: Instant,
    ) -> Result<ureq::http::Response<ureq::Body>, Failed> {
        let url = format!("{}/{path}", self.base);
        let mut request = self.agent.post(&url).header("content-type", "application/json");
        if let Some(Key(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.send(body).map_err(|e| (no_reply(&e, began), None))
    }

    fn read(
        &self,
        mut response: ureq::http::Response<ureq::Body>,
        sent: &str,
        began: Instant,
    ) -> Result<Said, Failed> {
        let status = response.status().as_u16();
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let pause = header("retry-after").as_deref().and_then(retry_after);
        let server = header("server").map(|words| self.blotted(words));
        let bytes = response.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        match (status, bytes) {
            (200..=299, Ok(bytes)) => {
                let mut value: Value =
                    serde_json::from_slice(&bytes).map_err(|e| (not_json(&bytes, &e), None))?;
                self.blot(&mut value);
                match error_in(&value) {
                    Some(_) => Err(waited(self.refusal(&value, sent), pause)),
                    None => Ok(Said { value, server }),
                }
            }
            (200..=299, Err(ureq::Error::Timeout(_))) => Err((EndpointError::TimedOut(seconds(began)), None)),
            (200..=299, Err(error)) => Err((EndpointError::BrokenOff(error.to_string()), None)),
            (_, bytes) => {
                let value: Value = serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default();
                Err(waited(meant(status, &value, self.words(&value, sent)), pause))
            }
        }
    }

    /// Words of the server without the key.
    fn blotted(&self, words: String) -> String {
        match &self.key {
            Some(key) if words.contains(&key.0) => key.blotted(&words),
            _ => words,
        }
    }

    /// Blots the key out of a document of the server.
    pub(crate) fn blot(&self, value: &mut Value) {
        if let Some(key) = &self.key {
            key.blot(value);
        }
    }

    /// What a document means that holds an error (see [`error_in`]) or is one, though it came as a reply to what was `sent`.
    pub(crate) fn refusal(&self, value: &Value, sent: &str) -> EndpointError {
        let status = status_of(error_in(value).unwrap_or(value)).unwrap_or(FAULT);
        meant(status, value, self.words(value, sent))
    }

    /// The server's own words about its refusal, cut; nothing where they repeat what was sent, which may say
    /// something about a patient.
    fn words(&self, value: &Value, sent: &str) -> Option<String> {
        let places = ["/error/message", "/message", "/detail", "/error", "/detail/0/msg"];
        let within = || error_in(value)?.get("message")?.as_str();
        let words = places.iter().find_map(|at| value.pointer(at)?.as_str()).or_else(within)?;
        let words = self.blotted(words.to_owned());
        let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let repeats = repeated(&words, sent);
        let cut: String = words.chars().take(LONGEST_WORDS).collect();
        (!repeats && !cut.trim().is_empty()).then(|| cut.trim().to_owned())
    }
}

/// The status of an error that names none: a gateway that got no reply.
const FAULT: u16 = 502;

/// The error in a document, an event of a stream or the body of a batch's result, whatever its status says: gateways put
/// the error of the server behind them into replies that are fine by their status. Nothing where it holds none.
pub(crate) fn error_in(value: &Value) -> Option<&Value> {
    // As vLLM writes it.
    let is_one = value.get("object").and_then(Value::as_str) == Some("error");
    let choices = || value.get("choices").and_then(Value::as_array).into_iter().flatten();
    // A part of the reply has one when the server failed in its middle.
    given_error(value).or(is_one.then_some(value)).or_else(|| choices().find_map(given_error))
}

/// The field `error`, where something stands in it.
fn given_error(value: &Value) -> Option<&Value> {
    value.get("error").filter(|error| match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(words) => !words.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    })
}

/// The status of the error in a document, see [`error_in`]; nothing where it holds none.
pub(crate) fn error_within(value: &Value) -> Option<u16> {
    error_in(value).map(|error| status_of(error).unwrap_or(FAULT))
}

/// The status that an error names.
pub(crate) fn status_of(error: &Value) -> Option<u16> {
    let number = |code: &Value| code.as_u64().or_else(|| code.as_str()?.parse().ok());
    let statuses = ["code", "status", "status_code"].iter().filter_map(|at| number(error.get(*at)?));
    statuses.filter_map(|code| u16::try_from(code).ok()).find(|code| (400..600).contains(code))
}

/// What a status means that is no success, with the document that came with it and its words.
pub(crate) fn meant(status: u16, value: &Value, says: Option<String>) -> EndpointError {
    let places = ["/error/code", "/error/type", "/code", "/type"];
    let code = places.iter().find_map(|at| value.pointer(at)?.as_str());
    match (status, says) {
        (300..=399, _) => EndpointError::Elsewhere(status),
        (402, _) => EndpointError::Quota(status),
        (429, _) if code == Some("insufficient_quota") => EndpointError::Quota(status),
        (408 | 425 | 429 | 500..=599, _) => EndpointError::Busy(status),
        (_, Some(says)) => EndpointError::RefusedBecause { status, says },
        (_, None) => EndpointError::Refused(status),
    }
}

/// The error with the pause that the server asks for; one that is longer than is sensible is an error of its own.
fn waited(error: EndpointError, pause: Option<Duration>) -> Failed {
    match (error, pause) {
        (EndpointError::Busy(status), Some(pause)) if pause > LONGEST_PAUSE => {
            (EndpointError::Overloaded { status, seconds: pause.as_secs() }, None)
        }
        (EndpointError::Busy(status), pause) => (EndpointError::Busy(status), pause),
        (error, _) => (error, None),
    }
}

/// Do the words hold a piece of what was asked, of four words or more?
fn repeated(words: &str, sent: &str) -> bool {
    let value: Value = serde_json::from_str(sent).unwrap_or_default();
    let texts = |value: &Value| -> Vec<String> {
        let mut found = Vec::new();
        let turns = value.get("messages").or_else(|| value.get("input")).and_then(Value::as_array);
        for turn in turns.into_iter().flatten() {
            match turn.get("content") {
                Some(Value::String(text)) => found.push(text.clone()),
                Some(Value::Array(parts)) => {
                    found.extend(parts.iter().filter_map(|p| p.get("text")?.as_str().map(str::to_owned)));
                }
                _ => {}
            }
        }
        found
    };
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let words = plain(words);
    texts(&value).iter().any(|text| {
        let text = plain(text);
        let parts: Vec<&str> = text.split(' ').collect();
        match parts.len() {
            0..4 => parts.iter().any(|part| part.len() > 3) && words.contains(&text),
            _ => parts.windows(4).any(|part| words.contains(&part.join(" "))),
        }
    })
}

fn seconds(began: Instant) -> u64 {
    began.elapsed().as_secs().max(1)
}

fn no_reply(error: &ureq::Error, began: Instant) -> EndpointError {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            EndpointError::Unreachable(error.to_string())
        }
        ureq::Error::Timeout(_) => EndpointError::TimedOut(seconds(began)),
        other => EndpointError::Unreachable(other.to_string()),
    }
}

fn not_json(bytes: &[u8], error: &serde_json::Error) -> EndpointError {
    EndpointError::NotJson(match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        None => "it is empty",
        Some(b'<') => "it looks like a web page",
        _ if error.is_eof() => "it ends early",
        _ => "its syntax is wrong",
    })
}

/// The pause that a `Retry-After` header asks for: seconds, or a date (RFC 9110 10.2.3 and 5.6.7).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<f64>() {
        // More than a duration holds is long all the same.
        let long = Duration::from_secs(u32::MAX.into());
        return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(long));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(http_date(value)?.saturating_sub(now)))
}

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let month = MONTHS.iter().position(|m| *m == month)? as u64 + 1;
    let clock: Option<Vec<u64>> = time.split(':').map(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = clock?[..] else { return None };
    let is_time = hours < 24 && minutes < 60 && seconds <= 60;
    if !is_time || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    // Days before a date of the Gregorian calendar whose years begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some((days.checked_sub(719_468)?) * 86_400 + hours * 3_600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn pauses_are_read_as_seconds_and_as_dates() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(retry_after("1e300").is_some_and(|pause| pause > LONGEST_PAUSE));
        assert_eq!((retry_after("-5"), retry_after("NaN")), (None, None));
        assert_eq!(retry_after("soon"), None);
        for time in ["18446744073709551615:00:00", "24:00:00", "00:60:00", "00:00:61", "00:00"] {
            assert_eq!(http_date(&format!("Sun, 06 Nov 1994 {time} GMT")), None, "{time}");
        }
    }

    #[test]
    fn errors_that_come_as_replies_are_found() {
        use serde_json::json;
        for (document, status) in [
            (json!({ "error": { "message": "later", "code": 503 } }), Some(503)),
            (json!({ "error": { "message": "bad", "code": 400 }, "choices": null }), Some(400)),
            (json!({ "error": "overloaded", "choices": [] }), Some(502)),
            (json!({ "object": "error", "message": "loading", "code": 50302 }), Some(502)),
            (json!({ "error": null, "choices": [] }), None),
            (json!({ "error": { "code": "429" } }), Some(429)),
            (json!({ "error": { "status": 400, "code": "bad_input" } }), Some(400)),
            (json!({ "error": "", "choices": [{}] }), None),
            (json!({ "error": {}, "choices": [{}] }), None),
            // Half a reply is none.
            (json!({ "error": "x", "choices": [{}] }), Some(502)),
            (json!({ "choices": [{ "error": { "code": 503 }, "message": { "content": "ye" } }] }), Some(503)),
            (json!({ "object": "list", "data": [] }), None),
        ] {
            assert_eq!(error_within(&document), status, "{document}");
        }
    }

    #[test]
    fn one_table_says_what_a_status_means() {
        use serde_json::json;
        let quota = json!({ "code": "insufficient_quota" });
        for (status, error, is) in [
            (301, Value::Null, EndpointError::Elsewhere(301)),
            (402, Value::Null, EndpointError::Quota(402)),
            (429, quota.clone(), EndpointError::Quota(429)),
            (429, json!({ "error": { "type": "insufficient_quota" } }), EndpointError::Quota(429)),
            (429, Value::Null, EndpointError::Busy(429)),
            (408, Value::Null, EndpointError::Busy(408)),
            (599, Value::Null, EndpointError::Busy(599)),
            (400, quota, EndpointError::Refused(400)),
        ] {
            assert_eq!(meant(status, &error, None), is, "{error}");
        }
        let says = Some("no images".to_owned());
        let because = EndpointError::RefusedBecause { status: 422, says: "no images".to_owned() };
        assert_eq!(meant(422, &Value::Null, says.clone()), because);
        assert_eq!(meant(503, &Value::Null, says), EndpointError::Busy(503));
        let long = LONGEST_PAUSE + Duration::from_secs(1);
        let overloaded = EndpointError::Overloaded { status: 503, seconds: long.as_secs() };
        assert_eq!(waited(EndpointError::Busy(503), Some(long)), (overloaded, None));
        assert_eq!(waited(EndpointError::Refused(400), Some(long)), (EndpointError::Refused(400), None));
    }

    #[test]
    fn words_that_repeat_what_was_sent_are_left_out() {
        let sent = r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "Does the patient of ward 7 have a fracture?"}]}]}"#;
        assert!(repeated("bad input: does the patient of  ward 7 have", sent));
        assert!(!repeated("This model takes at most 4096 tokens", sent));
        let wire = Wire::new("http://h/v1", Key::new(" k3y\n"), Duration::from_secs(1));
        let says = |words: &str| wire.words(&serde_json::json!({"error": {"message": words}}), sent);
        assert_eq!(says("Incorrect key k3y given").as_deref(), Some("Incorrect key … given"));
        assert_eq!(says("'patient of ward 7' is no number"), None);
        let both = serde_json::json!({"error": "Bad Request", "message": "no images"});
        assert_eq!(wire.words(&both, sent).as_deref(), Some("no images"));
        let choice = serde_json::json!({"choices": [{"error": {"message": "no images", "code": 400}}]});
        let because = EndpointError::RefusedBecause { status: 400, says: "no images".to_owned() };
        assert_eq!(wire.refusal(&choice, sent), because);
        assert_eq!(Key::new("a\nb").map(|_| ()), None);
    }
}
