//! Objects that prompts describe on one picture, and on through the slices of its volume.

use super::document::{FailedPrompt, ObjectEntry, SegmentDocument};
use super::grounder::Grounder;
use super::prompts::ObjectPrompt;
use super::salient::Salient;
use super::scene::{GivenMask, GivenMasks, SegmentationScene};
use crate::ask::{grounding_picture, grounding_words};
use crate::error::{AppError, InStep};
use crate::files;
use crate::findings::ViewEntry;
use crate::instances::instances_of;
use crate::open::ImageOptions;
use loupe_core::{
    Ask, Box2, GenerationLimits, Given, MediaLoader, MediaRef, ModelError, Picture, PictureRecord, Point2,
    SegmentPrompt, Segmenter, Source, VisionLanguageModel,
};
use loupe_preprocess::Loader;
use loupe_preprocess::masks::MaskOptions;
use loupe_preprocess::nifti::shear_note;
use loupe_report::Marks;
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be segmented.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// The image as it was named.
    pub image: String,
    /// The image and the view of it.
    pub media: MediaRef,
    /// How the image is read, for the record.
    pub reading: ImageOptions,
    /// Say which DICOM object each slice is.
    pub instances: bool,
    /// What is drawn on the overlay beside the masks.
    pub marks: Marks,
    /// One prompt an object.
    pub prompts: Vec<ObjectPrompt>,
    /// Take the nearest voxel of masks whose voxels do not lie on the image's, instead of refusing them.
    pub resample_masks: bool,
    /// Carry the masks on through the slices of a volume, both ways, until they end.
    pub propagate: bool,
    /// Folder for masks, overlay, COCO file, label map and measurements; nothing is written without one.
    pub output: Option<PathBuf>,
}

/// The models that take part.
pub struct Segmenters<'a> {
    /// Makes the masks.
    pub segmenter: &'a mut dyn Segmenter,
    /// Finds phrases.
    pub grounder: Option<Grounder<'a>>,
}

/// The prompts of one object in pixels of the picture.
struct PlacedPrompt {
    label: String,
    prompt: ObjectPrompt,
    given: Vec<SegmentPrompt>,
}

/// Segments every object, measures it and writes the files. An object that fails does not spoil the others.
///
/// # Errors
/// When the image cannot be read, there are no slices to propagate through, or a file cannot be written.
pub fn segment_objects(
    options: &SegmentOptions,
    loader: &Loader,
    models: &mut Segmenters<'_>,
) -> Result<SegmentDocument, AppError> {
    let image = &options.image;
    let picture = Arc::new(loader.load(&options.media).step(|| format!("{image} could not be used"))?);
    let mut scene = SegmentationScene::new(Arc::clone(&picture), options.media.clone(), loader);
    if options.propagate && scene.volume().is_none() {
        return Err(AppError::input(format!(
            "--propagate goes through the slices of a volume, and {image} has none"
        )));
    }
    let mut document = SegmentDocument {
        view: ViewEntry::of(&picture.origin, image),
        model: models.segmenter.info().clone(),
        picture: PictureRecord::of(&picture),
        reading: options.reading.record(),
        instances: match options.instances {
            true => instances_of(loader, &options.media, image)?,
            false => Vec::new(),
        },
        objects: Vec::new(),
        failed: Vec::new(),
        saliency: Vec::new(),
        notes: Vec::new(),
    };
    if options.output.is_some() {
        document.notes.extend(scene.volume().and_then(|read| shear_note(&read.volume.lps_from_index)));
    }
    let (mut all, mut maps) = (Vec::new(), Vec::new());
    for prompt in &options.prompts {
        let masks = MaskOptions { resample: options.resample_masks, label: prompt.mask_label.clone() };
        match placed(prompt, &masks, all.len(), &scene, models) {
            Ok(Placed { prompts, notes, salient }) => {
                all.extend(prompts);
                document.notes.extend(notes);
                if let Some(salient) = salient {
                    document.saliency.push(salient.entry.clone());
                    maps.push(salient);
                }
            }
            Err(error) => {
                document.failed.push(FailedPrompt { prompt: prompt.clone(), reason: error.in_one_line() });
            }
        }
    }
    // All at once: the picture is encoded once and prompts of a kind are decoded together.
    let prompts: Vec<Vec<SegmentPrompt>> = all.iter().map(|p| p.given.clone()).collect();
    let segments = models.segmenter.segment_all(&picture, &prompts);
    for (PlacedPrompt { label, prompt, given }, segments) in all.into_iter().zip(segments) {
        let best = match segments.map(|s| s.into_iter().next()) {
            Ok(Some(best)) => best,
            Ok(None) => {
                let reason = "the model found nothing".to_owned();
                document.failed.push(FailedPrompt { prompt, reason });
                continue;
            }
            Err(error) => {
                document.failed.push(FailedPrompt { prompt, reason: error.to_string() });
                continue;
            }
        };
        let measures = scene.add(&label, &best.mask);
        let mut notes = Vec::new();
        if measures.flat.area_px == 0 {
            notes.push("the mask is empty: the model covered no pixel".to_owned());
        }
        if options.propagate {
            notes.extend(scene.propagate(&given, models.segmenter)?);
        }
        notes.extend(measures.spacing_note);
        notes.extend(scene.unstored_slices());
        if options.output.is_some() {
            notes.extend(scene.taken_voxels());
        }
        document.objects.push(ObjectEntry {
            label,
            prompt,
            predicted_iou: best.predicted_iou,
            box_xyxy: measures.box_xyxy,
            flat: measures.flat,
            centre_lps_mm: measures.centre_lps_mm,
            intensities: measures.intensities,
            unit: scene.unit(),
            solid: scene.solid(),
            notes,
        });
    }
    // Nothing is written where there is nothing to show.
    if let Some(dir) = options.output.as_ref().filter(|_| !document.objects.is_empty()) {
        scene.write(dir, image, options.marks)?;
        for (n, salient) in maps.iter().enumerate() {
            salient.write(dir, n + 1, &picture)?;
        }
        let text = serde_json::to_string_pretty(&document)?;
        files::write(&dir.join("measures.json"), text.as_bytes())?;
    }
    Ok(document)
}

/// What became of a prompt.
struct Placed {
    /// A phrase or a mask volume may stand for several objects.
    prompts: Vec<PlacedPrompt>,
    /// What has to be said of it.
    notes: Vec<String>,
    /// The map in which a phrase was found.
    salient: Option<Salient>,
}

impl From<(Vec<PlacedPrompt>, Vec<String>)> for Placed {
    fn from((prompts, notes): (Vec<PlacedPrompt>, Vec<String>)) -> Self {
        Self { prompts, notes, salient: None }
    }
}

/// What the segmenter is told, and what has to be said of it; a phrase or a mask volume may stand for several
/// objects. `before` is the number of objects that come earlier.
fn placed(
    prompt: &ObjectPrompt,
    masks: &MaskOptions,
    before: usize,
    scene: &SegmentationScene<'_>,
    models: &mut Segmenters<'_>,
) -> Result<Placed, AppError> {
    let place = |[x, y]: [f64; 2]| scene.given(Point2::new(x, y));
    let mut given = Vec::new();
    if let Some([x0, y0, x1, y1]) = prompt.region {
        let region = Box2::<Source>::new(x0, y0, x1, y1);
        if !region.is_proper() {
            return Err(AppError::input(format!(
                "the box {x0},{y0},{x1},{y1} has no area; the corners are x0,y0 (upper left) and x1,y1"
            )));
        }
        given.push(SegmentPrompt::Box(scene.given_box(region)));
    }
    given.extend(prompt.points.iter().map(|p| SegmentPrompt::Point { at: place(*p), positive: true }));
    given.extend(prompt.outside.iter().map(|p| SegmentPrompt::Point { at: place(*p), positive: false }));
    let title = |n: usize| match (&prompt.label, &prompt.phrase) {
        (Some(label), _) => label.clone(),
        (None, Some(phrase)) => phrase.clone(),
        (None, None) => format!("object {}", before + n + 1),
    };
    if let Some(file) = &prompt.mask {
        let GivenMasks { masks, notes } = scene.given_masks(file, masks)?;
        if masks.len() > 1 && !(given.is_empty() && prompt.phrase.is_none()) {
            return Err(AppError::input(format!(
                "the mask holds {} labels here, and it is unclear to which the other prompts belong; choose one with \
                 --mask-label",
                masks.len()
            )));
        }
        if masks.len() > 1 || prompt.phrase.is_none() {
            let one = |(n, mask): (usize, GivenMask)| {
                let mut given = given.clone();
                given.push(SegmentPrompt::Mask(mask.mask));
                let label = prompt.label.clone().or(mask.name).unwrap_or_else(|| title(n));
                PlacedPrompt {
                    label,
                    prompt: ObjectPrompt { mask_label: mask.label, ..prompt.clone() },
                    given,
                }
            };
            let prompts: Vec<PlacedPrompt> = masks.into_iter().enumerate().map(one).collect();
            return Ok((prompts, notes).into());
        }
        given.extend(masks.into_iter().map(|mask| SegmentPrompt::Mask(mask.mask)));
    }
    let Some(phrase) = &prompt.phrase else {
        return Ok((vec![PlacedPrompt { label: title(0), prompt: prompt.clone(), given }], Vec::new()).into());
    };
    let Some(grounder) = &mut models.grounder else {
        return Err(AppError::input("a phrase needs a model that finds it"));
    };
    let (boxes, salient) = match grounder {
        Grounder::Answers(model) => (grounded(*model, scene.picture(), phrase)?, None),
        Grounder::Compares(encoder, how) => {
            let found = Salient::of(*encoder, *how, scene.picture(), phrase)?;
            (found.boxes.clone(), Some(found))
        }
    };
    let one = |(n, region): (usize, Box2<Given>)| {
        let mut given = given.clone();
        given.insert(0, SegmentPrompt::Box(region));
        let region = Some(scene.picture().origin.source_from_self.boxed(region).xyxy());
        PlacedPrompt { label: title(n), prompt: ObjectPrompt { region, ..prompt.clone() }, given }
    };
    let prompts = boxes.into_iter().enumerate().map(one).collect();
    let notes = salient.iter().filter_map(|found| found.note(scene.picture())).collect();
    Ok(Placed { prompts, notes, salient })
}

/// Boxes of what a phrase names, from a model that grounds.
fn grounded(
    model: &mut dyn VisionLanguageModel,
    picture: &Arc<Picture>,
    phrase: &str,
) -> Result<Vec<Box2<Given>>, AppError> {
    let words = grounding_words(phrase, &model.info().box_dialect)?;
    let shown = grounding_picture(picture, &model.info().box_dialect)?;
    let Some(self_from_source) = picture.origin.source_from_self.inverse() else {
        return Err(AppError::input("the picture has no area"));
    };
    let self_from_shown = self_from_source.after(&shown.origin.source_from_self);
    let ask = Ask::pictures_then(vec![shown], words, GenerationLimits::default());
    let none = || Err(ModelError::Compute("the model gave no reply".into()));
    let reply = model.generate(std::slice::from_ref(&ask)).pop().unwrap_or_else(none)?;
    let boxes = reply.boxes().map(|(_, b)| self_from_shown.boxed(b)).filter(|b| b.is_proper());
    let boxes: Vec<Box2<Given>> = boxes.collect();
    if boxes.is_empty() {
        return Err(AppError::NotFound { phrase: phrase.to_owned(), said: reply.text });
    }
    Ok(boxes)
}
