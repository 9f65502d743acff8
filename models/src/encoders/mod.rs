//! One file a family of text encoders, and the table of all of them.

use crate::checkpoint::Checkpoint;
use crate::encoder::{Encoder, Names};
use crate::error::nearest;
use crate::{LoadError, LoadOptions};
use loupe_core::TextEncoder;
use serde_json::Value;

pub mod bert;
pub mod distilbert;
pub mod roberta;

/// A family of text encoders: BERT's network under the names and with the positions of its own.
pub struct EncoderFamily {
    /// Name as in `loupe list models`; also the file of this folder, and `model_type` of config.json.
    pub name: &'static str,
    /// Where it is described.
    pub paper: &'static str,
    /// Published checkpoints that are members, with the layer that the package bert_score takes of each.
    pub examples: &'static [(&'static str, usize)],
    pub(crate) names: Names,
    /// Positions count from behind the padding token's id, which fills the rows before it.
    pub(crate) after_padding: bool,
    /// The vocabulary marks a word by the space before it.
    pub(crate) space_before: bool,
}

/// Every family of text encoders.
pub static ENCODERS: &[&EncoderFamily] = &[&bert::FAMILY, &distilbert::FAMILY, &roberta::FAMILY];

/// The layer that the package bert_score 0.3.13 takes for the checkpoint of this name, with or without
/// the name of its publisher.
pub fn default_layer(name: &str) -> Option<usize> {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let examples = ENCODERS.iter().flat_map(|f| f.examples);
    examples.filter(|(known, _)| last(known) == last(name)).map(|(_, layer)| *layer).next()
}

/// Loads the text encoder of a checkpoint.
///
/// # Errors
/// When no family claims the checkpoint, or it does not hold exactly its tensors (heads for other
/// tasks are left out).
pub fn load_encoder(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
) -> Result<Box<dyn TextEncoder>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let found = config.get("model_type").and_then(Value::as_str).unwrap_or("checkpoint without model_type");
    let Some(family) = ENCODERS.iter().find(|f| f.name == found) else {
        let known = || ENCODERS.iter().map(|f| f.name);
        return Err(LoadError::UnknownFamily {
            found: found.to_owned(),
            suggestion: nearest(found, known()),
            known: known().collect::<Vec<_>>().join(", "),
        });
    };
    Ok(Box::new(Encoder::load(checkpoint, options, family, &config)?))
}
