//! The report: one HTML file with everything inside, readable from `file://`.
//!
//! The page carries its data as one JSON block and shows it with a small script; a content security
//! policy forbids any request. Text is only ever inserted as text, so a reply that looks like markup
//! stays a reply.

use crate::encode::{EncodeError, browser_type, data_uri, png};
use crate::values::Values;
use loupe_core::{Intensities, Picture};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use thiserror::Error;

/// A named fact about the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A table of the summary; cells are shown as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PageTable {
    /// Heading.
    pub title: String,
    /// One line under the heading: how to read it.
    pub note: String,
    /// Column heads.
    pub columns: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

/// Whose box it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxKind {
    /// The model's finding (solid line).
    Model,
    /// The reference (dashed line).
    Reference,
    /// A region that was looked at (dotted line).
    Looked,
    /// The second run's finding, on a page of two runs (solid line).
    Second,
}

/// A box in pixels of the picture it is drawn on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PageBox {
    /// `[x0, y0, x1, y1]`, continuous pixel edges.
    pub xyxy: [f64; 4],
    /// Words beside it.
    pub label: String,
    /// Whose it is.
    pub kind: BoxKind,
}

/// A picture of an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemPicture {
    /// Number in the page's [`ImageStore`]; `None` when it could not be read.
    pub image: Option<usize>,
    /// Number among the page's values, when the reader can window the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<usize>,
    /// Words under it: slice, window, or why it is missing.
    pub caption: String,
    /// Boxes on it.
    pub boxes: Vec<PageBox>,
}

/// What one profile decided about the reply.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemVerdict {
    /// Profile and metric.
    pub profile: String,
    /// `correct`, `wrong`, `unparsed`, `failed` or `unscored`.
    pub verdict: String,
    /// The value, when there is one.
    pub value: Option<f64>,
    /// Which rule fired.
    pub rule: String,
    /// What was taken from the reply.
    pub span: Option<String>,
}

/// One round of a second look.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ItemRound {
    /// What was said to the model.
    pub prompt: String,
    /// What it answered.
    pub reply: String,
    /// What was done, in words.
    pub action: String,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// Pictures shown in this round.
    pub pictures: Vec<ItemPicture>,
}

/// What the second run of a page of two made of a sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Second {
    /// The raw reply; `None` when the item failed.
    pub reply: Option<String>,
    /// Why there is no reply.
    pub failure: Option<String>,
    /// The headline verdict.
    pub verdict: String,
    /// One entry a profile.
    pub verdicts: Vec<ItemVerdict>,
    /// Rounds of the second look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<ItemRound>,
    /// Who is right: `both`, `first only`, `second only`, `neither`.
    pub right: String,
}

/// A sample with all that happened to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Item {
    /// Identity in the dataset.
    pub id: String,
    /// The question.
    pub question: String,
    /// Options as printed.
    pub choices: Vec<String>,
    /// The reference answer.
    pub gold: String,
    /// The raw reply; `None` when the item failed.
    pub reply: Option<String>,
    /// Why there is no reply.
    pub failure: Option<String>,
    /// The headline verdict: `correct`, `wrong`, `unparsed`, `failed` or `unscored`.
    pub verdict: String,
    /// One entry a profile and metric.
    pub verdicts: Vec<ItemVerdict>,
    /// Facts for filters.
    pub tags: BTreeMap<String, String>,
    /// Pictures in order.
    pub pictures: Vec<ItemPicture>,
    /// Rounds of the second look; empty for a single pass.
    pub rounds: Vec<ItemRound>,
    /// The other run, on a page of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Second>,
}

/// Encoded images of a page, each stored once, and the values behind some of them.
#[derive(Debug, Default)]
pub struct ImageStore {
    uris: Vec<String>,
    seen: HashMap<[u8; 32], usize>,
    values: Vec<Values>,
    values_of: HashMap<[u8; 32], Option<usize>>,
    most: Option<usize>,
}

/// Why a picture is not on the page.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The page is as large as it may be.
    #[error("left out, as the page would exceed its size")]
    Full,
}

impl ImageStore {
    /// A store of at most so many bytes; nothing means as many as there are.
    pub fn of_size(most: Option<usize>) -> Self {
        Self { most, ..Self::default() }
    }

    fn room(&self, part: f64, bytes: usize) -> bool {
        self.most.is_none_or(|most| (self.bytes() + bytes) as f64 <= most as f64 * part)
    }

    /// Adds `picture` and returns its number. When `original` holds bytes that a browser shows just
    /// as they are, and the picture is the whole of that image, they are kept; otherwise the pixels
    /// become PNG, so nothing is lost either way.
    ///
    /// # Errors
    /// When the picture cannot be encoded, or there is no room for it.
    pub fn add(&mut self, picture: &Picture, original: Option<&[u8]>) -> Result<usize, StoreError> {
        if let Some(&at) = self.seen.get(&picture.content_key()) {
            return Ok(at);
        }
        let kept = original.and_then(|bytes| browser_type(bytes).map(|t| data_uri(t, bytes)));
        let uri = match kept {
            Some(uri) => uri,
            None => data_uri("image/png", &png(picture)?),
        };
        if !self.room(1.0, uri.len()) {
            return Err(StoreError::Full);
        }
        let at = self.uris.len();
        self.uris.push(uri);
        self.seen.insert(picture.content_key(), at);
        Ok(at)
    }

    /// Adds the values behind `picture`, for windowing on the page, and returns their number; nothing
    /// when they do not fit the picture, are none, or would take room that pictures may need (half of
    /// the page).
    pub fn add_values(&mut self, picture: &Picture, intensities: &Intensities) -> Option<usize> {
        let key = picture.content_key();
        if let Some(known) = self.values_of.get(&key) {
            return *known;
        }
        let fits = (intensities.width, intensities.height) == (picture.width(), picture.height());
        let values = fits.then(|| Values::of(picture, intensities)).flatten();
        let at = values.filter(|v| self.room(0.5, v.uri.len())).map(|values| {
            self.values.push(values);
            self.values.len() - 1
        });
        self.values_of.insert(key, at);
        at
    }

    /// Bytes of all the images as they stand in the page.
    pub fn bytes(&self) -> usize {
        let values = self.values.iter().map(|v| v.uri.len());
        self.uris.iter().map(String::len).chain(values).sum()
    }
}

/// Everything on a report page.
#[derive(Debug, Default, Serialize)]
pub struct Page {
    /// Heading.
    pub title: String,
    /// One sentence under it.
    pub lead: String,
    /// The names of the runs, on a page of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<[String; 2]>,
    /// What made the numbers.
    pub facts: Vec<Fact>,
    /// Summary tables.
    pub tables: Vec<PageTable>,
    /// Samples in dataset order.
    pub items: Vec<Item>,
    /// Their pictures.
    #[serde(skip)]
    pub images: ImageStore,
}

/// Why a page could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PageError {
    /// The data do not serialise.
    #[error("the report's data could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The file could not be written.
    #[error("the report page could not be written: {0}")]
    Io(#[from] std::io::Error),
}

const HTML: &str = include_str!("../page/page.html");
const CSS: &str = include_str!("../page/page.css");
const SCRIPT: &str = include_str!("../page/page.js");

/// JSON that may stand inside a `<script>` element.
fn embeddable(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    /// Writes the page as one HTML document.
    ///
    /// # Errors
    /// When the data do not serialise or `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> Result<(), PageError> {
        let data = embeddable(self)?;
        let images = embeddable(&self.images.uris)?;
        let values = embeddable(&self.images.values)?;
        let title = escaped(&self.title);
        let mut rest = HTML;
        for (mark, text) in [
            ("{{title}}", title.as_str()),
            ("{{css}}", CSS),
            ("{{data}}", &data),
            ("{{images}}", &images),
            ("{{values}}", &values),
            ("{{script}}", SCRIPT),
        ] {
            if let Some((before, after)) = rest.split_once(mark) {
                out.write_all(before.as_bytes())?;
                out.write_all(text.as_bytes())?;
                rest = after;
            }
        }
        out.write_all(rest.as_bytes())?;
        Ok(())
    }
}
