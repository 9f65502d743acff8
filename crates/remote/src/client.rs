//! One try to have one ask answered.

use crate::error::EndpointError;
use crate::found::FoundOut;
use crate::request::{
    Asking, GrammarField, Manners, PictureBound, Shown, Written, chat, decision, mannered, shown,
};
use crate::trouble::Trouble;
use crate::wire::Wire;
use crate::{options, reply, stream};
use loupe_core::{Ask, GenerationLimits, ModelError, Reply, ReplyForm, Retry, Timing};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Times that a request is changed to what the server says that it takes.
const CHANGES: usize = 5;

/// The one reply that a server gives that keeps to [`PROBE`].
const PROBED: &str = "loupe-4027";
/// A grammar that derives nothing else.
const PROBE: &str = "root ::= \"loupe-4027\"";

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
    route: FoundOut<OptionRoute>,
    /// Was it found where the server reads a grammar?
    grammar: FoundOut<()>,
    /// Requests that were sent.
    pub(crate) requests: AtomicU64,
    /// Tokens of prompts, as the server counted them.
    pub(crate) prompt_tokens: AtomicU64,
    /// Tokens of replies.
    pub(crate) reply_tokens: AtomicU64,
    /// Was there a reply whose tokens the server did not count?
    pub(crate) uncounted: AtomicBool,
}

/// An ask with its pictures as they are sent, once they were made.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) ask: Ask,
    shown: Option<Vec<Shown>>,
    /// Words of a streamed reply that were passed on.
    heard: String,
}

impl Task {
    pub(crate) fn new(ask: Ask) -> Self {
        Self { ask, shown: None, heard: String::new() }
    }
}

/// Passes words of a streamed reply on once: a reply that broke off and is sent again begins with the same words.
struct Once<'a> {
    /// What was passed on by all tries.
    heard: &'a mut String,
    /// What this try said.
    now: String,
    piece: &'a mut dyn FnMut(&str),
}

impl Once<'_> {
    fn say(&mut self, words: &str) {
        self.now.push_str(words);
        if self.heard.starts_with(&self.now) {
            return;
        }
        match self.now.strip_prefix(self.heard.as_str()) {
            Some(new) => (self.piece)(new),
            // It goes on in other words: all of them, on a line of their own.
            None => {
                (self.piece)("\n");
                (self.piece)(&self.now);
            }
        }
        self.heard.clone_from(&self.now);
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
            route: FoundOut::default(),
            grammar: FoundOut::default(),
            requests: AtomicU64::new(0),
            prompt_tokens: AtomicU64::new(0),
            reply_tokens: AtomicU64::new(0),
            uncounted: AtomicBool::new(false),
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
        let mut once = Once { heard: &mut task.heard, now: String::new(), piece };
        let offered = options::wanted(ask.limits.options.as_ref())?;
        let (mut reply, written) = match offered {
            [] => {
                if let Some(ReplyForm::Grammar(_)) = &ask.limits.form {
                    self.grammar.get(|| self.find_grammar(wanted))?;
                }
                let (value, written) =
                    self.chat(ask, shown, self.stream, wanted, &mut |words| once.say(words))?;
                let mut reply = reply::chat(&value, ask)?;
                reply::place(&mut reply, ask, &self.box_dialect);
                (reply, written)
            }
            offered => self.options(ask, shown, offered, wanted)?,
        };
        reply.timing = Timing { prefill_s: 0.0, decode_s: began.elapsed().as_secs_f64() };
        self.prompt_tokens.fetch_add(reply.counts.prompt_tokens as u64, Ordering::Relaxed);
        self.reply_tokens.fetch_add(reply.counts.new_tokens as u64, Ordering::Relaxed);
        if let Some(served) = &mut reply.served {
            served.request_sha256 = written.sha256;
            served.pictures = written.pictures;
            served.not_sent = written.not_sent;
        }
        let form = ask.limits.form.as_ref().filter(|_| offered.is_empty());
        Ok(ReplyForm::settled(form, reply)?)
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
                    let refusal = |event: &Value| self.wire.refusal(event, &written.body);
                    stream::collect(events, heard, refusal).map_err(|e| (e, None))
                }),
            };
            match said {
                Ok(Some(mut value)) => {
                    self.wire.blot(&mut value);
                    self.look_for_counts(&value);
                    return Ok((value, written));
                }
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

    /// Remembers whether there was a document without the numbers that budgets are kept by.
    fn look_for_counts(&self, value: &Value) {
        self.uncounted.fetch_or(!reply::are_counted(value), Ordering::Relaxed);
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

    /// Finds the field in which the server reads a grammar, by one that derives a single word: servers leave fields
    /// aside that they do not know, and would answer in any words.
    fn find_grammar(&self, wanted: &AtomicBool) -> Result<(), Trouble> {
        let form = Some(ReplyForm::Grammar(PROBE.to_owned()));
        let limits = GenerationLimits { max_new_tokens: 32, form, ..GenerationLimits::default() };
        let probe = Ask::pictures_then(Vec::new(), "Say something.", limits);
        for field in GrammarField::ALL {
            locked(&self.manners).grammar = field;
            self.requests.fetch_add(1, Ordering::Relaxed);
            match self.chat(&probe, &[], false, wanted, &mut |_| {}) {
                Ok((value, _)) if reply::chat(&value, &probe).is_ok_and(|r| r.text.trim() == PROBED) => {
                    return Ok(());
                }
                Ok(_) => {}
                Err(Trouble::Server(error, _)) if error.is_status(&[400, 422]) => {}
                Err(other) => return Err(other),
            }
        }
        let reason = "the server does not keep to a grammar, neither in structured_outputs (vLLM) nor in grammar (llama.cpp) nor in ebnf (SGLang); leave --grammar out, or describe the reply with --schema".to_owned();
        Err(Trouble::Ask(ModelError::Served { reason, retry: Retry::Barred }))
    }

    fn options(
        &self,
        ask: &Ask,
        shown: &[Shown],
        offered: &[String],
        wanted: &AtomicBool,
    ) -> Result<(Reply, Written), Trouble> {
        let mut first = None;
        let route = self.route.get(|| {
            let (route, answered) = self.find_route(ask, shown, offered, wanted)?;
            first = Some(answered);
            Ok(route)
        })?;
        match first {
            Some(answered) => Ok(answered),
            None => self.by_route(route, ask, shown, offered, wanted),
        }
    }

    /// Asks by every way until one is answered.
    fn find_route(
        &self,
        ask: &Ask,
        shown: &[Shown],
        offered: &[String],
        wanted: &AtomicBool,
    ) -> Result<(OptionRoute, (Reply, Written)), Trouble> {
        for asking in [Asking::InInput, Asking::InInstructions] {
            let route = OptionRoute::Decisions(asking);
            match self.by_route(route, ask, shown, offered, wanted) {
                Ok(answered) => return Ok((route, answered)),
                Err(Trouble::Server(error, _)) if is_not_offered(&error) => {}
                Err(other) => return Err(other),
            }
            // Whoever gave the ask out has counted its first request.
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        let answered = self.by_route(OptionRoute::FirstToken, ask, shown, offered, wanted)?;
        Ok((OptionRoute::FirstToken, answered))
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
        self.look_for_counts(&said.value);
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
    error.is_status(&[400, 404, 405, 422])
        || matches!(error, EndpointError::Busy(501) | EndpointError::NoContent)
}
