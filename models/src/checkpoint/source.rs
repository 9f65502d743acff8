//! An open weight file, and what there is to know of a tensor in one.

use crate::error::LoadError;
use loupe_core::files::open_regular;
use loupe_core::words::hex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::Path;

/// A tensor of a weight file: what the file says of it and where its numbers are.
#[derive(Debug, Clone)]
pub(crate) struct StoredTensor {
    pub(crate) name: String,
    /// Number type by the name that safetensors has for it.
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    /// First byte in the file.
    pub(crate) at: u64,
    /// How many bytes.
    pub(crate) bytes: u64,
}

/// An open weight file. Read with ordinary reads, not memory-mapped: a file that shrinks meanwhile
/// gives an error instead of a fault, and pages of the file do not count as memory of the program.
pub(crate) struct Source {
    name: String,
    length: u64,
    kind: Kind,
}

enum Kind {
    File(File),
    Bytes(&'static [u8]),
}

/// Fills `out` from place `at` on, whatever else reads the file at the same time.
fn read_exact_at(file: &File, mut at: u64, mut out: &mut [u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    use std::os::unix::fs::FileExt;
    #[cfg(windows)]
    use std::os::windows::fs::FileExt;
    while !out.is_empty() {
        #[cfg(unix)]
        let read = file.read_at(out, at);
        #[cfg(windows)]
        let read = file.seek_read(out, at);
        match read {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                out = &mut out[n..];
                at += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

impl Source {
    /// The file at `path`, called `name` in messages.
    pub(super) fn open(path: &Path, name: &str) -> Result<Self, LoadError> {
        let opened = open_regular(path).and_then(|f| f.metadata().map(|m| (f, m.len())));
        let failed = |e: std::io::Error| LoadError::File { file: name.to_owned(), problem: e.to_string() };
        let (handle, length) = opened.map_err(failed)?;
        Ok(Self { name: name.to_owned(), length, kind: Kind::File(handle) })
    }

    /// Bytes built into the program.
    pub(super) fn embedded(bytes: &'static [u8], name: &str) -> Self {
        Self { name: name.to_owned(), length: bytes.len() as u64, kind: Kind::Bytes(bytes) }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn failed(&self, problem: &dyn std::fmt::Display) -> LoadError {
        LoadError::File { file: self.name.clone(), problem: problem.to_string() }
    }

    /// Fills `out` with the bytes from `at` on.
    pub(crate) fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), LoadError> {
        let end = at.checked_add(out.len() as u64).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(self.failed(&"the file is shorter than its header says"));
        }
        let result = match &self.kind {
            Kind::File(file) => read_exact_at(file, at, out),
            Kind::Bytes(bytes) => {
                out.copy_from_slice(&bytes[at as usize..][..out.len()]);
                Ok(())
            }
        };
        result.map_err(|e| self.failed(&e))
    }

    /// SHA-256 of the file in hexadecimal.
    pub(crate) fn sha256(&self) -> Result<String, LoadError> {
        let mut hash = Sha256::new();
        let mut block = vec![0u8; 1 << 20];
        let mut at = 0;
        while at < self.length {
            let step = block.len().min((self.length - at) as usize);
            let part = &mut block[..step];
            self.read_at(at, part)?;
            hash.update(&*part);
            at += step as u64;
        }
        Ok(hex(&hash.finalize()))
    }
}
