//! SigLIP and MedSigLIP: a tower for pictures and one for texts, trained on pairs that do or do not belong together.

use crate::chat::tokenizer::BoundedTokenizer;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::{Dtype, Numbers, Weights};
use crate::error::{LoadError, computation};
use crate::family::{Family, Loader};
use crate::networks::siglip::{TextTower, VisionConfig, VisionTower, stack};
use crate::options::{LoadOptions, open_device};
use crate::processors::levels::HALVES;
use crate::processors::square::Square;
use candle_core::{DType, Device, Tensor};
use loupe_core::model::{CheckpointRecord, Provenance};
use loupe_core::{ModelError, ModelInfo, PairEncoder, PairLogit, Picture};

const ARCHITECTURES: &[&str] = &["SiglipModel"];
const TOKENIZER: &str = "tokenizer.json";

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
    load: Loader::Pairs(|checkpoint, options| Ok(Box::new(Siglip::load(checkpoint, options)?))),
};

struct Siglip {
    info: ModelInfo,
    square: Square,
    vision: VisionTower,
    text: TextTower,
    tokenizer: BoundedTokenizer,
    /// Stands behind short texts.
    padding: u32,
    /// Tokens of a text.
    length: usize,
    width: usize,
    logit: PairLogit,
    numbers: Numbers,
}

/// Names of `SiglipModel`; other writers put `model.` before them and saved buffers.
fn canonical(name: &str) -> Option<String> {
    let bare = name.strip_prefix("model.").or_else(|| name.strip_prefix("siglip.")).unwrap_or(name);
    (!bare.ends_with("embeddings.position_ids")).then(|| bare.to_owned())
}

impl Siglip {
    fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Self, LoadError> {
        let config = checkpoint.need_json("config.json")?;
        let root = Fields::new(&config, "config.json");
        let (text, vision) =
            (root.object_or_defaults("text_config")?, root.object_or_defaults("vision_config")?);
        if !vision.bool_or("vision_use_head", true)? {
            return Err(vision.bad("vision_use_head", "without its head the tower gives a picture no vector"));
        }
        let (vision, layers) = (VisionConfig::read(&vision)?, stack(&text)?);
        let vocab = text.positive_or("vocab_size", 32_000)?;
        let length = text.positive_or("max_position_embeddings", 64)?;
        let width = text.positive_or("projection_size", layers.hidden)?;
        if width != vision.stack.hidden {
            let problem =
                format!("{width} does not fit vectors of pictures, which have {}", vision.stack.hidden);
            return Err(text.bad("projection_size", problem));
        }
        let file = ProcessorFile::read(checkpoint, &config)?;
        let class = file.class(&["SiglipImageProcessor"])?;
        let backend = options.resample.unwrap_or_else(|| file.backend(&class));
        let square = Square::read(&file, vision.side, backend, (3, HALVES))?;
        let padding = text.usize_or("pad_token_id", 1)? as u32;
        let (tokenizer, padding) = read_tokenizer(checkpoint, vocab, padding)?;

        let (device, device_name) = open_device(options.device)?;
        let dtype = options.dtype.unwrap_or(Dtype::F32);
        let w = Weights::open(checkpoint, Numbers::new(device, dtype), canonical)?;
        let one = |name: &str| -> Result<f64, LoadError> {
            Ok(w.f32(name, &[1])?.first().map_or(0.0, |v| f64::from(*v)))
        };
        let logit = PairLogit { scale: one("logit_scale")?.exp(), bias: one("logit_bias")? };
        if !(logit.scale.is_finite() && logit.bias.is_finite()) {
            let problem = "logit_scale and logit_bias make logits that are not finite".to_owned();
            return Err(LoadError::File { file: "model.safetensors".into(), problem });
        }
        let vision = VisionTower::load(&w, "vision_model.", vision, true)?;
        let text = TextTower::load(&w, "text_model.", layers, [vocab, length, width])?;
        let (parameters, numbers) = (w.parameters(), w.numbers.clone());
        w.finish()?;
        let info = ModelInfo {
            family: FAMILY.name.to_owned(),
            name: checkpoint.name(),
            box_dialect: "none".to_owned(),
            context_tokens: Some(length),
            from: Provenance::Checkpoint(CheckpointRecord {
                resample: backend.name().to_owned(),
                ..checkpoint.record(parameters, dtype.name(), device_name)?
            }),
        };
        Ok(Self { info, square, vision, text, tokenizer, padding, length, width, logit, numbers })
    }

    /// The vector that a tower gave, of length 1.
    fn unit(given: candle_core::Result<Tensor>) -> Result<Vec<f32>, ModelError> {
        let failed = |e: candle_core::Error| ModelError::Compute(computation(&e));
        let values = given.and_then(|t| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
        let values = values.map_err(failed)?;
        let norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if !(norm > 0.0 && norm.is_finite()) {
            return Err(ModelError::Compute(format!("the vector has length {norm}")));
        }
        Ok(values.into_iter().map(|v| (f64::from(v) / norm) as f32).collect())
    }
}

/// tokenizer.json and the padding token: the one that tokenizer_config.json names, or `padding`.
fn read_tokenizer(
    checkpoint: &Checkpoint,
    vocab: usize,
    padding: u32,
) -> Result<(BoundedTokenizer, u32), LoadError> {
    let failed = |problem: String| LoadError::File { file: TOKENIZER.into(), problem };
    // What is padded to which length is settled here.
    let tokenizer =
        BoundedTokenizer::read(&checkpoint.need_bytes(TOKENIZER)?, None, false).map_err(failed)?;
    let settings = checkpoint.json("tokenizer_config.json")?;
    let named = settings.as_ref().and_then(|s| s.get("pad_token"));
    let named = named.and_then(|t| t.as_str().or_else(|| t.get("content")?.as_str()));
    let padding = named.and_then(|name| tokenizer.inner().token_to_id(name)).unwrap_or(padding);
    if padding as usize >= vocab {
        return Err(failed(format!("the padding token {padding} is outside the vocabulary of {vocab}")));
    }
    Ok((tokenizer, padding))
}

impl PairEncoder for Siglip {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn width(&self) -> usize {
        self.width
    }

    fn logit(&self) -> PairLogit {
        self.logit
    }

    fn picture(&mut self, picture: &Picture) -> Result<Vec<f32>, ModelError> {
        let side = self.square.side;
        let bad = |problem: String| ModelError::Picture { index: 0, problem };
        let planes =
            Tensor::from_vec(self.square.planes(picture).map_err(bad)?, (3, side, side), &Device::Cpu)
                .and_then(|t| t.to_dtype(self.numbers.activations)?.to_device(&self.numbers.device));
        Self::unit(planes.and_then(|planes| self.vision.pooled(&planes)))
    }

    fn text(&mut self, text: &str) -> Result<Vec<f32>, ModelError> {
        if text.len() > self.tokenizer.most_bytes(self.length) {
            let tokens = self.tokenizer.least_tokens(text.len());
            return Err(ModelError::TooLong { tokens, limit: self.length });
        }
        let failed = |problem: String| ModelError::Compute(format!("tokenizing: {problem}"));
        let mut ids = self.tokenizer.encode(text, true).map_err(failed)?;
        if ids.len() > self.length {
            return Err(ModelError::TooLong { tokens: ids.len(), limit: self.length });
        }
        ids.resize(self.length, self.padding);
        Self::unit(self.text.forward(&ids))
    }
}
