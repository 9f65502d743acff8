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
