//! Which tensors a weight file holds: safetensors, or a state dict of PyTorch by a reader that takes nothing else from it.

use super::source::{Source, StoredTensor};
use super::state_dict;
use crate::error::LoadError;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeSet;

/// Bytes of a safetensors header that are believed.
const LARGEST_HEADER: u64 = 100 << 20;

/// The tensors of a file. As safetensors demands, the data of its tensors follow each other without holes and overlaps up to
/// the end of the file.
///
/// # Errors
/// When it is no such file, or damaged.
pub(super) fn tensors(source: &Source) -> Result<Vec<StoredTensor>, LoadError> {
    if state_dict::is_state_dict(source) {
        return state_dict::tensors(source);
    }
    let mut length = [0u8; 8];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER || length.saturating_add(8) > source.length() {
        return Err(source.failed(&"not a safetensors file: its header is longer than the file"));
    }
    let mut text = vec![0u8; length as usize];
    source.read_at(8, &mut text)?;
    let parsed = serde_json::from_slice(&text);
    let Header(mut tensors) =
        parsed.map_err(|e| source.failed(&format!("not a safetensors file: its header is broken: {e}")))?;
    tensors.retain(|(name, _)| name != "__metadata__");
    let start = 8 + length;
    layout(&tensors, source.length() - start).map_err(|problem| source.failed(&problem))?;
    tensors.iter().map(|(name, value)| described(source, name, value, start)).collect()
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

/// The pairs of a JSON object, none of them twice.
struct Header(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Header;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut all, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("tensor {name:?} is there twice")));
                    }
                    all.push((name, value));
                }
                Ok(Header(all))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// Do the tensors fill `size` bytes of data, one after the other?
fn layout(tensors: &[(String, Value)], size: u64) -> Result<(), String> {
    let mut ranges = Vec::with_capacity(tensors.len());
    for (name, value) in tensors {
        let range = value.get("data_offsets").and_then(Value::as_array);
        let range: Option<Vec<u64>> = range.and_then(|r| r.iter().map(Value::as_u64).collect());
        match range.as_deref() {
            Some([from, to]) if from <= to => ranges.push((*from, *to, name)),
            _ => return Err(format!("the header entry of tensor {name:?} is malformed")),
        }
    }
    ranges.sort_unstable();
    let mut end = 0;
    for (from, to, name) in ranges {
        if from != end {
            let how = if from < end { "overlaps the tensor before it" } else { "leaves a hole before it" };
            return Err(format!("tensor {name:?} {how}: its data begin at byte {from}, expected {end}"));
        }
        end = to;
    }
    match end.cmp(&size) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(format!("{} bytes follow the last tensor", size - end)),
        std::cmp::Ordering::Greater => {
            Err(format!("the file is shorter than its header says: {size} bytes of data, expected {end}"))
        }
    }
}
