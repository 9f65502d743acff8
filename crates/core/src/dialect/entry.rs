//! A dialect: its syntax, units and order, and the way between replies and pictures.

use super::loc_tokens::LocShape;
use super::objects::Keys;
use super::parsed::{NumberStyle, Order, Parsed, Refusal, Repair, SpokenBox, SpokenPoint};
use super::units::{PictureSizes, Units};
use super::{box_tags, box_tokens, loc_tokens, numbers, objects};
use crate::finding::{Finding, Place};
use crate::picture::{Origin, Picture, PictureError};
use crate::reasoning::without_reasoning;
use std::sync::Arc;

/// A way of writing boxes and points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dialect {
    /// Name as in `loupe list dialects` and in [`crate::ModelInfo::box_dialect`].
    pub name: &'static str,
    /// Who writes like this and what it looks like.
    pub about: &'static str,
    /// Which characters surround the numbers.
    pub syntax: Syntax,
    /// What the numbers measure.
    pub units: Units,
    /// Which axis comes first.
    pub order: Order,
    /// Decimals that [`Dialect::write`] rounds to.
    pub decimals: usize,
    /// How models of this dialect are asked where something is, with `{phrase}` for what; `None` where
    /// the dialect is only ever an answer to a protocol's own prompt.
    pub ask: Option<&'static str>,
}

/// Which characters surround the numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Syntax {
    /// JSON objects, bare or fenced, under these keys.
    Json(Keys),
    /// `<|object_ref_start|>label<|object_ref_end|><|box_start|>(x1,y1),(x2,y2)<|box_end|>`.
    BoxTokens,
    /// `<ref>label</ref><box>[[x1, y1, x2, y2]]</box>`.
    BoxTags,
    /// Location tokens, four a box.
    LocTokens(LocShape),
    /// Four numbers with commas between them and nothing else.
    Numbers,
}

/// A picture that a reply speaks about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpokenPicture<'a> {
    /// Its size as given and as the model saw it.
    pub sizes: PictureSizes,
    /// Where it came from.
    pub origin: &'a Origin,
}

/// What a reply points at, in pixels of the pictures given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlacedFindings {
    /// Boxes, then points, in the order of the reply; not clipped: a box outside the picture stays a wrong
    /// answer.
    pub findings: Vec<Finding>,
    /// Items that name a picture that does not exist.
    pub refused: Vec<Refusal>,
}

impl Dialect {
    /// The words that ask where `phrase` is; `None` where the dialect has none.
    pub fn ask_for(&self, phrase: &str) -> Option<String> {
        self.ask.map(|ask| ask.replace("{phrase}", phrase))
    }

    /// A picture as models of the dialect are shown it when they are asked where something is: padded to a square
    /// where places are measured in one.
    ///
    /// # Errors
    /// When the square is too large.
    pub fn shown(&self, picture: &Arc<Picture>) -> Result<Arc<Picture>, PictureError> {
        match self.units {
            Units::ThousandthsOfSquare => picture.padded_to_square([0; 3]).map(Arc::new),
            _ => Ok(Arc::clone(picture)),
        }
    }

    /// Reads a reply (special tokens kept, where the tokenizer can). Time is linear in its length;
    /// thoughts ([`crate::reasoning`]) are not read.
    pub fn parse(&self, text: &str) -> Parsed {
        let answer = without_reasoning(text).unwrap_or_default();
        let mut out = Parsed::default();
        match self.syntax {
            Syntax::Json(keys) => objects::parse(answer, keys, self.order, &mut out),
            Syntax::BoxTokens => box_tokens::parse(answer, self.order, &mut out),
            Syntax::BoxTags => box_tags::parse(answer, self.order, &mut out),
            Syntax::LocTokens(shape) => loc_tokens::parse(answer, shape, self.order, &mut out),
            Syntax::Numbers => numbers::parse(answer, self.order, &mut out),
        }
        let labelled = out.boxes.iter().filter(|b| b.label.is_some()).count()
            + out.points.iter().filter(|p| p.label.is_some()).count();
        if labelled > 0 && labelled < out.boxes.len() + out.points.len() {
            out.repair(Repair::LabelMissing);
        }
        if !out.is_answer() && out.refused.is_empty() {
            out.refused.push(Refusal::Nothing { dialect: self.name.to_owned() });
        }
        out
    }

    /// Turns what was read into pixels of the pictures given. `pictures` has one entry a picture of the
    /// ask; `picture` is the number of the one meant where the reply does not say.
    pub fn place(&self, parsed: &Parsed, pictures: &[SpokenPicture<'_>], picture: usize) -> PlacedFindings {
        let mut out = PlacedFindings::default();
        let mut on = |named: Option<usize>| {
            let index = named.unwrap_or(picture);
            let meant = pictures.get(index);
            if meant.is_none() {
                out.refused.push(Refusal::NoSuchPicture { index, count: pictures.len() });
            }
            meant.map(|p| (index, self.units.given_from_spoken(p.sizes), p.origin))
        };
        let boxes = parsed.boxes.iter().filter_map(|b| {
            let (picture, map, origin) = on(b.picture)?;
            let found = Finding::region(picture, map.boxed(b.region), origin.clone());
            Some(found.with(b.label.clone(), b.score))
        });
        let mut findings: Vec<_> = boxes.collect();
        let points = parsed.points.iter().filter_map(|p| {
            let (picture, map, origin) = on(p.picture)?;
            Some(Finding::spot(picture, map.point(p.point), origin.clone()).with(p.label.clone(), None))
        });
        findings.extend(points.collect::<Vec<_>>());
        out.findings = findings;
        out
    }

    /// Findings as a reply in the dialect's units about a picture of this size; `None` for a picture
    /// without area. Masks cannot be said and are left out.
    pub fn spoken<'a>(
        &self,
        findings: impl IntoIterator<Item = &'a Finding>,
        size: PictureSizes,
    ) -> Option<Parsed> {
        let spoken_from_given = self.units.given_from_spoken(size).inverse()?;
        let mut said = Parsed::default();
        for found in findings {
            let label = found.label.clone();
            match found.at {
                Place::Box(region) => said.boxes.push(SpokenBox {
                    region: spoken_from_given.boxed(region),
                    label,
                    score: found.score,
                    picture: None,
                }),
                Place::Point(point) => {
                    let point = spoken_from_given.point(point);
                    said.points.push(SpokenPoint { point, label, picture: None });
                }
                Place::Mask(_) => {}
            }
        }
        Some(said)
    }

    /// Writes boxes, points and counts as a model of this dialect would; numbers are rounded to
    /// [`Dialect::decimals`]. What the syntax cannot say (points in location tokens) is left out.
    pub fn write(&self, said: &Parsed) -> String {
        match self.syntax {
            Syntax::Json(keys) => objects::write(said, keys, self.numbers()),
            Syntax::BoxTokens => box_tokens::write(said, self.numbers()),
            Syntax::BoxTags => box_tags::write(said, self.numbers()),
            Syntax::LocTokens(shape) => loc_tokens::write(said, shape, self.numbers()),
            Syntax::Numbers => numbers::write(said, self.numbers()),
        }
    }

    fn numbers(&self) -> NumberStyle {
        NumberStyle { order: self.order, decimals: self.decimals }
    }
}
