//! What readers are asked.

use super::packs::PACKS;
use crate::error::StudyError;
use serde::{Deserialize, Serialize};

/// What kind of answer a question takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// A number on a scale, 0 to 100 when nothing else is said.
    Rating,
    /// One of a few anchored steps, numbered from 1.
    Likert,
    /// One option, or several.
    Choice,
    /// Words.
    Text,
    /// A whole number from 0.
    Count,
    /// Boxes or points on the images, with confidence.
    Mark,
    /// Accept, edit or reject for each finding of the arm.
    Findings,
    /// The arm's text, edited.
    Report,
    /// The left or the right of two outputs, a tie, or neither.
    Prefer,
}

/// What a mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkShape {
    /// A box.
    #[default]
    Box,
    /// A point.
    Point,
}

/// Which column of the file of readings an answer becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadingColumn {
    /// `rating`: rating, Likert step or count.
    Rating,
    /// `decision`: a choice with a `positive` option.
    Decision,
    /// `category`: a choice of one.
    Category,
    /// `marks`.
    Marks,
    /// `choice`: a preference.
    Choice,
}

fn yes() -> bool {
    true
}

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name in answers.
    pub id: String,
    /// What kind of answer it takes.
    #[serde(rename = "type")]
    pub kind: QuestionKind,
    /// The words.
    pub text: String,
    /// Must it be answered before the next case?
    #[serde(default = "yes")]
    pub required: bool,
    /// Smallest rating.
    #[serde(default)]
    pub min: f64,
    /// Largest rating.
    #[serde(default = "hundred")]
    pub max: f64,
    /// Words at the lower end.
    #[serde(default)]
    pub low: String,
    /// Words at the upper end.
    #[serde(default)]
    pub high: String,
    /// Words of the steps of a Likert scale.
    #[serde(default)]
    pub anchors: Vec<String>,
    /// Options of a choice.
    #[serde(default)]
    pub options: Vec<String>,
    /// May several options be chosen?
    #[serde(default)]
    pub multiple: bool,
    /// The option that counts as a positive decision.
    #[serde(default, skip_serializing)]
    pub positive: Option<String>,
    /// What a mark is.
    #[serde(default)]
    pub shape: MarkShape,
    /// Is each mark given a confidence?
    #[serde(default = "yes")]
    pub confidence: bool,
    /// May neither be preferred?
    #[serde(default = "yes")]
    pub neither: bool,
    /// The column of readings that the answer becomes.
    #[serde(default, skip_serializing)]
    pub column: Option<ReadingColumn>,
}

fn hundred() -> f64 {
    100.0
}

impl Question {
    pub(super) fn check(&self) -> Result<(), StudyError> {
        let wrong = |what: &str| Err(StudyError::design(format!("question `{}`: {what}", self.id)));
        let fits = |column: ReadingColumn| match self.kind {
            QuestionKind::Rating | QuestionKind::Likert | QuestionKind::Count => {
                column == ReadingColumn::Rating
            }
            QuestionKind::Choice if self.multiple => false,
            QuestionKind::Choice => matches!(column, ReadingColumn::Decision | ReadingColumn::Category),
            QuestionKind::Mark => column == ReadingColumn::Marks,
            QuestionKind::Prefer => column == ReadingColumn::Choice,
            QuestionKind::Text | QuestionKind::Findings | QuestionKind::Report => false,
        };
        if self.id.is_empty() || !self.id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
            return wrong("an id is made of letters, digits, `_` and `-`");
        }
        if self.column.is_some_and(|column| !fits(column)) {
            return wrong("this type of question does not fill that column");
        }
        match self.kind {
            QuestionKind::Rating if self.min >= self.max || !(self.max - self.min).is_finite() => {
                wrong("`min` has to be below `max`")
            }
            QuestionKind::Likert if !(2..=9).contains(&self.anchors.len()) => {
                wrong("a Likert scale has 2 to 9 `anchors`")
            }
            QuestionKind::Choice if !(2..=9).contains(&self.options.len()) => {
                wrong("a choice has 2 to 9 `options`")
            }
            QuestionKind::Choice if self.column == Some(ReadingColumn::Decision) => match &self.positive {
                Some(option) if self.options.contains(option) => Ok(()),
                _ => wrong("a decision needs `positive`, one of its options"),
            },
            QuestionKind::Mark if self.column == Some(ReadingColumn::Marks) && !self.confidence => {
                wrong("marks of the file of readings need their confidence")
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackTable {
    pack: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackFile {
    question: Vec<Question>,
}

/// Packs become their questions.
pub(super) fn questions(tables: &[toml::Table]) -> Result<Vec<Question>, StudyError> {
    let mut all: Vec<Question> = Vec::new();
    for (n, table) in (1..).zip(tables) {
        let said = |e: &toml::de::Error| StudyError::design(format!("question {n}: {}", e.message()));
        if table.contains_key("pack") {
            let PackTable { pack } = table.clone().try_into().map_err(|e| said(&e))?;
            let pack = PACKS.by_name(&pack).map_err(|e| StudyError::design(e.to_string()))?;
            let file: PackFile = toml::from_str(pack.toml)
                .map_err(|e| StudyError::design(format!("the pack is damaged: {}", e.message())))?;
            all.extend(file.question);
        } else {
            all.push(table.clone().try_into().map_err(|e| said(&e))?);
        }
    }
    for (n, question) in all.iter().enumerate() {
        question.check()?;
        if all.iter().take(n).any(|q| q.id == question.id) {
            return Err(StudyError::design(format!("two questions have the id `{}`", question.id)));
        }
    }
    Ok(all)
}
