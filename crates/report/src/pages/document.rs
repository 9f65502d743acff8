//! What stands on a page of one run or of two, and how it becomes a file.

use crate::pages::error::PageError;
use crate::pages::kit::html::{self, escaped};
use crate::pages::kit::place::Mark;
use crate::pages::kit::plot::Plot;
use crate::pages::kit::series::SideLetters;
use crate::pages::kit::store::ImageStore;
use loupe_core::Table;
use loupe_core::files::write_whole;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

pub use crate::pages::kit::place::BoxKind;

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

/// The volume that a picture is a slice of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PictureVolume {
    /// Number among the page's volumes; there may have been no room for its slices.
    pub number: usize,
    /// The slice, from 0.
    pub slice: usize,
}

/// A picture of an item.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ItemPicture {
    /// Its number among the pictures of the sample, from 0; none for masks on a slice of their own.
    #[serde(skip)]
    pub number: Option<usize>,
    /// Number in the page's [`ImageStore`]; `None` when it could not be read.
    pub image: Option<usize>,
    /// Number among the page's values, when the reader can window the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<usize>,
    /// Size of a pixel to the right and down in mm, where it is known for all of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<[f64; 2]>,
    /// Directions of the patient at the edges.
    #[serde(skip_serializing_if = "SideLetters::is_empty")]
    pub letters: SideLetters,
    /// Words under it: slice, window, or why it is missing.
    pub caption: String,
    /// Boxes on it.
    pub boxes: Vec<PageBox>,
    /// Masks on it and on its neighbours: their slices are those of the volume, 0 where it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mark>,
    /// Its volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<PictureVolume>,
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

/// How sure the model was of its reply, where that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ItemCertainty {
    /// Options with their probabilities, as the question had them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, f64)>,
    /// The probability that the reply begins with any option.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass: Option<f64>,
    /// The first tokens of the reply, each with its log-probability.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<(u32, f32)>,
    /// How many tokens there are.
    pub of: usize,
}

/// What another run made of a sample, on a page of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OtherRun {
    /// What it is called.
    pub name: String,
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
    /// The pictures that it was asked with, where they are not those of the first run: one of the two is a probe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<ItemPicture>,
    /// How a probe altered them, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altered: Option<String>,
    /// Whether a probe changed the answer, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'static str>,
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
    /// The pictures of the set, where the run is a probe and asked with those in `pictures` instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unaltered: Vec<ItemPicture>,
    /// How a probe altered the pictures, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altered: Option<String>,
    /// Rounds of the second look; empty for a single pass.
    pub rounds: Vec<ItemRound>,
    /// What there is to show in place of the verdict, where the item is neither right nor wrong: its first figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figure: Option<String>,
    /// Numbers to sort by: figures of the headline profile, confidence, tokens, seconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, f64>,
    /// What was said to the model in a single pass, the last turn; rounds have their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Number of what was said before it, in [`Page::prompt_heads`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_head: Option<usize>,
    /// Probabilities of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certainty: Option<ItemCertainty>,
    /// The other runs, on a page of several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherRun>,
    /// Who is right, on a page of several runs: `all`, `none`, or the names of those who are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<String>,
}

/// Everything on a report page.
#[derive(Debug, Default, Serialize)]
pub struct Page {
    /// Heading of the page.
    #[serde(skip)]
    pub title: String,
    /// One sentence under it.
    #[serde(skip)]
    pub lead: String,
    /// The names of the runs, on a page of several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    /// What stands before the last turn of prompts (instructions, examples), each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompt_heads: Vec<String>,
    /// What made the numbers.
    #[serde(skip)]
    pub facts: Vec<Fact>,
    /// Windows that a reader can choose for pictures in Hounsfield units.
    pub windows: Vec<WindowPreset>,
    /// Tables, the most important first; cells are shown as they are.
    #[serde(skip)]
    pub tables: Vec<Table>,
    /// What the tables look like.
    #[serde(skip)]
    pub plots: Vec<Plot>,
    /// Samples in dataset order.
    pub items: Vec<PageItem>,
    /// Their pictures.
    #[serde(skip)]
    pub images: ImageStore,
}

const SCRIPT: &str = include_str!("run.js");

impl Page {
    /// Writes the page as one HTML document.
    ///
    /// # Errors
    /// When the data do not serialise or `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> Result<(), PageError> {
        html::write(out, &self.title, &self.before(), self, &self.images, SCRIPT)
    }

    /// What stands before the samples, and needs no script: heading, the first table, plots, the other tables.
    fn before(&self) -> String {
        let mut out = format!(
            "<header id=\"head\"><h1>{}</h1><p class=\"lead\">{}</p>",
            escaped(&self.title),
            escaped(&self.lead)
        );
        if let Some(note) = self.images.note() {
            let _ = write!(out, "<p class=\"note\">{}</p>", escaped(&note));
        }
        let parts = [
            ("page-figures", "Figures", !self.tables.is_empty()),
            ("page-plots", "Plots", !self.plots.is_empty()),
            ("page-tables", "Tables", self.tables.len() > 1),
            ("page-samples", "Samples", !self.items.is_empty()),
        ];
        let link = |(id, name, _): &(&str, &str, bool)| format!("<a href=\"#{id}\">{name}</a>");
        let links: Vec<String> = parts.iter().filter(|p| p.2).map(link).collect();
        let _ = write!(out, "<nav class=\"parts\" aria-label=\"Parts of the page\">{}</nav>", links.join(""));
        out.push_str("<details class=\"facts\"><summary>What made these numbers</summary><dl>");
        for Fact { name, value } in &self.facts {
            let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
        }
        out.push_str("</dl></details></header>\n<section id=\"summary\" aria-label=\"Summary\">");
        let note = |table: &Table| match table.note.is_empty() {
            true => String::new(),
            false => format!("<p class=\"note\">{}</p>", escaped(&table.note)),
        };
        if let Some(table) = self.tables.first() {
            let (title, rows) = (escaped(&table.title), html::table(table));
            let _ = write!(
                out,
                "<div class=\"card\" id=\"page-figures\"><h2>{title}</h2>{}{rows}</div>",
                note(table)
            );
        }
        if !self.plots.is_empty() {
            out.push_str("<div id=\"page-plots\">");
            self.plots.iter().enumerate().for_each(|(n, plot)| out.push_str(&plot.html(n)));
            out.push_str("</div>");
        }
        out.push_str("<div id=\"page-tables\">");
        for table in self.tables.iter().skip(1) {
            let (title, rows) = (escaped(&table.title), html::table(table));
            let _ = write!(
                out,
                "<details class=\"card\"><summary>{title}</summary>{}{rows}</details>",
                note(table)
            );
        }
        out.push_str("</div></section>");
        out
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
