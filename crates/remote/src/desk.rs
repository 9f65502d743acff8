//! The asks that are under way: how many at a time, when each is sent again, and when the server is given up.
//!
//! A failure is an ask's own only where the server answers others: what failed as often as it was tried is put aside
//! until another ask was answered, or until nothing else is left to do. So a server that is down costs no item.

use crate::client::{Client, Task};
use crate::error::EndpointError;
use crate::identity::is_there;
use crate::room::{Jitter, Room};
use crate::trouble::Trouble;
use loupe_core::{AskId, AskSource, Go, ModelError, Next, Reply, ReplySink, Retry};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Times an ask is sent when the server fails.
const TRIES: u32 = 5;
/// Times it is sent when there is no reply in the time allowed.
const TRIES_IN_TIME: u32 = 2;
/// So many asks that failed, with none answered: the server is given up though it shows its models.
const HOPELESS: usize = 8;
/// Time between two looks whether there is an ask or a reply.
const GLANCE: Duration = Duration::from_millis(5);
/// Longest pause between two looks whether the server is back.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// Times that an ask is told that the server is busy while others are answered, until that counts as its own failure: a
/// request that is larger than the server's limit is refused for ever.
const TRIES_WHILE_BUSY: u32 = 2 * TRIES;

/// How much may be spent in one command.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// Most requests, those that are sent again included.
    pub requests: Option<u64>,
    /// Most tokens, prompts and replies together, as the server counts them. What is under way when they are used up
    /// is finished, so that a little more may be spent.
    pub tokens: Option<u64>,
    /// Most money, as for the tokens.
    pub cost: Option<Cost>,
}

/// Most money, and the prices that it is counted by, all in one currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Most that may be spent.
    pub most: f64,
    /// Price of a million tokens of prompts.
    pub per_million_prompt: f64,
    /// Price of a million tokens of replies.
    pub per_million_reply: f64,
}

impl Cost {
    /// What so many tokens cost.
    fn of(&self, prompt: u64, reply: u64) -> f64 {
        (prompt as f64 * self.per_million_prompt + reply as f64 * self.per_million_reply) / 1e6
    }
}

/// What the desk goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeskRules {
    pub(crate) budget: Budget,
    /// Longest time without any reply until the server is given up.
    pub(crate) patience: Duration,
}

#[expect(clippy::large_enum_variant, reason = "most are of the large one")]
enum Event {
    Piece(AskId, String),
    /// The ask came back, with its task when it has to be sent again.
    Done(AskId, Task, Result<Reply, Trouble>),
}

/// An ask between its coming and its reply.
struct Job {
    id: AskId,
    task: Task,
    tries: u32,
    /// Was it asked anew after the server had been away?
    again: bool,
    /// Replies that the server had given when this ask failed for the first time.
    at: Option<u64>,
    not_before: Instant,
    last: Option<EndpointError>,
}

impl Job {
    /// Its failure, where the server answers others.
    fn own(&self) -> ModelError {
        match &self.last {
            Some(last) => own(last, self.tries),
            None => ModelError::Compute("the request was lost".into()),
        }
    }
}

/// An ask that is with the server.
struct UnderWay {
    wanted: Arc<AtomicBool>,
    tries: u32,
    again: bool,
    at: Option<u64>,
    streamed: bool,
}

/// Everything about asks and the server during one call of `serve`.
pub(crate) struct Desk<'a> {
    client: &'a Arc<Client>,
    rules: DeskRules,
    room: &'a mut Room,
    jitter: Jitter,
    under_way: HashMap<AskId, UnderWay>,
    waiting: VecDeque<Job>,
    aside: Vec<Job>,
    to: Sender<Event>,
    from: Receiver<Event>,
    /// Nothing is sent before.
    paused: Option<Instant>,
    /// Replies, and refusals that prove that somebody reads.
    answered: u64,
    /// Since when there was no reply, though there were requests.
    dry: Option<Instant>,
    /// Nothing is sent any more.
    ended: Option<ModelError>,
}

fn served(reason: String, retry: Retry) -> ModelError {
    ModelError::Served { reason, retry }
}

impl<'a> Desk<'a> {
    pub(crate) fn new(client: &'a Arc<Client>, rules: DeskRules, room: &'a mut Room) -> Self {
        let (to, from) = channel();
        Self {
            client,
            rules,
            room,
            jitter: Jitter::new(),
            under_way: HashMap::new(),
            waiting: VecDeque::new(),
            aside: Vec::new(),
            to,
            from,
            paused: None,
            answered: 0,
            dry: None,
            ended: None,
        }
    }

    /// Answers all asks; why nothing was sent any more, where that was so.
    pub(crate) fn serve(
        mut self,
        asks: &mut dyn AskSource,
        replies: &mut dyn ReplySink,
    ) -> Option<ModelError> {
        let mut more = true;
        loop {
            self.send_waiting();
            while more && self.has_room() {
                let idle = self.under_way.is_empty() && self.waiting.is_empty() && self.aside.is_empty();
                match asks.next(idle) {
                    Next::Ask(id, ask) => {
                        let now = Instant::now();
                        let task = Task::new(ask);
                        let job =
                            Job { id, task, tries: 0, again: false, at: None, not_before: now, last: None };
                        self.waiting.push_back(job);
                        self.send_waiting();
                    }
                    Next::NotYet => break,
                    Next::NoMore => more = false,
                }
                if self.ended.is_some() {
                    self.give_back_all(replies);
                }
            }
            if self.ended.is_some() {
                self.give_back_all(replies);
            }
            if self.under_way.is_empty() && self.waiting.is_empty() {
                if !self.aside.is_empty() {
                    self.judge_aside(replies);
                    continue;
                }
                if !more {
                    return self.ended;
                }
                continue;
            }
            match self.from.recv_timeout(self.glance()) {
                Ok(event) => self.hear(event, replies),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(event) = self.from.try_recv() {
                self.hear(event, replies);
            }
            self.drop_unwanted(replies);
        }
    }

    /// May another ask be taken? Those that were put aside take room too, so that a server that is down does not draw
    /// all asks; before the first reply there are as many as it takes to tell.
    fn has_room(&self) -> bool {
        let room = self.room.requests();
        let most = if self.answered == 0 { room.max(HOPELESS) } else { room };
        self.under_way.len() + self.waiting.len() + self.aside.len() < most
    }

    /// How long nothing has to be looked at.
    fn glance(&self) -> Duration {
        let next = self.waiting.iter().map(|job| job.not_before).min();
        let until = next.map_or(GLANCE, |next| next.saturating_duration_since(Instant::now()));
        until.clamp(Duration::from_millis(1), GLANCE)
    }

    fn send_waiting(&mut self) {
        let now = Instant::now();
        if self.ended.is_some() || self.paused.is_some_and(|until| now < until) {
            return;
        }
        while self.under_way.len() < self.room.requests() {
            let Some(at) = self.waiting.iter().position(|job| job.not_before <= now) else { return };
            if let Some(spent) = self.spent() {
                self.ended = Some(spent);
                return;
            }
            let Some(job) = self.waiting.remove(at) else { return };
            self.send(job);
        }
    }

    /// Is the budget used up? Requests under way count before they are counted.
    fn spent(&self) -> Option<ModelError> {
        let Budget { requests, tokens, cost } = self.rules.budget;
        let sent = self.client.requests.load(Ordering::Relaxed);
        let prompt = self.client.prompt_tokens.load(Ordering::Relaxed);
        let reply = self.client.reply_tokens.load(Ordering::Relaxed);
        let counted = prompt.saturating_add(reply);
        let paid = cost.map_or(0.0, |cost| cost.of(prompt, reply));
        let words = match (requests, tokens, cost) {
            (Some(most), ..) if sent >= most => format!("the budget of {most} requests is used up"),
            (_, Some(_), _) | (.., Some(_)) if self.client.uncounted.load(Ordering::Relaxed) => {
                let reason = "the server does not say how many tokens a reply took, so that a budget of tokens or money cannot be kept; give one of requests instead (--max-requests)";
                return Some(served(reason.to_owned(), Retry::Barred));
            }
            (_, Some(most), _) if counted >= most => {
                format!("the budget of {most} tokens is used up ({counted} were)")
            }
            (.., Some(cost)) if paid >= cost.most => {
                format!("the budget of {} is used up ({paid:.4} was spent)", cost.most)
            }
            _ => return None,
        };
        Some(served(format!("{words}; allow more to go on"), Retry::Barred))
    }

    /// Gives the ask to a thread of its own.
    fn send(&mut self, job: Job) {
        let Job { id, mut task, tries, again, at, .. } = job;
        self.client.requests.fetch_add(1, Ordering::Relaxed);
        let wanted = Arc::new(AtomicBool::new(true));
        let streamed = self.client.stream && task.ask.limits.options.is_none();
        let way = UnderWay { wanted: Arc::clone(&wanted), tries: tries + 1, again, at, streamed };
        self.under_way.insert(id, way);
        let (client, to) = (Arc::clone(self.client), self.to.clone());
        let name = "request".to_owned();
        let started = std::thread::Builder::new().name(name).spawn(move || {
            let mut piece = |words: &str| drop(to.send(Event::Piece(id, words.to_owned())));
            let tried = std::panic::AssertUnwindSafe(|| client.attempt(&mut task, &wanted, &mut piece));
            let result = std::panic::catch_unwind(tried).unwrap_or_else(|_| {
                Err(Trouble::Ask(ModelError::Compute(
                    "the request failed unexpectedly; please report it".into(),
                )))
            });
            let _ = to.send(Event::Done(id, task, result));
        });
        if let Err(error) = started {
            let reason = format!("no thread for a request could be started: {error}");
            let lost = Task::new(loupe_core::Ask {
                pictures: Vec::new(),
                turns: Vec::new(),
                limits: loupe_core::GenerationLimits::default(),
            });
            let _ = self.to.send(Event::Done(id, lost, Err(Trouble::Ask(ModelError::Compute(reason)))));
        }
    }

    fn hear(&mut self, event: Event, replies: &mut dyn ReplySink) {
        match event {
            Event::Piece(id, words) => {
                if let Some(way) = self.under_way.get(&id)
                    && replies.piece(id, &words) == Go::Stop
                {
                    way.wanted.store(false, Ordering::Relaxed);
                }
            }
            Event::Done(id, task, result) => {
                // What was cancelled has been given back.
                if let Some(way) = self.under_way.remove(&id) {
                    self.came_back(id, task, &way, result, replies);
                }
            }
        }
    }

    fn came_back(
        &mut self,
        id: AskId,
        task: Task,
        way: &UnderWay,
        result: Result<Reply, Trouble>,
        replies: &mut dyn ReplySink,
    ) {
        match result {
            Ok(_) if !way.wanted.load(Ordering::Relaxed) => replies.done(id, Err(ModelError::Cancelled)),
            Ok(mut reply) => {
                self.heard_from();
                if let Some(served) = &mut reply.served {
                    served.tries = way.tries;
                }
                let go = if way.streamed || reply.options.is_some() {
                    Go::On
                } else {
                    replies.piece(id, &reply.text)
                };
                replies.done(id, if go == Go::On { Ok(reply) } else { Err(ModelError::Cancelled) });
                self.own_failures(replies);
            }
            Err(Trouble::Cancelled) => replies.done(id, Err(ModelError::Cancelled)),
            Err(Trouble::Ask(error)) => {
                // The server answered, in a form that was not wanted.
                if matches!(error, ModelError::Form { .. }) {
                    self.heard_from();
                    self.own_failures(replies);
                }
                if error.retry() == Retry::Barred {
                    self.ended.get_or_insert(error.clone());
                }
                replies.done(id, Err(error));
            }
            Err(Trouble::Server(error, pause)) => {
                let job = Job {
                    id,
                    task,
                    tries: way.tries,
                    again: way.again,
                    at: way.at.or(Some(self.answered)),
                    not_before: Instant::now(),
                    last: Some(error),
                };
                self.failed(job, pause, replies);
            }
        }
    }

    /// A reply came.
    fn heard_from(&mut self) {
        self.answered += 1;
        self.dry = None;
        self.room.kept_up();
    }

    fn failed(&mut self, mut job: Job, pause: Option<Duration>, replies: &mut dyn ReplySink) {
        let now = Instant::now();
        let Some(error) = job.last.clone() else { return };
        if let Some(end) = barred(&error) {
            self.ended.get_or_insert(end.clone());
            return replies.done(job.id, Err(end));
        }
        if !error.may_pass() {
            // Somebody reads and answers: only whether it is about this ask is open.
            return self.put_aside(job);
        }
        if matches!(
            error,
            EndpointError::Busy(_) | EndpointError::TimedOut(_) | EndpointError::Overloaded { .. }
        ) {
            self.room.too_much(now);
        }
        let over = now.duration_since(*self.dry.get_or_insert(now)) >= self.rules.patience;
        match error {
            EndpointError::Overloaded { .. } => return self.end_away(&error, &[job], replies),
            EndpointError::Busy(429) if over => return self.end_away(&error, &[job], replies),
            _ if over => return self.put_aside(job),
            _ => {}
        }
        let in_time = matches!(error, EndpointError::TimedOut(_));
        // Who says when to come back does not fail.
        let counted = pause.is_none() && !matches!(error, EndpointError::Busy(429));
        let wait = self.jitter.pause(job.tries, pause);
        if pause.is_some() || matches!(error, EndpointError::Busy(429)) {
            let until = now + wait;
            self.paused = Some(self.paused.map_or(until, |p| p.max(until)));
        }
        // Others were answered meanwhile, and often.
        let alone = job.tries >= TRIES_WHILE_BUSY
            && job.at.is_some_and(|at| self.answered >= at + u64::from(job.tries));
        if alone || counted && (job.tries >= TRIES || in_time && job.tries >= TRIES_IN_TIME) {
            return self.put_aside(job);
        }
        job.not_before = now + wait;
        self.waiting.push_back(job);
    }

    fn put_aside(&mut self, job: Job) {
        self.aside.push(job);
        if self.answered == 0 && self.aside.len() >= HOPELESS && self.ended.is_none() {
            let why = self.aside.last().and_then(|job| job.last.as_ref());
            let reason = format!(
                "the server answered none of the first {} questions; the last one: {}",
                self.aside.len(),
                why.map_or_else(String::new, ToString::to_string)
            );
            let retry = if why.is_some_and(EndpointError::may_pass) { Retry::Away } else { Retry::Barred };
            self.ended = Some(served(reason, retry));
        }
    }

    /// Asks that failed before another one was answered, by a server that answers: the failures are their own.
    fn own_failures(&mut self, replies: &mut dyn ReplySink) {
        let answered = self.answered;
        for job in self.aside.extract_if(.., |job| job.at.is_none_or(|at| at < answered)).collect::<Vec<_>>()
        {
            replies.done(job.id, Err(job.own()));
        }
    }

    /// Nothing else is under way: is the server there for those that were put aside?
    fn judge_aside(&mut self, replies: &mut dyn ReplySink) {
        let jobs = std::mem::take(&mut self.aside);
        let unreachable = |job: &Job| matches!(&job.last, Some(e) if e.may_pass() && !is_about_reply(e));
        let once = jobs.iter().all(|job| job.again || !unreachable(job));
        if once && (jobs.iter().all(|job| !passes(job)) || is_there(&self.client.wire)) {
            jobs.iter().for_each(|job| replies.done(job.id, Err(job.own())));
            return;
        }
        // It was away: waited for as long as there is patience, then all are asked anew.
        let began = *self.dry.get_or_insert_with(Instant::now);
        let mut pause = Duration::from_millis(500);
        loop {
            if began.elapsed() < self.rules.patience && is_there(&self.client.wire) {
                let now = Instant::now();
                let again = jobs.into_iter().map(|job| Job { tries: 0, again: true, not_before: now, ..job });
                self.waiting.extend(again);
                return;
            }
            if began.elapsed() + pause >= self.rules.patience {
                let error = jobs.iter().rev().find_map(|job| job.last.clone());
                let error = error.unwrap_or_else(|| EndpointError::Unreachable(String::new()));
                return self.end_away(&error, &jobs, replies);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }

    fn end_away(&mut self, error: &EndpointError, jobs: &[Job], replies: &mut dyn ReplySink) {
        let end = served(
            format!("the server at {} does not answer any more: {error}", self.client.wire.base()),
            Retry::Away,
        );
        let end = self.ended.get_or_insert(end).clone();
        jobs.iter().for_each(|job| replies.done(job.id, Err(end.clone())));
    }

    /// After the end: what waits is given back; what is under way is finished.
    fn give_back_all(&mut self, replies: &mut dyn ReplySink) {
        let Some(end) = self.ended.clone() else { return };
        for job in self.waiting.drain(..).chain(self.aside.drain(..)) {
            replies.done(job.id, Err(end.clone()));
        }
    }

    /// Asks whose replies nobody wants any more; their threads end by themselves.
    fn drop_unwanted(&mut self, replies: &mut dyn ReplySink) {
        let unwanted: Vec<AskId> =
            self.under_way.keys().copied().filter(|id| replies.piece(*id, "") == Go::Stop).collect();
        for id in unwanted {
            if let Some(way) = self.under_way.remove(&id) {
                way.wanted.store(false, Ordering::Relaxed);
                replies.done(id, Err(ModelError::Cancelled));
            }
        }
    }
}

fn passes(job: &Job) -> bool {
    job.last.as_ref().is_some_and(EndpointError::may_pass)
}

/// Did the connection stand, so that the fault may lie in what this ask does to the server?
fn is_about_reply(error: &EndpointError) -> bool {
    matches!(
        error,
        EndpointError::BrokenOff(_)
            | EndpointError::NotJson(_)
            | EndpointError::TimedOut(_)
            | EndpointError::Busy(500)
    )
}

/// The failure of an ask that the server does not answer though it answers others.
pub(crate) fn own(last: &EndpointError, tries: u32) -> ModelError {
    let times = if tries > 1 { format!(" ({tries} times)") } else { String::new() };
    served(format!("{last}{times}"), if last.may_pass() { Retry::May } else { Retry::Never })
}

/// What holds for every ask alike and does not pass by itself.
fn barred(error: &EndpointError) -> Option<ModelError> {
    let advice = match error {
        EndpointError::Refused(status) | EndpointError::RefusedBecause { status, .. } => match status {
            401 | 403 => "name the variable or the file that holds the right key",
            404 | 405 => "check the address, which usually ends in /v1, and the name of the model",
            _ => return None,
        },
        EndpointError::Quota(_) => "go on when there is more",
        EndpointError::Elsewhere(_) => "nothing was sent there",
        _ => return None,
    };
    Some(served(format!("{error}; {advice}"), Retry::Barred))
}
