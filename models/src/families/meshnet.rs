//! MeshNet as brainchop ships it: every voxel of a conformed T1 head labelled.

use crate::family::{Family, Loader};
use crate::networks::meshnet::{MeshNet, TOPOLOGY};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "meshnet",
    paper: "MeshNet, arXiv 1612.00940; brainchop, doi 10.21105/joss.05098",
    examples: &[
        "neuroneural/brainchop model5_gw_ae",
        "model11_gw_ae",
        "model18cls",
        "model20chan3cls",
        "model21_104class",
        "model30chan18cls",
        "model30chan50cls",
        "mindgrab",
    ],
    layouts: "brainchop's layers as safetensors",
    licence: "MIT",
    parity: "brainchop's own output on its own head",
    input: "a head of 1 mm voxels (256³, as FreeSurfer's conform makes it); its minimum and maximum (for \
             model20chan3cls and model30chan50cls quantiles 0.05 and 0.95) to 0 and 1; the most likely class",
    architectures: &[],
    claims: |clues| clues.has_file(TOPOLOGY),
    box_dialect: None,
    load: Loader::Labels(|checkpoint, _| Ok(Box::new(MeshNet::load(checkpoint, "meshnet")?))),
};
