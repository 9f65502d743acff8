//! The table of families and its folder agree.

use loupe_core::dialect::dialect;
use loupe_models::families::find;
use loupe_models::{Checkpoint, FAMILIES, Loader};
use std::path::Path;

#[test]
fn every_file_of_the_folder_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/families");
    loupe_testing::assert_table_is_folder(&folder, FAMILIES.files.iter().map(|(file, _)| file));
    for (file, entries) in FAMILIES.files {
        let names: Vec<String> = entries.iter().map(|f| f.name.replace(['.', '-'], "_")).collect();
        assert!(names.is_empty() || names == [*file], "{file} is the family of that name");
    }
}

#[test]
fn entries_are_complete_and_dialects_known() {
    for family in FAMILIES.iter() {
        let name = family.name;
        assert!(!family.examples.is_empty() && !family.paper.is_empty() && family.input.len() > 20, "{name}");
        assert!(family.box_dialect.is_none_or(|d| dialect(d).is_some()), "{name}");
        match family.load {
            Loader::Answers(_) | Loader::Words(_) => assert!(!family.architectures.is_empty(), "{name}"),
            Loader::Encodes { bert_score_layers, .. } => {
                assert_eq!(bert_score_layers.len(), family.examples.len(), "{name}");
            }
            Loader::Pairs(_) | Loader::Segments(_) | Loader::Labels(_) => {
                assert_eq!(family.box_dialect, None, "{name}");
            }
        }
    }
}

#[test]
fn families_of_words_alone_say_so() {
    let words = FAMILIES.iter().filter(|family| matches!(family.load, Loader::Words(_)));
    let words: Vec<&str> = words.map(|family| family.name).collect();
    assert_eq!(words, ["gemma3-text", "qwen2", "qwen3", "llama", "mistral", "phi3"]);
    for family in FAMILIES.iter() {
        let says_none = family.load.task().contains("takes no pictures");
        assert_eq!(says_none, words.contains(&family.name), "{}: {}", family.name, family.load.task());
    }
}

#[test]
fn families_are_found_by_name_and_by_marks() {
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
    let checkpoint = |folder: &str| Checkpoint::directory(&parity.join(folder));
    for family in FAMILIES.iter() {
        assert_eq!(find(&checkpoint("sam/grey"), Some(family.name)).unwrap().name, family.name);
    }
    let error = find(&checkpoint("sam/grey"), Some("sam-med2")).err().unwrap().to_string();
    assert!(error.contains("did you mean \"sam-med2d\"") && error.contains("loupe list models"), "{error}");
    assert_eq!(find(&checkpoint("sam/grey"), None).unwrap().name, "sam");
    assert_eq!(find(&checkpoint("sam/original"), None).unwrap().name, "sam");
    let empty = tempfile::tempdir().unwrap();
    let nothing = find(&Checkpoint::directory(empty.path()), None).err().unwrap();
    assert!(nothing.to_string().contains("config.json is missing"), "{nothing}");
}

/// The page as the table has it.
fn page() -> String {
    let mut out = String::from(
        "# Supported models\n\nThe table of families (`models/src/families/`) as a page; a test holds it against the \
         table. The systems are published\ncheckpoints of a family; others of the same architecture load too. Parity \
         is what the tests assert on tiny checkpoints with\nrandom weights: outputs within the distance named, or \
         equal. Licences are notes, as the publishers name them.\n\n\
         | systems | family | does | layouts checked | boxes | licence | parity |\n|---|---|---|---|---|---|---|\n",
    );
    for family in FAMILIES.iter() {
        let systems: Vec<String> = family.examples.iter().map(|e| format!("`{e}`")).collect();
        let dialect = family.box_dialect.map_or_else(|| "–".to_owned(), |d| format!("`{d}`"));
        out += &format!(
            "| {} | `{}` | {} | {} | {dialect} | {} | {} |\n",
            systems.join(", "),
            family.name,
            family.load.task(),
            family.layouts,
            family.licence,
            family.parity
        );
    }
    out
}

#[test]
fn the_page_of_supported_models_is_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/supported.md");
    if std::env::var_os("LOUPE_WRITE_DOCS").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap();
    assert!(
        there == page(),
        "docs/supported.md is old; LOUPE_WRITE_DOCS=1 cargo test -p loupe-models supported writes it"
    );
}
