//! What every page needs: where its pictures come from and which windows a reader can choose.

use crate::rethink::RESAMPLER;
use loupe_core::{Dataset, MediaLoader};
use loupe_preprocess::windows::PRESETS;
use loupe_report::WindowPreset;
use loupe_report::pages::PictureSource;
use loupe_report::pages::run as run_page;

/// Megabytes of pictures on a page that still goes through a mail server, with room for words.
pub const PAGE_MB: usize = 24;
/// Samples of a page that opens at once.
pub const PAGE_SAMPLES: usize = 5000;

/// How much a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOptions {
    /// Most samples.
    pub samples: usize,
    /// Most bytes of pictures; when they do not fit, the largest are made smaller, and the page says how many.
    pub bytes: usize,
    /// Call pictures by sample and number instead of their file, whose name may say who the patient is.
    pub hide_names: bool,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self { samples: PAGE_SAMPLES, bytes: PAGE_MB << 20, hide_names: false }
    }
}

/// Pictures of `dataset`, where they lie inside its files, and of the files that references name.
pub(crate) fn pictures<'a>(
    dataset: Option<&'a dyn Dataset>,
    loader: &'a dyn MediaLoader,
) -> PictureSource<'a> {
    PictureSource { dataset, loader, resampler: RESAMPLER }
}

/// Every window by name, each once.
pub(crate) fn windows() -> Vec<WindowPreset> {
    let mut windows: Vec<WindowPreset> = Vec::new();
    for preset in PRESETS.iter() {
        let (centre, width) = (preset.window_hu.centre, preset.window_hu.width);
        if windows.iter().all(|w| (w.centre, w.width) != (centre, width)) {
            windows.push(WindowPreset { name: preset.name.to_owned(), centre, width });
        }
    }
    windows
}

/// The bounds of a page in the words of `report`.
pub(crate) fn bounds<'a>(options: &PageOptions, windows: &'a [WindowPreset]) -> run_page::PageOptions<'a> {
    run_page::PageOptions {
        windows,
        samples: options.samples,
        picture_bytes: options.bytes,
        hide_names: options.hide_names,
    }
}
