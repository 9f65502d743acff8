//! What text models without pictures share: how their files are named and their settings written, and the loader.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::engine::load::{Assembly, assemble};
use crate::engine::words_only::WordsOnly;
use crate::error::LoadError;
use crate::family::Family;
use crate::layers::rope::{RopeScaling, end_to_end};
use crate::networks::decoder::{BlockSpec, Decoder, DecoderConfig, LayerSpec, RopeSpec};
use crate::options::LoadOptions;
use loupe_core::VisionLanguageModel;

/// How pictures of all members are prepared.
pub(super) const INPUT: &str = "words alone: judges, second opinions, sets of questions without pictures";

/// Which files of members are held by tests.
pub(super) const LAYOUTS: &str = "Hugging Face folders of transformers 4.x and 5";
pub(super) const LAYOUTS_GGUF: &str = "Hugging Face folders of transformers 4.x and 5; GGUF";

/// How near members come to their reference.
pub(super) const PARITY: &str = "transformers 5.24: ids equal, logits 5e-5, 32 greedy tokens equal";

/// Stands in for a missing template where turns are written differently from checkpoint to checkpoint.
pub(super) const NO_TEMPLATE: &str = "{{ raise_exception('the checkpoint has no chat template (chat_template.jinja, \
                                      or chat_template in tokenizer_config.json): is it a base model?') }}";

/// Loads a checkpoint of `family`; `settings` reads config.json.
pub(super) fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    family: &'static Family,
    template: &'static str,
    settings: impl FnOnce(&Fields<'_>) -> Result<DecoderConfig, LoadError>,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    options.pixels.refuse(family.name)?;
    let decoder = settings(&Fields::new(&config, "config.json"))?;
    let assembly =
        Assembly { family, resample: "none", default_processor: false, template, instead: None, canonical };
    assemble(checkpoint, options, &assembly, |weights| {
        Ok(WordsOnly(Decoder::load(weights, "model.", decoder)?))
    })
}

/// Names of text models; those that were cut out of a model with pictures kept longer ones.
fn canonical(name: &str) -> Option<String> {
    if name.ends_with("rotary_emb.inv_freq") {
        return None;
    }
    let bare = name.strip_prefix("model.language_model.").or_else(|| {
        let rest = name.strip_prefix("language_model.")?;
        Some(rest.strip_prefix("model.").unwrap_or(rest))
    });
    Some(match bare {
        None | Some("lm_head.weight") => name.strip_prefix("language_model.").unwrap_or(name).to_owned(),
        Some(rest) => format!("model.{rest}"),
    })
}

/// Which layers look back over a window.
pub(super) enum Windows {
    /// None does.
    None,
    /// All, over `sliding_window` tokens; where the field is absent, over so many.
    All(Option<usize>),
    /// Those from `max_window_layers` on, where `use_sliding_window` says so (Qwen).
    FromLayer,
}

/// What sets one family of text models apart from another.
pub(super) struct Kind {
    pub(super) block: BlockSpec,
    /// Epsilon where the file has none.
    pub(super) eps: f64,
    /// Head dimension where the file has none; the width over the number of heads when `None`.
    pub(super) head_dim: Option<usize>,
    pub(super) windows: Windows,
    /// Sizes of the class of `transformers`, which files that describe a text model within a model with pictures
    /// leave out.
    pub(super) absent: Absent,
}

/// What stands in for sizes that a file leaves out.
pub(super) struct Absent {
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// As many as heads when `None`.
    pub(super) kv_heads: Option<usize>,
    pub(super) vocab: usize,
    pub(super) context: usize,
}

impl Absent {
    /// Of `LlamaConfig`.
    pub(super) const LLAMA: Self = Self {
        hidden: 4096,
        intermediate: 11_008,
        layers: 32,
        heads: 32,
        kv_heads: None,
        vocab: 32_000,
        context: 2048,
    };
    /// Of `MistralConfig`.
    const MISTRAL: Self = Self { intermediate: 14_336, kv_heads: Some(8), context: 131_072, ..Self::LLAMA };
    /// Of `Qwen2Config` and `Qwen3Config`.
    pub(super) const QWEN: Self =
        Self { intermediate: 22_016, vocab: 151_936, context: 32_768, ..Self::LLAMA };
}

/// Qwen2.
pub(super) const QWEN2: Kind = Kind {
    block: BlockSpec::QWEN2,
    eps: 1e-6,
    head_dim: None,
    windows: Windows::FromLayer,
    absent: Absent::QWEN,
};
/// Qwen3.
pub(super) const QWEN3: Kind = Kind {
    block: BlockSpec { qk_norm: true, ..BlockSpec::LLAMA },
    eps: 1e-6,
    head_dim: Some(128),
    windows: Windows::FromLayer,
    absent: Absent::QWEN,
};
/// Llama.
pub(super) const LLAMA: Kind = Kind {
    block: BlockSpec::LLAMA,
    eps: 1e-6,
    head_dim: None,
    windows: Windows::None,
    absent: Absent::LLAMA,
};
/// Mistral.
pub(super) const MISTRAL: Kind = Kind { windows: Windows::All(Some(4096)), absent: Absent::MISTRAL, ..LLAMA };

/// The text model of this `model_type` within a model with pictures.
pub(super) fn kind(model_type: &str) -> Option<Kind> {
    Some(match model_type {
        "qwen2" => QWEN2,
        "qwen3" => QWEN3,
        "llama" => LLAMA,
        "mistral" => MISTRAL,
        _ => return None,
    })
}

/// Settings of the text model within a model with pictures; `default` is its `model_type` where the file has none.
pub(super) fn text_model(fields: &Fields<'_>, default: &str) -> Result<DecoderConfig, LoadError> {
    let named = fields.text("model_type")?.unwrap_or(default);
    let known = kind(named).ok_or_else(|| {
        let problem =
            format!("the text model {named:?} is not supported; qwen2, qwen3, llama and mistral are");
        fields.bad("model_type", problem)
    })?;
    settings(fields, known)
}

/// Whether the head is the table of embeddings, where one of the two says so; what is stored decides where none does.
pub(super) fn tie_flag(first: &Fields<'_>, second: &Fields<'_>) -> Result<Option<bool>, LoadError> {
    const FLAG: &str = "tie_word_embeddings";
    let said = [first, second].into_iter().find(|fields| fields.get(FLAG).is_some());
    said.map(|fields| fields.bool_or(FLAG, false)).transpose()
}

/// Names of the text model within a model with pictures as transformers 5 writes them, `model.` left out: older files
/// have `language_model.model.` and `language_model.lm_head.`, or the model's own names.
pub(super) fn stored_names(bare: &str) -> Option<String> {
    if bare.ends_with("rotary_emb.inv_freq") {
        return None;
    }
    let words = bare.strip_prefix("language_model.").unwrap_or(bare);
    if words == "lm_head.weight" {
        return Some(words.to_owned());
    }
    Some(format!("model.language_model.{}", words.strip_prefix("model.").unwrap_or(words)))
}

/// The settings of Llama and its relatives, in the dialects of transformers 4.x and 5.x.
pub(super) fn settings(root: &Fields<'_>, kind: Kind) -> Result<DecoderConfig, LoadError> {
    let absent = &kind.absent;
    let hidden = root.positive_or("hidden_size", absent.hidden)?;
    let heads = root.positive_or("num_attention_heads", absent.heads)?;
    let kv_heads = root.positive_or("num_key_value_heads", absent.kv_heads.unwrap_or(heads))?;
    if !heads.is_multiple_of(kv_heads) {
        return Err(root.bad("num_key_value_heads", format!("{kv_heads} does not divide {heads} heads")));
    }
    let head_dim = root.positive_or("head_dim", kind.head_dim.unwrap_or(hidden / heads))?;
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        return Err(root.bad("head_dim", format!("{head_dim} dimensions do not split into two halves")));
    }
    if root.text("hidden_act")?.is_some_and(|act| act != "silu") {
        return Err(root.bad("hidden_act", "only silu is supported"));
    }
    for field in ["attention_bias", "mlp_bias"] {
        if root.bool_or(field, false)? {
            return Err(root.bad(field, "not supported"));
        }
    }
    if root.f64_or("partial_rotary_factor", 1.0)? != 1.0 {
        return Err(root.bad("partial_rotary_factor", "only 1 is supported"));
    }
    let rope = rope(root, head_dim)?;
    let mut context = root.positive_or("max_position_embeddings", absent.context)?;
    if let RopeScaling::LongRope { original, .. } = rope.scaling {
        context = context.min(original);
    }
    Ok(DecoderConfig {
        hidden,
        intermediate: root.positive_or("intermediate_size", absent.intermediate)?,
        layers: layers(root, &kind.windows, absent.layers)?,
        heads,
        kv_heads,
        head_dim,
        vocab: root.positive_or("vocab_size", absent.vocab)?,
        eps: root.f64_or("rms_norm_eps", kind.eps)?,
        ropes: vec![rope],
        block: kind.block,
        tied: root.bool_or("tie_word_embeddings", false)?,
        context,
    })
}

fn layers(root: &Fields<'_>, windows: &Windows, absent: usize) -> Result<Vec<LayerSpec>, LoadError> {
    const WINDOW: &str = "sliding_window";
    let count = root.positive_or("num_hidden_layers", absent)?;
    let (window, from) = match windows {
        Windows::None => (None, count),
        // An explicit null is no window.
        Windows::All(_) if root.is_null(WINDOW) => (None, count),
        Windows::All(absent) => match (root.get(WINDOW), absent) {
            (None, None) => (None, count),
            _ => (Some(root.positive_or(WINDOW, absent.unwrap_or(1))?), 0),
        },
        Windows::FromLayer if root.bool_or("use_sliding_window", false)? && !root.is_null(WINDOW) => {
            (Some(root.positive_or(WINDOW, 4096)?), root.usize_or("max_window_layers", 28)?)
        }
        Windows::FromLayer => (None, count),
    };
    let layer = |n: usize| LayerSpec { rope: 0, window: window.filter(|_| n >= from) };
    let made: Vec<LayerSpec> = (0..count).map(layer).collect();
    let Some(listed) = root.get("layer_types").and_then(serde_json::Value::as_array) else { return Ok(made) };
    let agrees = |(layer, kind): (&LayerSpec, &serde_json::Value)| {
        let own = if layer.window.is_some() { "sliding_attention" } else { "full_attention" };
        kind.as_str() == Some(own)
    };
    match listed.len() == count && made.iter().zip(listed).all(agrees) {
        true => Ok(made),
        false => Err(root.bad("layer_types", "differs from what the other fields say of windows")),
    }
}

/// `longrope` within the length of the first training. Older files have that length beside `rope_scaling`.
fn long_rope(root: &Fields<'_>, fields: &Fields<'_>, head_dim: usize) -> Result<RopeScaling, LoadError> {
    const SHORT: &str = "short_factor";
    const ORIGINAL: &str = "original_max_position_embeddings";
    let listed = fields.get(SHORT).and_then(serde_json::Value::as_array).into_iter().flatten();
    let short: Vec<f64> = listed.filter_map(serde_json::Value::as_f64).filter(|v| *v > 0.0).collect();
    if short.len() != head_dim / 2 {
        let problem = format!("should be {} numbers above 0", head_dim / 2);
        return Err(fields.bad(SHORT, problem));
    }
    let holder = if fields.get(ORIGINAL).is_some() { fields } else { root };
    let original = match holder.usize_or(ORIGINAL, 0)? {
        original @ 2.. => original,
        _ => return Err(holder.bad(ORIGINAL, "missing or below 2")),
    };
    let longest = root.positive_or("max_position_embeddings", original)?;
    let factor = fields.f64_or("factor", longest as f64 / original as f64)?;
    let plain = if factor > 1.0 { (1.0 + factor.ln() / (original as f64).ln()).sqrt() } else { 1.0 };
    let magnitude = fields.positive_f64_or("attention_factor", plain)?;
    Ok(RopeScaling::LongRope { short, magnitude, original })
}

/// 5.x has all in `rope_parameters`; before, `rope_theta` stood beside `rope_scaling`.
fn rope(root: &Fields<'_>, head_dim: usize) -> Result<RopeSpec, LoadError> {
    let theta = root.f64_or("rope_theta", 1e4)?;
    let axes = end_to_end([head_dim / 2, 0, 0]);
    let Some(fields) = root.object("rope_parameters")?.or(root.object("rope_scaling")?) else {
        return Ok(RopeSpec { theta, scaling: RopeScaling::None, axes });
    };
    let above = |field: &str, default: Option<f64>| -> Result<f64, LoadError> {
        match fields.f64_or(field, default.unwrap_or(0.0))? {
            value if value > 0.0 => Ok(value),
            _ => Err(fields.bad(field, "missing or not above 0")),
        }
    };
    let scaling = match fields.text("rope_type")?.or(fields.text("type")?).unwrap_or("default") {
        // `dynamic` changes nothing within `max_position_embeddings`, and longer prompts are refused.
        "default" | "dynamic" => RopeScaling::None,
        "linear" => RopeScaling::Linear(above("factor", None)?),
        "llama3" => {
            let (low, high) = (above("low_freq_factor", None)?, above("high_freq_factor", None)?);
            if low == high {
                return Err(fields.bad("high_freq_factor", "must differ from low_freq_factor"));
            }
            let original = above("original_max_position_embeddings", None)?;
            RopeScaling::Llama3 { factor: above("factor", None)?, low, high, original }
        }
        // Its first name was `su`.
        "longrope" | "su" => long_rope(root, &fields, head_dim)?,
        other => {
            let problem =
                format!("{other:?} is not supported; default, dynamic, linear, llama3 and longrope are");
            return Err(fields.bad("rope_type", problem));
        }
    };
    if fields.f64_or("partial_rotary_factor", 1.0)? != 1.0 {
        return Err(fields.bad("partial_rotary_factor", "only 1 is supported"));
    }
    Ok(RopeSpec { theta: above("rope_theta", Some(theta))?, scaling, axes })
}
