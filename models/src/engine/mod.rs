//! Answers asks: prompts, shared prefixes, batches, decoding.

mod admit;
pub(crate) mod architecture;
pub(crate) mod cache;
mod dump;
pub(crate) mod encoder_decoder;
mod generate;
mod job;
pub(crate) mod load;
mod memory;
pub(crate) mod open;
mod options;
mod plan;
mod prefill;
mod prompt;
mod reply;
mod score;
pub(crate) mod serve;
mod speculation;
mod step;
#[cfg(test)]
mod tests;
pub(crate) mod words_only;
mod work;
