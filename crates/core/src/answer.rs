//! Who answers the samples of a run: a model directly, a model that looks again, a segmenter.

use crate::ask::{Ask, Reply};
use crate::failure::Failure;
use crate::model::{AskId, AskSource, Go, ModelError, ModelInfo, Next, ReplySink, VisionLanguageModel};
use crate::sample::Sample;
use crate::trace::Record;

/// One prompt to answer.
#[derive(Debug, Clone)]
pub struct Work {
    /// The sample it comes from; a strategy must not look at `target`.
    pub sample: Sample,
    /// The prompt as the template makes it, with decoded pictures.
    pub ask: Ask,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The reply, or why there is none.
    pub outcome: Result<Reply, Failure>,
    /// What happened on the way.
    pub record: Record,
}

impl Answer {
    /// An answer of a single pass.
    pub fn single(outcome: Result<Reply, Failure>) -> Self {
        Self { outcome, record: Record::Single }
    }
}

/// What a source of work has for an answerer that has room.
#[derive(Debug)]
pub enum NextWork {
    /// A prompt to answer; its number is given back with the answer.
    Work(u64, Box<Work>),
    /// Nothing at the moment. Never said to an answerer that is idle.
    NotYet,
    /// There will be no more.
    NoMore,
}

/// Where an answerer's work comes from; as [`AskSource`].
pub trait WorkSource {
    /// The next prompt. When `idle`, the call may wait for it.
    fn next(&mut self, idle: bool) -> NextWork;
}

/// Receives answers as they are done.
pub trait AnswerSink {
    /// Is the rest of the answer to this prompt wanted?
    fn wanted(&mut self, _id: u64) -> Go {
        Go::On
    }

    /// The prompt is answered or has failed; called once for each.
    fn done(&mut self, id: u64, answer: Answer);
}

/// Answers prompts: a model directly ([`Direct`]), a strategy over it, a segmenter. Stateless: the answer to
/// a prompt does not depend on other ones.
pub trait Answerer {
    /// The model behind it.
    fn model(&self) -> &ModelInfo;

    /// Name and settings of the strategy for run.json; `null` for a single pass.
    fn strategy(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Answers everything that `work` has, in whatever order it is done.
    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink);
}

/// Serves with a function of one prompt: for answerers that take one at a time.
pub fn one_by_one(
    work: &mut dyn WorkSource,
    answers: &mut dyn AnswerSink,
    mut answer: impl FnMut(&Work) -> Answer,
) {
    loop {
        match work.next(true) {
            NextWork::Work(id, one) => {
                let answer = match answers.wanted(id) {
                    Go::On => answer(&one),
                    Go::Stop => Answer::single(Err(ModelError::Cancelled.into())),
                };
                answers.done(id, answer);
            }
            NextWork::NotYet => {}
            NextWork::NoMore => return,
        }
    }
}

/// A single pass through the model.
pub struct Direct<'a>(pub &'a mut dyn VisionLanguageModel);

impl Answerer for Direct<'_> {
    fn model(&self) -> &ModelInfo {
        self.0.info()
    }

    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink) {
        self.0.serve(&mut Asks(work), &mut Replies(answers));
    }
}

struct Asks<'a>(&'a mut dyn WorkSource);

impl AskSource for Asks<'_> {
    fn next(&mut self, idle: bool) -> Next {
        match self.0.next(idle) {
            NextWork::Work(id, work) => Next::Ask(AskId(id), work.ask),
            NextWork::NotYet => Next::NotYet,
            NextWork::NoMore => Next::NoMore,
        }
    }
}

struct Replies<'a>(&'a mut dyn AnswerSink);

impl ReplySink for Replies<'_> {
    fn piece(&mut self, id: AskId, _: &str) -> Go {
        self.0.wanted(id.0)
    }

    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        self.0.done(id.0, Answer::single(reply.map_err(Failure::from)));
    }
}
