//! From a reference to the picture it means, whatever the format.

mod contents;
mod kept;
pub(crate) mod kind;
mod memory;
mod source;

pub use kind::FileKind;
pub use source::OpenedSource;

use crate::dicom::series::Options as SeriesOptions;
use crate::picture_io::EXIF_STEP;
use crate::volume_io::nifti::Xform;
use crate::volume_io::read::ReadVolume;
use kept::KeptContents;
use loupe_core::limits::{DecodeLimits, io_error};
use loupe_core::loader::{DisplayMaterial, Intensities, MediaLoader};
use loupe_core::media::{MediaError, MediaRef, MediaSource};
use loupe_core::picture::Picture;
use memory::SharedMemory;
use source::Reading;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Decodes references; see [`Loader::new`]. It keeps the last two volumes or many-framed files, so that one
/// loader serves the images and the label maps of a run. Files that are read at the same time, and what is
/// kept, share the memory of its limits.
pub struct Loader {
    reading: Reading,
    folder: Option<PathBuf>,
}

impl Loader {
    /// A loader that reads any path, with nibabel's choice of NIfTI matrix; irregular DICOM series are
    /// refused.
    pub fn new(limits: DecodeLimits) -> Self {
        let series = SeriesOptions { limits, ..SeriesOptions::default() };
        let kept = KeptContents::default();
        let memory = SharedMemory::new(limits);
        Self { reading: Reading { limits, xform: Xform::Nibabel, series, kept, memory }, folder: None }
    }

    /// With another convention for NIfTI matrices.
    #[must_use]
    pub fn with_xform(mut self, xform: Xform) -> Self {
        self.reading.xform = xform;
        self
    }

    /// With other rules for DICOM series (their limits stay those of the loader).
    #[must_use]
    pub fn with_series(mut self, series: SeriesOptions) -> Self {
        self.reading.series = SeriesOptions { limits: self.reading.limits, ..series };
        self
    }

    /// Refuses files outside `folder` (and links that lead out of it): for manifests by others.
    #[must_use]
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The limits it reads within.
    pub fn limits(&self) -> &DecodeLimits {
        &self.reading.limits
    }

    /// Opens a source, to take several things from one reading of it.
    ///
    /// # Errors
    /// When it is not there, or lies outside the folder of [`Loader::within`].
    pub fn open<'a>(&'a self, source: &'a MediaSource) -> Result<OpenedSource<'a>, MediaError> {
        if let MediaSource::File(path) | MediaSource::Folder(path) = source {
            self.check(path)?;
        }
        OpenedSource::new(&self.reading, source)
    }

    /// The volume that a reference means, for recipes and segmentation: a research volume, a series in
    /// a folder, zip archive or DICOMDIR, or a multi-frame DICOM file whose frames have places.
    ///
    /// # Errors
    /// When it is a flat picture, or cannot be read.
    pub fn load_volume(&self, media: &MediaRef) -> Result<Arc<ReadVolume>, MediaError> {
        self.open(&media.source)?.volume(media.view.frame.unwrap_or(0))
    }

    fn check(&self, path: &Path) -> Result<(), MediaError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let base = folder.canonicalize().map_err(|e| io_error(&e))?;
        let full = path.canonicalize().map_err(|e| io_error(&e))?;
        if full.starts_with(base) {
            return Ok(());
        }
        Err(MediaError::View(
            "the manifest points outside its folder; allow that only for manifests you trust".into(),
        ))
    }
}

/// The picture with what the set calls it, once it has the size that the set states.
fn named(mut picture: Picture, media: &MediaRef) -> Result<Picture, MediaError> {
    if let Some(stated) = media.stated_size {
        let steps = picture.origin.steps.iter();
        let turn = steps.filter_map(|s| s.strip_prefix(EXIF_STEP)?.parse().ok()).next();
        same_frame(stated, picture.origin.source_size, turn.unwrap_or(1)).map_err(MediaError::View)?;
    }
    if !media.name.is_empty() {
        picture.origin.source = Some(media.name.clone());
    }
    Ok(picture)
}

/// Are boxes that a set counts in a picture of the size `stated` boxes of the picture as it is shown, which has the
/// size `shown` after the EXIF orientation `turn`? What is wrong is said in words.
fn same_frame(stated: [usize; 2], shown: [usize; 2], turn: u8) -> Result<(), String> {
    let size = |[width, height]: [usize; 2]| format!("{width} × {height}");
    let stored = if turn >= 5 { [shown[1], shown[0]] } else { shown };
    if turn > 1 && stated == stored {
        return Err(match stated == shown {
            true => format!(
                "the set counts boxes in a picture of {} pixels, which does not tell whether before or after EXIF orientation {turn}; save the picture as it is shown, without that tag",
                size(stated)
            ),
            false => format!(
                "the set counts boxes in a picture of {} pixels, before EXIF orientation {turn}; it is shown as {}: save the picture without that tag, or turn the boxes",
                size(stated),
                size(shown)
            ),
        });
    }
    if stated == shown {
        return Ok(());
    }
    Err(format!(
        "the set counts boxes in a picture of {} pixels, but the file has {}",
        size(stated),
        size(stored)
    ))
}

impl MediaLoader for Loader {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        named(self.open(&media.source)?.picture(&media.view)?, media)
    }

    fn intensities(&self, media: &MediaRef) -> Result<Option<Intensities>, MediaError> {
        self.open(&media.source)?.intensities(&media.view)
    }

    fn load_for_display(&self, media: &MediaRef) -> Result<DisplayMaterial, MediaError> {
        let mut opened = self.open(&media.source)?;
        let picture = named(opened.picture(&media.view)?, media)?;
        let windowed = picture.origin.window.is_some();
        let intensities = if windowed { opened.intensities(&media.view).ok().flatten() } else { None };
        let whole = !windowed && media.view.frame.is_none_or(|frame| frame == 0);
        let encoded = if whole { opened.original()? } else { None };
        Ok(DisplayMaterial { picture, intensities, encoded })
    }
}
