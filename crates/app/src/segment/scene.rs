//! A picture with segmented objects, in the geometry of the image or volume it was taken from.

use super::drawn::drawn_mask;
use super::label_files::write_labels;
use crate::error::{AppError, InStep};
use crate::files;
use crate::findings::view_name;
use crate::open::reference;
use loupe_core::mask::{LabelVolume, Rle};
use loupe_core::measure::{self, FlatMeasures, IntensityStats, SolidMeasures};
use loupe_core::{
    Box2, Finding, Given, LabelledMasks, Map2, Mask, MediaLoader, MediaRef, MediaSource, Modality, Origin,
    Picture, Point2, SegmentPrompt, Segmenter, SliceAt, Source, View,
};
use loupe_preprocess::Loader;
use loupe_preprocess::dicom::Image;
use loupe_preprocess::masks::{MaskFile, MaskOptions, on_picture};
use loupe_preprocess::render::Slicing;
use loupe_preprocess::volume_facts::SliceMaking;
use loupe_preprocess::volume_io::ReadVolume;
use loupe_report::exports::{ExportImage, ImageFinding, coco};
use loupe_report::{Drawing, Marks, draw, marks};
use ndarray::Array3;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What was measured of an object on the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectMeasures {
    /// `[x0, y0, x1, y1]` around the mask in source pixels; none when it is empty.
    pub box_xyxy: Option<[f64; 4]>,
    /// Area and diameters.
    pub flat: FlatMeasures,
    /// What has to be said of its millimetres, or of why it has none.
    pub spacing_note: Option<String>,
    /// Centre of the mask in patient millimetres (LPS).
    pub centre_lps_mm: Option<[f64; 3]>,
    /// Values under the mask in the image's own unit.
    pub intensities: Option<IntensityStats>,
}

/// A mask that was given as a prompt, in pixels of the picture.
pub(super) struct GivenMask {
    /// The number of its label, where it has one.
    pub(super) label: Option<String>,
    /// The name of its label.
    pub(super) name: Option<String>,
    pub(super) mask: Mask,
}

/// The masks of a file on the picture, none of them empty.
pub(super) struct GivenMasks {
    pub(super) masks: Vec<GivenMask>,
    /// What was decided on the way.
    pub(super) notes: Vec<String>,
}

/// An object on the picture.
struct SceneObject {
    label: String,
    /// In pixels of the picture.
    given: Mask,
    /// In pixels of the source.
    source: Mask,
}

/// A picture with its segmented objects.
pub struct SegmentationScene<'a> {
    picture: Arc<Picture>,
    given_from_source: Map2<Given, Source>,
    media: MediaRef,
    loader: &'a Loader,
    volume: Option<Arc<ReadVolume>>,
    /// Values of the source pixels of a flat image in their own unit, in row order, padding as NaN.
    values: Option<Vec<f32>>,
    modality: Option<Modality>,
    objects: Vec<SceneObject>,
    /// Labels on the grid of the volume, 1 for the first object.
    labels: Option<LabelVolume>,
    /// How many voxels of earlier objects the last one has taken over in `labels`.
    taken_voxels: usize,
}

/// Paints what `mask` covers with `number`, and counts the voxels that another number had.
fn paint(labels: &mut LabelVolume, origin: &Origin, mask: &Mask, number: u16) -> usize {
    let is_other = |at: &[usize; 3]| labels.labels.get(*at).is_some_and(|l| *l != 0 && *l != number);
    let taken = labels.covered(origin, mask).into_iter().flatten().filter(is_other).count();
    labels.paint(origin, mask, number);
    taken
}

impl<'a> SegmentationScene<'a> {
    /// `picture` as `loader` took it from `media`.
    pub fn new(picture: Arc<Picture>, media: MediaRef, loader: &'a Loader) -> Self {
        let volume = match picture.origin.slice {
            Some(_) => loader.load_volume(&media).ok(),
            None => None,
        };
        let labels = volume.as_ref().map(|v| LabelVolume {
            labels: Array3::zeros(v.volume.voxels.dim()),
            lps_from_index: v.volume.lps_from_index,
            names: BTreeMap::new(),
        });
        let (values, modality) = match &volume {
            Some(v) => (None, Some(v.volume.modality)),
            None => dicom_values(&picture.origin, &media, loader).unzip(),
        };
        // A picture that was squeezed to nothing cannot have been made.
        let given_from_source = picture.origin.source_from_self.inverse().unwrap_or(Map2::identity());
        Self {
            picture,
            given_from_source,
            media,
            loader,
            volume,
            values,
            modality,
            objects: Vec::new(),
            labels,
            taken_voxels: 0,
        }
    }

    /// The picture.
    pub fn picture(&self) -> &Arc<Picture> {
        &self.picture
    }

    /// The volume that the picture is a slice of.
    pub fn volume(&self) -> Option<&ReadVolume> {
        self.volume.as_deref()
    }

    /// The unit of intensities, where they have one.
    pub fn unit(&self) -> Option<&'static str> {
        (self.modality == Some(Modality::Ct)).then_some("HU")
    }

    /// A position of the source in pixels of the picture.
    pub fn given(&self, p: Point2<Source>) -> Point2<Given> {
        self.given_from_source.point(p)
    }

    /// A box of the source in pixels of the picture.
    pub fn given_box(&self, b: Box2<Source>) -> Box2<Given> {
        self.given_from_source.boxed(b)
    }

    /// The masks in a file: what a picture shows, or of a label map, segmentation or structure set what its labels
    /// cover of the slice that the picture shows, each label by itself.
    ///
    /// # Errors
    /// When the file cannot be read, does not lie on the image, or covers nothing of the picture.
    pub(super) fn given_masks(&self, file: &Path, options: &MaskOptions) -> Result<GivenMasks, AppError> {
        let media = reference(file, View::default())?;
        let words = || format!("the mask {} could not be used", file.display());
        let read = MaskFile::open(self.loader, &media).step(words)?;
        if let MaskFile::Drawn(drawn) = &read {
            let mask = self.given_mask(drawn)?;
            if mask.area_px() == 0 {
                return Err(AppError::input(format!(
                    "the mask {} is empty: no pixel is inside",
                    file.display()
                )));
            }
            return Ok(GivenMasks {
                masks: vec![GivenMask { label: None, name: None, mask }],
                notes: Vec::new(),
            });
        }
        // A single slice has a place too.
        let volume = match &self.volume {
            Some(volume) => Ok(Arc::clone(volume)),
            None => self.loader.load_volume(&self.media),
        };
        let masks = match volume {
            Ok(volume) => read.onto(&volume, options, self.loader.limits()).step(words)?,
            // A flat image has no place: a label map of one slice lies on it when it has its size.
            Err(_) => {
                let [width, height] = self.picture.origin.source_size;
                let masks = read.by_shape([1, height, width], self.loader.limits());
                let masks = masks.step(|| {
                    format!(
                        "the mask {} is a volume, and the image has no slices to put it on",
                        file.display()
                    )
                })?;
                match &options.label {
                    Some(label) => masks.only(label).map_err(|e| AppError::input(e.to_string()))?,
                    None => masks,
                }
            }
        };
        let size = [self.picture.width(), self.picture.height()];
        let on_slice = on_picture(&masks, &self.picture.origin, size).unwrap_or_default();
        if on_slice.is_empty() {
            return Err(AppError::input(format!(
                "the mask {} is empty here: {}",
                file.display(),
                where_it_is(&masks)
            )));
        }
        let given = |(n, mask): (usize, Mask)| {
            let label = masks.labels().get(n);
            GivenMask {
                label: label.map(|l| l.number.to_string()),
                name: label.and_then(|l| l.name.clone()),
                mask,
            }
        };
        Ok(GivenMasks { masks: on_slice.into_iter().map(given).collect(), notes: masks.notes.clone() })
    }

    /// A drawn mask, as large as the source or the picture, in pixels of the picture.
    fn given_mask(&self, drawn: &Picture) -> Result<Mask, AppError> {
        let mask = drawn_mask(drawn)?;
        let size = [drawn.width(), drawn.height()];
        let (width, height) = (self.picture.width(), self.picture.height());
        if size == [width, height] {
            return Ok(mask);
        }
        let origin = &self.picture.origin;
        if size != origin.source_size {
            let [w, h] = origin.source_size;
            return Err(AppError::input(format!(
                "the mask is {}×{} pixels, the image {w}×{h}",
                size[0], size[1]
            )));
        }
        let covered = |n: usize| {
            let centre = Point2::new((n % width) as f64 + 0.5, (n / width) as f64 + 0.5);
            let p = origin.source_from_self.point(centre);
            p.x >= 0.0 && p.y >= 0.0 && mask.get(p.x as usize, p.y as usize)
        };
        Mask::new(width, height, (0..width * height).map(covered).collect())
            .ok_or_else(|| AppError::input("the mask has no pixels"))
    }

    /// Takes an object in and measures it on the picture's source.
    pub fn add(&mut self, label: &str, mask: &Mask) -> ObjectMeasures {
        let origin = &self.picture.origin;
        let [w, h] = origin.source_size;
        let source = mask.in_source(origin).unwrap_or_else(|| Mask::empty(w, h));
        let box_xyxy = source.bounding_box().map(|b| b.xyxy());
        let (spacing_mm, spacing_note) = match box_xyxy {
            Some(xyxy) => (origin.spacing_mm_within(xyxy), origin.spacing_note_within(xyxy)),
            None => (origin.spacing_mm, origin.spacing_note.clone()),
        };
        let flat = measure::flat(&source, spacing_mm);
        let centre = flat.centre_xy.zip(origin.lps_from_source);
        let centre_lps_mm = centre.map(|([x, y], lps)| lps.apply(Point2::new(x, y)));
        let intensities = match (&self.values, &self.volume, &self.labels) {
            (Some(values), ..) => {
                let under = values.iter().zip(source.bits()).filter(|(_, b)| **b);
                measure::intensities(under.map(|(v, _)| f64::from(*v)))
            }
            // Of the voxels, each once, however much the picture was stretched.
            (None, Some(read), Some(labels)) => labels.covered(origin, mask).and_then(|voxels| {
                let padded = |at: &[usize; 3]| read.facts.padding.as_ref().is_some_and(|p| p[*at]);
                let image = voxels.iter().filter(|at| !padded(at));
                measure::intensities(
                    image.filter_map(|at| read.volume.voxels.get(*at)).map(|v| f64::from(*v)),
                )
            }),
            _ => None,
        };
        self.objects.push(SceneObject { label: label.to_owned(), given: mask.clone(), source });
        if let Some(labels) = &mut self.labels {
            let number = number(self.objects.len());
            labels.names.insert(number, label.to_owned());
            self.taken_voxels = paint(labels, &self.picture.origin, mask, number);
        }
        ObjectMeasures { box_xyxy, flat, spacing_note, centre_lps_mm, intensities }
    }

    /// Follows the last object, described by `prompts`, through the slices before and after, and says why when it
    /// is in none of them.
    ///
    /// # Errors
    /// When a slice cannot be read or the model fails.
    pub fn propagate(
        &mut self,
        prompts: &[SegmentPrompt],
        segmenter: &mut dyn Segmenter,
    ) -> Result<Option<String>, AppError> {
        let (Some(start), Some(read)) = (self.picture.origin.slice, &self.volume) else { return Ok(None) };
        let slicing = Slicing::of(self.media.view.plane, &read.volume.lps_from_index)?;
        let [slices, rows, columns] = read.volume.shape();
        let slices = [columns, rows, slices].get(slicing.through.axis).copied().unwrap_or(0);
        let frame = |n| {
            let mut media = self.media.clone();
            media.view.slice = Some(SliceAt::Index(n));
            self.loader.load(&media).step(|| format!("slice {n} could not be used"))
        };
        let frames: Vec<Picture> = (0..slices).map(frame).collect::<Result<_, _>>()?;
        let label = number(self.objects.len());
        let masks = segmenter.follow(&frames, start, prompts)?;
        for (frame, mask) in frames.iter().zip(&masks).filter(|(_, m)| m.area_px() > 0) {
            if let Some(labels) = &mut self.labels {
                self.taken_voxels += paint(labels, &frame.origin, mask, label);
            }
        }
        let others = masks.iter().enumerate().filter(|(n, mask)| *n != start && mask.area_px() > 0).count();
        let Some(first) = masks.get(start).filter(|_| others == 0) else { return Ok(None) };
        let why = match first.area_px() {
            0 => vec!["the mask on the prompted slice is empty".to_owned()],
            _ => segmenter.why_alone(&frames, start, first)?,
        };
        Ok(Some(format!("the propagation ended at once: {}", why.join("; "))))
    }

    /// The last object through the volume.
    pub fn solid(&self) -> Option<SolidMeasures> {
        let labels = self.labels.as_ref()?;
        Some(measure::solid(labels, number(self.objects.len())))
    }

    /// How many voxels the label map gives to the last object although earlier ones cover them too, in words.
    pub fn taken_voxels(&self) -> Option<String> {
        (self.taken_voxels > 0).then(|| {
            format!(
                "{} of its voxels belong to earlier objects too; the label map has them as this object's",
                self.taken_voxels
            )
        })
    }

    /// How many slices of the last object are none that were stored, in words.
    pub fn unstored_slices(&self) -> Option<String> {
        let ([first, last], read) = (self.solid()?.slices?, self.volume.as_ref()?);
        let making = |k| read.facts.slice(k).map_or(SliceMaking::Stored, |slice| slice.making);
        let made = (first..=last).filter(|k| making(*k) != SliceMaking::Stored).count();
        let all = last - first + 1;
        (made > 0).then(|| format!("{made} of its {all} slices were not stored, but made by --irregular"))
    }

    /// Writes masks, picture, overlay (with what else is `drawn`), COCO file and label map into `dir`; `image` is the
    /// image as it was named.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path, image: &str, drawn: Marks) -> Result<(), AppError> {
        files::make_folder(dir)?;
        for (n, object) in self.objects.iter().enumerate() {
            let grey: Vec<u8> = object.source.bits().iter().map(|b| if *b { 255 } else { 0 }).collect();
            let drawn = Picture::new(object.source.width(), object.source.height(), 1, grey)?;
            let name: String =
                object.label.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
            files::write(&dir.join(format!("mask-{:02}-{name}.png", n + 1)), &loupe_report::png(&drawn)?)?;
        }
        let masks = self.objects.iter().map(|o| Drawing::Mask(o.given.clone()));
        let drawings: Vec<Drawing> = masks.chain(marks(&self.picture, drawn)).collect();
        files::write(&dir.join("overlay.png"), &loupe_report::png(&draw(&self.picture, &drawings)?)?)?;
        files::write(&dir.join("picture.png"), &loupe_report::png(&self.picture)?)?;
        let image = view_name(&self.picture.origin, image);
        let findings: Vec<Finding> = self.objects.iter().map(|o| self.finding(o)).collect();
        let findings: Vec<ImageFinding<'_>> =
            findings.iter().map(|finding| ImageFinding { image: &image, finding }).collect();
        let looked_at = ExportImage::new(&image, self.picture.origin.source_size);
        let coco = coco::masks(&[looked_at], &findings)?;
        files::write(&dir.join("masks.json"), serde_json::to_string(&coco)?.as_bytes())?;
        if let Some(labels) = &self.labels {
            write_labels(dir, labels)?;
        }
        Ok(())
    }

    /// An object as a finding on the picture.
    fn finding(&self, object: &SceneObject) -> Finding {
        let mask = Rle::of(&object.given);
        Finding::mask(0, mask, self.picture.origin.clone()).with(Some(object.label.clone()), None)
    }
}

/// Which slices of the volume a mask covers, in words.
pub(super) fn where_it_is(masks: &LabelledMasks) -> String {
    let slices = masks.regions().filter(|(_, region)| !region.is_empty()).map(|(_, region)| {
        let [low, high] = region.bounds();
        [low[2], high[2] - 1]
    });
    match slices.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]) {
        None => "no voxel is inside, in any slice".to_owned(),
        Some([low, high]) => format!(
            "it covers nothing of this slice; of the stored slices it covers some from {low} to {high}"
        ),
    }
}

/// The label of the `n`-th object, from 1.
fn number(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Values of a single grey DICOM image in the modality's unit.
fn dicom_values(origin: &Origin, media: &MediaRef, loader: &Loader) -> Option<(Vec<f32>, Modality)> {
    let MediaSource::File(path) = &media.source else { return None };
    let image = Image::parse(loader.limits().read_file(path).ok()?, loader.limits()).ok()?;
    let (mut values, padding) = image.values_and_padding(origin.frame.unwrap_or(0)).ok()?;
    for (value, _) in values.iter_mut().zip(padding.iter().flatten()).filter(|(_, padded)| **padded) {
        *value = f32::NAN;
    }
    let [w, h] = origin.source_size;
    (values.len() == w * h).then(|| (values, image.modality()))
}
