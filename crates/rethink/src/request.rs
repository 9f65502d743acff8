//! What is asked of the loop and what comes back.

use loupe_core::sample::Outcome as SampleOutcome;
use loupe_core::{
    Ask, Choice, Failure, Finding, GenerationLimits, MediaLoader, MediaRef, Picture, PictureRecord,
    Prediction, Record, Reply, Resampler, Sample, Segmenter, Trace, Turn, VisionLanguageModel,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// Who does the work.
pub struct Models<'a> {
    /// The model that answers.
    pub first: &'a mut dyn VisionLanguageModel,
    /// A second one, for strategies that ask for another opinion.
    pub second: Option<&'a mut dyn VisionLanguageModel>,
    /// Outlines objects for the action `segment`.
    pub segmenter: Option<&'a mut dyn Segmenter>,
    /// Enlarges crops.
    pub resampler: &'a dyn Resampler,
    /// Decodes other slices and windows of the request's media.
    pub loader: Option<&'a dyn MediaLoader>,
}

/// Bounds of a whole conversation; the first round is always asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Most rounds; the protocol's own number when not given.
    pub rounds: Option<usize>,
    /// Most generated tokens over all rounds.
    pub new_tokens: Option<usize>,
    /// No round begins after so many seconds.
    pub seconds: Option<f64>,
}

/// One question about pictures.
#[derive(Debug, Clone)]
pub struct Request {
    /// The pictures, at full resolution: zooms are cut from them.
    pub pictures: Vec<Arc<Picture>>,
    /// Where the pictures came from, in the same order, so that other slices and windows can be
    /// had; empty when the pictures are all there is.
    pub media: Vec<MediaRef>,
    /// The question.
    pub question: String,
    /// Options, when there are any.
    pub choices: Vec<Choice>,
    /// The turns of a plain pass, where a recipe words the question; otherwise the pictures, the
    /// question and its options. Protocols and prompting strategies word the question themselves.
    pub turns: Option<Vec<Turn>>,
    /// Bounds of each reply.
    pub limits: GenerationLimits,
    /// Bounds of the conversation.
    pub budget: Budget,
}

impl Request {
    /// A question about pictures with the usual bounds.
    pub fn new(pictures: Vec<Arc<Picture>>, question: impl Into<String>) -> Self {
        Self {
            pictures,
            media: Vec::new(),
            question: question.into(),
            choices: Vec::new(),
            turns: None,
            limits: GenerationLimits::default(),
            budget: Budget::default(),
        }
    }

    /// The question of a dataset's sample, with the prompt that a recipe made of it.
    pub fn of_sample(sample: &Sample, ask: &Ask) -> Self {
        Self {
            pictures: ask.pictures.clone(),
            media: sample.media.clone(),
            question: sample.question.clone(),
            choices: sample.choices.clone(),
            turns: Some(ask.turns.clone()),
            limits: ask.limits.clone(),
            budget: Budget::default(),
        }
    }

    /// The prompt of a plain pass.
    pub(crate) fn plain(&self) -> Ask {
        match &self.turns {
            Some(turns) => {
                Ask { pictures: self.pictures.clone(), turns: turns.clone(), limits: self.limits.clone() }
            }
            None => self.opening(self.with_options()),
        }
    }

    /// The question with its options on lines of their own, as `A. text`.
    pub fn with_options(&self) -> String {
        let lines: String = self.choices.iter().map(|c| format!("\n{}. {}", c.letter, c.text)).collect();
        format!("{}{lines}", self.question)
    }

    /// The pictures first, in order, then `words`.
    pub(crate) fn opening(&self, words: impl Into<String>) -> Ask {
        Ask::pictures_then(self.pictures.clone(), words, self.limits.clone())
    }
}

/// Choices of strategies; each reads what concerns it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The protocol that each pass plays, by name; a plain question when not given.
    #[serde(skip_deserializing)]
    pub protocol: Option<&'static str>,
    /// Passes to vote over.
    pub samples: usize,
    /// Temperature of those passes.
    pub temperature: f64,
    /// Seed of the first pass; later ones count up.
    pub seed: u64,
    /// Most tokens of thought before an answer is forced.
    pub think_tokens: usize,
    /// Times a thought that ends early is made to go on.
    pub go_on: usize,
    /// Rounds of debate between two models.
    pub debate_rounds: usize,
    /// Places of a ranked list.
    pub ranks: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            protocol: None,
            samples: 5,
            temperature: 0.7,
            seed: 0,
            think_tokens: 512,
            go_on: 0,
            debate_rounds: 1,
            ranks: 5,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The last reply with the answer as its text, and counts and seconds of all rounds. Its
    /// findings are on the request's pictures, whatever zoom they were found in; what was found on another
    /// slice or plane is in `findings` alone.
    pub reply: Reply,
    /// What the answer points at; `picture` is a number of the trace.
    pub findings: Vec<Finding>,
    /// Everything that happened.
    pub trace: Trace,
}

impl Outcome {
    /// Puts the reply's findings on the pictures of the request.
    pub(crate) fn on(mut self, pictures: &[Arc<Picture>]) -> Self {
        let records: Vec<PictureRecord> = pictures.iter().map(|p| PictureRecord::of(p)).collect();
        let home = |found: &Finding| {
            let shown = self.trace.pictures.get(found.picture)?;
            let same = records.iter().position(|r| r == shown);
            // The pixels of a mask belong to its own picture.
            if found.as_mask().is_some() {
                return same.map(|picture| Finding { picture, ..found.clone() });
            }
            let at = same.or_else(|| records.iter().position(|r| r.origin.same_view(&shown.origin)))?;
            found.moved_to(at, &records.get(at)?.origin)
        };
        self.reply.findings = self.findings.iter().filter_map(home).collect();
        self
    }

    /// The prediction that a run stores for the sample `id`.
    pub fn prediction(self, id: impl Into<String>) -> Prediction {
        let record = Record::Rounds(Box::new(self.trace));
        Prediction { id: id.into(), outcome: SampleOutcome::Reply(self.reply), record }
    }
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RethinkError {
    /// Nothing has that name.
    #[error("no protocol or strategy is called {name:?}{meant} (`loupe list protocols` names them)")]
    Unknown {
        /// What was asked for.
        name: String,
        /// `; did you mean …?`, or nothing.
        meant: String,
    },
    /// The strategy's passes play no protocol.
    #[error("{strategy} plays no protocol; these do: {known}")]
    PlaysNone {
        /// Strategy by name.
        strategy: &'static str,
        /// Strategies that do.
        known: String,
    },
    /// The request has no picture.
    #[error("a protocol needs at least one picture to act on")]
    NoPicture,
    /// The strategy needs something that was not given.
    #[error("{strategy} needs {what}")]
    Needs {
        /// Strategy by name.
        strategy: String,
        /// What is missing.
        what: &'static str,
    },
    /// No model gave any reply.
    #[error("no reply: {}", failure.reason)]
    NoReply {
        /// Why, and whether trying again can help.
        failure: Failure,
        /// What happened until then.
        trace: Box<Trace>,
    },
}
