//! Qwen2-VL and its medical fine-tunes: Qwen2's text model behind a vision tower of any resolution, with
//! rotary positions along time, rows and columns. Qwen2.5-VL is the same with another tower
//! (`qwen2_5_vl.rs`).

use super::qwen_vl::{Described, Head, VitShape, load};
use crate::chat::chat_ml::chat_ml;
use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::layers::activation::Activation;
use crate::layers::rope::{RopeScaling, end_to_end};
use crate::networks::decoder::{BlockSpec, DecoderConfig, LayerSpec, RopeSpec};
use crate::networks::qwen_vit::{Tower, VitConfig};
use serde_json::Value;

const ARCHITECTURES: &[&str] = &["Qwen2VLForConditionalGeneration"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "qwen2-vl",
    paper: "Qwen2-VL, arXiv 2409.12191",
    examples: &["Qwen/Qwen2-VL-2B-Instruct", "yuxianglai117/Med-R1"],
    layouts: "Hugging Face folders of transformers 4.4x, 4.5x and 5, in one file or in shards; GGUF with its mmproj",
    licence: "Apache-2.0 (2B, 7B); Qwen's own for 72B; fine-tunes add theirs",
    parity: "transformers 5.23, 4 shapes: ids, grids, positions and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: "both sides to multiples of 28 pixels within bounds on their product, aspect kept; CLIP's mean and \
            deviation; a token for every 28 × 28 pixels",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "qwen2_vl"),
    box_dialect: Some("qwen2-vl"),
    load: Loader::Answers(|checkpoint, options| {
        load(checkpoint, options, &Described { family: &FAMILY, template: TEMPLATE, text: text_model, tower })
    }),
};

/// What stands in for a missing template: ChatML with pictures and the default system prompt, as
/// the instruction-tuned checkpoints render it.
pub(crate) const TEMPLATE: &str = chat_ml!(
    "{%- if loop.first and message.role != 'system' -%}\n{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' -}}\n{%- endif -%}\n",
    "<|vision_start|><|image_pad|><|vision_end|>"
);

/// The text model in the dialects of transformers 4.4x (settings at the top), 4.5x (`text_config`) and 5.x
/// (`rope_parameters`), as `Qwen2VLTextConfig` reads them. Writers leave out what equals the class's default, so
/// those are filled in.
pub(super) fn text_model(root: &Fields<'_>) -> Result<DecoderConfig, LoadError> {
    let text = root.object("text_config")?.unwrap_or_else(|| root.clone());
    let hidden = text.positive_or("hidden_size", 8192)?;
    let heads = text.positive_or("num_attention_heads", 64)?;
    let kv_heads = match text.is_null("num_key_value_heads") {
        true => heads,
        false => text.usize_or("num_key_value_heads", 8)?,
    };
    let layers = text.positive_or("num_hidden_layers", 80)?;
    if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(2) {
        return Err(text
            .bad("num_attention_heads", format!("{heads} heads do not divide hidden_size {hidden} evenly")));
    }
    if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(text.bad("num_key_value_heads", format!("{kv_heads} does not divide {heads} heads")));
    }
    let head_dim = hidden / heads;
    let per_head = head_dim.to_string();
    text.only(&[
        ("hidden_act", "\"silu\""),
        ("head_dim", per_head.as_str()),
        ("quantization_config", "null"),
    ])?;
    if text.bool_or("use_sliding_window", false)? && text.usize_or("max_window_layers", 80)? < layers {
        return Err(text.bad("use_sliding_window", "sliding windows are not supported"));
    }
    let kinds = text.get("layer_types").and_then(Value::as_array).into_iter().flatten();
    if let Some(odd) = kinds.into_iter().find(|kind| kind.as_str() != Some("full_attention")) {
        return Err(text.bad("layer_types", format!("{odd} is not supported, only full_attention")));
    }
    // 4.x: rope_theta beside rope_scaling {type: mrope, mrope_section}; 5.x: all in rope_parameters.
    let (new, old) = (text.object("rope_parameters")?, text.object("rope_scaling")?);
    if let (Some(new), Some(old)) = (&new, &old)
        && ["mrope_section", "rope_theta"]
            .iter()
            .any(|f| new.get(f).zip(old.get(f)).is_some_and(|(a, b)| a != b))
    {
        return Err(text.bad("rope_scaling", "differs from rope_parameters; keep one of the two"));
    }
    let rope = new.or(old);
    let rope = rope.ok_or_else(|| text.bad("rope_scaling", "missing; mrope_section is needed"))?;
    let kind = match rope.text("rope_type")? {
        Some(kind) => kind,
        None => rope.text("type")?.unwrap_or("default"),
    };
    rope.only(&[("partial_rotary_factor", "1"), ("mrope_interleaved", "false"), ("attention_factor", "1")])?;
    if !matches!(kind, "default" | "mrope") {
        return Err(rope.bad("rope_type", format!("{kind:?} is not supported; default and mrope are")));
    }
    let theta = rope.positive_f64_or("rope_theta", text.positive_f64_or("rope_theta", 1e6)?)?;
    let sections = rope.sizes("mrope_section")?.unwrap_or_default();
    if sections.len() != 3 || sections.iter().sum::<usize>() != head_dim / 2 {
        let problem = format!("{sections:?} should be three numbers that add up to {}", head_dim / 2);
        return Err(rope.bad("mrope_section", problem));
    }
    Ok(DecoderConfig {
        hidden,
        intermediate: text.positive_or("intermediate_size", 29_568)?,
        layers: vec![LayerSpec { rope: 0, window: None }; layers],
        heads,
        kv_heads,
        head_dim,
        vocab: text.positive_or("vocab_size", 152_064)?,
        eps: text.positive_f64_or("rms_norm_eps", 1e-5)?,
        ropes: vec![RopeSpec {
            theta,
            scaling: RopeScaling::None,
            axes: end_to_end([sections[0], sections[1], sections[2]]),
        }],
        block: BlockSpec::QWEN2,
        tied: Head::read(root)? != Head::Own,
        context: text.usize_or("max_position_embeddings", 32_768)?,
    })
}

/// The tower of Qwen2-VL as `Qwen2VLVisionConfig` reads it: LayerNorm, a plain MLP, attention over the whole
/// picture.
fn tower(v: &Fields<'_>, text_width: usize) -> Result<VitConfig, LoadError> {
    let hidden = v.positive_or("embed_dim", 1280)?;
    let shape = VitShape::read(v, hidden, Activation::QuickGelu, [14, 32])?;
    // `int(embed_dim * mlp_ratio)`
    let intermediate = (hidden as f64 * v.f64_or("mlp_ratio", 4.0)?) as usize;
    shape.into_config(v, Tower::Qwen2, intermediate, ("hidden_size", text_width))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::{TEMPLATE, text_model, tower};
    use crate::chat::template::ChatTemplate;
    use crate::checkpoint::fields::Fields;
    use loupe_core::{Part, Role, Turn};
    use serde_json::json;

    /// The defaults of transformers' configuration classes, which their writers leave out.
    #[test]
    fn what_a_sparse_configuration_leaves_out_is_the_default_of_its_class() {
        let config = json!({ "in_chans": 3, "model_type": "qwen2_vl", "spatial_patch_size": 14 });
        let fields = Fields::new(&config, "config.json");
        let v = tower(&fields, 3584).unwrap();
        assert_eq!((v.depth, v.heads, v.hidden, v.intermediate), (32, 16, 1280, 5120));
        assert_eq!((v.patch, v.merge, v.temporal, v.out), (14, 2, 2, 3584));
        assert!(tower(&fields, 1536).unwrap_err().to_string().contains("hidden_size"));
        let v = super::super::qwen2_5_vl::tower(&fields, 3584).unwrap();
        assert_eq!((v.depth, v.heads, v.hidden, v.intermediate, v.out), (32, 16, 3584, 3420, 3584));

        let rope = json!({ "type": "mrope", "mrope_section": [16, 24, 24] });
        let config = json!({ "text_config": { "rope_scaling": rope } });
        let text = text_model(&Fields::new(&config, "config.json")).unwrap();
        assert_eq!((text.hidden, text.intermediate, text.layers.len()), (8192, 29_568, 80));
        assert_eq!((text.heads, text.kv_heads, text.vocab, text.context), (64, 8, 152_064, 32_768));
        assert_eq!((text.eps, text.ropes[0].theta, text.tied), (1e-5, 1e6, false));
        // `null` is not absent: one key and value a head.
        let config = json!({ "text_config": { "rope_scaling": rope, "num_key_value_heads": null } });
        assert_eq!(text_model(&Fields::new(&config, "config.json")).unwrap().kv_heads, 64);
    }

    #[test]
    fn the_stand_in_renders_as_the_released_template_does() {
        let released = include_str!("../../tests/templates/qwen_vl.jinja");
        let [released, own] =
            [released, TEMPLATE].map(|source| ChatTemplate::new(source, Vec::new()).unwrap());
        let asked =
            Turn { role: Role::User, parts: vec![Part::Picture(0), Part::Text("What is it?".into())] };
        let talks = [
            vec![asked.clone()],
            vec![
                Turn::text(Role::System, "Be brief."),
                asked.clone(),
                Turn::text(Role::Assistant, "A lung."),
            ],
            vec![asked, Turn::text(Role::Assistant, "A lung."), Turn::text(Role::User, "Which one?")],
        ];
        for turns in talks {
            let same = |text: &str| text.to_owned();
            assert_eq!(
                own.render(&turns, &same, false).unwrap(),
                released.render(&turns, &same, false).unwrap()
            );
        }
    }
}
