//! Sentences and words equal nltk's, with a model trained on invented text (make/word_tokenize.py).

use loupe_eval::metrics::nltk_words::word_tokenize;
use loupe_eval::metrics::punkt::Punkt;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/punkt")
}

#[test]
fn sentences_and_words_are_those_of_nltk() {
    let punkt = Punkt::read(&folder()).unwrap();
    let items: Vec<(String, Vec<String>, Vec<String>)> =
        serde_json::from_str(include_str!("../fixtures/word_tokenize.json")).unwrap();
    let mut bad = Vec::new();
    for (text, sentences, words) in &items {
        if punkt.sentences(text) != *sentences {
            bad.push(format!("{text:?}\n  {:?}\n  {sentences:?}", punkt.sentences(text)));
        } else if word_tokenize(text, &punkt) != *words {
            bad.push(format!("{text:?}\n  {:?}\n  {words:?}", word_tokenize(text, &punkt)));
        }
    }
    assert!(items.len() > 700);
    assert!(bad.is_empty(), "{} of {}\n{}", bad.len(), items.len(), bad[..bad.len().min(8)].join("\n"));
}

#[test]
fn a_folder_without_a_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Punkt::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("abbrev_types.txt") && error.contains("sent_starters.txt"), "{error}");
    for file in std::fs::read_dir(folder()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    std::fs::write(dir.path().join("ortho_context.tab"), "the\t3\nlung\tx\n").unwrap();
    let error = Punkt::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("ortho_context.tab, line 2"), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_cut(text in "[ .?!,'\"(\\[a-zA-Z0-9\n\t\u{e9}\u{2019}\u{53f3}-]{0,60}") {
        static MODEL: std::sync::OnceLock<Punkt> = std::sync::OnceLock::new();
        let punkt = MODEL.get_or_init(|| Punkt::read(&folder()).unwrap());
        let letters = |t: &str| t.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        prop_assert_eq!(letters(&word_tokenize(&text, punkt).concat()), letters(&text));
    }
}

/// The odd replies that a run may hold take no longer than any other text of their size.
#[test]
fn long_runs_of_marks_are_cut_in_time() {
    let punkt = Punkt::read(&folder()).unwrap();
    for piece in [".", "!", "a", ". ", "a.", "-", "'", "\"", " ", "(", "a. B! "] {
        let text = piece.repeat(20_000);
        word_tokenize(&text, &punkt);
    }
}
