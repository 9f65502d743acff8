//! Where the replies of another tool are and what their columns mean.

use crate::invocation::invocation;
use anyhow::{Context, Result};
use loupe_app::replies::{ColumnOptions, ColumnPair, ImportOptions, JoinOptions, PairBy, PlaceOptions};
use std::path::PathBuf;

/// Where the replies are and what their columns mean.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Replies of another tool")]
pub(crate) struct ReplyArgs {
    /// Score this file of replies (.jsonl, .json, .csv, .tsv, .xlsx, .parquet, or .eval of inspect_ai) instead of
    /// a run; it becomes a run folder. Columns are guessed from their names and said on stderr.
    #[arg(long, value_name = "FILE")]
    replies: Option<PathBuf>,

    /// References in a file of their own, matched by id unless --by-question or --in-order says otherwise.
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

    /// Match rows with the set of --data, or with --references, by position and not by id. Questions and
    /// references that both sides have are still compared.
    #[arg(long, requires = "replies", conflicts_with = "by_question")]
    in_order: bool,

    /// Match rows by the words of their questions, and by image and reference where several items have the same
    /// words. Without it that is done where the file has no ids.
    #[arg(long, requires = "replies")]
    by_question: bool,

    /// Do not compare the questions and references that both sides have; for sets whose wording was changed.
    #[arg(long, requires = "replies")]
    ids_only: bool,

    /// Replies per sample: so many rows have the same id.
    #[arg(long, value_name = "K", default_value_t = 1, requires = "replies")]
    rollouts: usize,

    /// What made the replies, for tables; the file's name when not given.
    #[arg(long, value_name = "NAME", requires = "replies")]
    model_name: Option<String>,

    /// Read boxes and points out of the replies, which are in this dialect (see `loupe list dialects`).
    /// The size of each picture comes from the pictures of --data or from --size-columns.
    #[arg(long, value_name = "NAME", requires = "replies")]
    dialect: Option<String>,

    /// The references of the file are boxes, points or counts in this dialect.
    #[arg(long, value_name = "NAME", requires = "dialect", conflicts_with = "data")]
    reference_dialect: Option<String>,

    /// Columns of the width and the height of the picture in pixels.
    #[arg(long, value_name = "WIDTH,HEIGHT", requires = "dialect", value_parser = pair)]
    size_columns: Option<ColumnPair>,

    /// Columns of the width and the height of the picture as the model saw it, for dialects that count
    /// the pixels after the model's own resizing.
    #[arg(long, value_name = "WIDTH,HEIGHT", requires = "dialect", value_parser = pair)]
    input_size_columns: Option<ColumnPair>,

    /// Folder of the run; named after the file and its columns under `runs` when not given.
    #[arg(long, short, value_name = "DIR", requires = "replies")]
    output: Option<PathBuf>,
}

fn pair(names: &str) -> Result<ColumnPair, String> {
    match names.split_once(',') {
        Some((width, height)) if !width.is_empty() && !height.is_empty() && !height.contains(',') => {
            Ok((width.to_owned(), height.to_owned()))
        }
        _ => Err("expected two names of columns with a comma between them".to_owned()),
    }
}

impl ReplyArgs {
    /// As a plain option; `set` is the dataset as it was named, `unreferenced` says that replies can be judged
    /// without references.
    pub(crate) fn options(&self, set: Option<&str>, unreferenced: bool) -> Result<ImportOptions> {
        let replies = self.replies.clone().context("a run folder or --replies FILE is needed")?;
        let tag = |tag: &String| {
            let (tag, column) = tag.split_once('=').unwrap_or((tag, tag));
            (tag.to_owned(), column.to_owned())
        };
        let columns = ColumnOptions {
            reply: self.reply_column.clone(),
            id: self.id_column.clone(),
            gold: self.gold_column.clone(),
            question: self.question_column.clone(),
            choices: self.choices_column.clone(),
            group: self.group_column.clone(),
            tags: self.tags.iter().map(tag).collect(),
            rows: self.rows.clone(),
            letters: self.letters.clone().unwrap_or_default(),
        };
        let places = PlaceOptions {
            dialect: self.dialect.clone(),
            reference_dialect: self.reference_dialect.clone(),
            size_columns: self.size_columns.clone(),
            input_size_columns: self.input_size_columns.clone(),
        };
        let join = JoinOptions {
            replies,
            references: self.references.clone(),
            columns,
            data: set.map(str::to_owned),
            pair_by: match (self.in_order, self.by_question) {
                (true, _) => PairBy::Order,
                (_, true) => PairBy::Question,
                _ => PairBy::Id,
            },
            ids_only: self.ids_only,
            unreferenced,
            rollouts: self.rollouts,
            places,
        };
        Ok(ImportOptions {
            join,
            model: self.model_name.clone(),
            output: self.output.clone(),
            invocation: invocation(),
        })
    }
}
