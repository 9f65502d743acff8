#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use loupe_core::Dataset;
use std::path::Path;

/// The reader of docs/adding-a-dataset.md.
mod chestqa;

#[test]
fn the_reader_in_the_document_is_the_one_that_works() {
    let document = include_str!("../../../docs/adding-a-dataset.md");
    let shown = document.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(include_str!("tests/chestqa.rs")), "the document shows another reader");

    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("images")).unwrap();
    std::fs::write(dir.path().join("images/7.png"), b"not decoded here").unwrap();
    let rows = r#"[
        {"id": "q1", "image": "7.png", "question": "Is it?", "answer": "yes", "modality": "CR", "type": "PRES"},
        {"image": "7.png", "question": "Where?", "answer": ""},
        {"id": "q3", "question": "No image"}
    ]"#;
    std::fs::write(dir.path().join("test.json"), rows).unwrap();
    let set = chestqa::ENTRY.open(dir.path(), None).unwrap();
    let sample = set.get(0).unwrap();
    assert_eq!((sample.id.as_str(), sample.group.as_str()), ("q1", "7.png"));
    assert_eq!(sample.target.text(), Some("yes"));
    assert_eq!((sample.tag("question_type"), sample.tag("modality")), (Some("PRES"), Some("CR")));
    assert_eq!(
        (set.get(1).unwrap().id.as_str(), set.get(1).unwrap().target),
        ("test:1", loupe_core::Target::Unknown)
    );
    assert!(set.get(2).unwrap_err().to_string().contains("test.json, line 4: \"image\""));
    assert!(
        chestqa::ENTRY.open(dir.path(), Some("train")).is_err_and(|e| e.to_string().contains("train.json"))
    );
}

#[test]
fn the_table_is_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sets");
    loupe_testing::assert_table_is_folder(&folder, SETS.files.iter().map(|(file, _)| file));
    // And each set is called what its file is.
    loupe_testing::assert_table_is_folder(&folder, SETS.names());
}

#[test]
fn entries_are_complete() {
    for entry in SETS.iter() {
        for text in [entry.title, entry.citation, entry.licence, entry.layout, entry.group_by, entry.metric] {
            assert!(!text.is_empty(), "{}: {entry:?}", entry.name);
        }
        for known in entry.known {
            let split = known.split.split(':').next().unwrap();
            assert!(entry.splits.contains(&split), "{}: {}", entry.name, known.split);
        }
    }
}
