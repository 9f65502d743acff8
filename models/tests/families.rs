//! The tables of families and the folders agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use loupe_core::dialect::dialect;
use loupe_models::{Checkpoint, ENCODERS, FAMILIES, SEGMENTERS, segmenters};

fn files(folder: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let stems = entries.map(|p| p.file_stem().unwrap().to_string_lossy().into_owned());
    let mut files: Vec<String> = stems.filter(|n| n != "mod").collect();
    files.sort();
    files
}

fn stems<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(|n| n.replace(['.', '-'], "_")).collect();
    names.sort();
    names
}

#[test]
fn every_file_of_the_folders_is_in_its_table() {
    assert_eq!(files("src/families"), stems(FAMILIES.iter().map(|f| f.name)));
    assert_eq!(files("src/segmenters"), stems(SEGMENTERS.iter().map(|f| f.name)));
    assert_eq!(files("src/encoders"), stems(ENCODERS.iter().map(|f| f.name)));
}

#[test]
fn entries_are_complete_and_dialects_known() {
    for family in FAMILIES {
        assert!(!family.architectures.is_empty() && !family.examples.is_empty() && !family.paper.is_empty());
        assert!(family.box_dialect == "none" || dialect(family.box_dialect).is_some(), "{}", family.name);
    }
}

#[test]
fn segmenters_say_what_they_do_and_are_found_by_name_and_by_marks() {
    for family in SEGMENTERS {
        assert!(!family.examples.is_empty() && !family.paper.is_empty() && family.recipe.len() > 20);
        assert_eq!(segmenters::segmenter_family(family.name).unwrap().name, family.name);
    }
    let error = segmenters::segmenter_family("sam-med2").err().unwrap().to_string();
    assert!(error.contains("did you mean \"sam-med2d\"") && error.contains("meshnet"), "{error}");
    let parity = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
    let found = |folder: &str| segmenters::segmenter_of(&Checkpoint::directory(&parity.join(folder)));
    assert_eq!(found("sam/grey").unwrap().name, "sam");
    assert_eq!(found("sam/original").unwrap().name, "sam");
    let empty = tempfile::tempdir().unwrap();
    let nothing = segmenters::segmenter_of(&Checkpoint::directory(empty.path())).err().unwrap();
    assert!(nothing.to_string().contains("without config.json"), "{nothing}");
}
