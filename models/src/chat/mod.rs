//! Turns to text to tokens, and back.

pub(crate) mod chat_ml;
pub(crate) mod conversations;
pub(crate) mod template;
pub(crate) mod tokenizer;
pub(crate) mod tokens;
pub(crate) mod vocabulary;
pub(crate) mod wordpiece;
