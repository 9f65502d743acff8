//! House rules that no lint can say: who may use what, how long a file may be, what words stay out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

mod circles;
mod links;
mod source;
mod words;

/// Every crate, its folder, and the crates of the workspace it may use.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("loupe", ".", &["app", "core", "serve", "study"]),
    (
        "loupe-app",
        "crates/app",
        &[
            "core",
            "datasets",
            "dicom",
            "eval",
            "models",
            "phantom",
            "preprocess",
            "remote",
            "report",
            "rethink",
            "run",
            "study",
        ],
    ),
    ("attack", "crates/attack", &[]),
    ("loupe-core", "crates/core", &[]),
    ("loupe-dicom", "crates/dicom", &["core"]),
    ("loupe-run", "crates/run", &["core"]),
    ("loupe-rethink", "crates/rethink", &["core"]),
    ("loupe-remote", "crates/remote", &["core"]),
    ("loupe-serve", "crates/serve", &["core"]),
    ("loupe-report", "crates/report", &["core", "dicom", "eval", "run"]),
    ("loupe-phantom", "crates/phantom", &["core", "dicom"]),
    ("loupe-study", "crates/study", &["core", "eval", "report", "run"]),
    ("loupe-testing", "crates/testing", &["core"]),
    ("loupe-preprocess", "preprocess", &["core", "dicom"]),
    ("loupe-models", "models", &["core", "preprocess"]),
    ("loupe-datasets", "datasets", &["core"]),
    ("loupe-eval", "eval", &["core", "run"]),
];

/// Outside libraries that belong to some crates alone.
const OWNED: &[(&str, &[&str])] = &[
    ("candle-", &["loupe-models"]),
    ("dicom-", &["loupe-dicom", "loupe-preprocess"]),
    ("nifti", &["loupe-preprocess"]),
    ("parquet", &["loupe-datasets"]),
    ("csv", &["loupe-datasets", "loupe-study"]),
    ("clap", &["loupe"]),
    ("clap_complete", &["loupe"]),
    ("clap_mangen", &["loupe"]),
    ("anyhow", &["loupe"]),
    ("ureq", &["loupe-remote"]),
    ("hyper", &["loupe-serve"]),
    ("hyper-util", &["loupe-serve"]),
    ("tokio", &["loupe-serve"]),
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
        .filter(|(_, n)| *n > 600)
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
fn links_of_documents_lead_somewhere() {
    let broken = links::broken(&texts(&[".md"]), |path| root().join(path).exists());
    assert!(broken.is_empty(), "the file or the heading is not there:\n{}", broken.join("\n"));
}

/// Source files of a crate by their path from its source folder.
fn sources(folder: &str) -> (String, BTreeMap<String, String>) {
    let inside = if folder == "." { "crates/cli/".to_owned() } else { format!("{folder}/src/") };
    let files = texts(&[".rs"])
        .into_iter()
        .filter_map(|(file, text)| Some((file.strip_prefix(&inside)?.to_owned(), text)))
        .collect();
    (inside, files)
}

#[test]
fn no_circle_of_files_inside_a_crate() {
    let mut found = String::new();
    for (_, folder, _) in CRATES {
        let (inside, files) = sources(folder);
        let arrows = circles::arrows(&files);
        for circle in circles::circles(&arrows) {
            found += &circles::described(&circle, &arrows, &inside);
        }
    }
    assert!(found.is_empty(), "move what both sides need into a file below them:\n{found}");
}

/// Arguments are read in the binary and end there: the libraries take plain options.
#[test]
fn clap_stays_with_arguments_and_commands() {
    let allowed = ["crates/cli/args/", "crates/cli/commands/", "crates/cli/main.rs"];
    let mut wrong: Vec<String> = Vec::new();
    for (_, folder, _) in CRATES {
        let (inside, files) = sources(folder);
        for (file, text) in files {
            let file = format!("{inside}{file}");
            if !allowed.iter().any(|start| file.starts_with(start))
                && source::tokens(&text).iter().any(|word| word == "clap")
            {
                wrong.push(file);
            }
        }
    }
    assert!(wrong.is_empty(), "take a struct of plain options instead of clap's:\n{}", wrong.join("\n"));
}

/// What is no regular file may never end: files are opened by `loupe_core::files`, which refuses it. What the system itself offers, and folders,
/// are opened where they are known.
#[test]
fn pipes_and_devices_are_opened_nowhere() {
    let allowed = [
        "crates/core/",
        "crates/testing/",
        "crates/attack/",
        "crates/run/src/effort.rs",
        "crates/run/src/session.rs",
        "crates/run/src/merge.rs",
    ];
    let mut wrong: Vec<String> = Vec::new();
    for (_, folder, _) in CRATES {
        let (inside, files) = sources(folder);
        for (file, text) in files {
            let file = format!("{inside}{file}");
            let words = format!(" {} ", source::without_tests(&source::tokens(&text), &text).0.join(" "));
            let opens = [" fs :: read (", " fs :: read_to_string (", " File :: open ("];
            if !allowed.iter().any(|start| file.starts_with(start))
                && opens.iter().any(|call| words.contains(call))
            {
                wrong.push(file);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "open files by loupe_core::files (open_regular, read_at_most):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn paths_named_in_documents_exist() {
    let mut missing = Vec::new();
    let documents =
        texts(&[".md"]).into_iter().filter(|(file, _)| file.starts_with("docs/") || !file.contains('/'));
    for (file, text) in documents {
        let inside = |c: char| !(c.is_alphanumeric() || "/._-".contains(c));
        for path in text.split(inside).map(|path| path.trim_matches('.')) {
            let Some((first, rest)) = path.split_once('/') else { continue };
            let ours = [
                "crates",
                "models",
                "preprocess",
                "datasets",
                "eval",
                "tests",
                "docs",
                "assets",
                "benches",
                "fuzz",
            ];
            // What the reader makes is called `my_…`; its folder must be there.
            let path = rest.find("/my_").map_or(path, |at| &path[..first.len() + 1 + at]);
            if ours.contains(&first) && !root().join(path).exists() {
                missing.push(format!("{file}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "these paths are named but not there:\n{}", missing.join("\n"));
}

#[test]
fn one_word_for_one_thing() {
    let mut wrong = Vec::new();
    for (file, text) in texts(&[".rs"]) {
        for (name, instead) in words::out_of_place(&file, &source::tokens(&text)) {
            wrong.push(format!("{file}: {name} ({instead})"));
        }
    }
    assert!(wrong.is_empty(), "see the words in ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

/// Things that multiply stand in tables of one shape, and one shared test compares each with its folder.
#[test]
fn tables_have_one_shape_and_are_compared_with_their_folders() {
    let tables = [
        ("crates/core/", "DIALECTS"),
        ("crates/report/", "EXPORTERS"),
        ("crates/rethink/", "PROTOCOLS"),
        ("crates/rethink/", "STRATEGIES"),
        ("datasets/", "SETS"),
        ("eval/", "METRICS"),
        ("eval/", "PROFILES"),
        ("models/", "FAMILIES"),
        ("preprocess/", "PRESETS"),
        ("preprocess/", "RECIPES"),
    ];
    let rows_of_one_file = ["DIALECTS", "PRESETS"];
    let words: BTreeMap<String, Vec<String>> =
        texts(&[".rs"]).into_iter().map(|(file, text)| (file, source::tokens(&text))).collect();
    let mut wrong = Vec::new();
    for (folder, table) in tables {
        let of_crate = || words.iter().filter(|(file, _)| file.starts_with(folder)).map(|(_, words)| words);
        let shape = ["static", table, ":", "Registry"];
        if !of_crate().any(|words| words.windows(4).any(|w| w.iter().eq(shape))) {
            wrong.push(format!("{folder} has no `pub static {table}: Registry<…>`"));
        }
        let compared = |words: &[String]| {
            [table, "assert_table_is_folder"].iter().all(|name| words.iter().any(|w| w == name))
        };
        // Rows of one file have no folder to be compared with.
        if !rows_of_one_file.contains(&table) && !of_crate().any(|words| compared(words)) {
            wrong.push(format!("no test of {folder} gives {table} to `assert_table_is_folder`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The site of the documents leaves none of them out.
#[test]
fn the_summary_of_the_documents_names_each() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let documents = files().into_iter().filter_map(|f| Some(f.strip_prefix("docs/")?.to_owned()));
    let pages = documents.filter(|f| f.ends_with(".md") && f != "SUMMARY.md" && !f.starts_with("book/"));
    let missing: Vec<String> = pages.filter(|f| !summary.contains(&format!("]({f})"))).collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md does not name {missing:?}");
}
