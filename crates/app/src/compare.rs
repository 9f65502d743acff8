//! Runs beside each other: two sample by sample, many in one table.

use crate::error::{AppError, InStep};
use crate::open::{DataOptions, ImageOptions};
use crate::pages::{self, PageOptions};
use crate::score::{profile, read_summary};
use loupe_core::Table;
use loupe_eval::compare::{Comparison, compare_judged};
use loupe_eval::{JudgedRun, Summary, tables};
use loupe_report::pages::compare::{RunPair, page as pair_page};
use std::path::{Path, PathBuf};

pub use loupe_core::table::Format;

/// Two runs on the same samples.
#[derive(Debug, Clone)]
pub struct CompareOptions {
    /// The run to compare against.
    pub baseline: PathBuf,
    /// The other run.
    pub run: PathBuf,
    /// Whose verdicts are compared.
    pub profile: String,
    /// A page with both side by side.
    pub page: Option<ComparePage>,
}

/// A page with two runs side by side.
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

/// Compares two runs and writes the page.
///
/// # Errors
/// When a run cannot be read, they share no sample, or the page cannot be written.
pub fn compare(options: &CompareOptions) -> Result<Comparison, AppError> {
    let profile = profile(&options.profile)?;
    let words = || "the runs could not be compared".to_owned();
    let open = |dir: &Path| JudgedRun::open(dir, profile.as_ref()).step(words);
    let (first, second) = (open(&options.baseline)?, open(&options.run)?);
    let comparison = compare_judged(&first, &second).step(words)?;
    if let Some(page) = &options.page {
        let dataset = page.data.as_ref().map(DataOptions::open).transpose()?;
        let (loader, windows) = (page.images.loader(), pages::windows());
        let pair = RunPair {
            first: &first,
            second: &second,
            comparison: &comparison,
            tables: &tables::comparison_tables(&comparison),
        };
        let pictures = pages::pictures(dataset.as_deref(), &loader);
        pair_page(pair, pictures, &pages::bounds(&page.options, &windows))
            .and_then(|made| made.save(&page.path))
            .step(|| "the page could not be written".to_owned())?;
    }
    Ok(comparison)
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
    let one = |run: &PathBuf| -> Result<(String, Summary), AppError> { Ok((named(run), read_summary(run)?)) };
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

fn named(run: &Path) -> String {
    run.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned()
}
