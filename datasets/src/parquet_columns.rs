//! A table for programs as a parquet file.

use loupe_core::{Cells, Columns};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::sync::Arc;

/// Rows of a group: readers take one at a time into memory.
const ROWS_AT_ONCE: usize = 65_536;

/// The whole file.
pub(crate) fn write(table: &Columns) -> Result<Vec<u8>, ParquetError> {
    let leaf = |name: &str, cells: &Cells| {
        let (physical, logical) = match cells {
            Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Cells::Json(_) => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Cells::Whole(_) => (Physical::INT64, None),
            Cells::Number(_) => (Physical::DOUBLE, None),
            Cells::Truth(_) => (Physical::BOOLEAN, None),
        };
        let leaf = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        Ok::<_, ParquetError>(Arc::new(leaf))
    };
    let leaves = table.columns.iter().map(|c| leaf(c.name, &c.cells)).collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder("table").with_fields(leaves).build()?;
    let about = [("schema", table.schema.to_owned()), ("schema_version", table.version.to_string())];
    let about = about.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(about))
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut from = 0;
    while from < table.rows() {
        let to = table.rows().min(from + ROWS_AT_ONCE);
        let mut group = writer.next_row_group()?;
        for column in &table.columns {
            cells(&mut group, &column.cells, from, to)?;
        }
        group.close()?;
        from = to;
    }
    writer.into_inner()
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// The rows `from..to` of a column.
fn cells(group: &mut Group<'_>, cells: &Cells, from: usize, to: usize) -> Result<(), ParquetError> {
    match cells {
        Cells::Text(all) => {
            let bytes = |cell: &Option<String>| cell.as_ref().map(|words| ByteArray::from(words.as_str()));
            put::<ByteArrayType>(group, rows(all, from, to).map(bytes))
        }
        Cells::Json(all) => {
            let bytes = |cell: &Option<serde_json::Value>| {
                cell.as_ref().map(|value| ByteArray::from(value.to_string().as_str()))
            };
            put::<ByteArrayType>(group, rows(all, from, to).map(bytes))
        }
        Cells::Whole(all) => put::<Int64Type>(group, rows(all, from, to).copied()),
        Cells::Number(all) => {
            put::<DoubleType>(group, rows(all, from, to).map(|cell| cell.filter(|v| v.is_finite())))
        }
        Cells::Truth(all) => put::<BoolType>(group, rows(all, from, to).copied()),
    }
}

fn rows<T>(all: &[T], from: usize, to: usize) -> impl Iterator<Item = &T> {
    all.get(from..to).unwrap_or_default().iter()
}

/// The next column: values, and for each row whether it has one.
fn put<T: DataType>(
    group: &mut Group<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    let absent = || ParquetError::General("the schema has fewer columns than the table".to_owned());
    let mut writer = group.next_column()?.ok_or_else(absent)?;
    writer.typed::<T>().write_batch(&values, Some(&levels), None)?;
    writer.close()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::Column;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_back_with_its_types() {
        let table = Columns {
            schema: "test",
            version: 2,
            columns: vec![
                Column {
                    name: "words",
                    cells: Cells::Text(vec![Some("α\nβ".into()), None, Some(String::new())]),
                },
                Column { name: "n", cells: Cells::Whole(vec![None, Some(-7), Some(0)]) },
                Column { name: "value", cells: Cells::Number(vec![Some(0.1), Some(f64::NAN), None]) },
                Column { name: "is", cells: Cells::Truth(vec![Some(true), None, Some(false)]) },
                Column { name: "tags", cells: Cells::Json(vec![Some(json!({"a": 1})), None, None]) },
            ],
        };
        let path = loupe_testing::scratch();
        let path = path.path().join("table.parquet");
        std::fs::write(&path, write(&table).unwrap()).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        let about = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        assert!(about.contains(&KeyValue::new("schema_version".to_owned(), "2".to_owned())));
        let rows: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| field).collect())
            .collect();
        let words = |text: &str| Field::Str(text.to_owned());
        assert_eq!(rows[0][..4], [words("α\nβ"), Field::Null, Field::Double(0.1), Field::Bool(true)]);
        assert_eq!(rows[1][..4], [Field::Null, Field::Long(-7), Field::Null, Field::Null]);
        assert_eq!(rows[2][..4], [words(""), Field::Long(0), Field::Null, Field::Bool(false)]);
        assert_eq!(rows[0][4], words("{\"a\":1}"));
    }
}
