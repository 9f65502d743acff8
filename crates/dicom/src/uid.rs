//! Unique identifiers (PS3.5 section 9).

use sha2::{Digest, Sha256};

/// Does `text` have the form of a UID: 1 to 64 digits and points, beginning with a digit?
///
/// ```
/// assert!(loupe_dicom::uid::is_valid("1.2.840.10008.1.2.1"));
/// assert!(!loupe_dicom::uid::is_valid("Doe^Jane"));
/// ```
pub fn is_valid(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && text.starts_with(|c: char| c.is_ascii_digit())
}

/// The UID of a UUID's 128 bits (PS3.5 B.2).
pub fn of_uuid(number: u128) -> String {
    format!("2.25.{number}")
}

/// A UID made of `name`, the same each time: a version 8 (custom) UUID from the SHA-256 of both. Whoever
/// does not know `secret` cannot test guesses of `name`.
pub fn hashed(secret: &[u8], name: &[u8]) -> String {
    let number = digest(secret, name).iter().take(16).fold(0u128, |n, b| n << 8 | u128::from(*b));
    of_uuid(number & !(0xF << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62)
}

/// SHA-256 of a secret and a name, told apart by the secret's length.
pub(crate) fn digest(secret: &[u8], name: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((secret.len() as u64).to_le_bytes());
    hash.update(secret);
    hash.update(name);
    hash.finalize().into()
}
