//! One address, one model, one question at a time.

use serde_json::{Value, json};
use std::time::Duration;
use thiserror::Error;

/// Most bytes of an endpoint's reply.
const MOST_BYTES: u64 = 16 << 20;
/// Times a request is sent when the endpoint is busy or cannot be reached.
const TRIES: u32 = 4;
/// Longest wait for one reply.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A model behind an OpenAI-compatible endpoint (`POST …/chat/completions`). Copies share their connections.
#[derive(Debug, Clone)]
pub struct Endpoint {
    agent: ureq::Agent,
    url: String,
    model: String,
    key: Option<Key>,
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
            Self::Unreachable(_) | Self::Busy(_) | Self::BrokenOff(_) => true,
            Self::Refused(_) | Self::NoContent => false,
            Self::Tried { last, .. } => last.may_pass(),
        }
    }
}

impl Endpoint {
    /// The model called `model` at `base`, such as `http://localhost:8000/v1`; `key` goes into the header
    /// `Authorization: Bearer`.
    pub fn new(base: &str, model: impl Into<String>, key: Option<String>) -> Self {
        let base = base.trim_end_matches('/');
        let url = if base.ends_with("/chat/completions") {
            base.to_owned()
        } else {
            format!("{base}/chat/completions")
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Self { agent, url, model: model.into(), key: key.map(Key) }
    }

    /// The name of the model at the endpoint.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The reply to one user turn of text, as repeatably as the endpoint can (temperature 0). Asked up to four
    /// times, with pauses, while the endpoint is busy or cannot be reached.
    ///
    /// # Errors
    /// What the endpoint failed with in the end.
    pub fn complete(&self, prompt: &str) -> Result<String, EndpointError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.send(prompt) {
                Err(last) if last.may_pass() && tries == TRIES => {
                    return Err(EndpointError::Tried { last: Box::new(last), tries });
                }
                Err(error) if error.may_pass() => {
                    std::thread::sleep(Duration::from_millis(250 << (2 * (tries - 1))));
                }
                done => return done,
            }
        }
    }

    fn send(&self, prompt: &str) -> Result<String, EndpointError> {
        let body = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": prompt }],
            "temperature": 0,
        });
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(Key(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response =
            request.send(body.to_string()).map_err(|e| EndpointError::Unreachable(e.to_string()))?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(MOST_BYTES).read_to_string();
        match (status, text) {
            (429 | 500..=599, _) => Err(EndpointError::Busy(status)),
            (_, Err(error)) => Err(EndpointError::BrokenOff(error.to_string())),
            (200..=299, Ok(text)) => {
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                let content = value.pointer("/choices/0/message/content").and_then(Value::as_str);
                content.map(str::to_owned).ok_or(EndpointError::NoContent)
            }
            (_, Ok(_)) => Err(EndpointError::Refused(status)),
        }
    }
}
