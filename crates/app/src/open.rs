//! Models, segmenters, datasets and images by what names them.

use crate::embedded;
use crate::error::{AppError, InStep};
use crate::served::{self, ServerOptions, is_address};
use loupe_core::{
    Dataset, DecodeLimits, MediaRef, MediaSource, ModelInfo, Segmenter, View, VisionLanguageModel,
    VolumeSegmenter,
};
use loupe_models::Checkpoint;
use loupe_preprocess::Loader;
use serde::Serialize;
use std::path::{Path, PathBuf};

pub use loupe_models::{Activations, DeviceChoice, Dtype, LoadOptions, PixelBounds, Quant, Resample};
pub use loupe_preprocess::dicom::series::{Irregular, Options as SeriesOptions};
pub use loupe_preprocess::nifti::Xform;

/// Which model and how to run it.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// Folder of a Hugging Face checkpoint, or the address of a served model (`http://HOST:PORT/v1#NAME`); the built-in
    /// model when not given.
    pub folder: Option<PathBuf>,
    /// Device, number type, memory.
    pub load: LoadOptions,
    /// How a served model is asked.
    pub server: ServerOptions,
}

impl ModelOptions {
    /// The same settings for another folder.
    #[must_use]
    pub fn of(&self, folder: Option<PathBuf>) -> Self {
        Self { folder, ..self.clone() }
    }

    /// Loads the model.
    ///
    /// # Errors
    /// When the folder is no checkpoint of a known family, or does not fit, or the server does not answer or does not
    /// have the model.
    pub fn open(&self) -> Result<Box<dyn VisionLanguageModel>, AppError> {
        match &self.folder {
            Some(address) if is_address(address) => served::open(address, &self.server, &self.load)
                .step(|| "the served model could not be used".to_owned()),
            Some(dir) => loupe_models::load(dir, &self.load)
                .step(|| format!("the checkpoint in {} could not be loaded", dir.display())),
            None => loupe_models::load_checkpoint(&embedded::checkpoint(), &self.load)
                .step(|| "the embedded model could not be loaded".to_owned()),
        }
    }

    /// Refuses an address where only a checkpoint can do the work.
    ///
    /// # Errors
    /// When the model is served.
    pub(crate) fn must_be_here(&self, what: &str) -> Result<(), AppError> {
        match &self.folder {
            Some(place) if is_address(place) => Err(AppError::input(format!(
                "{what} is computed here, from its folder; servers of this kind answer questions only"
            ))),
            _ => Ok(()),
        }
    }

    /// What a user should know of the built-in model who shows it these files or folders.
    pub fn note<'a>(&self, info: &ModelInfo, files: impl IntoIterator<Item = &'a Path>) -> Option<String> {
        match self.folder {
            // What is not computed here is not the built-in one either.
            _ if info.checkpoint().is_none() => None,
            Some(_) => None,
            None => embedded::note(&info.name, files.into_iter()),
        }
    }

    /// Loads a segmenter that takes prompts; without a folder the built-in one. `family` names its family where
    /// the checkpoint does not show it.
    ///
    /// # Errors
    /// As [`ModelOptions::open`].
    pub fn open_segmenter(&self, family: Option<&str>) -> Result<Box<dyn Segmenter>, AppError> {
        self.must_be_here("a segmenter")?;
        match &self.folder {
            Some(dir) => loupe_models::load_segmenter(&Checkpoint::directory(dir), family, &self.load)
                .step(|| format!("the segmenter in {} could not be loaded", dir.display())),
            None => loupe_models::load_segmenter(&embedded::segmenter(), family, &self.load)
                .step(|| "the built-in segmenter could not be loaded".to_owned()),
        }
    }

    /// Loads a segmenter that labels whole volumes; there is no built-in one.
    ///
    /// # Errors
    /// As [`ModelOptions::open`], and without a folder.
    pub fn open_volume_segmenter(&self, family: Option<&str>) -> Result<Box<dyn VolumeSegmenter>, AppError> {
        self.must_be_here("a model that labels whole volumes")?;
        let Some(dir) = &self.folder else {
            return Err(AppError::input("a model that labels whole volumes needs its folder, with --model"));
        };
        loupe_models::load_volume_segmenter(&Checkpoint::directory(dir), family, &self.load)
            .step(|| format!("the segmenter in {} could not be loaded", dir.display()))
    }
}

/// A dataset by its name and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataOptions {
    /// Name of the set.
    pub set: String,
    /// Folder or file.
    pub path: PathBuf,
    /// Its split; the set's default when not given.
    pub split: Option<String>,
}

impl DataOptions {
    /// From `SET=DIR` or `SET=DIR:SPLIT`; a colon inside the name of a folder or file that is there stays part of
    /// it.
    ///
    /// # Errors
    /// When there is no `=`, or a split is given twice.
    pub fn parse(data: &str, split: Option<&str>) -> Result<Self, AppError> {
        let Some((set, place)) = data.split_once('=') else {
            return Err(AppError::input(
                "--data takes SET=DIR or SET=DIR:SPLIT, such as vqa-rad=DIR; `loupe list datasets` names the sets",
            ));
        };
        let of_place = (!Path::new(place).exists()).then(|| {
            let colons = place.match_indices(':').map(|(at, _)| at);
            colons.map(|at| (&place[..at], &place[at + 1..])).find(|(dir, _)| Path::new(dir).exists())
        });
        let (path, own) = match of_place.flatten() {
            Some((path, own)) => (path, Some(own)),
            None => (place, None),
        };
        match (own, split) {
            (Some(own), Some(split)) if own != split => Err(AppError::input(format!(
                "two splits are given, {own:?} in --data and {split:?} in --split"
            ))),
            _ => Ok(Self { set: set.to_owned(), path: path.into(), split: own.or(split).map(str::to_owned) }),
        }
    }

    /// Opens the set.
    ///
    /// # Errors
    /// When there is no such set or split, or its files are missing or damaged.
    pub fn open(&self) -> Result<Box<dyn Dataset>, AppError> {
        loupe_datasets::open(&self.set, &self.path, self.split.as_deref())
            .step(|| format!("{} in {} could not be opened", self.set, self.path.display()))
    }
}

/// How images are read.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    /// How large an image may be.
    pub limits: DecodeLimits,
    /// Which orientation of a NIfTI file counts.
    pub xform: Xform,
    /// Rules for DICOM series; their own limits are those above.
    pub series: SeriesOptions,
}

impl ImageOptions {
    /// A reader with these bounds and rules.
    pub fn loader(&self) -> Loader {
        Loader::new(self.limits).with_xform(self.xform).with_series(self.series())
    }

    /// What of it decides what a picture shows, for the record.
    pub fn record(&self) -> ReadingRecord {
        let SeriesOptions { irregular, drop_duplicates, deskew, series, .. } = self.series;
        ReadingRecord {
            version: env!("CARGO_PKG_VERSION"),
            xform: self.xform,
            irregular: match irregular {
                Irregular::Refuse => "error",
                Irregular::Nearest => "nearest",
                Irregular::Resample => "resample",
                Irregular::Split => "split",
            },
            drop_duplicates,
            deskew,
            series,
        }
    }

    /// The rules for DICOM series, with the limits.
    pub fn series(&self) -> SeriesOptions {
        SeriesOptions { limits: self.limits, ..self.series }
    }
}

/// How images were read, by which version of loupe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadingRecord {
    /// Of loupe.
    pub version: &'static str,
    /// Which orientation of a NIfTI file counted.
    pub xform: Xform,
    /// What was done about missing or uneven slices, as the option has it.
    pub irregular: &'static str,
    /// Was one slice of each position used?
    pub drop_duplicates: bool,
    /// Was a tilted series resampled?
    pub deskew: bool,
    /// Which series was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<usize>,
}

/// The reference to a file or folder that is there, in a view.
///
/// # Errors
/// When there is no such file or folder.
pub fn reference(path: &Path, view: View) -> Result<MediaRef, AppError> {
    if !path.exists() {
        return Err(AppError::input(format!("{} does not exist", path.display())));
    }
    let mut media = MediaRef::file(path);
    if path.is_dir() {
        media.source = MediaSource::Folder(path.to_path_buf());
    }
    media.view = view;
    Ok(media)
}
