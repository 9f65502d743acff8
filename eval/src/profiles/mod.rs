//! Compatibility profiles: what other harnesses would print for the same replies, faults included.
//!
//! A profile is one harness at one commit with one of its rule sets. It judges a reply
//! ([`HarnessProfile::score`]) and adds a set up the way the harness does ([`HarnessProfile::figures`]): some
//! divide twice or drop rows, and that is part of their figures. What is odd on purpose stands in
//! [`HarnessProfile::quirks`]. Where an original draws a random answer, the verdict here is the expected
//! value and the rule is [`RANDOM`]; where it would crash, the verdict is unscored and says so.

pub mod deeptumorvqa;
pub mod difflib;
pub mod fm_medvqa;
pub mod gr5293;
mod harness;
pub mod huatuo_slake;
pub mod internvl2_vqarad;
pub mod karma;
pub mod llava_med;
pub mod lmms_eval;
pub mod medevalkit;
pub mod medframeqa;
pub mod medq_bench;
pub mod medvision;
pub mod medvlthinker;
pub mod medxpertqa;
pub mod mmmu;
pub mod multimedeval;
pub mod parts;
pub mod pointdetectcount;
pub mod vitar;
pub mod vlmevalkit;

pub use harness::{
    AsProfile, CRASH, HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, RANDOM, VERDICT,
};

use loupe_core::Registry;

/// Every file of this folder with its profiles; files without any are shared parts.
pub static PROFILES: Registry<&dyn HarnessProfile> = Registry {
    kind: "profile",
    listed_as: "profiles",
    files: &[
        ("deeptumorvqa", deeptumorvqa::PROFILES),
        ("difflib", &[]),
        ("fm_medvqa", fm_medvqa::PROFILES),
        ("gr5293", gr5293::PROFILES),
        ("harness", &[]),
        ("huatuo_slake", huatuo_slake::PROFILES),
        ("internvl2_vqarad", internvl2_vqarad::PROFILES),
        ("karma", karma::PROFILES),
        ("llava_med", llava_med::PROFILES),
        ("lmms_eval", lmms_eval::PROFILES),
        ("medevalkit", medevalkit::PROFILES),
        ("medframeqa", medframeqa::PROFILES),
        ("medq_bench", medq_bench::PROFILES),
        ("medvision", medvision::PROFILES),
        ("medvlthinker", medvlthinker::PROFILES),
        ("medxpertqa", medxpertqa::PROFILES),
        ("mmmu", mmmu::PROFILES),
        ("multimedeval", multimedeval::PROFILES),
        ("parts", &[]),
        ("pointdetectcount", pointdetectcount::PROFILES),
        ("vitar", vitar::PROFILES),
        ("vlmevalkit", vlmevalkit::PROFILES),
    ],
};

#[cfg(test)]
mod tests;
