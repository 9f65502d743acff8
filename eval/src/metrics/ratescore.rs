//! RaTEScore (Zhao et al. 2024), imported: its entities come from networks that are not part of loupe.

use super::entry::Entry;

/// The conventions of this file.
pub static ENTRIES: &[Entry] =
    &[Entry::typed("ratescore", "RaTEScore of the package, imported (--annotations)", "share", true)];
