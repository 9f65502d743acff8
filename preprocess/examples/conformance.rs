//! Prints what loupe reads from DICOM, volume and picture files named on standard input, one JSON object a file:
//! for each frame the SHA-256 of its values, or why the file is refused. `docs/reference/conformance.md` is made from it
//! and from what pydicom reads (`preprocess/tests/conformance/dicom.py`).
//!
//! With a folder as argument, the values themselves are written there as well, of the first four frames:
//! `N.bin` (little-endian doubles for stored grey values and bytes for colours), `N.modality` (floats,
//! rescaled) and `N.voi` (the 8-bit picture in the file's first window or table, where it has one). Of a volume
//! `N.bin` holds the voxels of its first and last frame as floats.
#![allow(clippy::print_stdout)]

use loupe_core::View;
use loupe_core::media::WindowChoice;
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::Image;
use loupe_preprocess::loader::FileKind;
use loupe_preprocess::nifti::Xform;
use loupe_preprocess::picture_io;
use loupe_preprocess::volume_io::open_volume;
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
    let limits = DecodeLimits::default();
    let bytes = limits.read_file(path)?;
    if matches!(FileKind::sniff(&bytes), Some(FileKind::Picture(_))) {
        let picture = picture_io::decode(&bytes, &View::default(), &limits)?.to_rgb();
        if let Some(dump) = dump {
            let written = std::fs::write(dump, picture.pixels());
            written.map_err(|e| loupe_core::MediaError::Io(e.to_string()))?;
        }
        return Ok(json!({ "width": picture.width(), "height": picture.height() }));
    }
    // The voxel half of a pair of files has no mark of its own.
    let half = path.file_name().is_some_and(|n| n.to_string_lossy().contains(".img"));
    if matches!(FileKind::sniff(&bytes), Some(FileKind::Volume(_))) || half {
        return volume(path, dump.as_deref(), &limits);
    }
    let image = Image::parse(bytes, &limits)?;
    let format = image.format().clone();
    let grey = format.photometric.is_grey();
    let mut frames = Vec::new();
    let mut all: Vec<u8> = Vec::new();
    let (mut modality, mut voi) = (Vec::new(), Vec::new());
    let first = View { window: Some(WindowChoice::Stored(0)), ..View::default() };
    let has_voi = grey && image.picture(&first).is_ok();
    for frame in 0..format.frames {
        let bytes: Vec<u8> = if grey {
            image.stored(frame)?.to_f64()?.iter().flat_map(|v| v.to_le_bytes()).collect()
        } else {
            image.rgb(frame)?
        };
        let hash = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, b| {
            let _ = write!(text, "{b:02x}");
            text
        });
        frames.push(hash);
        if dump.is_none() || frame >= 4 {
            continue;
        }
        all.extend(&bytes);
        if grey {
            modality.extend(image.values(frame)?.iter().flat_map(|v| v.to_le_bytes()));
        }
        if has_voi {
            voi.extend_from_slice(image.picture(&View { frame: Some(frame), ..first.clone() })?.pixels());
        }
    }
    if let Some(dump) = dump {
        for (ending, bytes) in [("bin", &all), ("modality", &modality), ("voi", &voi)] {
            let written = std::fs::write(dump.with_extension(ending), bytes);
            written.map_err(|e| loupe_core::MediaError::Io(e.to_string()))?;
        }
    }
    Ok(json!({
        "grey": grey, "frames": frames, "rows": format.rows, "columns": format.columns,
        "syntax": image.syntax_name(),
        "truncated": image.object().truncated_in.is_some(),
    }))
}

fn volume(path: &Path, dump: Option<&Path>, limits: &DecodeLimits) -> Result<Value, loupe_core::MediaError> {
    let first = open_volume(path, 0, Xform::Nibabel, limits)?;
    let last = open_volume(path, first.frames - 1, Xform::Nibabel, limits)?;
    if let Some(dump) = dump {
        let voxels = first.volume.voxels.iter().chain(&last.volume.voxels);
        let bytes: Vec<u8> = voxels.flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(dump, bytes).map_err(|e| loupe_core::MediaError::Io(e.to_string()))?;
    }
    Ok(json!({
        "shape": first.volume.shape(), "frames": first.frames, "ras": first.volume.lps_from_index.to_ras(),
        "type": first.stored_type,
    }))
}
