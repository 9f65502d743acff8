//! A model's input from a volume: a published recipe by name, or steps of one's own.

use crate::error::{AppError, InStep};
use crate::files;
use crate::open::{ImageOptions, reference};
use loupe_core::media::WindowChoice;
use loupe_core::{Picture, Plane, SliceAt, View, Volume};
use loupe_preprocess::nifti::volume_bytes;
use loupe_preprocess::recipes::recipe;
use loupe_preprocess::render::{Slicing, render_with};
use loupe_preprocess::volume_io::{ReadVolume, labels_of};
use loupe_preprocess::volume_ops::{
    SliceChoice, central, chosen_slices, montage, oriented, projected, resized, spaced,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

pub use loupe_preprocess::recipes::Prepared;

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
    /// Steps, in the order of their fields.
    Steps(PrepareSteps),
}

/// Which slices become pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SliceRule {
    /// Every one.
    #[default]
    All,
    /// The first and every n-th after it.
    Every(usize),
    /// n of them, evenly from the first to the last.
    Evenly(usize),
    /// Those that the mask touches, and so many more on either side.
    Around(usize),
}

/// Steps of one's own, taken in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct PrepareSteps {
    /// Time point or phase, from 0.
    pub frame: Option<usize>,
    /// Letters that the axes i, j and k rise towards, such as `RAS`.
    pub orient: Option<String>,
    /// Voxel sizes in mm along i, j and k (MONAI's `Spacing`, trilinear).
    pub spacing_mm: Option<[f64; 3]>,
    /// Columns, rows and slices to crop or pad to about the centre.
    pub crop: Option<[usize; 3]>,
    /// Columns, rows and slices to resize to (trilinear).
    pub resize: Option<[usize; 3]>,
    /// The plane of the slices.
    pub plane: Plane,
    /// The largest value along the plane's normal instead of slices.
    pub mip: bool,
    /// Which slices.
    pub slices: SliceRule,
    /// Label map on the volume's own grid, for [`SliceRule::Around`].
    pub mask: Option<PathBuf>,
    /// The window, of the whole volume.
    pub window: Option<WindowChoice>,
    /// One picture with so many slices in a row.
    pub montage: Option<usize>,
    /// Keep the volume after its steps.
    pub keep_volume: bool,
}

/// Pictures and captions that a recipe makes of the volume at `path`; they name it as their source.
///
/// # Errors
/// When there is no such recipe, or the volume cannot be read or does not suit it.
pub fn by_recipe(name: &str, path: &Path, images: &ImageOptions) -> Result<Prepared, AppError> {
    let recipe = recipe(name)?;
    let media = reference(path, View::default())?;
    let read =
        images.loader().load_volume(&media).step(|| format!("{} could not be used", path.display()))?;
    let mut made = (recipe.prepare)(&read.volume, &images.limits)
        .step(|| format!("recipe {name} could not be followed"))?;
    for picture in &mut made.pictures {
        picture.origin.source = Some(media.name.clone());
    }
    made.steps.splice(0..0, read.notes.iter().cloned());
    Ok(made)
}

/// Makes a model's input of a volume.
///
/// # Errors
/// When the volume cannot be read, or a step is impossible for it.
pub fn prepare(options: &PrepareOptions) -> Result<Prepared, AppError> {
    let (path, images) = (&options.volume, &options.images);
    let steps = match &options.way {
        PrepareWay::Recipe(name) => return by_recipe(name, path, images),
        PrepareWay::Steps(steps) => steps,
    };
    let media = reference(path, View { frame: steps.frame, ..View::default() })?;
    let read =
        images.loader().load_volume(&media).step(|| format!("{} could not be used", path.display()))?;
    let mut taken = read.notes.clone();
    let volume = volume(steps, &read, images, &mut taken)?;
    let kept = steps.keep_volume.then(|| volume.clone());
    let pictures = pictures(steps, &read, volume, images, &mut taken)?;
    Ok(Prepared { pictures, captions: Vec::new(), volume: kept, steps: taken })
}

/// The volume after its steps, which are added to `taken`.
fn volume(
    steps: &PrepareSteps,
    read: &ReadVolume,
    images: &ImageOptions,
    taken: &mut Vec<String>,
) -> Result<Volume, AppError> {
    let limits = &images.limits;
    let mut volume = read.volume.clone();
    if let Some(letters) = &steps.orient {
        volume = oriented(&volume, &letters.to_uppercase())?;
        taken.push(format!("orientation {}", letters.to_uppercase()));
    }
    if let Some(mm) = steps.spacing_mm {
        volume = spaced(&volume, mm, limits)?;
        taken.push(format!("spacing {mm:?} mm, trilinear (MONAI Spacing)"));
    }
    if let Some(sides) = steps.crop {
        let least = volume.voxels.iter().copied().filter(|v| v.is_finite()).fold(f32::INFINITY, f32::min);
        let voxels = limits.pixels(&sides.map(|n| n as u64))?;
        limits.memory(voxels, size_of::<f32>())?;
        volume = central(&volume, sides, if least.is_finite() { least } else { 0.0 })?;
        taken.push(format!("crop or padding to {sides:?}"));
    }
    if let Some(sides) = steps.resize {
        volume = resized(&volume, sides, limits)?;
        taken.push(format!("size {sides:?}, trilinear (torch interpolate)"));
    }
    Ok(volume)
}

/// The pictures of `volume`.
fn pictures(
    steps: &PrepareSteps,
    read: &ReadVolume,
    mut volume: Volume,
    images: &ImageOptions,
    taken: &mut Vec<String>,
) -> Result<Vec<Picture>, AppError> {
    let axis = Slicing::of(steps.plane, &volume.lps_from_index)?.through.axis;
    if steps.mip {
        volume = projected(&volume, axis)?;
        taken.push("maximum intensity projection".to_owned());
    }
    let count = volume.shape()[2 - axis];
    let numbers = match steps.slices {
        SliceRule::All => chosen_slices(count, SliceChoice::All)?,
        SliceRule::Every(n) => chosen_slices(count, SliceChoice::Every(n))?,
        SliceRule::Evenly(n) => chosen_slices(count, SliceChoice::Evenly(n))?,
        SliceRule::Around(margin) => {
            let moved = steps.orient.is_some()
                || steps.spacing_mm.is_some()
                || steps.crop.is_some()
                || steps.resize.is_some()
                || steps.mip;
            if moved || axis != 2 {
                return Err(AppError::input(
                    "--slices around counts the volume's own slices; leave out what moves them",
                ));
            }
            let Some(mask) = &steps.mask else {
                return Err(AppError::input("--slices around needs --mask FILE"));
            };
            let read = images.loader().load_volume(&reference(mask, View::default())?);
            let labels = labels_of(&*read.step(|| format!("{} could not be used", mask.display()))?)?;
            chosen_slices(count, SliceChoice::Around { labels: &labels, margin })?
        }
    };
    // Of the whole volume as it was read, so that all slices keep their relation.
    let window = read.window(steps.window.as_ref())?;
    taken.push(format!("slices {numbers:?}"));
    taken.push(window.step.clone());
    let one = |n: &usize| {
        let view = View { slice: Some(SliceAt::Index(*n)), plane: steps.plane, ..View::default() };
        render_with(&volume, &view, &window)
    };
    let pictures: Vec<Picture> = numbers.iter().map(one).collect::<Result<_, _>>()?;
    match steps.montage {
        None => Ok(pictures),
        Some(0) => Err(AppError::input("--montage needs at least one column")),
        Some(columns) => {
            taken.push(format!("montage of {} columns", columns.min(pictures.len())));
            Ok(vec![montage(&pictures, columns)?])
        }
    }
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
    pub origin: loupe_core::Origin,
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
            PrepareWay::Steps(_) => None,
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
