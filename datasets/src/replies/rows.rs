//! The rows of a reply file, one at a time.

use super::fields::at;
use super::formats::{Row, Rows, each, ending, file_name, unreadable};
use super::mapping::Mapping;
use super::offered::offered;
use super::said::Said;
use crate::read::options::{chosen_of, letters_of};
use crate::read::values::{answer_words, key, whole, words};
use loupe_core::limits::{LONGEST_TEXT, row_too_long, text_bytes, too_long};
use loupe_core::{Choice, DataError, Sample, Spot, Target};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A reply of another tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyRow {
    /// Row of the file, from 0.
    pub row: usize,
    /// Where it stands in the file.
    pub at: Option<Spot>,
    /// Identity, or the number of the row.
    pub id: String,
    /// Is the id that of a column or key, not the number of the row?
    pub named: bool,
    /// The words; empty where there are none.
    pub reply: String,
    /// Why there is no reply; nothing where there is one.
    pub failure: Option<String>,
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
    /// Is the id the number of the row, counted from `first`?
    pub(super) fn is_numbered(&self, first: usize) -> bool {
        whole(&self.id) == Some(self.row + first)
    }

    /// Why its texts beside the reply cannot be read and judged in reasonable time.
    fn too_long(&self) -> Option<String> {
        let names = [("id", self.id.as_str()), ("group", self.group.as_deref().unwrap_or_default())];
        let tags = self.tags.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let parts = [
            ("question", self.question.len()),
            ("options", text_bytes(self.choices.iter().map(|choice| choice.text.as_str()))),
            ("reference", text_bytes(self.gold.iter().map(String::as_str))),
            ("tags", text_bytes(tags)),
        ];
        row_too_long(&names, &parts)
    }

    /// Where the row stands and its id, for people.
    pub(super) fn place(&self) -> String {
        let at = self.at.unwrap_or(Spot::Row(self.row + 1));
        if self.named { format!("{at} (id {:?})", self.id) } else { at.to_string() }
    }

    /// The row as a sample without pictures. Where options are offered and the reference is one of
    /// them, by letter or by words, the target is that letter; where it is several of them, their letters.
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
        let several = if choice.is_none() && !open { letters_of(&self.choices, &self.gold) } else { None };
        let target = match choice {
            Some(letter) => Target::Choice(letter),
            None if several.is_some() => several.unwrap_or(Target::Unknown),
            None if self.gold.is_empty() => Target::Unknown,
            None => Target::Text(self.gold.clone()),
        };
        // Letters without words are an offer only where the reference is one of them.
        let offered = !matches!(target, Target::Text(_) | Target::Unknown) || !only_letters;
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

/// Rows that are looked at to learn what the columns of a file hold.
const FIRST_ROWS: usize = 20;
/// Most rows that are kept because they have a column of their own.
const MOST_ROWS: usize = 1000;

/// The first rows of a file, each an object of named fields, and every later one with a column that those before it lack;
/// none for a map from id to reply.
///
/// # Errors
/// When the file cannot be read or is of no known format.
pub(super) fn telling_rows(path: &Path, rows: Option<&str>) -> Result<Vec<Value>, DataError> {
    struct Telling {
        rows: Vec<Value>,
        names: HashSet<String>,
        /// Has every row the same columns?
        table: bool,
    }
    impl Rows for Telling {
        fn row(&mut self, row: Row) -> bool {
            if let Some(fields) = row.value.as_object() {
                let known = self.names.len();
                for name in
                    fields.keys().filter(|name| !self.names.contains(*name)).cloned().collect::<Vec<_>>()
                {
                    self.names.insert(name);
                }
                if self.rows.len() < FIRST_ROWS || self.names.len() > known {
                    self.rows.push(row.value);
                }
            }
            let most = if self.table { FIRST_ROWS } else { MOST_ROWS };
            self.rows.len() < most && !(row.key.is_some() && self.rows.is_empty())
        }
        fn problem(&mut self, _: DataError) {}
    }
    let table = matches!(ending(path).as_str(), "csv" | "tsv" | "xlsx" | "parquet");
    let mut telling = Telling { rows: Vec::new(), names: HashSet::new(), table };
    each(path, rows, &mut telling)?;
    Ok(telling.rows)
}

/// The columns of a file; `rows` as in [`Mapping::rows`].
///
/// # Errors
/// When the file cannot be read or is of no known format.
pub fn columns(path: &Path, rows: Option<&str>) -> Result<Vec<String>, DataError> {
    Ok(names_of(&telling_rows(path, rows)?))
}

/// The fields of rows, in the order in which they come up.
pub(super) fn names_of(rows: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Reads replies one at a time, on a thread of its own. A [`DataError::Row`] is that row's alone;
/// any other error is the file's, and the last thing heard.
pub fn stream(path: &Path, mapping: &Mapping) -> Stream {
    let (to, rows) = sync_channel(256);
    let (path, mapping) = (path.to_path_buf(), mapping.clone());
    std::thread::spawn(move || {
        let mut sender = Sender { to: &to, path: &path, mapping: &mapping, any_row: false, any_reply: false };
        let end = each(&path, mapping.rows.as_deref(), &mut sender);
        let lacks = sender.any_row && !sender.any_reply;
        let end = end.and_then(|()| match lacks {
            true => Err(unreadable(
                &path,
                format!("no row has a column {:?}; name the column of the replies", mapping.reply),
            )),
            false => Ok(()),
        });
        if let Err(error) = end {
            drop(to.send(Err(error)));
        }
    });
    Stream { rows }
}

/// Sends rows to the other end of a stream.
struct Sender<'a> {
    to: &'a SyncSender<Result<ReplyRow, DataError>>,
    path: &'a Path,
    mapping: &'a Mapping,
    any_row: bool,
    any_reply: bool,
}

impl Rows for Sender<'_> {
    fn row(&mut self, row: Row) -> bool {
        let (mut row, has_reply) = row.reply_row(self.mapping);
        self.any_row = true;
        self.any_reply |= has_reply;
        if let Some(problem) = too_long("the reply has", row.reply.len(), LONGEST_TEXT) {
            row.reply.clear();
            row.failure = Some(problem);
        }
        let sent = match row.too_long() {
            Some(problem) => {
                let at = row.at.unwrap_or(Spot::Row(row.row + 1));
                self.to.send(Err(DataError::Row { file: file_name(self.path), at, problem }))
            }
            None => self.to.send(Ok(row)),
        };
        sent.is_ok()
    }

    fn problem(&mut self, problem: DataError) {
        drop(self.to.send(Err(problem)));
    }
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

impl Row {
    fn get(&self, column: &str) -> Option<String> {
        words(at(&self.value, column)?)
    }

    /// The words of a question: of the column, or of the turns of a conversation.
    fn question(&self, column: &str) -> String {
        match at(&self.value, column) {
            Some(turns @ Value::Array(_)) => Said::of(Some(turns)).text().to_owned(),
            _ => self.get(column).unwrap_or_default(),
        }
    }

    /// The options, from their column or from columns of their own; those without words are not offered and
    /// move no other.
    fn choices(&self, mapping: &Mapping) -> Vec<Choice> {
        // "nan" is pandas' empty cell.
        let real = |text: &String| !text.is_empty() && !text.eq_ignore_ascii_case("nan");
        let listed =
            mapping.choices.as_ref().and_then(|c| at(&self.value, c)).map(offered).unwrap_or_default();
        if !listed.is_empty() {
            return listed;
        }
        let of = |letter: char| {
            let names = [
                letter.to_string(),
                format!("option_{letter}"),
                format!("option_{}", letter.to_ascii_lowercase()),
                format!("Choice {letter}"),
                format!("choice_{}", letter.to_ascii_lowercase()),
                format!("op{}", letter.to_ascii_lowercase()),
            ];
            let text = names.iter().find_map(|n| self.get(n)).filter(real)?;
            Some(Choice { letter, text })
        };
        let own: Vec<Choice> = ('A'..='Z').filter_map(of).collect();
        if own.len() > 1 {
            return own;
        }
        mapping.letters.chars().map(|letter| Choice { letter, text: String::new() }).collect()
    }

    /// The row, and whether it has a reply or the reason why there is none.
    fn reply_row(&self, mapping: &Mapping) -> (ReplyRow, bool) {
        // A map from id to reply.
        let bare = self.key.is_some() && !self.value.is_object();
        let reply = if bare { Some(&self.value) } else { at(&self.value, &mapping.reply) };
        let error = mapping.errors.iter().find_map(|column| Said::error(at(&self.value, column)));
        let has_reply = reply.is_some() || error.is_some();
        let said = match (Said::of(reply), error) {
            // An error beside words is a remark of the tool; without words it is why there are none.
            (Said::Words(words), Some(_)) if !words.trim().is_empty() => Said::Words(words),
            (_, Some(error)) => error,
            (said, None) => said,
        };
        let column = |name: &Option<String>| name.as_ref().and_then(|c| self.get(c));
        let gold = match mapping.gold.as_ref().and_then(|c| at(&self.value, c)) {
            Some(Value::Array(list)) => list.iter().filter_map(answer_words).collect(),
            Some(one) => answer_words(one).into_iter().collect(),
            None => Vec::new(),
        };
        let failure = match &said {
            Said::Nothing(why) => Some(why.clone()),
            Said::Words(_) => None,
        };
        let id = column(&mapping.id).or_else(|| self.key.clone());
        let row = ReplyRow {
            row: self.number,
            at: Some(self.at),
            named: id.is_some(),
            id: id.map_or_else(|| self.number.to_string(), |id| key(&id).to_owned()),
            gold,
            question: mapping.question.as_ref().map(|c| self.question(c)).unwrap_or_default(),
            choices: self.choices(mapping),
            group: column(&mapping.group),
            tags: mapping.tags.iter().filter_map(|(tag, c)| Some((tag.clone(), self.get(c)?))).collect(),
            reply: said.text().to_owned(),
            failure,
            sizes: mapping.sizes.iter().map(|c| whole(&self.get(c)?)).collect(),
        };
        (row, has_reply)
    }
}
