//! Where requests and the model meet: the model takes asks from here and gives replies back, whoever waits
//! for one picks it up.
//!
//! A request holds a [`Ticket`] from its head to the end of its reply; there are only so many, so what waits
//! is bounded. An [`Asked`] that is dropped takes its ask back: it leaves the queue, or the model is told to
//! stop.

use crate::api_error::ApiError;
use crate::metrics::{Census, Metrics};
use loupe_core::model::{AskId, AskSource, Go, Next, ReplySink};
use loupe_core::{Ask, ModelError, Reply};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What comes of an ask. A reply has so many tokens at most, so what may lie unread is bounded.
#[derive(Debug)]
pub(crate) enum Said {
    /// More of the text.
    Piece(String),
    /// The end.
    Done(Box<Result<Reply, ModelError>>),
}

/// Where requests and the model meet.
#[derive(Debug)]
pub(crate) struct Desk {
    state: Mutex<State>,
    /// The model waits on it for asks.
    asked: Condvar,
    most_requests: usize,
    most_picture_bytes: u64,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<AskId>,
    pending: BTreeMap<AskId, Pending>,
    last: u64,
    running: usize,
    tickets: usize,
    picture_bytes: u64,
    /// No request is let in any more; those within are finished.
    closing: bool,
    /// Nothing is finished any more.
    abandoned: bool,
}

#[derive(Debug)]
struct Pending {
    /// Until the model takes it.
    ask: Option<Ask>,
    to: UnboundedSender<Said>,
}

impl Desk {
    pub(crate) fn new(most_requests: usize, most_picture_bytes: u64, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            asked: Condvar::new(),
            most_requests,
            most_picture_bytes,
            metrics,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// 429 when there are too many, 503 when the server is going down.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Ticket, ApiError> {
        let mut state = self.state();
        if state.closing {
            return Err(going_down());
        }
        if state.tickets >= self.most_requests {
            let message = format!(
                "{} requests are in work or wait already, which is as many as this server takes; try again later",
                state.tickets
            );
            return Err(ApiError::new(429, "too_many_requests", message).after(self.metrics.retry_after()));
        }
        state.tickets += 1;
        Ok(Ticket { desk: Arc::clone(self), picture_bytes: 0 })
    }

    /// Lets no request in any more; the model is told that there is no more when all within are finished.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.asked.notify_all();
    }

    /// Gives up what is not finished.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        (state.closing, state.abandoned) = (true, true);
        let waiting = std::mem::take(&mut state.waiting);
        for id in waiting {
            if let Some(pending) = state.pending.remove(&id) {
                let _ = pending.to.send(Said::Done(Box::new(Err(ModelError::Cancelled))));
            }
        }
        drop(state);
        self.asked.notify_all();
    }

    /// Is the server going down?
    pub(crate) fn is_closing(&self) -> bool {
        self.state().closing
    }

    /// The model is gone: what waits for it fails.
    pub(crate) fn model_is_gone(&self) {
        let mut state = self.state();
        (state.closing, state.abandoned) = (true, true);
        state.waiting.clear();
        state.running = 0;
        for (_, pending) in std::mem::take(&mut state.pending) {
            let gone = ModelError::Compute("the model ended".into());
            let _ = pending.to.send(Said::Done(Box::new(Err(gone))));
        }
    }

    /// What there is at this moment.
    pub(crate) fn census(&self) -> Census {
        let state = self.state();
        Census {
            requests: state.tickets,
            waiting: state.waiting.len(),
            running: state.running,
            picture_bytes: state.picture_bytes,
            ..Census::default()
        }
    }
}

fn going_down() -> ApiError {
    ApiError::new(503, "shutting_down", "the server is going down and takes no more requests").after(5)
}

/// A request that was let in.
#[derive(Debug)]
pub(crate) struct Ticket {
    desk: Arc<Desk>,
    picture_bytes: u64,
}

impl Ticket {
    /// Counts decoded pictures as the request's, until it is over.
    ///
    /// # Errors
    /// When all requests together would hold too many bytes: 413 when this one alone does, else 429.
    pub(crate) fn hold(&mut self, bytes: u64) -> Result<(), ApiError> {
        let most = self.desk.most_picture_bytes;
        let own = self.picture_bytes.saturating_add(bytes);
        if own > most {
            let message = format!(
                "the pictures of the request are {own} bytes when decoded, the limit is {most}; send fewer or smaller ones, or raise the limit with --max-picture-memory"
            );
            return Err(ApiError::new(413, "pictures_too_large", message));
        }
        let mut state = self.desk.state();
        if state.picture_bytes.saturating_add(bytes) > most {
            let message = "the pictures of the requests in work take all the memory that pictures may take; try again later";
            return Err(
                ApiError::new(429, "too_many_pictures", message).after(self.desk.metrics.retry_after())
            );
        }
        state.picture_bytes += bytes;
        self.picture_bytes = own;
        Ok(())
    }

    /// Puts an ask into the queue.
    ///
    /// # Errors
    /// 503 when nothing is answered any more.
    pub(crate) fn ask(&self, ask: Ask) -> Result<Asked, ApiError> {
        let (to, from) = unbounded_channel();
        let mut state = self.desk.state();
        if state.abandoned {
            return Err(going_down());
        }
        state.last += 1;
        let id = AskId(state.last);
        state.pending.insert(id, Pending { ask: Some(ask), to });
        state.waiting.push_back(id);
        drop(state);
        self.desk.asked.notify_all();
        Ok(Asked { id, desk: Arc::clone(&self.desk), from })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        state.tickets -= 1;
        state.picture_bytes -= self.picture_bytes;
        drop(state);
        self.desk.asked.notify_all();
    }
}

/// An ask that somebody waits for; dropped, it is taken back.
#[derive(Debug)]
pub(crate) struct Asked {
    id: AskId,
    desk: Arc<Desk>,
    from: UnboundedReceiver<Said>,
}

impl Asked {
    /// What comes next.
    pub(crate) fn poll(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Said> {
        self.from.poll_recv(context).map(|said| said.unwrap_or_else(gone))
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Said {
        self.from.recv().await.unwrap_or_else(gone)
    }

    /// The whole reply, where nobody wants its pieces.
    pub(crate) async fn whole(mut self) -> Result<Reply, ModelError> {
        loop {
            if let Said::Done(reply) = self.next().await {
                return *reply;
            }
        }
    }
}

fn gone() -> Said {
    Said::Done(Box::new(Err(ModelError::Compute("the model ended".into()))))
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        if let Some(pending) = state.pending.remove(&self.id)
            && pending.ask.is_some()
        {
            state.waiting.retain(|id| *id != self.id);
            self.desk.metrics.cancelled.add(1);
        }
    }
}

/// The model's end of a desk.
#[derive(Debug)]
pub(crate) struct ModelSide(pub(crate) Arc<Desk>);

impl AskSource for ModelSide {
    fn next(&mut self, idle: bool) -> Next {
        let mut state = self.0.state();
        loop {
            let first = state.waiting.pop_front();
            if let Some((id, ask)) = first.and_then(|id| Some((id, state.pending.get_mut(&id)?.ask.take()?)))
            {
                state.running += 1;
                return Next::Ask(id, ask);
            }
            if state.abandoned || (state.closing && state.tickets == 0) {
                return Next::NoMore;
            }
            if !idle {
                return Next::NotYet;
            }
            state = self.0.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl ReplySink for ModelSide {
    fn piece(&mut self, id: AskId, text: &str) -> Go {
        let state = self.0.state();
        match state.pending.get(&id) {
            Some(_) if state.abandoned => Go::Stop,
            Some(_) if text.is_empty() => Go::On,
            Some(pending) => match pending.to.send(Said::Piece(text.to_owned())) {
                Ok(()) => Go::On,
                Err(_) => Go::Stop,
            },
            None => Go::Stop,
        }
    }

    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        let metrics = &self.0.metrics;
        match &reply {
            Ok(reply) => {
                metrics.answered.add(1);
                metrics.prompt_tokens.add(reply.counts.prompt_tokens);
                metrics.reused_tokens.add(reply.counts.reused_tokens);
                metrics.new_tokens.add(reply.counts.new_tokens);
                metrics.proposed_tokens.add(reply.counts.proposed_tokens);
                metrics.accepted_tokens.add(reply.counts.accepted_tokens);
            }
            Err(ModelError::Cancelled) => metrics.cancelled.add(1),
            Err(_) => metrics.failed.add(1),
        }
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
        if let Some(pending) = state.pending.remove(&id) {
            let _ = pending.to.send(Said::Done(Box::new(reply)));
        }
    }
}

/// However the model ends, nobody waits for it for ever.
#[derive(Debug)]
pub(crate) struct ModelGuard(pub(crate) Arc<Desk>);

impl Drop for ModelGuard {
    fn drop(&mut self) {
        self.0.model_is_gone();
    }
}
