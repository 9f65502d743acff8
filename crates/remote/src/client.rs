//! One try to have one ask answered.

use crate::error::EndpointError;
use crate::request::{Asking, Manners, PictureBound, Shown, Written, chat, decision, mannered, shown};
use crate::wire::Wire;
use crate::{options, reply, stream};
use loupe_core::{Ask, ModelError, Reply, Timing};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Times that a request is changed to what the server says that it takes.
const CHANGES: usize = 5;

/// How the probabilities of options are had from a server. Chosen once, so that all replies of a run are of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OptionRoute {
    Decisions(Asking),
    FirstToken,
}

/// A served model, and what was learnt about its server. Shared by all requests.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) wire: Wire,
    pub(crate) model: String,
    pub(crate) box_dialect: String,
    pub(crate) pictures: PictureBound,
    /// Are replies streamed?
    pub(crate) stream: bool,
    manners: Mutex<Manners>,
    route: Mutex<Option<OptionRoute>>,
    /// Requests that were sent.
    pub(crate) requests: AtomicU64,
    /// Tokens that were counted by the server.
    pub(crate) tokens: AtomicU64,
}

/// An ask with its pictures as they are sent, once they were made.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) ask: Ask,
    shown: Option<Vec<Shown>>,
}

impl Task {
    pub(crate) fn new(ask: Ask) -> Self {
        Self { ask, shown: None }
    }
}

/// Why a try gave no reply.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// The ask cannot be sent.
    Ask(ModelError),
    /// The server, with the pause that it asks for.
    Server(EndpointError, Option<Duration>),
    /// Nobody wants the reply any more.
    Cancelled,
}

impl From<ModelError> for Trouble {
    fn from(error: ModelError) -> Self {
        Self::Ask(error)
    }
}

impl From<(EndpointError, Option<Duration>)> for Trouble {
    fn from((error, pause): (EndpointError, Option<Duration>)) -> Self {
        Self::Server(error, pause)
    }
}

impl From<EndpointError> for Trouble {
    fn from(error: EndpointError) -> Self {
        Self::Server(error, None)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    pub(crate) fn new(
        wire: Wire,
        model: String,
        box_dialect: String,
        pictures: PictureBound,
        stream: bool,
    ) -> Self {
        Self {
            wire,
            model,
            box_dialect,
            pictures,
            stream,
            manners: Mutex::default(),
            route: Mutex::default(),
            requests: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
        }
    }

    /// Sends the ask once, or as often as its fields have to be changed to what the server takes; `piece` hears the
    /// words of a streamed reply.
    pub(crate) fn attempt(
        &self,
        task: &mut Task,
        wanted: &AtomicBool,
        piece: &mut dyn FnMut(&str),
    ) -> Result<Reply, Trouble> {
        let began = Instant::now();
        if task.shown.is_none() {
            task.shown = Some(shown(&task.ask, &self.pictures)?);
        }
        let (ask, shown) = (&task.ask, task.shown.as_deref().unwrap_or_default());
        let offered = options::wanted(ask.limits.options.as_ref())?;
        let (mut reply, written) = match offered {
            [] => {
                let (value, written) = self.chat(ask, shown, self.stream, wanted, piece)?;
                let mut reply = reply::chat(&value, ask)?;
                reply::place(&mut reply, ask, &self.box_dialect);
                (reply, written)
            }
            offered => self.options(ask, shown, offered, wanted)?,
        };
        reply.timing = Timing { prefill_s: 0.0, decode_s: began.elapsed().as_secs_f64() };
        let all = reply.counts.prompt_tokens.saturating_add(reply.counts.new_tokens);
        self.tokens.fetch_add(all as u64, Ordering::Relaxed);
        if let Some(served) = &mut reply.served {
            served.request_sha256 = written.sha256;
            served.pictures = written.pictures;
            served.not_sent = written.not_sent;
        }
        Ok(reply)
    }

    /// The document of a chat completion, and the request that it answers.
    fn chat(
        &self,
        ask: &Ask,
        shown: &[Shown],
        streamed: bool,
        wanted: &AtomicBool,
        piece: &mut dyn FnMut(&str),
    ) -> Result<(Value, Written), Trouble> {
        let mut changes = 0;
        loop {
            let manners = locked(&self.manners).clone();
            let written = chat(ask, &self.model, shown, &manners, streamed)?;
            // Whoever gave the ask out has counted its first request.
            self.requests.fetch_add(u64::from(changes > 0), Ordering::Relaxed);
            let said = match streamed {
                false => self.wire.post("chat/completions", &written.body).map(|said| Some(said.value)),
                true => self.wire.stream("chat/completions", &written.body).and_then(|events| {
                    let heard = |words: &str| {
                        piece(words);
                        wanted.load(Ordering::Relaxed)
                    };
                    stream::collect(events, heard).map_err(|e| (e, None))
                }),
            };
            match said {
                Ok(Some(value)) => return Ok((value, written)),
                Ok(None) => return Err(Trouble::Cancelled),
                Err((EndpointError::RefusedBecause { status: 400 | 422, says }, _))
                    if changes < CHANGES && self.learn(&says, &manners) =>
                {
                    changes += 1;
                }
                Err(failed) => return Err(failed.into()),
            }
        }
    }

    /// Did the server say which fields it does not take, so that the request can be sent again without them?
    fn learn(&self, says: &str, sent: &Manners) -> bool {
        let mut known = locked(&self.manners);
        match mannered(says, sent) {
            None => false,
            Some(manners) => {
                known.completion_tokens |= manners.completion_tokens;
                known.without.extend(manners.without);
                true
            }
        }
    }

    fn options(
        &self,
        ask: &Ask,
        shown: &[Shown],
        offered: &[String],
        wanted: &AtomicBool,
    ) -> Result<(Reply, Written), Trouble> {
        // Whoever comes first finds out; the others wait for that.
        let mut route = locked(&self.route);
        if let Some(known) = *route {
            drop(route);
            return self.by_route(known, ask, shown, offered, wanted);
        }
        let routes = [
            OptionRoute::Decisions(Asking::InInput),
            OptionRoute::Decisions(Asking::InInstructions),
            OptionRoute::FirstToken,
        ];
        let mut tried = Err(Trouble::Server(EndpointError::NoContent, None));
        for next in routes {
            self.requests.fetch_add(u64::from(next != routes[0]), Ordering::Relaxed);
            tried = self.by_route(next, ask, shown, offered, wanted);
            match &tried {
                Err(Trouble::Server(error, _))
                    if next != OptionRoute::FirstToken && is_not_offered(error) => {}
                Ok(_) => {
                    *route = Some(next);
                    break;
                }
                Err(_) => break,
            }
        }
        tried
    }

    fn by_route(
        &self,
        route: OptionRoute,
        ask: &Ask,
        shown: &[Shown],
        offered: &[String],
        wanted: &AtomicBool,
    ) -> Result<(Reply, Written), Trouble> {
        match route {
            OptionRoute::Decisions(asking) => self.decide(ask, shown, offered, asking),
            OptionRoute::FirstToken => self.first_token(ask, shown, offered, wanted),
        }
    }

    fn decide(
        &self,
        ask: &Ask,
        shown: &[Shown],
        offered: &[String],
        asking: Asking,
    ) -> Result<(Reply, Written), Trouble> {
        let written = decision(ask, &self.model, shown, offered, asking)?;
        let said = self.wire.post("decisions", &written.body)?;
        Ok((options::decided(&said.value, offered)?, written))
    }

    fn first_token(
        &self,
        ask: &Ask,
        shown: &[Shown],
        offered: &[String],
        wanted: &AtomicBool,
    ) -> Result<(Reply, Written), Trouble> {
        let (value, written) = self.chat(ask, shown, false, wanted, &mut |_| {})?;
        Ok((options::from_first_token(&value, offered)?, written))
    }
}

/// Does the server say that it makes no decisions, or none of this kind?
fn is_not_offered(error: &EndpointError) -> bool {
    match error {
        EndpointError::Refused(status) | EndpointError::RefusedBecause { status, .. } => {
            matches!(status, 400 | 404 | 405 | 422)
        }
        EndpointError::Busy(501) | EndpointError::NoContent => true,
        _ => false,
    }
}
