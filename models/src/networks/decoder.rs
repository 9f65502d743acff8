//! The decoder-only text model (Qwen2): RMSNorm, grouped-query attention with biased projections,
//! rotary positions, gated MLP.

use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::attention::{Heads, attend};
use crate::layers::kv::Group;
use crate::layers::linear::{Linear, by_rows, gated_silu};
use crate::layers::norm::Norm;
use crate::layers::rope::{Rope, inverse_frequencies};
use candle_core::{DType, Result, Tensor};

/// Shape of the text model.
#[derive(Debug, Clone)]
pub(crate) struct DecoderConfig {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) vocab: usize,
    pub(crate) eps: f64,
    pub(crate) theta: f64,
    /// Rotary frequencies that turn with the temporal, row and column position.
    pub(crate) sections: [usize; 3],
    /// Is the output head the embedding table?
    pub(crate) tied: bool,
    /// Most tokens.
    pub(crate) context: usize,
}

struct Layer {
    input_norm: Norm,
    qkv: Linear,
    out: Linear,
    mlp_norm: Norm,
    gate_up: Linear,
    down: Linear,
}

/// A loaded text model.
pub(crate) struct Decoder {
    pub(crate) config: DecoderConfig,
    embed: Linear,
    layers: Vec<Layer>,
    norm: Norm,
    /// `None` when tied.
    head: Option<Linear>,
    frequencies: Vec<f32>,
    numbers: Numbers,
}

impl Decoder {
    /// Reads the tensors under `prefix` (`model.language_model.`) and `lm_head.weight`.
    pub(crate) fn load(
        w: &Weights,
        prefix: &str,
        config: DecoderConfig,
    ) -> std::result::Result<Self, LoadError> {
        let c = &config;
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let layer = |i: usize| -> std::result::Result<Layer, LoadError> {
            let name = |part: &str| format!("{prefix}layers.{i}.{part}");
            let [pq, pk, pv] = ["q_proj", "k_proj", "v_proj"].map(|p| name(&format!("self_attn.{p}")));
            let [gate, up] = ["gate_proj", "up_proj"].map(|p| name(&format!("mlp.{p}")));
            let wide = c.intermediate;
            Ok(Layer {
                input_norm: Norm::rms(w, &name("input_layernorm"), c.hidden, c.eps)?,
                qkv: Linear::load_stacked(w, &[(&pq, q), (&pk, kv), (&pv, kv)], c.hidden, true)?,
                out: Linear::load(w, &name("self_attn.o_proj"), q, c.hidden, false)?,
                mlp_norm: Norm::rms(w, &name("post_attention_layernorm"), c.hidden, c.eps)?,
                gate_up: Linear::load_stacked(w, &[(&gate, wide), (&up, wide)], c.hidden, false)?,
                down: Linear::load(w, &name("mlp.down_proj"), wide, c.hidden, false)?,
            })
        };
        let embed = Linear::load(w, &format!("{prefix}embed_tokens"), c.hidden, c.vocab, false)?;
        let head = if c.tied {
            w.skip("lm_head.weight");
            None
        } else {
            Some(Linear::load(w, "lm_head", c.hidden, c.vocab, false)?)
        };
        Ok(Self {
            embed,
            layers: (0..c.layers).map(layer).collect::<std::result::Result<_, _>>()?,
            norm: Norm::rms(w, &format!("{prefix}norm"), c.hidden, c.eps)?,
            head,
            frequencies: inverse_frequencies(c.theta, c.head_dim),
            numbers: w.numbers.clone(),
            config,
        })
    }

    /// Embeddings of tokens, (tokens, hidden).
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        self.embed.rows(ids)
    }

    /// Runs `x` (tokens, hidden): the rows of all groups one after the other, at `positions`; their
    /// keys and values are appended. Returns the last hidden states before the final norm.
    pub(crate) fn forward(&self, x: Tensor, positions: &[[u32; 3]], groups: &mut [Group]) -> Result<Tensor> {
        let c = &self.config;
        let rope = Rope::sectioned(
            positions,
            c.sections,
            &self.frequencies,
            self.numbers.activations,
            &self.numbers.device,
        )?;
        let heads = Heads { queries: c.heads, keys: c.kv_heads, dim: c.head_dim };
        let mut x = x;
        for (number, layer) in self.layers.iter().enumerate() {
            let attended =
                self.attention(layer, number, &layer.input_norm.forward(&x)?, &rope, heads, groups)?;
            x = (x + attended)?;
            let mlp = by_rows(&layer.mlp_norm.forward(&x)?, |rows| {
                layer.down.forward(&gated_silu(&layer.gate_up.forward(rows)?)?)
            })?;
            x = (x + mlp)?;
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
        heads: Heads,
        groups: &mut [Group],
    ) -> Result<Tensor> {
        let tokens = x.dim(0)?;
        let (q, kv, d) = (heads.queries, heads.keys, heads.dim);
        let qkv = layer.qkv.forward(x)?.reshape((tokens, q + 2 * kv, d))?;
        let turned = rope.apply(&qkv.narrow(1, 0, q + kv)?)?;
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
        let x = self.norm.forward(hidden)?;
        self.head.as_ref().unwrap_or(&self.embed).forward(&x)?.to_dtype(DType::F32)
    }
}
