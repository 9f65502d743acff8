//! Words of the glossary in ARCHITECTURE.md: what is not to be called so in code.

use std::collections::BTreeSet;

/// A word that names must not hold, the field's word in its place, and folders in which it is right.
const WORDS: &[(&str, &str, &[&str])] = &[
    // An outline is the contour that an overlay draws, or the polygon that a file of annotations holds.
    ("outline", "segment", &["crates/report/", "datasets/"]),
    ("outlines", "segments", &["crates/report/", "datasets/"]),
    ("outlined", "segmented", &["crates/report/"]),
    ("outliner", "segmenter", &[]),
    // A hint is what an error says to do, or a column of a file.
    ("hint", "prompt", &["crates/core/src/media.rs", "crates/dicom/", "preprocess/", "datasets/"]),
    ("hints", "prompts", &[]),
    ("compat", "profile", &[]),
];

/// Whole names that are not ours, or that say one thing in two words.
const NAMES: &[(&str, &str)] = &[
    ("second_look", "rethink"),
    ("SecondLook", "Rethink"),
    ("look_again", "rethink"),
    ("LookAgain", "Rethink"),
];

/// Names of the standard library and of others.
const THEIRS: &[&str] = &["SizeHint", "size_hint", "value_hint", "ValueHint"];

/// `HTTPServer2Name` and `server_name` as lower-case words.
fn parts(name: &str) -> BTreeSet<String> {
    let mut parts = vec![String::new()];
    let mut before = '_';
    for c in name.chars() {
        if c == '_' || c.is_uppercase() && !before.is_uppercase() {
            parts.push(String::new());
        }
        if c != '_' {
            parts.last_mut().unwrap().extend(c.to_lowercase());
        }
        before = c;
    }
    parts.into_iter().collect()
}

/// Names among the words of a file that the glossary replaces, each with what to say instead.
pub(crate) fn out_of_place(file: &str, words: &[String]) -> BTreeSet<(String, &'static str)> {
    let mut found = BTreeSet::new();
    for (i, name) in words.iter().enumerate() {
        let of_std = i > 1 && words[i - 1] == "::" && matches!(words[i - 2].as_str(), "std" | "core");
        if of_std || THEIRS.contains(&name.as_str()) {
            continue;
        }
        let parts = parts(name);
        let word = WORDS.iter().find(|(word, _, right)| {
            parts.contains(*word) && !right.iter().any(|folder| file.starts_with(folder))
        });
        if let Some((_, instead, _)) = word {
            found.insert((name.clone(), *instead));
        } else if let Some((_, instead)) = NAMES.iter().find(|(wrong, _)| name.contains(wrong)) {
            found.insert((name.clone(), *instead));
        }
    }
    found
}

#[test]
fn names_are_read_word_by_word() {
    let found = |file: &str, text: &str| -> Vec<String> {
        out_of_place(file, &super::source::tokens(text)).into_iter().map(|(name, _)| name).collect()
    };
    let text = "fn outlines_of(h: HintKind) { std::hint::black_box(it.size_hint()); outliers(\"hint\") }";
    assert_eq!(found("eval/src/a.rs", text), ["HintKind", "outlines_of"]);
    assert_eq!(found("crates/report/src/a.rs", text), ["HintKind"]);
    assert_eq!(
        found("a.rs", "struct SecondLookArgs; let my_second_look = 1;"),
        ["SecondLookArgs", "my_second_look"]
    );
}
