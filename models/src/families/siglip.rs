//! SigLIP and MedSigLIP: a tower for pictures and one for texts, trained on pairs that do or do not belong together.

use super::pairs::{Described, TOKENIZER, Towers, assemble, named_token, number};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::siglip::{TextTower, VisionConfig, VisionTower, stack};
use crate::options::LoadOptions;
use crate::processors::levels::HALVES;
use crate::processors::square::Square;
use candle_core::{Result as Computed, Tensor};
use loupe_core::{PairEncoder, PairLogit, PairReading, Picture};

const ARCHITECTURES: &[&str] = &["SiglipModel"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "siglip",
    paper: "SigLIP, arXiv 2303.15343; MedSigLIP: MedGemma Technical Report, arXiv 2507.05201",
    examples: &["google/medsiglip-448", "google/siglip-so400m-patch14-384"],
    layouts: "Hugging Face folders of transformers 4.x and 5, with tokenizer.json",
    licence: "Apache-2.0; Health AI Developer Foundations terms of use for MedSigLIP",
    parity: "transformers 5.24, 3 shapes: vectors 1e-5, logits 5e-5",
    input: "pictures squashed to a square (448 × 448 for MedSigLIP), levels from -1 to 1; texts padded to all \
            positions",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "siglip"),
    box_dialect: None,
    load: Loader::Pairs(load),
};

/// The towers, with what is before them.
struct Siglip {
    square: Square,
    vision: VisionTower,
    text: TextTower,
    /// Stands behind short texts.
    padding: u32,
    /// Tokens of a text.
    length: usize,
}

/// Names of `SiglipModel`; other writers put `model.` before them and saved buffers.
fn canonical(name: &str) -> Option<String> {
    let bare = name.strip_prefix("model.").or_else(|| name.strip_prefix("siglip.")).unwrap_or(name);
    (!bare.ends_with("embeddings.position_ids")).then(|| bare.to_owned())
}

fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn PairEncoder>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    let (text, vision) = (root.object_or_defaults("text_config")?, root.object_or_defaults("vision_config")?);
    if !vision.bool_or("vision_use_head", true)? {
        return Err(vision.bad("vision_use_head", "without its head the tower gives a picture no vector"));
    }
    let (vision, layers) = (VisionConfig::read(&vision)?, stack(&text)?);
    let vocab = text.positive_or("vocab_size", 32_000)?;
    let length = text.positive_or("max_position_embeddings", 64)?;
    let width = text.positive_or("projection_size", layers.hidden)?;
    if width != vision.stack.hidden {
        let problem = format!("{width} does not fit vectors of pictures, which have {}", vision.stack.hidden);
        return Err(text.bad("projection_size", problem));
    }
    let file = ProcessorFile::read(checkpoint, &config)?;
    let class = file.class(&["SiglipImageProcessor"])?;
    let backend = options.resample.unwrap_or_else(|| file.backend(&class));
    let square = Square::read(&file, vision.side, backend, (3, HALVES))?;
    let padding = match named_token(checkpoint, "pad_token")? {
        Some(id) => id,
        None => text.usize_or("pad_token_id", 1)? as u32,
    };
    if padding as usize >= vocab {
        let problem = format!("the padding token {padding} is outside the vocabulary of {vocab}");
        return Err(LoadError::File { file: TOKENIZER.into(), problem });
    }
    assemble(checkpoint, options, canonical, |w| {
        let (scale, bias) = (number(w, "logit_scale")?.exp(), number(w, "logit_bias")?);
        let towers = Siglip {
            square,
            vision: VisionTower::load(w, "vision_model.", vision, true)?,
            text: TextTower::load(w, "text_model.", layers, [vocab, length, width])?,
            padding,
            length,
        };
        let described = Described { family: FAMILY.name, vocab, length, width, backend };
        Ok((towers, PairLogit { scale, bias, reading: PairReading::Each }, described))
    })
}

impl Towers for Siglip {
    fn planes(&self, picture: &Picture) -> Result<(Vec<f32>, usize), String> {
        Ok((self.square.planes(picture)?, self.square.side))
    }

    fn picture(&self, planes: &Tensor) -> Computed<Tensor> {
        self.vision.pooled(planes)
    }

    fn text(&self, mut ids: Vec<u32>) -> Computed<Tensor> {
        ids.resize(self.length, self.padding);
        self.text.forward(&ids)
    }
}
