//! From llama.cpp's names of tensors (`gguf-py/gguf/tensor_mapping.py`) to those of the published checkpoints.

use super::reader::Header;

/// The text model and what holds it, by `general.architecture`.
const TEXT: &[&str] = &["qwen2", "qwen2vl"];
/// Parts of a layer of the text model.
const LAYER: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
/// Parts of a block of the vision tower.
const BLOCK: &[(&str, &str)] = &[
    ("ln1", "norm1"),
    ("ln2", "norm2"),
    ("attn_q", "attn.q"),
    ("attn_k", "attn.k"),
    ("attn_v", "attn.v"),
    ("attn_qkv", "attn.qkv"),
    ("attn_out", "attn.proj"),
];
/// Feed-forward parts: gated, plain, and plain as older files have them, up and down exchanged.
const GATED: &[(&str, &str)] =
    &[("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj")];
const PLAIN: &[(&str, &str)] = &[("ffn_up", "mlp.fc1"), ("ffn_down", "mlp.fc2")];
const EXCHANGED: &[(&str, &str)] = &[("ffn_down", "mlp.fc1"), ("ffn_up", "mlp.fc2")];

/// The names of a file's tensors.
pub(crate) enum Names {
    Text,
    /// Of a tower, with its feed-forward parts.
    Vision(&'static [(&'static str, &'static str)]),
}

impl Names {
    /// Of the file with this header; a file of something else keeps its names, and is refused by its settings.
    pub(crate) fn of(header: &Header) -> Option<Self> {
        let architecture = header.text("general.architecture")?;
        if TEXT.contains(&architecture) {
            return Some(Self::Text);
        }
        let shape = |name: &str| header.tensors.iter().find(|t| t.name == name).map(|t| t.shape.as_slice());
        let widens = |name: &str| shape(name).is_some_and(|s| s.len() == 2 && s[0] > s[1]);
        (architecture == "clip").then_some(Self::Vision(if shape("v.blk.0.ffn_gate.weight").is_some() {
            GATED
        } else if widens("v.blk.0.ffn_down.weight") {
            EXCHANGED
        } else {
            PLAIN
        }))
    }

    /// The published name of a tensor; `None` leaves it out. Unknown ones keep theirs, so that a model that does not
    /// use them says so.
    pub(crate) fn published(&self, name: &str) -> Option<String> {
        let renamed = match self {
            Self::Text => text(name),
            // A placeholder of older files: these towers have no learned positions.
            Self::Vision(_) if name == "v.position_embd.weight" => return None,
            Self::Vision(feed_forward) => vision(name, feed_forward),
        };
        Some(renamed.unwrap_or_else(|| name.to_owned()))
    }
}

fn text(name: &str) -> Option<String> {
    Some(match name {
        "token_embd.weight" => "model.embed_tokens.weight".to_owned(),
        "output_norm.weight" => "model.norm.weight".to_owned(),
        "output.weight" => "lm_head.weight".to_owned(),
        _ => format!("model.layers.{}", numbered(name.strip_prefix("blk.")?, &[LAYER])?),
    })
}

fn vision(name: &str, feed_forward: &[(&str, &str)]) -> Option<String> {
    let (stem, rest) = name.split_at(name.rfind('.')?);
    Some(match (name, stem) {
        // The convolution over two frames, one frame each.
        ("v.patch_embd.weight", _) => "visual.patch_embed.proj.weight.0".to_owned(),
        ("v.patch_embd.weight.1", _) => "visual.patch_embed.proj.weight.1".to_owned(),
        (_, "v.post_ln") => format!("visual.merger.ln_q{rest}"),
        (_, "mm.0" | "mm.2") => format!("visual.merger.mlp.{}{rest}", &stem["mm.".len()..]),
        _ => format!("visual.blocks.{}", numbered(name.strip_prefix("v.blk.")?, &[BLOCK, feed_forward])?),
    })
}

/// `3.attn_q.weight` with the part in the middle renamed.
fn numbered(name: &str, tables: &[&[(&str, &str)]]) -> Option<String> {
    let (number, rest) = name.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let known = tables.iter().copied().flatten().find(|(from, _)| *from == part)?;
    Some(format!("{number}.{}.{kind}", known.1))
}
