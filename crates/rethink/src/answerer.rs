//! A protocol or strategy behind the seam of a run. Conversations about many samples go on at the same time
//! and feed one model, so that their rounds are computed together.

use crate::desk::{Counter, SharedSegmenter, Slip, Taken, serve_desk};
use crate::request::{Budget, Models, Outcome, Request, RethinkError, Settings};
use crate::run::run;
use loupe_core::{
    Answer, AnswerSink, Answerer, AskId, AskSource, Failure, Go, MediaLoader, ModelError, ModelInfo, Next,
    NextWork, Record, Reply, ReplySink, Resampler, Segmenter, VisionLanguageModel, Work, WorkSource,
};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;
use std::time::Duration;

/// Conversations that are held at a time; each keeps its pictures.
const CONVERSATIONS: usize = 64;
/// How long new work may go unnoticed while a conversation is waited for.
const GLANCE: Duration = Duration::from_millis(5);

/// A protocol or strategy with everything it needs beside the model.
pub struct RethinkSetup {
    /// Protocol or strategy by name, or both joined by `+`.
    pub name: String,
    /// Choices of strategies.
    pub settings: Settings,
    /// Bounds of each conversation.
    pub budget: Budget,
    /// The model with the second opinion.
    pub second: Option<Box<dyn VisionLanguageModel>>,
    /// Segments for the action `segment`.
    pub segmenter: Option<Box<dyn Segmenter>>,
}

impl RethinkSetup {
    /// `name` with the usual settings and nobody's help.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            settings: Settings::default(),
            budget: Budget::default(),
            second: None,
            segmenter: None,
        }
    }

    /// Name, settings, bounds and helpers for the record.
    pub fn described(&self) -> Value {
        let mut record = serde_json::json!({
            "name": self.name, "settings": self.settings, "budget": self.budget,
        });
        let helpers = [
            ("second_model", self.second.as_ref().map(|m| m.info())),
            ("segmenter", self.segmenter.as_ref().map(|s| s.info())),
        ];
        for (role, info) in helpers {
            if let (Value::Object(record), Some(info)) = (&mut record, info) {
                record.insert(role.to_owned(), serde_json::to_value(info).unwrap_or(Value::Null));
            }
        }
        record
    }

    /// Holds the conversation about one question.
    ///
    /// # Errors
    /// As [`crate::run`].
    pub fn run(
        &mut self,
        model: &mut dyn VisionLanguageModel,
        loader: &dyn MediaLoader,
        resampler: &dyn Resampler,
        request: Request,
    ) -> Result<Outcome, RethinkError> {
        let models = Models {
            first: model,
            // Reborrowed by hand: the trait objects' own lifetime is longer than this call.
            second: match &mut self.second {
                Some(second) => Some(second.as_mut()),
                None => None,
            },
            segmenter: match &mut self.segmenter {
                Some(segmenter) => Some(segmenter.as_mut()),
                None => None,
            },
            resampler,
            loader: Some(loader),
        };
        converse(&self.name, &self.settings, &self.budget, models, request)
    }
}

fn converse(
    name: &str,
    settings: &Settings,
    budget: &Budget,
    models: Models<'_>,
    mut request: Request,
) -> Result<Outcome, RethinkError> {
    request.budget = budget.clone();
    // Other slices and windows can be had only of images that have them.
    if request.pictures.iter().all(|p| p.origin.slice.is_none() && p.origin.window.is_none()) {
        request.media.clear();
    }
    run(name, models, &request, settings)
}

/// Answers every sample with a protocol or strategy.
pub struct RethinkAnswerer<'a> {
    /// Which, and who helps.
    pub setup: RethinkSetup,
    /// The model that answers.
    pub model: &'a mut dyn VisionLanguageModel,
    /// Decodes other slices and windows.
    pub loader: &'a dyn MediaLoader,
    /// Enlarges crops.
    pub resampler: &'a dyn Resampler,
}

impl Answerer for RethinkAnswerer<'_> {
    fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    fn strategy(&self) -> Value {
        self.setup.described()
    }

    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink) {
        let RethinkSetup { name, settings, budget, second, segmenter } = &mut self.setup;
        let first = self.model.info().clone();
        let second_info = second.as_ref().map(|m| m.info().clone());
        let segmenter_info = segmenter.as_ref().map(|s| s.info().clone());
        // Owned for the while, because a lock around a borrowed trait object ties every thread's lifetime to it.
        let shared = segmenter.take().map(Mutex::new);
        std::thread::scope(|scope| {
            let (events, heard) = channel();
            let (to_second, slips) = channel();
            if let Some(second) = second {
                scope.spawn(move || serve_desk(second.as_mut(), slips));
            }
            let helpers = Helpers {
                name,
                settings,
                budget,
                first: &first,
                second: second_info.as_ref().map(|info| (info, to_second)),
                segmenter: segmenter_info.as_ref().zip(shared.as_ref()),
                loader: self.loader,
                resampler: self.resampler,
            };
            let floor = Floor {
                work,
                answers,
                helpers,
                scope,
                events,
                heard,
                open: 0,
                more: true,
                taken: Taken::default(),
                work_of: HashMap::new(),
            };
            let floor = RefCell::new(floor);
            self.model.serve(&mut Rounds(&floor), &mut Replies(&floor));
            floor.borrow_mut().close();
        });
        *segmenter = shared.map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What every conversation is given.
struct Helpers<'s> {
    name: &'s str,
    settings: &'s Settings,
    budget: &'s Budget,
    first: &'s ModelInfo,
    second: Option<(&'s ModelInfo, Sender<Slip>)>,
    segmenter: Option<(&'s ModelInfo, &'s Mutex<Box<dyn Segmenter>>)>,
    loader: &'s dyn MediaLoader,
    resampler: &'s dyn Resampler,
}

/// What a conversation says to the one who holds the model.
enum Event {
    /// The conversation about this work asks something.
    Asks(u64, Slip),
    /// It has ended.
    Ends(u64, Answer),
}

/// All conversations that are open, and the work that waits for one.
struct Floor<'scope, 'env, 's> {
    work: &'s mut dyn WorkSource,
    answers: &'s mut dyn AnswerSink,
    helpers: Helpers<'scope>,
    scope: &'scope Scope<'scope, 'env>,
    events: Sender<Event>,
    heard: Receiver<Event>,
    open: usize,
    /// May there be more work?
    more: bool,
    taken: Taken,
    /// The work that an ask of the model belongs to.
    work_of: HashMap<AskId, u64>,
}

impl<'scope> Floor<'scope, '_, '_> {
    fn hear(&mut self, event: Event) -> Option<Next> {
        match event {
            Event::Asks(work, slip) => {
                let next = self.taken.take(slip);
                if let Next::Ask(id, _) = &next {
                    self.work_of.insert(*id, work);
                }
                Some(next)
            }
            Event::Ends(work, answer) => {
                self.open -= 1;
                self.answers.done(work, answer);
                None
            }
        }
    }

    fn next(&mut self, idle: bool) -> Next {
        loop {
            if let Ok(event) = self.heard.try_recv() {
                match self.hear(event) {
                    Some(next) => return next,
                    None => continue,
                }
            }
            if self.more && self.open < CONVERSATIONS {
                match self.work.next(idle && self.open == 0) {
                    NextWork::Work(number, work) => {
                        self.begin(number, work);
                        continue;
                    }
                    NextWork::NotYet => {}
                    NextWork::NoMore => self.more = false,
                }
            }
            if self.open == 0 && !self.more {
                return Next::NoMore;
            }
            if !idle {
                return Next::NotYet;
            }
            match self.heard.recv_timeout(GLANCE) {
                Ok(event) => {
                    if let Some(next) = self.hear(event) {
                        return next;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Opens the conversation about `work` on a thread of its own.
    fn begin(&mut self, number: u64, work: Box<Work>) {
        self.open += 1;
        let (events, ask) = (self.events.clone(), self.events.clone());
        let Helpers { name, settings, budget, first, segmenter, loader, resampler, .. } = self.helpers;
        let second = self.helpers.second.as_ref().map(|(info, to)| ((*info).clone(), to.clone()));
        let first = first.clone();
        let talk = move || {
            let mut first = Counter::new(first, move |slip| ask.send(Event::Asks(number, slip)).is_ok());
            let mut second = second.map(|(info, to)| Counter::new(info, move |slip| to.send(slip).is_ok()));
            let mut segmenter = segmenter.map(|(info, shared)| SharedSegmenter::new(info.clone(), shared));
            let models = Models {
                first: &mut first,
                second: second.as_mut().map(|m| m as &mut dyn VisionLanguageModel),
                segmenter: segmenter.as_mut().map(|s| s as &mut dyn Segmenter),
                resampler,
                loader: Some(loader),
            };
            answered(converse(name, settings, budget, models, Request::of_sample(&work.sample, &work.ask)))
        };
        self.scope.spawn(move || {
            let lost = || Answer::single(Err(Failure::lasting("the conversation failed unexpectedly")));
            let answer = catch_unwind(AssertUnwindSafe(talk)).unwrap_or_else(|_| lost());
            let _ = events.send(Event::Ends(number, answer));
        });
    }

    /// Hears what is left when the model takes no more asks.
    fn close(&mut self) {
        while self.open > 0 {
            let Ok(event) = self.heard.recv() else { return };
            if let Some(Next::Ask(id, _)) = self.hear(event) {
                let reason = "the model ended before it had answered";
                self.taken.give_back(id, Err(ModelError::Compute(reason.into())));
            }
        }
    }
}

fn answered(outcome: Result<Outcome, RethinkError>) -> Answer {
    let rounds = |trace| Record::Rounds(Box::new(trace));
    match outcome {
        Ok(outcome) => Answer { record: rounds(outcome.trace), outcome: Ok(outcome.reply) },
        Err(RethinkError::NoReply { failure, trace }) => {
            Answer { outcome: Err(failure), record: rounds(*trace) }
        }
        Err(error) => Answer::single(Err(Failure::lasting(error.to_string()))),
    }
}

struct Rounds<'a, 'scope, 'env, 's>(&'a RefCell<Floor<'scope, 'env, 's>>);

impl AskSource for Rounds<'_, '_, '_, '_> {
    fn next(&mut self, idle: bool) -> Next {
        self.0.borrow_mut().next(idle)
    }
}

struct Replies<'a, 'scope, 'env, 's>(&'a RefCell<Floor<'scope, 'env, 's>>);

impl ReplySink for Replies<'_, '_, '_, '_> {
    fn piece(&mut self, id: AskId, _: &str) -> Go {
        let floor = &mut *self.0.borrow_mut();
        floor.work_of.get(&id).map_or(Go::On, |work| floor.answers.wanted(*work))
    }

    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        let floor = &mut *self.0.borrow_mut();
        floor.work_of.remove(&id);
        floor.taken.give_back(id, reply);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
    use super::*;
    use loupe_core::{Ask, GenerationLimits, MediaError, MediaRef, Picture, ResampleError, Sample, Target};
    use std::sync::Arc;

    /// Takes all that lies on the desk before it answers, and says how much that was.
    struct Patient {
        info: ModelInfo,
        together: usize,
        fails_on: &'static str,
    }

    impl VisionLanguageModel for Patient {
        fn info(&self) -> &ModelInfo {
            &self.info
        }

        fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
            loop {
                let mut batch = match asks.next(true) {
                    Next::Ask(id, ask) => vec![(id, ask)],
                    Next::NotYet => panic!("an idle model is never told to wait"),
                    Next::NoMore => return,
                };
                std::thread::sleep(Duration::from_millis(30));
                while let Next::Ask(id, ask) = asks.next(false) {
                    batch.push((id, ask));
                }
                self.together = self.together.max(batch.len());
                for (id, ask) in batch {
                    let words = format!("{:?}", ask.turns);
                    let reply = match words.contains(self.fails_on) {
                        true => Err(ModelError::Compute("no memory".into())),
                        false => Ok(Reply::from_text(format!(
                            "{} characters in round {}",
                            words.len(),
                            ask.turns.len()
                        ))),
                    };
                    replies.done(id, reply);
                }
            }
        }
    }

    struct Nothing;

    impl MediaLoader for Nothing {
        fn load(&self, _: &MediaRef) -> Result<Picture, MediaError> {
            Err(MediaError::NotFound)
        }
    }

    impl Resampler for Nothing {
        fn resize(&self, p: &Picture, _: usize, _: usize, _: &str) -> Result<Picture, ResampleError> {
            Ok(p.clone())
        }

        fn through_jpeg(&self, p: &Picture, _: u8) -> Result<Picture, ResampleError> {
            Ok(p.clone())
        }
    }

    /// Questions 1 to `n`, all at once or one at a time.
    struct Questions {
        next: u64,
        n: u64,
        alone: bool,
    }

    impl WorkSource for Questions {
        fn next(&mut self, idle: bool) -> NextWork {
            if self.next == self.n {
                return NextWork::NoMore;
            }
            if self.alone && !idle {
                return NextWork::NotYet;
            }
            self.next += 1;
            let question = format!("question {}?", self.next);
            let picture = Arc::new(Picture::new(2, 2, 1, vec![0u8; 4]).unwrap());
            let sample = Sample {
                id: self.next.to_string(),
                media: Vec::new(),
                question: question.clone(),
                choices: Vec::new(),
                target: Target::Unknown,
                group: String::new(),
                tags: Default::default(),
                language: "en".into(),
            };
            let ask = Ask::pictures_then(vec![picture], question, GenerationLimits::default());
            NextWork::Work(self.next, Box::new(Work { sample, ask }))
        }
    }

    #[derive(Default)]
    struct Kept(HashMap<u64, Answer>);

    impl AnswerSink for Kept {
        fn done(&mut self, id: u64, answer: Answer) {
            assert!(self.0.insert(id, answer).is_none(), "each is answered once");
        }
    }

    fn answers(name: &str, n: u64, alone: bool, fails_on: &'static str) -> (usize, HashMap<u64, Answer>) {
        let info = ModelInfo::scripted("patient", "patient", "none");
        let mut model = Patient { info, together: 0, fails_on };
        let mut setup = RethinkSetup::plain(name);
        setup.second = Some(Box::new(Patient {
            info: ModelInfo::scripted("patient", "second", "none"),
            together: 0,
            fails_on: "nothing at all",
        }));
        let mut kept = Kept::default();
        let mut answerer =
            RethinkAnswerer { setup, model: &mut model, loader: &Nothing, resampler: &Nothing };
        answerer.serve(&mut Questions { next: 0, n, alone }, &mut kept);
        (model.together, kept.0)
    }

    #[test]
    fn conversations_are_computed_together_and_end_as_they_do_alone() {
        for name in ["chain-of-thought", "second-opinion", "plan-and-solve"] {
            let (together, company) = answers(name, 12, false, "nothing at all");
            assert!(together > 1, "{name}: {together} at a time");
            let (one, alone) = answers(name, 12, true, "nothing at all");
            assert!(one >= 1);
            for id in 1..=12 {
                let text = |all: &HashMap<u64, Answer>| all[&id].outcome.as_ref().unwrap().text.clone();
                assert_eq!(text(&company), text(&alone), "{name} {id}");
                assert_eq!(
                    company[&id].record.rounds().unwrap().rounds.len(),
                    alone[&id].record.rounds().unwrap().rounds.len()
                );
            }
        }
    }

    #[test]
    fn a_conversation_that_fails_fails_alone_and_says_whether_it_may_pass() {
        let (_, all) = answers("chain-of-thought", 5, false, "question 3?");
        let failure = all[&3].outcome.as_ref().unwrap_err();
        assert_eq!(failure.retry, loupe_core::Retry::May);
        assert!([1, 2, 4, 5].iter().all(|id| all[id].outcome.is_ok()));
    }
}
