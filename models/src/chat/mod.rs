//! Turns to text to tokens, and back.

pub(crate) mod chat_ml;
mod sandbox;
pub(crate) mod template;
pub(crate) mod tokenizer;
pub(crate) mod tokens;
pub(crate) mod vocabulary;
