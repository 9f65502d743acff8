//! Answers asks: prompts, shared prefixes, batches, decoding.

pub(crate) mod architecture;
pub(crate) mod cache;
pub(crate) mod dump;
pub(crate) mod generate;
pub(crate) mod load;
pub(crate) mod plan;
pub(crate) mod prompt;
pub(crate) mod serve;
