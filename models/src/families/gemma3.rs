//! Gemma 3 with eyes, and its fine-tunes: a text model that mostly looks back over a window, behind SigLIP, whose
//! patches are pooled to a fixed number of tokens a picture. MedGemma (`medgemma.rs`) is a fine-tune; its text model
//! alone is `gemma3_text.rs`.

use super::text_only::stored_names;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::Numbers;
use crate::engine::architecture::{Architecture, Features, Network, Span, SpannedPicture, digest};
use crate::engine::load::{Assembly, assemble};
use crate::error::LoadError;
use crate::family::{Clues, Family, Loader};
use crate::layers::rope::{RopeScaling, end_to_end};
use crate::networks::decoder::{BlockSpec, Decoder, DecoderConfig, Gate, LayerSpec, RopeSpec};
use crate::networks::gemma_projector::{Pooling, Projector};
use crate::networks::siglip::{VisionConfig, VisionTower};
use crate::options::LoadOptions;
use crate::processors::levels::HALVES;
use crate::processors::square::{PanAndScan, Square};
use candle_core::Tensor;
use loupe_core::{Picture, VisionLanguageModel};
use serde_json::{Value, json};

const ARCHITECTURES: &[&str] = &["Gemma3ForConditionalGeneration"];

/// How pictures of all members are prepared.
pub(super) const INPUT: &str = "squashed to a square (896 × 896, bilinear), levels from -1 to 1; 256 tokens a \
                                picture; elongated pictures also in crops with --pan-and-scan";

/// The table entry.
pub const FAMILY: Family = Family {
    name: "gemma3",
    paper: "Gemma 3 Technical Report, arXiv 2503.19786",
    examples: &["google/gemma-3-4b-it", "google/gemma-3-27b-it"],
    layouts: "Hugging Face folders as published (4.50, defaults left out) and of transformers 5, in one file or in shards; GGUF with its mmproj",
    licence: "Gemma terms of use",
    parity: "transformers 5.24, 6 shapes, pan and scan among them: ids and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: INPUT,
    architectures: ARCHITECTURES,
    claims: is_member,
    box_dialect: Some("gemma"),
    load: Loader::Answers(|checkpoint, options| load(checkpoint, options, &FAMILY)),
};

/// True for a checkpoint with Gemma 3's architecture.
pub(super) fn is_member(clues: &Clues<'_>) -> bool {
    clues.is(ARCHITECTURES, "gemma3")
}

/// What stands in for a missing template: turns of user and model as the instruction-tuned checkpoints render
/// them. A system turn becomes the beginning of the first user turn.
pub(super) const TEMPLATE: &str = "\
{%- macro words(content) -%}
{%- if content is string -%}{{- content | trim -}}
{%- else -%}
{%- for part in content -%}
{%- if part.type == 'image' -%}{{- '<start_of_image>' -}}
{%- else -%}{{- part.text | trim -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{{- bos_token or '<bos>' -}}
{%- set first = messages[0] -%}
{%- set system = first.role == 'system' -%}
{%- for message in (messages[1:] if system else messages) -%}
{{- '<start_of_turn>' ~ ('model' if message.role == 'assistant' else message.role) ~ '\n' -}}
{%- if loop.first and system -%}
{{- (first.content if first.content is string else first.content[0].text) ~ '\n\n' -}}
{%- endif -%}
{{- words(message.content) -}}
{{- '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}
";

/// Where a picture stands: the token before its features, and the one after them.
const MARK: &str = "<start_of_image>";
const END: &str = "<end_of_image>";

/// Loads a checkpoint of `family`, a member of this one.
pub(super) fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    family: &'static Family,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    options.pixels.refuse(family.name)?;
    let text_fields = root.object_or_defaults("text_config")?;
    let tied = root.bool_or("tie_word_embeddings", text_fields.bool_or("tie_word_embeddings", true)?)?;
    let text = text_model(&text_fields, tied)?;
    let vision = VisionConfig::read(&root.object_or_defaults("vision_config")?)?;
    let pooling = Pooling::read(&root, &vision)?;
    let image_token = root.usize_or("image_token_index", root.usize_or("image_token_id", 262_144)?)?;
    let processor = Processor::read(checkpoint, options, &config, &vision, pooling.tokens())?;
    let default_processor = ProcessorFile::read(checkpoint, &config)?.is_absent();
    let resample = processor.square.backend.name();
    let assembly =
        Assembly { family, resample, default_processor, template: TEMPLATE, instead: None, canonical };
    assemble(checkpoint, options, &assembly, |weights| {
        Ok(Gemma3 {
            projector: Projector::load(
                weights,
                "model.multi_modal_projector.",
                &vision,
                pooling,
                text.hidden,
            )?,
            tower: VisionTower::load(weights, "model.vision_tower.", vision, false)?,
            decoder: Decoder::load(weights, "model.language_model.", text)?,
            processor,
            image_token: image_token as u32,
            numbers: weights.numbers.clone(),
        })
    })
}

/// Names of transformers 5; published files have `language_model.model.`, `language_model.lm_head.` and
/// `vision_tower.vision_model.`, those of 4.52 and later `model.` before them.
fn canonical(name: &str) -> Option<String> {
    let bare = name.strip_prefix("model.").unwrap_or(name);
    if let Some(rest) = bare.strip_prefix("vision_tower.") {
        let rest = rest.strip_prefix("vision_model.").unwrap_or(rest);
        // A head pools to one vector, which this family does not read.
        let unused = rest.starts_with("head.") || rest == "embeddings.position_ids";
        return (!unused).then(|| format!("model.vision_tower.{rest}"));
    }
    if bare.starts_with("multi_modal_projector.") {
        return Some(format!("model.{bare}"));
    }
    stored_names(bare)
}

/// The text model, as `Gemma3TextConfig` reads it; published files leave out what is default there.
pub(super) fn text_model(text: &Fields<'_>, tied: bool) -> Result<DecoderConfig, LoadError> {
    let hidden = text.positive_or("hidden_size", 2304)?;
    let heads = text.positive_or("num_attention_heads", 8)?;
    let kv_heads = text.positive_or("num_key_value_heads", 4)?;
    let head_dim = text.positive_or("head_dim", 256)?;
    if !heads.is_multiple_of(kv_heads) {
        return Err(text.bad("num_key_value_heads", format!("{kv_heads} does not divide {heads} heads")));
    }
    if !head_dim.is_multiple_of(2) {
        return Err(text.bad("head_dim", format!("{head_dim} is odd")));
    }
    if text.text("hidden_activation")?.is_some_and(|act| act != "gelu_pytorch_tanh") {
        return Err(text.bad("hidden_activation", "only gelu_pytorch_tanh is supported"));
    }
    for field in ["attention_bias", "use_bidirectional_attention"] {
        if text.bool_or(field, false)? {
            return Err(text.bad(field, "not supported"));
        }
    }
    if let Some(field) =
        ["attn_logit_softcapping", "final_logit_softcapping"].into_iter().find(|f| text.get(f).is_some())
    {
        return Err(text.bad(field, "not supported; Gemma 3 has none"));
    }
    let scalar = text.f64_or("query_pre_attn_scalar", 256.0)?;
    if scalar <= 0.0 {
        return Err(text.bad("query_pre_attn_scalar", "must be above 0"));
    }
    Ok(DecoderConfig {
        hidden,
        intermediate: text.positive_or("intermediate_size", 9216)?,
        layers: layers(text)?,
        heads,
        kv_heads,
        head_dim,
        vocab: text.positive_or("vocab_size", 262_208)?,
        eps: text.f64_or("rms_norm_eps", 1e-6)?,
        ropes: ropes(text, head_dim)?,
        block: BlockSpec {
            qk_norm: true,
            // Files that llama.cpp's converter wrote hold weights of norms with 1 added.
            norm_plus_one: !text.bool_or("norm_weights_include_one", false)?,
            post_norms: true,
            gate: Gate::GeluTanh,
            score_scale: Some(scalar.powf(-0.5)),
            embedding_scale: Some((hidden as f64).sqrt()),
            pictures_see_themselves: true,
            ..BlockSpec::LLAMA
        },
        tied,
        context: text.positive_or("max_position_embeddings", 131_072)?,
    })
}

/// Layers with a window and the first table of positions, and layers without and with the second: as
/// `layer_types` lists them, or every n-th without (`sliding_window_pattern`).
fn layers(text: &Fields<'_>) -> Result<Vec<LayerSpec>, LoadError> {
    const TYPES: &str = "layer_types";
    let count = text.positive_or("num_hidden_layers", 26)?;
    let window = text.positive_or("sliding_window", 4096)?;
    let (near, far) = (LayerSpec { rope: 0, window: Some(window) }, LayerSpec { rope: 1, window: None });
    let Some(listed) = text.get(TYPES).and_then(Value::as_array) else {
        let pattern = text.positive_or("sliding_window_pattern", 6)?;
        return Ok((1..=count).map(|n| if n.is_multiple_of(pattern) { far } else { near }).collect());
    };
    if listed.len() != count {
        return Err(text.bad(TYPES, format!("lists {} layers of {count}", listed.len())));
    }
    let layer = |kind: &Value| match kind.as_str() {
        Some("sliding_attention") => Ok(near),
        Some("full_attention") => Ok(far),
        _ => Err(text.bad(TYPES, format!("{kind} is not supported"))),
    };
    listed.iter().map(layer).collect()
}

/// Tables of positions of layers with and without a window. 5.x has an entry for each in `rope_parameters`;
/// before, `rope_scaling` held for layers without a window only.
fn ropes(text: &Fields<'_>, head_dim: usize) -> Result<Vec<RopeSpec>, LoadError> {
    let nested = text.object("rope_parameters")?;
    let table = |kind: &str, theta: f64, before: Option<Fields<'_>>| -> Result<RopeSpec, LoadError> {
        let by_kind = nested.as_ref().map(|n| n.object(kind)).transpose()?.flatten();
        let Some(fields) = by_kind.or(before) else {
            return Ok(RopeSpec {
                theta,
                scaling: RopeScaling::None,
                axes: end_to_end([head_dim / 2, 0, 0]),
            });
        };
        let scaling = match fields.text("rope_type")?.or(fields.text("type")?).unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => match fields.f64_or("factor", 1.0)? {
                factor if factor > 0.0 => RopeScaling::Linear(factor),
                factor => return Err(fields.bad("factor", format!("{factor} is not above 0"))),
            },
            other => {
                return Err(
                    fields.bad("rope_type", format!("{other:?} is not supported; default and linear are"))
                );
            }
        };
        let theta = fields.f64_or("rope_theta", theta)?;
        Ok(RopeSpec { theta, scaling, axes: end_to_end([head_dim / 2, 0, 0]) })
    };
    Ok(vec![
        table("sliding_attention", text.f64_or("rope_local_base_freq", 1e4)?, None)?,
        table("full_attention", text.f64_or("rope_theta", 1e6)?, text.object("rope_scaling")?)?,
    ])
}

/// How pictures enter.
struct Processor {
    square: Square,
    pan: Option<PanAndScan>,
    /// Tokens of a view of a picture.
    tokens: usize,
}

impl Processor {
    fn read(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        config: &Value,
        vision: &VisionConfig,
        tokens: usize,
    ) -> Result<Self, LoadError> {
        const JOINED: &str = "processor_config.json";
        let file = ProcessorFile::read(checkpoint, config)?;
        let class = file.class(&["Gemma3ImageProcessor"])?;
        let backend = options.resample.unwrap_or_else(|| file.backend(&class));
        let fields = file.fields();
        let pan = options.pan_and_scan || fields.bool_or("do_pan_and_scan", false)?;
        let joined = checkpoint.json(JOINED)?.unwrap_or(Value::Null);
        let joined = Fields::new(&joined, JOINED);
        if joined.usize_or("image_seq_length", tokens)? != tokens {
            let problem =
                format!("config.json, field mm_tokens_per_image, makes {tokens} tokens of a picture");
            return Err(joined.bad("image_seq_length", problem));
        }
        Ok(Self {
            square: Square::read(&file, vision.side, backend, (2, HALVES))?,
            pan: pan.then(|| PanAndScan::read(&fields)).transpose()?,
            tokens,
        })
    }

    /// The views of a picture: itself, then its crops.
    fn views(&self, picture: &Picture) -> Result<Vec<Picture>, String> {
        let crops = self.pan.map(|pan| pan.crops(picture.width(), picture.height())).unwrap_or_default();
        let crops = crops.into_iter().map(|region| picture.crop(region).map_err(|e| e.to_string()));
        std::iter::once(Ok(picture.clone())).chain(crops).collect()
    }

    /// What stands in the prompt for a picture with so many crops (`Gemma3Processor`).
    fn spans(&self, crops: usize) -> Vec<Span> {
        let features = Span::Features { tokens: self.tokens };
        let words = |before: &str, between: &str| Span::Words(format!("{before}{between}\n\n{MARK}"));
        let first = if crops == 0 { "" } else { "Here is the original image " };
        let mut out = vec![words("", first), features.clone()];
        for n in 0..crops {
            let between = if n == 0 { " and here are some crops to help you see better " } else { " " };
            out.extend([words(&format!("{END}\n\n"), between), features.clone()]);
        }
        out.push(Span::Words(format!("{END}\n\n")));
        out
    }

    fn fingerprint(&self) -> Vec<u8> {
        let pan = self.pan.map(PanAndScan::fingerprint).unwrap_or_default();
        [self.square.fingerprint(), pan].concat()
    }
}

/// The network and its picture settings.
struct Gemma3 {
    tower: VisionTower,
    projector: Projector,
    decoder: Decoder,
    processor: Processor,
    image_token: u32,
    numbers: Numbers,
}

impl Architecture for Gemma3 {
    type Picture = SpannedPicture;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.decoder)
    }

    fn settings(&self) -> Value {
        json!({
            "text": self.decoder.config.settings(),
            "image_token_id": self.image_token,
            "pictures": {
                "side": self.processor.square.side, "filter": format!("{:?}", self.processor.square.filter),
                "backend": self.processor.square.backend.name(), "levels": self.processor.square.levels.settings(),
                "pan_and_scan": self.processor.pan.is_some(), "tokens": self.processor.tokens,
            },
        })
    }

    fn mark(&self) -> &str {
        MARK
    }

    fn feature_token(&self) -> u32 {
        self.image_token
    }

    fn crops(&self) -> bool {
        true
    }

    fn show(&self, picture: &Picture) -> Result<SpannedPicture, String> {
        let crops = self.processor.views(picture)?.len() - 1;
        let digest = digest(picture, &self.processor.fingerprint());
        Ok(SpannedPicture {
            spans: self.processor.spans(crops),
            frame: [self.processor.square.side; 2],
            digest,
        })
    }

    /// (views, 3, side, side).
    fn patches(&self, picture: &Picture, _: &SpannedPicture) -> Result<Tensor, String> {
        let views = self.processor.views(picture)?;
        let side = self.processor.square.side;
        let mut values = Vec::with_capacity(views.len() * 3 * side * side);
        for view in &views {
            values.extend(self.processor.square.planes(view)?);
        }
        self.numbers.place(values, (views.len(), 3, side, side))
    }

    fn encode(&self, views: &Tensor, _: &SpannedPicture) -> candle_core::Result<Features> {
        let view = |n: usize| self.projector.forward(&self.tower.forward(&views.get(n)?)?);
        let rows = (0..views.dim(0)?).map(view).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Features { rows: Tensor::cat(&rows, 0)?, deep: Vec::new() })
    }

    fn encode_bytes(&self, _: &SpannedPicture) -> u64 {
        // One view at a time.
        self.tower.bytes()
    }
}
