//! Tables for programs as parquet files: one leaf a column, nothing nested, so that every reader has them.

use loupe_core::{Columns, DataError};

/// The parquet file of a table: words and JSON as strings, whole numbers as 64-bit integers, numbers as doubles, every
/// column optional. `schema` and `schema_version` are in the file's key-value metadata. `name` is the file's, for
/// messages.
///
/// # Errors
/// When the table cannot be written, or the build has no parquet.
pub fn parquet(name: &str, table: &Columns) -> Result<Vec<u8>, DataError> {
    write(table).map_err(|problem| DataError::Read { file: name.to_owned(), problem })
}

#[cfg(feature = "parquet")]
fn write(table: &Columns) -> Result<Vec<u8>, String> {
    crate::parquet_columns::write(table).map_err(|e| e.to_string())
}

#[cfg(not(feature = "parquet"))]
fn write(_: &Columns) -> Result<Vec<u8>, String> {
    Err(crate::features::NO_PARQUET.to_owned())
}
