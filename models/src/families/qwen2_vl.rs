//! Qwen2-VL and its medical fine-tunes: Qwen2's text model behind a vision tower of any resolution, with
//! rotary positions along time, rows and columns. Qwen2.5-VL is the same with another tower
//! (`qwen2_5_vl.rs`).

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::Numbers;
use crate::engine::architecture::{Architecture, Features, Network, PromptPicture, Span, digest};

const ARCHITECTURES: &[&str] = &["Qwen2VLForConditionalGeneration"];

fn open(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    load(checkpoint, options, &FAMILY, tower)
}
use crate::engine::load::{Assembly, assemble};
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::layers::rope::{RopeScaling, end_to_end};
use crate::networks::decoder::{BlockSpec, Decoder, DecoderConfig, LayerSpec, RopeSpec};
use crate::networks::qwen_vit::{Activation, QwenVit, Tower, VitConfig};
use crate::options::LoadOptions;
use crate::processors::qwen_vl::{ImageProcessor, PatchLayout};
use candle_core::{Device, Tensor};
use loupe_core::{Picture, VisionLanguageModel};
use serde_json::{Value, json};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "qwen2-vl",
    paper: "Qwen2-VL, arXiv 2409.12191",
    examples: &["Qwen/Qwen2-VL-2B-Instruct", "yuxianglai117/Med-R1"],
    layouts: "Hugging Face folders of transformers 4.4x, 4.5x and 5, in one file or in shards",
    licence: "Apache-2.0 (2B, 7B); Qwen's own for 72B; fine-tunes add theirs",
    parity: "transformers 5.23, 4 shapes: ids, grids, positions and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: "both sides to multiples of 28 pixels within bounds on their product, aspect kept; CLIP's mean and \
            deviation; a token for every 28 × 28 pixels",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "qwen2_vl"),
    box_dialect: Some("qwen2-vl"),
    load: Loader::Answers(open),
};

/// What stands in for a missing template: ChatML with pictures and the default system prompt, as
/// the instruction-tuned checkpoints render it.
pub(crate) const TEMPLATE: &str = "\
{%- for message in messages -%}
{%- if loop.first and message.role != 'system' -%}
{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' -}}
{%- endif -%}
{{- '<|im_start|>' ~ message.role ~ '\n' -}}
{%- if message.content is string -%}{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- else -%}{{- part.text -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
";

/// Loads a checkpoint of either family; `tower` reads `vision_config` for a text model of a given width.
pub(super) fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    family: &'static Family,
    tower: fn(&Fields<'_>, usize) -> Result<VitConfig, LoadError>,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    root.only(&[("quantization_config", "null")])?;
    let text = text_model(&root)?;
    let v = root.object_or_defaults("vision_config")?;
    let vision = tower(&v, text.hidden)?;
    let head = Head::read(&root)?;
    let image_token = root.usize_or("image_token_id", 151_655)?;
    if image_token >= text.vocab {
        return Err(root.bad("image_token_id", format!("{image_token} is outside the vocabulary")));
    }
    let processor = ImageProcessor::read(checkpoint, &config, options)?;
    if (processor.patch, processor.merge, processor.temporal) != (vision.patch, vision.merge, vision.temporal)
    {
        return Err(LoadError::Field {
            file: "preprocessor_config.json",
            field: "patch_size, merge_size, temporal_patch_size".into(),
            problem: "differ from vision_config in config.json".into(),
        });
    }
    let default_processor = ProcessorFile::read(checkpoint, &config)?.is_absent();
    let resample = processor.backend.name();
    let assembly = Assembly { family, resample, default_processor, template: TEMPLATE, canonical };
    assemble(checkpoint, options, &assembly, |weights| {
        let stored = weights.shape("lm_head.weight").is_some();
        let text = DecoderConfig { tied: head.is_tied(stored), ..text };
        Ok(QwenVl {
            vision: QwenVit::load(weights, "model.visual.", vision)?,
            decoder: Decoder::load(weights, "model.language_model.", text)?,
            processor,
            image_token: image_token as u32,
            numbers: weights.numbers.clone(),
        })
    })
}

/// Names of transformers 4.52 and later; older files have `visual.` and `model.` at the top.
fn canonical(name: &str) -> Option<String> {
    if name.ends_with("rotary_emb.inv_freq") || name.ends_with("rotary_pos_emb.inv_freq") {
        return None;
    }
    let own = if name.starts_with("visual.") {
        format!("model.{name}")
    } else if let Some(rest) = name.strip_prefix("language_model.") {
        format!("model.language_model.{}", rest.strip_prefix("model.").unwrap_or(rest))
    } else {
        match name.strip_prefix("model.") {
            Some(rest) if !rest.starts_with("visual.") && !rest.starts_with("language_model.") => {
                format!("model.language_model.{rest}")
            }
            _ => name.to_owned(),
        }
    };
    Some(own)
}

/// Whose weights make the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// `lm_head.weight`.
    Own,
    /// The embeddings; an `lm_head.weight` may be stored, but only with the same values.
    Tied,
    /// `lm_head.weight` where it is stored, otherwise the embeddings.
    OwnWhereStored,
}

impl Head {
    /// Of the two flags the outer one decides (transformers 5); earlier versions looked at the one of the text
    /// model. A head is never dropped on the word of one of them.
    fn read(root: &Fields<'_>) -> Result<Self, LoadError> {
        const FLAG: &str = "tie_word_embeddings";
        let outer = root.bool_or(FLAG, false)?;
        let inner = root.object("text_config")?.map_or(Ok(false), |text| text.bool_or(FLAG, false))?;
        Ok(match (outer, inner) {
            (false, false) => Self::Own,
            (false, true) if root.get(FLAG).is_some() => Self::OwnWhereStored,
            _ => Self::Tied,
        })
    }

    fn is_tied(self, stored: bool) -> bool {
        match self {
            Self::Own => false,
            Self::Tied => true,
            Self::OwnWhereStored => !stored,
        }
    }
}

/// The text model in the dialects of transformers 4.4x (settings at the top), 4.5x (`text_config`) and 5.x
/// (`rope_parameters`), as `Qwen2VLTextConfig` reads them. Writers leave out what equals the class's default, so
/// those are filled in.
fn text_model(root: &Fields<'_>) -> Result<DecoderConfig, LoadError> {
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
    let shape = VitShape::read(v, hidden, Activation::QuickGelu)?;
    // `int(embed_dim * mlp_ratio)`
    let intermediate = (hidden as f64 * v.f64_or("mlp_ratio", 4.0)?) as usize;
    shape.into_config(v, Tower::Qwen2, intermediate, ("hidden_size", text_width))
}

/// What both towers are described by.
pub(super) struct VitShape {
    pub(super) patch: usize,
    pub(super) merge: usize,
    temporal: usize,
    hidden: usize,
    heads: usize,
    depth: usize,
    theta: f64,
    activation: Activation,
}

impl VitShape {
    pub(super) fn read(v: &Fields<'_>, hidden: usize, activation: Activation) -> Result<Self, LoadError> {
        let heads = v.positive_or("num_heads", 16)?;
        if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(4) {
            return Err(v.bad(
                "num_heads",
                format!("{heads} heads of {hidden} dimensions do not split into quarters"),
            ));
        }
        if v.usize_or("in_channels", v.usize_or("in_chans", 3)?)? != 3 {
            return Err(v.bad("in_channels", "only 3 is supported"));
        }
        let side = |field: &str, default: usize| match v.usize_or(field, default)? {
            n @ 1..=256 => Ok(n),
            n => Err(v.bad(field, format!("{n} is out of range"))),
        };
        let activation = match v.text("hidden_act")? {
            None => activation,
            Some("silu") => Activation::Silu,
            Some("gelu") => Activation::Gelu,
            Some("quick_gelu") => Activation::QuickGelu,
            Some(other) => return Err(v.bad("hidden_act", format!("{other:?} is not supported"))),
        };
        let rope = v.object("rope_parameters")?;
        Ok(Self {
            patch: side("patch_size", 14)?,
            merge: side("spatial_merge_size", 2)?,
            temporal: side("temporal_patch_size", 2)?,
            hidden,
            heads,
            depth: v.usize_or("depth", 32)?,
            theta: rope.map_or(Ok(10_000.0), |r| r.positive_f64_or("rope_theta", 10_000.0))?,
            activation,
        })
    }

    /// `out` is the field with the width of the features, and the text model's width, which it must equal.
    pub(super) fn into_config(
        self,
        v: &Fields<'_>,
        tower: Tower,
        intermediate: usize,
        out: (&'static str, usize),
    ) -> Result<VitConfig, LoadError> {
        let (field, text_width) = out;
        let width = v.positive_or(field, 3584)?;
        if width != text_width {
            let problem = format!("{width} does not fit the text model's hidden_size {text_width}");
            return Err(v.bad(field, problem));
        }
        Ok(VitConfig {
            tower,
            depth: self.depth,
            hidden: self.hidden,
            intermediate,
            heads: self.heads,
            channels: 3,
            patch: self.patch,
            merge: self.merge,
            temporal: self.temporal,
            out: width,
            theta: self.theta,
            activation: self.activation,
        })
    }
}

/// The network and the picture settings of either family.
struct QwenVl {
    vision: QwenVit,
    decoder: Decoder,
    processor: ImageProcessor,
    image_token: u32,
    numbers: Numbers,
}

/// A picture as patches on a grid, each token for a square of them.
struct PatchedPicture {
    layout: PatchLayout,
    span: Span,
    digest: [u8; 32],
}

impl PromptPicture for PatchedPicture {
    fn spans(&self) -> &[Span] {
        std::slice::from_ref(&self.span)
    }

    fn frame(&self) -> [usize; 2] {
        self.layout.resized
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn grid(&self) -> Option<[usize; 3]> {
        Some(self.layout.grid)
    }
}

impl Architecture for QwenVl {
    type Picture = PatchedPicture;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.decoder)
    }

    fn settings(&self) -> Value {
        let v = &self.vision.config;
        json!({
            "text": self.decoder.config.settings(),
            "image_token_id": self.image_token,
            "vision": {
                "tower": format!("{:?}", v.tower), "depth": v.depth, "hidden_size": v.hidden,
                "intermediate_size": v.intermediate, "num_heads": v.heads, "patch_size": v.patch,
                "spatial_merge_size": v.merge, "temporal_patch_size": v.temporal, "out": v.out,
                "rope_theta": v.theta, "activation": format!("{:?}", v.activation),
            },
            "pictures": self.processor.settings(),
        })
    }

    fn mark(&self) -> &str {
        "<|image_pad|>"
    }

    fn feature_token(&self) -> u32 {
        self.image_token
    }

    fn show(&self, picture: &Picture) -> Result<PatchedPicture, String> {
        let layout = self.processor.layout(picture.width(), picture.height())?;
        let digest = digest(picture, &self.processor.fingerprint());
        Ok(PatchedPicture { layout, span: Span::Features { tokens: layout.tokens }, digest })
    }

    fn patches(&self, picture: &Picture, shown: &PatchedPicture) -> Result<Tensor, String> {
        let values = self.processor.patches(picture, &shown.layout)?;
        let rows = shown.layout.grid.iter().product::<usize>();
        let shape = (rows, values.len() / rows.max(1));
        let placed = Tensor::from_vec(values, shape, &Device::Cpu)
            .and_then(|t| t.to_dtype(self.numbers.activations))
            .and_then(|t| t.to_device(&self.numbers.device));
        placed.map_err(|e| e.to_string())
    }

    fn encode(&self, patches: &Tensor, shown: &PatchedPicture) -> candle_core::Result<Features> {
        Ok(Features { rows: self.vision.forward(patches, shown.layout.grid)?, deep: Vec::new() })
    }

    fn encode_bytes(&self, shown: &PatchedPicture) -> u64 {
        let patches = shown.layout.grid.iter().product::<usize>();
        self.vision.bytes(patches)
    }

    /// `get_rope_index`: rows and columns of merged patches count up from `next`; what follows
    /// starts after the longer side, not after the number of tokens.
    fn positions(&self, shown: &PatchedPicture, _: usize, next: u32) -> (Vec<[u32; 3]>, u32) {
        let merge = self.processor.merge;
        let [_, rows, columns] = shown.layout.grid;
        let (rows, columns) = ((rows / merge) as u32, (columns / merge) as u32);
        let cells = (0..rows).flat_map(|y| (0..columns).map(move |x| [next, next + y, next + x]));
        (cells.collect(), next + rows.max(columns))
    }
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
            [released, TEMPLATE].map(|source| ChatTemplate::new(source.to_owned(), Vec::new()).unwrap());
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
            assert_eq!(own.render(&turns, &same).unwrap(), released.render(&turns, &same).unwrap());
        }
    }
}
