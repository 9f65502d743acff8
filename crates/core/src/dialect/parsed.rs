//! What is read out of a reply, in the model's own units.

use super::units::Spoken;
use crate::geometry::{Box2, Point2};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which axis comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// x1, y1, x2, y2 and x, y.
    Xy,
    /// y1, x1, y2, x2 and y, x.
    Yx,
}

/// What had to be mended to read a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Repair {
    /// Words before or after the part that matters.
    Prose,
    /// A code fence where the dialect has none.
    Fence,
    /// A bracket, brace or tag that was never closed was closed where the next one needs it.
    Closed,
    /// A closing bracket without an opening one was left out.
    StrayBracket,
    /// The reply ends in the middle; what was complete is kept.
    Truncated,
    /// A comma too many.
    ExtraComma,
    /// A comma too few.
    MissingComma,
    /// Single quotes.
    SingleQuotes,
    /// Keys or words without quotes.
    Unquoted,
    /// Round instead of square brackets.
    Parentheses,
    /// Characters that belong nowhere were left out.
    Junk,
    /// A value stands where a key was due.
    MissingKey,
    /// A number written as text.
    NumberAsText,
    /// A neighbouring key was used, such as `count` for `counts`.
    OtherKey,
    /// The objects sit deeper than the dialect puts them.
    Nested,
    /// Several values stand side by side instead of in one list.
    SeveralValues,
    /// One box or point without the list around it, or the other way round.
    ListDepth,
    /// The four numbers without an object around them.
    BareList,
    /// A box as two corner pairs.
    CornerPairs,
    /// Corners in the wrong order were put in order.
    SwappedCorners,
    /// The label stood among the coordinates.
    LabelInList,
    /// Some items have a label and this one does not.
    LabelMissing,
    /// The marks around the numbers are missing (special tokens already removed).
    MarksMissing,
    /// More numbers than wanted; the last ones were taken.
    LastNumbers,
}

impl Repair {
    /// Name as it is written to files.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Something that looked like an answer and could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing in the reply is in the dialect.
    #[error("the reply has no box, point or count in the dialect {dialect}")]
    Nothing {
        /// Name of the dialect.
        dialect: String,
    },
    /// A wrong number of coordinates.
    #[error("{what} needs {need} numbers, got {got}")]
    Length {
        /// `a box` or `a point`.
        what: String,
        /// Numbers needed.
        need: usize,
        /// Numbers found.
        got: usize,
    },
    /// A coordinate or count is not a finite number.
    #[error("{what} is not a number")]
    NotANumber {
        /// Which value.
        what: String,
    },
    /// Location tokens that are the corners of a polygon.
    #[error("the corners of a polygon are no box")]
    Polygon,
    /// A box without area.
    #[error("the box encloses no area")]
    NoArea,
    /// A bin or count outside its range.
    #[error("{what} is outside its range")]
    Range {
        /// Which value.
        what: String,
    },
    /// Brackets nested deeper than anything meant seriously.
    #[error("brackets are nested more than {limit} deep")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// The reply names a picture that does not exist.
    #[error("the reply names picture {index}, but there are {count}")]
    NoSuchPicture {
        /// Picture named, from 0.
        index: usize,
        /// Pictures there are.
        count: usize,
    },
}

/// A box as the model wrote it: its own units, axes in x, y order, corners in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpokenBox {
    /// Its corners, in the units of the dialect.
    #[serde(rename = "box")]
    pub region: Box2<Spoken>,
    /// What the model calls it.
    pub label: Option<String>,
    /// Confidence, when the model gives one.
    pub score: Option<f64>,
    /// Picture that the model names, from 0; `None` when the dialect has no way to say.
    pub picture: Option<usize>,
}

/// A point as the model wrote it: its own units, x then y.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpokenPoint {
    /// Its position, in the units of the dialect.
    pub point: Point2<Spoken>,
    /// What the model calls it.
    pub label: Option<String>,
    /// Picture that the model names, from 0; `None` when the dialect has no way to say.
    pub picture: Option<usize>,
}

/// How many there are, in the model's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpokenCount {
    /// How many; at least 0.
    pub count: f64,
    /// Of what.
    pub label: Option<String>,
}

/// What was read out of a reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parsed {
    /// Boxes in the order of the reply.
    pub boxes: Vec<SpokenBox>,
    /// Points in the order of the reply.
    pub points: Vec<SpokenPoint>,
    /// Counts in the order of the reply.
    pub counts: Vec<SpokenCount>,
    /// The reply says in the dialect that there is nothing (an empty list).
    pub said_none: bool,
    /// What had to be mended, each kind once, in the order it was met.
    pub repairs: Vec<Repair>,
    /// What could not be used.
    pub refused: Vec<Refusal>,
}

/// How well a reply could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readability {
    /// In the dialect as it stands.
    Read,
    /// After repairs.
    Repaired,
    /// Some of it: at least one item was refused.
    Partly,
    /// Nothing in it could be used.
    Refused,
}

impl Parsed {
    pub(super) fn repair(&mut self, repair: Repair) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    /// Is there anything to use?
    pub fn is_answer(&self) -> bool {
        self.said_none || !(self.boxes.is_empty() && self.points.is_empty() && self.counts.is_empty())
    }

    /// How well the reply could be read.
    pub fn readability(&self) -> Readability {
        match (self.is_answer(), self.refused.is_empty(), self.repairs.is_empty()) {
            (false, _, _) => Readability::Refused,
            (true, false, _) => Readability::Partly,
            (true, true, false) => Readability::Repaired,
            (true, true, true) => Readability::Read,
        }
    }

    /// Takes a box from four numbers in the dialect's axis order.
    pub(super) fn push_box(
        &mut self,
        order: Order,
        n: [f64; 4],
        label: Option<&str>,
    ) -> Option<&mut SpokenBox> {
        let [a, b, c, d] = n;
        let raw = match order {
            Order::Xy => Box2::new(a, b, c, d),
            Order::Yx => Box2::new(b, a, d, c),
        };
        if !raw.xyxy().iter().all(|v| v.is_finite()) {
            self.refused.push(Refusal::NotANumber { what: "a coordinate".into() });
            return None;
        }
        let region = raw.ordered();
        if !region.is_proper() {
            self.refused.push(Refusal::NoArea);
            return None;
        }
        if region != raw {
            self.repair(Repair::SwappedCorners);
        }
        self.boxes.push(SpokenBox { region, label: label.map(str::to_owned), score: None, picture: None });
        self.boxes.last_mut()
    }

    /// Takes a point from two numbers in the dialect's axis order.
    pub(super) fn push_point(
        &mut self,
        order: Order,
        [a, b]: [f64; 2],
        label: Option<&str>,
    ) -> Option<&mut SpokenPoint> {
        if !(a.is_finite() && b.is_finite()) {
            self.refused.push(Refusal::NotANumber { what: "a coordinate".into() });
            return None;
        }
        let point = if order == Order::Xy { Point2::new(a, b) } else { Point2::new(b, a) };
        self.points.push(SpokenPoint { point, label: label.map(str::to_owned), picture: None });
        self.points.last_mut()
    }
}

/// How numbers are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberStyle {
    pub(super) order: Order,
    pub(super) decimals: usize,
}

impl NumberStyle {
    /// The four numbers of a box in the axis order, as text.
    pub(super) fn box_numbers(&self, b: &SpokenBox) -> [String; 4] {
        let [x0, y0, x1, y1] = b.region.xyxy();
        let in_order = if self.order == Order::Xy { [x0, y0, x1, y1] } else { [y0, x0, y1, x1] };
        in_order.map(|v| self.number(v))
    }

    pub(super) fn number(&self, value: f64) -> String {
        let text = format!("{value:.*}", self.decimals);
        if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
            return text.trim_start_matches('-').to_owned();
        }
        text
    }
}
