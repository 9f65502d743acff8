//! House rules that no lint can say: who may use what, how long a file may be, what words stay out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every crate, its folder, and the crates of the workspace it may use.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("loupe", ".", &["core", "rethink", "report", "eval", "datasets", "models", "preprocess", "phantom"]),
    ("loupe-core", "crates/core", &[]),
    ("loupe-rethink", "crates/rethink", &["core"]),
    ("loupe-report", "crates/report", &["core"]),
    ("loupe-phantom", "crates/phantom", &["core"]),
    ("loupe-preprocess", "preprocess", &["core"]),
    ("loupe-models", "models", &["core", "preprocess"]),
    ("loupe-datasets", "datasets", &["core"]),
    ("loupe-eval", "eval", &["core"]),
];

/// Outside libraries that belong to some crates alone.
const OWNED: &[(&str, &[&str])] = &[
    ("candle-", &["loupe-models"]),
    ("dicom-", &["loupe-preprocess", "loupe-report"]),
    ("nifti", &["loupe-preprocess"]),
    ("parquet", &["loupe-datasets"]),
    ("csv", &["loupe-datasets"]),
    ("clap", &["loupe"]),
    ("anyhow", &["loupe"]),
    ("ureq", &["loupe"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(folder: &str) -> String {
    fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap()
}

/// Names under `[dependencies]` of a manifest.
fn dependencies(text: &str) -> Vec<String> {
    let mut section = "";
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]" && !line.is_empty() && !line.starts_with('#') {
            names.push(line.split(['.', '=', ' ']).next().unwrap().to_owned());
        }
    }
    names
}

/// Files that git tracks or would track, as paths from the root.
fn files() -> Vec<String> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().unwrap().is_dir() {
                if !matches!(name.as_str(), ".git" | "target" | "corpus" | "artifacts" | "__pycache__") {
                    walk(&entry.path(), root, found);
                }
            } else {
                found.push(entry.path().strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    found.sort();
    found
}

fn texts(endings: &[&str]) -> BTreeMap<String, String> {
    files()
        .into_iter()
        .filter(|f| endings.iter().any(|e| f.ends_with(e)))
        .filter_map(|f| fs::read_to_string(root().join(&f)).ok().map(|text| (f, text)))
        .collect()
}

#[test]
fn arrows_point_to_core() {
    let mut wrong = Vec::new();
    for (name, folder, allowed) in CRATES {
        for dependency in dependencies(&manifest(folder)) {
            if let Some(ours) = dependency.strip_prefix("loupe-")
                && !allowed.contains(&ours)
            {
                wrong.push(format!("{name} may not use loupe-{ours}"));
            }
            for (prefix, owners) in OWNED {
                let theirs = if prefix.ends_with('-') {
                    dependency.starts_with(prefix)
                } else {
                    dependency == *prefix
                };
                if theirs && !owners.contains(name) {
                    wrong.push(format!("{name} may not use {dependency}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_is_known_here_and_takes_the_lints() {
    let members = manifest(".");
    for (name, folder, _) in CRATES {
        let text = manifest(folder);
        assert!(text.contains(&format!("name = \"{name}\"")), "{folder} is not {name}");
        assert!(text.contains("[lints]\nworkspace = true"), "{folder} does not inherit the lints");
        assert!(members.contains(&format!("\"{folder}\"")), "{folder} is not a default member");
    }
    let listed = files().iter().filter(|f| f.ends_with("Cargo.toml") && !f.contains("fuzz/")).count();
    assert_eq!(listed, CRATES.len(), "a crate is missing in this file's table");
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = texts(&[".rs"])
        .iter()
        .map(|(f, t)| (f, t.lines().count()))
        .filter(|(_, n)| *n > 620)
        .map(|(f, n)| format!("{f}: {n} lines"))
        .collect();
    assert!(long.is_empty(), "split by purpose:\n{}", long.join("\n"));
}

#[test]
fn unfinished_marks_stay_out() {
    let marks = [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["#[ig", "nore"].concat(),
        ["FIX", "ME"].concat(),
    ];
    for (file, text) in texts(&[".rs", ".py", ".md", ".js"]) {
        for mark in &marks {
            assert!(!text.contains(mark), "{file} holds {mark}");
        }
    }
}

#[test]
fn no_machine_path_and_no_registry_host() {
    let words = [
        ["/wo", "rk/"].concat(),
        ["/ro", "ot/"].concat(),
        ["crates", ".io"].concat(),
        ["pypi", ".org"].concat(),
        ["npmjs", ".org"].concat(),
    ];
    for (file, text) in
        texts(&[".rs", ".py", ".md", ".js", ".html", ".toml", ".sh", ".json", ".jsonl", "run"])
    {
        for word in &words {
            assert!(!text.contains(word), "{file} names {word}");
        }
    }
}

#[test]
fn the_changelog_knows_the_version() {
    let changes = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(changes.contains(&format!("## {version}")), "CHANGELOG.md has no section {version}");
}

#[test]
fn documents_named_in_the_readme_exist() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut missing = Vec::new();
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !link.starts_with('#')
            && !link.contains("://")
            && !root().join(link.split('#').next().unwrap()).exists()
        {
            missing.push(link);
        }
    }
    assert!(missing.is_empty(), "README.md links to {missing:?}");
}
