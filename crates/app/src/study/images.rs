//! The slices that readers see of a case.

use crate::error::AppError;
use loupe_core::loader::DisplayMaterial;
use loupe_core::{MediaLoader, MediaRef, Origin};
use loupe_preprocess::Loader;
use loupe_report::pages::kit::series::Series;
use loupe_report::pages::kit::slices;

/// A series and where its slices came from.
pub(super) struct CaseImages {
    pub(super) series: Series,
    /// Of each slice.
    pub(super) origins: Vec<Origin>,
}

impl CaseImages {
    /// Number of the slice that shows the same view, whatever its window.
    pub(super) fn slice_of(&self, origin: &Origin) -> Option<usize> {
        self.origins.iter().position(|o| o.same_view(origin))
    }

    /// Slices of the source, from 0, as those of the series; `None` where none of them is shown.
    pub(super) fn slices_of(&self, [first, last]: [usize; 2]) -> Option<[usize; 2]> {
        let within = |o: &Origin| (first..=last).contains(&o.slice.or(o.frame).unwrap_or(0));
        let shown = |(n, o): (usize, &Origin)| within(o).then_some(n);
        let mut all = self.origins.iter().enumerate().filter_map(shown);
        let lead = all.next()?;
        Some([lead, all.next_back().unwrap_or(lead)])
    }
}

/// A view and so many slices on either side of it, or all slices of its volume. A picture is one slice.
pub(super) fn load(media: &MediaRef, around: Option<usize>, loader: &Loader) -> Result<CaseImages, AppError> {
    let own = loader.load_for_display(media)?;
    let (slices, first) = slices::around(loader, media, own, around)?;
    of(slices, first)
}

fn of(slices: Vec<DisplayMaterial>, first: usize) -> Result<CaseImages, AppError> {
    let warned = slices.iter().find_map(|m| m.picture.origin.warnings().next().map(str::to_owned));
    if let Some(warning) = warned {
        return Err(AppError::input(warning));
    }
    let series = Series::of(&slices, first).map_err(|e| AppError::input(e.to_string()))?;
    Ok(CaseImages { series, origins: slices.into_iter().map(|m| m.picture.origin).collect() })
}
