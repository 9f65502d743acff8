//! Runs beside each other: some sample by sample, many in one table.

use crate::error::{AppError, InStep};
use crate::open::{DataOptions, ImageOptions};
use crate::pages::{self, PageOptions};
use crate::score::{profile, read_summary};
use loupe_core::Table;
use loupe_eval::compare::{Comparison, compare_judged};
use loupe_eval::{JudgedRun, Summary, tables};
use loupe_report::pages::compare::{RunSet, page as set_page};
use loupe_run::run_name;
use std::path::{Path, PathBuf};

pub use loupe_core::table::Format;

/// Runs on the same samples.
#[derive(Debug, Clone)]
pub struct CompareOptions {
    /// The run to compare against.
    pub baseline: PathBuf,
    /// The other runs, each compared with the first.
    pub runs: Vec<PathBuf>,
    /// Whose verdicts are compared.
    pub profile: String,
    /// A page with all of them side by side.
    pub page: Option<ComparePage>,
}

/// A page with runs side by side.
#[derive(Debug, Clone)]
pub struct ComparePage {
    /// Where it is written.
    pub path: PathBuf,
    /// How much it shows.
    pub options: PageOptions,
    /// The dataset, needed only when its pictures lie inside its files.
    pub data: Option<DataOptions>,
    /// How images are read.
    pub images: ImageOptions,
}

/// Compares each of the runs with the first and writes the page.
///
/// # Errors
/// When a run cannot be read, they share no sample, or the page cannot be written.
pub fn compare(options: &CompareOptions) -> Result<Vec<Comparison>, AppError> {
    let profile = profile(&options.profile)?;
    let words = || "the runs could not be compared".to_owned();
    let open = |dir: &Path| JudgedRun::open(dir, profile.as_ref()).step(words);
    let first = open(&options.baseline)?;
    let others: Vec<JudgedRun> = options.runs.iter().map(|dir| open(dir)).collect::<Result<_, _>>()?;
    let found: Vec<Comparison> =
        others.iter().map(|run| compare_judged(&first, run).step(words)).collect::<Result<_, _>>()?;
    if let Some(page) = &options.page {
        let dataset = page.data.as_ref().map(DataOptions::open).transpose()?;
        let (loader, windows) = (page.images.loader(), pages::windows());
        let tables: Vec<Table> = found.iter().flat_map(figures_first).collect();
        let others: Vec<(&JudgedRun, &Comparison)> = others.iter().zip(&found).collect();
        let runs = RunSet { first: &first, others: &others, tables: &tables };
        let pictures = pages::pictures(dataset.as_deref(), &loader);
        set_page(runs, pictures, &pages::bounds(&page.options, &windows))
            .and_then(|made| made.save(&page.path))
            .step(|| "the page could not be written".to_owned())?;
    }
    Ok(found)
}

/// The tables of a comparison for a page: what the runs differ in is among its facts, and comes last.
fn figures_first(comparison: &Comparison) -> Vec<Table> {
    let mut all = tables::comparison_tables(comparison);
    let settings = usize::from(!comparison.settings.is_empty());
    all.rotate_left(settings);
    all
}

/// A comparison as text.
pub fn comparison_text(comparison: &Comparison, format: Format) -> String {
    tables::join(&tables::comparison_tables(comparison), format)
}

/// Many scored runs in one table, best first.
#[derive(Debug, Clone)]
pub struct Leaderboard {
    /// The table.
    pub table: Table,
    /// Runs that the profile did not score; they are left out.
    pub without: usize,
    /// The profile's full name.
    pub profile: String,
}

/// The scored runs in `runs` by the figures of `profile_name`.
///
/// # Errors
/// When a run was never scored, or none by that profile.
pub fn leaderboard(runs: &[PathBuf], profile_name: &str) -> Result<Leaderboard, AppError> {
    let one =
        |run: &PathBuf| -> Result<(String, Summary), AppError> { Ok((run_name(run), read_summary(run)?)) };
    let runs: Vec<(String, Summary)> = runs.iter().map(one).collect::<Result<_, _>>()?;
    let profile = profile(profile_name)?.name().to_owned();
    let table = tables::leaderboard(&runs, &profile);
    if table.rows.is_empty() {
        return Err(AppError::input(format!(
            "no run was scored by {profile}; score them with --profile {profile_name}"
        )));
    }
    Ok(Leaderboard { without: runs.len() - table.rows.len(), table, profile })
}
