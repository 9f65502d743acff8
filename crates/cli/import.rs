//! Replies that another tool has written, as a run folder that every command can read.

use crate::commands::eval::open_data;
use crate::printer::Printer;
use crate::spoken::{DialectArgs, Places};
use anyhow::{Context, Result, bail};
use loupe_core::sample::Outcome;
use loupe_core::{DataError, Dataset, DatasetInfo, MediaLoader, Prediction, Reply, Sample};
use loupe_datasets::replies::{self, Imported, Mapping};
use loupe_eval::run::{ReplyLine, SampleLine, Setting, Source, import};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Where the replies are and what their columns mean.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Replies of another tool")]
pub(crate) struct ReplyArgs {
    /// Score this file of replies (.jsonl, .json, .csv, .tsv, .xlsx) instead of a run; it becomes a
    /// run folder. Columns are guessed from their names and said on stderr.
    #[arg(long, value_name = "FILE")]
    pub(crate) replies: Option<PathBuf>,

    /// References in a file of their own, matched by id.
    #[arg(long, value_name = "FILE", requires = "replies")]
    references: Option<PathBuf>,

    /// Column of the reply; `a.b` goes into nested objects, `a.0` into lists.
    #[arg(long, value_name = "COLUMN", requires = "replies")]
    reply_column: Option<String>,

    /// Column of the id; rows are numbered when no column looks like one.
    #[arg(long, value_name = "COLUMN", requires = "replies")]
    id_column: Option<String>,

    /// Column of the reference answer.
    #[arg(long, value_name = "COLUMN", requires = "replies")]
    gold_column: Option<String>,

    /// Column of the question.
    #[arg(long, value_name = "COLUMN", requires = "replies")]
    question_column: Option<String>,

    /// Column of the options; columns `A`, `B` … are found without it.
    #[arg(long, value_name = "COLUMN", requires = "replies")]
    choices_column: Option<String>,

    /// Column of what rows share: image, patient, video.
    #[arg(long, value_name = "COLUMN", requires = "replies")]
    group_column: Option<String>,

    /// Keep a column as a tag, under another name if wanted; may be given several times.
    #[arg(long = "tag", value_name = "TAG=COLUMN", requires = "replies")]
    tags: Vec<String>,

    /// Where the rows lie inside a JSON object.
    #[arg(long, value_name = "KEY", requires = "replies")]
    rows: Option<String>,

    /// Letters on offer where the file has no options, such as ABCD.
    #[arg(long, value_name = "LETTERS", requires = "replies")]
    letters: Option<String>,

    /// Match rows with the set of --data by position, not by id.
    #[arg(long, requires_all = ["replies", "data"])]
    in_order: bool,

    /// Replies per sample: so many rows have the same id.
    #[arg(long, value_name = "K", default_value_t = 1, requires = "replies")]
    rollouts: usize,

    /// What made the replies, for tables; the file's name when not given.
    #[arg(long, value_name = "NAME", requires = "replies")]
    model_name: Option<String>,

    #[command(flatten)]
    places: DialectArgs,

    /// Folder of the run; named after the file and its columns under `runs` when not given.
    #[arg(long, short, value_name = "DIR", requires = "replies")]
    output: Option<PathBuf>,
}

/// Where each row of the file belongs.
struct Plan {
    /// Item by id.
    items: HashMap<String, usize>,
    rows: usize,
}

impl ReplyArgs {
    fn mapping(&self, path: &Path) -> Result<Mapping> {
        let columns =
            replies::columns(path, self.rows.as_deref()).context("the replies could not be read")?;
        let guess = Mapping::guess(columns.iter().map(String::as_str));
        let mut mapping = match (guess, &self.reply_column) {
            (Ok(mapping), _) => mapping,
            // The other columns are guessed as if the reply's had a name that is known.
            (Err(_), Some(_)) => {
                let named = columns.iter().map(String::as_str).chain(["reply"]);
                Mapping::guess(named).map_err(anyhow::Error::msg)?
            }
            (Err(problem), None) => bail!(problem),
        };
        let set = |to: &mut Option<String>, given: &Option<String>| {
            if given.is_some() {
                to.clone_from(given);
            }
        };
        mapping.reply = self.reply_column.clone().unwrap_or(mapping.reply);
        set(&mut mapping.id, &self.id_column);
        set(&mut mapping.gold, &self.gold_column);
        set(&mut mapping.question, &self.question_column);
        set(&mut mapping.choices, &self.choices_column);
        set(&mut mapping.group, &self.group_column);
        if mapping.gold.as_ref() == Some(&mapping.reply) {
            mapping.gold = None;
        }
        for tag in &self.tags {
            let (tag, column) = tag.split_once('=').unwrap_or((tag, tag));
            mapping.tags.retain(|(have, _)| have != tag);
            mapping.tags.push((tag.to_owned(), column.to_owned()));
        }
        mapping.rows.clone_from(&self.rows);
        mapping.letters = self.letters.clone().unwrap_or_default();
        mapping.sizes = self.places.columns();
        let given = [&self.reply_column, &self.id_column, &self.gold_column, &self.question_column];
        let given = given.into_iter().chain([&self.choices_column, &self.group_column]).flatten();
        for column in given.chain(&mapping.sizes) {
            let top = column.split('.').next().unwrap_or(column);
            if !columns.is_empty() && !columns.iter().any(|c| c == column || c == top) {
                bail!("the file has no column {column:?}; there are {}", columns.join(", "));
            }
        }
        Ok(mapping)
    }
}

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

/// Writes the run folder and returns it with the number of rows that could not be used.
pub(crate) fn run(
    args: &ReplyArgs,
    data: Option<(&str, Option<&str>)>,
    loader: &dyn MediaLoader,
    out: &Printer,
) -> Result<(PathBuf, usize)> {
    let Some(path) = &args.replies else { bail!("a run folder or --replies FILE is needed") };
    if args.rollouts == 0 {
        bail!("--rollouts must be at least 1");
    }
    let undone = || args.places.places(data.is_some(), loader);
    let (mut of_replies, of_samples) = (undone()?, undone()?);
    let mut mapping = args.mapping(path)?;
    let dataset = data.map(|(set, split)| open_data(set, split)).transpose()?;
    let mut problems: Vec<String> = Vec::new();
    let mut plan = survey(path, &mapping, args.rollouts, &mut problems)?;
    if plan.items.len() < plan.rows && args.rollouts == 1 && args.id_column.is_none() {
        // A guessed column that is no identity.
        if let Some(column) = mapping.id.take() {
            out.say(&format!("column {column:?} repeats; rows are numbered instead"));
            problems.clear();
            plan = survey(path, &mapping, args.rollouts, &mut problems)?;
        }
    }
    out.say(&described(&mapping));
    let references = match &args.references {
        Some(file) => references(file, args)?,
        None => HashMap::new(),
    };
    let fingerprint = loupe_datasets::file_sha256(path).context("the replies could not be read")?;
    let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let mut how = json!({ "mapping": mapping, "in_order": args.in_order, "data": data.map(|d| d.0),
        "references": args.references.as_deref().map(loupe_datasets::file_sha256).transpose()? });
    if let (Some(dialects), Some(how)) = (args.places.record(), how.as_object_mut()) {
        how.insert("dialects".to_owned(), dialects);
    }
    let info = match &dataset {
        Some(set) => set.info().clone(),
        None => DatasetInfo {
            name: stem.clone(),
            split: "replies".to_owned(),
            group_by: mapping.group.clone().unwrap_or_else(|| "row".to_owned()),
            fingerprint: fingerprint.clone(),
            citation: String::new(),
        },
    };
    let dir = args.output.clone().unwrap_or_else(|| {
        let key = loupe_datasets::text_sha256(&format!("{fingerprint}{how}"));
        PathBuf::from("runs").join(format!("{stem}-{}", key.get(..8).unwrap_or_default()))
    });
    let given = |value: Value| Setting { value, given: true };
    let source = Source {
        model: args.model_name.clone().unwrap_or(stem),
        dataset: info,
        rollouts: args.rollouts,
        box_dialect: args.places.dialect.clone().unwrap_or_else(|| "none".to_owned()),
        settings: BTreeMap::from([
            ("replies_sha256".to_owned(), given(fingerprint.into())),
            ("replies_read_as".to_owned(), given(how)),
        ]),
    };
    let n = dataset.as_deref().map_or(plan.items.len(), Dataset::len);
    if let Some(set) = dataset.as_deref() {
        plan.items = places(set, &plan, args)?;
    }
    let mut seen = vec![0usize; n];
    let mut samples = samples(path, &mapping, dataset.as_deref(), &references, &plan, of_samples);
    let mut lines = replies::stream(path, &mapping).flatten().filter_map(|row| {
        let item = match (dataset.is_some(), args.in_order) {
            (true, true) => row.row,
            _ => *plan.items.get(&row.id)?,
        };
        let rollout = seen.get_mut(item).filter(|seen| **seen < args.rollouts)?;
        *rollout += 1;
        let (outcome, pictures) = match &mut of_replies {
            Some(places) => {
                let sample = dataset.as_deref().and_then(|set| set.get(item).ok());
                places.reply(&row, sample.as_ref())
            }
            None => (Outcome::Reply(Reply::from_text(row.reply)), Vec::new()),
        };
        let prediction = Prediction { id: row.id, outcome, trace: Value::Null };
        Some(ReplyLine { item, rollout: *rollout - 1, prediction, pictures })
    });
    import(&dir, source, &mut samples, &mut lines)
        .with_context(|| format!("the replies could not be put into {}", dir.display()))?;
    drop(lines);
    let without: usize = seen.iter().map(|seen| args.rollouts - seen).sum();
    if without > 0 {
        out.say(&format!("{without} of {} replies are not in the file", n * args.rollouts));
    }
    for problem in problems.iter().take(5) {
        out.say(problem);
    }
    if problems.len() > 5 {
        out.say(&format!("… and {} more rows that could not be used", problems.len() - 5));
    }
    Ok((dir, problems.len()))
}

/// Counts rows and ids, and finds the rows that cannot be used.
fn survey(path: &Path, mapping: &Mapping, rollouts: usize, problems: &mut Vec<String>) -> Result<Plan> {
    let (mut items, mut times, mut rows) = (HashMap::new(), Vec::new(), 0);
    for row in replies::stream(path, mapping) {
        match row {
            Ok(row) => {
                rows += 1;
                let next = items.len();
                let item = *items.entry(row.id).or_insert(next);
                if item == times.len() {
                    times.push(0);
                }
                let Some(times) = times.get_mut(item) else { continue };
                *times += 1;
                if *times > rollouts {
                    problems.push(format!(
                        "row {}: its id occurs before; --rollouts counts replies per id",
                        row.row
                    ));
                }
            }
            Err(problem @ DataError::Row { .. }) => problems.push(problem.to_string()),
            Err(error) => return Err(error).context("the replies could not be read"),
        }
    }
    if rows == 0 {
        bail!("{} holds no replies", path.display());
    }
    Ok(Plan { items, rows })
}

/// The item of each id of a dataset.
fn places(set: &dyn Dataset, plan: &Plan, args: &ReplyArgs) -> Result<HashMap<String, usize>> {
    if args.in_order {
        if set.len() != plan.rows {
            bail!("the file has {} rows and the set {}; they do not match by position", plan.rows, set.len());
        }
        return Ok(HashMap::new());
    }
    let mut places = HashMap::new();
    let mut first = None;
    for item in 0..set.len() {
        if let Ok(sample) = set.get(item) {
            first.get_or_insert_with(|| sample.id.clone());
            places.insert(sample.id, item);
        }
    }
    if plan.items.keys().all(|id| !places.contains_key(id)) {
        let theirs = plan.items.keys().min().cloned().unwrap_or_default();
        bail!(
            "no id of the file is one of the set's (such as {theirs:?} there and {:?} here); name the column with --id-column, or match by position with --in-order",
            first.unwrap_or_default()
        );
    }
    Ok(places)
}

type References = HashMap<String, Imported>;

/// References of a file of their own, by id.
fn references(path: &Path, args: &ReplyArgs) -> Result<References> {
    let columns = replies::columns(path, None).context("the references could not be read")?;
    let named = columns.iter().map(String::as_str).chain(["reply"]);
    let mut mapping = Mapping::guess(named).map_err(anyhow::Error::msg)?;
    if args.gold_column.is_some() {
        mapping.gold.clone_from(&args.gold_column);
    }
    // A map from id to reference has no columns.
    mapping.reply = mapping.gold.clone().unwrap_or_default();
    let read = replies::read(path, &mapping).context("the references could not be read")?;
    let bare = mapping.gold.is_none();
    let whole = |mut row: Imported| {
        if bare {
            row.gold = vec![row.reply.clone()];
        }
        (row.id.clone(), row)
    };
    Ok(read.rows.into_iter().map(whole).collect())
}

/// The lines of samples.jsonl: of the dataset, or made from the rows themselves.
fn samples<'a>(
    path: &Path,
    mapping: &Mapping,
    dataset: Option<&'a dyn Dataset>,
    references: &'a References,
    plan: &'a Plan,
    mut places: Option<Places<'a>>,
) -> Box<dyn Iterator<Item = SampleLine> + 'a> {
    let line = |row, sample: Result<Sample, DataError>| match sample {
        Ok(sample) => SampleLine { row, sample: Some(sample), error: None },
        Err(error) => SampleLine { row, sample: None, error: Some(error.to_string()) },
    };
    if let Some(set) = dataset {
        return Box::new((0..set.len()).map(move |row| line(row, set.get(row))));
    }
    let mut next = 0;
    let rows = replies::stream(path, mapping).flatten().filter_map(move |mut row| {
        // The first row of an id is the sample; further ones are rollouts.
        if plan.items.get(&row.id) != Some(&next) {
            return None;
        }
        next += 1;
        if let Some(reference) = references.get(&row.id) {
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
        Some(line(row.row, Ok(sample)))
    });
    Box::new(rows)
}
