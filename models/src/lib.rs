//! Medical vision-language models, segmenters and text encoders on candle: the only crate that knows
//! tensors and devices.
//!
//! [`load`] opens a Hugging Face checkpoint folder strictly (a missing, unexpected or wrongly shaped
//! tensor is an error) and returns a [`VisionLanguageModel`]; [`load_segmenter`], [`load_volume_segmenter`]
//! and [`load_encoder`] do the same for models of the other seams. Every published family is a file of
//! [`families`] and a line of [`FAMILIES`]; adding one is described in `docs/adding-a-model.md`.
//!
//! Folders in the order in which data flow: `checkpoint` (files to settings and weights), `kernels` (products by
//! instruction set), `layers`,
//! `networks` (what has weights), `processors` (pictures to what networks read), `chat` (turns to tokens),
//! `engine` (batches of asks to replies), `families`.
//!
//! ```no_run
//! use loupe_core::{Ask, GenerationLimits, Picture, SegmentPrompt, VisionLanguageModel};
//! use loupe_models::{Checkpoint, LoadOptions};
//! use std::sync::Arc;
//!
//! let picture = Picture::new(448, 448, 1, vec![90; 448 * 448])?;
//!
//! let mut model = loupe_models::load("Lingshu-7B".as_ref(), &LoadOptions::default())?;
//! let ask = Ask::pictures_then(vec![Arc::new(picture.clone())], "Is there a nodule?", GenerationLimits::default());
//! for reply in model.generate(&[ask]) {
//!     println!("{}", reply?.text);
//! }
//!
//! let checkpoint = Checkpoint::directory("medsam".as_ref());
//! let mut segmenter = loupe_models::load_segmenter(&checkpoint, Some("medsam"), &LoadOptions::default())?;
//! let segments = segmenter.segment(&picture, &[SegmentPrompt::Box(picture.bounds())])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chat;
mod checkpoint;
mod engine;
mod error;
pub mod families;
mod family;
mod kernels;
mod layers;
mod networks;
mod options;
mod processors;
mod random;
mod summary;

pub use checkpoint::Checkpoint;
pub use checkpoint::gguf::GgufFiles;
pub use checkpoint::weights::{Dtype, Quant};
pub use error::LoadError;
pub use families::FAMILIES;
pub use family::{Clues, Family, Load, Loader};
pub use loupe_preprocess::resize::Backend as Resample;
pub use networks::sam::segmenter::{Decoded, Sam};
pub use networks::sam2::segmenter::Sam2;
pub use networks::sam2::volume::{FollowedFrame, SlicePrompts, TrackedSlice, Tracks};
pub use options::{Activations, DeviceChoice, LoadOptions, PixelBounds};
pub use summary::{DecoderSizes, Summary};

use loupe_core::{PairEncoder, Segmenter, TextEncoder, VisionLanguageModel, VolumeSegmenter};
use std::path::Path;

/// Loads the vision-language model in the folder `dir`.
///
/// # Errors
/// When the folder is not a checkpoint of a supported family, or does not hold exactly its tensors.
pub fn load(dir: &Path, options: &LoadOptions) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    load_checkpoint(&Checkpoint::directory(dir), options)
}

/// The family of a checkpoint, which can do what the options ask for: only models that answer show images in crops.
fn family(
    checkpoint: &Checkpoint,
    name: Option<&str>,
    options: &LoadOptions,
) -> Result<&'static Family, LoadError> {
    let family = families::find(checkpoint, name)?;
    match family.load {
        Loader::Answers(_) | Loader::Words(_) => Ok(family),
        _ if options.adapter.is_some() => {
            let problem =
                format!("{} takes none; adapters go with models that answer questions", family.name);
            Err(LoadError::Option { option: "--adapter", problem })
        }
        _ if options.pan_and_scan => Err(LoadError::NoCrops { family: family.name }),
        _ if options.quant.is_some() => {
            let problem = format!("only language models are quantised, and {} is none", family.name);
            Err(LoadError::Option { option: "--quant", problem })
        }
        _ if options.prompt_lookup > 0 => {
            let problem = format!("only for models that write replies, and {} is none", family.name);
            Err(LoadError::Option { option: "--prompt-lookup", problem })
        }
        _ => Ok(family),
    }
}

/// Loads a vision-language model from a folder or from bytes built into the program.
///
/// # Errors
/// As [`load`].
pub fn load_checkpoint(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let family = family(checkpoint, None, options)?;
    match &family.load {
        Loader::Answers(load) | Loader::Words(load) => load(checkpoint, options),
        other => Err(LoadError::Task { family: family.name, task: other.task() }),
    }
}

/// Loads a segmenter that takes prompts. `name` is the name of a family; without one, the family
/// is the one whose marks the checkpoint shows.
///
/// # Errors
/// When no family claims the checkpoint, the family takes no prompts, or the checkpoint does not
/// hold exactly its tensors.
pub fn load_segmenter(
    checkpoint: &Checkpoint,
    name: Option<&str>,
    options: &LoadOptions,
) -> Result<Box<dyn Segmenter>, LoadError> {
    let family = family(checkpoint, name, options)?;
    match &family.load {
        Loader::Segments(load) => {
            options.pixels.refuse(family.name)?;
            load(checkpoint, options)
        }
        other => Err(LoadError::Task { family: family.name, task: other.task() }),
    }
}

/// Loads a segmenter that labels whole volumes; as [`load_segmenter`].
///
/// # Errors
/// As [`load_segmenter`]; also when the family needs prompts.
pub fn load_volume_segmenter(
    checkpoint: &Checkpoint,
    name: Option<&str>,
    options: &LoadOptions,
) -> Result<Box<dyn VolumeSegmenter>, LoadError> {
    let family = family(checkpoint, name, options)?;
    match &family.load {
        Loader::Labels(load) => {
            options.pixels.refuse(family.name)?;
            load(checkpoint, options)
        }
        other => Err(LoadError::Task { family: family.name, task: other.task() }),
    }
}

/// Loads a checkpoint that gives pictures and texts vectors in one space.
///
/// # Errors
/// When no family claims the checkpoint, it does something else, or it does not hold exactly its tensors.
pub fn load_pair_encoder(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
) -> Result<Box<dyn PairEncoder>, LoadError> {
    let family = family(checkpoint, None, options)?;
    match &family.load {
        Loader::Pairs(load) => load(checkpoint, options),
        other => Err(LoadError::Task { family: family.name, task: other.task() }),
    }
}

/// Loads the text encoder of a checkpoint.
///
/// # Errors
/// When no family claims the checkpoint, or it does not hold exactly its tensors (heads for other
/// tasks are left out).
pub fn load_encoder(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
) -> Result<Box<dyn TextEncoder>, LoadError> {
    let family = family(checkpoint, None, options)?;
    match &family.load {
        Loader::Encodes { load, .. } => load(checkpoint, options),
        other => Err(LoadError::Task { family: family.name, task: other.task() }),
    }
}
