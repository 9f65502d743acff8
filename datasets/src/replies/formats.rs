//! The formats of reply files: rows one after the other, told by the file's ending.

use loupe_core::DataError;
use loupe_core::files::open_regular;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Most bytes of a JSON file that is read as a whole; JSONL, CSV and TSV have no limit.
const MOST_JSON_BYTES: u64 = 4 << 30;

/// A row as the formats give it.
pub(super) enum Row {
    /// With the key of a JSON object, where rows are keyed.
    Json(Option<String>, Value),
    Cells(Vec<(String, String)>),
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> DataError {
    DataError::Read { file: file_name(path), problem: problem.to_string() }
}

/// Calls `take` for each row until it returns false.
pub(super) fn each(
    path: &Path,
    rows: Option<&str>,
    take: &mut dyn FnMut(usize, Row) -> bool,
    problems: &mut dyn FnMut(DataError),
) -> Result<(), DataError> {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "jsonl" | "ndjson" if !begins_with_list(path)? => lines(path, take, problems),
        "json" | "jsonl" | "ndjson" => whole(path, rows, take),
        "csv" => table(path, b',', take, problems),
        "tsv" => table(path, b'\t', take, problems),
        "xlsx" => sheet(path, take),
        _ => Err(unreadable(path, "not a .jsonl, .json, .csv, .tsv or .xlsx file")),
    }
}

fn open(path: &Path) -> Result<BufReader<File>, DataError> {
    open_regular(path).map(BufReader::new).map_err(|e| unreadable(path, e))
}

fn begins_with_list(path: &Path) -> Result<bool, DataError> {
    let mut reader = open(path)?;
    let start = reader.fill_buf().map_err(|e| unreadable(path, e))?;
    Ok(start.trim_ascii_start().first() == Some(&b'['))
}

fn lines(
    path: &Path,
    take: &mut dyn FnMut(usize, Row) -> bool,
    problems: &mut dyn FnMut(DataError),
) -> Result<(), DataError> {
    let (mut reader, mut line, mut number) = (open(path)?, Vec::new(), 0);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|e| unreadable(path, e))? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(row @ Value::Object(_)) => {
                if !take(number, Row::Json(None, row)) {
                    return Ok(());
                }
            }
            Ok(_) => problems(bad_row(path, number, "not a JSON object")),
            Err(e) => problems(bad_row(path, number, &format!("not JSON: {}", without_words(&e)))),
        }
        number += 1;
    }
}

fn bad_row(path: &Path, row: usize, problem: &str) -> DataError {
    DataError::Row { file: file_name(path), row, problem: problem.to_owned() }
}

/// Where and what kind, without any contents of the file.
fn without_words(error: &serde_json::Error) -> String {
    format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column())
}

fn whole(path: &Path, rows: Option<&str>, take: &mut dyn FnMut(usize, Row) -> bool) -> Result<(), DataError> {
    let size = std::fs::metadata(path).map_err(|e| unreadable(path, e))?.len();
    if size > MOST_JSON_BYTES {
        return Err(unreadable(path, "larger than 4 GiB; write it as .jsonl"));
    }
    let mut value: Value =
        serde_json::from_reader(open(path)?).map_err(|e| unreadable(path, without_words(&e)))?;
    if let Some(rows) = rows {
        value = rows
            .split('.')
            .try_fold(&mut value, |at, key| at.get_mut(key))
            .map(Value::take)
            .ok_or_else(|| unreadable(path, format!("there is no {rows:?} inside")))?;
    }
    let keyed = |map: Map<String, Value>| map.into_iter().map(|(k, v)| (Some(k), v)).collect::<Vec<_>>();
    let all = match value {
        Value::Array(list) => list.into_iter().map(|v| (None, v)).collect(),
        Value::Object(map) => keyed(map),
        _ => return Err(unreadable(path, "neither a list nor an object")),
    };
    for (number, (key, row)) in all.into_iter().enumerate() {
        if !take(number, Row::Json(key, row)) {
            break;
        }
    }
    Ok(())
}

fn table(
    path: &Path,
    delimiter: u8,
    take: &mut dyn FnMut(usize, Row) -> bool,
    problems: &mut dyn FnMut(DataError),
) -> Result<(), DataError> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(open(path)?);
    let header = reader.byte_headers().map_err(|e| unreadable(path, csv_problem(&e)))?.clone();
    let lossy = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    let names: Vec<String> =
        header.iter().map(|c| lossy(c).trim_start_matches('\u{feff}').to_owned()).collect();
    for (number, record) in reader.byte_records().enumerate() {
        match record {
            Ok(record) => {
                let cells = names.iter().cloned().zip(record.iter().map(lossy)).collect();
                if !take(number, Row::Cells(cells)) {
                    break;
                }
            }
            Err(e) => problems(bad_row(path, number, &csv_problem(&e))),
        }
    }
    Ok(())
}

/// Where, without any contents of the file.
fn csv_problem(error: &csv::Error) -> String {
    error.position().map_or_else(|| "unreadable".to_owned(), |p| format!("unreadable at line {}", p.line()))
}

#[cfg(feature = "xlsx")]
fn sheet(path: &Path, take: &mut dyn FnMut(usize, Row) -> bool) -> Result<(), DataError> {
    super::xlsx::each_row(path, &mut |number, cells| take(number, Row::Cells(cells)))
        .map_err(|problem| unreadable(path, problem))
}

#[cfg(not(feature = "xlsx"))]
fn sheet(path: &Path, _: &mut dyn FnMut(usize, Row) -> bool) -> Result<(), DataError> {
    Err(unreadable(path, crate::features::NO_XLSX))
}
