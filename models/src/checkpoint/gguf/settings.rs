//! The metadata of GGUF files as the settings files of a published checkpoint, so that everything else reads one kind of
//! settings. What a key means is said in `gguf-py/gguf/constants.py` of llama.cpp.

use super::keys::{ARCHITECTURE, Keys};
use super::text::{linear_scaling, text as shared};
use super::tokenizer::GgufTokens;
use super::vision::projector;
use super::{gemma, internvl, qwen};
use crate::error::LoadError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What two files are together.
struct Known {
    /// Of the text model, as it says (`general.architecture`).
    architecture: &'static str,
    /// Of the vision part, as it says; `None` where there is none.
    projector: Option<&'static str>,
    /// Class and type in config.json.
    class: &'static str,
    model_type: &'static str,
}

const fn known(
    architecture: &'static str,
    projector: Option<&'static str>,
    class: &'static str,
    model_type: &'static str,
) -> Known {
    Known { architecture, projector, class, model_type }
}

const INTERNVL: &str = "internvl";
/// All that are read.
const KNOWN: &[Known] = &[
    known("qwen2", None, "Qwen2ForCausalLM", "qwen2"),
    known("qwen2", Some(INTERNVL), "InternVLChatModel", "internvl_chat"),
    known("qwen3", None, "Qwen3ForCausalLM", "qwen3"),
    known("qwen3", Some(INTERNVL), "InternVLChatModel", "internvl_chat"),
    known("qwen2vl", Some("qwen2.5vl_merger"), "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl"),
    known("qwen2vl", Some("qwen2vl_merger"), "Qwen2VLForConditionalGeneration", "qwen2_vl"),
    known("gemma3", None, "Gemma3ForCausalLM", "gemma3_text"),
    known("gemma3", Some("gemma3"), "Gemma3ForConditionalGeneration", "gemma3"),
];
/// What a file may say of sampling, and the name in generation_config.json.
const SAMPLING: &[(&str, &str)] = &[
    ("penalty_repeat", "repetition_penalty"),
    ("temp", "temperature"),
    ("top_k", "top_k"),
    ("top_p", "top_p"),
    ("min_p", "min_p"),
];

/// What the metadata stand for.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Settings files by their names.
    pub(super) files: BTreeMap<&'static str, Vec<u8>>,
    /// What the files do not say and published settings stand for: a line each.
    pub(super) notes: Vec<String>,
}

/// The settings files of a text model with, where it sees, its vision part.
///
/// # Errors
/// When a key is missing or has no sense, or the architecture is not read from such files.
pub(super) fn settings(text: &Keys<'_>, vision: Option<&Keys<'_>>) -> Result<Settings, LoadError> {
    if text.get("split.count").and_then(Value::as_u64).is_some_and(|parts| parts > 1) {
        return Err(
            text.bad("split.count", "one of several parts; join them first (llama-gguf-split --merge)")
        );
    }
    let known = find(text, vision)?;
    let tokens = GgufTokens::read(text)?;
    let mut made = Settings::default();
    let config = config(known, text, vision, &tokens, &mut made.notes)?;
    let mut put = |name, value: &Value| drop(made.files.insert(name, value.to_string().into_bytes()));
    put("config.json", &Value::Object(config));
    put("tokenizer.json", &tokens.to_json()?);
    put("tokenizer_config.json", &tokens.named_tokens()?.into());
    put("generation_config.json", &generation(text, &tokens)?);
    if let Some(vision) = vision {
        match known.model_type {
            "qwen2_5_vl" | "qwen2_vl" => {
                put("preprocessor_config.json", &qwen::processor(vision, &mut made.notes)?);
            }
            "gemma3" => put("preprocessor_config.json", &gemma::processor(vision, &mut made.notes)?),
            _ => {}
        }
    }
    if let Some(template) = tokens.template()? {
        made.files.insert("chat_template.jinja", template.into_bytes());
    }
    Ok(made)
}

/// Which model the files are.
fn find(text: &Keys<'_>, vision: Option<&Keys<'_>>) -> Result<&'static Known, LoadError> {
    let architecture = text.text(ARCHITECTURE)?;
    let mut own = KNOWN.iter().filter(|known| known.architecture == architecture).peekable();
    if own.peek().is_none() {
        return Err(text.bad(ARCHITECTURE, &not_read(architecture)));
    }
    let own: Vec<&Known> = own.collect();
    let listed = || own.iter().filter_map(|known| known.projector).collect::<Vec<_>>().join(" and ");
    let Some(vision) = vision else {
        let alone = own.iter().find(|known| known.projector.is_none());
        return alone.copied().ok_or_else(|| {
            let problem = format!(
                "{architecture:?}, a model that sees, but its vision part is not there: put the mmproj file that was published with it into the same folder"
            );
            text.bad(ARCHITECTURE, &problem)
        });
    };
    let projector = projector(vision)?;
    own.iter().find(|known| known.projector == Some(projector)).copied().ok_or_else(|| {
        let problem = format!(
            "{projector:?} is not read with a text model of the architecture {architecture:?}, which goes with {}{}",
            listed(),
            if own.iter().any(|known| known.projector.is_none()) {
                "; move this file elsewhere to ask in words alone"
            } else {
                ""
            }
        );
        vision.bad("clip.projector_type", &problem)
    })
}

/// Why a file of this architecture is not read.
fn not_read(architecture: &str) -> String {
    if architecture == "clip" {
        return "\"clip\", a vision part alone: name the file of the text model, and keep this one beside it"
            .to_owned();
    }
    let mut read: Vec<&str> = KNOWN.iter().map(|known| known.architecture).collect();
    read.dedup();
    format!(
        "{architecture:?} is not read from GGUF files; {} are (Qwen2 and 2.5, Qwen3, Qwen2-VL and 2.5-VL, Gemma 3 and MedGemma, InternVL 2.5 and 3). Name the folder of the checkpoint that the file was made from",
        read.join(", ")
    )
}

/// config.json.
fn config(
    known: &Known,
    text: &Keys<'_>,
    vision: Option<&Keys<'_>>,
    tokens: &GgufTokens<'_>,
    notes: &mut Vec<String>,
) -> Result<Map<String, Value>, LoadError> {
    let architecture = known.architecture;
    let mut words = shared(text, architecture)?;
    let factor = linear_scaling(text, architecture)?;
    let is_gemma = architecture == "gemma3";
    if is_gemma {
        let more = gemma::text(text, &words, factor, notes)?;
        words.extend(more);
    } else {
        if factor.is_some() {
            let key = format!("{architecture}.rope.scaling.type");
            return Err(text.bad(&key, "\"linear\" is not read from GGUF files of this architecture"));
        }
        words.insert("hidden_act".to_owned(), "silu".into());
    }
    let mut config = Map::new();
    let put = |config: &mut Map<String, Value>, name: &str, value: Value| {
        config.insert(name.to_owned(), value);
    };
    put(&mut config, "architectures", json!([known.class]));
    put(&mut config, "model_type", known.model_type.into());
    if let Some(names) = gemma::names(text).filter(|_| is_gemma) {
        put(&mut config, "_name_or_path", names.into());
    }
    match (known.model_type, vision) {
        ("gemma3", Some(vision)) => {
            config.extend(gemma::config(text, vision, tokens)?);
            put(&mut config, "text_config", words.into());
        }
        ("internvl_chat", Some(vision)) => {
            config.extend(internvl::config(text, vision, architecture, tokens, notes)?);
            put(&mut words, "model_type", architecture.into());
            put(&mut config, "llm_config", words.into());
        }
        (model_type, Some(vision)) => {
            config.extend(words);
            config.extend(qwen::config(text, vision, tokens, model_type)?);
        }
        (_, None) => config.extend(words),
    }
    Ok(config)
}

/// generation_config.json.
fn generation(text: &Keys<'_>, tokens: &GgufTokens<'_>) -> Result<Value, LoadError> {
    let mut generation = Map::new();
    generation.insert("eos_token_id".to_owned(), tokens.ends()?.into_iter().collect());
    for (key, name) in SAMPLING {
        if let Some(value) = text.get(&format!("general.sampling.{key}")) {
            generation.insert((*name).to_owned(), value.clone());
        }
    }
    Ok(generation.into())
}
