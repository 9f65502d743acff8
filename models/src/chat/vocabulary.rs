//! The bytes that each token stands for.

use super::tokenizer::BoundedTokenizer;
use loupe_core::model::Vocabulary;
use std::collections::HashMap;
use std::sync::Arc;
use tokenizers::{DecoderWrapper, Tokenizer};

/// The tokens of a checkpoint as bytes.
pub(crate) struct TokenBytes {
    tokenizer: Arc<Tokenizer>,
    /// What each character of a token stands for, where tokens are made of bytes in disguise.
    disguised: Option<HashMap<char, u8>>,
}

impl TokenBytes {
    /// Of this tokenizer.
    pub(crate) fn new(tokenizer: &BoundedTokenizer) -> Self {
        let inner = tokenizer.shared();
        let disguised = inner.get_decoder().is_some_and(in_bytes).then(disguises);
        Self { tokenizer: inner, disguised }
    }
}

/// Does the decoder undo GPT-2's disguise of bytes as printable characters?
fn in_bytes(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::ByteLevel(_) => true,
        DecoderWrapper::Sequence(all) => all.get_decoders().iter().any(in_bytes),
        _ => false,
    }
}

/// GPT-2's characters for bytes (`bytes_to_unicode`): printable ones of Latin-1 stand for themselves, the others
/// for those from U+0100 on, in order.
pub(crate) fn disguises() -> HashMap<char, u8> {
    let itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(|byte| !itself(*byte));
    let shifted = ('\u{100}'..).zip(others);
    (0..=u8::MAX).filter(|byte| itself(*byte)).map(|byte| (char::from(byte), byte)).chain(shifted).collect()
}

/// `<0x0A>`, as SentencePiece writes bytes that are no piece.
pub(super) fn lone_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}

impl Vocabulary for TokenBytes {
    fn bytes(&self, id: u32) -> Option<Vec<u8>> {
        let token = self.tokenizer.id_to_token(id)?;
        if self.tokenizer.get_added_vocabulary().simple_id_to_token(id).is_some() {
            return Some(token.into_bytes());
        }
        match &self.disguised {
            Some(disguised) => token.chars().map(|c| disguised.get(&c).copied()).collect(),
            None => match lone_byte(&token) {
                Some(byte) => Some(vec![byte]),
                None => Some(token.replace('▁', " ").into_bytes()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let all = disguises();
        assert_eq!(all.len(), 256);
        let bytes: std::collections::BTreeSet<u8> = all.values().copied().collect();
        assert_eq!(bytes.len(), 256);
        // "Ġ" is the space and "Ċ" the line end of GPT-2's vocabulary.
        assert_eq!([all[&'Ġ'], all[&'Ċ'], all[&'a'], all[&'é']], [b' ', b'\n', b'a', 0xe9]);
    }

    #[test]
    fn lone_bytes() {
        assert_eq!(lone_byte("<0x0A>"), Some(10));
        assert_eq!(
            [lone_byte("<0x0>"), lone_byte("<0xA>"), lone_byte("0x0A"), lone_byte("<0xGG>")],
            [None; 4]
        );
    }
}
