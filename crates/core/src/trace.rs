//! What happened between the question and the answer: every prompt, picture, reply and action.
//!
//! A trace holds no pixels. Pictures are kept as where they came from ([`Origin`]) and the SHA-256
//! of their content, so that a replay can prove it shows the same ones.

use crate::ask::{Limits, Reply, Role, Turn};
use crate::geometry::{Box2, Source};
use crate::picture::{Origin, Picture};
use serde::{Deserialize, Serialize};

/// A picture that a model was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// 1 for grey, 3 for RGB.
    pub channels: usize,
    /// SHA-256 of size and pixels ([`Picture::content_key`]), in hexadecimal.
    pub sha256: String,
    /// Where it came from and the way back.
    pub origin: Origin,
}

impl Shown {
    /// The record of `picture`.
    pub fn of(picture: &Picture) -> Self {
        Self {
            size: [picture.width(), picture.height()],
            channels: picture.channels(),
            sha256: picture.content_key().iter().map(|b| format!("{b:02x}")).collect(),
            origin: picture.origin.clone(),
        }
    }
}

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
    /// `mark`, `zoom`, `segment`, `slice` or `window`.
    pub name: String,
    /// What the model asked for, as it was understood.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub arguments: serde_json::Value,
    /// Places looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// Picture of the trace that came out of it.
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
    pub limits: Limits,
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
    pub pictures: Vec<Shown>,
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
        let shown = Shown::of(picture);
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
