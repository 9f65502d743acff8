//! What encoders of pictures and texts share: the way from a checkpoint to a [`PairEncoder`], and from a picture or a
//! text to its vector.

use crate::chat::tokenizer::BoundedTokenizer;
use crate::chat::wordpiece;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::token_ids::token_text;
use crate::checkpoint::weights::{Dtype, Numbers, Weights};
use crate::engine::architecture::VISION_FEATURES;
use crate::error::{LoadError, computation};
use crate::layers::all_finite;
use crate::networks::bottleneck::capacities;
use crate::networks::clip::PictureTower;
use crate::options::{LoadOptions, open_device};
use crate::processors::centred::Centred;
use candle_core::{DType, Result as Computed, Tensor};
use loupe_core::encoder::no_saliency;
use loupe_core::model::{CheckpointRecord, Provenance};
use loupe_core::{Bottleneck, ModelError, ModelInfo, PairEncoder, PairLogit, Picture, Saliency};
use loupe_preprocess::resize::Backend;

pub(super) const TOKENIZER: &str = "tokenizer.json";

/// The two towers of a family.
pub(super) trait Towers: Send {
    /// Pixel values of a picture, plane after plane, and the pixels of a side.
    fn planes(&self, picture: &Picture) -> Result<(Vec<f32>, usize), String>;

    /// The vector of a picture (3, side, side), of any length: (1, width).
    fn picture(&self, planes: &Tensor) -> Computed<Tensor>;

    /// The vector of a text of so many tokens at most, of any length: (1, width).
    fn text(&self, ids: Vec<u32>) -> Computed<Tensor>;

    /// The tower that reads pictures and what is before it, where it is one that an information bottleneck fits in.
    fn attributed(&self) -> Option<(&PictureTower, &Centred)> {
        None
    }
}

/// What the files say of an encoder.
pub(super) struct Described {
    pub(super) family: &'static str,
    /// Tokens that have an embedding, and tokens of the longest text.
    pub(super) vocab: usize,
    pub(super) length: usize,
    /// Values of a vector.
    pub(super) width: usize,
    pub(super) backend: Backend,
}

/// A loaded encoder.
struct Pairs<T> {
    info: ModelInfo,
    towers: T,
    tokenizer: BoundedTokenizer,
    described: Described,
    logit: PairLogit,
    numbers: Numbers,
}

/// Opens the weights, of which `build` uses all.
pub(super) fn assemble<T: Towers + 'static>(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    canonical: fn(&str) -> Option<String>,
    build: impl FnOnce(&Weights) -> Result<(T, PairLogit, Described), LoadError>,
) -> Result<Box<dyn PairEncoder>, LoadError> {
    let failed = |problem: String| LoadError::File { file: TOKENIZER.into(), problem };
    let place = open_device(options.device)?;
    let dtype = options.dtype.unwrap_or(Dtype::F32);
    let w = Weights::open(checkpoint, place.numbers(dtype), canonical)?;
    let (towers, logit, described) = build(&w)?;
    let (parameters, numbers) = (w.parameters(), w.numbers.clone());
    w.finish()?;
    if !(logit.scale.is_finite() && logit.bias.is_finite()) {
        let problem = "logit_scale and logit_bias make logits that are not finite".to_owned();
        return Err(LoadError::File { file: checkpoint.weight_files()?.join(", "), problem });
    }
    let tokenizer = BoundedTokenizer::read(&tokenizer_of(checkpoint)?, None, false).map_err(failed)?;
    let info = ModelInfo {
        family: described.family.to_owned(),
        name: checkpoint.name(),
        box_dialect: "none".to_owned(),
        context_tokens: Some(described.length),
        from: Provenance::Checkpoint(CheckpointRecord {
            resample: described.backend.name().to_owned(),
            ..checkpoint.record(parameters, dtype.name(), place.name)?
        }),
    };
    Ok(Box::new(Pairs { info, towers, tokenizer, described, logit, numbers }))
}

/// tokenizer.json, or what the vocabulary of a BERT means where only that is there.
fn tokenizer_of(checkpoint: &Checkpoint) -> Result<Vec<u8>, LoadError> {
    match checkpoint.has(wordpiece::VOCABULARY) && !checkpoint.has(TOKENIZER) {
        true => wordpiece::tokenizer(checkpoint),
        false => checkpoint.need_bytes(TOKENIZER),
    }
}

/// A number that is a tensor of its own.
pub(super) fn number(w: &Weights, name: &str) -> Result<f64, LoadError> {
    let shape = w.shape(name).filter(|shape| shape.iter().all(|n| *n == 1)).unwrap_or_default();
    Ok(w.f32(name, &shape)?.first().map_or(0.0, |v| f64::from(*v)))
}

/// The token that tokenizer_config.json names for `role` (`pad_token`), where it is one of tokenizer.json.
pub(super) fn named_token(checkpoint: &Checkpoint, role: &str) -> Result<Option<u32>, LoadError> {
    let settings = checkpoint.json("tokenizer_config.json")?;
    let named = settings.as_ref().and_then(|s| s.get(role));
    let Some(named) = named.and_then(token_text) else { return Ok(None) };
    let tokenizer = checkpoint.need_json(TOKENIZER)?;
    let added = tokenizer.get("added_tokens").and_then(|a| a.as_array()).into_iter().flatten();
    let mut ids = added.filter(|t| t.get("content").and_then(|c| c.as_str()) == Some(named));
    Ok(ids.find_map(|t| t.get("id")?.as_u64()).and_then(|id| u32::try_from(id).ok()))
}

/// The vector that a tower gave, of length 1; `what` it is called.
fn unit(given: Computed<Tensor>, what: &'static str) -> Result<Vec<f32>, ModelError> {
    let values = given.and_then(|t| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
    let values = values.map_err(|e| ModelError::Compute(computation(&e)))?;
    if !all_finite(&values) {
        return Err(ModelError::NotFinite(what));
    }
    let norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if !(norm > 0.0 && norm.is_finite()) {
        return Err(ModelError::Compute(format!("the vector has length {norm}")));
    }
    Ok(values.into_iter().map(|v| (f64::from(v) / norm) as f32).collect())
}

impl<T: Towers> PairEncoder for Pairs<T> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn width(&self) -> usize {
        self.described.width
    }

    fn logit(&self) -> PairLogit {
        self.logit
    }

    fn picture(&mut self, picture: &Picture) -> Result<Vec<f32>, ModelError> {
        let bad = |problem: String| ModelError::Picture { index: 0, problem };
        let (values, side) = self.towers.planes(picture).map_err(bad)?;
        let planes = self.numbers.place(values, (3, side, side)).map_err(bad)?;
        unit(self.towers.picture(&planes), VISION_FEATURES)
    }

    fn text(&mut self, text: &str) -> Result<Vec<f32>, ModelError> {
        let limit = self.described.length;
        if text.len() > self.tokenizer.most_bytes(limit) {
            return Err(ModelError::TooLong { tokens: self.tokenizer.least_tokens(text.len()), limit });
        }
        let failed = |problem: String| ModelError::Compute(format!("tokenizing: {problem}"));
        let ids = self.tokenizer.encode(text, true).map_err(failed)?;
        if ids.len() > limit {
            return Err(ModelError::TooLong { tokens: ids.len(), limit });
        }
        let vocab = self.described.vocab;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocab) {
            return Err(failed(format!("token {id} is outside the vocabulary of {vocab}")));
        }
        unit(self.towers.text(ids), "text features")
    }
    fn saliency(&mut self, picture: &Picture, text: &str, how: &Bottleneck) -> Result<Saliency, ModelError> {
        let wrong = |setting: &'static str, problem: String| ModelError::Setting { setting, problem };
        let words = self.text(text)?;
        let Some((tower, centred)) = self.towers.attributed() else {
            return Err(no_saliency(self.described.family));
        };
        let (depth, grid) = (tower.tower.depth(), tower.tower.config.grid());
        // Behind the last layer places no longer reach the vector, and the map would be the same for every text.
        if how.layer >= depth.saturating_sub(1) {
            let problem = format!(
                "{} was asked for; of the {depth} layers of the tower those from 0 to {} have one behind them through \
                 which places reach the vector",
                how.layer,
                depth.saturating_sub(2)
            );
            return Err(wrong("layer", problem));
        }
        for (setting, asked, most) in
            [("steps", how.steps, Bottleneck::MOST_STEPS), ("draws", how.draws, Bottleneck::MOST_DRAWS)]
        {
            if !(1..=most).contains(&asked) {
                return Err(wrong(setting, format!("{asked} was asked for; it has to be 1 to {most}")));
            }
        }
        if !(how.beta > 0.0 && how.beta.is_finite()) {
            return Err(wrong("beta", format!("{} was asked for; it has to be a number above 0", how.beta)));
        }
        let seen = centred.seen([picture.width(), picture.height()]);
        let bad = |problem: String| ModelError::Picture { index: 0, problem };
        let (values, side) = self.towers.planes(picture).map_err(bad)?;
        let planes = self.numbers.place(values, (3, side, side)).map_err(bad)?;
        let words = self.numbers.place(words, (1, self.described.width)).map_err(ModelError::Compute)?;
        let passed = tower
            .tower
            .forward(&planes, how.layer + 1)
            .and_then(|x| capacities(&x, &words, how, |instead| tower.behind(instead, how.layer + 1)));
        let passed = passed.map_err(|e| ModelError::Compute(computation(&e)))?;
        if !all_finite(&passed) {
            return Err(ModelError::Compute("the information that passes is no finite number".into()));
        }
        // The class token stands before the places.
        Ok(Saliency { grid: [grid; 2], cells: passed.get(1..).unwrap_or_default().to_vec(), seen, side })
    }
}
