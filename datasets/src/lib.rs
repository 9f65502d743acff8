//! Readers of medical visual question answering, grounding, segmentation and report sets.
//!
//! A set is opened by name from the folder its users have on disk ([`open`]); its rows become
//! [`Sample`](loupe_core::Sample)s. Nothing here decodes pixels: a sample refers to image files, or
//! carries the encoded bytes of a parquet or TSV row, read only when that sample is asked for.
//! One file a set in `sets/`, one line in [`SETS`].
//!
//! Features, both on by default: `parquet` (sets as Hugging Face keeps them) and `xlsx` (reply files). A file
//! of a format that is left out is refused with the name of its feature.
//!
//! ```
//! use loupe_core::Target;
//!
//! let folder = tempfile::tempdir()?;
//! let row = r#"{"question": "Is there a pneumothorax?", "image": "017.png", "answer": "no", "tags": {"organ": "lung"}}"#;
//! std::fs::write(folder.path().join("mine.jsonl"), row)?;
//!
//! let set = loupe_datasets::open("jsonl", folder.path(), None)?;
//! let sample = set.get(0)?;
//! assert_eq!((set.len(), sample.group.as_str()), (1, "017.png"));
//! assert_eq!(sample.target, Target::Text(vec!["no".to_owned()]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod digest;
mod entry;
mod features;
mod frames;
mod listed;
mod open;
mod overlap;
#[cfg(feature = "parquet")]
mod parquet_columns;
#[cfg(feature = "parquet")]
mod parquet_frames;
mod read;
pub mod replies;
mod rexrank;
mod sets;
mod write_columns;
mod write_frames;
mod write_vectors;

pub use check::{CheckNote, CheckReport, Look, Looker, NoteKind, SplitCheck, check};
pub use digest::{file_sha256, text_sha256};
pub use entry::{Known, SetEntry};
pub use frames::FrameRow;
pub use open::{find, open, open_with_images};
pub use overlap::{Overlap, Perceptual, overlap};
pub use rexrank::rexrank_with_predictions;
pub use sets::SETS;
pub use write_columns::parquet;
pub use write_frames::write_frames;
pub use write_vectors::{VectorRow, write_vectors};
