//! Puts the commit that the program is built from, and its features, into its version: the commit is asked from git where the source lies in a
//! repository, read from the file that `cargo package` writes where it does not. Nothing is fetched.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let commit = from_git().or_else(from_package).unwrap_or_else(|| "built outside git".to_owned());
    println!("cargo::rustc-env=LOUPE_COMMIT={commit}");
    println!("cargo::rustc-env=LOUPE_FEATURES={}", features());
}

/// The features that cargo builds with, as it tells build scripts, `default` aside.
fn features() -> String {
    let mut names: Vec<String> = std::env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase().replace('_', "-")))
        .filter(|name| name != "default")
        .collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What git says to these words.
fn git(words: &[&str]) -> Option<String> {
    let said = Command::new("git").args(words).output().ok().filter(|o| o.status.success())?;
    String::from_utf8(said.stdout).ok().map(|text| text.trim().to_owned())
}

/// The commit of the repository that this folder is the top of, with a word where tracked files differ from it.
fn from_git() -> Option<String> {
    let top = Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    // A source that was unpacked inside another repository is not of that one.
    if top != Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()? {
        return None;
    }
    let mut watched = vec!["HEAD".to_owned(), "index".to_owned()];
    watched.extend(git(&["symbolic-ref", "HEAD"]));
    for name in watched {
        if let Some(path) = git(&["rev-parse", "--git-path", &name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let clean = git(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if clean { commit } else { format!("{commit} with changes") })
}

/// `sha1` in .cargo_vcs_info.json of a package.
fn from_package() -> Option<String> {
    const FILE: &str = ".cargo_vcs_info.json";
    println!("cargo::rerun-if-changed={FILE}");
    let text = std::fs::read_to_string(FILE).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let sha1 = rest.split('"').nth(1)?;
    sha1.chars().all(|c| c.is_ascii_hexdigit()).then(|| sha1.to_owned())
}
