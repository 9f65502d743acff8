//! What happened between the question and the answer: every prompt, picture, reply and action.
//!
//! A trace holds no pixels. Pictures are kept as their records ([`PictureRecord`]).

use crate::ask::{GenerationLimits, Reply, Role, Turn};
use crate::finding::{Finding, FormerMask};
use crate::geometry::{Box2, Source};
use crate::picture::{Picture, PictureRecord};
use serde::{Deserialize, Serialize};

/// A place that an action looked at, in pixels of the source image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Picture of the trace that the model meant.
    pub picture: usize,
    /// Where, in pixels of that picture's source.
    #[serde(rename = "box")]
    pub region: Box2<Source>,
}

/// What the model did instead of answering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// `mark`, `zoom`, `segment`, `click`, `slice` or `window`.
    pub name: String,
    /// What the model asked for, as it was understood.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub arguments: serde_json::Value,
    /// Places looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// Picture of the trace that came out of it; the first, where the model asked for several at once (the next round
    /// shows all).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<usize>,
}

/// One prompt and its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// What the round is for: `look`, `answer`, `vote`, `plan` …
    pub purpose: String,
    /// Name of the model asked.
    pub model: String,
    /// The round whose prompt and reply this one continues, word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<usize>,
    /// Turns that are new in this round.
    pub turns: Vec<Turn>,
    /// The pictures of the ask, as numbers of [`Trace::pictures`]; turns count along this list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<usize>,
    /// Bounds of the generation.
    pub limits: GenerationLimits,
    /// What the model said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// The model's words as later rounds repeat them, where they are not the reply's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// What the model did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Why the action or the model failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why there were no more rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The model gave its answer.
    Answered,
    /// No round was left; the answer is the best so far.
    Rounds(usize),
    /// No token was left; the answer is the best so far.
    Tokens(usize),
    /// No time was left; the answer is the best so far.
    Seconds(f64),
    /// The protocol ends here without an answer in its form.
    Stopped(String),
    /// The model could not answer.
    Failed(String),
}

/// Everything that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Protocol or strategy, by name.
    pub by: String,
    /// Every picture shown, once each.
    pub pictures: Vec<PictureRecord>,
    /// Every prompt and reply, in order.
    pub rounds: Vec<Round>,
    /// Why it ended.
    pub ended: Ended,
    /// What the rounds led to beside the answer: votes, ranks, agreement.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub summary: serde_json::Value,
}

impl Trace {
    /// A trace without rounds.
    pub fn new(by: impl Into<String>) -> Self {
        Self {
            by: by.into(),
            pictures: Vec::new(),
            rounds: Vec::new(),
            ended: Ended::Stopped("nothing was asked".into()),
            summary: serde_json::Value::Null,
        }
    }

    /// The number of `picture` in the trace, entered when it is new (same pixels and origin: same
    /// number).
    pub fn enter(&mut self, picture: &Picture) -> usize {
        let shown = PictureRecord::of(picture);
        self.pictures.iter().position(|p| *p == shown).unwrap_or_else(|| {
            self.pictures.push(shown);
            self.pictures.len() - 1
        })
    }

    /// All turns of round `n`'s prompt, earlier rounds first; `None` for a number that does not exist.
    pub fn turns_of(&self, n: usize) -> Option<Vec<Turn>> {
        let mut chain = vec![n];
        while let Some(earlier) = self.rounds.get(*chain.last()?)?.follows {
            if earlier >= *chain.last()? {
                return None; // a round can only follow an earlier one
            }
            chain.push(earlier);
        }
        let mut turns = Vec::new();
        for &at in chain.iter().rev() {
            let round = self.rounds.get(at)?;
            turns.extend(round.turns.iter().cloned());
            if at != n {
                turns.push(Turn::text(Role::Assistant, round.words()));
            }
        }
        Some(turns)
    }

    /// Places looked at over all rounds, in order.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.rounds.iter().filter_map(|r| r.action.as_ref()).flat_map(|a| &a.regions)
    }
}

impl Round {
    /// The model's words as the conversation goes on with them.
    pub fn words(&self) -> &str {
        self.said.as_deref().or(self.reply.as_ref().map(|r| r.text.as_str())).unwrap_or_default()
    }
}

/// What a run over masks keeps beside the reply, so that it can be scored from its folder alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskTrace {
    /// What made the masks, for readers: `segment`.
    pub by: String,
    /// The prompts given, in words, one a mask of the reply.
    #[serde(alias = "hints")]
    pub prompts: Vec<String>,
    /// The reference.
    #[serde(deserialize_with = "masks")]
    pub reference: Vec<Finding>,
    /// Steps along the axes of the grid in mm, slowest first (slice, row, column, or row, column);
    /// none when the image is not calibrated.
    pub spacing_mm: Option<Vec<f64>>,
}

/// Masks as they are written now or as the first layout of run folders had them.
fn masks<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Finding>, D::Error> {
    let all: Vec<FormerMask> = Vec::deserialize(from)?;
    Ok(all.into_iter().map(Finding::from).collect())
}

/// What happened between the question and the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    /// Rounds of a protocol or strategy.
    Rounds(Box<Trace>),
    /// Masks from simulated prompts.
    Masks(Box<MaskTrace>),
    /// A single pass.
    #[default]
    Single,
}

impl Record {
    /// Is there nothing beside the reply?
    pub fn is_single(&self) -> bool {
        *self == Self::Single
    }

    /// The rounds, when there are any.
    pub fn rounds(&self) -> Option<&Trace> {
        if let Self::Rounds(trace) = self { Some(trace) } else { None }
    }

    /// The masks, when there are any.
    pub fn masks(&self) -> Option<&MaskTrace> {
        if let Self::Masks(trace) = self { Some(trace) } else { None }
    }
}
