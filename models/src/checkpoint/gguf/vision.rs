//! What all vision parts (`mmproj`) say alike.

use super::keys::{ARCHITECTURE, Keys};
use crate::error::LoadError;
use serde_json::Value;

/// A key of the tower.
pub(super) fn key(name: &str) -> String {
    format!("clip.vision.{name}")
}

/// Which projector a vision part has: what it says it is.
///
/// # Errors
/// When the file is none.
pub(super) fn projector<'a>(vision: &Keys<'a>) -> Result<&'a str, LoadError> {
    let architecture = vision.text(ARCHITECTURE)?;
    if architecture != "clip" {
        let problem =
            format!("{architecture:?}, but \"clip\" is what vision parts say; is it a second text model?");
        return Err(vision.bad(ARCHITECTURE, &problem));
    }
    match vision.get(&key("projector_type")) {
        Some(_) => vision.text(&key("projector_type")),
        None => vision.text("clip.projector_type"),
    }
}

/// Width of the features, which must be that of the text model.
///
/// # Errors
/// When it is not.
pub(super) fn width(vision: &Keys<'_>, text: &Keys<'_>, architecture: &str) -> Result<u64, LoadError> {
    let name = key("projection_dim");
    let (width, wanted) = (vision.size(&name)?, text.size(&format!("{architecture}.embedding_length"))?);
    match width == wanted {
        true => Ok(width),
        false => Err(vision.bad(
            &name,
            &format!(
                "{width}, but the text model {} has {wanted}: the two files are not of one model",
                text.file
            ),
        )),
    }
}

/// What is between the layers of an MLP: `silu`, `gelu`, or `quick_gelu` where the file says nothing.
///
/// # Errors
/// When it says two things.
pub(super) fn activation(vision: &Keys<'_>) -> Result<&'static str, LoadError> {
    match (vision.flag("clip.use_silu")?, vision.flag("clip.use_gelu")?) {
        (true, false) => Ok("silu"),
        (false, true) => Ok("gelu"),
        (false, false) => Ok("quick_gelu"),
        (true, true) => Err(vision.bad("clip.use_silu", "clip.use_gelu is true too")),
    }
}

/// Mean or deviation of the three colours.
///
/// # Errors
/// When it is missing or of other numbers.
pub(super) fn colours(vision: &Keys<'_>, name: &str) -> Result<[f64; 3], LoadError> {
    let name = key(name);
    let numbers: Option<Vec<f64>> = vision.list(&name)?.iter().map(Value::as_f64).collect();
    let three = numbers.and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
    three.ok_or_else(|| vision.bad(&name, "not three numbers"))
}
