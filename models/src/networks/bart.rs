//! BART (Lewis et al. 2020, arXiv 1910.13461): an encoder that reads a whole prompt, and a decoder that sees what it
//! said and, by a second attention, what the encoder made of the prompt. Learnt positions, normalisation after every
//! sum.
//!
//! Sequences are never padded: rows of all replies go through the products together, and each reply has its own
//! attention.

use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::activation::Activation;
use crate::layers::fused::attend;
use crate::layers::linear::{Linear, by_rows};
use crate::layers::norm::Norm;
use crate::layers::on_pool;
use candle_core::{DType, Result, Tensor};
use serde_json::{Value, json};
use std::sync::Arc;

type Loaded<T> = std::result::Result<T, LoadError>;

/// `BartLearnedPositionalEmbedding`: rows before that of position 0.
const OFFSET: usize = 2;
const EPS: f64 = 1e-5;

/// Shape of the network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BartConfig {
    pub(crate) width: usize,
    pub(crate) vocab: usize,
    /// Positions of a prompt, and of a reply.
    pub(crate) context: usize,
    pub(crate) encoder: StackConfig,
    pub(crate) decoder: StackConfig,
    pub(crate) activation: Activation,
    /// Factor of the embeddings of tokens.
    pub(crate) scale: f64,
    /// Is the table of embeddings the output head too?
    pub(crate) tied: bool,
}

/// Shape of one of the two stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StackConfig {
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) wide: usize,
}

impl BartConfig {
    /// As `BartConfig` of `transformers` reads it, defaults included.
    pub(crate) fn read(fields: &Fields<'_>, tied: bool) -> Loaded<Self> {
        let width = fields.positive_or("d_model", 1024)?;
        let stack = |side: &str| -> Loaded<StackConfig> {
            let heads = format!("{side}_attention_heads");
            let read = StackConfig {
                layers: fields.usize_or(&format!("{side}_layers"), 12)?,
                heads: fields.positive_or(&heads, 16)?,
                wide: fields.positive_or(&format!("{side}_ffn_dim"), 4096)?,
            };
            match width.is_multiple_of(read.heads) {
                true => Ok(read),
                false => Err(fields.bad(&heads, format!("does not divide the width of {width}"))),
            }
        };
        fields.only(&[
            ("normalize_before", "false"),
            ("add_final_layer_norm", "false"),
            ("add_bias_logits", "false"),
            ("quantization_config", "null"),
        ])?;
        let named = fields.text("activation_function")?.unwrap_or("gelu");
        let activation = Activation::named(named)
            .ok_or_else(|| fields.bad("activation_function", format!("{named:?} is not supported")))?;
        Ok(Self {
            width,
            vocab: fields.positive_or("vocab_size", 50_265)?,
            context: fields.positive_or("max_position_embeddings", 1024)?,
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            activation,
            scale: if fields.bool_or("scale_embedding", false)? { (width as f64).sqrt() } else { 1.0 },
            tied,
        })
    }

    /// Everything that decides what the network computes, for the record.
    pub(crate) fn settings(&self) -> Value {
        let stack = |s: &StackConfig| json!({ "layers": s.layers, "heads": s.heads, "ffn_dim": s.wide });
        json!({
            "d_model": self.width, "vocab_size": self.vocab, "max_position_embeddings": self.context,
            "encoder": stack(&self.encoder), "decoder": stack(&self.decoder), "embed_scale": self.scale,
            "activation_function": format!("{:?}", self.activation), "tie_word_embeddings": self.tied,
        })
    }

    /// Numbers that the decoder keeps of a token that it said, and of one that the encoder read.
    pub(crate) fn kept(&self) -> usize {
        2 * self.decoder.layers * self.width
    }

    /// About how many numbers are in work while a prompt of so many tokens is read.
    pub(crate) fn read_numbers(&self, tokens: usize) -> usize {
        let scores = 3 * self.encoder.heads * tokens * tokens;
        tokens * (10 * self.width + 2 * self.encoder.wide) + scores.min(3 << 23)
    }
}

/// `softmax(q kᵀ / √d) v` with a projection each.
struct Attention {
    /// Queries, keys and values side by side, or queries alone where the others come from the encoder.
    own: Linear,
    /// Keys and values of the encoder's rows, side by side.
    source: Option<Linear>,
    out: Linear,
    norm: Norm,
    heads: usize,
}

impl Attention {
    fn load(w: &Weights, name: &str, width: usize, heads: usize, reads_source: bool) -> Loaded<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let [q, k, v] = ["q_proj", "k_proj", "v_proj"].map(part);
        let stacked = |parts: &[&String]| {
            let parts: Vec<(&str, usize)> = parts.iter().map(|p| (p.as_str(), width)).collect();
            Linear::load_stacked(w, &parts, width, true)
        };
        Ok(Self {
            own: if reads_source { stacked(&[&q])? } else { stacked(&[&q, &k, &v])? },
            source: if reads_source { Some(stacked(&[&k, &v])?) } else { None },
            out: Linear::load(w, &part("out_proj"), width, width, true)?,
            norm: Norm::layer(w, &format!("{name}_layer_norm"), width, EPS)?,
            heads,
        })
    }

    /// Parts of (rows, parts × width) as (parts, rows, heads, head).
    fn parts(&self, x: &Tensor, parts: usize) -> Result<Tensor> {
        let (rows, columns) = x.dims2()?;
        let head = columns / parts / self.heads;
        x.reshape((rows, parts, self.heads, head))?.transpose(0, 1)
    }

    /// The sum with what was seen, normalised.
    fn close(&self, x: &Tensor, seen: &Tensor) -> Result<Tensor> {
        self.norm.forward(&(self.out.forward(seen)? + x)?)
    }
}

/// `(batch, length, head)` of queries, keys and values; scores scaled by the root of the head.
fn seen(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = (q.dim(2)? as f64).powf(-0.5);
    attend(q, k, v, scale, None)
}

struct Mlp {
    widen: Linear,
    narrow: Linear,
    norm: Norm,
}

impl Mlp {
    fn load(w: &Weights, name: &str, width: usize, wide: usize) -> Loaded<Self> {
        Ok(Self {
            widen: Linear::load(w, &format!("{name}.fc1"), width, wide, true)?,
            narrow: Linear::load(w, &format!("{name}.fc2"), wide, width, true)?,
            norm: Norm::layer(w, &format!("{name}.final_layer_norm"), width, EPS)?,
        })
    }

    fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let inner = by_rows(x, |x| self.narrow.forward(&activation.apply(self.widen.forward(x)?)?))?;
        self.norm.forward(&(inner + x)?)
    }
}

/// Positions and the norm after them.
struct Entry {
    positions: Tensor,
    norm: Norm,
}

impl Entry {
    fn load(w: &Weights, name: &str, config: &BartConfig) -> Loaded<Self> {
        let shape = [config.context + OFFSET, config.width];
        Ok(Self {
            positions: w.tensor(&format!("{name}.embed_positions.weight"), &shape)?,
            norm: Norm::layer(w, &format!("{name}.layernorm_embedding"), config.width, EPS)?,
        })
    }

    /// Rows at these positions.
    fn forward(&self, rows: Tensor, places: &[u32]) -> Result<Tensor> {
        let places: Vec<u32> = places.iter().map(|p| p + OFFSET as u32).collect();
        let positions = self.positions.index_select(&Tensor::new(places, rows.device())?, 0)?;
        self.norm.forward(&(rows + positions)?)
    }
}

struct EncoderLayer {
    attention: Attention,
    mlp: Mlp,
}

struct DecoderLayer {
    own: Attention,
    source: Attention,
    mlp: Mlp,
}

/// The network.
pub(crate) struct Bart {
    pub(crate) config: BartConfig,
    /// Embeddings of tokens, and the output head where it is tied.
    words: Linear,
    head: Option<Linear>,
    /// Added to the logits; published files of the first layout have one of zeros.
    bias: Option<Tensor>,
    read: Entry,
    encoder: Vec<EncoderLayer>,
    write: Entry,
    decoder: Vec<DecoderLayer>,
}

/// Keys and values of one layer: `(rows, heads, tokens, head)` of what replies said, `(heads, tokens, head)` of a
/// prompt.
type KeysValues = (Tensor, Tensor);

/// Replies to one prompt while they are written; all have the same length.
#[derive(Clone)]
pub(crate) struct Writing {
    source: Arc<Vec<KeysValues>>,
    own: Vec<Option<KeysValues>>,
    rows: usize,
    length: usize,
}

impl Writing {
    /// Goes on with these rows, in this order; a row may come several times.
    pub(crate) fn reorder(&mut self, rows: &[u32]) -> Result<()> {
        let same = rows.len() == self.rows && rows.iter().copied().eq(0..self.rows as u32);
        self.rows = rows.len();
        for (keys, values) in self.own.iter_mut().flatten().filter(|_| !same) {
            let index = Tensor::new(rows, keys.device())?;
            (*keys, *values) = (keys.index_select(&index, 0)?, values.index_select(&index, 0)?);
        }
        Ok(())
    }
}

impl Bart {
    /// Reads the tensors under `prefix` by the names of `transformers`' BartModel; head and bias at the root.
    pub(crate) fn load(w: &Weights, prefix: &str, config: BartConfig) -> Loaded<Self> {
        let (width, vocab) = (config.width, config.vocab);
        // One table has up to four names, and writers differ in which they keep.
        let names =
            ["shared", "encoder.embed_tokens", "decoder.embed_tokens"].map(|n| format!("{prefix}.{n}"));
        let head = "lm_head".to_owned();
        let names: Vec<&String> = names.iter().chain(config.tied.then_some(&head)).collect();
        let weight = |name: &str| format!("{name}.weight");
        let stored = names.iter().find(|name| w.shape(&weight(name)).is_some());
        let table = stored.or(names.first()).map_or("", |name| name.as_str());
        for name in names.iter().filter(|name| name.as_str() != table) {
            w.expect_copy(&weight(name), &weight(table), "tie_word_embeddings")?;
        }
        let head = match config.tied {
            true => w.refuse_adapted(&weight(table)).map(|()| None)?,
            false => Some(Linear::load(w, &head, width, vocab, false)?),
        };
        let bias = match w.shape("final_logits_bias") {
            Some(_) => Some(w.tensor("final_logits_bias", &[1, vocab])?),
            None => None,
        };
        let (reads, writes) = (format!("{prefix}.encoder"), format!("{prefix}.decoder"));
        let reader = |n: usize| -> Loaded<EncoderLayer> {
            let (name, heads) = (format!("{reads}.layers.{n}"), config.encoder.heads);
            Ok(EncoderLayer {
                attention: Attention::load(w, &format!("{name}.self_attn"), width, heads, false)?,
                mlp: Mlp::load(w, &name, width, config.encoder.wide)?,
            })
        };
        let writer = |n: usize| -> Loaded<DecoderLayer> {
            let (name, heads) = (format!("{writes}.layers.{n}"), config.decoder.heads);
            Ok(DecoderLayer {
                own: Attention::load(w, &format!("{name}.self_attn"), width, heads, false)?,
                source: Attention::load(w, &format!("{name}.encoder_attn"), width, heads, true)?,
                mlp: Mlp::load(w, &name, width, config.decoder.wide)?,
            })
        };
        let encoder = (0..config.encoder.layers).map(reader).collect::<Loaded<_>>()?;
        let decoder = (0..config.decoder.layers).map(writer).collect::<Loaded<_>>()?;
        Ok(Self {
            words: Linear::load(w, table, width, vocab, false)?,
            head,
            bias,
            read: Entry::load(w, &reads, &config)?,
            encoder,
            write: Entry::load(w, &writes, &config)?,
            decoder,
            config,
        })
    }

    /// Embeddings of tokens, (tokens, width).
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let rows = self.words.rows(ids)?;
        if self.config.scale == 1.0 { Ok(rows) } else { rows * self.config.scale }
    }

    /// Reads a prompt of embeddings (tokens, width); `rows` replies to it can then be written.
    pub(crate) fn read(&self, prompt: Tensor, rows: usize) -> Result<Writing> {
        let tokens = prompt.dim(0)?;
        let places: Vec<u32> = (0..tokens as u32).collect();
        let mut x = self.read.forward(prompt, &places)?;
        for layer in &self.encoder {
            let attention = &layer.attention;
            let qkv = attention.own.forward(&x)?;
            let parts = attention.parts(&qkv, 3)?.transpose(1, 2)?.contiguous()?;
            let all = seen(&parts.get(0)?, &parts.get(1)?, &parts.get(2)?)?;
            x = attention.close(&x, &all.transpose(0, 1)?.contiguous()?.flatten_from(1)?)?;
            x = layer.mlp.forward(&x, self.config.activation)?;
        }
        let kept = |layer: &DecoderLayer| -> Result<Option<KeysValues>> {
            let Some(source) = &layer.source.source else { return Ok(None) };
            let parts = layer.source.parts(&source.forward(&x)?, 2)?.transpose(1, 2)?.contiguous()?;
            Ok(Some((parts.get(0)?, parts.get(1)?)))
        };
        let source = self.decoder.iter().filter_map(|layer| kept(layer).transpose());
        Ok(Writing {
            source: Arc::new(source.collect::<Result<_>>()?),
            own: vec![None; self.decoder.len()],
            rows,
            length: 0,
        })
    }

    /// Takes one token for each row of each of `all`, in order; gives the logits of the tokens after them, (rows,
    /// vocabulary) in f32. Where it fails nothing was taken.
    pub(crate) fn write(&self, ids: &[u32], all: &mut [&mut Writing]) -> Result<Tensor> {
        let embedded = self.embed(ids)?;
        let device = embedded.device().clone();
        on_pool(&device, || self.written(embedded, all))
    }

    fn written(&self, embedded: Tensor, all: &mut [&mut Writing]) -> Result<Tensor> {
        let places: Vec<u32> =
            all.iter().flat_map(|w| std::iter::repeat_n(w.length as u32, w.rows)).collect();
        let mut x = self.write.forward(embedded, &places)?;
        let mut grown: Vec<Vec<KeysValues>> = all.iter().map(|_| Vec::new()).collect();
        for (n, layer) in self.decoder.iter().enumerate() {
            let qkv = layer.own.parts(&layer.own.own.forward(&x)?, 3)?;
            let mut outs = Vec::with_capacity(all.len());
            let mut from = 0;
            for (writing, grown) in all.iter().zip(&mut grown) {
                // (parts, rows, heads, 1, head)
                let own = qkv.narrow(1, from, writing.rows)?.unsqueeze(3)?.contiguous()?;
                let (mut k, mut v) = (own.get(1)?, own.get(2)?);
                if let Some(Some((keys, values))) = writing.own.get(n) {
                    (k, v) = (Tensor::cat(&[keys, &k], 2)?, Tensor::cat(&[values, &v], 2)?);
                }
                let flat = |t: &Tensor| t.flatten(0, 1);
                outs.push(seen(&flat(&own.get(0)?)?, &flat(&k)?, &flat(&v)?)?.reshape((writing.rows, ()))?);
                grown.push((k, v));
                from += writing.rows;
            }
            x = layer.own.close(&x, &Tensor::cat(&outs, 0)?)?;
            let q = layer.source.parts(&layer.source.own.forward(&x)?, 1)?.get(0)?;
            let (mut outs, mut from) = (Vec::with_capacity(all.len()), 0);
            for writing in all.iter() {
                let Some((keys, values)) = writing.source.get(n) else { continue };
                // The rows are the queries of one prompt.
                let own = q.narrow(0, from, writing.rows)?.transpose(0, 1)?.contiguous()?;
                let out = seen(&own, keys, values)?;
                outs.push(out.transpose(0, 1)?.contiguous()?.flatten_from(1)?);
                from += writing.rows;
            }
            x = layer.source.close(&x, &Tensor::cat(&outs, 0)?)?;
            x = layer.mlp.forward(&x, self.config.activation)?;
        }
        let logits = self.head.as_ref().unwrap_or(&self.words).forward(&x)?;
        let logits = match &self.bias {
            Some(bias) => logits.broadcast_add(bias)?,
            None => logits,
        };
        let logits = logits.to_dtype(DType::F32)?;
        for (writing, grown) in all.iter_mut().zip(grown) {
            writing.own = grown.into_iter().map(Some).collect();
            writing.length += 1;
        }
        Ok(logits)
    }
}
