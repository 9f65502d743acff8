//! The checkpoint built into the binary.

use loupe_models::Checkpoint;

/// The embedded default: a small model trained on phantoms (`assets/phantom-vl`).
pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint::Embedded { name: "phantom-vl", files: loupe_phantom::MODEL }
}
