//! The patients of a folder.

use crate::kind::Kind;
use crate::study::{Plan, Wish};

/// The `i`-th patient of a folder; `part` keeps the parts of a folder apart.
pub(super) fn plan(i: usize, seed: u64, part: u64) -> Plan {
    let kind = Kind::ALL.get(i % Kind::ALL.len()).copied().unwrap_or(Kind::CtChest);
    let seed = crate::rng::mix(seed.wrapping_mul(0x1_0001).wrapping_add(part << 32 | i as u64));
    Plan::held_out(seed, kind, Wish::Any)
}
