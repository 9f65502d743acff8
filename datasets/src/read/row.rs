//! One row of an annotation file as named fields.

use loupe_core::media::WindowChoice;
use loupe_core::{Choice, DataError, MediaRef, Plane, Sample, SliceAt, Target, Window};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of an annotation file; a row that breaks the format is an error of its own.
pub(crate) type Rows = Vec<Result<Row, DataError>>;

/// Named fields with their place, so that errors can say where they are.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    file: Arc<str>,
    /// Row or line of the file, from 0.
    pub(crate) index: usize,
    pub(crate) fields: Map<String, Value>,
}

impl Row {
    pub(crate) fn new(file: &Arc<str>, index: usize, value: Value) -> Result<Self, DataError> {
        match value {
            Value::Object(fields) => Ok(Self { file: Arc::clone(file), index, fields }),
            _ => Err(DataError::Row {
                file: file.to_string(),
                row: index,
                problem: "expected an object of named fields".to_owned(),
            }),
        }
    }

    /// The elements of a list as rows.
    pub(crate) fn all(file: &str, list: Vec<Value>) -> Rows {
        let file: Arc<str> = file.into();
        list.into_iter().enumerate().map(|(index, value)| Self::new(&file, index, value)).collect()
    }

    /// A record of delimited text under its headings; empty cells are absent fields.
    pub(crate) fn from_record(
        file: &Arc<str>,
        index: usize,
        headings: &[String],
        cells: &[&str],
    ) -> Result<Self, DataError> {
        if cells.len() != headings.len() {
            return Err(DataError::Row {
                file: file.to_string(),
                row: index,
                problem: format!("{} cells under {} headings", cells.len(), headings.len()),
            });
        }
        let named = headings.iter().zip(cells).filter(|(name, cell)| !name.is_empty() && !cell.is_empty());
        let fields = named.map(|(name, cell)| (name.clone(), Value::String((*cell).to_owned()))).collect();
        Ok(Self { file: Arc::clone(file), index, fields })
    }

    /// An error at this row.
    pub(crate) fn error(&self, problem: impl Into<String>) -> DataError {
        DataError::Row { file: self.file.to_string(), row: self.index, problem: problem.into() }
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

    /// A reference in words; unknown where the field is empty, which happens in published files.
    pub(crate) fn free_answer(&self, name: &str) -> Target {
        self.get(name).map_or(Target::Unknown, |answer| Target::Text(vec![answer]))
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

/// A value as words.
pub(crate) fn words(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
        Value::String(s) => s.trim().to_owned(),
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
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

/// Choices lettered from A.
pub(crate) fn lettered(texts: impl IntoIterator<Item = String>) -> Vec<Choice> {
    ('A'..='Z').zip(texts).map(|(letter, text)| Choice { letter, text }).collect()
}

/// Choices whose own text may begin with their letter (`A. one`, `A: one`, `(A) one`): the letter
/// is taken off when every choice carries the letter of its place.
pub(crate) fn unlettered(texts: Vec<String>) -> Vec<Choice> {
    let stripped: Option<Vec<String>> = texts
        .iter()
        .zip('A'..='Z')
        .map(|(text, letter)| {
            let text = text.trim();
            let text = text.strip_prefix('(').unwrap_or(text).strip_prefix(letter)?;
            let rest = text.strip_prefix(['.', ':', ')'])?;
            Some(rest.strip_prefix(':').unwrap_or(rest).trim().to_owned())
        })
        .collect();
    lettered(stripped.filter(|s| s.len() == texts.len()).unwrap_or(texts))
}

/// The target of a multiple-choice row whose answer may be a letter, a number from 0, or the words
/// of a choice.
pub(crate) fn chosen(row: &Row, choices: &[Choice], answer: &str) -> Result<Target, DataError> {
    chosen_of(choices, answer)
        .map(Target::Choice)
        .ok_or_else(|| row.error(format!("the answer is none of the {} choices", choices.len())))
}

/// The letter of the choice that an answer means.
pub(crate) fn chosen_of(choices: &[Choice], answer: &str) -> Option<char> {
    let answer = answer.trim();
    let bare = answer.trim_matches(['(', ')', '.', ':']);
    let mut characters = bare.chars();
    if let (Some(letter), None) = (characters.next(), characters.next())
        && let Some(choice) = choices.iter().find(|c| c.letter == letter.to_ascii_uppercase())
    {
        return Some(choice.letter);
    }
    let same = |c: &&Choice| c.text.trim().eq_ignore_ascii_case(answer);
    if let Some(choice) = choices.iter().find(same) {
        return Some(choice.letter);
    }
    if let Some(choice) = answer.parse::<usize>().ok().and_then(|i| choices.get(i)) {
        return Some(choice.letter);
    }
    let leading = answer.split_once(['.', ':', ')']).map(|(l, _)| l.trim_matches(['(', ' ']))?;
    choices.iter().find(|c| leading.len() == 1 && leading.starts_with(c.letter)).map(|c| c.letter)
}

/// The strings of a Python (or JSON) list literal such as `['a', "b's"]`; nothing when the text is
/// not one.
pub(crate) fn python_list(text: &str) -> Option<Vec<String>> {
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
        }
        list.push(item);
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
            "data/rows.json, row 3: \"empty\" is missing or empty"
        );
    }

    #[test]
    fn python_lists_with_quotes_inside() {
        let list = |s| python_list(s).unwrap();
        assert_eq!(list(r#"['a', "b's", 'c, d']"#), ["a", "b's", "c, d"]);
        assert_eq!(list(r"['it\'s', '\u03bcg', 'x\\y']"), ["it's", "μg", "x\\y"]);
        assert_eq!(list("[1, 2.5 , 'z']"), ["1", "2.5", "z"]);
        assert!(list("[]").is_empty());
        assert_eq!(python_list("['open"), None);
        assert_eq!(python_list("plain words"), None);
    }

    #[test]
    fn answers_name_their_choice_in_every_way_in_use() {
        let choices = unlettered(["A. one", "B. two", "C. three"].map(str::to_owned).to_vec());
        assert_eq!(choices[1], Choice { letter: 'B', text: "two".to_owned() });
        let row = row("{}");
        for answer in ["B", "b", "(B)", "B.", "two", "TWO ", "1", "B. two", "B: two"] {
            assert_eq!(chosen(&row, &choices, answer).unwrap(), Target::Choice('B'), "{answer}");
        }
        assert!(chosen(&row, &choices, "seven").is_err());
        assert!(chosen(&row, &choices, "7").is_err());
    }

    #[test]
    fn letters_are_taken_off_only_when_every_choice_has_its_own() {
        let texts = |t: &[&str]| unlettered(t.iter().map(|s| (*s).to_owned()).collect());
        assert_eq!(texts(&["A:x", "B:y"])[0].text, "x");
        assert_eq!(texts(&["A: fib. B", "CT"])[0].text, "A: fib. B");
        assert_eq!(texts(&["(A) x", "(B) y"])[1].text, "y");
        assert_eq!(texts(&["Aorta", "Bone"])[0].text, "Aorta");
    }
}
