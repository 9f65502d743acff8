//! The sets: one file each, one line each in the table.

use crate::entry::SetEntry;

macro_rules! sets {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every set that can be opened, in the order of `loupe list datasets`.
        pub static SETS: &[&SetEntry] = &[$(&$module::ENTRY),*];

        #[cfg(test)]
        const MODULES: &[&str] = &[$(stringify!($module)),*];
    };
}

sets![csv, jsonl, medframeqa, slake, vlmevalkit, vqa_rad];

#[cfg(test)]
mod tests;
