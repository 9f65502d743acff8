//! Turns to text to tokens, and back.

pub(crate) mod template;
pub(crate) mod tokens;
