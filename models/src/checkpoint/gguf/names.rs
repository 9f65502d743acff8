//! From llama.cpp's names of tensors (`gguf-py/gguf/tensor_mapping.py`) to those of the published checkpoints.

use super::reader::Header;
use super::vision::key;

/// Parts with their names in a file and in a checkpoint.
pub(super) type Parts = &'static [(&'static str, &'static str)];

/// Parts of a layer of a text model, whatever its family.
const LAYER: Parts = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
/// Its other norms, of which Gemma has one before and one behind each part.
const NORM: Parts = &[("ffn_norm", "post_attention_layernorm")];
const GEMMA_NORMS: Parts = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];
/// Text models, and their other norms, by `general.architecture`.
const TEXT: &[(&str, Parts)] =
    &[("qwen2", NORM), ("qwen2vl", NORM), ("qwen3", NORM), ("gemma3", GEMMA_NORMS)];

/// What is called how in a tower.
pub(super) struct Tower {
    /// Before the number of a block.
    blocks: &'static str,
    /// Parts of a block, without `.weight` and `.bias` or whole: the usual ones, and those of this tower alone.
    block: [Parts; 2],
    /// What is there once, named in the same way; what has no name in a checkpoint is left out.
    others: &'static [(&'static str, Option<&'static str>)],
}

/// Parts of a block as CLIP and SigLIP call them, and most towers after them.
const USUAL: Parts = &[
    ("ln1", "layer_norm1"),
    ("ln2", "layer_norm2"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_qkv", "self_attn.qkv"),
    ("attn_out", "self_attn.out_proj"),
];
const QWEN: Tower = Tower {
    blocks: "visual.blocks",
    block: [
        &[
            ("ln1", "norm1"),
            ("ln2", "norm2"),
            ("attn_q", "attn.q"),
            ("attn_k", "attn.k"),
            ("attn_v", "attn.v"),
            ("attn_qkv", "attn.qkv"),
            ("attn_out", "attn.proj"),
        ],
        &[],
    ],
    others: &[
        // The convolution over two frames, one frame each.
        ("v.patch_embd.weight", Some("visual.patch_embed.proj.weight.0")),
        ("v.patch_embd.weight.1", Some("visual.patch_embed.proj.weight.1")),
        // A placeholder of older files: these towers have no learned positions.
        ("v.position_embd.weight", None),
        ("v.post_ln", Some("visual.merger.ln_q")),
        ("mm.0", Some("visual.merger.mlp.0")),
        ("mm.2", Some("visual.merger.mlp.2")),
    ],
};
const GEMMA: Tower = Tower {
    blocks: "vision_tower.encoder.layers",
    block: [USUAL, &[]],
    others: &[
        ("v.patch_embd", Some("vision_tower.embeddings.patch_embedding")),
        ("v.position_embd", Some("vision_tower.embeddings.position_embedding")),
        ("v.post_ln", Some("vision_tower.post_layernorm")),
        // Not turned: it is stored as the checkpoint has it, (in, out).
        ("mm.input_projection.weight", Some("multi_modal_projector.mm_input_projection_weight")),
        ("mm.soft_emb_norm", Some("multi_modal_projector.mm_soft_emb_norm")),
    ],
};
const INTERNVL: Tower = Tower {
    blocks: "vision_model.encoder.layers",
    block: [
        USUAL,
        &[
            ("attn_q_norm", "self_attn.q_norm"),
            ("attn_k_norm", "self_attn.k_norm"),
            ("ls1.weight", "scale1"),
            ("ls2.weight", "scale2"),
        ],
    ],
    others: &[
        ("v.class_embd", Some("vision_model.embeddings.class_embedding")),
        ("v.patch_embd", Some("vision_model.embeddings.patch_embedding")),
        ("v.position_embd", Some("vision_model.embeddings.position_embedding")),
        ("mm.model.mlp.0", Some("mlp1.0")),
        ("mm.model.mlp.1", Some("mlp1.1")),
        ("mm.model.mlp.3", Some("mlp1.3")),
    ],
};
/// Towers by what their file says it is.
const TOWERS: &[(&str, &Tower)] =
    &[("qwen2.5vl_merger", &QWEN), ("qwen2vl_merger", &QWEN), ("gemma3", &GEMMA), ("internvl", &INTERNVL)];

/// Feed-forward parts: gated, plain, and plain as older files have them, up and down exchanged.
const GATED: Parts =
    &[("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj")];
const PLAIN: Parts = &[("ffn_up", "mlp.fc1"), ("ffn_down", "mlp.fc2")];
const EXCHANGED: Parts = &[("ffn_down", "mlp.fc1"), ("ffn_up", "mlp.fc2")];

/// The names of a file's tensors.
pub(super) enum Names {
    /// Of a text model, with its other norms.
    Text(Parts),
    /// Of a tower, with its feed-forward parts.
    Vision(&'static Tower, Parts),
}

impl Names {
    /// Of the file with this header; a file of something else keeps its names, and is refused by its settings.
    pub(super) fn of(header: &Header) -> Option<Self> {
        let architecture = header.text("general.architecture")?;
        if let Some((_, norms)) = TEXT.iter().find(|known| known.0 == architecture) {
            return Some(Self::Text(norms));
        }
        let said = header.text(&key("projector_type")).or_else(|| header.text("clip.projector_type"))?;
        let (_, tower) = TOWERS.iter().find(|known| known.0 == said).filter(|_| architecture == "clip")?;
        let widens = |name: &str| header.shape(name).is_some_and(|s| s.len() == 2 && s[0] > s[1]);
        let feed_forward = if header.shape("v.blk.0.ffn_gate.weight").is_some() {
            GATED
        } else if widens("v.blk.0.ffn_down.weight") {
            EXCHANGED
        } else {
            PLAIN
        };
        Some(Self::Vision(tower, feed_forward))
    }

    /// The published name of a tensor; `None` leaves it out. Unknown ones keep theirs, so that a model that does not
    /// use them says so.
    pub(super) fn published(&self, name: &str) -> Option<String> {
        let renamed = match self {
            Self::Text(norms) => text(name, norms),
            Self::Vision(tower, feed_forward) => match tower.others.iter().find(|known| known.0 == name) {
                Some((_, whole)) => return whole.map(str::to_owned),
                None => vision(name, tower, feed_forward),
            },
        };
        Some(renamed.unwrap_or_else(|| name.to_owned()))
    }
}

fn text(name: &str, norms: Parts) -> Option<String> {
    Some(match name {
        "token_embd.weight" => "model.embed_tokens.weight".to_owned(),
        "output_norm.weight" => "model.norm.weight".to_owned(),
        "output.weight" => "lm_head.weight".to_owned(),
        _ => format!("model.layers.{}", numbered(name.strip_prefix("blk.")?, &[LAYER, norms])?),
    })
}

fn vision(name: &str, tower: &Tower, feed_forward: Parts) -> Option<String> {
    if let Some(part) = name.strip_prefix("v.blk.") {
        let [usual, own] = tower.block;
        return Some(format!("{}.{}", tower.blocks, numbered(part, &[usual, own, feed_forward])?));
    }
    let (stem, kind) = name.split_at(name.rfind('.')?);
    let (_, known) = tower.others.iter().find(|known| known.0 == stem)?;
    known.map(|known| format!("{known}{kind}"))
}

/// `3.attn_q.weight` with the part in the middle, or all behind the number, renamed.
fn numbered(name: &str, tables: &[Parts]) -> Option<String> {
    let (number, rest) = name.split_once('.')?;
    let find = |part: &str| tables.iter().copied().flatten().find(|(from, _)| *from == part);
    if let Some((_, whole)) = find(rest) {
        return Some(format!("{number}.{whole}"));
    }
    let (part, kind) = rest.rsplit_once('.')?;
    Some(format!("{number}.{}.{kind}", find(part)?.1))
}
