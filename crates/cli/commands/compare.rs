//! `loupe compare RUN RUN`

use super::eval::open_data;
use super::score;
use crate::Ended;
use crate::pick::ImageArgs;
use crate::printer::Printer;
use crate::sides::{self, SideBySide};
use anyhow::{Context, Result};
use clap::ValueEnum;
use loupe_eval::tables::{self, Format};
use std::path::PathBuf;

/// Compare two runs on the same samples: paired differences with intervals and tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run to compare against.
    baseline: PathBuf,

    /// The other run.
    run: PathBuf,

    /// Whose verdicts are compared (see `loupe list profiles`).
    #[arg(long, default_value = "strict", value_name = "NAME")]
    profile: String,

    /// How the tables are written.
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,

    /// Write a page with both runs side by side, sample by sample.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,

    /// Most samples on the page.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    page_samples: usize,

    /// Most megabytes of pictures on the page; when they do not fit, the largest are re-compressed and
    /// made smaller step by step, and the page says how many.
    #[arg(long, value_name = "MB", default_value_t = score::PAGE_MB)]
    page_mb: usize,

    /// The dataset, needed only when its pictures lie inside its files and the page shall show them.
    #[arg(long, value_name = "SET=DIR")]
    data: Option<String>,

    /// Its split.
    #[arg(long, requires = "data")]
    split: Option<String>,

    #[command(flatten)]
    images: ImageArgs,
}

/// A format of tables by its name.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum FormatName {
    #[default]
    Terminal,
    Markdown,
    Latex,
    Csv,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Terminal => Self::Terminal,
            FormatName::Markdown => Self::Markdown,
            FormatName::Latex => Self::Latex,
            FormatName::Csv => Self::Csv,
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let profile = score::profile(&args.profile)?;
    let comparison = loupe_eval::compare::compare(&args.baseline, &args.run, profile.as_ref())
        .context("the runs could not be compared")?;
    let tables = tables::comparison_tables(&comparison);
    if let Some(path) = &args.page {
        let dataset = args.data.as_deref().map(|d| open_data(d, args.split.as_deref())).transpose()?;
        let both = SideBySide {
            a: &args.baseline,
            b: &args.run,
            profile: profile.as_ref(),
            comparison: &comparison,
            tables: &tables,
            dataset: dataset.as_deref(),
            loader: &args.images.loader(),
            most: args.page_samples,
            most_bytes: args.page_mb.saturating_mul(1 << 20),
        };
        sides::write(&both, path).context("the page could not be written")?;
        out.say(&format!("page: {}", path.display()));
    }
    if out.json {
        out.document(&comparison)?;
    } else {
        out.text(&tables::join(&tables, args.format.into()))?;
    }
    Ok(Ended::Well)
}
