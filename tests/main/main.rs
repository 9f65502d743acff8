//! The binary from outside, and the rules of the house.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod classify;
mod cli;
mod clusters;
mod common;
mod deidentify;
mod embed;
mod evaluation;
mod export;
mod grounding;
mod imaging;
mod judging;
mod kills;
mod masks;
mod measures;
mod memory;
mod options;
mod python;
mod records;
mod reports;
mod segment;
#[cfg(feature = "remote")]
mod served;
#[cfg(feature = "serve")]
mod serving;
mod shards;
mod similarity;
mod spoken;
mod study;
mod suite;
mod tidy;
