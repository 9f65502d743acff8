//! What commands do, without a command line: scripted models in place of checkpoints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod ask;
mod ct;
mod evaluate;
mod segment;
