//! The rows of a reply file, one at a time.

use super::formats::{Row, each, file_name};
use super::mapping::Mapping;
use crate::read::{chosen_of, python_list, unlettered};
use loupe_core::{Choice, DataError, Sample, Target};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

/// A reply of another tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyRow {
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

impl ReplyRow {
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
    pub rows: Vec<ReplyRow>,
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
            let (row, has_reply) = row.reply_row(number, &mapping);
            any_row = true;
            any_reply |= has_reply;
            to.send(Ok(row)).is_ok()
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
    rows: Receiver<Result<ReplyRow, DataError>>,
}

impl Iterator for Stream {
    type Item = Result<ReplyRow, DataError>;

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
    fn reply_row(&self, number: usize, mapping: &Mapping) -> (ReplyRow, bool) {
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
        let row = ReplyRow {
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
        (row, reply.is_some())
    }
}
