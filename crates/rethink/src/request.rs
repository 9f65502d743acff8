//! What is asked of the loop and what comes back.

use loupe_core::PictureRecord;
use loupe_core::ask::{FoundBox, FoundPoint};
use loupe_core::sample::Outcome as SampleOutcome;
use loupe_core::{
    Ask, Box2, Choice, GenerationLimits, MediaLoader, MediaRef, Picture, Point2, Prediction, Reply,
    Resampler, Sample, Segmenter, Source, Trace, Turn, VisionLanguageModel,
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

/// A box of the answer on its source image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundRegion {
    /// Picture of the trace that the model spoke about.
    pub picture: usize,
    /// In pixels of that picture's source.
    #[serde(rename = "box")]
    pub region: Box2<Source>,
    /// The model's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Confidence, when the model gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The corners upper left, upper right, lower right, lower left in patient millimetres (LPS),
    /// when the source says where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corners_lps_mm: Option<[[f64; 3]; 4]>,
}

impl FoundRegion {
    /// `found` on the source of `picture`, which is number `number` of the trace.
    pub(crate) fn of(found: &FoundBox, picture: &Picture, number: usize) -> Self {
        let region = picture.origin.source_from_self.boxed(found.region);
        let corners =
            [(region.x0, region.y0), (region.x1, region.y0), (region.x1, region.y1), (region.x0, region.y1)];
        Self {
            picture: number,
            region,
            label: found.label.clone(),
            score: found.score,
            corners_lps_mm: picture
                .origin
                .lps_from_source
                .map(|lps| corners.map(|(x, y)| lps.apply(loupe_core::Point2::new(x, y)))),
        }
    }
}

/// A point of the answer on its source image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundSpot {
    /// Picture of the trace that the model spoke about.
    pub picture: usize,
    /// In pixels of that picture's source.
    pub point: Point2<Source>,
    /// The model's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// In patient millimetres (LPS), when the source says where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lps_mm: Option<[f64; 3]>,
}

impl FoundSpot {
    /// `found` on the source of `picture`, which is number `number` of the trace.
    pub(crate) fn of(found: &FoundPoint, picture: &Picture, number: usize) -> Self {
        Self {
            picture: number,
            point: picture.origin.source_from_self.point(found.point),
            label: found.label.clone(),
            lps_mm: picture.origin.lps_of(found.point),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The last reply with the answer as its text, and counts and seconds of all rounds. Its boxes
    /// and points are on the request's pictures, whatever zoom they were found in; what was found on
    /// another slice or plane is in `boxes` and `points` alone.
    pub reply: Reply,
    /// Boxes of the answer on their source images.
    pub boxes: Vec<FoundRegion>,
    /// Points of the answer on their source images.
    pub points: Vec<FoundSpot>,
    /// Everything that happened.
    pub trace: Trace,
}

impl Outcome {
    /// Puts the reply's boxes and points on the pictures of the request.
    pub(crate) fn on(mut self, pictures: &[Arc<Picture>]) -> Self {
        let home = |number: usize| {
            let shown = self.trace.pictures.get(number)?;
            let same = pictures.iter().position(|p| PictureRecord::of(p) == *shown);
            let at = same.or_else(|| pictures.iter().position(|p| p.origin.same_view(&shown.origin)))?;
            Some((at, pictures.get(at)?.origin.source_from_self.inverse()?))
        };
        let boxes = self.boxes.iter().filter_map(|b| {
            let (picture, back) = home(b.picture)?;
            Some(FoundBox { picture, region: back.boxed(b.region), label: b.label.clone(), score: b.score })
        });
        let points = self.points.iter().filter_map(|p| {
            let (picture, back) = home(p.picture)?;
            Some(FoundPoint { picture, point: back.point(p.point), label: p.label.clone() })
        });
        (self.reply.boxes, self.reply.points) = (boxes.collect(), points.collect());
        self
    }

    /// The prediction that a run stores for the sample `id`.
    ///
    /// # Errors
    /// When the trace cannot be written as JSON (numbers that are not finite).
    pub fn prediction(self, id: impl Into<String>) -> Result<Prediction, serde_json::Error> {
        let trace = serde_json::to_value(&self.trace)?;
        Ok(Prediction { id: id.into(), outcome: SampleOutcome::Reply(self.reply), trace })
    }
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RethinkError {
    /// Nothing has that name.
    #[error("no protocol or strategy is called {name:?}; known: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names there are.
        known: String,
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
    #[error("no reply: {reason}")]
    NoReply {
        /// In words.
        reason: String,
        /// What happened until then.
        trace: Box<Trace>,
    },
}

impl RethinkError {
    pub(crate) fn plays_none(strategy: &'static str) -> Self {
        let known: Vec<&str> = crate::STRATEGIES.iter().filter(|s| s.composes).map(|s| s.name).collect();
        Self::PlaysNone { strategy, known: known.join(", ") }
    }

    pub(crate) fn unknown(name: &str) -> Self {
        let protocols = crate::PROTOCOLS.iter().map(|p| p.name);
        let known: Vec<&str> = protocols.chain(crate::STRATEGIES.iter().map(|s| s.name)).collect();
        Self::Unknown { name: name.to_owned(), known: known.join(", ") }
    }
}
