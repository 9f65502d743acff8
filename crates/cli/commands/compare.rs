//! `loupe compare RUN RUN…`

use crate::args::image::ImageArgs;
use crate::args::score::PageArgs;
use crate::args::table::FormatName;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::compare::{CompareOptions, ComparePage, compare, comparison_text};
use loupe_app::open::DataOptions;
use std::path::PathBuf;

/// Compare runs on the same samples: paired differences with intervals and tests. Of more than two each is compared with the first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run to compare against.
    baseline: PathBuf,

    /// The other runs.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,

    /// Whose verdicts are compared (see `loupe list profiles`).
    #[arg(long, default_value = "strict", value_name = "NAME")]
    profile: String,

    /// How the tables are written.
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,

    /// Write a page with the runs side by side, sample by sample.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,

    #[command(flatten)]
    page_size: PageArgs,

    /// The dataset; needed to show pictures that lie inside its files.
    #[arg(long, value_name = "SET=DIR")]
    data: Option<String>,

    /// Its split.
    #[arg(long, requires = "data")]
    split: Option<String>,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let data = args.data.as_deref().map(|d| DataOptions::parse(d, args.split.as_deref())).transpose()?;
    let page = args.page.as_ref().map(|path| ComparePage {
        path: path.clone(),
        options: args.page_size.options(),
        data,
        images: args.images.options(),
    });
    let options = CompareOptions {
        baseline: args.baseline.clone(),
        runs: args.runs.clone(),
        profile: args.profile.clone(),
        page,
    };
    let found = compare(&options)?;
    if let Some(path) = &args.page {
        out.say(&format!("page: {}", path.display()));
    }
    match found.as_slice() {
        [one] if out.json => out.document(one)?,
        all if out.json => out.document(&all)?,
        all => {
            let texts: Vec<String> = all.iter().map(|c| comparison_text(c, args.format.into())).collect();
            out.text(&texts.join("\n"))?;
        }
    }
    Ok(Ended::Well)
}
