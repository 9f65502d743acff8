//! Where the real test data lies.
#![allow(clippy::print_stderr, dead_code)]

use std::path::PathBuf;

/// The folder named by `LOUPE_TEST_DATA`; says so when a test is skipped for the want of it.
pub(crate) fn test_data() -> Option<PathBuf> {
    let folder = std::env::var_os("LOUPE_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: LOUPE_TEST_DATA names no folder of real test data");
    }
    folder
}

/// A file of a set that is only complete elsewhere, in the folder named by `LOUPE_TEST_MORE`; says so
/// when a test goes without it.
pub(crate) fn more(file: &str) -> Option<PathBuf> {
    let path =
        std::env::var_os("LOUPE_TEST_MORE").map(|f| PathBuf::from(f).join(file)).filter(|p| p.exists());
    if path.is_none() {
        eprintln!("skipped: {file} is not in a folder named by LOUPE_TEST_MORE");
    }
    path
}

/// A question that is answered in words, with tags.
pub(crate) fn worded(gold: &str, tags: &[(&str, &str)]) -> loupe_core::Sample {
    loupe_core::Sample {
        id: String::new(),
        media: Vec::new(),
        question: String::new(),
        choices: Vec::new(),
        target: loupe_core::Target::Text(vec![gold.to_owned()]),
        group: String::new(),
        tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        language: "en".to_owned(),
    }
}
