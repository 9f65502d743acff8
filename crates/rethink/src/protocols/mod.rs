//! Protocols: one file each, one line each in [`PROTOCOLS`].

pub mod deepeyes;
pub mod ibis;
pub mod loupe;
pub mod mini_o3;
pub mod ophiuchus;
pub mod pixel_reasoner;
mod play;
pub mod qwen3_zoom;
pub mod vitar;

pub use play::Protocol;
pub(crate) use play::play;

use loupe_core::Registry;

/// Every protocol.
pub static PROTOCOLS: Registry<Protocol> = Registry {
    kind: "protocol",
    listed_as: "protocols",
    files: &[
        ("vitar", &[vitar::TRAINING, vitar::INFERENCE]),
        ("deepeyes", &[deepeyes::EVALUATION, deepeyes::TRAINING]),
        ("mini_o3", &[mini_o3::PROTOCOL]),
        ("pixel_reasoner", &[pixel_reasoner::PROTOCOL]),
        ("qwen3_zoom", &[qwen3_zoom::PROTOCOL]),
        ("ophiuchus", &[ophiuchus::PROTOCOL]),
        ("ibis", &[ibis::PROTOCOL, ibis::MEDSAM2]),
        ("loupe", &[loupe::PROTOCOL]),
        ("play", &[]),
    ],
};
