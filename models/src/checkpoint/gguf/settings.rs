//! The metadata of GGUF files as the settings files of a published checkpoint, so that everything else reads one kind of
//! settings. What a key means is said in `gguf-py/gguf/constants.py` of llama.cpp.

use super::keys::Keys;
use super::tokenizer::GgufTokens;
use crate::error::LoadError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Settings files by their names.
pub(crate) type Settings = BTreeMap<&'static str, Vec<u8>>;

const ARCHITECTURE: &str = "general.architecture";
/// What the vision part says it is, and the class and the type of the whole.
const PROJECTORS: &[(&str, &str, &str)] = &[
    ("qwen2.5vl_merger", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl"),
    ("qwen2vl_merger", "Qwen2VLForConditionalGeneration", "qwen2_vl"),
];
/// What a file may say of sampling, and the name in generation_config.json.
const SAMPLING: &[(&str, &str)] = &[
    ("penalty_repeat", "repetition_penalty"),
    ("temp", "temperature"),
    ("top_k", "top_k"),
    ("top_p", "top_p"),
    ("min_p", "min_p"),
];
/// Least and most pixels of a picture in the processor files of Qwen2-VL and Qwen2.5-VL, for vision parts that do not say.
const PIXELS: [u64; 2] = [3136, 12_845_056];

/// The settings files of a text model with, where it sees, its vision part.
///
/// # Errors
/// When a key is missing or has no sense, or the architecture is not read from such files.
pub(crate) fn settings(text: &Keys<'_>, vision: Option<&Keys<'_>>) -> Result<Settings, LoadError> {
    if text.get("split.count").and_then(Value::as_u64).is_some_and(|parts| parts > 1) {
        return Err(
            text.bad("split.count", "one of several parts; join them first (llama-gguf-split --merge)")
        );
    }
    let architecture = text.text(ARCHITECTURE)?;
    let mut files = Settings::new();
    let config = match (architecture, vision) {
        ("qwen2", None) => json!({ "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2" }),
        ("qwen2vl", Some(vision)) => {
            files.insert("preprocessor_config.json", processor(vision)?.to_string().into_bytes());
            sees(text, vision)?
        }
        ("qwen2", Some(vision)) => {
            let problem = format!(
                "{architecture:?} with the vision part {}: only \"qwen2vl\" is read with one; move that file elsewhere to ask in words alone",
                vision.file
            );
            return Err(text.bad(ARCHITECTURE, &problem));
        }
        ("qwen2vl", None) => {
            let problem = "\"qwen2vl\", a model that sees, but its vision part is not there: put the mmproj file that was published with it into the same folder";
            return Err(text.bad(ARCHITECTURE, problem));
        }
        ("clip", _) => {
            let problem =
                "\"clip\", a vision part alone: name the file of the text model, and keep this one beside it";
            return Err(text.bad(ARCHITECTURE, problem));
        }
        (other, _) => {
            let problem = format!(
                "{other:?} is not read from GGUF files; qwen2 and qwen2vl (Qwen2, Qwen2.5, Qwen2-VL, Qwen2.5-VL) are. Name the folder of the checkpoint that the file was made from"
            );
            return Err(text.bad(ARCHITECTURE, &problem));
        }
    };
    let tokens = GgufTokens::read(text)?;
    let config = with_text(config, text, architecture, &tokens)?;
    let mut put = |name, value: &Value| drop(files.insert(name, value.to_string().into_bytes()));
    put("config.json", &config);
    put("tokenizer.json", &tokens.to_json()?);
    let mut named = Map::new();
    for (key, name) in [("eos", "eos_token"), ("padding", "pad_token")] {
        if let Some((_, token)) = tokens.named(&format!("tokenizer.ggml.{key}_token_id"))? {
            named.insert(name.to_owned(), token.into());
        }
    }
    put("tokenizer_config.json", &named.into());
    let mut generation = Map::new();
    generation.insert("eos_token_id".to_owned(), tokens.ends()?.into_iter().collect());
    for (key, name) in SAMPLING {
        if let Some(value) = text.get(&format!("general.sampling.{key}")) {
            generation.insert((*name).to_owned(), value.clone());
        }
    }
    put("generation_config.json", &generation.into());
    if text.get("tokenizer.chat_template").is_some() {
        files.insert("chat_template.jinja", text.text("tokenizer.chat_template")?.as_bytes().to_vec());
    }
    Ok(files)
}

/// `config` with what it says of the text model, at the top.
fn with_text(
    mut config: Value,
    keys: &Keys<'_>,
    architecture: &str,
    tokens: &GgufTokens<'_>,
) -> Result<Value, LoadError> {
    let key = |name: &str| format!("{architecture}.{name}");
    let size = |name: &str| keys.size(&key(name));
    let heads = size("attention.head_count")?;
    let rope = |name: &str| key(&format!("rope.{name}"));
    if let Some(scaled) = keys.get(&rope("scaling.type")).filter(|kind| kind.as_str() != Some("none")) {
        return Err(keys.bad(&rope("scaling.type"), &format!("{scaled} is not read from GGUF files")));
    }
    let tensor = |name: &str| keys.header.tensors.iter().find(|t| t.name == name);
    let rows = tensor("token_embd.weight").and_then(|t| t.shape.first().copied());
    let rows = rows.ok_or_else(|| keys.bad("token_embd.weight", "the table of embeddings is missing"))?;
    let said = json!({
        "hidden_size": size("embedding_length")?,
        "intermediate_size": size("feed_forward_length")?,
        "num_hidden_layers": layers(keys, &key("block_count"))?,
        "num_attention_heads": heads,
        "num_key_value_heads": keys.size_or(&key("attention.head_count_kv"), heads)?,
        "rms_norm_eps": keys.positive(&key("attention.layer_norm_rms_epsilon"))?,
        "max_position_embeddings": size("context_length")?,
        // llama.cpp's own where the file has none.
        "rope_theta": match keys.get(&rope("freq_base")) {
            Some(_) => keys.positive(&rope("freq_base"))?,
            None => 10_000.0,
        },
        "vocab_size": rows,
        "tie_word_embeddings": tensor("output.weight").is_none(),
        "hidden_act": "silu",
    });
    if let (Some(config), Value::Object(said)) = (config.as_object_mut(), said) {
        config.extend(said);
        if let Some(width) = keys.get(&key("attention.key_length")) {
            config.insert("head_dim".to_owned(), width.clone());
        }
    }
    if architecture == "qwen2vl" {
        let sections = keys.list(&rope("dimension_sections"))?;
        // The fourth is of an axis that pictures do not have.
        if sections.len() != 4 || sections[3] != 0 {
            return Err(keys.bad(&rope("dimension_sections"), "not three numbers and a zero"));
        }
        config["rope_scaling"] = json!({ "type": "mrope", "mrope_section": sections[..3] });
        let image = tokens.id("<|image_pad|>");
        let image = image.ok_or_else(|| keys.bad("tokenizer.ggml.tokens", "has no token <|image_pad|>"))?;
        config["image_token_id"] = image.into();
    }
    Ok(config)
}

/// A number of layers, of each of which there are tensors.
fn layers(keys: &Keys<'_>, key: &str) -> Result<u64, LoadError> {
    match keys.size(key)? {
        count if count <= keys.header.tensors.len() as u64 => Ok(count),
        count => Err(keys.bad(key, &format!("{count}, more than the file has tensors"))),
    }
}

/// Class, type and tower of a model that sees.
fn sees(text: &Keys<'_>, vision: &Keys<'_>) -> Result<Value, LoadError> {
    let key = |name: &str| format!("clip.vision.{name}");
    let size = |name: &str| vision.size(&key(name));
    let architecture = vision.text(ARCHITECTURE)?;
    if architecture != "clip" {
        let problem =
            format!("{architecture:?}, but \"clip\" is what vision parts say; is it a second text model?");
        return Err(vision.bad(ARCHITECTURE, &problem));
    }
    let projector = match vision.get(&key("projector_type")) {
        Some(_) => vision.text(&key("projector_type"))?,
        None => vision.text("clip.projector_type")?,
    };
    let Some((_, class, model_type)) = PROJECTORS.iter().find(|known| known.0 == projector) else {
        let known: Vec<&str> = PROJECTORS.iter().map(|known| known.0).collect();
        let problem = format!("{projector:?} is not read; {} are", known.join(" and "));
        return Err(vision.bad("clip.projector_type", &problem));
    };
    let (width, wanted) = (size("projection_dim")?, text.size("qwen2vl.embedding_length")?);
    if width != wanted {
        let problem = format!(
            "{width}, but the text model {} has {wanted}: the two files are not of one model",
            text.file
        );
        return Err(vision.bad(&key("projection_dim"), &problem));
    }
    let (depth, hidden) = (layers(vision, &key("block_count"))?, size("embedding_length")?);
    let activation = match (vision.flag("clip.use_silu")?, vision.flag("clip.use_gelu")?) {
        (true, false) => "silu",
        (false, true) => "gelu",
        (false, false) => "quick_gelu",
        (true, true) => return Err(vision.bad("clip.use_silu", "clip.use_gelu is true too")),
    };
    let mut tower = json!({
        "depth": depth, "num_heads": size("attention.head_count")?, "patch_size": size("patch_size")?,
        "spatial_merge_size": vision.size_or(&key("spatial_merge_size"), 2)?, "temporal_patch_size": 2,
        "hidden_act": activation,
    });
    if *model_type == "qwen2_5_vl" {
        // Every nth block sees the whole picture, the others their windows.
        let pattern = size("n_wa_pattern")?;
        let full: Vec<u64> = (0..depth).filter(|block| (block + 1) % pattern == 0).collect();
        tower["fullatt_block_indexes"] = full.into();
        tower["window_size"] = vision.size_or(&key("window_size"), 112)?.into();
        tower["hidden_size"] = hidden.into();
        tower["out_hidden_size"] = width.into();
        tower["intermediate_size"] = size("feed_forward_length")?.into();
    } else {
        // The key of the inner width holds another number in published files.
        let wide = |name: &str| {
            let tensor = vision.header.tensors.iter().find(|t| t.name == name);
            tensor.and_then(|t| t.shape.first().copied()).unwrap_or(0) as u64
        };
        let inner = wide("v.blk.0.ffn_up.weight").max(wide("v.blk.0.ffn_down.weight"));
        tower["embed_dim"] = hidden.into();
        tower["hidden_size"] = width.into();
        tower["mlp_ratio"] = (inner as f64 / hidden as f64).into();
    }
    Ok(json!({ "architectures": [class], "model_type": model_type, "vision_config": tower }))
}

/// preprocessor_config.json.
fn processor(vision: &Keys<'_>) -> Result<Value, LoadError> {
    let key = |name: &str| format!("clip.vision.{name}");
    Ok(json!({
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_mean": vision.list(&key("image_mean"))?,
        "image_std": vision.list(&key("image_std"))?,
        "patch_size": vision.size(&key("patch_size"))?,
        "merge_size": vision.size_or(&key("spatial_merge_size"), 2)?,
        "temporal_patch_size": 2,
        "min_pixels": vision.size_or(&key("image_min_pixels"), PIXELS[0])?,
        "max_pixels": vision.size_or(&key("image_max_pixels"), PIXELS[1])?,
    }))
}
