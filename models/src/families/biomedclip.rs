//! BiomedCLIP, and models of its make in the layout of open_clip: timm's vision transformer and BERT, whose class tokens
//! are projected into one space. There is no config.json; open_clip_config.json names timm's and BERT's architectures,
//! whose sizes follow from the tensors. MedCLIP-SAMv2 publishes the same network under other names, with a config.json.

use super::clip::{self, part};
use super::pairs::{Described, Towers, assemble, number};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::layers::activation::Activation;
use crate::networks::bert::{Bert, BertConfig};
use crate::networks::class_vit::ClassVitConfig;
use crate::networks::clip::{PictureTower, stack, vision as vision_config};
use crate::networks::mlp_projector::MlpProjector;
use crate::networks::stack::StackConfig;
use crate::options::LoadOptions;
use crate::processors::centred::{Centred, Fit, Half};
use crate::processors::levels::{CLIP, Levels};
use crate::processors::square::Square;
use candle_core::{Result as Computed, Tensor};
use loupe_core::{PairEncoder, PairLogit, PairReading, Picture};
use loupe_preprocess::resize::{Backend, Filter};
use std::path::Path;

const CONFIG: &str = "open_clip_config.json";
/// The class of the network under the names that MedCLIP-SAMv2 gives it.
const CONVERTED: &[&str] = &["BiomedCLIPModel"];
/// Tokens of the longest text that it was trained with.
const LONGEST: usize = 256;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "biomedclip",
    paper: "BiomedCLIP, arXiv 2303.00915; MedCLIP-SAMv2, arXiv 2409.19483",
    examples: &["microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", "HealthX-Lab/MedCLIP-SAMv2"],
    layouts: "open_clip: open_clip_config.json with open_clip_pytorch_model.bin or safetensors; config.json of \
              BiomedCLIPModel with pytorch_model.bin; and tokenizer.json or vocab.txt",
    licence: "MIT; the model card limits use to research",
    parity: "open_clip 3.3 with timm 1.0, 3 shapes: vectors 1e-5, logits 5e-5",
    input: "the shorter side scaled to 224 (bicubic, Pillow) and the middle cut out; CLIP's mean and deviation; texts of at \
            most 256 tokens",
    architectures: CONVERTED,
    claims: |clues| {
        clues.is(CONVERTED, "biomed_clip")
            || clues.has_file(CONFIG)
                && clues.has_tensor("visual.trunk.")
                && clues.has_tensor("text.transformer.")
    },
    box_dialect: None,
    load: Loader::Pairs(load),
};

/// Which vector of BERT is the text's.
#[derive(Clone, Copy)]
enum Pooling {
    /// That of the first token.
    First,
    /// The mean of all.
    Mean,
}

/// The towers, with what is before them.
struct BiomedClip {
    pictures: Centred,
    vision: PictureTower,
    bert: Bert,
    pooling: Pooling,
    projection: MlpProjector,
}

fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn PairEncoder>, LoadError> {
    if !checkpoint.has(CONFIG) {
        return load_converted(checkpoint, options);
    }
    let config = checkpoint.need_json(CONFIG)?;
    let root = Fields::new(&config, CONFIG);
    let model = root.object_or_defaults("model_cfg")?;
    let (v, t) = (model.object_or_defaults("vision_cfg")?, model.object_or_defaults("text_cfg")?);
    let width = model.positive("embed_dim")?;
    model.only(&[("quick_gelu", "false")])?;
    v.only(&[("timm_proj", "\"linear\""), ("timm_proj_bias", "false")])?;
    t.only(&[("hf_proj_type", "\"mlp\"")])?;
    if !v.text("timm_pool")?.is_none_or(|pool| pool.is_empty() || pool == "token") {
        return Err(v.bad("timm_pool", "only the class token, \"\" or \"token\", is supported"));
    }
    if !v.text("timm_model_name")?.is_some_and(|name| name.starts_with("vit_")) {
        return Err(v.bad("timm_model_name", "only vit_… is supported"));
    }
    let pooling = match t.text("hf_pooler_type")? {
        Some("cls_last_hidden_state_pooler") => Pooling::First,
        Some("mean_pooler") => Pooling::Mean,
        other => {
            let found = other.unwrap_or("nothing");
            let problem = format!("{found:?}; cls_last_hidden_state_pooler and mean_pooler are supported");
            return Err(t.bad("hf_pooler_type", problem));
        }
    };
    let length = t.positive_or("context_length", 77)?;
    let backend = options.resample.unwrap_or(Backend::Pillow);
    let preprocess = root.object_or_defaults("preprocess_cfg")?;
    assemble(checkpoint, options, canonical, |w| {
        let config = vision(w, &v)?;
        let text = text(checkpoint, w, &t)?;
        let pictures = pictures(&preprocess, config.side, backend)?;
        let (inner, vocab) = ((text.width + width) / 2, text.vocab);
        let (scale, biased) = (number(w, "logit_scale")?.exp(), w.shape("logit_bias").is_some());
        let towers = BiomedClip {
            pictures,
            vision: PictureTower::load(w, config, width)?,
            bert: Bert::load(w, &text)?,
            pooling,
            projection: MlpProjector::load(w, "text_projection.", [text.width, inner, width], false, false)?,
        };
        // Those with a bias were trained as SigLIP is.
        let bias = if biased { number(w, "logit_bias")? } else { 0.0 };
        let reading = if biased { PairReading::Each } else { PairReading::Among };
        let length = length.min(text.places);
        let described = Described { family: FAMILY.name, vocab, length, width, backend };
        Ok((towers, PairLogit { scale, bias, reading }, described))
    })
}

/// As `BiomedCLIPModel` of MedCLIP-SAMv2.
fn load_converted(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn PairEncoder>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    let (t, v) = (part(&root, "text_config")?, part(&root, "vision_config")?);
    let width = root.positive_or("projection_dim", 512)?;
    let tower = vision_config(&v, [768, 3072, 12, 12], 224, 16)?;
    let tower = ClassVitConfig { patch_bias: true, pre_norm: false, ..tower };
    t.only(&[("hidden_act", "\"gelu\""), ("position_embedding_type", "\"absolute\"")])?;
    let text = BertConfig {
        width: t.positive("hidden_size")?,
        heads: t.positive("num_attention_heads")?,
        wide: t.positive("intermediate_size")?,
        depth: t.positive("num_hidden_layers")?,
        vocab: t.positive("vocab_size")?,
        places: t.positive("max_position_embeddings")?,
        token_types: Some(t.positive_or("type_vocab_size", 2)?),
        eps: t.positive_f64_or("layer_norm_eps", 1e-12)?,
        padding: None,
    };
    if !text.width.is_multiple_of(text.heads) {
        let problem = format!("does not divide the width of {}", text.width);
        return Err(t.bad("num_attention_heads", problem));
    }
    let pictures = clip::pictures(checkpoint, &config, tower.side, options)?;
    let backend = pictures.square.backend;
    assemble(checkpoint, options, canonical_of_converted, |w| {
        let inner = w.shape("text_projection.linear_1.weight").and_then(|s| s.first().copied());
        let sizes = [text.width, inner.unwrap_or_default(), width];
        let towers = BiomedClip {
            pictures,
            vision: PictureTower::load(w, tower, width)?,
            bert: Bert::load(w, &text)?,
            pooling: Pooling::First,
            projection: MlpProjector::load(w, "text_projection.", sizes, false, false)?,
        };
        let logit =
            PairLogit { scale: number(w, "logit_scale")?.exp(), bias: 0.0, reading: PairReading::Among };
        let length = LONGEST.min(text.places);
        let described = Described { family: FAMILY.name, vocab: text.vocab, length, width, backend };
        Ok((towers, logit, described))
    })
}

/// Names of CLIP's tower stay; those of the text tower become BERT's.
fn canonical_of_converted(name: &str) -> Option<String> {
    const EMBEDDINGS: &[(&str, &str)] = &[
        ("token_embedding.", "word_embeddings."),
        ("position_embedding.", "position_embeddings."),
        ("token_type_embedding.", "token_type_embeddings."),
        ("layer_norm.", "LayerNorm."),
    ];
    const LAYER: &[(&str, &str)] = &[
        (".self_attn.q_proj.", ".attention.self.query."),
        (".self_attn.k_proj.", ".attention.self.key."),
        (".self_attn.v_proj.", ".attention.self.value."),
        (".self_attn.out_proj.", ".attention.output.dense."),
        (".layer_norm1.", ".attention.output.LayerNorm."),
        (".mlp.fc1.", ".intermediate.dense."),
        (".mlp.fc2.", ".output.dense."),
        (".layer_norm2.", ".output.LayerNorm."),
    ];
    if name.ends_with("embeddings.position_ids") || name.ends_with("embeddings.token_type_ids") {
        return None;
    }
    if let Some(rest) = name.strip_prefix("text_model.embeddings.") {
        let own = EMBEDDINGS.iter().find_map(|(from, to)| Some(format!("{to}{}", rest.strip_prefix(from)?)));
        return Some(format!("embeddings.{}", own.unwrap_or_else(|| rest.to_owned())));
    }
    if let Some(rest) = name.strip_prefix("text_model.encoder.layers.") {
        let own = LAYER.iter().fold(rest.to_owned(), |name, (from, to)| name.replace(from, to));
        return Some(format!("encoder.layer.{own}"));
    }
    Some(name.replace("text_projection.fc", "text_projection.linear_"))
}

/// Heads of a tower: as many as the file says, or of 64, as timm's and BERT's own sizes have.
fn heads(fields: &Fields<'_>, named: &str, hidden: usize) -> Result<usize, LoadError> {
    match fields.usize_or("heads", hidden / 64)? {
        n if n > 0 && hidden.is_multiple_of(n) && (fields.get("heads").is_some() || hidden == 64 * n) => {
            Ok(n)
        }
        n => Err(fields
            .bad(named, format!("{hidden} numbers a token do not divide into {n} heads of 64; state heads"))),
    }
}

/// Layers of a tower: how many tensors end so.
fn depth(w: &Weights, begin: &str, end: &str) -> usize {
    w.names().filter(|name| name.starts_with(begin) && name.ends_with(end)).count()
}

fn vision(w: &Weights, v: &Fields<'_>) -> Result<ClassVitConfig, LoadError> {
    let shape = |part: &str| w.shape(&format!("vision_model.{part}")).unwrap_or_default();
    let kernel = shape("embeddings.patch_embedding.weight");
    let wide = shape("encoder.layers.0.mlp.fc1.weight");
    let (&[hidden, _, patch, _], &[intermediate, _]) = (&kernel[..], &wide[..]) else {
        return Err(
            v.bad("timm_model_name", "the tensors of visual.trunk are not those of a vision transformer")
        );
    };
    let side = v.positive_or("image_size", 224)?;
    if side > 16_384 || patch == 0 || patch > side {
        return Err(v.bad("image_size", format!("{side} pixels are out of range")));
    }
    let depth = depth(w, "vision_model.", ".mlp.fc1.weight");
    let plain = stack([hidden, intermediate, depth, heads(v, "timm_model_name", hidden)?], false);
    let stack = StackConfig { eps: 1e-6, activation: Activation::Gelu, ..plain };
    Ok(ClassVitConfig { stack, side, patch, patch_bias: true, pre_norm: false })
}

/// The shape of BERT: by its tensors, and by its own config.json where that is on this computer.
fn text(checkpoint: &Checkpoint, w: &Weights, t: &Fields<'_>) -> Result<BertConfig, LoadError> {
    const NAME: &str = "hf_model_name";
    let Some(found) = BertConfig::of_tensors(w) else {
        return Err(t.bad(NAME, "the tensors of text.transformer are not those of BERT"));
    };
    let width = found.width;
    let name = t.text(NAME)?.unwrap_or_default();
    let within = match checkpoint {
        Checkpoint::Directory(dir) => Some(Checkpoint::directory(&dir.join(name))),
        _ => None,
    };
    let own = within.into_iter().chain([Checkpoint::directory(Path::new(name))]);
    let own = own.filter(|_| !name.is_empty()).find(|folder| folder.has("config.json"));
    let settings = own.map(|folder| folder.need_json("config.json")).transpose()?;
    let (heads, eps) = match &settings {
        None => (heads(t, NAME, width)?, 1e-12),
        Some(settings) => {
            let bert = Fields::new(settings, "config.json of the text model");
            bert.only(&[("model_type", "\"bert\""), ("hidden_act", "\"gelu\"")])?;
            let heads = bert.positive("num_attention_heads")?;
            if !width.is_multiple_of(heads) {
                return Err(bert.bad("num_attention_heads", format!("does not divide the width of {width}")));
            }
            (heads, bert.positive_f64_or("layer_norm_eps", 1e-12)?)
        }
    };
    Ok(BertConfig { heads, eps, ..found })
}

/// As `image_transform_v2` of open_clip.
fn pictures(fields: &Fields<'_>, side: usize, backend: Backend) -> Result<Centred, LoadError> {
    let filter = match fields.text("interpolation")? {
        None | Some("bicubic") => Filter::Bicubic,
        Some("bilinear") => Filter::Bilinear,
        Some(other) => return Err(fields.bad("interpolation", format!("{other:?} is not supported"))),
    };
    let fit = match fields.text("resize_mode")? {
        None | Some("shortest") => Fit::Shorter(side),
        Some("squash") => Fit::Squash,
        Some(other) => return Err(fields.bad("resize_mode", format!("{other:?} is not supported"))),
    };
    if fields.get("size").is_some() {
        let size = match fields.get("size") {
            Some(value) if value.is_array() => fields.sizes("size")?.unwrap_or_default(),
            _ => vec![fields.usize("size")?],
        };
        if size.iter().any(|n| *n != side) {
            return Err(fields.bad("size", format!("{size:?}: the model reads {side} × {side} pixels")));
        }
    }
    let (mean, deviation) = (fields.numbers("mean", CLIP[0])?, fields.numbers("std", CLIP[1])?);
    if deviation.contains(&0.0) {
        return Err(fields.bad("std", "has a zero"));
    }
    let levels = Levels::new(1.0 / 255.0, [mean, deviation]);
    Ok(Centred { square: Square { side, filter, backend, levels }, fit, half: Half::Even, pad: None })
}

/// Names of CLIP's tower and of BERT; buffers and BERT's own pooler, which is not used, are left out.
fn canonical(name: &str) -> Option<String> {
    const TRUNK: &[(&str, &str)] = &[
        ("cls_token", "embeddings.class_embedding"),
        ("pos_embed", "embeddings.position_embedding.weight"),
        ("patch_embed.proj.", "embeddings.patch_embedding."),
        ("norm.", "post_layernorm."),
    ];
    const BLOCK: &[(&str, &str)] = &[
        (".norm1.", ".layer_norm1."),
        (".norm2.", ".layer_norm2."),
        (".attn.qkv.", ".self_attn.qkv."),
        (".attn.proj.", ".self_attn.out_proj."),
    ];
    if let Some(rest) = name.strip_prefix("visual.trunk.") {
        if let Some(block) = rest.strip_prefix("blocks.") {
            let own = BLOCK.iter().fold(block.to_owned(), |name, (from, to)| name.replace(from, to));
            return Some(format!("vision_model.encoder.layers.{own}"));
        }
        let own = TRUNK.iter().find_map(|(from, to)| Some(format!("{to}{}", rest.strip_prefix(from)?)));
        return Some(format!("vision_model.{}", own.unwrap_or_else(|| rest.to_owned())));
    }
    if let Some(rest) = name.strip_prefix("text.transformer.") {
        let left_out = rest.starts_with("pooler.")
            || ["embeddings.position_ids", "embeddings.token_type_ids"].contains(&rest);
        return (!left_out).then(|| rest.to_owned());
    }
    Some(match name {
        "visual.head.proj.weight" => "visual_projection.weight".to_owned(),
        "text.proj.0.weight" => "text_projection.linear_1.weight".to_owned(),
        "text.proj.2.weight" => "text_projection.linear_2.weight".to_owned(),
        _ => name.to_owned(),
    })
}

impl Towers for BiomedClip {
    fn planes(&self, picture: &Picture) -> Result<(Vec<f32>, usize), String> {
        Ok((self.pictures.planes(picture)?, self.pictures.square.side))
    }

    fn attributed(&self) -> Option<(&PictureTower, &Centred)> {
        Some((&self.vision, &self.pictures))
    }

    fn picture(&self, planes: &Tensor) -> Computed<Tensor> {
        self.vision.forward(planes)
    }

    fn text(&self, ids: Vec<u32>) -> Computed<Tensor> {
        // Padding is not seen, so there is none.
        let seen = self.bert.forward(&[&ids], usize::MAX)?;
        let pooled = match self.pooling {
            Pooling::First => seen.narrow(0, 0, 1)?,
            Pooling::Mean => seen.mean_keepdim(0)?,
        };
        self.projection.forward(&pooled)
    }
}
