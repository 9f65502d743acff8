//! What masks measure on an image: size, shape, values.

use crate::error::{AppError, InStep};
use crate::open::{ImageOptions, ReadingRecord, reference};
use crate::segment::SegmentationScene;
use loupe_core::measure::{self, FlatMeasures, IntensityStats, SolidMeasures};
use loupe_core::shape::{ShapeMeasures, shape};
use loupe_core::{Label, LabelledMasks, Mask, MediaLoader, MediaRef, Modality, Picture, Region, View};
use loupe_preprocess::Loader;
use loupe_preprocess::masks::{MaskFile, on_picture};
use loupe_preprocess::volume_io::ReadVolume;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

pub use loupe_preprocess::masks::MaskOptions;

/// Which masks are measured on which image.
#[derive(Debug, Clone)]
pub struct MeasureOptions {
    /// The image as it was named.
    pub image: String,
    /// The image; with a slice in its view that slice alone is measured, as a picture.
    pub media: MediaRef,
    /// How images and masks are read.
    pub images: ImageOptions,
    /// Label map, segmentation, structure set or, for a flat image or a slice, picture.
    pub mask: PathBuf,
    /// How the mask is put on the image, and which of its labels are measured; all when none is named.
    pub mask_options: MaskOptions,
}

/// What one label measures.
#[derive(Debug, Clone, Serialize)]
pub struct LabelMeasures {
    /// Number, name and codes.
    #[serde(flatten)]
    pub label: Label,
    /// Size in the volume.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub solid: Option<SolidMeasures>,
    /// Size on the picture or slice.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub flat: Option<FlatMeasures>,
    /// Centre in patient millimetres (LPS), where the image has a place.
    pub centre_lps_mm: Option<[f64; 3]>,
    /// Values under the mask in the image's own unit, padding left out.
    pub intensities: Option<IntensityStats>,
    /// `HU` where the file says that it is CT.
    pub unit: Option<&'static str>,
    /// Of a volume, by pyradiomics' names; none of an empty mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<ShapeMeasures>,
}

/// Labels that share voxels.
#[derive(Debug, Clone, Serialize)]
pub struct SharedVoxels {
    /// The numbers of both.
    pub labels: [u32; 2],
    /// How many they share.
    pub voxels: usize,
}

/// What the labels of a mask measure on an image.
#[derive(Debug, Clone, Serialize)]
pub struct MeasureDocument {
    /// The image as it was named.
    pub image: String,
    /// The mask as it was named.
    pub mask: String,
    /// How the image was read, by which version.
    pub reading: ReadingRecord,
    /// The slice that was measured, from 0, when it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<usize>,
    /// Every label in the order of the file; those that cover nothing too.
    pub labels: Vec<LabelMeasures>,
    /// Labels that overlap: each is measured whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<SharedVoxels>,
    /// What was decided on the way, and how far millimetres can be trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Measures every label of a mask.
///
/// # Errors
/// When image or mask cannot be read, or the mask does not lie on the image.
pub fn measure(options: &MeasureOptions) -> Result<MeasureDocument, AppError> {
    let loader = options.images.loader();
    let mask = options.mask.display().to_string();
    let words = || format!("the mask {mask} could not be used");
    let file = MaskFile::open(&loader, &reference(&options.mask, View::default())?).step(words)?;
    let image = || format!("{} could not be used", options.image);
    let mut document = MeasureDocument {
        image: options.image.clone(),
        mask: mask.clone(),
        reading: options.images.record(),
        slice: None,
        labels: Vec::new(),
        overlaps: Vec::new(),
        notes: Vec::new(),
    };
    let drawn = match &file {
        MaskFile::Drawn(drawn) => Some(drawn),
        _ => None,
    };
    if drawn.is_none() && options.media.view.slice.is_none() {
        let read = loader.load_volume(&options.media).step(image)?;
        let masks = file.onto(&read, &options.mask_options, &options.images.limits).step(words)?;
        document.labels = masks.regions().map(|(label, region)| solid(label, &region, &read)).collect();
        document.notes = read.notes.clone();
        document.said_of(&masks);
        return Ok(document);
    }
    let picture = Arc::new(loader.load(&options.media).step(image)?);
    document.slice = picture.origin.slice;
    let labels: Vec<(Label, Mask)> = match drawn {
        Some(drawn) => vec![(Label { number: 1, ..Label::default() }, drawn_on(&picture, drawn)?)],
        None => {
            let read = loader.load_volume(&options.media).step(image)?;
            let masks = file.onto(&read, &options.mask_options, &options.images.limits).step(words)?;
            document.said_of(&masks);
            let size = [picture.width(), picture.height()];
            let shown = on_picture(&masks, &picture.origin, size).unwrap_or_default();
            let of = |n: usize| shown.iter().find(|(at, _)| *at == n).map(|(_, mask)| mask.clone());
            let empty = || Mask::empty(picture.width(), picture.height());
            let labels = masks.labels().iter().enumerate();
            labels.map(|(n, label)| (label.clone(), of(n).unwrap_or_else(empty))).collect()
        }
    };
    let (labels, notes) = flat(&picture, options.media.clone(), &loader, labels);
    document.labels = labels;
    document.notes.extend(notes);
    Ok(document)
}

impl MeasureDocument {
    fn said_of(&mut self, masks: &LabelledMasks) {
        let shared = |o: loupe_core::labels::Overlap| SharedVoxels { labels: o.labels, voxels: o.voxels };
        self.overlaps = masks.overlaps().into_iter().map(shared).collect();
        self.notes.extend(masks.notes.iter().cloned());
    }
}

/// A label of a volume.
fn solid(label: &Label, region: &Region, read: &ReadVolume) -> LabelMeasures {
    let map = &read.volume.lps_from_index;
    let padding = read.facts.padding.as_ref();
    let values = region.cells().filter_map(|[i, j, k]| {
        let at = [k, j, i].map(|v| v as usize);
        let image = padding.is_none_or(|padding| padding.get(at) != Some(&true));
        read.volume.voxels.get(at).filter(|_| image).map(|v| f64::from(*v))
    });
    let count = region.len() as f64;
    let sum = region.cells().fold([0.0; 3], |s, c| [0, 1, 2].map(|n| s[n] + c[n] as f64));
    LabelMeasures {
        label: label.clone(),
        solid: Some(measure::of_region(region, map)),
        flat: None,
        centre_lps_mm: (count > 0.0).then(|| map.apply(sum.map(|v| v / count))),
        intensities: measure::intensities(values),
        unit: (read.volume.modality == Modality::Ct).then_some("HU"),
        shape: shape(region, map),
    }
}

/// A drawn mask on the pixels of a picture.
fn drawn_on(picture: &Arc<Picture>, drawn: &Picture) -> Result<Mask, AppError> {
    let (have, want) = ([drawn.width(), drawn.height()], [picture.width(), picture.height()]);
    if have != want {
        return Err(AppError::input(format!(
            "the mask is {}×{} pixels, the image {}×{}",
            have[0], have[1], want[0], want[1]
        )));
    }
    let bits = drawn.pixels().chunks_exact(drawn.channels()).map(|p| p.iter().any(|v| *v > 0)).collect();
    Mask::new(have[0], have[1], bits).ok_or_else(|| AppError::input("the mask has no pixels"))
}

/// Labels of a picture, and what has to be said of their millimetres.
fn flat(
    picture: &Arc<Picture>,
    media: MediaRef,
    loader: &Loader,
    labels: Vec<(Label, Mask)>,
) -> (Vec<LabelMeasures>, Vec<String>) {
    let mut notes: Vec<String> = Vec::new();
    let mut scene = SegmentationScene::new(Arc::clone(picture), media, loader);
    let unit = scene.unit();
    let mut one = |(label, mask): (Label, Mask)| {
        let found = scene.add(&label.title(), &mask);
        // Once where it is the same for all.
        notes.extend(found.spacing_note.filter(|note| !notes.contains(note)));
        LabelMeasures {
            label,
            solid: None,
            flat: Some(found.flat),
            centre_lps_mm: found.centre_lps_mm,
            intensities: found.intensities,
            unit,
            shape: None,
        }
    };
    let labels = labels.into_iter().map(&mut one).collect();
    (labels, notes)
}
