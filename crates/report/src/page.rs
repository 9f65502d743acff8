//! The report: one HTML file with everything inside, readable from `file://`.
//!
//! The page carries its data as one JSON block and shows it with a small script; a content security
//! policy forbids any request. Text is only ever inserted as text, so a reply that looks like markup
//! stays a reply.

use crate::store::ImageStore;
use serde::Serialize;
use std::collections::BTreeMap;
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

/// The page with what has become of its pictures.
#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    page: &'a Page,
    #[serde(skip_serializing_if = "Option::is_none")]
    pictures_note: Option<String>,
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
        let data = embeddable(&Data { page: self, pictures_note: self.images.note() })?;
        let images = embeddable(&self.images.pictures())?;
        let values = embeddable(&self.images.values())?;
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
