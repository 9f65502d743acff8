//! A scored run as a table for programs: one row a reply and profile, as `docs/reference/tables.md` describes it.

use crate::pages::item::gold;
use loupe_core::sample::Outcome;
use loupe_core::{Cells, Column, Columns, Reply, Sample, Target};
use loupe_eval::{JudgedItem, Judgement};
use loupe_run::{MadeBy, RunError};
use serde_json::{Map, Value, json};

/// Name of the schema.
pub const SCHEMA: &str = "loupe.replies";
/// Version of the schema: another one where a column changes its name, its type or its meaning.
pub const VERSION: u32 = 1;

/// How a cell is had of a row.
enum Cell {
    Text(fn(&Row<'_>) -> Option<String>),
    Whole(fn(&Row<'_>) -> Option<i64>),
    Number(fn(&Row<'_>) -> Option<f64>),
    Json(fn(&Row<'_>) -> Option<Value>),
}

impl Cell {
    /// A column of such cells without rows.
    fn none(&self) -> Cells {
        match self {
            Self::Text(_) => Cells::Text(Vec::new()),
            Self::Whole(_) => Cells::Whole(Vec::new()),
            Self::Number(_) => Cells::Number(Vec::new()),
            Self::Json(_) => Cells::Json(Vec::new()),
        }
    }

    /// Adds the row's cell to a column that began as [`Cell::none`].
    fn add(&self, row: &Row<'_>, to: &mut Cells) {
        match (self, to) {
            (Self::Text(of), Cells::Text(all)) => all.push(of(row)),
            (Self::Whole(of), Cells::Whole(all)) => all.push(of(row)),
            (Self::Number(of), Cells::Number(all)) => all.push(of(row).filter(|v| v.is_finite())),
            (Self::Json(of), Cells::Json(all)) => all.push(of(row)),
            _ => {}
        }
    }
}

/// What a row is about.
struct Row<'a> {
    made_by: &'a MadeBy,
    judged: &'a JudgedItem,
    profile: Option<&'a (String, Judgement)>,
}

impl Row<'_> {
    fn sample(&self) -> Option<&Sample> {
        self.judged.item.line.sample.as_ref()
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.judged.item.reply.as_ref().map(|r| &r.prediction.outcome)
    }

    fn reply(&self) -> Option<&Reply> {
        match self.outcome()? {
            Outcome::Reply(reply) => Some(reply),
            Outcome::Failed(_) => None,
        }
    }

    fn judgement(&self) -> Option<&Judgement> {
        self.profile.map(|(_, judgement)| judgement)
    }

    /// The figure that the row's value belongs to: the first that the profile gives a value for.
    fn figure(&self) -> Option<(&str, f64)> {
        self.judgement()?.values.first().map(|v| (v.name.as_ref(), v.value))
    }

    /// A count of tokens, where the model counts.
    fn tokens(&self, of: fn(&Reply) -> usize) -> Option<i64> {
        let reply = self.reply().filter(|r| r.counts.prompt_tokens > 0)?;
        i64::try_from(of(reply)).ok()
    }

    /// Seconds, where they were taken.
    fn seconds(&self, of: fn(&Reply) -> f64) -> Option<f64> {
        let timed = |r: &&Reply| r.timing.prefill_s > 0.0 || r.timing.decode_s > 0.0;
        self.reply().filter(timed).map(of)
    }
}

/// Whole numbers out of counts.
fn whole(n: usize) -> Option<i64> {
    i64::try_from(n).ok()
}

/// What became of an item.
fn outcome(row: &Row<'_>) -> &'static str {
    match (row.outcome(), row.sample()) {
        (Some(Outcome::Reply(_)), _) => "reply",
        (Some(Outcome::Failed(_)), _) => "failed",
        (None, None) => "unreadable",
        (None, Some(_)) => "missing",
    }
}

/// Why there is no reply.
fn failure(row: &Row<'_>) -> Option<String> {
    match row.outcome() {
        Some(Outcome::Failed(failure)) => Some(failure.reason.clone()),
        Some(Outcome::Reply(_)) => None,
        None => row.judged.item.line.error.clone(),
    }
}

/// The reference in words, where the set has one.
fn reference(row: &Row<'_>) -> Option<String> {
    row.sample().filter(|sample| sample.target != Target::Unknown).map(gold)
}

/// What kind of answer a question has.
fn target(sample: &Sample) -> &'static str {
    match &sample.target {
        Target::Text(_) => "text",
        Target::Choice(_) => "choice",
        Target::Choices(_) => "choices",
        Target::Boxes(_) => "boxes",
        Target::Points(_) => "points",
        Target::Count(_) => "count",
        Target::Measurements(_) => "measurements",
        Target::Report(_) => "report",
        Target::Masks(_) => "masks",
        _ => "unknown",
    }
}

/// The columns in their order.
const COLUMNS: &[(&str, Cell)] = &[
    ("dataset", Cell::Text(|r| Some(r.made_by.dataset.name.clone()))),
    ("split", Cell::Text(|r| Some(r.made_by.dataset.split.clone()))),
    ("model", Cell::Text(|r| Some(r.made_by.model.name.clone()))),
    ("row", Cell::Whole(|r| whole(r.judged.item.line.row))),
    ("id", Cell::Text(|r| Some(r.judged.item.line.id()))),
    ("rollout", Cell::Whole(|r| whole(r.judged.item.rollout))),
    ("group", Cell::Text(|r| r.sample().map(|s| s.group.clone()))),
    ("language", Cell::Text(|r| r.sample().map(|s| s.language.clone()))),
    ("tags", Cell::Json(|r| r.sample().map(|s| json!(s.tags)))),
    ("images", Cell::Json(|r| r.sample().map(|s| s.media.iter().map(|m| m.name.as_str()).collect()))),
    ("question", Cell::Text(|r| r.sample().map(|s| s.question.clone()))),
    (
        "choices",
        Cell::Json(|r| {
            let sample = r.sample().filter(|s| !s.choices.is_empty())?;
            let all = sample.choices.iter().map(|c| (c.letter.to_string(), Value::from(c.text.as_str())));
            Some(Value::Object(all.collect::<Map<_, _>>()))
        }),
    ),
    ("target", Cell::Text(|r| r.sample().map(|s| target(s).to_owned()))),
    ("reference", Cell::Text(reference)),
    ("outcome", Cell::Text(|r| Some(outcome(r).to_owned()))),
    ("reply", Cell::Text(|r| r.reply().map(|reply| reply.text.clone()))),
    ("failure", Cell::Text(failure)),
    ("profile", Cell::Text(|r| r.profile.map(|(name, _)| name.clone()))),
    ("verdict", Cell::Text(|r| r.judgement().map(|j| j.verdict.word().to_owned()))),
    ("rule", Cell::Text(|r| r.judgement().map(|j| j.rule.to_string()))),
    ("span", Cell::Text(|r| r.judgement().and_then(|j| j.span.clone()))),
    ("reference_compared", Cell::Text(|r| r.judgement().map(|j| j.gold.clone()).filter(|g| !g.is_empty()))),
    ("answer_compared", Cell::Text(|r| r.judgement().and_then(|j| j.answer.clone()))),
    ("figure", Cell::Text(|r| r.figure().map(|(name, _)| name.to_owned()))),
    ("value", Cell::Number(|r| r.figure().map(|(_, value)| value))),
    (
        "values",
        Cell::Json(|r| {
            let values = r.judgement().filter(|j| !j.values.is_empty())?.values.iter();
            Some(Value::Object(values.map(|v| (v.name.to_string(), json!(v.value))).collect::<Map<_, _>>()))
        }),
    ),
    ("confidence", Cell::Number(|r| r.reply().and_then(Reply::confidence))),
    ("findings", Cell::Whole(|r| r.reply().and_then(|reply| whole(reply.findings.len())))),
    (
        "rounds",
        Cell::Whole(|r| {
            let trace = r.judged.item.reply.as_ref()?.prediction.record.rounds()?;
            whole(trace.rounds.len())
        }),
    ),
    ("prompt_tokens", Cell::Whole(|r| r.tokens(|reply| reply.counts.prompt_tokens))),
    ("picture_tokens", Cell::Whole(|r| r.tokens(|reply| reply.counts.picture_tokens))),
    ("reused_tokens", Cell::Whole(|r| r.tokens(|reply| reply.counts.reused_tokens))),
    ("new_tokens", Cell::Whole(|r| r.tokens(|reply| reply.counts.new_tokens))),
    ("prefill_seconds", Cell::Number(|r| r.seconds(|reply| reply.timing.prefill_s))),
    ("decode_seconds", Cell::Number(|r| r.seconds(|reply| reply.timing.decode_s))),
    ("seconds", Cell::Number(|r| r.seconds(|reply| reply.timing.prefill_s + reply.timing.decode_s))),
];

/// The table of a run's judged items: a row for each reply and profile, and one without a profile for an item that
/// no profile judged (rows that could not be read, items that the run has not come to).
///
/// # Errors
/// The first error among the items.
pub fn run_rows(
    made_by: &MadeBy,
    items: impl IntoIterator<Item = Result<JudgedItem, RunError>>,
) -> Result<Columns, RunError> {
    let empty = |(name, of): &(&'static str, Cell)| Column { name, cells: of.none() };
    let mut columns: Vec<Column> = COLUMNS.iter().map(empty).collect();
    for judged in items {
        let judged = judged?;
        let profiles = judged.verdicts.iter().map(Some).chain(judged.verdicts.is_empty().then_some(None));
        for profile in profiles {
            let row = Row { made_by, judged: &judged, profile };
            columns.iter_mut().zip(COLUMNS).for_each(|(column, (_, of))| of.add(&row, &mut column.cells));
        }
    }
    Ok(Columns { schema: SCHEMA, version: VERSION, columns })
}
