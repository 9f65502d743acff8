//! LLaVA 1.5 and its medical fine-tunes: CLIP's patches through two layers into a text model. Two layouts are published:
//! that of `transformers` (`llava`), and that of the authors' code, whose configuration is the text model's with fields
//! for pictures (`mm_…`) and whose vision tower may be in the checkpoint, beside it, or elsewhere. A tower in the
//! checkpoint was trained with it and is the one that is used.

use super::llava_tower::{Found, TOWER, Tower, folder_of, in_tower};
use super::text_only::{kind, settings, stored_names, text_model, tie_flag};
use crate::chat::conversations::{
    Conversation, HUATUO, LLAVA_LLAMA_3, MISTRAL_INSTRUCT, QWEN_1_5, VICUNA_V1,
};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::Numbers;
use crate::engine::architecture::{Architecture, Features, Network, Span, SpannedPicture, digest};
use crate::engine::load::{Assembly, assemble};
use crate::error::LoadError;
use crate::family::{Clues, Family, Loader};
use crate::networks::clip;
use crate::networks::decoder::{Decoder, DecoderConfig};
use crate::networks::mlp_projector::MlpProjector;
use crate::options::LoadOptions;
use crate::processors::centred::Centred;
use candle_core::Tensor;
use loupe_core::{Picture, VisionLanguageModel};
use loupe_preprocess::resize::Backend;
use serde_json::{Value, json};

const ARCHITECTURES: &[&str] = &["LlavaForConditionalGeneration"];
/// Of the authors' layout, with the text model of each.
const ORIGINAL: &[(&str, &str, &str)] = &[
    ("LlavaMistralForCausalLM", "llava_mistral", "mistral"),
    ("LlavaLlamaForCausalLM", "llava_llama", "llama"),
    ("LlavaQwen2ForCausalLM", "llava_qwen2", "qwen2"),
    ("LlavaQwenForCausalLM", "llava_qwen", "qwen2"),
];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "llava",
    paper: "LLaVA 1.5, arXiv 2310.03744; LLaVA-Med, arXiv 2306.00890; HuatuoGPT-Vision, arXiv 2406.19280; BiMediX2, arXiv 2412.07769",
    examples: &[
        "microsoft/llava-med-v1.5-mistral-7b",
        "FreedomIntelligence/HuatuoGPT-Vision-7B",
        "MBZUAI/BiMediX2-8B",
        "llava-hf/llava-1.5-7b-hf",
    ],
    layouts: "Hugging Face folders of transformers 4.x and 5, and the authors' own; with tokenizer.json or tokenizer.model",
    licence: "Apache-2.0 or the text model's; LLaVA-Med for research only",
    parity: "transformers 5.24, 7 shapes, 4 in the authors' layout: ids and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: "put into a square of the mean colour where the configuration says so (image_aspect_ratio, do_pad), then 336 × \
            336 (bicubic), what is left over at the longer side cut off; CLIP's mean and deviation; 576 tokens a picture",
    architectures: &[
        "LlavaForConditionalGeneration",
        "LlavaMistralForCausalLM",
        "LlavaLlamaForCausalLM",
        "LlavaQwen2ForCausalLM",
        "LlavaQwenForCausalLM",
    ],
    claims: |clues| {
        clues.is(ARCHITECTURES, "llava") || ORIGINAL.iter().any(|(class, kind, _)| clues.is(&[class], kind))
    },
    box_dialect: None,
    load: Loader::Answers(load),
};

/// Where a picture stands.
const MARK: &str = "<image>";

/// What stands in for a missing template of the layout of `transformers`: that of LLaVA 1.5, pictures before words.
const TEMPLATE: &str = "\
{%- for message in messages -%}
{%- if message.role != 'system' -%}{{- (message.role | upper) ~ ': ' -}}{%- endif -%}
{%- if message.content is string -%}{{- message.content ~ ' ' -}}
{%- else -%}
{%- for part in message.content if part.type == 'image' -%}{{- '<image>\n' -}}{%- endfor -%}
{%- for part in message.content if part.type == 'text' -%}{{- part.text ~ ' ' -}}{%- endfor -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}
";

/// What the files describe.
struct Described {
    text: DecoderConfig,
    tied: Option<bool>,
    tower: Tower,
    /// Which of the tower's outputs is read: that after so many layers, counted from the last where below 0.
    layer: i64,
    /// Is the class token read too?
    class: bool,
    bias: bool,
    image_token: usize,
    /// Of the authors' layout.
    conversation: Option<Conversation>,
    backend: Backend,
    default_processor: bool,
}

fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    options.pixels.refuse(FAMILY.name)?;
    root.only(&[("quantization_config", "null")])?;
    let clues = Clues::of(checkpoint)?;
    let original = ORIGINAL.iter().find(|(class, kind, _)| clues.is(&[class], kind));
    let described = match original {
        Some((_, _, text)) => authors_layout(checkpoint, options, &root, text, &clues)?,
        None => own_layout(checkpoint, options, &config, &root)?,
    };
    let Described { text, tied, tower, layer, class, bias, image_token, conversation, .. } = described;
    let assembly = Assembly {
        family: &FAMILY,
        resample: described.backend.name(),
        default_processor: described.default_processor,
        template: TEMPLATE,
        // The template of files in the authors' layout is the text model's, for words alone.
        instead: conversation.map(Conversation::template),
        canonical,
    };
    assemble(checkpoint, options, &assembly, |weights| {
        let stored = weights.shape("lm_head.weight").is_some();
        let text = DecoderConfig { tied: tied.unwrap_or(!stored), ..text };
        let found = tower.load(checkpoint, weights, &root, described.backend)?;
        let depth = found.tower.config.stack.depth as i64;
        let layers = if layer < 0 { depth + 1 + layer } else { layer };
        if !(0..=depth).contains(&layers) {
            let problem = format!("{layer} is not one of the {} outputs of the vision tower", depth + 1);
            return Err(root.bad("vision_feature_layer", problem));
        }
        let widths = [found.tower.config.stack.hidden, text.hidden, text.hidden];
        Ok(Llava {
            projector: MlpProjector::load(weights, "model.multi_modal_projector.", widths, false, bias)?,
            decoder: Decoder::load(weights, "model.language_model.", text)?,
            tokens: found.tower.config.grid().pow(2) + usize::from(class),
            layers: layers as usize,
            class,
            found,
            image_token: image_token as u32,
            conversation,
            numbers: weights.numbers.clone(),
        })
    })
}

/// The layout of `transformers`, as `LlavaConfig` reads it.
fn own_layout(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    config: &Value,
    root: &Fields<'_>,
) -> Result<Described, LoadError> {
    root.only(&[("projector_hidden_act", "\"gelu\"")])?;
    let (v, text) = (root.object_or_defaults("vision_config")?, root.object_or_defaults("text_config")?);
    // Without a description the tower is that of LLaVA 1.5; what a description leaves out is CLIP's default.
    let vision = match root.get("vision_config") {
        None => clip::vision(&v, [1024, 4096, 24, 16], 336, 14)?,
        Some(_) => clip::vision(&v, [768, 3072, 12, 12], 224, 32)?,
    };
    let file = ProcessorFile::read(checkpoint, config)?;
    let class = file.class(&["CLIPImageProcessor", "LlavaImageProcessor"])?;
    let backend = options.resample.unwrap_or_else(|| file.backend(&class));
    let pictures = Centred::read(&file, vision.side, backend)?;
    let layer = match root.get("vision_feature_layer") {
        None => -2,
        Some(value) => value
            .as_i64()
            .ok_or_else(|| root.bad("vision_feature_layer", format!("{value}: one layer is supported")))?,
    };
    Ok(Described {
        text: text_model(&text, "llama")?,
        tied: tie_flag(root, &text)?,
        tower: Tower::Here { config: vision, pictures },
        layer,
        class: with_class(root, "vision_feature_select_strategy", ["default", "full"])?,
        bias: root.bool_or("multimodal_projector_bias", true)?,
        image_token: root.usize_or("image_token_index", root.usize_or("image_token_id", 32_000)?)?,
        conversation: None,
        backend,
        default_processor: file.is_absent(),
    })
}

/// Whether the class token is read, by the names for no and yes; no is the default.
fn with_class(root: &Fields<'_>, field: &str, [without, with]: [&str; 2]) -> Result<bool, LoadError> {
    match root.text(field)? {
        None => Ok(false),
        Some(named) if named == without => Ok(false),
        Some(named) if named == with => Ok(true),
        Some(other) => Err(root.bad(field, format!("{other:?} is neither {without:?} nor {with:?}"))),
    }
}

/// The authors' layout: `LlavaMetaModel` and `CLIPVisionTower`.
fn authors_layout(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    root: &Fields<'_>,
    text: &str,
    clues: &Clues<'_>,
) -> Result<Described, LoadError> {
    root.only(&[("mm_use_im_start_end", "false"), ("s2", "false")])?;
    match root.text("mm_projector_type")? {
        Some("mlp2x_gelu") => {}
        other => {
            let problem =
                format!("{} is not supported; mlp2x_gelu is", other.unwrap_or("linear, the default,"));
            return Err(root.bad("mm_projector_type", problem));
        }
    }
    let huatuo = clues.is_called("huatuogpt");
    let pad = match root.text("image_aspect_ratio")? {
        // HuatuoGPT-Vision's own program always pads.
        _ if huatuo => true,
        None => false,
        Some("pad") => true,
        Some(other) => {
            let problem = format!("{other:?} is not supported; pad, or nothing, is");
            return Err(root.bad("image_aspect_ratio", problem));
        }
    };
    let layer = match root.get("mm_vision_select_layer") {
        None => return Err(root.bad("mm_vision_select_layer", "missing, a whole number is needed")),
        Some(value) => value
            .as_i64()
            .ok_or_else(|| root.bad("mm_vision_select_layer", format!("{value} is not a whole number")))?,
    };
    let name = root.text(TOWER)?.ok_or_else(|| root.bad(TOWER, "missing: which tower reads pictures?"))?;
    let tokenizer = checkpoint.text("tokenizer.json")?.unwrap_or_default();
    let conversation = match text {
        _ if huatuo => HUATUO,
        "mistral" => MISTRAL_INSTRUCT,
        "qwen2" => QWEN_1_5,
        _ if tokenizer.contains("\"<|start_header_id|>\"") => LLAVA_LLAMA_3,
        _ => VICUNA_V1,
    };
    // The type of the file names the whole model.
    let kind = kind(text)
        .ok_or_else(|| root.bad("model_type", format!("the text model {text:?} is not supported")))?;
    Ok(Described {
        text: settings(root, kind)?,
        tied: tie_flag(root, root)?,
        tower: Tower::Named { name: name.to_owned(), folder: folder_of(checkpoint, name), pad },
        layer,
        class: with_class(root, "mm_vision_select_feature", ["patch", "cls_patch"])?,
        bias: true,
        // The authors give pictures no token; none of the vocabulary stands for one.
        image_token: 0,
        conversation: Some(conversation),
        backend: options.resample.unwrap_or(Backend::Pillow),
        default_processor: false,
    })
}

/// Names of transformers 5; older files of it have `vision_tower.vision_model.` and `language_model.model.`, those of
/// the authors `model.vision_tower.vision_tower.vision_model.`, `model.mm_projector.` and the text model's own.
fn canonical(name: &str) -> Option<String> {
    let bare = name.strip_prefix("model.").unwrap_or(name);
    if let Some(mut rest) = bare.strip_prefix("vision_tower.") {
        for outer in ["vision_tower.", "vision_model."] {
            rest = rest.strip_prefix(outer).unwrap_or(rest);
        }
        return in_tower(rest);
    }
    for (from, to) in [("mm_projector.0.", "linear_1."), ("mm_projector.2.", "linear_2.")] {
        if let Some(rest) = bare.strip_prefix(from) {
            return Some(format!("model.multi_modal_projector.{to}{rest}"));
        }
    }
    match bare {
        // Stands between rows of tiles, which are refused.
        "image_newline" => None,
        _ if bare.starts_with("multi_modal_projector.") => Some(format!("model.{bare}")),
        _ => stored_names(bare),
    }
}

/// The network and its picture settings.
struct Llava {
    found: Found,
    projector: MlpProjector,
    decoder: Decoder,
    /// Of the tower, that are read.
    layers: usize,
    /// Is the class token among the features?
    class: bool,
    /// Tokens of a picture.
    tokens: usize,
    image_token: u32,
    conversation: Option<Conversation>,
    numbers: Numbers,
}

impl Architecture for Llava {
    type Picture = SpannedPicture;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.decoder)
    }

    fn settings(&self) -> Value {
        json!({
            "text": self.decoder.config.settings(),
            "image_token_index": self.image_token,
            "vision": format!("{:?}", self.found.tower.config),
            "vision_layers": self.layers,
            "vision_class_token": self.class,
            "vision_tower_sha256": self.found.sha256,
            "pictures": self.found.pictures.settings(),
            "conversation": self.conversation.map(|c| c.name),
        })
    }

    fn mark(&self) -> &str {
        MARK
    }

    fn feature_token(&self) -> u32 {
        self.image_token
    }

    fn words_apart(&self) -> bool {
        self.conversation.is_some()
    }

    fn begin(&self) -> Option<&str> {
        match self.conversation {
            Some(conversation) => conversation.begin,
            None => Some(""),
        }
    }

    fn show(&self, picture: &Picture) -> Result<SpannedPicture, String> {
        Ok(SpannedPicture {
            spans: vec![Span::Features { tokens: self.tokens }],
            frame: [self.found.pictures.square.side; 2],
            digest: digest(picture, &self.found.pictures.fingerprint()),
        })
    }

    /// (3, side, side).
    fn patches(&self, picture: &Picture, _: &SpannedPicture) -> Result<Tensor, String> {
        let side = self.found.pictures.square.side;
        self.numbers.place(self.found.pictures.planes(picture)?, (3, side, side))
    }

    fn encode(&self, planes: &Tensor, _: &SpannedPicture) -> candle_core::Result<Features> {
        let seen = self.found.tower.forward(planes, self.layers)?;
        let first = usize::from(!self.class);
        let rows = self.projector.forward(&seen.narrow(0, first, self.tokens)?.contiguous()?)?;
        Ok(Features { rows, deep: Vec::new() })
    }

    fn encode_bytes(&self, _: &SpannedPicture) -> u64 {
        self.found.tower.bytes()
    }
}
