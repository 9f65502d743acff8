//! Replies that another tool has written, side by side with the questions they answer.

use super::asked::Asked;
use super::columns::{Columns, described, references};
use super::error::JoinError;
use super::mapping::Mapping;
use super::options::JoinOptions;
use super::pairing::{PairBy, Paired, Pairing, Survey, pairing};
use super::places::{Dialects, Places};
use super::rows::{ReplyRow, Stream, stream};
use super::tools::epochs;
use crate::digest::{file_sha256, text_sha256};
use crate::read::values::key;
use loupe_core::sample::Outcome;
use loupe_core::words::counted;
use loupe_core::{
    DataError, Dataset, DatasetInfo, Failure, MediaLoader, PictureRecord, Prediction, Record, Reply, Sample,
};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// A sample of the join, or why the dataset could not give it: a line of a run's samples.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedSample {
    /// Row of the dataset or the file, from 0.
    pub row: usize,
    /// The sample.
    pub sample: Result<Sample, DataError>,
}

/// A reply of the join: a line of a run's replies.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedReply {
    /// Its sample, by position in [`Join::samples`].
    pub item: usize,
    /// Which of the replies to this sample, from 0.
    pub rollout: usize,
    /// The reply, its boxes and points in pixels of the pictures.
    pub prediction: Prediction,
    /// The pictures that its places lie in; none where no places are read.
    pub pictures: Vec<PictureRecord>,
}

/// Replies side by side with questions. The file is read anew, a row at a time, for
/// [`Join::samples`] and for [`Join::replies`].
pub struct Join<'a> {
    /// Facts of the questions: the dataset's own, or made from the file.
    pub dataset: DatasetInfo,
    /// The file's name without ending: what made the replies, where nothing better is known.
    pub name: String,
    /// Name for the folder of the run: the same file read in the same way has the same.
    pub folder: String,
    /// SHA-256 over the file, in hexadecimal.
    pub file_sha256: String,
    /// The dialect in which boxes and points are read, or `none`.
    pub box_dialect: String,
    /// How the file is read, for the record of the run.
    pub read_as: Value,
    /// Number of samples.
    pub items: usize,
    /// Replies per sample.
    pub rollouts: usize,
    /// How the columns were understood, in sentences for people.
    pub notes: Vec<String>,
    /// Rows that cannot be used, each with its reason.
    pub problems: Vec<String>,
    file: PathBuf,
    mapping: Mapping,
    set: Option<&'a dyn Dataset>,
    side: Side,
    dialects: Option<Dialects>,
    loader: &'a dyn MediaLoader,
}

/// Where the questions come from.
enum Side {
    /// The rows of the file themselves: item by id.
    Own(HashMap<String, usize>),
    /// The items of a dataset, with their ids.
    Set(Pairing, Vec<Option<String>>),
    /// The rows of a file of references: item by row of it, and the rows by item.
    References(Pairing, Vec<usize>, Vec<ReplyRow>),
}

impl Side {
    fn item(&self, row: &ReplyRow) -> Option<usize> {
        match self {
            Self::Own(items) => items.get(&row.id).copied(),
            Self::Set(pairing, _) => pairing.item(row),
            Self::References(pairing, items, _) => items.get(pairing.item(row)?).copied(),
        }
    }

    /// The id of an item, where it is not that of the row.
    fn id(&self, item: usize) -> Option<String> {
        match self {
            Self::Own(_) => None,
            Self::Set(_, ids) => ids.get(item)?.clone(),
            Self::References(_, _, rows) => Some(rows.get(item)?.id.clone()),
        }
    }
}

/// Reads the file of replies, to learn its columns, ids and bad rows, and matches it with `dataset`, with the
/// references of a file of their own, or with the questions that it holds itself. `loader` tells the sizes
/// of the dataset's pictures where places are read.
///
/// # Errors
/// When a file cannot be read, its columns mean nothing, it does not belong to the dataset, its questions are not
/// those of the dataset, there is nothing to judge replies by, or its dialect needs a size that nobody has.
pub fn join<'a>(
    options: &JoinOptions,
    dataset: Option<&'a dyn Dataset>,
    loader: &'a dyn MediaLoader,
) -> Result<Join<'a>, JoinError> {
    let file = &options.replies.clone();
    if options.rollouts == 0 {
        return Err(JoinError::NoRollouts);
    }
    let dialects = options.places.checked(dataset.is_some())?;
    let Columns { mut mapping, ids, tool } = Columns::of(options)?;
    let mut notes: Vec<String> = tool.map(|tool| format!("the file is one of {tool}")).into_iter().collect();
    // Replies to one sample are no samples of their own.
    let epochs =
        tool.and_then(|tool| epochs(tool, file, &mapping)).filter(|n| *n > 1 && options.rollouts == 1);
    let options = &JoinOptions { rollouts: epochs.unwrap_or(options.rollouts), ..options.clone() };
    notes.extend(
        epochs.map(|n| format!("{n} epochs of each sample: they are its rollouts (as with --rollouts {n})")),
    );
    let references = options.references.as_deref().map(|file| references(file, options)).transpose()?;
    let asked: Option<Vec<Option<Asked>>> = match (dataset, &references) {
        (Some(set), _) => Some((0..set.len()).map(|i| Some(Asked::of_sample(&set.get(i).ok()?))).collect()),
        (None, Some(rows)) => Some(rows.iter().map(|row| Some(Asked::of_row(row))).collect()),
        (None, None) => None,
    };
    if asked.is_none() && options.pair_by != PairBy::Id {
        return Err(JoinError::NothingToPair);
    }
    let survey = identified(options, &mut mapping, &ids, asked.as_deref(), &mut notes)?;
    if dataset.is_none() {
        let own: Vec<ReplyRow> = match &references {
            Some(rows) => rows.iter().take(FIRST_ROWS).cloned().collect(),
            None => stream(file, &mapping).filter_map(Result::ok).take(FIRST_ROWS).collect(),
        };
        notes.extend(lacks_options(&own));
    }
    let described = described(&mapping);
    let referenced = match &asked {
        Some(asked) => asked.iter().flatten().any(|asked| asked.is_referenced),
        None => survey.golds > 0,
    };
    if !referenced && !options.unreferenced {
        return Err(JoinError::NoReference { columns: described });
    }
    let fingerprint = file_sha256(file).map_err(JoinError::Replies)?;
    let of_references = options.references.as_deref().map(file_sha256).transpose();
    let mut read_as = json!({
        "mapping": mapping,
        "in_order": options.pair_by == PairBy::Order,
        "data": options.data,
        "references": of_references.map_err(JoinError::References)?,
    });
    let mut record = |key: &str, value: Value| {
        if let Some(how) = read_as.as_object_mut() {
            how.insert(key.to_owned(), value);
        }
    };
    if let Some(dialects) = options.places.record() {
        record("dialects", dialects);
    }
    let name = file.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let info = match dataset {
        Some(set) => set.info().clone(),
        None => DatasetInfo {
            name: name.clone(),
            split: "replies".to_owned(),
            group_by: mapping.group.clone().unwrap_or_else(|| "row".to_owned()),
            fingerprint: fingerprint.clone(),
            citation: String::new(),
            published_rows: None,
        },
    };
    let mut problems = survey.problems.clone();
    let (items, side) = match asked {
        None => {
            problems.extend(survey.repeats);
            (survey.items.len(), Side::Own(survey.items))
        }
        Some(asked) => {
            let by = (options.pair_by, options.rollouts);
            let pairing = pairing(by, (file, &mapping), &survey, &asked, &described, &mut notes)?;
            record("paired_by", pairing.word().into());
            if options.ids_only {
                record("ids_only", true.into());
            }
            let paired = Paired::of((file, &mapping), &pairing, &asked, options.rollouts, options.ids_only)?;
            let set = if dataset.is_some() { info.name.as_str() } else { "the references" };
            notes.extend(paired.notes(set));
            problems.extend(paired.repeats);
            match references.filter(|_| dataset.is_none()) {
                None => {
                    let ids = asked.iter().map(|asked| Some(asked.as_ref()?.id.clone())).collect();
                    (asked.len(), Side::Set(pairing, ids))
                }
                Some(rows) => {
                    let (items, rows) = in_order_of(paired.order, rows);
                    (rows.len(), Side::References(pairing, items, rows))
                }
            }
        }
    };
    // With the layout of run folders: one that an earlier version made of the same file cannot be written to.
    let key = text_sha256(&format!("2{fingerprint}{read_as}"));
    notes.push(described);
    Ok(Join {
        dataset: info,
        folder: format!("{name}-{}", key.get(..8).unwrap_or_default()),
        name,
        file_sha256: fingerprint,
        box_dialect: options.places.dialect.clone().unwrap_or_else(|| "none".to_owned()),
        read_as,
        items,
        rollouts: options.rollouts,
        notes,
        problems,
        file: file.clone(),
        mapping,
        set: dataset,
        side,
        dialects,
        loader,
    })
}

/// The item of each row of the references, and the rows by item: those first to which the file comes, in its
/// order, then those that it lacks.
#[expect(clippy::needless_pass_by_value, reason = "handed on with what is read out of it")]
fn in_order_of(order: Vec<usize>, rows: Vec<ReplyRow>) -> (Vec<usize>, Vec<ReplyRow>) {
    let mut items: Vec<Option<usize>> = vec![None; rows.len()];
    for (item, row) in order.iter().enumerate() {
        if let Some(slot) = items.get_mut(*row) {
            *slot = Some(item);
        }
    }
    let mut next = order.len();
    let items: Vec<usize> = items
        .into_iter()
        .map(|item| {
            item.unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let mut by_item: Vec<(usize, ReplyRow)> = items.iter().copied().zip(rows).collect();
    by_item.sort_by_key(|(item, _)| *item);
    (items, by_item.into_iter().map(|(_, row)| row).collect())
}

/// Surveys the file with the first column that identifies its rows and shares an id with the other side.
fn identified(
    options: &JoinOptions,
    mapping: &mut Mapping,
    ids: &[String],
    asked: Option<&[Option<Asked>]>,
    notes: &mut Vec<String>,
) -> Result<Survey, JoinError> {
    let rollouts = options.rollouts;
    let survey = |mapping: &Mapping| Survey::of(&options.replies, mapping, rollouts);
    if options.columns.id.is_some() || ids.is_empty() {
        return survey(mapping);
    }
    let theirs: Option<HashSet<&str>> = asked.map(|all| all.iter().flatten().map(|a| key(&a.id)).collect());
    // Columns that share ids but only number the rows of the file, and columns that share none.
    let mut numbering: Option<(String, Survey)> = None;
    let mut strange: Option<(String, Survey)> = None;
    for column in ids {
        mapping.id = Some(column.clone());
        let found = survey(mapping)?;
        if !found.identifies(rollouts) {
            // A guessed column that is no identity.
            let why = match found.repeats.first().and_then(|first| first.split(':').next()) {
                Some(first) => {
                    format!("{} of an earlier row, first {first}", counted(found.repeats.len(), "value"))
                }
                None => format!("no value in {} of {} rows", found.rows - found.named, found.rows),
            };
            notes.push(format!("column {column:?} is no id: {why}"));
            continue;
        }
        let shared = theirs.as_ref().is_none_or(|ids| found.items.keys().any(|id| ids.contains(key(id))));
        match (shared, asked.is_some() && found.numbers_rows()) {
            (true, false) => return Ok(found),
            (true, true) => numbering = numbering.or(Some((column.clone(), found))),
            (false, _) => strange = strange.or(Some((column.clone(), found))),
        }
    }
    if let Some((column, found)) = numbering.or(strange) {
        mapping.id = Some(column);
        return Ok(found);
    }
    mapping.id = None;
    if asked.is_none() {
        notes.push("rows are numbered".to_owned());
    }
    survey(mapping)
}

impl<'a> Join<'a> {
    /// The questions in order: of the dataset, of the references, or made from the rows of the file.
    pub fn samples(&self) -> Box<dyn Iterator<Item = JoinedSample> + '_> {
        if let Some(set) = self.set {
            return Box::new((0..set.len()).map(move |row| JoinedSample { row, sample: set.get(row) }));
        }
        let mut next = 0;
        let mut places = self.places();
        let mut sample = move |row: &ReplyRow| {
            let mut sample = row.sample();
            if let Some(target) = places.as_mut().and_then(|places| places.target(row)) {
                sample.target = target;
            }
            JoinedSample { row: row.row, sample: Ok(sample) }
        };
        let rows = stream(&self.file, &self.mapping).flatten();
        // The first row of an item is the sample; further ones are rollouts.
        let firsts = rows.filter(move |row| {
            let first = self.side.item(row) == Some(next);
            next += usize::from(first);
            first
        });
        let Side::References(_, _, references) = &self.side else {
            return Box::new(firsts.map(move |row| sample(&row)));
        };
        let mut left = references.iter();
        let mut firsts = firsts.fuse();
        Box::new(std::iter::from_fn(move || {
            let reference = left.next()?;
            Some(match firsts.next() {
                Some(row) => sample(&referenced(row, reference)),
                None => sample(reference),
            })
        }))
    }

    /// The replies in the order of the file, boxes and points undone.
    pub fn replies(&self) -> ReplyLines<'_> {
        ReplyLines {
            join: self,
            rows: stream(&self.file, &self.mapping),
            places: self.places(),
            rollouts: vec![0; self.items],
            failed: 0,
        }
    }

    /// What is to be said once the replies are written, in sentences for people.
    pub fn warnings(&self, written: &ReplyLines<'_>) -> Vec<String> {
        const MOST: usize = 5;
        let mut said = Vec::new();
        let lacking: Vec<usize> =
            (0..self.items).filter(|i| written.rollouts.get(*i).is_none_or(|n| *n < self.rollouts)).collect();
        if !lacking.is_empty() {
            let names: Vec<String> = lacking.iter().take(MOST).filter_map(|i| self.side.id(*i)).collect();
            let more = if lacking.len() > MOST { ", …" } else { "" };
            let names =
                if names.is_empty() { String::new() } else { format!(" (ids {}{more})", names.join(", ")) };
            said.push(format!(
                "{} of {} replies are not in the file{names}",
                written.missing(),
                self.items * self.rollouts
            ));
        }
        if written.failed > 0 {
            said.push(format!(
                "{} of the file hold no reply and failed",
                loupe_core::words::counted(written.failed, "row")
            ));
        }
        said.extend(self.problems.iter().take(MOST).cloned());
        if self.problems.len() > MOST {
            said.push(format!("… and {} more rows that could not be used", self.problems.len() - MOST));
        }
        said
    }

    fn places(&self) -> Option<Places<'a>> {
        self.dialects.map(|dialects| Places::new(dialects, self.loader))
    }
}

/// A row of replies with its reference, and what the file of references says besides.
fn referenced(mut row: ReplyRow, reference: &ReplyRow) -> ReplyRow {
    row.id.clone_from(&reference.id);
    row.gold.clone_from(&reference.gold);
    row.tags.extend(reference.tags.clone());
    if row.choices.iter().all(|c| c.text.is_empty()) && !reference.choices.is_empty() {
        row.choices.clone_from(&reference.choices);
    }
    if row.question.is_empty() {
        row.question.clone_from(&reference.question);
    }
    row.group = row.group.or_else(|| reference.group.clone());
    row
}

/// Rows that are looked at to see whether options are missing.
const FIRST_ROWS: usize = 20;

/// A note where most references are letters and no options are to be had, so that they will be judged as words.
fn lacks_options(rows: &[ReplyRow]) -> Option<String> {
    let letter = |gold: &[String]| matches!(gold, [one] if matches!(one.trim().as_bytes(), [b'A'..=b'J']));
    let bare = rows.iter().filter(|row| row.choices.is_empty() && letter(&row.gold)).count();
    (2 * bare > rows.len()).then(|| {
        "most references are letters, but no options were found; name their column with --choices-column, or give --letters ABCDE"
            .to_owned()
    })
}

/// The replies of a [`Join`]: rows without an item, or beyond the number of rollouts, are left out.
pub struct ReplyLines<'a> {
    join: &'a Join<'a>,
    rows: Stream,
    places: Option<Places<'a>>,
    /// Replies so far, by item.
    rollouts: Vec<usize>,
    /// Rows so far that hold no reply.
    failed: usize,
}

impl ReplyLines<'_> {
    /// Replies that no row has given so far; after the last row, those that the file lacks.
    pub fn missing(&self) -> usize {
        self.rollouts.iter().map(|have| self.join.rollouts.saturating_sub(*have)).sum()
    }

    fn joined(&mut self, row: ReplyRow) -> Option<JoinedReply> {
        let Self { join, places, rollouts, failed, .. } = self;
        let item = join.side.item(&row)?;
        let rollout = rollouts.get_mut(item).filter(|have| **have < join.rollouts)?;
        *rollout += 1;
        let id = join.side.id(item).unwrap_or_else(|| row.id.clone());
        let (outcome, pictures) = match (&row.failure, places) {
            (Some(reason), _) => {
                *failed += 1;
                (Outcome::Failed(Failure::may_pass(reason.clone())), Vec::new())
            }
            (None, Some(places)) => {
                let sample = join.set.and_then(|set| set.get(item).ok());
                places.reply(&row, sample.as_ref())
            }
            (None, None) => (Outcome::Reply(Reply::from_text(row.reply)), Vec::new()),
        };
        let prediction = Prediction { id, outcome, record: Record::Single };
        Some(JoinedReply { item, rollout: *rollout - 1, prediction, pictures })
    }
}

impl Iterator for ReplyLines<'_> {
    type Item = JoinedReply;

    fn next(&mut self) -> Option<JoinedReply> {
        loop {
            // Rows that break the format were named when the file was read first.
            if let Ok(row) = self.rows.next()?
                && let Some(line) = self.joined(row)
            {
                return Some(line);
            }
        }
    }
}
