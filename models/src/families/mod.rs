//! One file a published family, and the table of all of them.

use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::family::{Clues, Family};
use loupe_core::registry::Registry;
use loupe_core::words::did_you_mean;

pub mod ag_kd;
pub mod bert;
pub mod biomedclip;
pub mod clip;
pub mod distilbert;
pub mod florence2;
mod florence2_tasks;
pub mod gemma3;
pub mod gemma3_text;
pub mod hulu_med;
pub mod internvl;
pub mod lite_medsam;
pub mod llama;
pub mod llava;
mod llava_tower;
pub mod medclip;
pub mod medgemma;
pub mod medsam;
pub mod medsam2;
pub mod meshnet;
pub mod mistral;
pub mod mobile_sam;
mod pairs;
mod patched;
pub mod phi3;
pub mod qwen2;
pub mod qwen2_5_vl;
pub mod qwen2_vl;
pub mod qwen3;
pub mod qwen3_vl;
mod qwen_vl;
pub mod roberta;
pub mod sam;
pub mod sam2;
pub mod sam_med2d;
pub mod siglip;
mod text_only;

/// Every family. The first one that claims a checkpoint has it, so families with special marks stand before
/// general ones.
pub static FAMILIES: Registry<Family> = Registry {
    kind: "family of models",
    listed_as: "models",
    files: &[
        ("qwen3_vl", &[qwen3_vl::FAMILY]),
        ("qwen2_5_vl", &[qwen2_5_vl::FAMILY]),
        ("qwen2_vl", &[qwen2_vl::FAMILY]),
        ("internvl", &[internvl::FAMILY]),
        ("llava", &[llava::FAMILY]),
        ("llava_tower", &[]),
        ("ag_kd", &[ag_kd::FAMILY]),
        ("florence2", &[florence2::FAMILY]),
        ("florence2_tasks", &[]),
        ("hulu_med", &[hulu_med::FAMILY]),
        ("medgemma", &[medgemma::FAMILY]),
        ("gemma3", &[gemma3::FAMILY]),
        ("gemma3_text", &[gemma3_text::FAMILY]),
        ("qwen2", &[qwen2::FAMILY]),
        ("qwen3", &[qwen3::FAMILY]),
        ("llama", &[llama::FAMILY]),
        ("mistral", &[mistral::FAMILY]),
        ("phi3", &[phi3::FAMILY]),
        ("text_only", &[]),
        ("qwen_vl", &[]),
        ("meshnet", &[meshnet::FAMILY]),
        ("medsam2", &[medsam2::FAMILY]),
        ("sam2", &[sam2::FAMILY]),
        ("lite_medsam", &[lite_medsam::FAMILY]),
        ("mobile_sam", &[mobile_sam::FAMILY]),
        ("sam_med2d", &[sam_med2d::FAMILY]),
        ("medsam", &[medsam::FAMILY]),
        ("sam", &[sam::FAMILY]),
        ("siglip", &[siglip::FAMILY]),
        ("biomedclip", &[biomedclip::FAMILY]),
        ("clip", &[clip::FAMILY]),
        ("medclip", &[medclip::FAMILY]),
        ("pairs", &[]),
        ("patched", &[]),
        ("bert", &[bert::FAMILY]),
        ("distilbert", &[distilbert::FAMILY]),
        ("roberta", &[roberta::FAMILY]),
    ],
};

/// The family called `name`; without a name the one that claims the checkpoint.
///
/// # Errors
/// When there is none (the message has the nearest name), or a file is malformed.
pub fn find(checkpoint: &Checkpoint, name: Option<&str>) -> Result<&'static Family, LoadError> {
    if let Some(name) = name {
        return Ok(FAMILIES.by_name(name)?);
    }
    let clues = Clues::of(checkpoint)?;
    if let Some(family) = FAMILIES.iter().find(|f| (f.claims)(&clues)) {
        return Ok(family);
    }
    let found = clues.described()?;
    let architectures = FAMILIES.iter().flat_map(|f| f.architectures.iter().copied());
    Err(LoadError::Unclaimed {
        did_you_mean: did_you_mean(&found, FAMILIES.names().chain(architectures)),
        known: FAMILIES.names().collect::<Vec<_>>().join(", "),
        found,
    })
}

/// The layer of a text encoder that the package bert_score 0.3.13 takes for the checkpoint of this name,
/// with or without the name of its publisher.
pub fn bert_score_layer(name: &str) -> Option<usize> {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let mut layers = FAMILIES.iter().flat_map(|f| f.bert_score_layers());
    layers.find(|(known, _)| last(known) == last(name)).map(|(_, layer)| layer)
}
