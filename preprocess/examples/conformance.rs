//! Prints what loupe reads from DICOM files, one JSON object a file: for each frame the SHA-256 of its
//! values, their extremes and sum, or why the file is refused. `docs/conformance.md` is made from it
//! and from what pydicom reads (`preprocess/tests/conformance/dicom.py`).
//!
//! With a folder as second argument, the values themselves are written there as well
//! (`N.bin`, little-endian doubles for grey values and bytes for colours).
#![allow(clippy::print_stdout)]

use loupe_preprocess::dicom::Image;
use loupe_preprocess::limits::Limits;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::BufRead;
use std::path::Path;

fn main() {
    let folder = std::env::args().nth(1);
    for (n, line) in std::io::stdin().lock().lines().map_while(Result::ok).enumerate() {
        let result = file(Path::new(&line), folder.as_deref().map(|f| Path::new(f).join(format!("{n}.bin"))));
        let result = result.unwrap_or_else(|e| json!({ "refused": e.to_string() }));
        println!("{}", json!({ "file": line, "result": result }));
    }
}

fn file(path: &Path, dump: Option<std::path::PathBuf>) -> Result<Value, loupe_core::MediaError> {
    let limits = Limits::default();
    let image = Image::parse(limits.read_file(path)?, &limits)?;
    let format = image.format().clone();
    let grey = format.photometric.is_grey();
    let mut frames = Vec::new();
    let mut all: Vec<u8> = Vec::new();
    for frame in 0..format.frames {
        let bytes: Vec<u8> = if grey {
            image.stored(frame)?.to_f64().iter().flat_map(|v| v.to_le_bytes()).collect()
        } else {
            image.rgb(frame)?
        };
        let hash = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, b| {
            let _ = write!(text, "{b:02x}");
            text
        });
        frames.push(hash);
        if dump.is_some() && frame < 4 {
            all.extend(&bytes);
        }
    }
    let transform = if grey {
        let transform = image.transform(0)?;
        json!([0.0, 1.0, 2.0, 1000.0].map(|v| transform.apply(v)))
    } else {
        Value::Null
    };
    if let Some(dump) = dump {
        std::fs::write(dump, &all).map_err(|e| loupe_core::MediaError::Io(e.to_string()))?;
    }
    Ok(json!({
        "grey": grey, "frames": frames, "rows": format.rows, "columns": format.columns,
        "syntax": image.syntax_name(), "transform": transform,
        "truncated": image.object().truncated_in.is_some(),
    }))
}
