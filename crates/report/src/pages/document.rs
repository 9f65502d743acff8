//! What stands on a page of one run or of two, and how it becomes a file.

use crate::pages::error::PageError;
use crate::pages::kit::html;
use crate::pages::kit::store::ImageStore;
use loupe_core::Table;
use loupe_core::files::write_whole;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// A named fact about the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Name of the preset.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A window that a reader can choose, DICOM's `LINEAR` function in Hounsfield units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowPreset {
    /// What it is called on its button.
    pub name: String,
    /// Its middle.
    pub centre: f64,
    /// From its darkest to its brightest value.
    pub width: f64,
}

/// Whose box it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxKind {
    /// The model's finding (solid line).
    Model,
    /// The reference (dashed line).
    Reference,
    /// The region of an action: where a second look went (dotted line).
    Region,
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
pub struct SecondRun {
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
pub struct PageItem {
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
    pub second: Option<SecondRun>,
}

/// Everything on a report page.
#[derive(Debug, Default, Serialize)]
pub struct Page {
    /// Heading of the page.
    pub title: String,
    /// One sentence under it.
    pub lead: String,
    /// The names of the runs, on a page of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<[String; 2]>,
    /// What made the numbers.
    pub facts: Vec<Fact>,
    /// Windows that a reader can choose for pictures in Hounsfield units.
    pub windows: Vec<WindowPreset>,
    /// Summary tables; cells are shown as they are.
    pub tables: Vec<Table>,
    /// Samples in dataset order.
    pub items: Vec<PageItem>,
    /// Their pictures.
    #[serde(skip)]
    pub images: ImageStore,
}

/// The page with what has become of its pictures.
#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    page: &'a Page,
    #[serde(skip_serializing_if = "Option::is_none")]
    pictures_note: Option<String>,
}

const SCRIPT: &str = include_str!("run.js");

impl Page {
    /// Writes the page as one HTML document.
    ///
    /// # Errors
    /// When the data do not serialise or `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> Result<(), PageError> {
        let data = Data { page: self, pictures_note: self.images.note() };
        html::write(out, &self.title, &data, &self.images, SCRIPT)
    }

    /// Writes the page to a file, which is whole or as it was before, and returns its size in bytes.
    ///
    /// # Errors
    /// As [`Page::write`].
    pub fn save(&self, path: &Path) -> Result<u64, PageError> {
        let mut out = Vec::new();
        self.write(&mut out)?;
        write_whole(path, |to| to.write_all(&out))?;
        Ok(out.len() as u64)
    }
}
