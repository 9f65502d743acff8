//! Endpoints on this machine that answer as they are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod asking;
mod batch;
mod endpoint;
mod faults;
mod fetching;
