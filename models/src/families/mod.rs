//! One file a model family, and the table of all of them.

use crate::checkpoint::Checkpoint;
use crate::error::nearest;
use crate::{LoadError, LoadOptions};
use loupe_core::VisionLanguageModel;
use serde_json::Value;

pub mod qwen2_5_vl;
pub mod qwen2_vl;

/// What loads a checkpoint of a family.
pub type LoadFn = fn(&Checkpoint, &LoadOptions) -> Result<Box<dyn VisionLanguageModel>, LoadError>;

/// A family of checkpoints that share an architecture.
pub struct Family {
    /// Name as in `loupe list models`; also the file of this folder, with `_` for other characters.
    pub name: &'static str,
    /// `architectures` of config.json.
    pub architectures: &'static [&'static str],
    /// `model_type` of config.json.
    pub model_type: &'static str,
    /// Where it is described.
    pub paper: &'static str,
    /// Published checkpoints that are members.
    pub examples: &'static [&'static str],
    /// Name of the box dialect (`loupe_core::dialect`); `none` when the family gives no boxes.
    pub box_dialect: &'static str,
    /// The loader.
    pub load: LoadFn,
}

/// Every family.
pub static FAMILIES: &[&Family] = &[&qwen2_5_vl::FAMILY, &qwen2_vl::FAMILY];

/// The family that config.json names.
///
/// # Errors
/// When no family claims it; the message has the nearest name.
pub fn of_config(config: &Value) -> Result<&'static Family, LoadError> {
    let named = config.get("architectures").and_then(Value::as_array).into_iter().flatten();
    let named: Vec<&str> = named.filter_map(Value::as_str).collect();
    let model_type = config.get("model_type").and_then(Value::as_str);
    let by_name = FAMILIES.iter().find(|f| f.architectures.iter().any(|a| named.contains(a)));
    let found = by_name.or_else(|| {
        named.is_empty().then(|| FAMILIES.iter().find(|f| Some(f.model_type) == model_type)).flatten()
    });
    if let Some(family) = found {
        return Ok(family);
    }
    let known = || FAMILIES.iter().flat_map(|f| f.architectures.iter().copied());
    let found = named.first().copied().or(model_type).unwrap_or("checkpoint without architecture");
    Err(LoadError::UnknownFamily {
        found: found.to_owned(),
        suggestion: nearest(found, known()),
        known: known().collect::<Vec<_>>().join(", "),
    })
}
