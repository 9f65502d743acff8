//! What stands in for `parquet_file` in a build without the feature `parquet`: no file can be opened.

use super::row::Rows;
use crate::listed::Embedded;
use loupe_core::DataError;
use std::fs::File;
use std::sync::Arc;

/// There is none.
pub(super) enum ParquetFile {}

impl ParquetFile {
    pub(super) fn open(name: &str, _: File) -> Result<Self, DataError> {
        Err(DataError::Read { file: name.to_owned(), problem: crate::features::NO_PARQUET.to_owned() })
    }

    pub(super) fn image_columns(&self) -> Vec<String> {
        match *self {}
    }

    pub(super) fn rows(&self, _: &Arc<str>, _: &[&str], _: &mut Rows) -> Result<(), DataError> {
        match *self {}
    }
}

pub(super) fn images(_: Vec<(Arc<str>, ParquetFile)>, _: &[&str]) -> Result<Arc<dyn Embedded>, DataError> {
    Err(DataError::Read { file: String::new(), problem: crate::features::NO_PARQUET.to_owned() })
}
