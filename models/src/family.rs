//! What a family of checkpoints is: the entry of the table in [`crate::families`].

use crate::checkpoint::Checkpoint;
use crate::checkpoint::source::StoredTensor;
use crate::error::LoadError;
use crate::options::LoadOptions;
use loupe_core::registry::Named;
use loupe_core::{PairEncoder, Segmenter, TextEncoder, VisionLanguageModel, VolumeSegmenter};
use serde_json::Value;
use std::cell::OnceCell;

/// Loads a model of the seam `T`.
pub type Load<T> = fn(&Checkpoint, &LoadOptions) -> Result<Box<T>, LoadError>;

/// What a family does, and what loads a checkpoint of it.
pub enum Loader {
    /// Answers questions about pictures.
    Answers(Load<dyn VisionLanguageModel>),
    /// Answers questions in words; pictures are refused.
    Words(Load<dyn VisionLanguageModel>),
    /// Segments what prompts point at.
    Segments(Load<dyn Segmenter>),
    /// Labels every voxel of a volume.
    Labels(Load<dyn VolumeSegmenter>),
    /// Gives pictures and texts vectors in one space.
    Pairs(Load<dyn PairEncoder>),
    /// Encodes texts.
    Encodes {
        /// The loader.
        load: Load<dyn TextEncoder>,
        /// For each of the examples, in order: the layer that the package bert_score takes.
        bert_score_layers: &'static [usize],
    },
}

impl Loader {
    /// What the family does, in words.
    pub const fn task(&self) -> &'static str {
        match self {
            Self::Answers(_) => "answers questions about pictures",
            Self::Words(_) => "answers questions in words alone and takes no pictures",
            Self::Segments(_) => "segments what points, boxes and masks describe and needs one of them",
            Self::Labels(_) => "labels whole volumes and takes no prompts",
            Self::Pairs(_) => "gives pictures and texts vectors in one space, to be compared",
            Self::Encodes { .. } => "encodes texts, for BERTScore",
        }
    }
}

/// Checkpoints that share an architecture and what is done around it.
pub struct Family {
    /// Name as in `loupe list models`; also its file in `families/`, with `_` for other characters.
    pub name: &'static str,
    /// Where it is described.
    pub paper: &'static str,
    /// Published checkpoints that are members.
    pub examples: &'static [&'static str],
    /// The layouts of checkpoints that tests load.
    pub layouts: &'static str,
    /// Licence of the examples as their publishers name it: a note, no advice.
    pub licence: &'static str,
    /// What tests hold it against, and how near it comes.
    pub parity: &'static str,
    /// How pixels (or words) become what the network reads and its output the answer, in words.
    pub input: &'static str,
    /// Names under `architectures` in config.json, when it has one.
    pub architectures: &'static [&'static str],
    /// True when a checkpoint shows the marks of the family.
    pub claims: fn(&Clues<'_>) -> bool,
    /// Name of the box dialect (`loupe_core::dialect`), when the family writes boxes.
    pub box_dialect: Option<&'static str>,
    /// The loader.
    pub load: Loader,
}

impl Named for Family {
    fn name(&self) -> &str {
        self.name
    }
}

impl Family {
    /// Published checkpoints with the layer that the package bert_score takes of each; none but for text
    /// encoders.
    pub fn bert_score_layers(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let layers = match self.load {
            Loader::Encodes { bert_score_layers, .. } => bert_score_layers,
            _ => &[],
        };
        self.examples.iter().copied().zip(layers.iter().copied())
    }
}

/// What a checkpoint shows before it is loaded.
pub struct Clues<'a> {
    checkpoint: &'a Checkpoint,
    config: Option<Value>,
    /// Read when a family asks for them.
    tensors: OnceCell<Result<Vec<StoredTensor>, LoadError>>,
}

impl<'a> Clues<'a> {
    /// Reads config.json, when there is one.
    ///
    /// # Errors
    /// When config.json is not JSON.
    pub(crate) fn of(checkpoint: &'a Checkpoint) -> Result<Self, LoadError> {
        Ok(Self { checkpoint, config: checkpoint.json("config.json")?, tensors: OnceCell::new() })
    }

    /// True when config.json names one of these classes, or this model type and no class.
    pub fn is(&self, architectures: &[&str], model_type: &str) -> bool {
        let Some(config) = &self.config else { return false };
        match config.get("architectures").and_then(Value::as_array).filter(|a| !a.is_empty()) {
            Some(named) => named.iter().any(|n| n.as_str().is_some_and(|n| architectures.contains(&n))),
            None => self.is_type(model_type),
        }
    }

    /// True when config.json has this model type, whatever class it names.
    pub fn is_type(&self, model_type: &str) -> bool {
        let config = self.config.as_ref();
        config.and_then(|c| c.get("model_type")).and_then(Value::as_str) == Some(model_type)
    }

    /// True when there is no config.json: the weights are in their authors' own format.
    pub fn no_config(&self) -> bool {
        self.config.is_none()
    }

    /// True when a tensor's name has this part.
    pub fn has_tensor(&self, part: &str) -> bool {
        self.tensors().as_ref().is_ok_and(|names| names.iter().any(|tensor| tensor.name.contains(part)))
    }

    /// Shape of the tensor of this name, when there is one.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let tensors = self.tensors().as_ref().ok()?;
        tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.shape.as_slice())
    }

    fn tensors(&self) -> &Result<Vec<StoredTensor>, LoadError> {
        self.tensors.get_or_init(|| self.checkpoint.tensors())
    }

    /// True when the folder or the name that config.json gives the checkpoint has this word,
    /// whatever its case, hyphens and underscores.
    pub fn is_called(&self, word: &str) -> bool {
        let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
        let origin = self.config.as_ref().and_then(|c| c.get("_name_or_path")).and_then(Value::as_str);
        [Some(self.checkpoint.name().as_str()), origin].into_iter().flatten().any(|n| plain(n).contains(word))
    }

    /// True when the folder has this file.
    pub fn has_file(&self, name: &str) -> bool {
        self.checkpoint.has(name)
    }

    /// What the checkpoint says it is, for a message that no family claims it.
    ///
    /// # Errors
    /// When it says nothing, because the files that could tell are missing or malformed.
    pub(crate) fn described(self) -> Result<String, LoadError> {
        let Self { checkpoint, config, tensors } = self;
        if let Some(config) = config {
            let named = config.get("architectures").and_then(|a| a.get(0));
            let named = named.or_else(|| config.get("model_type")).and_then(Value::as_str);
            return Ok(
                named.map_or_else(|| "a checkpoint without architecture".to_owned(), |n| format!("{n:?}"))
            );
        }
        match tensors.into_inner().unwrap_or_else(|| checkpoint.tensors()) {
            Ok(_) => Ok("a checkpoint without config.json".to_owned()),
            Err(LoadError::MissingFile { .. }) => Err(checkpoint.missing("config.json")),
            Err(error) => Err(error),
        }
    }
}
