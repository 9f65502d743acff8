//! Vectors of images and texts as a parquet table.

use loupe_core::DataError;
use std::path::Path;

/// A row: what it is, and its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorRow {
    /// `image` or `text`.
    pub kind: &'static str,
    /// The image as it was named, or the text.
    pub of: String,
    /// Its vector.
    pub vector: Vec<f32>,
}

/// Writes the rows to `path` in the columns `kind`, `of` and `vector` (a list of 32-bit numbers).
///
/// # Errors
/// When the file cannot be written, or this build has no parquet.
pub fn write_vectors(path: &Path, rows: &[VectorRow]) -> Result<(), DataError> {
    let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    write(path, rows).map_err(|problem| DataError::Read { file, problem })
}

#[cfg(not(feature = "parquet"))]
fn write(_: &Path, _: &[VectorRow]) -> Result<(), String> {
    Err(crate::features::NO_PARQUET.to_owned())
}

#[cfg(feature = "parquet")]
fn write(path: &Path, rows: &[VectorRow]) -> Result<(), String> {
    table(path, rows).map_err(|e| e.to_string())
}

#[cfg(feature = "parquet")]
fn table(path: &Path, rows: &[VectorRow]) -> Result<(), parquet::errors::ParquetError> {
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
    use parquet::errors::ParquetError;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    const SCHEMA: &str = "message schema {
      required binary kind (UTF8);
      required binary of (UTF8);
      required group vector (LIST) { repeated group list { required float element; } }
    }";
    let missing = || ParquetError::General("the table has fewer columns than its schema".to_owned());
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = SerializedFileWriter::new(std::fs::File::create(path)?, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for text in
        [|row: &VectorRow| ByteArray::from(row.kind), |row: &VectorRow| ByteArray::from(row.of.as_str())]
    {
        let mut column = group.next_column()?.ok_or_else(missing)?;
        let values: Vec<ByteArray> = rows.iter().map(text).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        column.close()?;
    }
    let mut column = group.next_column()?.ok_or_else(missing)?;
    let values: Vec<f32> = rows.iter().flat_map(|row| row.vector.iter().copied()).collect();
    let defined: Vec<i16> = rows
        .iter()
        .flat_map(|row| vec![i16::from(!row.vector.is_empty()); row.vector.len().max(1)])
        .collect();
    // A row begins with 0 and goes on with 1.
    let repeated = rows.iter().flat_map(|row| (0..row.vector.len().max(1)).map(|n| i16::from(n > 0)));
    let repeated: Vec<i16> = repeated.collect();
    column.typed::<FloatType>().write_batch(&values, Some(&defined), Some(&repeated))?;
    column.close()?;
    group.close()?;
    writer.close()?;
    Ok(())
}
