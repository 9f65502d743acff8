//! Real data, where the machine has it.

use std::path::PathBuf;

/// The folder or file `of` in the folder that `LOUPE_TEST_DATA` names (`""` for that folder itself). Says on
/// stderr that the test is skipped when the variable is not set.
///
/// # Panics
/// When the variable is set and there is no `of`: a test must not be skipped by accident.
pub fn real_data(of: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("LOUPE_TEST_DATA") else {
        let what = if of.is_empty() { "real data" } else { of };
        eprintln!("skipped: LOUPE_TEST_DATA does not name the folder with {what}");
        return None;
    };
    let path = if of.is_empty() { PathBuf::from(folder) } else { PathBuf::from(folder).join(of) };
    assert!(path.exists(), "LOUPE_TEST_DATA has no {of}");
    Some(path)
}

/// A file of a set that few machines have, in the folder that `LOUPE_TEST_MORE` names; says so when a test
/// goes without it.
pub fn more_data(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LOUPE_TEST_MORE").map(PathBuf::from);
    let path = folder.map(|f| f.join(file)).filter(|p| p.exists());
    if path.is_none() {
        eprintln!("skipped: {file} is not in a folder named by LOUPE_TEST_MORE");
    }
    path
}
