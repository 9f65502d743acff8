//! What a dataset holds, what a run predicts, what a metric returns.

use crate::ask::{Counts, Reply, Timing};
use crate::failure::Failure;
use crate::geometry::{Box2, Point2, Source};
use crate::limits::{row_too_long, text_bytes};
use crate::media::MediaRef;
use crate::trace::Record;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An option of a multiple-choice question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The letter the dataset prints before it.
    pub letter: char,
    /// The words.
    pub text: String,
}

/// A region or place with its name, in pixels of the sample's image `picture`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labelled<T> {
    /// Which image of the sample, from 0.
    #[serde(default)]
    pub picture: usize,
    /// What is there.
    pub label: String,
    /// Its place in pixels of the image.
    pub at: T,
    /// Who marked it, where a set has several readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}

/// What a measurement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureUnit {
    /// Millimetres.
    Mm,
    /// Degrees of angle.
    Degrees,
}

impl MeasureUnit {
    /// As it is written behind a number.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mm => "mm",
            Self::Degrees => "degrees",
        }
    }

    /// The unit that sets and people write so; nothing for other units.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.trim().to_lowercase().as_str() {
            "mm" | "millimetre" | "millimetres" | "millimeter" | "millimeters" => Some(Self::Mm),
            "°" | "deg" | "degree" | "degrees" => Some(Self::Degrees),
            _ => None,
        }
    }
}

/// A length or an angle that a question asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What is measured, such as `major axis`.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: MeasureUnit,
}

/// The reference answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// Words; several accepted wordings, the first is the dataset's own.
    Text(Vec<String>),
    /// The letter of one of the sample's choices.
    Choice(char),
    /// The letters of several of the sample's choices: all of them, and no other, are right.
    Choices(Vec<char>),
    /// Boxes in source pixels.
    Boxes(Vec<Labelled<Box2<Source>>>),
    /// Points in source pixels.
    Points(Vec<Labelled<Point2<Source>>>),
    /// How many.
    Count(f64),
    /// Lengths and angles, in the order in which the question asks for them.
    Measurements(Vec<Measurement>),
    /// A free-text report by section name.
    Report(BTreeMap<String, String>),
    /// Mask image files, one a label.
    Masks(Vec<Labelled<MediaRef>>),
    /// No reference answer is known.
    Unknown,
}

impl Target {
    /// The reference as one string for tables and text metrics.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(all) => all.first().map(String::as_str),
            _ => None,
        }
    }

    /// Bytes of its words.
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(all) => text_bytes(all.iter().map(String::as_str)),
            Self::Report(sections) => {
                text_bytes(sections.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()]))
            }
            Self::Boxes(all) => text_bytes(all.iter().map(|one| one.label.as_str())),
            Self::Points(all) => text_bytes(all.iter().map(|one| one.label.as_str())),
            Self::Masks(all) => text_bytes(all.iter().map(|one| one.label.as_str())),
            Self::Measurements(all) => text_bytes(all.iter().map(|one| one.name.as_str())),
            Self::Choice(_) | Self::Choices(_) | Self::Count(_) | Self::Unknown => 0,
        }
    }
}

/// One question of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Identity within the dataset: file and row number or the set's own unique id, never text.
    pub id: String,
    /// Images in order.
    pub media: Vec<MediaRef>,
    /// The question as the dataset has it.
    pub question: String,
    /// Options, when there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// The reference answer.
    pub target: Target,
    /// Samples of one group are not independent (same image, patient or video).
    pub group: String,
    /// Facts for subgroups: `answer_type`, `organ`, `question_type`, `modality` …
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// BCP 47 language of the question.
    pub language: String,
}

impl Sample {
    /// The tag's value, or nothing.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str)
    }

    /// Why its texts cannot be read and judged in reasonable time; nothing where they can ([`row_too_long`]).
    pub fn too_long(&self) -> Option<String> {
        let mut names = vec![("id", self.id.as_str())];
        names.extend(self.media.iter().map(|media| ("image name", media.name.as_str())));
        // Where none is given, it is the image.
        names.push(("group", self.group.as_str()));
        let parts = [
            ("question", self.question.len()),
            ("options", text_bytes(self.choices.iter().map(|choice| choice.text.as_str()))),
            ("reference", self.target.text_bytes()),
            ("tags", text_bytes(self.tags.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]))),
        ];
        row_too_long(&names, &parts)
    }

    /// The same sample under names that say nothing about its files, which often name patients: its images are called by its id and
    /// their number, and it is called by its row (from 0) where its own id holds the name of a file or folder. Tags that hold one go.
    /// Where the images lie stays.
    #[must_use]
    pub fn without_file_names(mut self, row: usize) -> Self {
        let masks: &mut [Labelled<MediaRef>] = match &mut self.target {
            Target::Masks(masks) => masks,
            _ => &mut [],
        };
        let all = || self.media.iter().chain(masks.iter().map(|mask| &mask.at));
        let holds = |text: &str, parts| {
            let mut words = all().flat_map(|media| media.file_words(parts));
            text.contains(['/', '\\']) || words.any(|word| text.contains(&word))
        };
        let named = holds(&self.id, 2);
        // A folder's name is often that of a group by which scores are told apart.
        self.tags.retain(|_, value| !holds(value, 1));
        if named {
            self.id = format!("item {row}");
        }
        let called = |what: &str, n: usize| format!("{} {what} {}", self.id, n + 1);
        self.media.iter_mut().enumerate().for_each(|(n, media)| media.name = called("image", n));
        masks.iter_mut().enumerate().for_each(|(n, mask)| mask.at.name = called("mask", n));
        self
    }
}

/// What a run has to say about a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The sample's id.
    pub id: String,
    /// The reply, or why there is none.
    pub outcome: Outcome,
    /// What happened on the way.
    #[serde(default, rename = "trace", skip_serializing_if = "Record::is_single")]
    pub record: Record,
}

/// A reply or the reason there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly all are replies")]
pub enum Outcome {
    /// The model answered.
    Reply(Reply),
    /// The item failed: missing or broken image, refused prompt.
    Failed(Failure),
}

impl Prediction {
    /// The words of the reply, or `None` when the item failed.
    pub fn text(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Reply(reply) => Some(&reply.text),
            Outcome::Failed(_) => None,
        }
    }

    /// Tokens and seconds of the reply; where the item failed, of all replies that it had on the way, `None` where it had none.
    pub fn spent(&self) -> Option<(Counts, Timing)> {
        let rounds = match &self.outcome {
            Outcome::Reply(reply) => return Some((reply.counts, reply.timing)),
            Outcome::Failed(_) => self.record.rounds()?,
        };
        let replies = rounds.rounds.iter().filter_map(|round| round.reply.as_ref());
        replies.map(|reply| (reply.counts, reply.timing)).reduce(
            |(mut counts, mut timing), (more, longer)| {
                counts += more;
                timing += longer;
                (counts, timing)
            },
        )
    }
}

/// A metric's verdict on one sample. Unscored is a class of its own: not zero, not NaN, not dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// A finite number.
    Value(f64),
    /// Why there is no number.
    Unscored(Cow<'static, str>),
}

impl Score {
    /// The score, unless its number is not one: NaN and infinity would spoil every mean that they enter.
    #[must_use]
    pub fn finite(self) -> Self {
        match self {
            Self::Value(value) if !value.is_finite() => {
                Self::Unscored("the value is not a finite number".into())
            }
            score => score,
        }
    }
}
