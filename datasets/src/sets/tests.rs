#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_table_is_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sets");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "mod.rs" && name != "tests.rs")
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    let table: BTreeSet<String> = MODULES.iter().map(|m| (*m).to_owned()).collect();
    assert_eq!(files, table);
}

#[test]
fn entries_are_complete_and_names_follow_their_file() {
    for (entry, module) in SETS.iter().zip(MODULES) {
        assert_eq!(entry.name, module.replace('_', "-").trim_start_matches('-'));
        for text in [entry.title, entry.citation, entry.licence, entry.layout, entry.group_by, entry.metric] {
            assert!(!text.is_empty(), "{}: {entry:?}", entry.name);
        }
        for known in entry.known {
            let split = known.split.split(':').next().unwrap();
            assert!(entry.splits.contains(&split), "{}: {}", entry.name, known.split);
        }
    }
}
