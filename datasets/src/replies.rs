//! Replies that another tool has written: JSONL, JSON, CSV, TSV and xlsx with a column mapping.
//!
//! The file is told by its ending; a `.jsonl` that begins with `[` is read as one JSON list, as some
//! tools write it. A JSON object is a map from id to reply or row. Bad rows are listed and the
//! others kept.

use calamine::{Data, Reader, Xlsx, open_workbook};
use loupe_core::DataError;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Most bytes of a JSON file that is read as a whole; JSONL, CSV and TSV have no limit.
const MOST_JSON_BYTES: u64 = 4 << 30;

/// Which column holds what. A name with periods goes into nested objects (`answer.second_response`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Identity of the row; without it, rows are numbered from 0 (or keyed, in a JSON object).
    pub id: Option<String>,
    /// The model's reply.
    pub reply: String,
    /// The reference answer.
    pub gold: Option<String>,
    /// Columns to keep as tags.
    pub tags: Vec<String>,
    /// Where the list of rows lies inside a JSON object; without it the object is a map by id.
    pub rows: Option<String>,
}

/// Names that tools give the columns, the likeliest first.
const IDS: &[&str] = &["id", "question_id", "qid", "index", "question id"];
const REPLIES: &[&str] = &[
    "reply",
    "prediction",
    "response",
    "pred_answer",
    "answer_pred",
    "model_answer",
    "predicted_answer",
    "output",
    "text",
    "pred",
];
const GOLDS: &[&str] = &[
    "gold",
    "reference",
    "gt_answer",
    "answer_gt",
    "ground_truth",
    "answer",
    "labels",
    "label",
    "gt",
    "target",
];

impl Mapping {
    /// The mapping that the names of the columns suggest; says what it looked for when there is no
    /// column that could be the reply.
    ///
    /// # Errors
    /// A sentence with the columns there are.
    pub fn guess<'a>(columns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let columns: Vec<&str> = columns.into_iter().collect();
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|n| columns.iter().find(|c| c.eq_ignore_ascii_case(n)))
                .map(|c| (*c).to_owned())
        };
        let reply = first(REPLIES).ok_or_else(|| {
            format!(
                "no column looks like the reply; there are {}; name one with --reply-column",
                columns.join(", ")
            )
        })?;
        Ok(Self { id: first(IDS), reply, gold: first(GOLDS), tags: Vec::new(), rows: None })
    }
}

/// A reply of another tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Identity, or the number of the row.
    pub id: String,
    /// The words; an absent reply is empty.
    pub reply: String,
    /// The reference answer, where a column holds it.
    pub gold: Option<String>,
    /// The columns kept as tags.
    pub tags: BTreeMap<String, String>,
}

/// What a file held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replies {
    /// Rows in the order of the file.
    pub rows: Vec<Imported>,
    /// Rows that could not be read, and ids that occur twice.
    pub problems: Vec<DataError>,
}

/// The columns of a file, from its first row.
///
/// # Errors
/// When the file cannot be read or is of no known format.
pub fn columns(path: &Path) -> Result<Vec<String>, DataError> {
    let mut found = Vec::new();
    let mut first = |_: usize, row: Row| {
        found = match row {
            Row::Json(_, Value::Object(keys)) => keys.keys().cloned().collect(),
            Row::Json(..) => Vec::new(),
            Row::Cells(cells) => cells.into_iter().map(|(k, _)| k).collect(),
        };
        false
    };
    each(path, None, &mut first, &mut Vec::new())?;
    Ok(found)
}

/// Reads replies.
///
/// # Errors
/// When the file cannot be read, is of no known format, or has no column of the reply's name.
pub fn read(path: &Path, mapping: &Mapping) -> Result<Replies, DataError> {
    let mut out = Replies::default();
    let mut seen = BTreeSet::new();
    let mut repeated = Vec::new();
    let mut any_reply = false;
    let mut problems = Vec::new();
    let name = file_name(path);
    let mut take = |number: usize, row: Row| {
        let imported = row.imported(number, mapping);
        any_reply |= imported.1;
        if !seen.insert(imported.0.id.clone()) {
            repeated.push(DataError::Row {
                file: name.clone(),
                row: number,
                problem: "its id occurs before".into(),
            });
        }
        out.rows.push(imported.0);
        true
    };
    each(path, mapping.rows.as_deref(), &mut take, &mut problems)?;
    if !out.rows.is_empty() && !any_reply {
        let problem = format!("no row has a column {:?}; name the column of the replies", mapping.reply);
        return Err(DataError::Read { file: name, problem });
    }
    out.problems = problems;
    out.problems.extend(repeated);
    Ok(out)
}

/// A row as the formats give it.
enum Row {
    /// With the key of a JSON object, where rows are keyed.
    Json(Option<String>, Value),
    Cells(Vec<(String, String)>),
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(s) => Some(s.clone()),
        other => Some(other.to_string()),
    }
}

impl Row {
    fn get(&self, column: &str) -> Option<String> {
        match self {
            Self::Json(_, row) => {
                let whole = row.get(column);
                let nested = || column.split('.').try_fold(row, |at, key| at.get(key));
                words(whole.or_else(nested)?)
            }
            Self::Cells(cells) => cells.iter().find(|(k, _)| k == column).map(|(_, v)| v.clone()),
        }
    }

    /// The row, and whether it has a reply at all.
    fn imported(&self, number: usize, mapping: &Mapping) -> (Imported, bool) {
        let key = if let Self::Json(key, _) = self { key.clone() } else { None };
        let bare = match self {
            // A map from id to reply.
            Self::Json(Some(_), value) if !value.is_object() => words(value),
            _ => None,
        };
        let reply = bare.or_else(|| self.get(&mapping.reply));
        let id = mapping.id.as_ref().and_then(|c| self.get(c)).or(key).unwrap_or_else(|| number.to_string());
        let gold = mapping.gold.as_ref().and_then(|c| self.get(c));
        let tags = mapping.tags.iter().filter_map(|c| Some((c.clone(), self.get(c)?))).collect();
        let any = reply.is_some();
        (Imported { id, reply: reply.unwrap_or_default(), gold, tags }, any)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> DataError {
    DataError::Read { file: file_name(path), problem: problem.to_string() }
}

/// Calls `take` for each row until it returns false.
fn each(
    path: &Path,
    rows: Option<&str>,
    take: &mut dyn FnMut(usize, Row) -> bool,
    problems: &mut Vec<DataError>,
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
    File::open(path).map(BufReader::new).map_err(|e| unreadable(path, e))
}

fn begins_with_list(path: &Path) -> Result<bool, DataError> {
    let mut reader = open(path)?;
    let start = reader.fill_buf().map_err(|e| unreadable(path, e))?;
    Ok(start.trim_ascii_start().first() == Some(&b'['))
}

fn lines(
    path: &Path,
    take: &mut dyn FnMut(usize, Row) -> bool,
    problems: &mut Vec<DataError>,
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
            Ok(_) => problems.push(bad_row(path, number, "not a JSON object")),
            Err(e) => problems.push(bad_row(path, number, &format!("not JSON: {}", without_words(&e)))),
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
    problems: &mut Vec<DataError>,
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
            Err(e) => problems.push(bad_row(path, number, &csv_problem(&e))),
        }
    }
    Ok(())
}

/// Where, without any contents of the file.
fn csv_problem(error: &csv::Error) -> String {
    error.position().map_or_else(|| "unreadable".to_owned(), |p| format!("unreadable at line {}", p.line()))
}

fn sheet(path: &Path, take: &mut dyn FnMut(usize, Row) -> bool) -> Result<(), DataError> {
    let mut book: Xlsx<_> =
        open_workbook(path).map_err(|_: calamine::XlsxError| unreadable(path, "not an xlsx file"))?;
    let range = match book.worksheet_range_at(0) {
        Some(Ok(range)) => range,
        _ => return Err(unreadable(path, "has no readable first sheet")),
    };
    let mut rows = range.rows();
    let names: Vec<String> = rows.next().unwrap_or_default().iter().map(cell).collect();
    for (number, row) in rows.enumerate() {
        let cells = names.iter().cloned().zip(row.iter().map(cell)).collect();
        if !take(number, Row::Cells(cells)) {
            break;
        }
    }
    Ok(())
}

/// The words of a cell; whole numbers without a decimal point.
fn cell(data: &Data) -> String {
    match data {
        Data::Empty => String::new(),
        Data::String(s) => s.clone(),
        Data::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => format!("{f:.0}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use std::io::Write;

    fn file(ending: &str, contents: &[u8]) -> tempfile::TempPath {
        let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
        file.write_all(contents).unwrap();
        file.into_temp_path()
    }

    fn mapping() -> Mapping {
        Mapping {
            id: Some("id".into()),
            reply: "said".into(),
            gold: Some("gold".into()),
            tags: vec!["kind".into()],
            rows: None,
        }
    }

    fn three() -> Vec<Imported> {
        let row = |id: &str, reply: &str, gold: &str| Imported {
            id: id.into(),
            reply: reply.into(),
            gold: Some(gold.into()),
            tags: [("kind".to_owned(), "open".to_owned())].into(),
        };
        vec![row("7", "left, \"lung\"", "left lung"), row("8", "", "3"), row("9", "是的", "yes")]
    }

    #[test]
    fn every_format_gives_the_same_rows() {
        let lines = "{\"id\":7,\"said\":\"left, \\\"lung\\\"\",\"gold\":\"left lung\",\"kind\":\"open\"}\n\n{\"id\":8,\"said\":\"\",\"gold\":3,\"kind\":\"open\"}\n{\"id\":\"9\",\"said\":\"是的\",\"gold\":\"yes\",\"kind\":\"open\"}\n";
        let list = format!("[{}]", lines.trim().replace("\n\n", "\n").replace('\n', ","));
        let keyed = "{\"7\":{\"said\":\"left, \\\"lung\\\"\",\"gold\":\"left lung\",\"kind\":\"open\"},\"8\":{\"said\":\"\",\"gold\":3,\"kind\":\"open\"},\"9\":{\"said\":\"是的\",\"gold\":\"yes\",\"kind\":\"open\"}}";
        let csv = "\u{feff}id,said,gold,kind\n7,\"left, \"\"lung\"\"\",left lung,open\n8,,3,open\n9,是的,yes,open\n";
        let tsv = "id\tsaid\tgold\tkind\n7\t\"left, \"\"lung\"\"\"\tleft lung\topen\n8\t\t3\topen\n9\t是的\tyes\topen\n";
        for (ending, contents) in [
            (".jsonl", lines),
            (".jsonl", list.as_str()),
            (".json", list.as_str()),
            (".json", keyed),
            (".csv", csv),
            (".tsv", tsv),
        ] {
            let path = file(ending, contents.as_bytes());
            assert_eq!(
                read(&path, &mapping()).unwrap(),
                Replies { rows: three(), problems: Vec::new() },
                "{ending}"
            );
        }
        let path = file(".xlsx", include_bytes!("../tests/fixtures/replies.xlsx"));
        assert_eq!(read(&path, &mapping()).unwrap().rows, three());
        let map = file(".json", b"{\"validation_Pharmacy_1\": \"B\"}");
        assert_eq!(read(&map, &mapping()).unwrap().rows[0].reply, "B");
    }

    #[test]
    fn bad_rows_are_named_and_the_others_kept() {
        let path =
            file(".jsonl", b"{\"id\":1,\"said\":\"a\"}\n{broken\n[]\n{\"id\":1,\"said\":\"b\"}\n\xff\xfe\n");
        let replies = read(&path, &mapping()).unwrap();
        assert_eq!(replies.rows.len(), 2);
        assert_eq!(replies.problems.len(), 4);
        assert!(replies.problems.iter().all(|p| !p.to_string().contains("broken")));
        assert!(read(&file(".jsonl", b"{\"other\":1}"), &mapping()).is_err());
        assert!(read(&file(".pkl", b""), &mapping()).is_err());
        assert!(read(&file(".xlsx", b"PK no"), &mapping()).is_err());
        assert!(read(&file(".json", b"3"), &mapping()).is_err());
        assert!(read(Path::new("/nonexistent.csv"), &mapping()).is_err());
        assert!(read(&file(".csv", b""), &mapping()).unwrap().rows.is_empty());
    }

    #[test]
    fn columns_are_guessed_from_their_names() {
        let path = file(
            ".jsonl",
            b"{\"question_id\":1,\"gt_answer\":\"x\",\"pred_answer\":\"y\",\"is_correct\":true}",
        );
        let names = columns(&path).unwrap();
        let guessed = Mapping::guess(names.iter().map(String::as_str)).unwrap();
        assert_eq!(
            (guessed.id.as_deref(), guessed.reply.as_str(), guessed.gold.as_deref()),
            (Some("question_id"), "pred_answer", Some("gt_answer"))
        );
        assert!(Mapping::guess(["a", "b"]).unwrap_err().contains("a, b"));
        let nested = Mapping { reply: "answer.second_response".into(), ..Mapping::default() };
        let path = file(".json", b"{\"results\":[{\"answer\":{\"second_response\":\"B\"}}]}");
        let rows = read(&path, &Mapping { rows: Some("results".into()), ..nested }).unwrap().rows;
        assert_eq!((rows[0].id.as_str(), rows[0].reply.as_str()), ("0", "B"));
    }

    /// Six published prediction files, each in its own dialect.
    #[test]
    fn published_files_are_read_whole() {
        let Some(data) = std::env::var_os("LOUPE_TEST_DATA").map(std::path::PathBuf::from) else { return };
        for (file, rows) in [
            ("pred_gr5293/results/baseline/predictions.jsonl", 451),
            ("pred_internvl2_vqarad/baseline_predictions.jsonl", 450),
            ("pred_huatuo_slake/original/predictions.jsonl", 1061),
            ("pred_fm_medvqa/llavamed_test_vqa_rad_answer_pred.jsonl", 451),
            ("pred_mmmu_med/example_outputs/llava1.5_13b/total_val_output.json", 900),
            ("pred_pointdetectcount/qwen-finetuned-6task-test500-result.jsonl", 500),
        ] {
            let path = data.join(file);
            let names = columns(&path).unwrap();
            let mapping = Mapping::guess(names.iter().map(String::as_str)).unwrap_or_default();
            assert_eq!(read(&path, &mapping).unwrap().rows.len(), rows, "{file}");
        }
    }
}
