//! One address, one model, one question at a time.

use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use thiserror::Error;

/// Most bytes of an endpoint's reply.
const MOST_BYTES: u64 = 16 << 20;
/// Times a request is sent when the endpoint is busy or cannot be reached.
const TRIES: u32 = 4;
/// Longest time until there is a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest pause that an endpoint may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// So many requests in a row that fail in a way that is not about them: the endpoint is given up.
const GIVEN_UP_AFTER: u32 = 3;

/// A model behind an OpenAI-compatible endpoint (`POST …/chat/completions`). Copies share their connections.
#[derive(Debug, Clone)]
pub struct Endpoint {
    agent: ureq::Agent,
    url: String,
    model: String,
    key: Option<Key>,
    /// Requests that failed one after the other, and with what; shared by all copies.
    failing: Arc<Mutex<(u32, Option<EndpointError>)>>,
}

/// Never shown, not even by `{:?}`.
#[derive(Clone)]
struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Why an endpoint gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No connection, or it broke off before there was a status.
    #[error("the endpoint could not be reached: {0}")]
    Unreachable(String),
    /// Too many requests, or a fault on the other side.
    #[error("the endpoint answered with status {0}")]
    Busy(u16),
    /// The connection broke off within the reply, or the reply is too long.
    #[error("the endpoint's reply broke off: {0}")]
    BrokenOff(String),
    /// The request is at fault.
    #[error("the endpoint refused with status {0}")]
    Refused(u16),
    /// There was no whole reply in the time allowed.
    #[error("the endpoint gave no reply within {0} s")]
    TimedOut(u64),
    /// It asks to wait for longer than is sensible.
    #[error("the endpoint answered with status {status} and asks to wait for {seconds} s")]
    Overloaded {
        /// The status.
        status: u16,
        /// What it asks for.
        seconds: u64,
    },
    /// It points to another address. Nothing is sent there: questions and keys are for the address that was given.
    #[error("the endpoint sends to another address (status {0}); give that address if it is the right one")]
    Elsewhere(u16),
    /// The reply ends at the endpoint's limit of tokens.
    #[error("the endpoint's reply was cut off at its limit of tokens")]
    CutOff,
    /// Not asked any more.
    #[error("not asked: the endpoint failed {times} times in a row ({last})")]
    GivenUp {
        /// Requests that failed.
        times: u32,
        /// What the last of them failed with.
        last: Box<EndpointError>,
    },
    /// The reply is not what the protocol says.
    #[error("the endpoint's reply has no choices[0].message.content")]
    NoContent,
    /// It failed as often as it was tried.
    #[error("{last} ({tries} times)")]
    Tried {
        /// What it failed with in the end.
        last: Box<EndpointError>,
        /// How often it was asked.
        tries: u32,
    },
}

impl EndpointError {
    /// Can asking again help?
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Busy(_)
            | Self::BrokenOff(_)
            | Self::TimedOut(_)
            | Self::Overloaded { .. } => true,
            Self::Refused(_) | Self::NoContent | Self::Elsewhere(_) | Self::CutOff => false,
            Self::Tried { last, .. } | Self::GivenUp { last, .. } => last.may_pass(),
        }
    }
}

impl EndpointError {
    /// Does it say something about the endpoint rather than about the request?
    fn is_of_endpoint(&self) -> bool {
        match self {
            Self::NoContent | Self::CutOff | Self::GivenUp { .. } => false,
            // The key, the address and the method are the same for every request.
            Self::Refused(status) => matches!(status, 401..=405),
            Self::Tried { last, .. } => last.is_of_endpoint(),
            _ => true,
        }
    }
}

/// How long to wait for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest time for one whole reply.
    pub reply: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { reply: Duration::from_secs(120) }
    }
}

impl Endpoint {
    /// The model called `model` at `base`, such as `http://localhost:8000/v1`; `key` goes into the header
    /// `Authorization: Bearer`. Redirects are not followed.
    pub fn new(base: &str, model: impl Into<String>, key: Option<String>, patience: Patience) -> Self {
        let base = base.trim_end_matches('/');
        let url = if base.ends_with("/chat/completions") {
            base.to_owned()
        } else {
            format!("{base}/chat/completions")
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(patience.reply))
            .timeout_connect(Some(CONNECT.min(patience.reply)))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .new_agent();
        Self { agent, url, model: model.into(), key: key.map(Key), failing: Arc::default() }
    }

    /// The name of the model at the endpoint.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The reply to one user turn of text, as repeatably as the endpoint can (temperature 0). Asked up to four
    /// times while the endpoint is busy or cannot be reached, with pauses, or those that it asks for; once when
    /// it does not answer in time. An endpoint that fails request after request is not asked any more.
    ///
    /// # Errors
    /// What the endpoint failed with in the end.
    pub fn complete(&self, prompt: &str) -> Result<String, EndpointError> {
        let failing = || self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if let (times @ GIVEN_UP_AFTER.., Some(last)) = &*failing() {
            return Err(EndpointError::GivenUp { times: *times, last: Box::new(last.clone()) });
        }
        let done = self.try_some_times(prompt);
        let mut failing = failing();
        match &done {
            Err(error) if error.is_of_endpoint() => {
                // An address or a key that is wrong stays wrong.
                let more = if error.may_pass() { 1 } else { GIVEN_UP_AFTER };
                *failing = (failing.0.saturating_add(more), Some(error.clone()));
            }
            _ => *failing = (0, None),
        }
        done
    }

    fn try_some_times(&self, prompt: &str) -> Result<String, EndpointError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (error, pause) = match self.send(prompt) {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            let again = error.may_pass()
                && !matches!(error, EndpointError::TimedOut(_) | EndpointError::Overloaded { .. });
            match (again, tries) {
                (true, TRIES) => return Err(EndpointError::Tried { last: Box::new(error), tries }),
                (true, _) => {
                    let own = Duration::from_millis(250 << (2 * (tries - 1)));
                    std::thread::sleep(pause.unwrap_or(own));
                }
                (false, 2..) => return Err(EndpointError::Tried { last: Box::new(error), tries }),
                (false, _) => return Err(error),
            }
        }
    }

    /// One request; where it fails, with the pause that the endpoint asks for.
    fn send(&self, prompt: &str) -> Result<String, (EndpointError, Option<Duration>)> {
        let body = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": prompt }],
            "temperature": 0,
        });
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(Key(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let began = Instant::now();
        let seconds = || began.elapsed().as_secs().max(1);
        let mut response = request.send(body.to_string()).map_err(|e| match e {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                (EndpointError::Unreachable(e.to_string()), None)
            }
            ureq::Error::Timeout(_) => (EndpointError::TimedOut(seconds()), None),
            other => (EndpointError::Unreachable(other.to_string()), None),
        })?;
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
        let pause = header.and_then(retry_after);
        let text = response.body_mut().with_config().limit(MOST_BYTES).read_to_string();
        match (status, text, pause) {
            (300..=399, ..) => Err((EndpointError::Elsewhere(status), None)),
            (429 | 500..=599, _, Some(pause)) if pause > LONGEST_PAUSE => {
                Err((EndpointError::Overloaded { status, seconds: pause.as_secs() }, None))
            }
            (429 | 500..=599, _, pause) => Err((EndpointError::Busy(status), pause)),
            (_, Err(ureq::Error::Timeout(_)), _) => Err((EndpointError::TimedOut(seconds()), None)),
            (_, Err(error), _) => Err((EndpointError::BrokenOff(error.to_string()), None)),
            (200..=299, Ok(text), _) => read_reply(&text).map_err(|e| (e, None)),
            (_, Ok(_), _) => Err((EndpointError::Refused(status), None)),
        }
    }
}

/// The words of a reply.
fn read_reply(text: &str) -> Result<String, EndpointError> {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let content = value.pointer("/choices/0/message/content").and_then(Value::as_str);
    let content = content.ok_or(EndpointError::NoContent)?;
    // What it would have gone on to say is not known.
    match value.pointer("/choices/0/finish_reason").and_then(Value::as_str) {
        Some("length") => Err(EndpointError::CutOff),
        _ => Ok(content.to_owned()),
    }
}

/// The pause that a `Retry-After` header asks for: seconds, or a date (RFC 9110 10.2.3 and 5.6.7).
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
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
    if !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
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
        assert_eq!(retry_after("soon"), None);
    }
}
