//! The command as it was given, and which program took it.

use loupe_app::evaluate::Invocation;

/// Version, commit and what was built in, as `loupe --version` prints them.
pub(crate) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("LOUPE_COMMIT"), ")\nfeatures: ", env!("LOUPE_FEATURES"));

/// The command line with the program's commit, for the record of a run.
pub(crate) fn invocation() -> Invocation {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    Invocation::new(env!("LOUPE_COMMIT"), words)
}
