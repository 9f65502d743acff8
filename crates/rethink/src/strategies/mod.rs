//! Strategies: one file each, one line each in [`STRATEGIES`].
//!
//! A strategy is a plain function of (session, request, settings) to a [`crate::Pass`]. Each pass over the
//! question may itself play a protocol ([`crate::Settings::protocol`]), so that they compose.

pub mod budgeted;
pub mod chain_of_thought;
mod entry;
pub mod modular;
pub mod plan_and_solve;
pub mod ranked;
pub mod second_opinion;
pub mod self_consistency;
pub mod single;

pub use single::STRATEGY as SINGLE;

pub use entry::Strategy;

use loupe_core::Registry;

/// Every strategy.
pub static STRATEGIES: Registry<Strategy> = Registry {
    kind: "strategy",
    listed_as: "protocols",
    files: &[
        ("single", &[single::STRATEGY]),
        ("chain_of_thought", &[chain_of_thought::STRATEGY]),
        ("plan_and_solve", &[plan_and_solve::STRATEGY]),
        ("self_consistency", &[self_consistency::STRATEGY]),
        ("ranked", &[ranked::STRATEGY]),
        ("budgeted", &[budgeted::STRATEGY]),
        ("second_opinion", &[second_opinion::STRATEGY]),
        ("modular", &[modular::STRATEGY]),
        ("entry", &[]),
    ],
};
