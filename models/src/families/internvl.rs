//! InternVL 2.5, 3 and 3.5, and their fine-tunes: pictures in tiles before Qwen's (or Llama's) text model. Two layouts are
//! published: that of `transformers` (`internvl`) and the one with code of its own (`internvl_chat`), whose pictures
//! are resized by Pillow and whose turns have a system prompt.

use super::text_only::{stored_names, text_model, tie_flag};
use crate::chat::chat_ml::chat_ml;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::Numbers;
use crate::engine::architecture::{Architecture, Features, Network, Span, SpannedPicture, digest};
use crate::engine::load::{Assembly, assemble};
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::layers::activation::Activation;
use crate::networks::class_vit::{ClassVit, ClassVitConfig};
use crate::networks::decoder::{Decoder, DecoderConfig};
use crate::networks::mlp_projector::{MlpProjector, side_by_side};
use crate::networks::stack::StackConfig;
use crate::options::LoadOptions;
use crate::processors::levels::{CLIP, IMAGENET, Levels};
use crate::processors::square::Square;
use crate::processors::tiles::Tiles;
use candle_core::Tensor;
use loupe_core::{Picture, VisionLanguageModel};
use loupe_preprocess::resize::{Backend, Filter};
use serde_json::{Value, json};

const ARCHITECTURES: &[&str] = &["InternVLForConditionalGeneration", "InternVLChatModel"];
const CHAT: &str = "internvl_chat";

/// The table entry.
pub const FAMILY: Family = Family {
    name: "internvl",
    paper: "InternVL 2.5, arXiv 2412.05271; InternVL3, arXiv 2504.10479; InternVL3.5, arXiv 2508.18265",
    examples: &["OpenGVLab/InternVL3-8B-hf", "OpenGVLab/InternVL3-8B", "manglu3935/Chiron-o1-8B"],
    layouts: "Hugging Face folders of transformers 4.52 and 5, and `internvl_chat`, with tokenizer.json; GGUF with its mmproj, of Qwen2.5 and Qwen3",
    licence: "MIT, and Qwen's for some text models; fine-tunes add theirs",
    parity: "transformers 5.24, 5 shapes, tiles and both layouts among them: ids and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: "cut into up to 12 tiles of 448 × 448 (bicubic), the whole picture after them; ImageNet mean and deviation; 256 \
            tokens a tile",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "internvl") || clues.is(ARCHITECTURES, CHAT),
    box_dialect: Some("internvl"),
    load: Loader::Answers(load),
};

/// Where a picture stands; also the token under its features.
const MARK: &str = "<IMG_CONTEXT>";

/// What stands in for a missing template of the layout of `transformers`.
const TEMPLATE: &str = chat_ml!("", "<IMG_CONTEXT>\n");

/// The system prompt of the conversation template `internvl2_5`, which files of the other layout name.
const CHAT_SYSTEM: &str = "\
{%- if messages[0].role != 'system' -%}
{{- '<|im_start|>system\n你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。<|im_end|>\n' -}}
{%- endif -%}
";

/// What the files describe.
struct Described {
    text: DecoderConfig,
    tied: Option<bool>,
    vision: ClassVitConfig,
    tiles: Tiles,
    image_token: usize,
    default_processor: bool,
}

fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    options.pixels.refuse(FAMILY.name)?;
    root.only(&[("quantization_config", "null"), ("downsample_ratio", "0.5")])?;
    let chat = root.text("model_type")? == Some(CHAT);
    let described = match chat {
        true => chat_layout(checkpoint, options, &root)?,
        false => own_layout(checkpoint, options, &config, &root)?,
    };
    let Described { text, tied, vision, tiles, image_token, default_processor } = described;
    if !vision.grid().is_multiple_of(2) {
        let problem = format!("a grid of {} patches has no squares of 2 × 2", vision.grid());
        return Err(root.bad("vision_config", problem));
    }
    let tokens = (vision.grid() / 2).pow(2);
    if root.usize_or("image_seq_length", tokens)? != tokens {
        return Err(root.bad("image_seq_length", format!("vision_config makes {tokens} tokens of a tile")));
    }
    let assembly = Assembly {
        family: &FAMILY,
        resample: tiles.square.backend.name(),
        default_processor,
        template: TEMPLATE,
        // The template of files with code of their own is for words alone.
        instead: chat.then(|| format!("{CHAT_SYSTEM}{TEMPLATE}")),
        canonical,
    };
    assemble(checkpoint, options, &assembly, |weights| {
        let stored = weights.shape("lm_head.weight").is_some();
        let text = DecoderConfig { tied: tied.unwrap_or(!stored), ..text };
        let widths = [4 * vision.stack.hidden, text.hidden, text.hidden];
        Ok(InternVl {
            tower: ClassVit::load(weights, "model.vision_tower.", vision)?,
            projector: MlpProjector::load(weights, "model.multi_modal_projector.", widths, true, true)?,
            decoder: Decoder::load(weights, "model.language_model.", text)?,
            tiles,
            tokens,
            image_token: image_token as u32,
            numbers: weights.numbers.clone(),
        })
    })
}

/// A field that is a size, or the same size twice.
fn both_sides(v: &Fields<'_>, field: &str, default: usize) -> Result<usize, LoadError> {
    let side = match v.get(field) {
        Some(Value::Array(_)) => match v.sizes(field)?.unwrap_or_default()[..] {
            [a, b] if a == b => a,
            _ => return Err(v.bad(field, "only squares are supported")),
        },
        _ => v.usize_or(field, default)?,
    };
    match side {
        1..=16_384 => Ok(side),
        _ => Err(v.bad(field, format!("{side} pixels are out of range"))),
    }
}

/// Whether norms are RMSNorm; `default` is the class's.
fn norm_type(v: &Fields<'_>, default: bool) -> Result<bool, LoadError> {
    match v.text("norm_type")? {
        None => Ok(default),
        Some("layer_norm") => Ok(false),
        Some("rms_norm") => Ok(true),
        Some(other) => Err(v.bad("norm_type", format!("{other:?} is not supported"))),
    }
}

/// The layout of `transformers`, as `InternVLConfig` reads it.
fn own_layout(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    config: &Value,
    root: &Fields<'_>,
) -> Result<Described, LoadError> {
    root.only(&[
        ("vision_feature_layer", "-1"),
        ("vision_feature_select_strategy", "\"default\""),
        ("projector_hidden_act", "\"gelu\""),
    ])?;
    let (v, text) = (root.object_or_defaults("vision_config")?, root.object_or_defaults("text_config")?);
    v.only(&[
        ("num_channels", "3"),
        ("use_mask_token", "false"),
        ("use_absolute_position_embeddings", "true"),
        ("use_mean_pooling", "true"),
    ])?;
    let stack = StackConfig {
        rms: norm_type(&v, false)?,
        qkv_bias: v.bool_or("attention_bias", false)?,
        qk_norm: v.bool_or("use_qk_norm", false)?,
        ..vit([1024, 4096, 24, 16])
    };
    let vision = tower(&v, stack, 448)?;
    let file = ProcessorFile::read(checkpoint, config)?;
    let class = file.class(&["GotOcr2ImageProcessor"])?;
    let backend = options.resample.unwrap_or_else(|| file.backend(&class));
    let fields = file.fields();
    let square = Square::read(&file, vision.side, backend, (3, CLIP))?;
    // `crop_to_patches` of the file is not looked at: the processor of this family always cuts.
    let (least, most) = (fields.positive_or("min_patches", 1)?, fields.positive_or("max_patches", 12)?);
    Ok(Described {
        text: text_model(&text, "qwen2")?,
        tied: tie_flag(root, &text)?,
        tiles: tiles(&fields, square, least, most, true)?,
        vision,
        image_token: root.usize_or("image_token_id", 151_667)?,
        default_processor: file.is_absent(),
    })
}

/// The layout with code of its own, as `InternVLChatConfig` and `InternVisionConfig` read it.
fn chat_layout(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    root: &Fields<'_>,
) -> Result<Described, LoadError> {
    root.only(&[("ps_version", "\"v2\""), ("select_layer", "-1"), ("template", "\"internvl2_5\"")])?;
    let (v, text) = (root.object_or_defaults("vision_config")?, root.object_or_defaults("llm_config")?);
    let stack = StackConfig {
        rms: norm_type(&v, true)?,
        qkv_bias: v.bool_or("qkv_bias", false)?,
        qk_norm: v.bool_or("qk_normalization", true)?,
        ..vit([3200, 12_800, 48, 25])
    };
    let vision = tower(&v, stack, 224)?;
    root.only(&[("force_image_size", vision.side.to_string().as_str())])?;
    let square = Square {
        side: vision.side,
        filter: Filter::Bicubic,
        backend: options.resample.unwrap_or(Backend::Pillow),
        levels: Levels::new(1.0 / 255.0, IMAGENET),
    };
    let (least, most) = match root.bool_or("dynamic_image_size", false)? {
        true => (root.positive_or("min_dynamic_patch", 1)?, root.positive_or("max_dynamic_patch", 6)?),
        false => (1, 1),
    };
    let image_token = checkpoint.added_token(MARK)?;
    Ok(Described {
        text: text_model(&text, "qwen2")?,
        tied: tie_flag(&text, root)?,
        tiles: tiles(root, square, least, most, root.bool_or("use_thumbnail", false)?)?,
        vision,
        image_token: image_token as usize,
        default_processor: false,
    })
}

fn tiles(
    fields: &Fields<'_>,
    square: Square,
    least: usize,
    most: usize,
    thumbnail: bool,
) -> Result<Tiles, LoadError> {
    match least <= most && most <= 1024 {
        true => Ok(Tiles { square, least, most, thumbnail }),
        false => Err(fields.bad("max_patches", format!("from {least} to {most} tiles are out of range"))),
    }
}

/// InternViT with these sizes where the file says nothing.
fn vit([hidden, intermediate, depth, heads]: [usize; 4]) -> StackConfig {
    StackConfig {
        hidden,
        intermediate,
        depth,
        heads,
        eps: 1e-6,
        activation: Activation::Gelu,
        rms: false,
        qkv_bias: false,
        qk_norm: false,
        scaled: true,
        causal: false,
    }
}

fn tower(v: &Fields<'_>, plain: StackConfig, side: usize) -> Result<ClassVitConfig, LoadError> {
    let stack = StackConfig::read(v, plain)?;
    let (side, patch) = (both_sides(v, "image_size", side)?, both_sides(v, "patch_size", 14)?);
    if patch > side {
        return Err(v.bad("patch_size", format!("{patch} is larger than image_size {side}")));
    }
    Ok(ClassVitConfig { stack, side, patch, patch_bias: true, pre_norm: false })
}

/// Names of transformers 5 with those of CLIP in the tower; older files lack `model.` or have it further in, and those
/// with code of their own have other names.
fn canonical(name: &str) -> Option<String> {
    let bare = name.strip_prefix("model.").unwrap_or(name);
    if let Some(rest) = bare.strip_prefix("vision_tower.").or_else(|| bare.strip_prefix("vision_model.")) {
        return Some(format!("model.vision_tower.{}", in_tower(rest)));
    }
    let projector = [("mlp1.0.", "layer_norm."), ("mlp1.1.", "linear_1."), ("mlp1.3.", "linear_2.")];
    for (from, to) in projector {
        if let Some(rest) = bare.strip_prefix(from) {
            return Some(format!("model.multi_modal_projector.{to}{rest}"));
        }
    }
    match bare.starts_with("multi_modal_projector.") {
        true => Some(format!("model.{bare}")),
        false => stored_names(bare),
    }
}

fn in_tower(rest: &str) -> String {
    const PARTS: &[(&str, &str)] = &[
        ("encoder.layer.", "encoder.layers."),
        (".attention.", ".self_attn."),
        (".attn.", ".self_attn."),
        (".projection_layer.", ".out_proj."),
        (".self_attn.proj.", ".self_attn.out_proj."),
        (".layernorm_before.", ".layer_norm1."),
        (".layernorm_after.", ".layer_norm2."),
        (".norm1.", ".layer_norm1."),
        (".norm2.", ".layer_norm2."),
        (".lambda_", ".scale"),
        (".ls", ".scale"),
        ("embeddings.cls_token", "embeddings.class_embedding"),
        ("embeddings.patch_embeddings.projection.", "embeddings.patch_embedding."),
    ];
    if ["embeddings.position_embeddings", "embeddings.position_embedding"].contains(&rest) {
        return "embeddings.position_embedding.weight".to_owned();
    }
    PARTS.iter().fold(rest.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// The network and its picture settings.
struct InternVl {
    tower: ClassVit,
    projector: MlpProjector,
    decoder: Decoder,
    tiles: Tiles,
    /// Tokens of a tile.
    tokens: usize,
    image_token: u32,
    numbers: Numbers,
}

impl Architecture for InternVl {
    type Picture = SpannedPicture;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.decoder)
    }

    fn settings(&self) -> Value {
        json!({
            "text": self.decoder.config.settings(),
            "image_token_id": self.image_token,
            "vision": format!("{:?}", self.tower.config),
            "pictures": self.tiles.settings(),
        })
    }

    fn mark(&self) -> &str {
        MARK
    }

    fn feature_token(&self) -> u32 {
        self.image_token
    }

    fn show(&self, picture: &Picture) -> Result<SpannedPicture, String> {
        let grid = self.tiles.grid(picture.width(), picture.height())?;
        let features = Span::Features { tokens: self.tiles.count(grid) * self.tokens };
        let side = self.tiles.square.side;
        Ok(SpannedPicture {
            spans: vec![Span::Words("<img>".to_owned()), features, Span::Words("</img>".to_owned())],
            frame: grid.map(|n| n * side),
            digest: digest(picture, &self.tiles.fingerprint()),
        })
    }

    /// (views, 3, side, side).
    fn patches(&self, picture: &Picture, _: &SpannedPicture) -> Result<Tensor, String> {
        let side = self.tiles.square.side;
        let values = self.tiles.planes(picture)?;
        let views = values.len() / (3 * side * side);
        self.numbers.place(values, (views, 3, side, side))
    }

    fn encode(&self, views: &Tensor, _: &SpannedPicture) -> candle_core::Result<Features> {
        let view = |n: usize| {
            let seen = self.tower.forward(&views.get(n)?, usize::MAX)?;
            let patches = seen.narrow(0, 1, seen.dim(0)? - 1)?;
            self.projector.forward(&side_by_side(&patches)?)
        };
        let rows = (0..views.dim(0)?).map(view).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Features { rows: Tensor::cat(&rows, 0)?, deep: Vec::new() })
    }

    fn encode_bytes(&self, _: &SpannedPicture) -> u64 {
        // One tile at a time.
        self.tower.bytes()
    }
}
