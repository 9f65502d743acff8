//! Replies that another tool has written: JSONL, JSON, CSV, TSV and xlsx with a column mapping.
//!
//! The file is told by its ending; a `.jsonl` that begins with `[` is read as one JSON list, as some
//! tools write it. A JSON object is a map from id to reply or row. Rows come one at a time, so that
//! a file of any length needs no memory; bad rows are named and the others kept. [`join()`] puts replies
//! and the questions they answer side by side.

mod error;
mod formats;
mod join;
mod mapping;
mod places;
mod rows;
#[cfg(feature = "xlsx")]
mod xlsx;

pub use error::JoinError;
pub use join::{ColumnOptions, Join, JoinOptions, JoinedReply, JoinedSample, ReplyLines, join};
pub use mapping::Mapping;
pub use places::{ColumnPair, PlaceOptions};
pub use rows::{Replies, ReplyRow, Stream, columns, read, stream};
