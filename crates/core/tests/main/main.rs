//! What `core` promises: every way there and back is the identity, dialects read what models write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod dialects;
mod follow;
mod real_replies;
mod round_trips;
mod shown;
