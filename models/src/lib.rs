//! Medical vision-language models on candle: the only crate that knows tensors and devices.
//!
//! [`load`] opens a Hugging Face checkpoint folder strictly (a missing, unexpected or wrongly shaped
//! tensor is an error) and returns a [`VisionLanguageModel`]. Families are files of [`families`];
//! adding one is described in `docs/adding-a-model.md`. [`load_segmenter`] and
//! [`load_volume_segmenter`] do the same for the families of [`segmenters`], [`load_encoder`] for the text
//! encoders of [`encoders`].

mod arch;
mod cache;
mod checkpoint;
mod dump;
mod encoder;
pub mod encoders;
mod engine;
mod error;
pub mod families;
mod fields;
mod generate;
mod image_processor;
mod layers;
mod plan;
mod prompt;
mod qwen;
mod sam;
mod sam2;
pub mod segmenters;
mod template;
mod tokens;
mod weights;

pub use checkpoint::Checkpoint;
pub use encoders::{ENCODERS, EncoderFamily, load_encoder};
pub use error::LoadError;
pub use families::{FAMILIES, Family};
pub use loupe_preprocess::resize::Backend as Resample;
pub use segmenters::{SEGMENTERS, SegmenterFamily, load_segmenter, load_volume_segmenter};
pub use weights::Dtype;

use loupe_core::VisionLanguageModel;
use std::path::{Path, PathBuf};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// The CUDA device with this number (needs the feature `cuda`).
    Cuda(usize),
}

/// Settings of [`load`]; the default is the processor, f32 and the checkpoint's own resampling.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where to compute.
    pub device: DeviceChoice,
    /// Number type of the weights; `None` for f32 on the processor and bf16 on CUDA.
    pub dtype: Option<Dtype>,
    /// Whose resizing to reproduce; `None` for what the processor file means.
    pub resample: Option<Resample>,
    /// Bytes that computed prefixes and picture features may take.
    pub cache_bytes: u64,
    /// Folder that receives `dump.safetensors` with everything the last ask's model saw and
    /// computed; nothing is then taken from the cache.
    pub dump: Option<PathBuf>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { device: DeviceChoice::Cpu, dtype: None, resample: None, cache_bytes: 1 << 30, dump: None }
    }
}

/// Loads the checkpoint in the folder `dir`.
///
/// # Errors
/// When the folder is not a checkpoint of a supported family, or does not hold exactly its tensors.
pub fn load(dir: &Path, options: &LoadOptions) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    load_checkpoint(&Checkpoint::directory(dir), options)
}

/// Loads a checkpoint from a folder or from bytes built into the program.
///
/// # Errors
/// As [`load`].
pub fn load_checkpoint(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    (families::of_config(&config)?.load)(checkpoint, options)
}
