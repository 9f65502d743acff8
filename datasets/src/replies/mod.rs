//! Replies that another tool has written: JSONL, JSON, CSV, TSV and xlsx with a column mapping.
//!
//! The file is told by its ending; a `.jsonl` that begins with `[` is read as one JSON list, as some
//! tools write it. A JSON object is a map from id to reply or row. Rows come one at a time, so that
//! a file of any length needs no memory; bad rows are named and the others kept.

mod formats;

use crate::read::{chosen_of, python_list, unlettered};
use formats::{Row, each, file_name};
use loupe_core::{Choice, DataError, Sample, Target};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

/// Which column holds what. A name with periods goes into nested objects and lists
/// (`answer.second_response`, `resps.0.0`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Identity of the row; without it, rows are numbered from 0 (or keyed, in a JSON object).
    pub id: Option<String>,
    /// The model's reply.
    pub reply: String,
    /// The reference answer: words, a list of accepted wordings, or the letter of an option.
    pub gold: Option<String>,
    /// The question.
    pub question: Option<String>,
    /// The options: a list, a Python list in words, or an object by letter. Without it, columns `A`,
    /// `B` … or `option_A`, `option_B` … are options.
    pub choices: Option<String>,
    /// What rows share that are not independent: image, patient, video.
    pub group: Option<String>,
    /// Columns to keep as tags, as (tag, column).
    pub tags: Vec<(String, String)>,
    /// Where the list of rows lies inside a JSON object; without it the object is a map by id.
    pub rows: Option<String>,
    /// Letters that are offered where the file has no options (`ABCD`).
    pub letters: String,
    /// Columns of whole numbers to keep beside the row: widths and heights of pictures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<String>,
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
const QUESTIONS: &[&str] = &["question", "prompt", "query"];
const CHOICES: &[&str] = &["choices", "options"];
const GROUPS: &[&str] = &[
    "group",
    "video_id",
    "patient_id",
    "image_id",
    "img_id",
    "image_name",
    "img_name",
    "image",
    "image_path",
    "image_file",
];
/// Columns that are tags under these names, because figures are by them.
const TAGS: &[(&str, &str)] = &[
    ("answer_type", "answer_type"),
    ("question_type", "question_type"),
    ("content_type", "content_type"),
    ("qtype", "qtype"),
    ("q_type", "content_type"),
    ("modality", "modality"),
    ("category", "category"),
    ("l2-category", "l2-category"),
    ("split", "split"),
    ("subject", "subject"),
    ("q_lang", "language"),
];

impl Mapping {
    /// The mapping that the names of the columns suggest; says what it looked for when there is no
    /// column that could be the reply. A map from id to reply has no columns and needs none.
    ///
    /// # Errors
    /// A sentence with the columns there are.
    pub fn guess<'a>(columns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let columns: Vec<&str> = columns.into_iter().collect();
        let column = |name: &str| columns.iter().find(|c| c.eq_ignore_ascii_case(name));
        let first = |names: &[&str]| names.iter().find_map(|n| column(n)).map(|c| (*c).to_owned());
        let reply = first(REPLIES).ok_or_else(|| {
            format!(
                "no column looks like the reply; there are {}; name one with --reply-column",
                columns.join(", ")
            )
        });
        let reply = if columns.is_empty() { String::new() } else { reply? };
        let tags =
            TAGS.iter().filter_map(|(name, tag)| Some(((*tag).to_owned(), (*column(name)?).to_owned())));
        Ok(Self {
            id: first(IDS),
            reply,
            gold: first(GOLDS),
            question: first(QUESTIONS),
            choices: first(CHOICES),
            group: first(GROUPS),
            tags: tags.collect(),
            ..Self::default()
        })
    }
}

/// A reply of another tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Row of the file, from 0.
    pub row: usize,
    /// Identity, or the number of the row.
    pub id: String,
    /// The words; an absent reply is empty.
    pub reply: String,
    /// The accepted wordings of the reference, where a column holds them.
    pub gold: Vec<String>,
    /// The question, or nothing.
    pub question: String,
    /// The options.
    pub choices: Vec<Choice>,
    /// What rows share that are not independent.
    pub group: Option<String>,
    /// The columns kept as tags.
    pub tags: BTreeMap<String, String>,
    /// The columns of [`Mapping::sizes`], where they hold a whole number.
    pub sizes: Vec<Option<usize>>,
}

impl Imported {
    /// The row as a sample without pictures. Where options are offered and the reference is one of
    /// them, by letter or by words, the target is that letter.
    pub fn sample(&self) -> Sample {
        let only_letters = self.choices.iter().all(|c| c.text.is_empty());
        let open = self
            .tags
            .get("question_type")
            .is_some_and(|t| matches!(t.to_lowercase().as_str(), "open" | "short-answer" | "free-form"));
        let choice = match self.gold.as_slice() {
            // Of letters alone, a figure is not the number of one, and an open answer is none of them.
            [gold] if only_letters => {
                let letter = gold.trim().chars().next().filter(|_| gold.trim().chars().count() == 1);
                letter.filter(|l| !open && self.choices.iter().any(|c| c.letter == *l))
            }
            [gold] => chosen_of(&self.choices, gold),
            _ => None,
        };
        let target = match choice {
            Some(letter) => Target::Choice(letter),
            None if self.gold.is_empty() => Target::Unknown,
            None => Target::Text(self.gold.clone()),
        };
        // Letters without words are an offer only where the reference is one of them.
        let offered = choice.is_some() || !only_letters;
        let mut tags = self.tags.clone();
        Sample {
            id: self.id.clone(),
            media: Vec::new(),
            question: self.question.clone(),
            choices: if offered { self.choices.clone() } else { Vec::new() },
            target,
            group: self.group.clone().unwrap_or_else(|| self.id.clone()),
            language: tags.remove("language").unwrap_or_else(|| "en".to_owned()),
            tags,
        }
    }
}

/// What a file held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replies {
    /// Rows in the order of the file.
    pub rows: Vec<Imported>,
    /// Rows that could not be read.
    pub problems: Vec<DataError>,
}

/// The columns of a file, from its first row; `rows` as in [`Mapping::rows`].
///
/// # Errors
/// When the file cannot be read or is of no known format.
pub fn columns(path: &Path, rows: Option<&str>) -> Result<Vec<String>, DataError> {
    let mut found = Vec::new();
    let mut first = |_: usize, row: Row| {
        found = match row {
            Row::Json(_, Value::Object(keys)) => keys.keys().cloned().collect(),
            Row::Json(..) => Vec::new(),
            Row::Cells(cells) => cells.into_iter().map(|(k, _)| k).collect(),
        };
        false
    };
    each(path, rows, &mut first, &mut |_| {})?;
    Ok(found)
}

/// Reads replies one at a time, on a thread of its own. A [`DataError::Row`] is that row's alone;
/// any other error is the file's, and the last thing heard.
pub fn stream(path: &Path, mapping: &Mapping) -> Stream {
    let (to, rows) = sync_channel(256);
    let (path, mapping) = (path.to_path_buf(), mapping.clone());
    std::thread::spawn(move || {
        let mut any_reply = false;
        let mut any_row = false;
        let mut take = |number: usize, row: Row| {
            let (imported, has_reply) = row.imported(number, &mapping);
            any_row = true;
            any_reply |= has_reply;
            to.send(Ok(imported)).is_ok()
        };
        let mut problem = |error| drop(to.send(Err(error)));
        let end = each(&path, mapping.rows.as_deref(), &mut take, &mut problem);
        let end = end.and_then(|()| match any_row && !any_reply {
            true => {
                let problem =
                    format!("no row has a column {:?}; name the column of the replies", mapping.reply);
                Err(DataError::Read { file: file_name(&path), problem })
            }
            false => Ok(()),
        });
        if let Err(error) = end {
            drop(to.send(Err(error)));
        }
    });
    Stream { rows }
}

/// Rows as they are read; see [`stream`].
#[derive(Debug)]
pub struct Stream {
    rows: Receiver<Result<Imported, DataError>>,
}

impl Iterator for Stream {
    type Item = Result<Imported, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.recv().ok()
    }
}

/// Reads all replies.
///
/// # Errors
/// When the file cannot be read, is of no known format, or has no column of the reply's name.
pub fn read(path: &Path, mapping: &Mapping) -> Result<Replies, DataError> {
    let mut out = Replies::default();
    for row in stream(path, mapping) {
        match row {
            Ok(row) => out.rows.push(row),
            Err(problem @ DataError::Row { .. }) => out.problems.push(problem),
            Err(error) => return Err(error),
        }
    }
    Ok(out)
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(s) => Some(s.clone()),
        other => Some(other.to_string()),
    }
}

/// A whole number, also when it is written with a fraction of zeros (`640.0`), as pandas does.
fn whole(text: &str) -> Option<usize> {
    let number = text.trim();
    number
        .split_once('.')
        .map_or(Some(number), |(n, zeros)| zeros.chars().all(|c| c == '0').then_some(n))?
        .parse()
        .ok()
}

/// A list of words: of a list, or of the Python list that some tools write as words.
fn listed(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().filter_map(words).collect(),
        Value::String(text) => python_list(text).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// What `key` names inside a value; a number goes into a list (`img_size.0`).
fn inside<'a>(at: &'a Value, key: &str) -> Option<&'a Value> {
    match at {
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        at => at.get(key),
    }
}

impl Row {
    fn value(&self, column: &str) -> Option<Value> {
        match self {
            Self::Json(_, row) => {
                row.get(column).or_else(|| column.split('.').try_fold(row, inside)).cloned()
            }
            Self::Cells(cells) => {
                cells.iter().find(|(k, _)| k == column).map(|(_, v)| Value::String(v.clone()))
            }
        }
    }

    fn get(&self, column: &str) -> Option<String> {
        words(&self.value(column)?)
    }

    /// The options, from their column or from columns of their own.
    fn choices(&self, mapping: &Mapping) -> Vec<Choice> {
        if let Some(value) = mapping.choices.as_ref().and_then(|c| self.value(c)) {
            if let Value::Object(map) = &value {
                let one = |(letter, text): (&String, &Value)| {
                    Some(Choice { letter: letter.chars().next()?, text: words(text)? })
                };
                return map.iter().filter_map(one).collect();
            }
            return unlettered(listed(&value));
        }
        // "nan" is pandas' empty cell.
        let real = |text: &String| !text.is_empty() && text != "nan";
        let of = |letter: char| {
            let names = [
                letter.to_string(),
                format!("option_{letter}"),
                format!("option_{}", letter.to_ascii_lowercase()),
            ];
            let text = names.iter().find_map(|n| self.get(n)).filter(real)?;
            Some(Choice { letter, text })
        };
        let own: Vec<Choice> = ('A'..='Z').map_while(of).collect();
        if own.len() > 1 {
            return own;
        }
        mapping.letters.chars().map(|letter| Choice { letter, text: String::new() }).collect()
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
        let column = |name: &Option<String>| name.as_ref().and_then(|c| self.get(c));
        let gold = match mapping.gold.as_ref().and_then(|c| self.value(c)) {
            Some(Value::Array(list)) => list.iter().filter_map(words).collect(),
            Some(one) => words(&one).into_iter().collect(),
            None => Vec::new(),
        };
        let imported = Imported {
            row: number,
            id: column(&mapping.id).or(key).unwrap_or_else(|| number.to_string()),
            gold,
            question: column(&mapping.question).unwrap_or_default(),
            choices: self.choices(mapping),
            group: column(&mapping.group),
            tags: mapping.tags.iter().filter_map(|(tag, c)| Some((tag.clone(), self.get(c)?))).collect(),
            reply: reply.clone().unwrap_or_default(),
            sizes: mapping.sizes.iter().map(|c| whole(&self.get(c)?)).collect(),
        };
        (imported, reply.is_some())
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
            tags: vec![("kind".into(), "kind".into())],
            ..Mapping::default()
        }
    }

    fn three() -> Vec<Imported> {
        let row = |row: usize, id: &str, reply: &str, gold: &str| Imported {
            row,
            id: id.into(),
            reply: reply.into(),
            gold: vec![gold.into()],
            tags: [("kind".to_owned(), "open".to_owned())].into(),
            ..Imported::default()
        };
        vec![row(0, "7", "left, \"lung\"", "left lung"), row(1, "8", "", "3"), row(2, "9", "是的", "yes")]
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
        let path = file(".xlsx", include_bytes!("../../tests/fixtures/replies.xlsx"));
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
        assert_eq!(replies.problems.len(), 3);
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
        let names = columns(&path, None).unwrap();
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
        let path = file(".jsonl", b"{\"resps\":[[\"C\"]],\"size\":[640, 480.0],\"depth\":\"1.5\"}");
        let sizes = ["size.0", "size.1", "depth", "size.2"].map(str::to_owned).to_vec();
        let lists = Mapping { reply: "resps.0.0".into(), sizes, ..Mapping::default() };
        let row = &read(&path, &lists).unwrap().rows[0];
        assert_eq!((row.reply.as_str(), &row.sizes[..]), ("C", &[Some(640), Some(480), None, None][..]));
    }

    #[test]
    fn rows_become_samples_with_the_target_they_mean() {
        let sample = |line: &str, letters: &str| {
            let path = file(".jsonl", line.as_bytes());
            let names = columns(&path, None).unwrap();
            let mut mapping = Mapping::guess(names.iter().map(String::as_str)).unwrap();
            mapping.letters = letters.to_owned();
            read(&path, &mapping).unwrap().rows[0].sample()
        };
        let wide = sample(
            r#"{"index": 4, "question": "Which?", "A": "one", "B": "two", "C": "nan", "answer": "B", "prediction": "B", "image": "7.png", "category": "x"}"#,
            "",
        );
        assert_eq!(
            (wide.id.as_str(), wide.group.as_str(), &wide.target),
            ("4", "7.png", &Target::Choice('B'))
        );
        assert_eq!((wide.choices.len(), wide.tag("category")), (2, Some("x")));
        let python = sample(
            r#"{"question": "Which?", "options": "['A. one', 'B. two']", "answer": "two", "response": "B"}"#,
            "",
        );
        assert_eq!((python.choices[1].text.as_str(), &python.target), ("two", &Target::Choice('B')));
        let by_letter = sample(r#"{"options": {"A": "one", "B": "two"}, "label": "A", "response": "B"}"#, "");
        assert_eq!(by_letter.target, Target::Choice('A'));
        // Letters alone are an offer only for references that are letters.
        let lone = |gold: &str| sample(&format!(r#"{{"answer": {gold}, "response": "B"}}"#), "ABC");
        assert_eq!((lone("\"C\"").choices.len(), lone("\"C\"").target), (3, Target::Choice('C')));
        assert_eq!(
            (lone("[\"1\", \"one\"]").choices.len(), lone("[\"1\", \"one\"]").target),
            (0, Target::Text(vec!["1".into(), "one".into()]))
        );
        let short = r#"{"question_type": "short-answer", "answer": "C", "response": "B"}"#;
        assert_eq!(sample(short, "ABC").target, Target::Text(vec!["C".into()]));
        assert_eq!(
            sample(r#"{"answer": "2", "response": "B"}"#, "ABC").target,
            Target::Text(vec!["2".into()])
        );
        assert_eq!(sample(r#"{"response": "B"}"#, "").target, Target::Unknown);
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
            let names = columns(&path, None).unwrap();
            let mapping = Mapping::guess(names.iter().map(String::as_str)).unwrap_or_default();
            assert_eq!(read(&path, &mapping).unwrap().rows.len(), rows, "{file}");
        }
    }
}
