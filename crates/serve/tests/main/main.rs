//! The server on real sockets, with models that need no weights.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bounds;
mod chat;
mod client;
mod decisions;
mod doors;
mod ending;
mod fetched;
mod refusals;
