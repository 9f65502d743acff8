//! The word that clients must know.

use crate::error::ServeError;
use loupe_core::files::open_regular;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::Read;
use std::path::Path;

/// Fewest characters of a token.
const SHORTEST: usize = 16;
/// Most characters of a token.
const LONGEST: usize = 4096;

/// A bearer token. Only its digest is kept; it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// From its characters, white space around them left out; `from` says where they stand, for messages.
    ///
    /// # Errors
    /// When it is too short to be a secret, or holds what a header cannot.
    pub fn new(text: &str, from: &str) -> Result<Self, ServeError> {
        let text = text.trim();
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Err(ServeError::Token(format!(
                "{from} holds {} characters; a token needs {SHORTEST} to {LONGEST}, such as those of `openssl rand -hex 32`",
                text.len()
            )));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ServeError::Token(format!(
                "{from} holds characters that a header cannot; use letters and digits"
            )));
        }
        Ok(Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// From a file.
    ///
    /// # Errors
    /// As [`Token::new`], and when the file cannot be read.
    pub fn read(file: &Path) -> Result<Self, ServeError> {
        let name = file.display().to_string();
        let unreadable = |e: std::io::Error| ServeError::Token(format!("{name} could not be read: {e}"));
        let mut text = String::new();
        let file = open_regular(file).map_err(unreadable)?;
        file.take(LONGEST as u64 + 64).read_to_string(&mut text).map_err(unreadable)?;
        Self::new(&text, &name)
    }

    /// Is this the value of an `Authorization` header that holds the token? Digests are compared, and in a
    /// time that does not depend on where they differ.
    pub(crate) fn is_in(&self, header: &[u8]) -> bool {
        let scheme = b"bearer ";
        let Some((given, rest)) = header.split_at_checked(scheme.len()) else { return false };
        let digest: [u8; 32] = Sha256::digest(rest.trim_ascii()).into();
        let differ = digest.iter().zip(&self.0).fold(0u8, |all, (a, b)| all | (a ^ b));
        given.eq_ignore_ascii_case(scheme) && std::hint::black_box(differ) == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let token = Token::new(" 0123456789abcdef\n", "it").unwrap();
        assert!(token.is_in(b"Bearer 0123456789abcdef"));
        assert!(token.is_in(b"bearer  0123456789abcdef "));
        for wrong in ["", "Bearer", "Bearer ", "Bearer 0123456789abcdeg", "Basic 0123456789abcdef"] {
            assert!(!token.is_in(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_said() {
        for bad in ["", "short", "0123456789 abcdef", "0123456789äbcdef"] {
            let said = Token::new(bad, "the file").unwrap_err().to_string();
            assert!(said.contains("the file") && (bad.is_empty() || !said.contains(bad)), "{said}");
        }
    }
}
