//! Qwen3-VL and its fine-tunes: Qwen3's text model behind a tower whose inner blocks feed the first layers of the text
//! model too, with rotary positions whose axes alternate from frequency to frequency. Boxes are in thousandths of
//! each side. The mixtures of experts are other architectures and are not supported.

use super::qwen_vl::{Described, Head, VitShape, load};
use super::text_only::{Absent, Kind, Windows, settings};
use crate::chat::chat_ml::chat_ml;
use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::layers::activation::Activation;
use crate::networks::decoder::{BlockSpec, DecoderConfig};
use crate::networks::qwen_vit::{Tower, VitConfig};

const ARCHITECTURES: &[&str] = &["Qwen3VLForConditionalGeneration"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "qwen3-vl",
    paper: "Qwen3-VL Technical Report, arXiv 2511.21631",
    examples: &["Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-8B-Instruct"],
    layouts: "Hugging Face folders of transformers 4.57 and 5, in one file or in shards",
    licence: "Apache-2.0; fine-tunes add theirs",
    parity: "transformers 5.24, 4 shapes: ids, grids, positions and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: "both sides to multiples of 32 pixels within bounds on their product, aspect kept; levels from -1 to 1; a \
            token for every 32 × 32 pixels",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "qwen3_vl"),
    box_dialect: Some("qwen3-vl"),
    load: Loader::Answers(|checkpoint, options| {
        load(checkpoint, options, &Described { family: &FAMILY, template: TEMPLATE, text: text_model, tower })
    }),
};

/// What stands in for a missing template: ChatML with pictures, without a default system prompt.
const TEMPLATE: &str = chat_ml!("", "<|vision_start|><|image_pad|><|vision_end|>");

/// The text model as `Qwen3VLTextConfig` reads it, in the dialects of transformers 4.57 (`rope_scaling`) and 5.
fn text_model(root: &Fields<'_>) -> Result<DecoderConfig, LoadError> {
    const SECTIONS: &str = "mrope_section";
    let text = root.object_or_defaults("text_config")?;
    let block = BlockSpec { qk_norm: true, ..BlockSpec::LLAMA };
    let absent = Absent { context: 128_000, ..Absent::QWEN };
    let kind = Kind { block, eps: 1e-6, head_dim: Some(128), windows: Windows::None, absent };
    let mut config = settings(&text, kind)?;
    config.tied = Head::read(root)? != Head::Own;
    let fields = text.object("rope_parameters")?.or(text.object("rope_scaling")?);
    let fields = fields.ok_or_else(|| text.bad("rope_scaling", "missing; mrope_section is needed"))?;
    fields.only(&[("mrope_interleaved", "true")])?;
    let half = config.head_dim / 2;
    let sections = fields.sizes(SECTIONS)?.unwrap_or_else(|| vec![24, 20, 20]);
    let fits = sections.len() == 3 && sections.iter().sum::<usize>() == half;
    // The last of an axis must not lie beyond the last frequency.
    if !fits || sections[1] * 3 > half + 1 || sections[2] * 3 > half {
        return Err(
            fields.bad(SECTIONS, format!("{sections:?} should be three numbers that add up to {half}"))
        );
    }
    for rope in &mut config.ropes {
        rope.axes = alternating(&sections, half);
    }
    Ok(config)
}

/// The axis of each frequency where time, rows and columns take turns; time has what the others leave.
fn alternating(sections: &[usize], half: usize) -> Vec<usize> {
    let axis = |n: usize| match n % 3 {
        axis @ (1 | 2) if n < 3 * sections[axis] => axis,
        _ => 0,
    };
    (0..half).map(axis).collect()
}

/// The tower as `Qwen3VLVisionConfig` reads it.
fn tower(v: &Fields<'_>, text_width: usize) -> Result<VitConfig, LoadError> {
    const POSITIONS: &str = "num_position_embeddings";
    const DEEP: &str = "deepstack_visual_indexes";
    let hidden = v.positive_or("hidden_size", 1152)?;
    let shape = VitShape::read(v, hidden, Activation::GeluTanh, [16, 27])?;
    let positions = v.positive_or(POSITIONS, 2304)?;
    let side = positions.isqrt();
    if side * side != positions {
        return Err(v.bad(POSITIONS, format!("{positions} positions do not fill a square")));
    }
    let deep = v.sizes(DEEP)?.unwrap_or_else(|| vec![8, 16, 24]);
    if deep.windows(2).any(|pair| pair[0] >= pair[1]) || deep.last().is_some_and(|last| *last >= shape.depth)
    {
        return Err(v.bad(DEEP, format!("{deep:?} are not blocks of {} in order", shape.depth)));
    }
    let intermediate = v.positive_or("intermediate_size", 4304)?;
    shape.into_config(v, Tower::Qwen3 { side, deep }, intermediate, ("out_hidden_size", text_width))
}

#[cfg(test)]
mod tests {
    use super::alternating;

    #[test]
    fn axes_alternate_until_an_axis_has_no_frequencies_left() {
        let axes = alternating(&[24, 20, 20], 64);
        assert_eq!(axes[..7], [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(axes[57..], [0, 1, 2, 0, 0, 0, 0]);
        assert_eq!([0, 1, 2].map(|axis| axes.iter().filter(|a| **a == axis).count()), [24, 20, 20]);
    }
}
