//! The binary and small sets for black-box tests.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) fn loupe(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loupe")).args(args).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn json(args: &[&str]) -> Value {
    let out = loupe(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// A 24-bit BMP file of a grey picture, rows from the bottom as the format has them.
pub(crate) fn bmp(width: usize, height: usize, level: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let stride = (width * 3).div_ceil(4) * 4;
    let mut out = b"BM".to_vec();
    for n in [54 + stride * height, 0, 54, 40, width, height] {
        out.extend((n as u32).to_le_bytes());
    }
    out.extend([1, 0, 24, 0]);
    out.extend([0; 24]);
    for y in (0..height).rev() {
        let start = out.len();
        (0..width).for_each(|x| out.extend([level(x, y); 3]));
        out.resize(start + stride, 0);
    }
    out
}

/// A folder beside the sources, for fixtures of other crates.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folder of real data that `LOUPE_TEST_DATA` names; says when the test is skipped.
pub(crate) fn real_data(of: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("LOUPE_TEST_DATA") else {
        eprintln!("skipped: LOUPE_TEST_DATA does not name the folder with {of}");
        return None;
    };
    let folder = PathBuf::from(folder).join(of);
    assert!(folder.is_dir(), "LOUPE_TEST_DATA has no {of}");
    Some(folder)
}

/// Writes a file with its folders.
pub(crate) fn put(file: &Path, bytes: &[u8]) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}
