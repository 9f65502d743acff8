//! `loupe score RUN` and `loupe score --replies FILE`

use crate::args::image::ImageArgs;
use crate::args::replies::ReplyArgs;
use crate::args::score::ScoreArgs;
use crate::args::table::FormatName;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::open::DataOptions;
use loupe_app::replies::import;
use loupe_app::score::{Shown, Summary, is_complete, same_set, terminal};
use loupe_core::words::counted;
use std::path::{Path, PathBuf};

/// Score the replies of a run again, or those of another tool, without a model.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run folder.
    #[arg(required_unless_present = "replies", conflicts_with = "replies")]
    run: Option<PathBuf>,

    /// The dataset: its pictures for the page when they lie inside its files, its questions and
    /// references for --replies.
    #[arg(long, value_name = "SET=DIR")]
    data: Option<String>,

    /// Its split, such as `test` or `test:en`.
    #[arg(long, requires = "data")]
    split: Option<String>,

    #[command(flatten)]
    replies: ReplyArgs,

    #[command(flatten)]
    score: ScoreArgs,

    #[command(flatten)]
    images: ImageArgs,
}

/// The tables on the terminal, or the summary as JSON.
pub(crate) fn print(out: &mut Printer, summary: &Summary, dir: &Path, args: &ScoreArgs) -> Result<()> {
    if out.json {
        return out.document(summary);
    }
    let shown = Shown { all_subgroups: args.subgroups, format: FormatName::Terminal.into() };
    out.text(&terminal(summary, shown))?;
    let has_page = args.options()?.page.is_some();
    let last = match has_page {
        true => format!("report: {}", dir.join("report.html").display()),
        false => format!("run: {}", dir.display()),
    };
    out.say(&last);
    Ok(())
}

/// What failed and why, and whether asking again can help.
pub(crate) fn say_failures(out: &Printer, summary: &Summary) {
    let failed = summary.failed + summary.unreadable;
    if failed == 0 {
        return;
    }
    let reasons = summary.failures.iter().take(2).map(|f| format!("{} × {}", f.n, f.reason));
    let samples = counted(usize::try_from(failed).unwrap_or(usize::MAX), "sample");
    let mut words = format!("{samples} without a reply: {}", reasons.collect::<Vec<_>>().join("; "));
    if summary.run.imported {
        words += "; the tool that wrote the replies can ask these again";
        return out.say(&words);
    }
    if summary.failed_for_good > 0 {
        words += &format!("; {} of them fail however often they are asked", summary.failed_for_good);
    }
    let may_pass = failed.saturating_sub(summary.failed_for_good);
    if may_pass > 0 {
        words += &format!("; `loupe eval` with --retry-failed asks {may_pass} of them again");
    }
    out.say(&words);
}

/// Did everything get a reply and every question to the judge a verdict?
pub(crate) fn ended(summary: &Summary) -> Ended {
    Ended::well_if(is_complete(summary))
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = args.score.options()?;
    let scorer = options.scorer()?;
    let data = args.data.as_deref().map(|d| DataOptions::parse(d, args.split.as_deref())).transpose()?;
    let dataset = data.as_ref().map(DataOptions::open).transpose()?;
    let loader = args.images.options().loader();
    let (dir, unusable) = match &args.run {
        Some(dir) => {
            if let Some(set) = dataset.as_deref() {
                same_set(dir, set)?;
            }
            (dir.clone(), 0)
        }
        None => {
            let unreferenced = options.annotations.is_some();
            let options = args.replies.options(args.data.as_deref(), unreferenced)?;
            let imported = import(&options, dataset.as_deref(), &loader, out)?;
            (imported.dir, imported.unusable)
        }
    };
    let run = scorer.score(&dir, dataset.as_deref(), &loader, out)?;
    print(out, &run.summary, &dir, &args.score)?;
    say_failures(out, &run.summary);
    Ok(if unusable > 0 { Ended::WithFailures } else { ended(&run.summary) })
}
