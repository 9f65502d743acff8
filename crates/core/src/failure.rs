//! Why there is no reply, and whether trying again can help.

use serde::{Deserialize, Serialize};

/// Can asking the same again help?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It may: memory, a device, a file that can be put in its place.
    #[default]
    May,
    /// It cannot: the ask itself is at fault.
    Never,
}

/// Why an item has no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In words, without contents of patient files.
    pub reason: String,
    /// Can asking the same again help?
    #[serde(default)]
    pub retry: Retry,
}

impl Failure {
    /// A failure that trying again may mend: a file, memory, a device.
    pub fn may_pass(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: Retry::May }
    }

    /// A failure that stays whatever is tried.
    pub fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: Retry::Never }
    }
}
