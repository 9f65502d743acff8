//! One file per subcommand.

pub(crate) mod ask;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod list;
pub(crate) mod render;
pub(crate) mod score;
