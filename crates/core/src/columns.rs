//! Tables for programs: columns with a type, in which nothing is rounded and what is not there stays absent.
//! [`Table`](crate::Table) holds what people read.

use crate::table::csv_cell;
use serde_json::{Map, Number, Value, json};

/// What a column holds; `None` where a row has nothing to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Words.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers; only finite ones are numbers, others are absent.
    Number(Vec<Option<f64>>),
    /// Yes or no.
    Truth(Vec<Option<bool>>),
    /// Lists and maps.
    Json(Vec<Option<Value>>),
}

impl Cells {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(all) => all.len(),
            Self::Whole(all) => all.len(),
            Self::Number(all) => all.len(),
            Self::Truth(all) => all.len(),
            Self::Json(all) => all.len(),
        }
    }

    /// Are there no rows?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type as documents call it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Whole(_) => "whole number",
            Self::Number(_) => "number",
            Self::Truth(_) => "true or false",
            Self::Json(_) => "JSON",
        }
    }

    /// The cell of a row; `null` where there is nothing.
    pub fn value(&self, row: usize) -> Value {
        match self {
            Self::Text(all) => all.get(row).cloned().flatten().map_or(Value::Null, Value::String),
            Self::Whole(all) => all.get(row).copied().flatten().map_or(Value::Null, Value::from),
            Self::Number(all) => {
                let number = all.get(row).copied().flatten().and_then(Number::from_f64);
                number.map_or(Value::Null, Value::Number)
            }
            Self::Truth(all) => all.get(row).copied().flatten().map_or(Value::Null, Value::Bool),
            Self::Json(all) => all.get(row).cloned().flatten().unwrap_or(Value::Null),
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, which stays as long as the schema's version does.
    pub name: &'static str,
    /// Its cells.
    pub cells: Cells,
}

/// A table for programs, with the name and version of its schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// Name of the schema.
    pub schema: &'static str,
    /// Version of the schema; another one where a column changes its name, type or meaning.
    pub version: u32,
    /// The columns, all of them as long as each other.
    pub columns: Vec<Column>,
}

impl Columns {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.cells.len())
    }

    /// RFC 4180 with a header, in UTF-8. Numbers are written so that they are read back to the last bit, lists and
    /// maps as JSON. Absent cells are empty, empty words are two quotation marks. Words that a
    /// spreadsheet would take for a formula have an apostrophe in front; JSON has them as they are.
    pub fn csv(&self) -> String {
        let mut out = self.columns.iter().map(|c| c.name).collect::<Vec<_>>().join(",") + "\r\n";
        for row in 0..self.rows() {
            let cells = self.columns.iter().map(|c| match c.cells.value(row) {
                Value::Null => String::new(),
                Value::String(words) if words.is_empty() => "\"\"".to_owned(),
                Value::String(words) => csv_cell(&words),
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                other => csv_cell(&other.to_string()),
            });
            out += &cells.collect::<Vec<_>>().join(",");
            out += "\r\n";
        }
        out
    }

    /// `{"schema", "version", "columns": [{"name", "type"}], "rows": [{…}]}`; absent cells are `null`.
    pub fn json(&self) -> Value {
        let columns = self.columns.iter().map(|c| json!({ "name": c.name, "type": c.cells.kind() }));
        let row = |n| {
            let cells = self.columns.iter().map(|c| (c.name.to_owned(), c.cells.value(n)));
            Value::Object(cells.collect::<Map<_, _>>())
        };
        json!({
            "schema": self.schema,
            "version": self.version,
            "columns": columns.collect::<Vec<_>>(),
            "rows": (0..self.rows()).map(row).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    fn columns() -> Columns {
        let words = ["plain", "with, \"marks\"\nand lines", "", " blank at an end"];
        let text = words.map(|w| Some(w.to_owned())).into_iter().chain([None]).collect();
        Columns {
            schema: "test",
            version: 3,
            columns: vec![
                Column { name: "words", cells: Cells::Text(text) },
                Column { name: "n", cells: Cells::Whole(vec![Some(1), None, Some(-3), Some(0), None]) },
                Column {
                    name: "value",
                    cells: Cells::Number(vec![Some(0.1), Some(1e300), None, Some(f64::NAN), Some(-2.0)]),
                },
                Column { name: "is", cells: Cells::Truth(vec![Some(true), Some(false), None, None, None]) },
                Column {
                    name: "tags",
                    cells: Cells::Json(vec![Some(json!({"a": "b"})), None, None, None, Some(json!([]))]),
                },
            ],
        }
    }

    #[test]
    fn absent_and_empty_differ_and_numbers_are_numbers() {
        let expected = "words,n,value,is,tags\r\n\
            plain,1,0.1,true,\"{\"\"a\"\":\"\"b\"\"}\"\r\n\
            \"with, \"\"marks\"\"\nand lines\",,1e+300,false,\r\n\
            \"\",-3,,,\r\n\
            \" blank at an end\",0,,,\r\n\
            ,,-2.0,,[]\r\n";
        assert_eq!(columns().csv().replace("1e300", "1e+300"), expected);
        let json = columns().json();
        assert_eq!((&json["version"], json["rows"].as_array().map(Vec::len)), (&json!(3), Some(5)));
        assert_eq!(
            json["rows"][0],
            json!({"words": "plain", "n": 1, "value": 0.1, "is": true, "tags": {"a": "b"}})
        );
        assert_eq!(json["rows"][3]["value"], Value::Null);
        assert_eq!(json["columns"][2], json!({"name": "value", "type": "number"}));
    }
}
