//! Which tensors a weight file holds: safetensors, or a state dict of PyTorch by a reader that takes nothing else from it.

use super::source::{Source, StoredTensor};
use super::state_dict;
use crate::error::LoadError;
use serde_json::Value;

/// Bytes of a safetensors header that are believed.
const LARGEST_HEADER: u64 = 100 << 20;

/// The tensors of a file.
///
/// # Errors
/// When it is neither kind of file, or damaged.
pub(super) fn tensors(source: &Source) -> Result<Vec<StoredTensor>, LoadError> {
    if state_dict::is_state_dict(source) {
        return state_dict::tensors(source);
    }
    let mut length = [0u8; 8];
    source.read_at(0, &mut length)?;
    if length.starts_with(b"GGUF") {
        let problem =
            "a GGUF file, which is not read; name the folder of the checkpoint that it was made from";
        return Err(source.failed(&problem));
    }
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER || length.saturating_add(8) > source.length() {
        return Err(source.failed(&"not a safetensors file: its header is longer than the file"));
    }
    let mut text = vec![0u8; length as usize];
    source.read_at(8, &mut text)?;
    let Ok(Value::Object(header)) = serde_json::from_slice(&text) else {
        return Err(source.failed(&"not a safetensors file: its header is not a JSON object"));
    };
    let tensors = header.iter().filter(|(name, _)| *name != "__metadata__");
    tensors.map(|(name, value)| described(source, name, value, 8 + length)).collect()
}

/// One line of a safetensors header.
fn described(source: &Source, name: &str, value: &Value, start: u64) -> Result<StoredTensor, LoadError> {
    let malformed = || source.failed(&format!("the header entry of tensor {name:?} is malformed"));
    let numbers = |field: &str| -> Option<Vec<u64>> {
        value.get(field)?.as_array()?.iter().map(Value::as_u64).collect()
    };
    let dtype = value.get("dtype").and_then(Value::as_str).ok_or_else(malformed)?;
    let shape = numbers("shape").ok_or_else(malformed)?;
    let offsets = numbers("data_offsets").ok_or_else(malformed)?;
    let [from, to] = offsets.as_slice() else { return Err(malformed()) };
    Ok(StoredTensor {
        name: name.to_owned(),
        dtype: dtype.to_owned(),
        shape: shape.into_iter().map(|n| n as usize).collect(),
        at: start.checked_add(*from).ok_or_else(malformed)?,
        bytes: to.checked_sub(*from).ok_or_else(malformed)?,
    })
}
