//! What the fuzz target for GGUF files does with bytes: their header becomes settings and names of tensors, or an error says
//! what is wrong; nothing is loaded.

use loupe_models::{Checkpoint, Summary};
use std::path::Path;

/// Reads `bytes` as the text model or as the vision part beside a text model, in `folder`, which must be empty or hold the files
/// of an earlier call.
pub fn gguf(bytes: &[u8], beside: Option<&[u8]>, folder: &Path) -> Option<String> {
    let text = folder.join("text.gguf");
    let vision = folder.join("mmproj.gguf");
    let written = match beside {
        None => std::fs::remove_file(&vision).or(Ok(())).and_then(|()| std::fs::write(&text, bytes)),
        Some(own) => std::fs::write(&text, own).and_then(|()| std::fs::write(&vision, bytes)),
    };
    written.ok()?;
    let known = Summary::of(&Checkpoint::directory(&text));
    Some(known.map_or_else(|error| error.to_string(), |known| known.family.name.to_owned()))
}
