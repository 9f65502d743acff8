//! Exact match of short answers, in the conventions in use.

use super::entry::Entry;
use super::vqa_normal;
use super::words::is_ascii_punctuation;
use loupe_core::Score;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::text("exact_match", "strings equal, byte for byte", "share", exact),
    Entry::text(
        "exact_match_ignore_case",
        "KARMA exact_match: lower case, nothing else",
        "share",
        ignore_case,
    ),
    Entry::text(
        "exact_match_plain",
        "lower case, ASCII punctuation removed, spaces collapsed",
        "share",
        plain,
    ),
    Entry::text("exact_match_vqa", "VQA v2 normaliser on both sides", "share", vqa),
];

fn equal(same: bool) -> Score {
    Score::Value(f64::from(u8::from(same)))
}

fn exact(reference: &str, reply: &str) -> Score {
    equal(reference == reply)
}

fn ignore_case(reference: &str, reply: &str) -> Score {
    equal(reference.to_lowercase() == reply.to_lowercase())
}

fn plain(reference: &str, reply: &str) -> Score {
    equal(plain_form(reference) == plain_form(reply))
}

fn vqa(reference: &str, reply: &str) -> Score {
    equal(vqa_normal::normalise_lower(reference) == vqa_normal::normalise_lower(reply))
}

/// Lower case, without ASCII punctuation, spaces collapsed.
pub fn plain_form(text: &str) -> String {
    let kept: String = text.to_lowercase().chars().filter(|c| !is_ascii_punctuation(*c)).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}
