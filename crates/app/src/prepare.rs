//! A model's input from a volume: a published recipe by name, or steps of one's own.

use crate::error::{AppError, InStep};
use crate::files;
use crate::open::{ImageOptions, reference};
use loupe_core::{LabelledMasks, MediaRef, Origin, View};
use loupe_preprocess::masks::MaskFile;
use loupe_preprocess::nifti::volume_bytes;
use loupe_preprocess::recipes::{self, recipe};
use loupe_preprocess::volume_io::ReadVolume;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use loupe_preprocess::masks::MaskOptions;
pub use loupe_preprocess::recipes::Prepared;
pub use loupe_preprocess::recipes::steps::{SliceRule, Steps};

/// Which volume, and what is made of it.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// Volume file, DICOM series folder, archive or DICOMDIR.
    pub volume: PathBuf,
    /// How it is read.
    pub images: ImageOptions,
    /// What is made of it.
    pub way: PrepareWay,
}

/// A recipe, or steps of one's own.
#[derive(Debug, Clone)]
pub enum PrepareWay {
    /// A published recipe by name.
    Recipe(String),
    /// Steps of one's own.
    Steps {
        /// The steps.
        steps: Box<Steps>,
        /// Label map, segmentation or structure set that lies on the volume, for [`SliceRule::Around`].
        mask: Option<PathBuf>,
        /// How the mask is put on the volume, and which of its labels counts; all when none is named.
        mask_options: MaskOptions,
        /// Time point or phase, from 0.
        frame: Option<usize>,
    },
}

fn read(path: &Path, view: View, images: &ImageOptions) -> Result<(MediaRef, Arc<ReadVolume>), AppError> {
    let media = reference(path, view)?;
    let read =
        images.loader().load_volume(&media).step(|| format!("{} could not be used", path.display()))?;
    Ok((media, read))
}

/// Pictures and captions that a recipe makes of the volume at `path`; they name it as their source.
///
/// # Errors
/// When there is no such recipe, or the volume cannot be read or does not suit it.
pub fn by_recipe(name: &str, path: &Path, images: &ImageOptions) -> Result<Prepared, AppError> {
    recipe(name)?;
    let (media, read) = read(path, View::default(), images)?;
    recipes::by_recipe(name, &read, &media.name, &images.limits)
        .step(|| format!("recipe {name} could not be followed"))
}

/// Makes a model's input of a volume.
///
/// # Errors
/// When the volume cannot be read, or a step is impossible for it.
pub fn prepare(options: &PrepareOptions) -> Result<Prepared, AppError> {
    let (path, images) = (&options.volume, &options.images);
    let (steps, mask, mask_options, frame) = match &options.way {
        PrepareWay::Recipe(name) => return by_recipe(name, path, images),
        PrepareWay::Steps { steps, mask, mask_options, frame } => (steps, mask, mask_options, *frame),
    };
    let (_, volume) = read(path, View { frame, ..View::default() }, images)?;
    let mask = match (steps.slices, mask) {
        (SliceRule::All | SliceRule::Every(_) | SliceRule::Evenly(_), Some(path)) => {
            return Err(AppError::input(format!(
                "the mask {} would change nothing: it chooses slices with --slices around:MARGIN; give that, or leave out --mask",
                path.display()
            )));
        }
        (SliceRule::Around(_), Some(path)) => {
            let words = || format!("the mask {} could not be used", path.display());
            let file = MaskFile::open(&images.loader(), &reference(path, View::default())?).step(words)?;
            Some(file.onto(&volume, mask_options, &images.limits).step(words)?)
        }
        _ => None,
    };
    let labels = mask.as_ref().map(LabelledMasks::united);
    let mut made = recipes::steps::prepare(&volume, steps, labels.as_ref(), &images.limits)?;
    made.steps.extend(mask.into_iter().flat_map(|mask| mask.notes));
    Ok(made)
}

/// What was written, as `prepared.json` has it.
#[derive(Debug, Clone, Serialize)]
pub struct PreparedRecord {
    /// The recipe, when it was one.
    pub recipe: Option<String>,
    /// What was done, in order.
    pub steps: Vec<String>,
    /// The pictures in the order in which the model sees them.
    pub pictures: Vec<PreparedPicture>,
    /// The file of the volume.
    pub volume: Option<&'static str>,
}

/// A picture that was written.
#[derive(Debug, Clone, Serialize)]
pub struct PreparedPicture {
    /// Its file.
    pub file: String,
    /// What is said after it.
    pub caption: Option<String>,
    /// Where it came from and the way back.
    pub origin: Origin,
}

const VOLUME: &str = "volume.nii.gz";

/// Writes pictures (`000.png` …), volume and `prepared.json` into `dir`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path, made: &Prepared, way: &PrepareWay) -> Result<PreparedRecord, AppError> {
    files::make_folder(dir)?;
    let mut record = PreparedRecord {
        recipe: match way {
            PrepareWay::Recipe(name) => Some(name.clone()),
            PrepareWay::Steps { .. } => None,
        },
        steps: made.steps.clone(),
        pictures: Vec::new(),
        volume: made.volume.as_ref().map(|_| VOLUME),
    };
    for (n, picture) in made.pictures.iter().enumerate() {
        let file = format!("{n:03}.png");
        files::write(&dir.join(&file), &loupe_report::png(picture)?)?;
        let (caption, origin) = (made.captions.get(n).cloned(), picture.origin.clone());
        record.pictures.push(PreparedPicture { file, caption, origin });
    }
    if let Some(volume) = &made.volume {
        files::write(&dir.join(VOLUME), &volume_bytes(volume)?)?;
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&record)?);
    files::write(&dir.join("prepared.json"), text.as_bytes())?;
    Ok(record)
}
