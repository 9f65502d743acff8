//! The formats of reply files: rows one after the other, told by the file's ending.

use super::fields::at;
use crate::read::json;
use loupe_core::files::{each_line, open_regular};
use loupe_core::{DataError, Spot};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

/// Most bytes of a JSON file that is read as a whole; JSONL, CSV and TSV have no limit.
const MOST_JSON_BYTES: u64 = 4 << 30;

/// A row as the formats give it.
pub(super) struct Row {
    /// Its number among the rows of the file, bad ones included, from 0.
    pub(super) number: usize,
    /// Where it stands.
    pub(super) at: Spot,
    /// The key of a JSON object, where rows are keyed.
    pub(super) key: Option<String>,
    /// An object of named fields, or the value under a key.
    pub(super) value: Value,
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn unreadable(path: &Path, problem: impl std::fmt::Display) -> DataError {
    DataError::Read { file: file_name(path), problem: problem.to_string() }
}

/// What hears of the rows.
pub(super) trait Rows {
    /// A row; false when no more are wanted.
    fn row(&mut self, row: Row) -> bool;
    /// A row that cannot be read.
    fn problem(&mut self, problem: DataError);
}

/// Hands every row to `to` until it wants no more. `rows` names where the rows lie inside a JSON object.
pub(super) fn each(path: &Path, rows: Option<&str>, to: &mut dyn Rows) -> Result<(), DataError> {
    match ending(path).as_str() {
        "jsonl" | "ndjson" if !begins_with_list(path)? => lines(path, to),
        "json" | "jsonl" | "ndjson" => whole(path, rows, to),
        "csv" => table(path, b',', to),
        "tsv" => table(path, b'\t', to),
        "xlsx" => sheet(path, to),
        "parquet" => parquet(path, to),
        "eval" => log(path, to),
        _ => Err(unreadable(path, "not a .jsonl, .json, .csv, .tsv, .xlsx, .parquet or .eval file")),
    }
}

pub(super) fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn open(path: &Path) -> Result<BufReader<File>, DataError> {
    open_regular(path).map(BufReader::new).map_err(|e| unreadable(path, e))
}

fn begins_with_list(path: &Path) -> Result<bool, DataError> {
    let mut reader = open(path)?;
    let start = reader.fill_buf().map_err(|e| unreadable(path, e))?;
    Ok(start.trim_ascii_start().first() == Some(&b'['))
}

fn lines(path: &Path, to: &mut dyn Rows) -> Result<(), DataError> {
    let mut number = 0;
    let read = each_line(path, |place, line| {
        let at = Spot::Line(place);
        match std::str::from_utf8(line).map(json::parse) {
            Ok(Ok(value @ Value::Object(_))) => {
                if !to.row(Row { number, at, key: None, value }) {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(Ok(_)) => to.problem(bad_row(path, at, "not a JSON object")),
            Ok(Err(e)) => {
                let problem = format!("not JSON: {:?} error at column {}", e.classify(), e.column());
                to.problem(bad_row(path, at, &problem));
            }
            Err(_) => to.problem(bad_row(path, at, "not UTF-8")),
        }
        number += 1;
        Ok(ControlFlow::Continue(()))
    });
    read.map_err(|e| unreadable(path, e))
}

fn bad_row(path: &Path, at: Spot, problem: &str) -> DataError {
    DataError::Row { file: file_name(path), at, problem: problem.to_owned() }
}

fn document(path: &Path) -> Result<Value, DataError> {
    let size = std::fs::metadata(path).map_err(|e| unreadable(path, e))?.len();
    if size > MOST_JSON_BYTES {
        return Err(unreadable(path, "larger than 4 GiB; write it as .jsonl"));
    }
    let mut text = String::new();
    open(path)?.read_to_string(&mut text).map_err(|e| unreadable(path, e))?;
    json::parse(text.trim_start_matches('\u{feff}')).map_err(|e| {
        // Where and what kind, without any contents of the file.
        unreadable(path, format!("{:?} error at line {}, column {}", e.classify(), e.line(), e.column()))
    })
}

fn whole(path: &Path, rows: Option<&str>, to: &mut dyn Rows) -> Result<(), DataError> {
    let mut value = document(path)?;
    if let Some(rows) = rows {
        value = at(&value, rows)
            .cloned()
            .ok_or_else(|| unreadable(path, format!("there is no {rows:?} inside")))?;
    } else if let Value::Object(map) = &mut value
        && let Some(key) = rows_of_log(path, map)?
    {
        value = map.remove(&key).unwrap_or_default();
    }
    let keyed = |map: Map<String, Value>| map.into_iter().map(|(k, v)| (Some(k), v)).collect::<Vec<_>>();
    let all = match value {
        Value::Array(list) => list.into_iter().map(|v| (None, v)).collect(),
        Value::Object(map) => keyed(map),
        _ => return Err(unreadable(path, "neither a list nor an object")),
    };
    for (number, (key, value)) in all.into_iter().enumerate() {
        let at = Spot::Row(number + 1);
        if key.is_none() && !value.is_object() {
            to.problem(bad_row(path, at, "not an object"));
        } else if !to.row(Row { number, at, key, value }) {
            break;
        }
    }
    Ok(())
}

/// Where the rows of a log lie, whose other entries are facts about the run; nothing for a map from id to reply
/// or row, whose values are all of one kind.
fn rows_of_log(path: &Path, map: &Map<String, Value>) -> Result<Option<String>, DataError> {
    let is_rows =
        |value: &Value| value.as_array().is_some_and(|l| !l.is_empty() && l.iter().all(Value::is_object));
    let lists: Vec<&String> = map.iter().filter(|(_, value)| is_rows(value)).map(|(key, _)| key).collect();
    let objects = map.values().filter(|value| value.is_object()).count();
    match lists[..] {
        [only] => Ok(Some(only.clone())),
        [] if objects == 0 || objects == map.len() => Ok(None),
        _ => {
            let keys: Vec<&str> = map.keys().take(8).map(String::as_str).collect();
            Err(unreadable(
                path,
                format!(
                    "an object whose entries are not all replies ({}); name where the rows lie with --rows",
                    keys.join(", ")
                ),
            ))
        }
    }
}

/// Tells whether lines end as on Windows: the reader of tables counts such an end with the next line.
struct LineEnds<R> {
    inner: R,
    last: u8,
    two: Rc<Cell<Option<bool>>>,
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        for byte in buffer.iter().take(n) {
            if *byte == b'\n' && self.two.get().is_none() {
                self.two.set(Some(self.last == b'\r'));
            }
            self.last = *byte;
        }
        Ok(n)
    }
}

fn table(path: &Path, delimiter: u8, to: &mut dyn Rows) -> Result<(), DataError> {
    let two = Rc::new(Cell::new(None));
    let source = LineEnds { inner: open(path)?, last: 0, two: Rc::clone(&two) };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(source);
    let unreadable_at = |e: &csv::Error| {
        // Where, without any contents of the file.
        e.position().map_or_else(|| "unreadable".to_owned(), |p| format!("unreadable at line {}", p.line()))
    };
    let header = reader.byte_headers().map_err(|e| unreadable(path, unreadable_at(&e)))?.clone();
    let lossy = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    let names: Vec<String> =
        header.iter().map(|c| lossy(c).trim_start_matches('\u{feff}').to_owned()).collect();
    for (number, record) in reader.byte_records().enumerate() {
        let line = |position: Option<&csv::Position>| {
            let late = usize::from(two.get() == Some(true));
            Spot::Line(position.map_or(number + 2, |p| p.line() as usize + late))
        };
        match record {
            Ok(record) => {
                let at = line(record.position());
                if record.iter().any(|cell| std::str::from_utf8(cell).is_err()) {
                    to.problem(bad_row(path, at, "a cell that is not in UTF-8; save the file in UTF-8"));
                    continue;
                }
                let cells = names.iter().cloned().zip(record.iter().map(|cell| Value::String(lossy(cell))));
                if !to.row(Row { number, at, key: None, value: Value::Object(cells.collect()) }) {
                    break;
                }
            }
            Err(e) => to.problem(bad_row(path, line(e.position()), "not a row of the table")),
        }
    }
    Ok(())
}

#[cfg(feature = "xlsx")]
fn sheet(path: &Path, to: &mut dyn Rows) -> Result<(), DataError> {
    let mut each = |number, cells: Vec<(String, String)>| {
        let cells = cells.into_iter().map(|(name, value)| (name, Value::String(value)));
        // The heading is the first row of the sheet.
        to.row(Row { number, at: Spot::Row(number + 2), key: None, value: Value::Object(cells.collect()) })
    };
    super::xlsx::each_row(path, &mut each).map_err(|problem| unreadable(path, problem))
}

#[cfg(not(feature = "xlsx"))]
fn sheet(path: &Path, _: &mut dyn Rows) -> Result<(), DataError> {
    Err(unreadable(path, crate::features::NO_XLSX))
}

fn parquet(path: &Path, to: &mut dyn Rows) -> Result<(), DataError> {
    let file = open_regular(path).map_err(|e| unreadable(path, e))?;
    for (number, value) in crate::read::parquet_values(&file_name(path), file)?.into_iter().enumerate() {
        if !to.row(Row { number, at: Spot::Row(number + 1), key: None, value }) {
            break;
        }
    }
    Ok(())
}

/// The zipped log of inspect_ai: a JSON file for each sample in `samples/`.
fn log(path: &Path, to: &mut dyn Rows) -> Result<(), DataError> {
    let mut archive = zip::ZipArchive::new(open(path)?).map_err(|_| unreadable(path, "not a zip archive"))?;
    let mut names: Vec<String> =
        archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    names.retain(|name| name.starts_with("samples/") && name.ends_with(".json"));
    names.sort();
    if names.is_empty() {
        return Err(unreadable(path, "the archive holds no samples/….json; is it a log of inspect_ai?"));
    }
    for (number, name) in names.iter().enumerate() {
        let at = Spot::Row(number + 1);
        let mut text = String::new();
        let read = archive
            .by_name(name)
            .ok()
            .and_then(|member| member.take(MOST_JSON_BYTES).read_to_string(&mut text).ok());
        match read.and_then(|_| json::parse(&text).ok()) {
            Some(value @ Value::Object(_)) => {
                if !to.row(Row { number, at, key: None, value }) {
                    break;
                }
            }
            _ => to.problem(bad_row(path, at, "the member of the archive cannot be read")),
        }
    }
    Ok(())
}
