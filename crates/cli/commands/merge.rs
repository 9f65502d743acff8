//! `loupe merge SHARD… -o RUN`

use crate::args::image::ImageArgs;
use crate::args::score::ScoreArgs;
use crate::commands::score;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::merge::merge_and_score;
use loupe_app::open::DataOptions;
use loupe_core::words::counted;
use std::path::PathBuf;

/// Join the shards of a run (`loupe eval --shard`) and score it as if one machine had made it.
///
/// All shards must be there, finished, unchanged and of one run. They stay as they are. The same command may be repeated.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders of all shards, in any order.
    #[arg(required = true, value_name = "SHARD")]
    shards: Vec<PathBuf>,

    /// Folder of the merged run.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// The dataset, needed only when its pictures lie inside its files.
    #[arg(long, value_name = "SET=DIR")]
    data: Option<String>,

    /// Its split, such as `test` or `test:en`.
    #[arg(long, requires = "data")]
    split: Option<String>,

    #[command(flatten)]
    score: ScoreArgs,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = args.score.options()?;
    let scorer = options.scorer()?;
    let data = args.data.as_deref().map(|d| DataOptions::parse(d, args.split.as_deref())).transpose()?;
    let dataset = data.as_ref().map(DataOptions::open).transpose()?;
    let loader = args.images.options().loader();
    let (merged, run) =
        merge_and_score(&args.shards, &args.output, &scorer, dataset.as_deref(), &loader, out)?;
    let (shards, replies) = (counted(merged.parts, "shard"), counted(merged.replies, "reply"));
    match merged.was_there {
        true => out.say(&format!("{shards}, {replies}: merged before, all as it was")),
        false => out.say(&format!("{shards} merged: {replies}")),
    }
    score::print(out, &run.summary, &args.output, &args.score)?;
    score::say_failures(out, &run.summary);
    Ok(score::ended(&run.summary))
}
