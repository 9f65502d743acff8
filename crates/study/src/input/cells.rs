//! Rows as named cells of text, whatever the file is.

use crate::error::StudyError;
use loupe_core::table::cell_words;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Columns that are read; see `docs/reference/readings.md`.
pub(super) const COLUMNS: [&str; 17] = [
    "reader",
    "case",
    "arm",
    "repeat",
    "truth",
    "group",
    "rating",
    "decision",
    "category",
    "lesions",
    "marks",
    "seconds",
    "first",
    "second",
    "choice",
    "first_length",
    "second_length",
];

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Line of the file, from 1.
    pub(super) line: u64,
    cells: HashMap<&'static str, String>,
}

impl Row {
    /// The trimmed text of a cell; `None` where it is empty or there is no such column.
    pub(super) fn text(&self, column: &'static str) -> Option<&str> {
        self.cells.get(column).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Is the column there, empty or not?
    pub(super) fn has(&self, column: &'static str) -> bool {
        self.cells.contains_key(column)
    }

    /// A number.
    pub(super) fn number(&self, column: &'static str) -> Result<Option<f64>, StudyError> {
        let Some(text) = self.text(column) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(StudyError::line(
                self.line,
                format!(
                    "`{column}` is not a finite number with a decimal point; leave the cell empty where there is none"
                ),
            )),
        }
    }

    /// Yes or no.
    pub(super) fn truth(&self, column: &'static str) -> Result<Option<bool>, StudyError> {
        let Some(text) = self.text(column) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "positive" => Ok(Some(true)),
            "0" | "false" | "no" | "negative" => Ok(Some(false)),
            _ => Err(StudyError::line(
                self.line,
                format!(
                    "`{column}` is neither 1 nor 0 (true and false, yes and no, positive and negative are read too)"
                ),
            )),
        }
    }
}

fn known(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_lowercase();
    COLUMNS.into_iter().find(|column| *column == name)
}

/// Rows and the names of columns that are not read.
pub(super) type Rows = (Vec<Row>, BTreeSet<String>);

pub(super) fn of_csv(text: &str) -> Result<Rows, StudyError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut unread = BTreeSet::new();
    let mut columns = Vec::new();
    for name in reader.headers()? {
        let column = known(name);
        if column.is_some() && columns.contains(&column) {
            return Err(StudyError::line(1, format!("the column `{}` is there twice", name.trim())));
        }
        if column.is_none() {
            unread.insert(name.to_owned());
        }
        columns.push(column);
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells = columns
            .iter()
            .zip(&record)
            .filter_map(|(column, cell)| Some(((*column)?, cell_words(cell).to_owned())));
        rows.push(Row { line, cells: cells.collect() });
    }
    Ok((rows, unread))
}

pub(super) fn of_jsonl(text: &str) -> Result<Rows, StudyError> {
    let mut unread = BTreeSet::new();
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let Ok(Value::Object(object)) = serde_json::from_str(text) else {
            return Err(StudyError::line(line, "is not a JSON object"));
        };
        let mut cells = HashMap::new();
        for (name, value) in &object {
            let Some(column) = known(name) else {
                unread.insert(name.clone());
                continue;
            };
            if let Some(text) = text_of(value) {
                cells.insert(column, text);
            } else if !value.is_null() {
                return Err(StudyError::line(
                    line,
                    format!(
                        "`{column}` holds something else than text, a number, true or false, or a list of these"
                    ),
                ));
            }
        }
        rows.push(Row { line, cells });
    }
    Ok((rows, unread))
}

/// A plain value, or a list of plain values as a CSV cell holds it.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Array(list) => {
            let parts: Option<Vec<String>> =
                list.iter().map(|part| if part.is_array() { None } else { text_of(part) }).collect();
            Some(parts?.join(";"))
        }
        Value::Null | Value::Object(_) => None,
    }
}
