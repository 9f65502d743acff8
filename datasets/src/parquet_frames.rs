//! The columns of MedFrameQA as a parquet file.

use crate::frames::{FrameRow, PICTURES};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

/// Rows written together; their pictures are in memory twice meanwhile.
const ROWS_AT_ONCE: usize = 200;

const SCHEMA: &str = "message schema {
  optional binary question_id (UTF8);
  optional binary system (UTF8);
  optional binary organ (UTF8);
  optional binary keyword (UTF8);
  optional binary modality (UTF8);
  optional binary video_id (UTF8);
  optional binary question (UTF8);
  optional group options (LIST) { repeated group list { optional binary element (UTF8); } }
  optional group image_1 { optional binary bytes; optional binary path (UTF8); }
  optional group image_2 { optional binary bytes; optional binary path (UTF8); }
  optional group image_3 { optional binary bytes; optional binary path (UTF8); }
  optional group image_4 { optional binary bytes; optional binary path (UTF8); }
  optional group image_5 { optional binary bytes; optional binary path (UTF8); }
  optional binary correct_answer (UTF8);
}";

/// Writes the rows to `path`, making its folder.
pub(crate) fn write(path: &Path, rows: &[FrameRow]) -> Result<(), ParquetError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = SerializedFileWriter::new(File::create(path)?, schema, Arc::new(properties))?;
    for rows in rows.chunks(ROWS_AT_ONCE) {
        let mut group = writer.next_row_group()?;
        let texts: [fn(&FrameRow) -> &str; 7] = [
            |r| &r.question_id,
            |r| &r.system,
            |r| &r.organ,
            |r| &r.keyword,
            |r| &r.modality,
            |r| &r.video_id,
            |r| &r.question,
        ];
        for text in texts {
            column(&mut group, rows.iter().map(|r| Some((text(r).as_bytes(), 1))), 0)?;
        }
        options(&mut group, rows)?;
        for k in 0..PICTURES {
            let bytes = rows.iter().map(|r| r.pictures.get(k).map(|p| (p.as_slice(), 2)));
            column(&mut group, bytes, 0)?;
            // No path: the picture is there, its name is not.
            column(&mut group, rows.iter().map(|_| None), 0)?;
        }
        column(&mut group, rows.iter().map(|r| Some((r.correct_answer.as_bytes(), 1))), 0)?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// The next column without repetition: values with their definition level, or `absent` for none.
fn column<'a>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: impl Iterator<Item = Option<(&'a [u8], i16)>>,
    absent: i16,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for row in rows {
        levels.push(row.map_or(absent, |(_, level)| level));
        values.extend(row.map(|(bytes, _)| ByteArray::from(bytes.to_vec())));
    }
    put(group, &values, &levels, None)
}

/// The list column: definition 3 for an element, 1 for an empty list; repetition 1 within a list.
fn options(group: &mut SerializedRowGroupWriter<'_, File>, rows: &[FrameRow]) -> Result<(), ParquetError> {
    let (mut values, mut levels, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        if row.options.is_empty() {
            levels.push(1);
            repeats.push(0);
        }
        for (k, option) in row.options.iter().enumerate() {
            values.push(ByteArray::from(option.as_bytes().to_vec()));
            levels.push(3);
            repeats.push(i16::from(k > 0));
        }
    }
    put(group, &values, &levels, Some(&repeats))
}

fn put(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[ByteArray],
    levels: &[i16],
    repeats: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns than are written".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<ByteArrayType>().write_batch(values, Some(levels), repeats)?;
    column.close()
}
