//! Shared readers: every annotation file, whatever its format, becomes [`Row`]s of named fields.

mod base64_tsv;
pub(crate) mod coco;
mod files;
pub(crate) mod json;
pub(crate) mod masks;
#[cfg(not(feature = "parquet"))]
mod no_parquet;
pub(crate) mod options;
pub(crate) mod own;
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_file;
pub(crate) mod regions;
pub(crate) mod report;
mod row;
pub(crate) mod values;
pub(crate) mod vlmevalkit;
pub(crate) mod vqa_med;
pub(crate) mod xml;

pub(crate) use files::{Root, SetFacts, Split, the_only};
pub(crate) use options::{chosen, lettered, numbered, option_columns, options};
pub(crate) use parquet::{ParquetSet, parquet_values};
pub(crate) use row::{Row, python_list, sample, slices_of};
pub(crate) use values::words;
