//! What `core` promises: every way there and back is the identity, dialects read what models write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod dialects;
mod follow;
mod round_trips;
mod shown;
