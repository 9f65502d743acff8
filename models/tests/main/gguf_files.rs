//! Writes GGUF files: those whose heads gguf-py wrote (`tests/parity/make_gguf.py`), and small ones of any content.

use crate::common::{Case, folder, weight};
use serde_json::Value;

/// Filled up to a multiple of the alignment.
fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(32), 0);
}

/// A file of which gguf-py wrote what stands before the data; `part` is `text` or `mmproj`.
pub(crate) fn written_by_gguf_py(case: &Case, file: &str, part: &str) -> Vec<u8> {
    let stem = folder("gguf").join(format!("{file}.{part}.gguf-head"));
    let mut bytes = std::fs::read(&stem).unwrap();
    let list: Value = serde_json::from_slice(&std::fs::read(stem.with_extension("json")).unwrap()).unwrap();
    align(&mut bytes);
    for tensor in list.as_array().unwrap() {
        let (shape, values) = weight(tensor[1].as_str().unwrap(), case.rule(tensor[1].as_str().unwrap()));
        let at = tensor[2][1].as_u64().unwrap_or(0) as usize;
        match tensor[2][0].as_str() {
            None => bytes.extend(values),
            Some("rows") => {
                let third = values.len() / 3;
                let row = values.len() / shape[0];
                bytes.extend(&values[at * row..][..third]);
            }
            Some("frame") => {
                let frame = shape[3] * shape[4] * 4;
                values.chunks_exact(frame).skip(at).step_by(shape[2]).for_each(|v| bytes.extend(v));
            }
            Some(other) => panic!("{other}"),
        }
        align(&mut bytes);
    }
    bytes
}

/// A value of the metadata.
#[derive(Clone)]
pub(crate) enum Kept {
    U32(u32),
    F32(f32),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<i32>),
}

/// A tensor: name, sides from the one whose values are neighbours on, number of its type, bytes.
pub(crate) type Tensor = (String, Vec<u64>, u32, Vec<u8>);

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A file of version 3; `places` are the places of tensors within the data where they are not as usual.
pub(crate) fn file(metadata: &[(&str, Kept)], tensors: &[Tensor], places: &[u64]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_text(&mut out, key);
        let list = |out: &mut Vec<u8>, kind: u32, count: usize| {
            out.extend(9u32.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend((count as u64).to_le_bytes());
        };
        match value {
            Kept::U32(v) => {
                out.extend(4u32.to_le_bytes());
                out.extend(v.to_le_bytes());
            }
            Kept::F32(v) => {
                out.extend(6u32.to_le_bytes());
                out.extend(v.to_le_bytes());
            }
            Kept::Text(text) => {
                out.extend(8u32.to_le_bytes());
                put_text(&mut out, text);
            }
            Kept::Texts(all) => {
                list(&mut out, 8, all.len());
                all.iter().for_each(|text| put_text(&mut out, text));
            }
            Kept::Numbers(all) => {
                list(&mut out, 5, all.len());
                all.iter().for_each(|v| out.extend(v.to_le_bytes()));
            }
        }
    }
    let mut at = 0;
    for (n, (name, sides, kind, bytes)) in tensors.iter().enumerate() {
        put_text(&mut out, name);
        out.extend((sides.len() as u32).to_le_bytes());
        sides.iter().for_each(|side| out.extend(side.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend(places.get(n).copied().unwrap_or(at).to_le_bytes());
        at += bytes.len().next_multiple_of(32) as u64;
    }
    align(&mut out);
    for (.., bytes) in tensors {
        out.extend(bytes);
        align(&mut out);
    }
    out
}
