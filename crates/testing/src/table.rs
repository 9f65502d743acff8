//! Everything that multiplies is one file and one line of one table.

use std::collections::BTreeSet;
use std::path::Path;

/// Fails unless `names` are those of the files in `dir`, one each. `mod.rs` and what is called `tests` do not
/// count; letter case, `_`, `-` and `.` are the same, and a `_` in front (of a name that begins with a
/// figure) is nothing.
///
/// # Panics
/// When they differ, naming what is missing on either side.
#[track_caller]
pub fn assert_table_is_folder<S: AsRef<str>>(dir: &Path, names: impl IntoIterator<Item = S>) {
    let (files, table) = (stems(dir), listed(names));
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> { a.difference(b).cloned().collect() };
    assert!(
        files == table,
        "{}: files that are not in the table {:?}, lines without a file {:?}",
        dir.display(),
        only(&files, &table),
        only(&table, &files)
    );
}

/// The same where a file may hold several variants of one thing: each name is that of a file, or begins with
/// it and goes on after a `-`, and each file has at least one name.
///
/// # Panics
/// When a file or a name has no counterpart.
#[track_caller]
pub fn assert_table_covers_folder<S: AsRef<str>>(dir: &Path, names: impl IntoIterator<Item = S>) {
    let (files, table) = (stems(dir), listed(names));
    let belongs = |name: &str, file: &str| {
        name.strip_prefix(file).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    for name in &table {
        assert!(files.iter().any(|f| belongs(name, f)), "{}: {name} has no file", dir.display());
    }
    for file in &files {
        let named = table.iter().any(|name| belongs(name, file));
        assert!(named, "{}: {file} is not in the table", dir.display());
    }
}

fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in names {
        assert!(all.insert(plain(name.as_ref())), "{} stands in the table twice", name.as_ref());
    }
    assert!(!all.is_empty(), "the table is empty");
    all
}

fn stems(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let paths = entries.map(|e| e.unwrap().path());
    let kept = paths.filter(|p| p.is_dir() || p.extension().is_some_and(|e| e == "rs"));
    let stems = kept.map(|p| plain(&p.file_stem().unwrap().to_string_lossy()));
    stems.filter(|name| name != "mod" && name != "tests").collect()
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-").trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn what_is_missing_on_either_side_is_found() {
        let dir = crate::folder(&[
            ("mod.rs", ""),
            ("tests.rs", ""),
            ("_3d_set.rs", ""),
            ("qwen2_5_vl.rs", ""),
            ("sam/mod.rs", ""),
        ]);
        let is = |names: &[&str]| catch_unwind(|| assert_table_is_folder(dir.path(), names)).is_ok();
        assert!(is(&["3d-set", "qwen2.5-vl", "sam"]));
        assert!(!is(&["3d-set", "sam"]));
        assert!(!is(&["3d-set", "qwen2.5-vl", "sam", "sam2"]));
        assert!(!is(&["3d-set", "qwen2.5-vl", "sam", "sam"]));
        let covers = |names: &[&str]| catch_unwind(|| assert_table_covers_folder(dir.path(), names)).is_ok();
        assert!(covers(&["3d-set-a", "3d-set-b", "qwen2.5-vl", "sam"]));
        assert!(!covers(&["3d-set", "qwen2.5-vl", "sam2"]));
    }
}
