//! Reader studies: files, designs, published analyses, and what is written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cases;
mod designs;
mod files;
mod properties;
mod published;
mod reading;
mod written;
