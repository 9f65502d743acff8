//! The binary from outside, the pages in a browser, and the rules of the house.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod browser;
mod cli;
mod common;
mod deidentify;
mod embed;
mod evaluation;
mod grounding;
mod imaging;
mod judging;
mod kills;
mod masks;
mod measures;
mod options;
mod records;
mod reports;
mod segment;
mod similarity;
mod spoken;
mod study;
mod tidy;
