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
    /// Not now: whatever is asked, nobody answers (a server that is down). Never on record: a run ends here, and the
    /// same command goes on when it is over.
    Away,
    /// Not before somebody changes something that concerns every ask: a key that is refused, a budget that is used
    /// up. Never on record, as [`Retry::Away`].
    Barred,
    /// It was handed over to be answered another time. Never on record; a run goes on with the other items.
    Later,
}

impl Retry {
    /// Does a failure of this kind stand as what became of an item?
    pub fn is_final(self) -> bool {
        matches!(self, Self::May | Self::Never)
    }
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
