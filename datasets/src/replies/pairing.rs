//! Which item a row of replies belongs to: by id, by position, or by the words of the question; and whether its own
//! question and reference are those of that item.

use super::asked::{Asked, Departure, normal};
use super::error::{Difference, JoinError};
use super::mapping::Mapping;
use super::rows::{ReplyRow, stream};
use crate::read::values::key;
use loupe_core::DataError;
use std::collections::HashMap;
use std::path::Path;

/// How rows and items are put side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PairBy {
    /// By id; by the words of the question where the file has no ids.
    #[default]
    Id,
    /// By the words of the question, and by image and reference where several items have the same words.
    Question,
    /// By position.
    Order,
}

/// Items and rows of one way to tell them apart.
type Level<'a> = (&'a HashMap<String, Option<usize>>, &'a HashMap<String, usize>);

/// Items by what rows know of them.
#[expect(clippy::large_enum_variant, reason = "one a file")]
pub(super) enum Pairing {
    Id(HashMap<String, usize>),
    Question(Questions),
    Order,
}

/// Items by the words of their question. Where several items or several rows have the same, image and reference tell
/// them apart; what is still the same is nobody's.
pub(super) struct Questions {
    asked: Vec<Option<Asked>>,
    /// Items by their keys; none where several have the same.
    items: [HashMap<String, Option<usize>>; 4],
    /// How many rows have a key.
    rows: [HashMap<String, usize>; 4],
    rollouts: usize,
}

const SEPARATOR: char = '\u{1f}';

/// The question alone, with the image, with the reference, with both; none where a part is not known.
fn keys(question: &str, image: &str, reference: &str) -> [Option<String>; 4] {
    let known = |parts: &[&str]| {
        let all = !question.is_empty() && parts.iter().all(|part| !part.is_empty());
        all.then(|| {
            std::iter::once(question)
                .chain(parts.iter().copied())
                .collect::<Vec<_>>()
                .join(&SEPARATOR.to_string())
        })
    };
    [known(&[]), known(&[image]), known(&[reference]), known(&[image, reference])]
}

/// The keys of a row of replies.
fn keys_of_row(row: &ReplyRow) -> [Option<String>; 4] {
    let asked = Asked::of_row(row);
    keys(&asked.question, &asked.image, &asked.reference())
}

impl Questions {
    fn of((file, mapping): (&Path, &Mapping), asked: &[Option<Asked>], rollouts: usize) -> Self {
        let mut items: [HashMap<String, Option<usize>>; 4] = Default::default();
        for (item, asked) in asked.iter().enumerate() {
            let Some(asked) = asked else { continue };
            let keys = keys(&asked.question, &asked.image, &asked.reference());
            for (map, key) in items.iter_mut().zip(keys) {
                if let Some(key) = key {
                    map.entry(key).and_modify(|one| *one = None).or_insert(Some(item));
                }
            }
        }
        let mut rows: [HashMap<String, usize>; 4] = Default::default();
        for row in stream(file, mapping).flatten() {
            for (counts, key) in rows.iter_mut().zip(keys_of_row(&row)) {
                if let Some(key) = key {
                    *counts.entry(key).or_default() += 1;
                }
            }
        }
        Self { asked: asked.to_vec(), items, rows, rollouts }
    }

    fn item(&self, row: &ReplyRow) -> Option<usize> {
        let mut levels = self.items.iter().zip(&self.rows).zip(keys_of_row(row));
        let of_level = |((items, rows), key): (Level<'_>, Option<String>)| {
            let key = key?;
            let lone = rows.get(&key).is_some_and(|n| *n <= self.rollouts);
            let item = (*items.get(&key)?).filter(|_| lone)?;
            // A question that happens to be asked once here may be that of a row about another image.
            let asked = self.asked.get(item)?.as_ref()?;
            asked.departs(row).is_none().then_some(item)
        };
        levels.find_map(of_level)
    }
}

impl Pairing {
    /// The item of a row.
    pub(super) fn item(&self, row: &ReplyRow) -> Option<usize> {
        match self {
            Self::Id(items) => items.get(key(&row.id)).copied(),
            Self::Question(questions) => questions.item(row),
            Self::Order => Some(row.row),
        }
    }

    /// For the record of the run.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Id(_) => "id",
            Self::Question(_) => "question",
            Self::Order => "order",
        }
    }
}

/// What is in a file: its rows and ids, and the rows that cannot be used.
#[derive(Default)]
pub(super) struct Survey {
    /// Item by id, in order of first appearance.
    pub(super) items: HashMap<String, usize>,
    pub(super) rows: usize,
    /// Rows with an id of their own.
    pub(super) named: usize,
    /// Rows with a question.
    pub(super) questions: usize,
    /// Rows with a reference.
    pub(super) golds: usize,
    /// Rows whose id is their own number, from 0 or from 1.
    numbered: [usize; 2],
    /// Rows whose id came more often than there are rollouts.
    pub(super) repeats: Vec<String>,
    pub(super) problems: Vec<String>,
}

impl Survey {
    /// Reads the file once.
    pub(super) fn of(file: &Path, mapping: &Mapping, rollouts: usize) -> Result<Self, JoinError> {
        let mut survey = Self::default();
        let mut times = Vec::new();
        for row in stream(file, mapping) {
            match row {
                Ok(row) => {
                    survey.rows += 1;
                    survey.named += usize::from(row.named);
                    survey.questions += usize::from(!normal(&row.question).is_empty());
                    survey.golds += usize::from(!row.gold.is_empty());
                    for (from, numbered) in survey.numbered.iter_mut().enumerate() {
                        *numbered += usize::from(row.is_numbered(from));
                    }
                    let next = survey.items.len();
                    let place = row.place();
                    let item = *survey.items.entry(row.id).or_insert(next);
                    if item == times.len() {
                        times.push(0);
                    }
                    let Some(times) = times.get_mut(item) else { continue };
                    *times += 1;
                    if *times > rollouts {
                        survey
                            .repeats
                            .push(format!("{place}: its id occurs before; --rollouts counts replies per id"));
                    }
                }
                Err(problem @ DataError::Row { .. }) => survey.problems.push(problem.to_string()),
                Err(error) => return Err(JoinError::Replies(error)),
            }
        }
        if survey.rows == 0 {
            return Err(JoinError::Empty { file: file.display().to_string() });
        }
        Ok(survey)
    }

    /// Every row has an id and none has that of another, but for rollouts.
    pub(super) fn identifies(&self, rollouts: usize) -> bool {
        self.named == self.rows && (self.items.len() == self.rows || rollouts > 1)
    }

    /// The ids do no more than number the rows, so that they are those of another file only where that has the
    /// same order.
    pub(super) fn numbers_rows(&self) -> bool {
        self.numbered.contains(&self.rows)
    }
}

/// The pairing that was asked for, or that the file allows.
pub(super) fn pairing(
    (by, rollouts): (PairBy, usize),
    file: (&Path, &Mapping),
    survey: &Survey,
    asked: &[Option<Asked>],
    columns: &str,
    notes: &mut Vec<String>,
) -> Result<Pairing, JoinError> {
    match by {
        PairBy::Order if asked.len() != survey.rows + survey.problems.len() => {
            Err(JoinError::Length { rows: survey.rows + survey.problems.len(), set: asked.len() })
        }
        PairBy::Order => Ok(Pairing::Order),
        PairBy::Id if survey.named > 0 => by_id(survey, asked, columns),
        PairBy::Id | PairBy::Question => {
            let here = asked.iter().flatten().any(|asked| !asked.question.is_empty());
            if survey.questions == 0 || !here {
                let odd: Vec<&str> =
                    notes.iter().filter(|n| n.contains("is no id")).map(String::as_str).collect();
                let odd = if odd.is_empty() { String::new() } else { format!(" ({})", odd.join("; ")) };
                return Err(JoinError::NoId { odd, columns: columns.to_owned() });
            }
            if by == PairBy::Id {
                notes.push(
                    "no column is an id; replies are paired by the words of their questions".to_owned(),
                );
            }
            Ok(Pairing::Question(Questions::of(file, asked, rollouts)))
        }
    }
}

fn by_id(survey: &Survey, asked: &[Option<Asked>], columns: &str) -> Result<Pairing, JoinError> {
    let mut items = HashMap::new();
    for (item, asked) in asked.iter().enumerate() {
        items.extend(asked.iter().map(|asked| (key(&asked.id).to_owned(), item)));
    }
    if survey.items.keys().all(|id| !items.contains_key(id)) {
        return Err(JoinError::NoSharedId {
            theirs: survey.items.keys().min().cloned().unwrap_or_default(),
            ours: asked.iter().flatten().next().map(|asked| asked.id.clone()).unwrap_or_default(),
            columns: columns.to_owned(),
        });
    }
    Ok(Pairing::Id(items))
}

/// Rows and items side by side.
#[derive(Default)]
pub(super) struct Paired {
    /// Items in the order in which the file comes to them.
    pub(super) order: Vec<usize>,
    /// The first rows that are those of no item.
    strangers: Vec<String>,
    /// How many rows are.
    pub(super) unmatched: usize,
    /// Rows beyond the number of rollouts.
    pub(super) repeats: Vec<String>,
    /// Rows whose question or reference could be compared.
    compared: usize,
}

/// Names given in a sentence.
const MOST_NAMES: usize = 5;

impl Paired {
    /// Goes through the rows. With `ids_only`, texts are not compared.
    ///
    /// # Errors
    /// When a row's question or reference is not that of its item, or no row has an item.
    pub(super) fn of(
        (file, mapping): (&Path, &Mapping),
        pairing: &Pairing,
        asked: &[Option<Asked>],
        rollouts: usize,
        ids_only: bool,
    ) -> Result<Self, JoinError> {
        let mut paired = Self::default();
        let mut times = vec![0usize; asked.len()];
        let mut first: Option<(String, Departure)> = None;
        let mut departed = 0usize;
        let mut rows = 0usize;
        for row in stream(file, mapping).flatten() {
            rows += 1;
            let item = pairing.item(&row).filter(|item| *item < asked.len());
            let Some((item, times)) = item.and_then(|item| Some((item, times.get_mut(item)?))) else {
                paired.unmatched += 1;
                if paired.strangers.len() < MOST_NAMES {
                    paired.strangers.push(row.place());
                }
                continue;
            };
            *times += 1;
            match *times {
                1 => paired.order.push(item),
                n if n > rollouts => {
                    let place = row.place();
                    paired.repeats.push(format!(
                        "{place}: an earlier row is a reply to the same question; --rollouts counts replies per question"
                    ));
                }
                _ => {}
            }
            let Some(Some(asked)) = asked.get(item) else { continue };
            paired.compared += usize::from(asked.comparable(&row));
            if let Some(departure) = asked.departs(&row).filter(|_| !ids_only) {
                departed += 1;
                first.get_or_insert_with(|| (row.place(), departure));
            }
        }
        if let Some((place, Departure { what, theirs, ours })) = first {
            return Err(JoinError::Differ(Box::new(Difference {
                count: departed,
                rows: rows - paired.unmatched,
                place,
                what,
                theirs: shown(&theirs),
                ours: shown(&ours),
            })));
        }
        if paired.order.is_empty() {
            return Err(JoinError::NoPair { by: pairing.word(), rows });
        }
        Ok(paired)
    }

    /// What is to be said about rows without an item, and about texts that could not be compared.
    pub(super) fn notes(&self, set: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if self.unmatched > 0 {
            let more = if self.unmatched > self.strangers.len() { ", …" } else { "" };
            notes.push(format!(
                "{} of the file left out, because no item of {set} is theirs: {}{more}",
                loupe_core::words::counted(self.unmatched, "row"),
                self.strangers.join(", ")
            ));
        }
        if self.compared == 0 {
            notes.push(
                "the file has neither questions nor references to compare with, so that nothing shows whether replies and questions belong together"
                    .to_owned(),
            );
        }
        notes
    }
}

fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() { format!("{short} …") } else { short }
}
