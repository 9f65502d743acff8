//! The traits between crates. Implementations hold tensors, files and devices; these do not.

use crate::ask::{Ask, Reply};
use crate::follow::{self, FollowRules};
use crate::geometry::{Box2, Given, Point2};
use crate::mask::{LabelVolume, Mask};
use crate::media::{MediaError, MediaRef};
use crate::picture::Picture;
use crate::sample::{Prediction, Sample, Score};
use crate::volume::Volume;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a loaded model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Family name as in `loupe list models`.
    pub family: String,
    /// The folder's name, for tables.
    pub name: String,
    /// SHA-256 over the weight files, in hexadecimal.
    pub weights_sha256: String,
    /// Parameters.
    pub parameters: u64,
    /// Number type of the computation.
    pub dtype: String,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// `pillow` or `torchvision`: which library's resizing is reproduced.
    pub resample: String,
    /// How the family writes boxes; `none` when it does not.
    pub box_dialect: String,
    /// Most tokens in a conversation.
    pub context_tokens: usize,
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
    /// The computation failed.
    #[error("the computation failed: {0}")]
    Compute(String),
}

/// Receives pieces of text while they are generated.
pub trait ReplySink {
    /// `piece` continues the reply to ask number `ask`.
    fn piece(&mut self, ask: usize, piece: &str);
}

/// Ignores the pieces.
impl ReplySink for () {
    fn piece(&mut self, _: usize, _: &str) {}
}

/// A model that answers questions about pictures.
pub trait VisionLanguageModel: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Answers a batch: one result an ask, in order. One bad ask does not spoil the others.
    /// Prompts that begin alike share the computation of the common part.
    fn generate(&mut self, asks: &[Ask], sink: &mut dyn ReplySink) -> Vec<Result<Reply, ModelError>>;
}

/// Tokens of a text with what a text encoder makes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedText {
    /// Token ids, the tokens that frame the text included.
    pub ids: Vec<u32>,
    /// Contextual vectors of the layer asked for, one token after the other: `ids.len()` × width values.
    pub vectors: Vec<f32>,
}

/// A model that gives every token of a text a vector that depends on the tokens around it.
///
/// Texts are taken as parts of running text: a vocabulary that marks beginnings of words by the space
/// before them (byte-level ones) gets that space before the first word. Texts that are too long for the
/// model are cut at their end.
pub trait TextEncoder: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Number of the last layer. Layer 0 is what enters the first one.
    fn layers(&self) -> usize;

    /// The two tokens that frame every text, first and last.
    fn frame(&self) -> [u32; 2];

    /// Token ids of a text, framed and cut.
    ///
    /// # Errors
    /// When the tokenizer cannot read the text.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError>;

    /// Tokens and vectors after `layer` layers: one result a text, in order. What else is in the batch
    /// changes nothing.
    ///
    /// # Errors
    /// When there is no such layer, a text cannot be tokenised, or the computation fails.
    fn encode(&mut self, texts: &[&str], layer: usize) -> Result<Vec<EncodedText>, ModelError>;
}

/// A prompt for segmentation, in pixels of the picture given.
#[derive(Debug, Clone, PartialEq)]
pub enum Hint {
    /// A place inside (positive) or outside (negative) the object.
    Point {
        /// Where.
        at: Point2<Given>,
        /// Inside the object?
        positive: bool,
    },
    /// A box around the object.
    Box(Box2<Given>),
    /// A rough mask, or one of an earlier round.
    Mask(Mask),
    /// Words.
    Phrase(String),
}

/// A mask with the model's own estimate of its quality.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// In the pixel grid of the picture given.
    pub mask: Mask,
    /// Predicted IoU, when the model gives one.
    pub predicted_iou: Option<f32>,
}

/// Why a segmenter could not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// This kind of prompt is not understood by the model.
    #[error("{model} takes no {hint} prompts")]
    Hint {
        /// Family.
        model: String,
        /// Kind of prompt.
        hint: &'static str,
    },
    /// The prompt lies outside the picture or is empty.
    #[error("{0}")]
    BadHint(String),
    /// The computation failed.
    #[error("the computation failed: {0}")]
    Compute(String),
}

/// A model that outlines what prompts point at.
pub trait Segmenter: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Segments the *one* object that all `hints` together describe; several candidate masks, best
    /// first, when the model gives them. The image embedding is computed once per picture content.
    fn segment(&mut self, picture: &Picture, hints: &[Hint]) -> Result<Vec<Segment>, SegmentError>;

    /// Segments several objects of one picture: one result an object, in order. One bad object does
    /// not spoil the others; models that can decode them together do.
    fn segment_all(
        &mut self,
        picture: &Picture,
        objects: &[Vec<Hint>],
    ) -> Vec<Result<Vec<Segment>, SegmentError>> {
        objects.iter().map(|hints| self.segment(picture, hints)).collect()
    }

    /// Follows the object that `hints` describe in frame `start` through the frames before and
    /// after it, until it ends: one mask a frame, empty where the object is not. Frames are slices
    /// of a volume or of a clip, in order, and of one size.
    ///
    /// # Errors
    /// When `start` is not a frame, a hint cannot be used, or the computation fails.
    fn follow(
        &mut self,
        frames: &[Picture],
        start: usize,
        hints: &[Hint],
    ) -> Result<Vec<Mask>, SegmentError> {
        follow::by_previous_mask(self, frames, start, hints, &FollowRules::default())
    }
}

/// A model that labels every voxel of a volume without being prompted.
pub trait VolumeSegmenter: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Labels on the volume's own grid.
    fn label(&mut self, volume: &Volume) -> Result<LabelVolume, SegmentError>;
}

/// One slice or frame in the units of its source (HU for CT), row by row; the same size as its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Intensities {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width × height` values.
    pub values: Vec<f32>,
    /// Are high values shown dark (MONOCHROME1)?
    pub inverted: bool,
    /// Are they Hounsfield units?
    pub hounsfield: bool,
}

/// Turns references into pictures (implemented by `preprocess`).
pub trait MediaLoader: Send + Sync {
    /// Decodes the view that `media` asks for.
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError>;

    /// The values behind that view before any window, for viewers that make their own; nothing where
    /// the source is a picture of grey levels or colours already.
    ///
    /// # Errors
    /// As for [`MediaLoader::load`].
    fn intensities(&self, _media: &MediaRef) -> Result<Option<Intensities>, MediaError> {
        Ok(None)
    }
}

/// Why a picture could not be resampled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("could not resample the picture: {0}")]
pub struct ResampleError(pub String);

/// Pixel work that a protocol prescribes (implemented by `preprocess`).
pub trait Resampler: Send + Sync {
    /// `picture` resized to `width` × `height` with Pillow's filter of this name (`nearest`,
    /// `bilinear`, `bicubic`, `lanczos`); the result knows its way back.
    fn resize(
        &self,
        picture: &Picture,
        width: usize,
        height: usize,
        filter: &str,
    ) -> Result<Picture, ResampleError>;

    /// `picture` written as a JPEG of this quality and read again.
    fn through_jpeg(&self, picture: &Picture, quality: u8) -> Result<Picture, ResampleError>;
}

/// Facts about an opened dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Name as in `loupe list datasets`.
    pub name: String,
    /// Split that was opened.
    pub split: String,
    /// What `group` means: `image`, `patient`, `video`.
    pub group_by: String,
    /// SHA-256 over the annotation files, in hexadecimal.
    pub fingerprint: String,
    /// Where the set is described.
    pub citation: String,
}

/// Why a dataset or one of its rows cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder of the documented layout is missing.
    #[error("{set}: {file} is missing; expected layout: {layout}")]
    Missing {
        /// Dataset.
        set: &'static str,
        /// File name within the dataset folder.
        file: String,
        /// Layout in words.
        layout: &'static str,
    },
    /// A file could not be read.
    #[error("{file}: {problem}")]
    Read {
        /// File name within the dataset folder.
        file: String,
        /// What went wrong.
        problem: String,
    },
    /// A row breaks the format.
    #[error("{file}, row {row}: {problem}")]
    Row {
        /// File name within the dataset folder.
        file: String,
        /// Row or record, from 0.
        row: usize,
        /// What is wrong.
        problem: String,
    },
    /// No dataset of that name.
    #[error("no dataset is called {name:?}{}", .suggestion.as_ref().map(|s| format!("; did you mean {s:?}?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
    },
    /// The set has no such split.
    #[error("{set} has no split {split:?}; it has {known}")]
    Split {
        /// Dataset.
        set: &'static str,
        /// What was asked for.
        split: String,
        /// Splits known.
        known: String,
    },
}

/// A set of samples; reading one never decodes pixels.
pub trait Dataset: Send + Sync {
    /// Facts about the set.
    fn info(&self) -> &DatasetInfo;

    /// Number of samples.
    fn len(&self) -> usize;

    /// True when there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sample `index`, from 0.
    fn get(&self, index: usize) -> Result<Sample, DataError>;
}

/// Scores one prediction at a time.
pub trait Metric: Send + Sync {
    /// Name in tables.
    fn name(&self) -> &'static str;

    /// Is more better?
    fn higher_is_better(&self) -> bool {
        true
    }

    /// The verdict.
    fn score(&self, sample: &Sample, prediction: &Prediction) -> Score;
}
