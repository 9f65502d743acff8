//! Replies that another tool has written, side by side with the questions they answer.

use super::error::JoinError;
use super::mapping::Mapping;
use super::places::{Dialects, PlaceOptions, Places};
use super::rows::{ReplyRow, Stream, columns, read, stream};
use crate::digest::{file_sha256, text_sha256};
use loupe_core::sample::Outcome;
use loupe_core::{
    DataError, Dataset, DatasetInfo, MediaLoader, PictureRecord, Prediction, Record, Reply, Sample,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Columns by name; what is not given is guessed from the names there are ([`Mapping::guess`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnOptions {
    /// Of the reply; `a.b` goes into nested objects, `a.0` into lists.
    pub reply: Option<String>,
    /// Of the id.
    pub id: Option<String>,
    /// Of the reference answer.
    pub gold: Option<String>,
    /// Of the question.
    pub question: Option<String>,
    /// Of the options.
    pub choices: Option<String>,
    /// Of what rows share: image, patient, video.
    pub group: Option<String>,
    /// Columns to keep as tags, as (tag, column).
    pub tags: Vec<(String, String)>,
    /// Where the rows lie inside a JSON object.
    pub rows: Option<String>,
    /// Letters on offer where the file has no options, such as `ABCD`.
    pub letters: String,
}

/// Which replies, and how they are matched with questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOptions {
    /// The file of replies.
    pub replies: PathBuf,
    /// References in a file of their own, matched by id.
    pub references: Option<PathBuf>,
    /// What the columns of the replies mean.
    pub columns: ColumnOptions,
    /// The dataset as its user named it, for the record; `None` where the file holds the questions itself.
    pub data: Option<String>,
    /// Match rows with the dataset by position, not by id.
    pub in_order: bool,
    /// Replies per sample: so many rows have the same id.
    pub rollouts: usize,
    /// Boxes and points in the replies.
    pub places: PlaceOptions,
}

impl JoinOptions {
    /// One reply a sample, matched by id, without places.
    pub fn new(replies: impl Into<PathBuf>) -> Self {
        Self {
            replies: replies.into(),
            references: None,
            columns: ColumnOptions::default(),
            data: None,
            in_order: false,
            rollouts: 1,
            places: PlaceOptions::default(),
        }
    }
}

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
    in_order: bool,
    /// Item by id.
    item_of: HashMap<String, usize>,
    references: HashMap<String, ReplyRow>,
    dialects: Option<Dialects>,
    loader: &'a dyn MediaLoader,
}

/// Reads the file of replies once, to learn its columns, ids and bad rows, and matches it with `dataset` or
/// with the questions that it holds itself. `loader` tells the sizes of the dataset's pictures where places
/// are read.
///
/// # Errors
/// When a file cannot be read, its columns mean nothing, it does not belong to the dataset, or its dialect
/// needs a size that nobody has.
pub fn join<'a>(
    options: &JoinOptions,
    dataset: Option<&'a dyn Dataset>,
    loader: &'a dyn MediaLoader,
) -> Result<Join<'a>, JoinError> {
    let file = &options.replies;
    if options.rollouts == 0 {
        return Err(JoinError::NoRollouts);
    }
    let dialects = options.places.checked(dataset.is_some())?;
    let mut mapping = mapping(options)?;
    let mut notes = Vec::new();
    let mut survey = Survey::of(file, &mapping, options.rollouts)?;
    if survey.items.len() < survey.rows && options.rollouts == 1 && options.columns.id.is_none() {
        // A guessed column that is no identity.
        if let Some(column) = mapping.id.take() {
            notes.push(format!("column {column:?} repeats; rows are numbered instead"));
            survey = Survey::of(file, &mapping, options.rollouts)?;
        }
    }
    let described = described(&mapping);
    let references = match &options.references {
        Some(file) => references(file, options)?,
        None => HashMap::new(),
    };
    let fingerprint = file_sha256(file).map_err(JoinError::Replies)?;
    let of_references = options.references.as_deref().map(file_sha256).transpose();
    let mut read_as = json!({
        "mapping": mapping,
        "in_order": options.in_order,
        "data": options.data,
        "references": of_references.map_err(JoinError::References)?,
    });
    if let (Some(dialects), Some(how)) = (options.places.record(), read_as.as_object_mut()) {
        how.insert("dialects".to_owned(), dialects);
    }
    let name = file.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    // With the layout of run folders: one that an earlier version made of the same file cannot be written to.
    let key = text_sha256(&format!("2{fingerprint}{read_as}"));
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
    let (items, item_of) = match dataset {
        Some(set) => (set.len(), items_of_set(set, &survey, options.in_order, &described)?),
        None => (survey.items.len(), survey.items),
    };
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
        problems: survey.problems,
        file: file.clone(),
        mapping,
        set: dataset,
        in_order: options.in_order,
        item_of,
        references,
        dialects,
        loader,
    })
}

impl<'a> Join<'a> {
    /// The questions in order: of the dataset, or made from the rows of the file.
    pub fn samples(&self) -> Box<dyn Iterator<Item = JoinedSample> + '_> {
        if let Some(set) = self.set {
            return Box::new((0..set.len()).map(move |row| JoinedSample { row, sample: set.get(row) }));
        }
        let mut next = 0;
        let mut places = self.places();
        let rows = stream(&self.file, &self.mapping).flatten();
        Box::new(rows.filter_map(move |mut row| {
            // The first row of an id is the sample; further ones are rollouts.
            if self.item_of.get(&row.id) != Some(&next) {
                return None;
            }
            next += 1;
            if let Some(reference) = self.references.get(&row.id) {
                row.gold.clone_from(&reference.gold);
                row.tags.extend(reference.tags.clone());
                if row.choices.iter().all(|c| c.text.is_empty()) && !reference.choices.is_empty() {
                    row.choices.clone_from(&reference.choices);
                }
            }
            let mut sample = row.sample();
            if let Some(target) = places.as_mut().and_then(|places| places.target(&row)) {
                sample.target = target;
            }
            Some(JoinedSample { row: row.row, sample: Ok(sample) })
        }))
    }

    /// The replies in the order of the file, boxes and points undone.
    pub fn replies(&self) -> ReplyLines<'_> {
        ReplyLines {
            join: self,
            rows: stream(&self.file, &self.mapping),
            places: self.places(),
            rollouts: vec![0; self.items],
        }
    }

    /// What is to be said once the replies are written, in sentences for people; `missing` as
    /// [`ReplyLines::missing`] counts it.
    pub fn warnings(&self, missing: usize) -> Vec<String> {
        const MOST: usize = 5;
        let mut said = Vec::new();
        if missing > 0 {
            said.push(format!("{missing} of {} replies are not in the file", self.items * self.rollouts));
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

/// The replies of a [`Join`]: rows without an item, or beyond the number of rollouts, are left out.
pub struct ReplyLines<'a> {
    join: &'a Join<'a>,
    rows: Stream,
    places: Option<Places<'a>>,
    /// Replies so far, by item.
    rollouts: Vec<usize>,
}

impl ReplyLines<'_> {
    /// Replies that no row has given so far; after the last row, those that the file lacks.
    pub fn missing(&self) -> usize {
        self.rollouts.iter().map(|have| self.join.rollouts.saturating_sub(*have)).sum()
    }

    fn joined(&mut self, row: ReplyRow) -> Option<JoinedReply> {
        let Self { join, places, rollouts, .. } = self;
        let item = if join.set.is_some() && join.in_order { row.row } else { *join.item_of.get(&row.id)? };
        let rollout = rollouts.get_mut(item).filter(|have| **have < join.rollouts)?;
        *rollout += 1;
        let (outcome, pictures) = match places {
            Some(places) => {
                let sample = join.set.and_then(|set| set.get(item).ok());
                places.reply(&row, sample.as_ref())
            }
            None => (Outcome::Reply(Reply::from_text(row.reply)), Vec::new()),
        };
        let prediction = Prediction { id: row.id, outcome, record: Record::Single };
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

/// What the columns of the replies mean.
fn mapping(options: &JoinOptions) -> Result<Mapping, JoinError> {
    let given = &options.columns;
    let columns = columns(&options.replies, given.rows.as_deref()).map_err(JoinError::Replies)?;
    let names = || columns.iter().map(String::as_str);
    let mut mapping = match (Mapping::guess(names()), &given.reply) {
        (Ok(mapping), _) => mapping,
        // The other columns are guessed as if the reply's had a name that is known.
        (Err(_), Some(_)) => Mapping::guess(names().chain(["reply"])).map_err(JoinError::NoReplyColumn)?,
        (Err(problem), None) => return Err(JoinError::NoReplyColumn(problem)),
    };
    let set = |to: &mut Option<String>, given: &Option<String>| {
        if given.is_some() {
            to.clone_from(given);
        }
    };
    mapping.reply = given.reply.clone().unwrap_or(mapping.reply);
    set(&mut mapping.id, &given.id);
    set(&mut mapping.gold, &given.gold);
    set(&mut mapping.question, &given.question);
    set(&mut mapping.choices, &given.choices);
    set(&mut mapping.group, &given.group);
    if mapping.gold.as_ref() == Some(&mapping.reply) {
        mapping.gold = None;
    }
    for (tag, column) in &given.tags {
        mapping.tags.retain(|(have, _)| have != tag);
        mapping.tags.push((tag.clone(), column.clone()));
    }
    mapping.rows.clone_from(&given.rows);
    mapping.letters.clone_from(&given.letters);
    mapping.sizes = options.places.columns();
    let by_name = [&given.reply, &given.id, &given.gold, &given.question, &given.choices, &given.group];
    for column in by_name.into_iter().flatten().chain(&mapping.sizes) {
        let top = column.split('.').next().unwrap_or(column);
        if !columns.is_empty() && !columns.iter().any(|c| c == column || c == top) {
            return Err(JoinError::NoColumn { column: column.clone(), known: columns.join(", ") });
        }
    }
    Ok(mapping)
}

/// The mapping in words.
fn described(mapping: &Mapping) -> String {
    let of = |column: &Option<String>| column.clone().unwrap_or_else(|| "–".to_owned());
    let tags: Vec<String> = mapping
        .tags
        .iter()
        .map(|(tag, column)| if tag == column { tag.clone() } else { format!("{tag}={column}") })
        .collect();
    format!(
        "columns: reply {}, reference {}, id {}, question {}, options {}, group {}, tags {}",
        if mapping.reply.is_empty() { "(the value)" } else { &mapping.reply },
        of(&mapping.gold),
        of(&mapping.id),
        of(&mapping.question),
        of(&mapping.choices),
        of(&mapping.group),
        if tags.is_empty() { "–".to_owned() } else { tags.join(", ") }
    )
}

/// What is in a file: its rows and ids, and the rows that cannot be used.
#[derive(Default)]
struct Survey {
    /// Item by id, in order of first appearance.
    items: HashMap<String, usize>,
    rows: usize,
    problems: Vec<String>,
}

impl Survey {
    fn of(file: &Path, mapping: &Mapping, rollouts: usize) -> Result<Self, JoinError> {
        let mut survey = Self::default();
        let mut times = Vec::new();
        for row in stream(file, mapping) {
            match row {
                Ok(row) => {
                    survey.rows += 1;
                    let next = survey.items.len();
                    let item = *survey.items.entry(row.id).or_insert(next);
                    if item == times.len() {
                        times.push(0);
                    }
                    let Some(times) = times.get_mut(item) else { continue };
                    *times += 1;
                    if *times > rollouts {
                        survey.problems.push(format!(
                            "row {}: its id occurs before; --rollouts counts replies per id",
                            row.row
                        ));
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
}

/// The item of each id of a dataset; none where rows are matched by position.
fn items_of_set(
    set: &dyn Dataset,
    survey: &Survey,
    in_order: bool,
    columns: &str,
) -> Result<HashMap<String, usize>, JoinError> {
    if in_order {
        if set.len() != survey.rows {
            return Err(JoinError::Length { rows: survey.rows, set: set.len() });
        }
        return Ok(HashMap::new());
    }
    let mut items = HashMap::new();
    let mut first = None;
    for item in 0..set.len() {
        if let Ok(sample) = set.get(item) {
            first.get_or_insert_with(|| sample.id.clone());
            items.insert(sample.id, item);
        }
    }
    if survey.items.keys().all(|id| !items.contains_key(id)) {
        return Err(JoinError::NoSharedId {
            theirs: survey.items.keys().min().cloned().unwrap_or_default(),
            ours: first.unwrap_or_default(),
            columns: columns.to_owned(),
        });
    }
    Ok(items)
}

/// References of a file of their own, by id.
fn references(file: &Path, options: &JoinOptions) -> Result<HashMap<String, ReplyRow>, JoinError> {
    let columns = columns(file, None).map_err(JoinError::References)?;
    let named = columns.iter().map(String::as_str).chain(["reply"]);
    let mut mapping = Mapping::guess(named).map_err(JoinError::NoReplyColumn)?;
    if options.columns.gold.is_some() {
        mapping.gold.clone_from(&options.columns.gold);
    }
    // A map from id to reference has no columns.
    mapping.reply = mapping.gold.clone().unwrap_or_default();
    let rows = read(file, &mapping).map_err(JoinError::References)?.rows;
    let bare = mapping.gold.is_none();
    let whole = |mut row: ReplyRow| {
        if bare {
            row.gold = vec![row.reply.clone()];
        }
        (row.id.clone(), row)
    };
    Ok(rows.into_iter().map(whole).collect())
}
