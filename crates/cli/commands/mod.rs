//! One file per subcommand.

pub(crate) mod ask;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod deidentify;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod inspect;
pub(crate) mod leaderboard;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod measure;
pub(crate) mod merge;
pub(crate) mod phantom;
pub(crate) mod prepare;
pub(crate) mod render;
pub(crate) mod score;
pub(crate) mod segment;
pub(crate) mod study;
pub(crate) mod suite;
