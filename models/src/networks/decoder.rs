//! The decoder-only text model: RMSNorm, grouped-query attention, rotary positions, gated MLP. What sets one
//! family apart from another is a [`BlockSpec`] and a list of [`LayerSpec`]s.

use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::attention::{Heads, attend};
use crate::layers::fused::{gated_silu, gelu_tanh};
use crate::layers::kv::Group;
use crate::layers::linear::{Linear, by_rows};
use crate::layers::norm::Norm;
use crate::layers::on_pool;
use crate::layers::packed::Kept;
use crate::layers::rope::{Rope, RopeScaling};
use crate::layers::sight::Sight;
use candle_core::{DType, Result, Tensor};
use serde_json::{Value, json};

/// Shape of the text model.
#[derive(Debug, Clone)]
pub(crate) struct DecoderConfig {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    /// Layers in order.
    pub(crate) layers: Vec<LayerSpec>,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) vocab: usize,
    pub(crate) eps: f64,
    /// Tables of rotary positions; layers name theirs by number.
    pub(crate) ropes: Vec<RopeSpec>,
    /// What every layer is made of.
    pub(crate) block: BlockSpec,
    /// Is the output head the embedding table?
    pub(crate) tied: bool,
    /// Most tokens.
    pub(crate) context: usize,
}

impl DecoderConfig {
    /// The resolved settings, for the record of a run.
    pub(crate) fn settings(&self) -> Value {
        let rope: Vec<Value> =
            self.ropes.iter().map(|r| json!({ "theta": r.theta, "axes": format!("{:?}", r.axes) })).collect();
        json!({
            "hidden_size": self.hidden, "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers.len(), "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads, "vocab_size": self.vocab, "rms_norm_eps": self.eps, "rope": rope,
            "tied": self.tied, "max_position_embeddings": self.context,
        })
    }
}

/// What differs from layer to layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerSpec {
    /// Which of [`DecoderConfig::ropes`].
    pub(crate) rope: usize,
    /// A token sees so many tokens, itself included; all before it when `None`.
    pub(crate) window: Option<usize>,
}

/// What the layers of a family of decoders are made of. Qwen2 and 3, Llama, Mistral, Gemma 3 and Phi-3 are
/// settings of it; each is held against `transformers` in the tests of this file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BlockSpec {
    /// Have the projections to queries, keys and values a bias?
    pub(crate) qkv_bias: bool,
    /// Are queries and keys normalised by head before they are turned (Qwen3, Gemma 3)?
    pub(crate) qk_norm: bool,
    /// Are norms multiplied by 1 + w instead of w (Gemma)?
    pub(crate) norm_plus_one: bool,
    /// Are the outputs of attention and MLP normalised before they are added (Gemma 2 and 3)?
    pub(crate) post_norms: bool,
    /// What the gate of the MLP goes through.
    pub(crate) gate: Gate,
    /// Multiplies scores; one over the root of the head dimension when `None`.
    pub(crate) score_scale: Option<f64>,
    /// Multiplies embeddings of tokens, rounded to the number type of the weights (Gemma).
    pub(crate) embedding_scale: Option<f64>,
    /// Does the checkpoint hold queries, keys and values as one matrix, and gate and up as one (Phi-3)?
    pub(crate) stacked: bool,
    /// Do the tokens of a picture see each other, later ones included (Gemma 3)?
    pub(crate) pictures_see_themselves: bool,
}

impl BlockSpec {
    /// Llama and Mistral: no bias, no further norms, SiLU.
    pub(crate) const LLAMA: Self = Self {
        qkv_bias: false,
        qk_norm: false,
        norm_plus_one: false,
        post_norms: false,
        gate: Gate::Silu,
        score_scale: None,
        embedding_scale: None,
        stacked: false,
        pictures_see_themselves: false,
    };
    /// Qwen2 and its vision-language models: biased queries, keys and values.
    pub(crate) const QWEN2: Self = Self { qkv_bias: true, ..Self::LLAMA };
}

/// What the gate of an MLP goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// SiLU.
    Silu,
    /// GELU by its tanh approximation (`gelu_pytorch_tanh`).
    GeluTanh,
}

/// One table of rotary positions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RopeSpec {
    /// Base of the frequencies.
    pub(crate) theta: f64,
    /// How the frequencies are stretched.
    pub(crate) scaling: RopeScaling,
    /// The axis (time, row, column) whose position turns each frequency.
    pub(crate) axes: Vec<usize>,
}

/// The output head.
const HEAD: &str = "lm_head.weight";

struct Layer {
    spec: LayerSpec,
    input_norm: Norm,
    qkv: Linear,
    /// Of queries and of keys, by head.
    qk_norm: Option<(Norm, Norm)>,
    out: Linear,
    /// Of what attention gives.
    attended_norm: Option<Norm>,
    mlp_norm: Norm,
    gate_up: Linear,
    down: Linear,
    /// Of what the MLP gives.
    done_norm: Option<Norm>,
}

/// A loaded text model.
pub(crate) struct Decoder {
    pub(crate) config: DecoderConfig,
    embed: Linear,
    layers: Vec<Layer>,
    norm: Norm,
    /// `None` when tied.
    head: Option<Linear>,
    /// Frequencies of each of the ropes.
    frequencies: Vec<Vec<f32>>,
    numbers: Numbers,
}

impl Decoder {
    /// Reads the tensors under `prefix` (`model.language_model.`) and `lm_head.weight`.
    pub(crate) fn load(
        w: &Weights,
        prefix: &str,
        config: DecoderConfig,
    ) -> std::result::Result<Self, LoadError> {
        let (c, block) = (&config, &config.block);
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let linear = |parts: &[(&str, usize)], input: usize, bias: bool| {
            Linear::load_kept(w, parts, input, bias, Kept::language(&w.numbers))
        };
        let table =
            |name: &str| Linear::load_kept(w, &[(name, c.vocab)], c.hidden, false, Kept::head(&w.numbers));
        let plus = if block.norm_plus_one { 1.0 } else { 0.0 };
        let rms = |name: &str, size: usize| Norm::rms_plus(w, name, size, c.eps, plus);
        let layer = |(i, spec): (usize, &LayerSpec)| -> std::result::Result<Layer, LoadError> {
            let name = |part: &str| format!("{prefix}layers.{i}.{part}");
            let norm = |part: &str| rms(&name(part), c.hidden);
            let wide = c.intermediate;
            let (qkv, gate_up) = if block.stacked {
                let qkv = name("self_attn.qkv_proj");
                (
                    linear(&[(&qkv, q + 2 * kv)], c.hidden, block.qkv_bias)?,
                    linear(&[(&name("mlp.gate_up_proj"), 2 * wide)], c.hidden, false)?,
                )
            } else {
                let [pq, pk, pv] = ["q_proj", "k_proj", "v_proj"].map(|p| name(&format!("self_attn.{p}")));
                let [gate, up] = ["gate_proj", "up_proj"].map(|p| name(&format!("mlp.{p}")));
                (
                    linear(&[(&pq, q), (&pk, kv), (&pv, kv)], c.hidden, block.qkv_bias)?,
                    linear(&[(&gate, wide), (&up, wide)], c.hidden, false)?,
                )
            };
            let by_head = |part: &str| rms(&name(part), c.head_dim);
            // Gemma calls the norm before the MLP by another name, because it has one after attention too.
            let (mlp_norm, attended_norm, done_norm) = if block.post_norms {
                (
                    norm("pre_feedforward_layernorm")?,
                    Some(norm("post_attention_layernorm")?),
                    Some(norm("post_feedforward_layernorm")?),
                )
            } else {
                (norm("post_attention_layernorm")?, None, None)
            };
            Ok(Layer {
                spec: *spec,
                input_norm: norm("input_layernorm")?,
                qkv,
                qk_norm: match block.qk_norm {
                    true => Some((by_head("self_attn.q_norm")?, by_head("self_attn.k_norm")?)),
                    false => None,
                },
                out: linear(&[(&name("self_attn.o_proj"), c.hidden)], q, false)?,
                attended_norm,
                mlp_norm,
                gate_up,
                down: linear(&[(&name("mlp.down_proj"), c.hidden)], wide, false)?,
                done_norm,
            })
        };
        let embed = table(&format!("{prefix}embed_tokens"))?;
        let head = if c.tied {
            w.refuse_adapted(&format!("{prefix}embed_tokens.weight"))?;
            w.expect_copy(HEAD, &format!("{prefix}embed_tokens.weight"), "tie_word_embeddings")?;
            None
        } else {
            Some(table("lm_head")?)
        };
        Ok(Self {
            embed,
            layers: c.layers.iter().enumerate().map(layer).collect::<std::result::Result<_, _>>()?,
            norm: rms(&format!("{prefix}norm"), c.hidden)?,
            head,
            frequencies: c.ropes.iter().map(|r| r.scaling.frequencies(r.theta, c.head_dim)).collect(),
            numbers: w.numbers.clone(),
            config,
        })
    }

    /// Embeddings of tokens, (tokens, hidden).
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let rows = self.embed.rows(ids)?;
        match self.config.block.embedding_scale {
            Some(scale) => rows * self.numbers.weights.rounded(scale),
            None => Ok(rows),
        }
    }

    /// Runs `x` (tokens, hidden): the rows of all groups one after the other, at `positions`; their
    /// keys and values are appended. `deep` are features of pictures, of the shape of `x`, that are added after
    /// the first layers, one each. Returns the last hidden states before the final norm.
    pub(crate) fn forward(
        &self,
        x: Tensor,
        positions: &[[u32; 3]],
        deep: &[Tensor],
        groups: &mut [Group],
    ) -> Result<Tensor> {
        on_pool(&self.numbers.device, || self.through_layers(x, positions, deep, groups))
    }

    fn through_layers(
        &self,
        x: Tensor,
        positions: &[[u32; 3]],
        deep: &[Tensor],
        groups: &mut [Group],
    ) -> Result<Tensor> {
        let c = &self.config;
        let ropes = c.ropes.iter().zip(&self.frequencies).map(|(spec, frequencies)| {
            let (dtype, device) = (self.numbers.activations, &self.numbers.device);
            let turns = (&frequencies[..], spec.scaling.magnitude());
            Rope::by_axes(positions, &spec.axes, turns, dtype, device)
        });
        let ropes = ropes.collect::<Result<Vec<Rope>>>()?;
        let added = |x: Tensor, part: Tensor, norm: &Option<Norm>| match norm {
            Some(norm) => x + norm.forward(&part)?,
            None => x + part,
        };
        let mut x = x;
        for (number, layer) in self.layers.iter().enumerate() {
            let Some(rope) = ropes.get(layer.spec.rope) else {
                return Err(candle_core::Error::Msg("a layer names no table of positions".into()));
            };
            let attended = self.attention(layer, number, &layer.input_norm.forward(&x)?, rope, groups)?;
            x = added(x, attended, &layer.attended_norm)?;
            let mlp = by_rows(&layer.mlp_norm.forward(&x)?, |rows| {
                layer.down.forward(&gated(&layer.gate_up.forward(rows)?, c.block.gate)?)
            })?;
            x = added(x, mlp, &layer.done_norm)?;
            if let Some(features) = deep.get(number) {
                x = (x + features)?;
            }
        }
        groups.iter_mut().for_each(Group::advance);
        Ok(x)
    }

    fn attention(
        &self,
        layer: &Layer,
        number: usize,
        x: &Tensor,
        rope: &Rope,
        groups: &mut [Group],
    ) -> Result<Tensor> {
        let (c, tokens) = (&self.config, x.dim(0)?);
        let heads = Heads {
            queries: c.heads,
            keys: c.kv_heads,
            dim: c.head_dim,
            scale: c.block.score_scale.unwrap_or((c.head_dim as f64).powf(-0.5)),
            sight: Sight { window: layer.spec.window, pictures: c.block.pictures_see_themselves },
        };
        let (q, kv, d) = (heads.queries, heads.keys, heads.dim);
        let qkv = layer.qkv.forward(x)?.reshape((tokens, q + 2 * kv, d))?;
        let turned = match &layer.qk_norm {
            None => rope.apply(&qkv.narrow(1, 0, q + kv)?)?,
            Some((of_queries, of_keys)) => {
                let queries = of_queries.forward(&qkv.narrow(1, 0, q)?.contiguous()?)?;
                let keys = of_keys.forward(&qkv.narrow(1, q, kv)?.contiguous()?)?;
                rope.apply(&Tensor::cat(&[queries, keys], 1)?)?
            }
        };
        let mut outs = Vec::with_capacity(groups.len());
        let mut at = 0;
        for group in groups {
            let n = group.tokens.iter().sum();
            let part = turned.narrow(0, at, n)?;
            let (gq, gk) = (part.narrow(1, 0, q)?, part.narrow(1, q, kv)?);
            let gv = qkv.narrow(0, at, n)?.narrow(1, q + kv, kv)?;
            outs.push(attend(group, number, &gq, &gk, &gv, heads)?);
            at += n;
        }
        let out = if outs.len() == 1 { outs.swap_remove(0) } else { Tensor::cat(&outs, 0)? };
        layer.out.forward(&out)
    }

    /// Logits in f32 of some rows of hidden states, (rows, vocabulary).
    pub(crate) fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        on_pool(&self.numbers.device, || {
            let x = self.norm.forward(hidden)?;
            self.head.as_ref().unwrap_or(&self.embed).forward(&x)?.to_dtype(DType::F32)
        })
    }
}

/// `gate(g) · u` of (rows, 2 n), g and u side by side.
fn gated(both: &Tensor, gate: Gate) -> Result<Tensor> {
    match gate {
        Gate::Silu => gated_silu(both),
        Gate::GeluTanh => {
            let wide = both.dim(1)? / 2;
            gelu_tanh(both.narrow(1, 0, wide)?.contiguous()?)? * both.narrow(1, wide, wide)?
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::checkpoint::weights::{Dtype, Quant};
    use crate::layers::rope::end_to_end;
    use candle_core::Device;
    use std::path::PathBuf;

    const FULL: LayerSpec = LayerSpec { rope: 0, window: None };

    /// The settings of `tests/parity/decoders/make.py`.
    fn settings(name: &str) -> DecoderConfig {
        let rope = |theta: f64, scaling: RopeScaling, dim: usize| RopeSpec {
            theta,
            scaling,
            axes: end_to_end([dim / 2, 0, 0]),
        };
        let plain = |block: BlockSpec| DecoderConfig {
            hidden: 32,
            intermediate: 44,
            layers: vec![FULL; 3],
            heads: 4,
            kv_heads: 2,
            head_dim: 8,
            vocab: 60,
            eps: 1e-6,
            ropes: vec![rope(1e4, RopeScaling::None, 8)],
            block,
            tied: false,
            context: 128,
        };
        let local = LayerSpec { rope: 0, window: Some(8) };
        match name {
            "qwen2" => DecoderConfig { tied: true, ..plain(BlockSpec::QWEN2) },
            "qwen3" => DecoderConfig {
                head_dim: 12,
                ropes: vec![rope(1e4, RopeScaling::None, 12)],
                ..plain(BlockSpec { qk_norm: true, ..BlockSpec::LLAMA })
            },
            "llama" => DecoderConfig {
                ropes: vec![rope(
                    1e4,
                    RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 32.0 },
                    8,
                )],
                ..plain(BlockSpec::LLAMA)
            },
            "mistral" => DecoderConfig { layers: vec![local; 3], ..plain(BlockSpec::LLAMA) },
            "phi3" => DecoderConfig { eps: 1e-5, ..plain(BlockSpec { stacked: true, ..BlockSpec::LLAMA }) },
            "gemma3" => DecoderConfig {
                head_dim: 10,
                layers: vec![local, local, local, local, local, LayerSpec { rope: 1, window: None }],
                ropes: vec![rope(1e4, RopeScaling::None, 10), rope(1e6, RopeScaling::Linear(8.0), 10)],
                tied: true,
                ..plain(BlockSpec {
                    qk_norm: true,
                    norm_plus_one: true,
                    post_norms: true,
                    gate: Gate::GeluTanh,
                    score_scale: Some(0.25),
                    embedding_scale: Some(32f64.sqrt()),
                    pictures_see_themselves: true,
                    ..BlockSpec::LLAMA
                })
            },
            _ => panic!("no settings for {name}"),
        }
    }

    /// Logits at every position, the prompt cut into calls of these lengths.
    fn logits(decoder: &Decoder, ids: &[u32], calls: &[usize]) -> Vec<Vec<f32>> {
        let mut groups = vec![Group::new(Vec::new(), vec![calls[0]], decoder.config.layers.len(), 0)];
        let (mut at, mut out) = (0, Vec::new());
        for &n in calls {
            groups[0].tokens = vec![n];
            let positions: Vec<[u32; 3]> = (at..at + n).map(|p| [p as u32; 3]).collect();
            let x = decoder.embed(&ids[at..at + n]).unwrap();
            let hidden = decoder.forward(x, &positions, &[], &mut groups).unwrap();
            out.extend(decoder.logits(&hidden).unwrap().to_vec2::<f32>().unwrap());
            at += n;
        }
        out
    }

    /// The decoder of a reference, its weights kept so.
    fn decoder(name: &str, quant: Option<Quant>) -> Decoder {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/decoders").join(name);
        let numbers = Numbers { quant, ..Numbers::new(Device::Cpu, Dtype::F32) };
        let own = |n: &str| (!n.starts_with("ref.")).then(|| n.to_owned());
        let weights = Weights::open(&Checkpoint::directory(&folder), numbers, own).unwrap();
        let decoder = Decoder::load(&weights, "model.", settings(name)).unwrap();
        weights.finish().unwrap();
        decoder
    }

    #[test]
    fn quantised_weights_stay_close() {
        for name in ["qwen2", "llama", "gemma3"] {
            let ids: Vec<u32> = (0..24).map(|i| i * 7 % 60).collect();
            let exact = logits(&decoder(name, None), &ids, &[ids.len()]).concat();
            // Such narrow random networks have nothing that evens errors out: of 4 bits each product is off by about 8 %.
            for (quant, least) in [(Quant::Q8_0, 0.9995), (Quant::Q4_0, 0.93)] {
                let decoder = decoder(name, Some(quant));
                let whole = logits(&decoder, &ids, &[ids.len()]).concat();
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                };
                let cosine = dot(&whole, &exact) / (dot(&whole, &whole) * dot(&exact, &exact)).sqrt();
                assert!(cosine >= least && cosine < 1.0 - 1e-9, "{name} {}: cosine {cosine}", quant.name());
                let calls = vec![1; ids.len()];
                let worst = logits(&decoder, &ids, &calls)
                    .concat()
                    .iter()
                    .zip(&whole)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(worst <= 5e-5, "{name} {} token by token: {worst}", quant.name());
            }
        }
    }

    #[test]
    fn every_setting_equals_transformers_whole_and_token_by_token() {
        for name in ["qwen2", "qwen3", "llama", "mistral", "phi3", "gemma3"] {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/decoders").join(name);
            let decoder = decoder(name, None);
            let file =
                candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
            for n in 0..4 {
                let ids: Vec<i64> = file[&format!("ref.{n}.ids")].to_vec1().unwrap();
                let ids: Vec<u32> = ids.iter().map(|i| *i as u32).collect();
                let want: Vec<Vec<f32>> = file[&format!("ref.{n}.logits")].to_vec2().unwrap();
                let half = (ids.len() / 2).max(1);
                let mut parts = vec![half];
                parts.extend(vec![1; ids.len() - half]);
                for calls in [vec![ids.len()], parts] {
                    let got = logits(&decoder, &ids, &calls);
                    let worst = got.iter().flatten().zip(want.iter().flatten());
                    let worst = worst.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst <= 5e-5, "{name}, {} tokens in {} calls: {worst}", ids.len(), calls.len());
                }
            }
        }
    }
}
