//! What a scoring profile decides about one item, and the trait every profile implements.

use loupe_core::PictureRecord;
use loupe_core::{Prediction, Sample};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// What became of an item. The five classes are disjoint and together cover every item of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The answer agrees with the reference.
    Correct,
    /// An answer was found and it does not agree.
    Wrong,
    /// There is a reply, but no answer could be read out of it; in the denominator, never credited.
    Unparsed,
    /// There is no reply: missing or broken image, refused prompt. Not in the denominator.
    Failed,
    /// The profile cannot judge such an item (no reference, another kind of target). Not in the
    /// denominator.
    Unscored,
}

impl Verdict {
    /// The word in tables and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Wrong => "wrong",
            Self::Unparsed => "unparsed",
            Self::Failed => "failed",
            Self::Unscored => "unscored",
        }
    }

    /// Is the item part of the denominator?
    pub fn counts(self) -> bool {
        matches!(self, Self::Correct | Self::Wrong | Self::Unparsed)
    }
}

/// A value that an item contributes to the figure `name`; figures are means of such values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Value {
    /// Figure, such as `accuracy` or `open recall`.
    pub name: Cow<'static, str>,
    /// The item's share, usually 0 to 1.
    pub value: f64,
}

/// A profile's decision about one item, with everything needed to see why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What became of it.
    pub verdict: Verdict,
    /// The rule that fired, or the reason why none did.
    pub rule: Cow<'static, str>,
    /// The part of the reply that the rule read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    /// The reference as it was compared.
    pub gold: String,
    /// The answer as it was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What the item adds to each figure; an item that is not in a figure's denominator has no value.
    #[serde(serialize_with = "values_as_map", deserialize_with = "values_from_map")]
    pub values: Vec<Value>,
}

fn values_as_map<S: serde::Serializer>(values: &[Value], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(values.iter().map(|v| (&v.name, v.value)))
}

/// Values in the order of the file, to the last bit; what JSON cannot hold (`null`) is not a number.
fn values_from_map<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Value>, D::Error> {
    struct Values;
    impl<'de> Visitor<'de> for Values {
        type Value = Vec<Value>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("values by figure")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
                all.push(Value { name: name.into(), value: value.unwrap_or(f64::NAN) });
            }
            Ok(all)
        }
    }
    from.deserialize_map(Values)
}

impl Judgement {
    /// A judgement without an answer, a span or values.
    pub fn bare(verdict: Verdict, rule: impl Into<Cow<'static, str>>, gold: impl Into<String>) -> Self {
        Self { verdict, rule: rule.into(), span: None, gold: gold.into(), answer: None, values: Vec::new() }
    }

    /// Adds the item's share of the figure `name`.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: f64) -> Self {
        self.values.push(Value { name: name.into(), value });
        self
    }

    /// The item's share of the figure `name`.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|v| v.name == name).map(|v| v.value)
    }
}

/// An item to judge.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The question and its reference.
    pub sample: &'a Sample,
    /// The reply or failure.
    pub prediction: &'a Prediction,
    /// The pictures as the model was given them; boxes of the reply are in their pixels.
    pub pictures: &'a [PictureRecord],
}

/// A way of scoring: `strict`, or the rules of another harness reproduced with their quirks.
///
/// A profile sees one item at a time and keeps no state, so that no reply can change another row.
pub trait Profile: Send + Sync {
    /// Name on the command line and in files, for example `strict` or `compat:medevalkit@9b12e3b`.
    fn name(&self) -> &str;

    /// One line for `loupe list`: whose rules these are.
    fn about(&self) -> &str;

    /// The decision about one item. Must not panic, whatever the reply holds.
    fn judge(&self, case: &Case<'_>) -> Judgement;

    /// What gathers the figures that the harness prints of a whole set, where they are no plain means of
    /// item values; nothing where it prints none.
    fn gather(&self) -> Option<Box<dyn Gather>> {
        None
    }
}

/// Hears every judged reply once, in dataset order, and ends with figures of the whole set. Keeps as
/// little of each row as that takes.
pub trait Gather: Send {
    /// A reply and what was decided about it.
    fn add(&mut self, sample: &Sample, reply: &str, judgement: &Judgement);

    /// `(name, value)` in the order of printing.
    fn figures(self: Box<Self>) -> Vec<(String, f64)>;
}
