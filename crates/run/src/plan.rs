//! What is to be run.

use crate::examples::{Example, Examples};
use crate::report_prompt::ReportTemplate;
use crate::session::Invocation;
use crate::shard::Shard;
use crate::templates::PromptTemplate;
use loupe_core::{Ask, DecodeLimits, Failure, GenerationLimits, Picture, Sample};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// How samples become prompts; run.json keeps it with its words.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Template {
    /// Of questions.
    Question(Box<PromptTemplate>),
    /// Of reports on studies.
    Report(Box<ReportTemplate>),
}

impl Template {
    /// The prompt for `sample` with its pictures decoded.
    ///
    /// # Errors
    /// When the template needs what the sample does not have.
    pub fn ask(
        &self,
        sample: &Sample,
        pictures: Vec<Arc<Picture>>,
        limits: GenerationLimits,
        examples: &[Example],
    ) -> Result<Ask, Failure> {
        match self {
            Self::Question(template) => template.ask(sample, pictures, limits, examples),
            Self::Report(template) => template.ask(sample, pictures, limits),
        }
    }
}

impl From<PromptTemplate> for Template {
    fn from(template: PromptTemplate) -> Self {
        Self::Question(Box::new(template))
    }
}

impl From<ReportTemplate> for Template {
    fn from(template: ReportTemplate) -> Self {
        Self::Report(Box::new(template))
    }
}

/// Which samples of the dataset take part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Only the first so many (after `ids`).
    pub limit: Option<usize>,
    /// Only these, in dataset order; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Only those with these tags: of each tag that is named, one of the values. All when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagValue>,
    /// Only so many of those, drawn at random; before `limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Draw>,
}

/// A tag with a value that samples may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagValue {
    /// Name of the tag.
    pub tag: String,
    /// Its value, to the letter.
    pub value: String,
}

impl FromStr for TagValue {
    type Err = String;

    /// From `tag=value`.
    fn from_str(words: &str) -> Result<Self, String> {
        match words.split_once('=') {
            Some((tag, value)) if !tag.is_empty() => {
                Ok(Self { tag: tag.to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("{words:?} is not of the form tag=value, such as organ=CHEST")),
        }
    }
}

/// Some of many, drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// How many.
    pub n: usize,
    /// Seed: the same one draws the same, and more of it holds less of it.
    pub seed: u64,
}

/// An argument of the command for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its value.
    pub value: serde_json::Value,
    /// Was it given, or is it the default?
    pub given: bool,
}

/// What is to be run; everything here except what says how it is done (from `decode_ahead` on) goes into
/// run.json and must be the same on resume.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How samples become prompts.
    pub template: Template,
    /// Questions with their answers, shown before each question.
    pub examples: Examples,
    /// Bounds and choices of generation.
    pub limits: GenerationLimits,
    /// Which samples.
    pub selection: Selection,
    /// Replies per sample; with random sampling, rollout `k` uses `seed + k`.
    pub rollouts: usize,
    /// Further arguments for the record.
    pub settings: BTreeMap<String, Setting>,
    /// Items whose images are decoded ahead of the model. Does not change results.
    pub decode_ahead: usize,
    /// Threads that decode images ahead of the model.
    pub decode_threads: usize,
    /// Most bytes of decoded pictures that wait or are being looked at; fewer items are decoded ahead where
    /// pictures are large. Does not change results.
    pub picture_bytes: u64,
    /// On resume, ask the items again that failed for a reason that may have passed.
    pub retry_failed: bool,
    /// Names of files and folders stay out of the run folder: images are called by sample and number, and where they lie is not
    /// said. Whoever opens the folder needs the dataset to see them.
    pub hide_names: bool,
    /// Only the samples of this part of the run; `selection` chooses before.
    pub shard: Option<Shard>,
    /// On resume, ask rows too that were added to the set behind those that were there.
    pub extend: bool,
    /// How large a file of images may be, for the record: a larger bound makes a reply of a failure and changes none.
    pub image_limits: Option<DecodeLimits>,
    /// What a reader of the results should know, a line each, beside what the model's own record says.
    pub notes: Vec<String>,
    /// Who asks, for the record.
    pub invocation: Invocation,
}

impl Plan {
    /// One greedy reply to every sample with this template.
    pub fn new(template: impl Into<Template>) -> Self {
        Self {
            template: template.into(),
            examples: Examples::default(),
            limits: GenerationLimits::default(),
            selection: Selection::default(),
            rollouts: 1,
            settings: BTreeMap::new(),
            decode_ahead: 32,
            decode_threads: 1,
            picture_bytes: 1 << 30,
            retry_failed: false,
            hide_names: false,
            shard: None,
            extend: false,
            image_limits: None,
            notes: Vec::new(),
            invocation: Invocation::default(),
        }
    }
}
