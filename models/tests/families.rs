//! The table of families and the folder agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use loupe_core::dialect::dialect;
use loupe_models::FAMILIES;

#[test]
fn every_file_of_the_folder_is_in_the_table() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/families");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|n| n != "mod")
        .collect();
    let mut names: Vec<String> = FAMILIES.iter().map(|f| f.name.replace(['.', '-'], "_")).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn entries_are_complete_and_dialects_known() {
    for family in FAMILIES {
        assert!(!family.architectures.is_empty() && !family.examples.is_empty() && !family.paper.is_empty());
        assert!(family.box_dialect == "none" || dialect(family.box_dialect).is_some(), "{}", family.name);
    }
}
