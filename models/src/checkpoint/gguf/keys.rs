//! Typed reading of a GGUF file's metadata; every complaint names the file and the key.

use super::reader::Header;
use crate::error::LoadError;
use serde_json::Value;

/// The metadata of a file.
pub(crate) struct Keys<'a> {
    pub(crate) header: &'a Header,
    /// Name for messages.
    pub(crate) file: &'a str,
}

impl<'a> Keys<'a> {
    pub(crate) fn bad(&self, key: &str, problem: &str) -> LoadError {
        LoadError::File { file: self.file.to_owned(), problem: format!("{key}: {problem}") }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.header.metadata.get(key)
    }

    fn need(&self, key: &str) -> Result<&'a Value, LoadError> {
        self.get(key).ok_or_else(|| self.bad(key, "missing in the metadata"))
    }

    pub(crate) fn text(&self, key: &str) -> Result<&'a str, LoadError> {
        self.need(key)?.as_str().ok_or_else(|| self.bad(key, "not a text"))
    }

    /// A size that is not zero.
    pub(crate) fn size(&self, key: &str) -> Result<u64, LoadError> {
        let size = self.need(key)?.as_u64().filter(|n| (1..=1 << 31).contains(n));
        size.ok_or_else(|| self.bad(key, "not a size"))
    }

    pub(crate) fn size_or(&self, key: &str, default: u64) -> Result<u64, LoadError> {
        if self.get(key).is_some() { self.size(key) } else { Ok(default) }
    }

    /// A number above zero.
    pub(crate) fn positive(&self, key: &str) -> Result<f64, LoadError> {
        let number = self.need(key)?.as_f64().filter(|n| *n > 0.0);
        number.ok_or_else(|| self.bad(key, "not a number above 0"))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool, LoadError> {
        let Some(value) = self.get(key) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.bad(key, "neither true nor false"))
    }

    pub(crate) fn list(&self, key: &str) -> Result<&'a [Value], LoadError> {
        let list = self.need(key)?.as_array().map(Vec::as_slice);
        list.ok_or_else(|| self.bad(key, "not a list"))
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&'a str>, LoadError> {
        let texts: Option<Vec<&str>> = self.list(key)?.iter().map(Value::as_str).collect();
        texts.ok_or_else(|| self.bad(key, "not a list of texts"))
    }
}
