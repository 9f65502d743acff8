//! Models that answer questions about pictures: what they are, how they are asked, how they fail.
//!
//! A model *pulls*: [`VisionLanguageModel::serve`] takes asks from an [`AskSource`] while it has room and
//! hands each reply to a [`ReplySink`] as soon as it is done. One shape serves an evaluation (the source
//! decodes pictures ahead, the sink writes a line), a server (the source is a channel) and a second look
//! (several sessions feed one source).

use crate::ask::{Ask, GenerationLimits, Reply, Sampling, is_zero};
use crate::failure::{Failure, Retry};
use crate::words::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// What a loaded model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ModelRecord")]
pub struct ModelInfo {
    /// Family name as in `loupe list models`.
    pub family: String,
    /// The folder's name, for tables.
    pub name: String,
    /// How the model writes boxes; `none` when it does not.
    pub box_dialect: String,
    /// Most tokens in a conversation; `None` where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<usize>,
    /// Where its replies come from.
    pub from: Provenance,
}

/// Where replies come from.
#[expect(clippy::large_enum_variant, reason = "one a run")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// A checkpoint that was loaded here.
    Checkpoint(CheckpointRecord),
    /// A model behind an endpoint.
    Served {
        /// Address, without credentials.
        url: String,
        /// The name that the endpoint gives the model.
        model: String,
        /// What the endpoint says it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
    },
    /// Replies that another tool wrote.
    Imported {
        /// SHA-256 over the file, in hexadecimal.
        file_sha256: String,
    },
}

/// What a checkpoint is and how it is computed. Hashes are SHA-256 in hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// Over the weight files.
    pub weights_sha256: String,
    /// Over the adapter's weights, when one is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter_sha256: Option<String>,
    /// Over the tokenizer's file, when the model reads text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer_sha256: Option<String>,
    /// Over the chat template, when the model takes turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_sha256: Option<String>,
    /// Number of parameters.
    pub parameters: u64,
    /// Number type of the computation; `as stored` where the weights stay in those of their file.
    pub dtype: String,
    /// How the weights of the language model were quantised when they were loaded, or how many tensors of each number type
    /// there are where they stay as stored; nothing otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quant: Option<String>,
    /// `bf16` where activations were rounded to it before they were multiplied with weights in bf16 or in blocks; nothing otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations: Option<String>,
    /// Most tokens that prompt look-up proposed for a reply at a time; 0 without it. It changes no reply.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prompt_lookup: usize,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// `pillow` or `torchvision`: which library's resizing is reproduced; empty where none is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resample: String,
    /// What the checkpoint's own file says about generation, when the model says words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<GenerationDefaults>,
    /// Resolved settings of network, picture processor and template: with the weights, the tokenizer and the
    /// template everything that decides what the model says.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub settings: Value,
    /// Of every settings file, by its name. For the record: two files that differ may mean the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files_sha256: BTreeMap<String, String>,
    /// What of the checkpoint's own settings is not used, or what stands in for a missing one: a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a checkpoint's own file says about generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationDefaults {
    /// Penalty of tokens that were seen, for asks that give none; 1 for none.
    pub repetition_penalty: f64,
    /// Sequences that are followed, for asks that give no number; nothing where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beams: Option<usize>,
    /// Tokens that end a reply.
    pub end_tokens: Vec<u32>,
    /// Further settings by name, which are not used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_used: BTreeMap<String, Value>,
}

impl ModelInfo {
    /// What has no weights: replies from a script or a record.
    pub fn scripted(
        family: impl Into<String>,
        name: impl Into<String>,
        box_dialect: impl Into<String>,
    ) -> Self {
        Self {
            family: family.into(),
            name: name.into(),
            box_dialect: box_dialect.into(),
            context_tokens: None,
            from: Provenance::Imported { file_sha256: String::new() },
        }
    }

    /// What the checkpoint is, when there is one.
    pub fn checkpoint(&self) -> Option<&CheckpointRecord> {
        match &self.from {
            Provenance::Checkpoint(record) => Some(record),
            _ => None,
        }
    }

    /// What a user should know of the checkpoint's settings, a line each.
    pub fn notes(&self) -> &[String] {
        self.checkpoint().map_or(&[], |c| &c.notes)
    }

    /// `limits` with the model's own values where they leave the choice to it.
    #[must_use]
    pub fn settled(&self, limits: &GenerationLimits) -> GenerationLimits {
        let own = self.checkpoint().and_then(|c| c.generation.as_ref());
        let mut limits = limits.clone();
        limits.repetition_penalty.get_or_insert(own.map_or(1.0, |g| g.repetition_penalty));
        if limits.sampling == Sampling::Greedy && limits.beams.is_none() {
            limits.beams = own.and_then(|g| g.beams);
        }
        limits
    }

    /// The digest that tells this model from others, in hexadecimal: of the weights (and the adapter) of a
    /// checkpoint, of an imported file; of its address and name where the model is served.
    pub fn identity_sha256(&self) -> String {
        match &self.from {
            Provenance::Checkpoint(c) => match &c.adapter_sha256 {
                None => c.weights_sha256.clone(),
                Some(adapter) => hex(&Sha256::digest(format!("{}\n{adapter}", c.weights_sha256))),
            },
            Provenance::Served { url, model, .. } => hex(&Sha256::digest(format!("{url}\n{model}"))),
            Provenance::Imported { file_sha256 } => file_sha256.clone(),
        }
    }

    /// Family and size in words: `qwen2.5-vl, 3754622976 parameters`.
    pub fn described(&self) -> String {
        match &self.from {
            Provenance::Checkpoint(c) => format!("{}, {} parameters", self.family, c.parameters),
            Provenance::Served { url, model, .. } => format!("{model}, served at {url}"),
            Provenance::Imported { .. } => format!("{}, imported replies", self.family),
        }
    }
}

/// [`ModelInfo`] as files hold it: as it is written now, or with the facts of a checkpoint side by side as
/// the first layout of run folders had them.
#[derive(Deserialize)]
struct ModelRecord {
    family: String,
    name: String,
    box_dialect: String,
    #[serde(default)]
    context_tokens: Option<usize>,
    #[serde(default)]
    from: Option<Provenance>,
    #[serde(default)]
    weights_sha256: String,
    #[serde(default)]
    parameters: u64,
    #[serde(default)]
    dtype: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    resample: String,
}

impl From<ModelRecord> for ModelInfo {
    fn from(r: ModelRecord) -> Self {
        let from = r.from.unwrap_or_else(|| {
            Provenance::Checkpoint(CheckpointRecord {
                weights_sha256: r.weights_sha256,
                parameters: r.parameters,
                dtype: r.dtype,
                device: r.device,
                resample: r.resample,
                ..CheckpointRecord::default()
            })
        });
        Self {
            family: r.family,
            name: r.name,
            box_dialect: r.box_dialect,
            context_tokens: r.context_tokens,
            from,
        }
    }
}

/// Why a model could not answer an ask.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The ask refers to a picture it does not have.
    #[error("turn {turn} refers to picture {index}, but {count} were given")]
    NoSuchPicture {
        /// Turn, from 0.
        turn: usize,
        /// Picture referred to.
        index: usize,
        /// Pictures given.
        count: usize,
    },
    /// The picture cannot be shown to this model.
    #[error("picture {index}: {problem}")]
    Picture {
        /// Picture, from 0.
        index: usize,
        /// What is wrong.
        problem: String,
    },
    /// The prompt does not fit the model.
    #[error("the prompt has {tokens} tokens, the model takes {limit}; use fewer or smaller pictures")]
    TooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens allowed.
        limit: usize,
    },
    /// The prompt alone needs more memory than the model may take.
    #[error(
        "the prompt needs {needed} bytes of memory, the limit is {limit}; allow more with --memory or use fewer or smaller pictures"
    )]
    Memory {
        /// Bytes that the ask takes while it is answered.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The settings make no sense.
    #[error("{setting}: {problem}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The chat template failed.
    #[error("the checkpoint's chat template failed: {0}")]
    Template(String),
    /// What the network gave is not a number, or infinite: nothing may be read out of it.
    #[error(
        "{0} are not finite; the weights or settings of the checkpoint are damaged, or their numbers are too large for the number type (try --dtype f32)"
    )]
    NotFinite(&'static str),
    /// The network gave the same logit to every token, so that none can be chosen.
    #[error(
        "all logits are equal, so that no token is likelier than another; the weights or settings of the checkpoint are damaged, or their numbers are too large"
    )]
    EqualLogits,
    /// The computation failed.
    #[error("the computation failed: {0}")]
    Compute(String),
    /// The server that answers for the model gave no reply.
    #[error("{reason}")]
    Served {
        /// Why, without contents of the ask and without keys.
        reason: String,
        /// Can asking the same again help?
        retry: Retry,
    },
    /// The reply has not the form that was asked for ([`crate::ReplyForm`]).
    #[error("the reply has not the form that was asked for: {problem}")]
    Form {
        /// In what it differs, without its words.
        problem: String,
    },
    /// Nobody wants the reply any more ([`Go::Stop`]).
    #[error("the ask was cancelled")]
    Cancelled,
}

impl ModelError {
    /// Can asking the same again help?
    pub fn retry(&self) -> Retry {
        match self {
            Self::Compute(_) | Self::Cancelled | Self::Memory { .. } => Retry::May,
            Self::Served { retry, .. } => *retry,
            Self::NoSuchPicture { .. }
            | Self::Picture { .. }
            | Self::TooLong { .. }
            | Self::Setting { .. }
            | Self::NotFinite(_)
            | Self::EqualLogits
            | Self::Form { .. }
            | Self::Template(_) => Retry::Never,
        }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self { retry: error.retry(), reason: error.to_string() }
    }
}

/// Number of an ask within one call of [`VisionLanguageModel::serve`]; the source chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// What a source has for a model that has room.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, from hand to hand")]
pub enum Next {
    /// An ask to answer.
    Ask(AskId, Ask),
    /// Nothing at the moment. Never said to a model that is idle.
    NotYet,
    /// There will be no more.
    NoMore,
}

/// Where asks come from.
pub trait AskSource {
    /// The next ask. A model that is `idle` has nothing else to do, so the call may wait until there is an
    /// ask or there will be none; otherwise it returns at once. Not called again after [`Next::NoMore`].
    fn next(&mut self, idle: bool) -> Next;
}

/// Is the rest of a reply wanted?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// It is.
    On,
    /// Nobody waits for it; the model drops it and reports [`ModelError::Cancelled`].
    Stop,
}

/// Receives replies while they are made.
pub trait ReplySink {
    /// `text` continues the reply. It is empty where a model only asks whether the reply is still wanted,
    /// between the steps of a long prompt.
    fn piece(&mut self, _id: AskId, _text: &str) -> Go {
        Go::On
    }

    /// The ask is answered or has failed; called exactly once for each.
    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>);
}

/// What the tokens of a model are.
pub trait Vocabulary: Send + Sync {
    /// The bytes that a token stands for, which need not be whole characters; nothing for a token that there is not.
    fn bytes(&self, id: u32) -> Option<Vec<u8>>;
}

/// A model that answers questions about pictures.
pub trait VisionLanguageModel: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// What its tokens are, where it can tell.
    fn vocabulary(&self) -> Option<Arc<dyn Vocabulary>> {
        None
    }

    /// Answers everything that `asks` has, in whatever order it is done. One bad ask does not spoil the
    /// others, and a reply does not depend on its company (1e-5 of the logits in f32). Prompts that begin
    /// alike share the computation of the common part.
    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink);

    /// Answers a list: one result an ask, in order.
    fn generate(&mut self, asks: &[Ask]) -> Vec<Result<Reply, ModelError>> {
        let mut all = Listed::new(asks);
        let mut replies = Collected { replies: asks.iter().map(|_| None).collect() };
        self.serve(&mut all, &mut replies);
        let missing = || Err(ModelError::Compute("the model gave no reply".into()));
        replies.replies.into_iter().map(|r| r.unwrap_or_else(missing)).collect()
    }
}

/// A list of asks as a source; each has its place in the list as its number.
#[derive(Debug)]
pub struct Listed<'a> {
    asks: std::iter::Enumerate<std::slice::Iter<'a, Ask>>,
}

impl<'a> Listed<'a> {
    /// The asks in order.
    pub fn new(asks: &'a [Ask]) -> Self {
        Self { asks: asks.iter().enumerate() }
    }
}

impl AskSource for Listed<'_> {
    fn next(&mut self, _idle: bool) -> Next {
        self.asks.next().map_or(Next::NoMore, |(n, ask)| Next::Ask(AskId(n as u64), ask.clone()))
    }
}

struct Collected {
    replies: Vec<Option<Result<Reply, ModelError>>>,
}

impl ReplySink for Collected {
    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        if let Some(place) = usize::try_from(id.0).ok().and_then(|n| self.replies.get_mut(n)) {
            *place = Some(reply);
        }
    }
}

/// Serves with a function of one ask: for models that answer one at a time.
pub fn one_by_one(
    asks: &mut dyn AskSource,
    replies: &mut dyn ReplySink,
    mut answer: impl FnMut(Ask) -> Result<Reply, ModelError>,
) {
    loop {
        match asks.next(true) {
            Next::Ask(id, ask) => {
                let reply = match replies.piece(id, "") {
                    Go::On => answer(ask),
                    Go::Stop => Err(ModelError::Cancelled),
                };
                replies.done(id, reply);
            }
            Next::NotYet => {}
            Next::NoMore => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    struct Echo(ModelInfo);

    impl VisionLanguageModel for Echo {
        fn info(&self) -> &ModelInfo {
            &self.0
        }
        fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
            one_by_one(asks, replies, |ask| match ask.turns.len() {
                0 => Err(ModelError::Template("no turn".into())),
                n => Ok(Reply::from_text(format!("{n}"))),
            });
        }
    }

    const FIRST_LAYOUT: &str = r#"{"family": "qwen2-vl", "name": "tiny", "weights_sha256": "ab",
        "parameters": 12, "dtype": "f32", "device": "cpu", "resample": "pillow", "box_dialect": "qwen2-vl",
        "context_tokens": 128}"#;

    #[test]
    fn a_list_is_answered_in_order_and_one_failure_stays_one() {
        let info: ModelInfo = serde_json::from_str(FIRST_LAYOUT).unwrap();
        let good = Ask::pictures_then(Vec::new(), "q", GenerationLimits::default());
        let bad = Ask { turns: Vec::new(), ..good.clone() };
        let replies = Echo(info).generate(&[good.clone(), bad, good]);
        assert_eq!(replies[0].as_ref().unwrap().text, "1");
        assert_eq!(replies[1].as_ref().unwrap_err().retry(), Retry::Never);
        assert!(replies[2].is_ok());
    }

    #[test]
    fn the_first_layout_of_a_models_record_is_read() {
        let info: ModelInfo = serde_json::from_str(FIRST_LAYOUT).unwrap();
        let record = info.checkpoint().unwrap();
        assert_eq!((record.weights_sha256.as_str(), record.parameters), ("ab", 12));
        assert_eq!(info.context_tokens, Some(128));
        let again: ModelInfo = serde_json::from_str(&serde_json::to_string(&info).unwrap()).unwrap();
        assert_eq!(again, info);
    }
}
