//! BERT's encoder (Devlin et al. 2019, arXiv 1810.04805), which RoBERTa and DistilBERT share: learnt
//! positions, attention over the whole text, normalisation after every sum.
//!
//! Texts are computed one token a row without padding, those of equal length together in one
//! attention, so that a batch changes nothing about its texts.

use crate::chat::tokenizer::BoundedTokenizer;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::token_ids;
use crate::checkpoint::weights::{Dtype, Weights};
use crate::error::{LoadError, computation};
use crate::layers::all_finite;
use crate::layers::fused::{attend, gelu};
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::options::LoadOptions;
use crate::options::open_device;
use candle_core::{DType, Result as Computed, Tensor};
use loupe_core::model::Provenance;
use loupe_core::{EncodedText, ModelError, ModelInfo, TextEncoder};
use serde_json::Value;
use tokenizers::utils::truncation::{TruncationDirection, TruncationParams, TruncationStrategy};

/// Tokens computed at a time; a longer text goes alone.
const BATCH: usize = 4096;
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
/// Tensors behind or beside the encoder: heads for other tasks, and buffers that older writers saved.
const LEFT_OUT: &[&str] = &[
    "pooler.",
    "cls.",
    "lm_head.",
    "classifier.",
    "pre_classifier.",
    "qa_outputs.",
    "vocab_transform.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "embeddings.position_ids",
    "embeddings.token_type_ids",
];

/// What a family calls fields and tensors.
pub(crate) struct Names {
    pub(crate) width: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) heads: &'static str,
    pub(crate) wide: &'static str,
    pub(crate) activation: &'static str,
    /// Field with the rows of the table of token types; none without such a table.
    pub(crate) token_types: Option<&'static str>,
    /// Parts of tensor names and what BERT calls them.
    pub(crate) tensors: &'static [(&'static str, &'static str)],
}

impl Names {
    pub(crate) const BERT: Self = Self {
        width: "hidden_size",
        layers: "num_hidden_layers",
        heads: "num_attention_heads",
        wide: "intermediate_size",
        activation: "hidden_act",
        token_types: Some("type_vocab_size"),
        tensors: &[],
    };
}

/// How a relative of BERT differs from it.
pub(crate) struct BertDialect {
    /// The family's name: `model_type` in config.json and the prefix of its tensors.
    pub(crate) family: &'static str,
    pub(crate) names: Names,
    /// Positions count from behind the padding token's id, which fills the rows before it.
    pub(crate) after_padding: bool,
    /// The vocabulary marks a word by the space before it.
    pub(crate) space_before: bool,
}

/// A tensor's name in BERT's own words.
fn canonical(name: &str, family: &BertDialect) -> Option<String> {
    let bare = name.strip_prefix(family.family).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
    if LEFT_OUT.iter().any(|left| bare.starts_with(left)) {
        return None;
    }
    let mut own = bare.to_owned();
    for (theirs, ours) in family.names.tensors {
        own = own.replace(theirs, ours);
    }
    // As TensorFlow's checkpoints call them.
    Some(own.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"))
}

struct Layer {
    qkv: Linear,
    merge: Linear,
    attention_norm: Norm,
    widen: Linear,
    narrow: Linear,
    norm: Norm,
}

/// Shape of the network.
#[derive(Debug, Clone)]
pub(crate) struct BertConfig {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) wide: usize,
    pub(crate) depth: usize,
    pub(crate) vocab: usize,
    /// Rows of the table of positions.
    pub(crate) places: usize,
    /// Rows of the table of token types, when there is one.
    pub(crate) token_types: Option<usize>,
    pub(crate) eps: f64,
    /// The padding token, when positions count from behind its id.
    pub(crate) padding: Option<u32>,
}

impl BertConfig {
    /// The sizes that tensors show, with BERT's own heads of 64 values and epsilon; none where they are not BERT's.
    pub(crate) fn of_tensors(w: &Weights) -> Option<Self> {
        let size = |name: &str| {
            w.shape(&format!("{name}.weight")).and_then(|shape| <[usize; 2]>::try_from(shape).ok())
        };
        let [vocab, width] = size("embeddings.word_embeddings")?;
        let [places, _] = size("embeddings.position_embeddings")?;
        let [types, _] = size("embeddings.token_type_embeddings")?;
        let [wide, _] = size("encoder.layer.0.intermediate.dense")?;
        let ends =
            |name: &&str| name.starts_with("encoder.layer.") && name.ends_with(".intermediate.dense.weight");
        let depth = w.names().filter(ends).count();
        let heads = (width / 64).max(1);
        Some(Self {
            width,
            heads,
            wide,
            depth,
            vocab,
            places,
            token_types: Some(types),
            eps: 1e-12,
            padding: None,
        })
    }
}

/// The network.
pub(crate) struct Bert {
    words: Tensor,
    /// Positions, with the first token type added.
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    padding: Option<u32>,
}

/// A loaded encoder.
pub(crate) struct Encoder {
    info: ModelInfo,
    tokenizer: BoundedTokenizer,
    frame: [u32; 2],
    bert: Bert,
    space_before: bool,
}

impl Encoder {
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        family: &BertDialect,
    ) -> Result<Self, LoadError> {
        let config = checkpoint.need_json(CONFIG)?;
        let place = open_device(options.device)?;
        let dtype = options.dtype.unwrap_or(Dtype::F32);
        let w = Weights::open(checkpoint, place.numbers(dtype), |name| canonical(name, family))?;
        let (fields, names) = (Fields::new(&config, CONFIG), &family.names);
        let (width, heads) = (fields.positive(names.width)?, fields.positive(names.heads)?);
        let (wide, depth) = (fields.positive(names.wide)?, fields.usize(names.layers)?);
        let (vocab, places) = (fields.positive("vocab_size")?, fields.positive("max_position_embeddings")?);
        let eps = fields.positive_f64_or("layer_norm_eps", 1e-12)?;
        if width % heads != 0 {
            return Err(fields.bad(names.heads, format!("does not divide the width of {width}")));
        }
        fields.only(&[
            (names.activation, "\"gelu\""),
            ("position_embedding_type", "\"absolute\""),
            ("add_cross_attention", "false"),
            ("quantization_config", "null"),
        ])?;
        if fields.bool_or("is_decoder", false)? {
            return Err(fields.bad("is_decoder", "a decoder sees no later tokens; an encoder is needed"));
        }
        token_ids::known(&fields, &["bos_token_id", "eos_token_id", "pad_token_id"], vocab)?;
        let padding = match family.after_padding {
            true => Some(u32::try_from(fields.usize_or("pad_token_id", 1)?).unwrap_or(u32::MAX)),
            false => None,
        };

        let config = BertConfig {
            width,
            heads,
            wide,
            depth,
            vocab,
            places,
            token_types: names.token_types.map(|field| fields.positive(field)).transpose()?,
            eps,
            padding,
        };
        let bert = Bert::load(&w, &config)?;
        let parameters = w.parameters();
        w.finish()?;

        let places = places.saturating_sub(padding.map_or(0, |id| id as usize + 1));
        let (tokenizer, frame, longest) = read_tokenizer(checkpoint, places)?;
        let info = ModelInfo {
            family: family.family.to_owned(),
            name: checkpoint.name(),
            box_dialect: "none".to_owned(),
            context_tokens: Some(longest),
            from: Provenance::Checkpoint(checkpoint.record(parameters, dtype.name(), place.name)?),
        };
        let space_before = family.space_before;
        Ok(Self { info, tokenizer, frame, bert, space_before })
    }
}

impl Bert {
    /// Reads tensors by BERT's own names.
    pub(crate) fn load(w: &Weights, c: &BertConfig) -> Result<Self, LoadError> {
        let width = c.width;
        let words = w.tensor("embeddings.word_embeddings.weight", &[c.vocab, width])?;
        let mut positions = w.tensor("embeddings.position_embeddings.weight", &[c.places, width])?;
        if let Some(types) = c.token_types {
            let types = w.tensor("embeddings.token_type_embeddings.weight", &[types, width])?;
            positions = positions.broadcast_add(&types.narrow(0, 0, 1)?)?;
        }
        let norm = Norm::layer(w, "embeddings.LayerNorm", width, c.eps)?;
        let layer = |number: usize| -> Result<Layer, LoadError> {
            let name = |part: &str| format!("encoder.layer.{number}.{part}");
            let [q, k, v] = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            Ok(Layer {
                qkv: Linear::load_stacked(w, &[(&q, width), (&k, width), (&v, width)], width, true)?,
                merge: Linear::load(w, &name("attention.output.dense"), width, width, true)?,
                attention_norm: Norm::layer(w, &name("attention.output.LayerNorm"), width, c.eps)?,
                widen: Linear::load(w, &name("intermediate.dense"), width, c.wide, true)?,
                narrow: Linear::load(w, &name("output.dense"), c.wide, width, true)?,
                norm: Norm::layer(w, &name("output.LayerNorm"), width, c.eps)?,
            })
        };
        let layers = (0..c.depth).map(layer).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { words, positions, norm, layers, heads: c.heads, padding: c.padding })
    }

    /// Row of the position table of each token of a text.
    fn places(&self, ids: &[u32]) -> Vec<u32> {
        let Some(padding) = self.padding else { return (0..).take(ids.len()).collect() };
        let mut place = padding;
        let next = |id: &u32| {
            place += u32::from(*id != padding);
            if *id == padding { padding } else { place }
        };
        ids.iter().map(next).collect()
    }

    /// (tokens, width) of texts one after the other, after so many layers; texts of equal length stand together.
    pub(crate) fn forward(&self, texts: &[&[u32]], layer: usize) -> Computed<Tensor> {
        let device = self.words.device();
        let ids: Vec<u32> = texts.iter().flat_map(|t| t.iter().copied()).collect();
        let places: Vec<u32> = texts.iter().flat_map(|t| self.places(t)).collect();
        let words = self.words.index_select(&Tensor::new(ids, device)?, 0)?;
        let places = self.positions.index_select(&Tensor::new(places, device)?, 0)?;
        let mut x = self.norm.forward(&(words + places)?)?;
        let runs: Vec<(usize, usize)> =
            texts.chunk_by(|a, b| a.len() == b.len()).map(|run| (run.len(), run[0].len())).collect();
        for layer in self.layers.iter().take(layer) {
            let seen = self.attention(&layer.qkv.forward(&x)?, &runs)?;
            x = layer.attention_norm.forward(&(layer.merge.forward(&seen)? + x)?)?;
            let inner = gelu(layer.widen.forward(&x)?)?;
            x = layer.norm.forward(&(layer.narrow.forward(&inner)? + x)?)?;
        }
        Ok(x)
    }

    /// Attention within texts; `runs` are numbers of texts with their common length.
    fn attention(&self, qkv: &Tensor, runs: &[(usize, usize)]) -> Computed<Tensor> {
        let (_, columns) = qkv.dims2()?;
        let (heads, width) = (self.heads, columns / 3);
        let d = width / heads;
        let (mut outs, mut from) = (Vec::with_capacity(runs.len()), 0);
        for &(texts, length) in runs {
            let rows = qkv.narrow(0, from, texts * length)?.reshape((texts, length, 3, heads, d))?;
            let rows = rows.permute((2, 0, 3, 1, 4))?.contiguous()?.reshape((3, texts * heads, length, d))?;
            let seen = attend(&rows.get(0)?, &rows.get(1)?, &rows.get(2)?, (d as f64).powf(-0.5), None)?;
            let seen = seen.reshape((texts, heads, length, d))?.transpose(1, 2)?.contiguous()?;
            outs.push(seen.reshape((texts * length, width))?);
            from += texts * length;
        }
        if outs.len() == 1 { Ok(outs.swap_remove(0)) } else { Tensor::cat(&outs, 0) }
    }
}

/// The tokenizer, cutting at the longest text; the frame; tokens of the longest text.
fn read_tokenizer(
    checkpoint: &Checkpoint,
    places: usize,
) -> Result<(BoundedTokenizer, [u32; 2], usize), LoadError> {
    let failed = |problem: String| LoadError::File { file: TOKENIZER.into(), problem };
    let settings = checkpoint.json("tokenizer_config.json")?;
    // Absent limits are written as 10³⁰.
    let stated = settings.as_ref().and_then(|s| s.get("model_max_length")).and_then(Value::as_f64);
    let longest = stated.map_or(places, |n| places.min(n as usize));
    if longest < 3 {
        return Err(failed(format!("texts of {longest} tokens leave no room for words")));
    }
    let cut = TruncationParams {
        max_length: longest,
        strategy: TruncationStrategy::LongestFirst,
        stride: 0,
        direction: TruncationDirection::Right,
    };
    let bytes = checkpoint.need_bytes(TOKENIZER)?;
    let tokenizer = BoundedTokenizer::read(&bytes, Some(cut), false).map_err(failed)?;
    match tokenizer.encode("", true).map_err(failed)?.as_slice() {
        [first, last] => Ok((tokenizer, [*first, *last], longest)),
        other => {
            Err(failed(format!("an empty text has {} tokens instead of the two of its frame", other.len())))
        }
    }
}

impl TextEncoder for Encoder {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn layers(&self) -> usize {
        self.bert.layers.len()
    }

    fn frame(&self) -> [u32; 2] {
        self.frame
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let failed = |problem: String| ModelError::Compute(format!("tokenizing: {problem}"));
        let spaced = self.space_before && text.chars().next().is_some_and(|c| !c.is_whitespace());
        let encoded = match spaced {
            true => self.tokenizer.encode(&format!(" {text}"), true),
            false => self.tokenizer.encode(text, true),
        };
        let ids = encoded.map_err(failed)?;
        let rows = self.bert.words.dim(0).unwrap_or_default();
        match ids.iter().find(|id| **id as usize >= rows) {
            Some(id) => Err(failed(format!("token {id} is outside the vocabulary of {rows}"))),
            None => Ok(ids),
        }
    }

    fn encode(&mut self, texts: &[&str], layer: usize) -> Result<Vec<EncodedText>, ModelError> {
        if layer > self.layers() {
            let problem = format!("{layer} was asked for, the encoder has {}", self.layers());
            return Err(ModelError::Setting { setting: "layer", problem });
        }
        let ids = texts.iter().map(|t| self.tokens(t)).collect::<Result<Vec<_>, _>>()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&i| ids[i].len());
        let mut vectors: Vec<Vec<f32>> = vec![Vec::new(); ids.len()];
        let mut rest = order.as_slice();
        while let Some(&first) = rest.first() {
            // Sorted, so the last text of a batch is the longest one; each counts as its own length.
            let mut tokens = ids[first].len();
            let more = rest[1..].iter().take_while(|&&i| {
                tokens += ids[i].len();
                tokens <= BATCH
            });
            let (batch, after) = rest.split_at(1 + more.count());
            rest = after;
            let rows: Vec<&[u32]> = batch.iter().map(|&i| ids[i].as_slice()).collect();
            let computed = self
                .bert
                .forward(&rows, layer)
                .and_then(|x| x.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>())
                .map_err(|e| ModelError::Compute(computation(&e)))?;
            if !all_finite(&computed) {
                return Err(ModelError::NotFinite("vectors of tokens"));
            }
            let width = computed.len() / rows.iter().map(|r| r.len()).sum::<usize>().max(1);
            let mut left = computed.as_slice();
            for &i in batch {
                let (own, others) = left.split_at(ids[i].len() * width);
                vectors[i] = own.to_vec();
                left = others;
            }
        }
        Ok(ids.into_iter().zip(vectors).map(|(ids, vectors)| EncodedText { ids, vectors }).collect())
    }
}
