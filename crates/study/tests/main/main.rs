//! Reader studies: files, designs, published analyses, and what is written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cases;
mod designs;
mod files;
mod marking;
mod oracles;
mod properties;
mod published;
mod reading;
mod repeats;
mod written;
