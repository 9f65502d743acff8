//! Digests of files and texts, in hexadecimal.

use loupe_core::DataError;
use loupe_core::files::open_regular;
use loupe_core::words::hex;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::Path;

/// SHA-256 over pieces one after the other.
pub(crate) fn sha256_hex(pieces: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hex(&hasher.finalize())
}

/// SHA-256 of a text, in hexadecimal.
pub fn text_sha256(text: &str) -> String {
    sha256_hex(&[text.as_bytes()])
}

/// SHA-256 of a file's bytes, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn file_sha256(path: &Path) -> Result<String, DataError> {
    let file = || path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    open_regular(path)
        .and_then(reader_sha256)
        .map_err(|e| DataError::Read { file: file(), problem: e.to_string() })
}

/// SHA-256 of what is left to read, in pieces: the file may be larger than memory.
pub(crate) fn reader_sha256(mut from: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(piece.get(..n).unwrap_or_default()),
        }
    }
}
