//! One parquet file: rows of its text columns, and the bytes of an image column by row.

use super::row::{Row, Rows};
use super::values::words;
use crate::listed::Embedded;
use loupe_core::{DataError, MediaRef, MediaSource, Sample, Spot};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, reader::RowIter};
use parquet::schema::types::Type;
use serde_json::{Map, Value};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// An opened file.
pub(super) struct ParquetFile(SerializedFileReader<File>);

impl ParquetFile {
    pub(super) fn open(name: &str, file: File) -> Result<Self, DataError> {
        guarded(name, || SerializedFileReader::new(file)).map(Self)
    }

    /// Columns that hold encoded images, as the Hugging Face library writes them.
    pub(super) fn image_columns(&self) -> Vec<String> {
        let schema = self.0.metadata().file_metadata().schema_descr();
        let leaves = schema.columns().iter().map(|leaf| leaf.path().parts());
        let images = leaves.filter(|parts| parts.len() > 1 && parts.last().is_some_and(|p| p == "bytes"));
        images.filter_map(|parts| parts.first().cloned()).collect()
    }

    /// Appends its rows without the columns `skip`.
    pub(super) fn rows(&self, name: &Arc<str>, skip: &[&str], rows: &mut Rows) -> Result<(), DataError> {
        let reader = &self.0;
        guarded(name, || {
            let schema = reader.metadata().file_metadata().schema();
            let wanted = schema.get_fields().iter().filter(|f| !skip.contains(&f.name())).cloned();
            let projection = Type::group_type_builder(schema.name()).with_fields(wanted.collect()).build()?;
            for (index, row) in RowIter::from_file(Some(projection), reader)?.enumerate() {
                let columns = row?.into_columns().into_iter();
                let fields: Map<String, Value> = columns.map(|(k, v)| (k, json(v))).collect();
                rows.push(Row::new(name, index, Value::Object(fields)));
            }
            Ok(())
        })
    }
}

/// The image columns of files that follow one another.
pub(super) fn images(
    files: Vec<(Arc<str>, ParquetFile)>,
    columns: &[&str],
) -> Result<Arc<dyn Embedded>, DataError> {
    let files = files.into_iter().map(|(name, file)| (name, file.0)).collect();
    Ok(Arc::new(ParquetImages::new(files, columns)?))
}

/// Runs `read` and turns a panic inside the parquet library into an error: damaged files can make
/// its decoders assert.
fn guarded<T>(file: &str, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DataError> {
    let problem = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "the parquet file is damaged".to_owned(),
    };
    Err(DataError::Read { file: file.to_owned(), problem })
}

/// A parquet value as JSON; bytes that are not text become null.
fn json(field: Field) -> Value {
    match field {
        Field::Bool(v) => v.into(),
        Field::Byte(v) => v.into(),
        Field::Short(v) => v.into(),
        Field::Int(v) => v.into(),
        Field::Long(v) => v.into(),
        Field::UByte(v) => v.into(),
        Field::UShort(v) => v.into(),
        Field::UInt(v) => v.into(),
        Field::ULong(v) => v.into(),
        Field::Float(v) => v.into(),
        Field::Double(v) => v.into(),
        Field::Str(v) => v.into(),
        Field::Bytes(v) => v.as_utf8().map_or(Value::Null, Into::into),
        Field::Group(row) => {
            Value::Object(row.into_columns().into_iter().map(|(k, v)| (k, json(v))).collect())
        }
        Field::ListInternal(list) => Value::Array(list.elements().iter().cloned().map(json).collect()),
        Field::MapInternal(map) => {
            let pairs = map.entries().iter().cloned();
            Value::Object(pairs.map(|(k, v)| (words(&json(k)).unwrap_or_default(), json(v))).collect())
        }
        _ => Value::Null,
    }
}

/// Rows of one row group: `first` is the row number over all files.
struct Group {
    first: usize,
    rows: usize,
    file: usize,
    group: usize,
}

/// A column reader that stands before row `next` of a row group.
struct Cursor {
    group: usize,
    leaf: usize,
    next: usize,
    reader: ColumnReaderImpl<ByteArrayType>,
}

/// Image columns of parquet files.
struct ParquetImages {
    files: Vec<(Arc<str>, SerializedFileReader<File>)>,
    groups: Vec<Group>,
    /// Name of the column and, for each file, the leaf that holds its bytes.
    columns: Vec<(String, Vec<usize>)>,
    /// Readers kept where they stand, the last used first, so that going through a set in order
    /// decodes every page once. Few, because each holds one decompressed page.
    cursors: Mutex<Vec<Cursor>>,
}

impl ParquetImages {
    fn new(files: Vec<(Arc<str>, SerializedFileReader<File>)>, names: &[&str]) -> Result<Self, DataError> {
        let mut groups = Vec::new();
        let mut first = 0;
        for (file, (name, reader)) in files.iter().enumerate() {
            for (group, meta) in reader.metadata().row_groups().iter().enumerate() {
                let rows = usize::try_from(meta.num_rows()).map_err(|_| DataError::Read {
                    file: name.to_string(),
                    problem: "the parquet file is damaged: negative number of rows".to_owned(),
                })?;
                groups.push(Group { first, rows, file, group });
                first += rows;
            }
        }
        let mut columns = Vec::new();
        for column in names {
            let leaves: Result<Vec<usize>, DataError> = files
                .iter()
                .map(|(name, reader)| {
                    byte_leaf(reader, column).ok_or_else(|| DataError::Read {
                        file: name.to_string(),
                        problem: format!("no column {column:?} that holds image bytes"),
                    })
                })
                .collect();
            columns.push(((*column).to_owned(), leaves?));
        }
        Ok(Self { files, groups, columns, cursors: Mutex::default() })
    }

    /// The images of `row` of a row group. One thread at a time: clones of a file share its position,
    /// and decoding the images, which takes far longer, is done elsewhere.
    fn read(&self, group: usize, at: &Group, leaf: usize, row: usize) -> Result<Vec<ByteArray>, DataError> {
        let Some((name, file)) = self.files.get(at.file) else { return Ok(Vec::new()) };
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |c: &Cursor| c.group == group && c.leaf == leaf && c.next <= row;
        let nearest = cursors.iter().enumerate().filter(|(_, c)| fits(c)).max_by_key(|(_, c)| c.next);
        let kept = nearest.map(|(index, _)| index).map(|index| cursors.remove(index));
        let (cursor, values) = guarded(name, || {
            let mut cursor = match kept {
                Some(cursor) => cursor,
                None => match file.get_row_group(at.group)?.get_column_reader(leaf)? {
                    ColumnReader::ByteArrayColumnReader(reader) => Cursor { group, leaf, next: 0, reader },
                    _ => return Err(ParquetError::General("the column does not hold bytes".to_owned())),
                },
            };
            let skipped = cursor.reader.skip_records(row - cursor.next)?;
            let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
            let (read, _, _) =
                cursor.reader.read_records(1, Some(&mut definitions), Some(&mut repetitions), &mut values)?;
            if skipped != row - cursor.next || read != 1 {
                return Err(ParquetError::General("the column ends before the row".to_owned()));
            }
            cursor.next = row + 1;
            Ok((cursor, values))
        })?;
        cursors.insert(0, cursor);
        cursors.truncate(2 * self.columns.len());
        Ok(values)
    }
}

/// The leaf of `column` that holds encoded images: the column itself, `column.bytes`, or
/// `column.list.element.bytes`.
fn byte_leaf(reader: &SerializedFileReader<File>, column: &str) -> Option<usize> {
    let schema = reader.metadata().file_metadata().schema_descr();
    schema.columns().iter().position(|leaf| {
        let parts = leaf.path().parts();
        parts.first().is_some_and(|p| p == column)
            && leaf.physical_type() == parquet::basic::Type::BYTE_ARRAY
            && (parts.len() == 1 || parts.last().is_some_and(|p| p == "bytes"))
    })
}

impl Embedded for ParquetImages {
    fn complete(&self, row: usize, sample: &mut Sample) -> Result<(), DataError> {
        let index = self.groups.partition_point(|g| g.first + g.rows <= row);
        let Some(at) = self.groups.get(index) else { return Ok(()) };
        // A row is about its pictures: without the first it is another question, and with one left out in between
        // the others would be taken for their neighbours.
        let mut absent: Option<&str> = None;
        let missing = |column: &str| DataError::Row {
            file: self.files.get(at.file).map(|(name, _)| name.to_string()).unwrap_or_default(),
            at: Spot::Row(row + 1),
            problem: format!("column {column:?} holds no image bytes"),
        };
        for (name, leaves) in &self.columns {
            let Some(&leaf) = leaves.get(at.file) else { continue };
            let images = self.read(index, at, leaf, row - at.first)?;
            match absent {
                _ if images.is_empty() => absent = absent.or(Some(name)),
                Some(before) => return Err(missing(before)),
                None => {}
            }
            for bytes in images {
                sample.media.push(MediaRef {
                    source: MediaSource::Bytes(Arc::from(bytes.data())),
                    view: Default::default(),
                    name: format!("{name} of row {row}"),
                    stated_size: None,
                });
            }
        }
        if sample.media.is_empty() {
            return Err(DataError::Row {
                file: self.files.get(at.file).map(|(name, _)| name.to_string()).unwrap_or_default(),
                at: Spot::Row(row + 1),
                problem: "the row holds the bytes of no image".to_owned(),
            });
        }
        Ok(())
    }
}
