//! `loupe score RUN`

use super::eval::open_data;
use crate::Ended;
use crate::page::{self, Source};
use crate::pick::ImageArgs;
use crate::printer::Printer;
use anyhow::{Context, Result, bail};
use loupe_core::{Dataset, MediaLoader};
use loupe_eval::profiles::AsProfile;
use loupe_eval::run::RunFolder;
use loupe_eval::strict::Strict;
use loupe_eval::tables::{self, Format, Table};
use loupe_eval::{Profile, Summary};
use std::path::{Path, PathBuf};

/// Score the replies of a run again, without a model.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run folder.
    run: PathBuf,

    /// The dataset, needed only when its pictures lie inside its files and the page shall show them.
    #[arg(long, value_name = "SET=DIR")]
    data: Option<String>,

    #[command(flatten)]
    score: ScoreArgs,

    #[command(flatten)]
    images: ImageArgs,
}

/// How replies are scored.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Scoring")]
pub(crate) struct ScoreArgs {
    /// Rules to score by beside `strict`; may be given several times (see `loupe list profiles`).
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,

    /// Most samples on the report page.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    page_samples: usize,

    /// Write no report page.
    #[arg(long)]
    no_page: bool,
}

impl Default for ScoreArgs {
    fn default() -> Self {
        Self { profiles: Vec::new(), page_samples: 1000, no_page: false }
    }
}

impl ScoreArgs {
    /// `strict` and the profiles asked for, in order.
    pub(crate) fn profiles(&self) -> Result<Vec<Box<dyn Profile>>> {
        let mut chosen: Vec<Box<dyn Profile>> = vec![Box::new(Strict)];
        for name in &self.profiles {
            // The full name of the list (`compat:NAME@COMMIT`) is as good as the short one.
            let short = name.strip_prefix("compat:").unwrap_or(name).split('@').next().unwrap_or(name);
            let Some(rules) = loupe_eval::profiles::by_name(short) else {
                bail!("no profile is called {name:?}; `loupe list profiles` names them");
            };
            let profile = AsProfile::new(rules);
            if chosen.iter().all(|p| p.name() != profile.name()) {
                chosen.push(Box::new(profile));
            }
        }
        Ok(chosen)
    }
}

/// Scores the folder and writes its files and page.
pub(crate) fn score_and_write(
    dir: &Path,
    profiles: &[Box<dyn Profile>],
    dataset: Option<&dyn Dataset>,
    loader: &dyn MediaLoader,
    args: &ScoreArgs,
) -> Result<Summary> {
    let profiles: Vec<&dyn Profile> = profiles.iter().map(AsRef::as_ref).collect();
    let summary = loupe_eval::score(dir, &profiles, &[]).context("the replies could not be scored")?;
    if !args.no_page {
        let folder = RunFolder::open(dir)?;
        let source = Source {
            folder: &folder,
            summary: &summary,
            profiles: &profiles,
            dataset,
            loader,
            most: args.page_samples,
        };
        page::write(&source).context("the report page could not be written")?;
    }
    Ok(summary)
}

/// The tables on the terminal, or the summary as JSON.
pub(crate) fn print(out: &mut Printer, summary: &Summary, dir: &Path) -> Result<()> {
    if out.json {
        return out.document(summary);
    }
    // Subgroups of the first profile only; the report and --json have all of them.
    let mut subgroups = 0;
    let tables: Vec<Table> = tables::summary(summary)
        .into_iter()
        .filter(|t| {
            subgroups += usize::from(t.title.starts_with("subgroups"));
            !t.title.starts_with("subgroups") || subgroups == 1
        })
        .collect();
    out.text(&tables::join(&tables, Format::Terminal))?;
    let page = dir.join("report.html");
    let last = if page.is_file() {
        format!("report: {}", page.display())
    } else {
        format!("run: {}", dir.display())
    };
    out.say(&last);
    Ok(())
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let profiles = args.score.profiles()?;
    let dataset = args.data.as_deref().map(|d| open_data(d, None)).transpose()?;
    let loader = args.images.loader();
    let summary = score_and_write(&args.run, &profiles, dataset.as_deref(), &loader, &args.score)?;
    print(out, &summary, &args.run)?;
    Ok(if summary.failed + summary.unreadable + summary.missing > 0 {
        Ended::WithFailures
    } else {
        Ended::Well
    })
}
