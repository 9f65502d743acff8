//! Typed reading of a GGUF file's metadata; every complaint names the file and the key.

use super::reader::Header;
use crate::error::LoadError;
use serde_json::Value;

/// What a file is: `general.architecture`.
pub(super) const ARCHITECTURE: &str = "general.architecture";

/// The metadata of a file.
pub(super) struct Keys<'a> {
    pub(super) header: &'a Header,
    /// Name for messages.
    pub(super) file: &'a str,
}

impl<'a> Keys<'a> {
    pub(super) fn bad(&self, key: &str, problem: &str) -> LoadError {
        LoadError::File { file: self.file.to_owned(), problem: format!("{key}: {problem}") }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.header.metadata.get(key)
    }

    fn need(&self, key: &str) -> Result<&'a Value, LoadError> {
        self.get(key).ok_or_else(|| self.bad(key, "missing in the metadata"))
    }

    pub(super) fn text(&self, key: &str) -> Result<&'a str, LoadError> {
        self.need(key)?.as_str().ok_or_else(|| self.bad(key, "not a text"))
    }

    /// A size that is not zero.
    pub(super) fn size(&self, key: &str) -> Result<u64, LoadError> {
        let size = self.need(key)?.as_u64().filter(|n| (1..=1 << 31).contains(n));
        size.ok_or_else(|| self.bad(key, "not a size"))
    }

    pub(super) fn size_or(&self, key: &str, default: u64) -> Result<u64, LoadError> {
        if self.get(key).is_some() { self.size(key) } else { Ok(default) }
    }

    /// A number above zero.
    pub(super) fn positive(&self, key: &str) -> Result<f64, LoadError> {
        let number = self.need(key)?.as_f64().filter(|n| *n > 0.0);
        number.ok_or_else(|| self.bad(key, "not a number above 0"))
    }

    pub(super) fn positive_or(&self, key: &str, default: f64) -> Result<f64, LoadError> {
        if self.get(key).is_some() { self.positive(key) } else { Ok(default) }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, LoadError> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.bad(key, "neither true nor false"))
    }

    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], LoadError> {
        let list = self.need(key)?.as_array().map(Vec::as_slice);
        list.ok_or_else(|| self.bad(key, "not a list"))
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<&'a str>, LoadError> {
        let texts: Option<Vec<&str>> = self.list(key)?.iter().map(Value::as_str).collect();
        texts.ok_or_else(|| self.bad(key, "not a list of texts"))
    }

    /// Sides of a tensor ([`Header::shape`]).
    pub(super) fn shape(&self, name: &str) -> Option<&'a [usize]> {
        self.header.shape(name)
    }

    /// A number of layers, of each of which there are tensors.
    pub(super) fn layers(&self, key: &str) -> Result<u64, LoadError> {
        match self.size(key)? {
            count if count <= self.header.tensors.len() as u64 => Ok(count),
            count => Err(self.bad(key, &format!("{count}, more than the file has tensors"))),
        }
    }
}
