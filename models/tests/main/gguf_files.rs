//! Writes GGUF files: those whose heads gguf-py wrote (`tests/parity/make_gguf.py`), and small ones of any content.

use crate::common::{Case, dumped, fnv, folder, largest_difference, mix, weight};
use loupe_models::LoadOptions;
use serde_json::Value;
use std::path::Path;

/// Filled up to a multiple of the alignment.
fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(32), 0);
}

/// Blocks of GGML: name, number, weights and bytes of a block, and its halves that are scales with their values.
type Scales = &'static [(usize, f32)];
const BLOCKS: [(&str, u32, usize, usize, Scales); 4] = [
    ("q4_0", 2, 32, 18, &[(0, 0.011)]),
    ("q8_0", 8, 32, 34, &[(0, 0.0007)]),
    ("q4_k", 12, 256, 144, &[(0, 0.0002), (2, 0.0015)]),
    ("q6_k", 14, 256, 210, &[(208, 0.00004)]),
];

/// The same with the types that are no blocks: name, number, weights and bytes of a block.
pub(crate) fn kinds() -> Vec<(&'static str, u32, u64, usize)> {
    let plain = [("F32", 0, 1, 4), ("F16", 1, 1, 2), ("BF16", 30, 1, 2)];
    let blocks =
        BLOCKS.iter().map(|(name, number, weights, bytes, _)| (*name, *number, *weights as u64, *bytes));
    plain.into_iter().chain(blocks).collect()
}

/// `noise` of make_gguf_families.py: blocks of `count` weights of ordinary size, their scales fixed.
pub(crate) fn noise(kind: &str, count: usize, seed: u64) -> Vec<u8> {
    let (.., weights, size, scales) = BLOCKS.into_iter().find(|block| block.0 == kind).unwrap();
    let mut bytes: Vec<u8> =
        (0..(count / weights * size) as u64).map(|i| (mix(seed, i) >> 56) as u8).collect();
    for block in bytes.chunks_exact_mut(size) {
        for (at, scale) in scales {
            block[*at..at + 2].copy_from_slice(&half::f16::from_f32(*scale).to_le_bytes());
        }
    }
    bytes
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
        let floats = || values.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        match (tensor[2][0].as_str(), tensor[3].as_str()) {
            (None, None) => bytes.extend(&values),
            (None, Some("f16")) => {
                bytes.extend(floats().flat_map(|v| half::f16::from_f32(v).to_le_bytes()));
            }
            (None, Some(kind)) => {
                let seed = fnv(tensor[0].as_str().unwrap()) ^ tensor[4].as_u64().unwrap();
                bytes.extend(noise(kind, values.len() / 4, seed));
            }
            (Some("plus"), None) => bytes.extend(floats().flat_map(|v| (v + at as f32).to_le_bytes())),
            (Some("rows"), None) => {
                let third = values.len() / 3;
                let row = values.len() / shape[0];
                bytes.extend(&values[at * row..][..third]);
            }
            (Some("frame"), None) => {
                let frame = shape[3] * shape[4] * 4;
                values.chunks_exact(frame).skip(at).step_by(shape[2]).for_each(|v| bytes.extend(v));
            }
            other => panic!("{other:?}"),
        }
        align(&mut bytes);
    }
    bytes
}

/// The case of a family whose name begins so, and both files of it in a folder, called `tiny.gguf` and `mmproj-tiny.gguf`.
pub(crate) fn pair(family: &str, name: &str, file: &str) -> (Case, tempfile::TempDir) {
    let case = Case::all(family).into_iter().find(|case| case.name == format!("{name} ({family})")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (part, own) in [("text", "tiny.gguf"), ("mmproj", "mmproj-tiny.gguf")] {
        std::fs::write(dir.path().join(own), written_by_gguf_py(&case, file, part)).unwrap();
    }
    (case, dir)
}

/// Holds the model at `path` against what `transformers` gave for a case: ids, positions, pixels, features, logits and 32 tokens.
pub(crate) fn gives_what_transformers_does(case: &Case, path: &Path) {
    let options = LoadOptions { resample: case.resample(), ..LoadOptions::default() };
    for (i, ask) in case.asks(32).iter().enumerate() {
        let at = format!("{} ask {i}", case.name);
        let got = dumped(path, std::slice::from_ref(ask), &options);
        let want = |name: &str| case.reference(&format!("{i}.{name}"));
        for name in ["input_ids", "position_ids", "generated_ids"] {
            assert_eq!(got.ints(name), want(name).ints(), "{at}: {name}");
        }
        let off = largest_difference(&got.floats("logits"), &want("logits").floats());
        assert!(off <= 5e-5, "{at}: logits differ by {off}");
        if !ask.pictures.is_empty() {
            let pixels = got.floats("pixel_values");
            assert_eq!(case.levels_sha256(&pixels), case.wanted_levels(i), "{at}: 8-bit pixels");
            let (features, wanted) = (got.floats("vision_features"), want("vision_features").floats());
            let off = largest_difference(&features, &wanted);
            assert!(off <= 1e-5, "{at}: vision features differ by {off}");
        }
    }
}

/// A value of the metadata.
#[derive(Clone)]
pub(crate) enum Kept {
    U32(u32),
    F32(f32),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<i32>),
    Floats(Vec<f32>),
    Flags(Vec<bool>),
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
            Kept::Flag(v) => {
                out.extend(7u32.to_le_bytes());
                out.push(u8::from(*v));
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
            Kept::Floats(all) => {
                list(&mut out, 6, all.len());
                all.iter().for_each(|v| out.extend(v.to_le_bytes()));
            }
            Kept::Flags(all) => {
                list(&mut out, 7, all.len());
                all.iter().for_each(|v| out.push(u8::from(*v)));
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
