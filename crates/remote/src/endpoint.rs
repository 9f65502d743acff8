//! One address, one model, one question at a time: judges of text.

use crate::error::EndpointError;
use crate::reply::chat;
use crate::request::{Manners, mannered, question};
use crate::wire::{Key, Wire};
use loupe_core::{Ask, GenerationLimits, Stop};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Times a request is sent when the endpoint is busy or cannot be reached.
const TRIES: u32 = 4;
/// So many requests in a row that fail in a way that is not about them: the endpoint is given up.
const GIVEN_UP_AFTER: u32 = 3;

/// A model behind an OpenAI-compatible endpoint (`POST …/chat/completions`). Copies share their connections.
#[derive(Debug, Clone)]
pub struct Endpoint {
    wire: Wire,
    model: String,
    /// Requests that failed one after the other, and with what; shared by all copies.
    failing: Arc<Mutex<(u32, Option<EndpointError>)>>,
    /// What it was found to refuse; shared by all copies.
    manners: Arc<Mutex<Manners>>,
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
    pub fn new(base: &str, model: impl Into<String>, key: Option<Key>, patience: Patience) -> Self {
        let wire = Wire::new(base, key, patience.reply);
        Self { wire, model: model.into(), failing: Arc::default(), manners: Arc::default() }
    }

    /// The name of the model at the endpoint.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The reply to one user turn of text, as repeatably as the endpoint can (temperature 0, and every other field of sampling at the value
    /// that changes nothing; those that the endpoint refuses are left out). Asked up to four
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
        let known = || self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let manners = known().clone();
            // Without a temperature of 0 the endpoint would draw.
            let body = question(&self.model, prompt, &manners);
            let body = body.map_err(|e| (EndpointError::Field(e.to_string()), None))?;
            match self.wire.post("chat/completions", &body.to_string()) {
                Ok(said) => return read_reply(&said.value).map_err(|e| (e, None)),
                Err(failed) => {
                    let fewer = match &failed.0 {
                        EndpointError::RefusedBecause { status: 400 | 422, says } => mannered(says, &manners),
                        _ => None,
                    };
                    // Each time a field less, so that this ends.
                    match fewer.filter(|fewer| fewer.without != manners.without) {
                        Some(fewer) => known().without.extend(fewer.without),
                        None => return Err(failed),
                    }
                }
            }
        }
    }
}

/// The words of a reply.
fn read_reply(value: &Value) -> Result<String, EndpointError> {
    let asked = Ask::pictures_then(Vec::new(), "", GenerationLimits::default());
    let reply = chat(value, &asked)?;
    match reply.stop {
        // What it would have gone on to say is not known.
        Stop::Length => Err(EndpointError::CutOff),
        _ if reply.text.is_empty() => Err(EndpointError::NoContent),
        _ => Ok(reply.text),
    }
}
