//! Volumes of studies as a published recipe prepares them: one image of the worklist becomes as many pictures as the recipe makes.

use crate::error::AppError;
use crate::open::ImageOptions;
use crate::prepare::by_recipe;
use loupe_core::loader::Intensities;
use loupe_core::study::StudyImage;
use loupe_core::{
    DataError, Dataset, DatasetInfo, MediaError, MediaLoader, MediaRef, MediaSource, Picture, Sample,
    SliceAt, Spot, Study,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Endings of files that hold volumes.
const VOLUMES: [&str; 7] = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".npy"];

/// A set whose volumes are prepared by a recipe.
pub(super) struct RecipeSet {
    of: Box<dyn Dataset>,
    /// What each volume becomes: the words that follow each picture; or why it cannot be prepared.
    volumes: BTreeMap<PathBuf, Result<Vec<String>, String>>,
}

/// Where a volume lies; nothing for a picture, or where a slice of it is named.
fn volume(media: &MediaRef) -> Option<&Path> {
    let by_name = |path: &Path| {
        let name = path.to_string_lossy().to_lowercase();
        VOLUMES.iter().any(|ending| name.ends_with(ending))
    };
    match &media.source {
        MediaSource::Folder(path) if media.view.slice.is_none() => Some(path),
        MediaSource::File(path) if media.view.slice.is_none() && by_name(path) => Some(path),
        _ => None,
    }
}

impl RecipeSet {
    /// Prepares every volume once, one at a time.
    pub(super) fn open(of: Box<dyn Dataset>, recipe: &str, images: &ImageOptions) -> Result<Self, AppError> {
        loupe_preprocess::recipes::recipe(recipe)?;
        let mut volumes = BTreeMap::new();
        for sample in (0..of.len()).filter_map(|row| of.get(row).ok()) {
            for path in sample.media.iter().filter_map(volume) {
                if !volumes.contains_key(path) {
                    volumes.insert(path.to_owned(), captions(recipe, path, images));
                }
            }
        }
        Ok(Self { of, volumes })
    }
}

/// The words that follow each picture of a volume.
fn captions(recipe: &str, path: &Path, images: &ImageOptions) -> Result<Vec<String>, String> {
    let made = by_recipe(recipe, path, images).map_err(|e| e.in_one_line())?;
    if made.pictures.is_empty() {
        return Err(format!(
            "the recipe {recipe} makes a tensor for models that take volumes, and no pictures"
        ));
    }
    let mut captions = made.captions;
    captions.resize(made.pictures.len(), String::new());
    Ok(captions)
}

impl Dataset for RecipeSet {
    fn info(&self) -> &DatasetInfo {
        self.of.info()
    }

    fn root(&self) -> Option<&Path> {
        self.of.root()
    }

    fn len(&self) -> usize {
        self.of.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let mut sample = self.of.get(index)?;
        let mut study = Study::of(&sample);
        let (mut media, mut images) = (Vec::new(), Vec::new());
        for (one, image) in sample.media.iter().zip(&study.images) {
            match volume(one).and_then(|path| self.volumes.get(path)) {
                None => {
                    media.push(one.clone());
                    images.push(image.clone());
                }
                Some(Err(problem)) => {
                    return Err(DataError::Row {
                        file: sample.id.clone(),
                        at: Spot::Row(index + 1),
                        problem: problem.clone(),
                    });
                }
                Some(Ok(captions)) => {
                    for (at, caption) in captions.iter().enumerate() {
                        let mut picture = one.clone();
                        picture.name = format!("{} picture {}", one.name, at + 1);
                        picture.view.slice = Some(SliceAt::Index(at));
                        media.push(picture);
                        let caption = Some(caption.trim().to_owned()).filter(|caption| !caption.is_empty());
                        images.push(StudyImage {
                            view: caption.or_else(|| image.view.clone()),
                            prior: image.prior,
                        });
                    }
                }
            }
        }
        (sample.media, study.images) = (media, images);
        study.tag(&mut sample);
        Ok(sample)
    }
}

/// Gives the pictures of a [`RecipeSet`]. The volume at hand is kept, since its pictures are asked for one after the other.
pub(super) struct RecipeLoader<L> {
    pub(super) of: L,
    pub(super) recipe: String,
    pub(super) images: ImageOptions,
    pub(super) last: Mutex<Option<(PathBuf, Arc<Vec<Picture>>)>>,
}

impl<L: MediaLoader> MediaLoader for RecipeLoader<L> {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let Some((path, at)) = prepared(media) else { return self.of.load(media) };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let held = last.as_ref().filter(|(of, _)| of == path).map(|(_, pictures)| Arc::clone(pictures));
        let pictures = match held {
            Some(pictures) => pictures,
            None => {
                let made = by_recipe(&self.recipe, path, &self.images)
                    .map_err(|e| MediaError::View(format!("recipe {}: {}", self.recipe, e.in_one_line())))?;
                let pictures = Arc::new(made.pictures);
                *last = Some((path.to_owned(), Arc::clone(&pictures)));
                pictures
            }
        };
        let gone = || MediaError::View(format!("the recipe makes {} pictures of the volume", pictures.len()));
        pictures.get(at).cloned().ok_or_else(gone)
    }

    fn intensities(&self, media: &MediaRef) -> Result<Option<Intensities>, MediaError> {
        if prepared(media).is_some() { Ok(None) } else { self.of.intensities(media) }
    }
}

/// The volume and the number of the picture, where a reference is to one that a recipe made.
fn prepared(media: &MediaRef) -> Option<(&Path, usize)> {
    let Some(SliceAt::Index(at)) = media.view.slice else { return None };
    let made = media.name.rsplit_once(" picture ").is_some_and(|(_, n)| n.parse() == Ok(at + 1));
    match &media.source {
        MediaSource::File(path) | MediaSource::Folder(path) if made => Some((path, at)),
        _ => None,
    }
}
