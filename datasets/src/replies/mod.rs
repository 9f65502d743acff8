//! Replies that another tool has written: JSONL, JSON, CSV, TSV, xlsx, parquet and logs of inspect_ai, with a column
//! mapping.
//!
//! The file is told by its ending; a `.jsonl` that begins with `[` is read as one JSON list, as some
//! tools write it. A JSON object is a map from id to reply or row, or a log whose only list of objects are the
//! rows. Rows come one at a time; bad rows are named and the others kept. [`join()`] puts replies
//! and the questions they answer side by side, and refuses where they do not belong together.

mod asked;
mod columns;
mod error;
mod failures;
mod fields;
mod formats;
mod join;
mod mapping;
mod offered;
mod options;
mod pairing;
mod places;
mod rows;
mod said;
mod tools;
#[cfg(feature = "xlsx")]
mod xlsx;

pub use error::{Difference, JoinError};
pub use join::{Join, JoinedReply, JoinedSample, ReplyLines, join};
pub use mapping::Mapping;
pub use options::{ColumnOptions, JoinOptions};
pub use pairing::PairBy;
pub use places::{ColumnPair, PlaceOptions};
pub use rows::{Replies, ReplyRow, Stream, columns, read, stream};
