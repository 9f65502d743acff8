//! The checkpoints built into the program.

use loupe_models::Checkpoint;
use std::path::Path;

/// The embedded default: a small model trained on phantoms (`crates/phantom/assets/phantom-vl`).
pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint::Embedded { name: "phantom-vl", files: loupe_phantom::MODEL }
}

/// The embedded segmenter: small too, and trained on phantoms (`crates/phantom/assets/phantom-sam`).
pub(crate) fn segmenter() -> Checkpoint {
    Checkpoint::Embedded { name: "phantom-sam", files: loupe_phantom::SEGMENTER }
}

/// What a user should know of the embedded model `name` who shows it files that are not all phantoms.
pub(crate) fn note<'a>(name: &str, mut files: impl Iterator<Item = &'a Path>) -> Option<String> {
    let are_phantoms = files.all(|file| {
        let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
        whole.ancestors().any(loupe_phantom::is_phantom_folder)
    });
    (!are_phantoms).then(|| {
        format!(
            "{name} is the small built-in model for demonstrations, trained on synthetic pictures alone: what it says about other images means nothing; --model DIR names a model"
        )
    })
}
