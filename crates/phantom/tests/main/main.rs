//! The tests of this crate, in one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_lossless, missing_docs)]

mod files;
mod phantoms;
