//! One file a segmenter family, and the table of all of them.
//!
//! Families that share an architecture differ in the recipe that turns pictures into input and
//! logits into masks; a family is an architecture with its recipe.

use crate::checkpoint::Checkpoint;
use crate::error::nearest;
use crate::{LoadError, LoadOptions};
use loupe_core::{Segmenter, VolumeSegmenter};
use serde_json::Value;

pub mod medsam;
pub mod medsam2;
pub mod meshnet;
pub mod mobile_sam;
pub mod sam;
pub mod sam2;
pub mod sam_med2d;

pub use crate::sam::{Decoded, Sam};
pub use crate::sam2::{FollowedFrame, Sam2, SlicePrompts, TrackedSlice, Tracks};

/// Loads a model of the seam `T`.
pub type Load<T> = fn(&Checkpoint, &LoadOptions) -> Result<Box<T>, LoadError>;

/// What loads a checkpoint of a family.
pub enum SegmenterLoader {
    /// Outlines on pictures, from prompts.
    Picture(Load<dyn Segmenter>),
    /// Labels of whole volumes, without prompts.
    Volume(Load<dyn VolumeSegmenter>),
}

/// A family of segmenters that share architecture and input recipe.
pub struct SegmenterFamily {
    /// Name as in `loupe list models`; also the file of this folder, with `_` for other characters.
    pub name: &'static str,
    /// Where it is described.
    pub paper: &'static str,
    /// Published checkpoints that are members.
    pub examples: &'static [&'static str],
    /// How pixels become input and output becomes masks, in words.
    pub recipe: &'static str,
    /// True when a checkpoint shows the marks of the family. The first family of the table wins, so
    /// families with special marks stand before general ones.
    pub claims: fn(&Clues<'_>) -> bool,
    /// The loader.
    pub load: SegmenterLoader,
}

/// Every family of segmenters.
pub static SEGMENTERS: &[&SegmenterFamily] = &[
    &meshnet::FAMILY,
    &medsam2::FAMILY,
    &sam2::FAMILY,
    &mobile_sam::FAMILY,
    &sam_med2d::FAMILY,
    &medsam::FAMILY,
    &sam::FAMILY,
];

/// What a checkpoint shows before it is loaded.
pub struct Clues<'a> {
    checkpoint: &'a Checkpoint,
    config: Option<Value>,
    tensors: Vec<String>,
}

impl<'a> Clues<'a> {
    fn of(checkpoint: &'a Checkpoint) -> Result<Self, LoadError> {
        let tensors = match checkpoint.tensor_names() {
            // Not every family keeps its weights in safetensors.
            Err(LoadError::MissingFile { .. }) => Vec::new(),
            other => other?,
        };
        Ok(Self { checkpoint, config: checkpoint.json("config.json")?, tensors })
    }

    /// True when config.json names this class, or this model type and no class.
    pub fn is(&self, architecture: &str, model_type: &str) -> bool {
        let Some(config) = &self.config else { return false };
        match config.get("architectures").and_then(Value::as_array).filter(|a| !a.is_empty()) {
            Some(named) => named.iter().any(|n| n.as_str() == Some(architecture)),
            None => config.get("model_type").and_then(Value::as_str) == Some(model_type),
        }
    }

    /// True when there is no config.json: the weights are in their authors' own format.
    pub fn no_config(&self) -> bool {
        self.config.is_none()
    }

    /// True when a tensor's name has this part.
    pub fn has_tensor(&self, part: &str) -> bool {
        self.tensors.iter().any(|name| name.contains(part))
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

    fn described(&self) -> String {
        let Some(config) = &self.config else { return "checkpoint without config.json".to_owned() };
        let named = config.get("architectures").and_then(|a| a.get(0)).or_else(|| config.get("model_type"));
        named.and_then(Value::as_str).unwrap_or("checkpoint without architecture").to_owned()
    }
}

/// The family called `name`.
///
/// # Errors
/// When there is none; the message has the nearest name.
pub fn segmenter_family(name: &str) -> Result<&'static SegmenterFamily, LoadError> {
    let found = SEGMENTERS.iter().find(|f| f.name == name);
    found.copied().ok_or_else(|| unknown(name.to_owned()))
}

/// The family whose marks a checkpoint shows.
///
/// # Errors
/// When no family claims it or a file is malformed.
pub fn segmenter_of(checkpoint: &Checkpoint) -> Result<&'static SegmenterFamily, LoadError> {
    let clues = Clues::of(checkpoint)?;
    let found = SEGMENTERS.iter().find(|f| (f.claims)(&clues));
    found.copied().ok_or_else(|| unknown(clues.described()))
}

fn unknown(found: String) -> LoadError {
    let known = || SEGMENTERS.iter().map(|f| f.name);
    LoadError::UnknownFamily {
        suggestion: nearest(&found, known()),
        found,
        known: known().collect::<Vec<_>>().join(", "),
    }
}

/// Loads a segmenter that takes prompts. `family` is the name of a family; without one, the family
/// is the one whose marks the checkpoint shows.
///
/// # Errors
/// When no family claims the checkpoint, the family takes no prompts, or the checkpoint does not
/// hold exactly its tensors.
pub fn load_segmenter(
    checkpoint: &Checkpoint,
    family: Option<&str>,
    options: &LoadOptions,
) -> Result<Box<dyn Segmenter>, LoadError> {
    let family = chosen(checkpoint, family)?;
    match family.load {
        SegmenterLoader::Picture(load) => load(checkpoint, options),
        SegmenterLoader::Volume(_) => {
            Err(LoadError::Kind { family: family.name, kind: "labels whole volumes and takes no prompts" })
        }
    }
}

/// Loads a segmenter that labels whole volumes; as [`load_segmenter`].
///
/// # Errors
/// As [`load_segmenter`]; also when the family needs prompts.
pub fn load_volume_segmenter(
    checkpoint: &Checkpoint,
    family: Option<&str>,
    options: &LoadOptions,
) -> Result<Box<dyn VolumeSegmenter>, LoadError> {
    let family = chosen(checkpoint, family)?;
    match family.load {
        SegmenterLoader::Volume(load) => load(checkpoint, options),
        SegmenterLoader::Picture(_) => {
            Err(LoadError::Kind { family: family.name, kind: "outlines what prompts point at and needs one" })
        }
    }
}

fn chosen(checkpoint: &Checkpoint, family: Option<&str>) -> Result<&'static SegmenterFamily, LoadError> {
    family.map_or_else(|| segmenter_of(checkpoint), segmenter_family)
}
