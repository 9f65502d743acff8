//! Qwen2-VL and Qwen2.5-VL for the engine.

use super::config::QwenConfig;
use super::vision::Vision;
use crate::arch::{Architecture, Shown};
use crate::checkpoint::Checkpoint;
use crate::engine::Engine;
use crate::families::Family;
use crate::image_processor::{ImageProcessor, Layout};
use crate::layers::decoder::Decoder;
use crate::template::CHATML_WITH_PICTURES;
use crate::{LoadError, LoadOptions};
use candle_core::{Device, Tensor};
use loupe_core::{Picture, VisionLanguageModel};

/// The network and the picture settings.
struct Qwen {
    vision: Vision,
    decoder: Decoder,
    processor: ImageProcessor,
    image_token: u32,
    numbers: crate::weights::Numbers,
}

/// Loads a checkpoint of `family`; `windowed` for the tower of Qwen2.5-VL.
pub(crate) fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    family: &'static Family,
    windowed: bool,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let settings = checkpoint.need_json("config.json")?;
    let config = QwenConfig::read(&settings, windowed)?;
    let processor = ImageProcessor::read(checkpoint, &settings, options.resample)?;
    let v = &config.vision;
    if (processor.patch, processor.merge, processor.temporal) != (v.patch, v.merge, v.temporal) {
        return Err(LoadError::Field {
            file: "preprocessor_config.json",
            field: "patch_size, merge_size, temporal_patch_size".into(),
            problem: "differ from vision_config in config.json".into(),
        });
    }
    Engine::load(checkpoint, options, family, processor.backend, CHATML_WITH_PICTURES, canonical, |weights| {
        let vision = Vision::load(weights, "model.visual.", config.vision.clone())?;
        let decoder = Decoder::load(weights, "model.language_model.", config.text.clone())?;
        let numbers = weights.numbers.clone();
        Ok(Qwen { vision, decoder, processor, image_token: config.image_token, numbers })
    })
}

/// Names of transformers 4.52 and later; older files have `visual.` and `model.` at the top.
fn canonical(name: &str) -> Option<String> {
    if name.ends_with("rotary_emb.inv_freq") || name.ends_with("rotary_pos_emb.inv_freq") {
        return None;
    }
    let own = if name.starts_with("visual.") {
        format!("model.{name}")
    } else if let Some(rest) = name.strip_prefix("language_model.") {
        format!("model.language_model.{}", rest.strip_prefix("model.").unwrap_or(rest))
    } else {
        match name.strip_prefix("model.") {
            Some(rest) if !rest.starts_with("visual.") && !rest.starts_with("language_model.") => {
                format!("model.language_model.{rest}")
            }
            _ => name.to_owned(),
        }
    };
    Some(own)
}

fn layout(shown: &Shown) -> Layout {
    Layout { grid: shown.grid, tokens: shown.tokens, resized: shown.resized }
}

impl Architecture for Qwen {
    fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn picture_token(&self) -> u32 {
        self.image_token
    }

    fn show(&self, picture: &Picture) -> Result<Shown, String> {
        let Layout { grid, tokens, resized } = self.processor.layout(picture.width(), picture.height())?;
        Ok(Shown { grid, tokens, resized })
    }

    fn fingerprint(&self) -> Vec<u8> {
        self.processor.fingerprint()
    }

    fn patches(&self, picture: &Picture, shown: &Shown) -> Result<Tensor, String> {
        let values = self.processor.patches(picture, &layout(shown))?;
        let rows = shown.grid.iter().product::<usize>();
        let shape = (rows, values.len() / rows.max(1));
        let placed = Tensor::from_vec(values, shape, &Device::Cpu)
            .and_then(|t| t.to_dtype(self.numbers.activations))
            .and_then(|t| t.to_device(&self.numbers.device));
        placed.map_err(|e| e.to_string())
    }

    fn encode(&self, patches: &Tensor, shown: &Shown) -> candle_core::Result<Tensor> {
        self.vision.forward(patches, &layout(shown))
    }

    /// `get_rope_index`: rows and columns of merged patches count up from `next`; what follows
    /// starts after the longer side, not after the number of tokens.
    fn positions(&self, shown: &Shown, next: u32) -> (Vec<[u32; 3]>, u32) {
        let merge = self.processor.merge;
        let [_, rows, columns] = shown.grid;
        let (rows, columns) = ((rows / merge) as u32, (columns / merge) as u32);
        let cells = (0..rows).flat_map(|y| (0..columns).map(move |x| [next, next + y, next + x]));
        (cells.collect(), next + rows.max(columns))
    }
}
