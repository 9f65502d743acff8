//! One row of an annotation file as named fields.

use super::values::{answer_words, words};
use loupe_core::media::WindowChoice;
use loupe_core::{DataError, MediaRef, Plane, Sample, SliceAt, Spot, Target, Window};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fields of pictures in loupe's own format.
pub(super) const PICTURES: [&str; 2] = ["image", "images"];

/// Rows of an annotation file; a row that breaks the format is an error of its own.
pub(crate) type Rows = Vec<Result<Row, DataError>>;

/// Named fields with their place, so that errors can say where they are.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    file: Arc<str>,
    /// Row or line of the file, from 0; part of the ids of rows that have none.
    pub(crate) index: usize,
    /// The same as people count.
    at: Spot,
    pub(crate) fields: Map<String, Value>,
}

impl Row {
    pub(crate) fn new(file: &Arc<str>, index: usize, value: Value) -> Result<Self, DataError> {
        match value {
            Value::Object(fields) => {
                Ok(Self { file: Arc::clone(file), index, at: Spot::Row(index + 1), fields })
            }
            _ => Err(DataError::Row {
                file: file.to_string(),
                at: Spot::Row(index + 1),
                problem: "expected an object of named fields".to_owned(),
            }),
        }
    }

    /// The same row, found on this line of the file.
    pub(crate) fn on_line(mut self, line: usize) -> Self {
        self.at = Spot::Line(line);
        self
    }

    /// The file that it stands in.
    pub(crate) fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// Where the row stands.
    pub(crate) fn at(&self) -> Spot {
        self.at
    }

    /// The elements of a list as rows.
    pub(crate) fn all(file: &str, list: Vec<Value>) -> Rows {
        let file: Arc<str> = file.into();
        list.into_iter().enumerate().map(|(index, value)| Self::new(&file, index, value)).collect()
    }

    /// A record of delimited text under its headings; empty cells are absent fields, but for those of pictures: a question
    /// whose picture is missing is none without a picture.
    pub(crate) fn from_record(
        file: &Arc<str>,
        (index, line): (usize, usize),
        headings: &[String],
        cells: &[&str],
    ) -> Result<Self, DataError> {
        if cells.len() != headings.len() {
            return Err(DataError::Row {
                file: file.to_string(),
                at: Spot::Line(line),
                problem: format!("{} cells under {} headings", cells.len(), headings.len()),
            });
        }
        let there = |name: &str, cell: &str| !cell.is_empty() || PICTURES.contains(&name);
        let named =
            headings.iter().zip(cells).filter(|(name, cell)| !name.is_empty() && there(name.as_str(), cell));
        let fields = named.map(|(name, cell)| (name.clone(), Value::String((*cell).to_owned()))).collect();
        Ok(Self { file: Arc::clone(file), index, at: Spot::Line(line), fields })
    }

    /// An error at this row.
    pub(crate) fn error(&self, problem: impl Into<String>) -> DataError {
        DataError::Row { file: self.file.to_string(), at: self.at, problem: problem.into() }
    }

    /// File name without folder and ending, and row number: an id for rows that have none.
    pub(crate) fn place(&self) -> String {
        let name = self.file.rsplit('/').next().unwrap_or(&self.file);
        let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
        format!("{stem}:{}", self.index)
    }

    /// A field's words without surrounding white space; nothing when absent, null or empty.
    /// Numbers are written out, because several sets mix integers into their answers.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.fields.get(name).and_then(words)
    }

    /// The first of several spellings of a field that is there.
    pub(crate) fn any(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A field that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<String, DataError> {
        self.get(name).ok_or_else(|| self.error(format!("{name:?} is missing or empty")))
    }

    /// A reference in words; unknown where the field is empty, which happens in published files. True and
    /// false of JSON are yes and no.
    pub(crate) fn free_answer(&self, name: &str) -> Target {
        let answer = self.fields.get(name).and_then(answer_words);
        answer.map_or(Target::Unknown, |answer| Target::Text(vec![answer]))
    }

    /// The elements of a list; a single value is a list of one, absence an empty list. Nulls are
    /// left out.
    pub(crate) fn list(&self, name: &str) -> Vec<&Value> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().filter(|v| !v.is_null()).collect(),
            Some(one) => vec![one],
        }
    }

    /// The words of a list's elements, each in its place: nothing for those that are null or have no words.
    pub(crate) fn places(&self, name: &str) -> Vec<Option<String>> {
        match self.fields.get(name) {
            Some(Value::Array(list)) => list.iter().map(words).collect(),
            _ => self.words(name).into_iter().map(Some).collect(),
        }
    }

    /// The words of a list's elements.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        self.list(name).into_iter().filter_map(words).collect()
    }

    /// A number, written as one or as text.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, DataError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(self.error(format!("{name:?} is not a number"))),
        }
    }

    /// A row of image, question and answer, as the short-answer sets on Hugging Face have it.
    pub(crate) fn short_answer(&self) -> Result<Sample, DataError> {
        Ok(Sample {
            question: self.need("question")?,
            target: self.free_answer("answer"),
            ..sample(self.place())
        })
    }

    /// Copies fields into tags; `(field, tag)`.
    pub(crate) fn tags(&self, names: &[(&str, &str)]) -> BTreeMap<String, String> {
        names.iter().filter_map(|(field, tag)| Some(((*tag).to_owned(), self.get(field)?))).collect()
    }
}

/// A sample to be completed: English, no images, no known answer.
pub(crate) fn sample(id: impl Into<String>) -> Sample {
    Sample {
        id: id.into(),
        media: Vec::new(),
        question: String::new(),
        choices: Vec::new(),
        target: Target::Unknown,
        group: String::new(),
        tags: BTreeMap::new(),
        language: "en".to_owned(),
    }
}

/// How many slices stand for a volume where a set asks about the whole of it.
const SLICES: u32 = 16;

/// Slices of a volume at even distances, first and last at half a distance from the ends.
pub(crate) fn slices_of(volume: &MediaRef, plane: Plane, window: Window) -> Vec<MediaRef> {
    let slice = |n: u32| {
        let mut media = volume.clone();
        media.view.plane = plane;
        media.view.slice = Some(SliceAt::Share((f64::from(n) + 0.5) / f64::from(SLICES)));
        media.view.window = Some(WindowChoice::Numbers(window));
        media.name = format!("{} slice {} of {SLICES}", volume.name, n + 1);
        media
    };
    (0..SLICES).map(slice).collect()
}

/// The strings of a Python (or JSON) list literal such as `['a', "b's"]`, nothing in the place of `None`,
/// `nan` and `null`; nothing at all when the text is not one.
pub(crate) fn python_list(text: &str) -> Option<Vec<Option<String>>> {
    let mut characters = text.trim().strip_prefix('[')?.strip_suffix(']')?.chars().peekable();
    let mut list = Vec::new();
    loop {
        while characters.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
        let Some(first) = characters.next() else { return Some(list) };
        let mut item = String::new();
        if first == '\'' || first == '"' {
            loop {
                match characters.next()? {
                    c if c == first => break,
                    '\\' => match characters.next()? {
                        'n' => item.push('\n'),
                        't' => item.push('\t'),
                        'r' => item.push('\r'),
                        'x' => item.push(code_point(&mut characters, 2)?),
                        'u' => item.push(code_point(&mut characters, 4)?),
                        'U' => item.push(code_point(&mut characters, 8)?),
                        c @ ('\\' | '\'' | '"' | '/') => item.push(c),
                        other => item.extend(['\\', other]),
                    },
                    c => item.push(c),
                }
            }
        } else {
            item.push(first);
            while let Some(c) = characters.next_if(|c| *c != ',') {
                item.push(c);
            }
            item.truncate(item.trim_end().len());
            if matches!(item.as_str(), "None" | "nan" | "NaN" | "null") {
                list.push(None);
                continue;
            }
        }
        list.push(Some(item));
    }
}

fn code_point(characters: &mut impl Iterator<Item = char>, digits: usize) -> Option<char> {
    let hex: String = characters.take(digits).collect();
    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(json: &str) -> Row {
        Row::new(&"data/rows.json".into(), 3, serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn fields_are_trimmed_and_numbers_are_words() {
        let row = row(
            r#"{"a": " CLOSED \t", "n": 4, "b": true, "empty": "  ", "none": null, "list": [1, null, "x"]}"#,
        );
        assert_eq!(row.get("a").as_deref(), Some("CLOSED"));
        assert_eq!(row.get("n").as_deref(), Some("4"));
        assert_eq!(row.get("b").as_deref(), Some("true"));
        assert_eq!(row.get("empty"), None);
        assert_eq!(row.get("none"), None);
        assert_eq!(row.words("list"), ["1", "x"]);
        assert_eq!(row.place(), "rows:3");
        assert_eq!(
            row.need("empty").unwrap_err().to_string(),
            "data/rows.json, row 4: \"empty\" is missing or empty"
        );
        let line = row.clone().on_line(9).error("x").to_string();
        assert_eq!(
            (line.as_str(), row.places("list")),
            ("data/rows.json, line 9: x", vec![Some("1".into()), None, Some("x".into())])
        );
        assert_eq!(row.free_answer("b"), Target::Text(vec!["yes".to_owned()]));
    }

    #[test]
    fn python_lists_with_quotes_inside() {
        let list = |s| python_list(s).unwrap().into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(list(r#"['a', "b's", 'c, d']"#), ["a", "b's", "c, d"]);
        assert_eq!(list(r"['it\'s', '\u03bcg', 'x\\y']"), ["it's", "μg", "x\\y"]);
        assert_eq!(list("[1, 2.5 , 'z']"), ["1", "2.5", "z"]);
        assert!(list("[]").is_empty());
        assert_eq!(python_list("[None, 'None', nan]").unwrap(), [None, Some("None".to_owned()), None]);
        assert_eq!(python_list("['open"), None);
        assert_eq!(python_list("plain words"), None);
    }
}
