//! The checkpoints built into the program.

use loupe_models::Checkpoint;

/// The embedded default: a small model trained on phantoms (`crates/phantom/assets/phantom-vl`).
pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint::Embedded { name: "phantom-vl", files: loupe_phantom::MODEL }
}

/// The embedded segmenter: small too, and trained on phantoms (`crates/phantom/assets/phantom-sam`).
pub(crate) fn segmenter() -> Checkpoint {
    Checkpoint::Embedded { name: "phantom-sam", files: loupe_phantom::SEGMENTER }
}
