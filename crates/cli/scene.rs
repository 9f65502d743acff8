//! A picture with outlined objects, in the geometry of the image or volume it was taken from.

use crate::commands::segment::write;
use anyhow::{Context, Result, bail};
use loupe_core::mask::LabelVolume;
use loupe_core::{
    Box2, Given, Map2, Mask, MediaLoader, MediaRef, MediaSource, Modality, Origin, Picture, Point2,
    SegmentPrompt, Segmenter, SliceAt, Source,
};
use loupe_preprocess::Loader;
use loupe_preprocess::dicom::Image;
use loupe_preprocess::render::Slicing;
use loupe_preprocess::volume_io::ReadVolume;
use loupe_report::coco::{Outlined, masks};
use loupe_report::measure::{self, FlatMeasures, Intensities, SolidMeasures};
use loupe_report::{Drawing, draw};
use ndarray::Array3;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What was measured of an object on the picture.
pub(crate) struct Measured {
    pub(crate) box_xyxy: Option<[f64; 4]>,
    pub(crate) flat: FlatMeasures,
    pub(crate) centre_lps_mm: Option<[f64; 3]>,
    pub(crate) intensities: Option<Intensities>,
}

/// An object on the picture.
struct Object {
    label: String,
    /// In pixels of the picture.
    given: Mask,
    /// In pixels of the source.
    source: Mask,
}

/// A picture with its outlined objects.
pub(crate) struct Scene<'a> {
    picture: Arc<Picture>,
    given_from_source: Map2<Given, Source>,
    media: MediaRef,
    loader: &'a Loader,
    volume: Option<Arc<ReadVolume>>,
    /// Values of the source pixels in their own unit, in row order.
    values: Option<Vec<f32>>,
    modality: Option<Modality>,
    objects: Vec<Object>,
    /// Labels on the grid of the volume, 1 for the first object.
    labels: Option<LabelVolume>,
}

impl<'a> Scene<'a> {
    /// `picture` as `loader` took it from `media`.
    pub(crate) fn new(picture: Arc<Picture>, media: MediaRef, loader: &'a Loader) -> Self {
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
            Some(v) => (Some(sampled(&picture.origin, v)), Some(v.volume.modality)),
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
        }
    }

    pub(crate) fn picture(&self) -> &Arc<Picture> {
        &self.picture
    }

    pub(crate) fn volume(&self) -> Option<&ReadVolume> {
        self.volume.as_deref()
    }

    /// The unit of intensities, where they have one.
    pub(crate) fn unit(&self) -> Option<&'static str> {
        (self.modality == Some(Modality::Ct)).then_some("HU")
    }

    pub(crate) fn given(&self, p: Point2<Source>) -> Point2<Given> {
        self.given_from_source.point(p)
    }

    pub(crate) fn given_box(&self, b: Box2<Source>) -> Box2<Given> {
        self.given_from_source.boxed(b)
    }

    /// A drawn mask, as large as the source or the picture, in pixels of the picture.
    pub(crate) fn given_mask(&self, drawn: &Picture) -> Result<Mask> {
        let size = [drawn.width(), drawn.height()];
        let step = drawn.channels();
        let bits = drawn.pixels().chunks_exact(step).map(|p| p.iter().any(|v| *v > 0)).collect();
        let mask = Mask::new(size[0], size[1], bits).context("the mask has no pixels")?;
        if size == [self.picture.width(), self.picture.height()] {
            return Ok(mask);
        }
        if size != self.picture.origin.source_size {
            let [w, h] = self.picture.origin.source_size;
            bail!("the mask is {}×{} pixels, the image {w}×{h}", size[0], size[1]);
        }
        let map = self.picture.origin.source_from_self;
        let inside = |x, y| at(&mask, map.point(Point2::new(x, y)));
        mask_of(self.picture.width(), self.picture.height(), inside)
    }

    /// Takes an object in and measures it on the picture's source.
    pub(crate) fn add(&mut self, label: &str, mask: &Mask) -> Measured {
        let [w, h] = self.picture.origin.source_size;
        let inside = |x, y| at(mask, self.given_from_source.point(Point2::new(x, y)));
        let source = mask_of(w, h, inside).unwrap_or_else(|_| Mask::empty(w, h));
        let origin = &self.picture.origin;
        let flat = measure::flat(&source, origin.spacing_mm);
        let centre = flat.centre_xy.zip(origin.lps_from_source);
        let centre_lps_mm = centre.map(|([x, y], lps)| lps.apply(Point2::new(x, y)));
        let intensities = self.values.as_ref().and_then(|values| {
            let under = values.iter().zip(source.bits()).filter(|(_, b)| **b).map(|(v, _)| f64::from(*v));
            measure::intensities(under)
        });
        self.objects.push(Object { label: label.to_owned(), given: mask.clone(), source: source.clone() });
        if let Some(labels) = &mut self.labels {
            let number = number(self.objects.len());
            labels.names.insert(number, label.to_owned());
            labels.paint(&self.picture.origin, mask, number);
        }
        Measured { box_xyxy: source.bounding_box().map(|b| b.xyxy()), flat, centre_lps_mm, intensities }
    }

    /// Follows the last object, described by `hints`, through the slices before and after.
    ///
    /// # Errors
    /// When a slice cannot be read or the model fails.
    pub(crate) fn propagate(&mut self, hints: &[SegmentPrompt], segmenter: &mut dyn Segmenter) -> Result<()> {
        let (Some(start), Some(read)) = (self.picture.origin.slice, &self.volume) else { return Ok(()) };
        let slicing = Slicing::of(self.media.view.plane, &read.volume.lps_from_index)?;
        let [slices, rows, columns] = read.volume.shape();
        let slices = [columns, rows, slices].get(slicing.through.axis).copied().unwrap_or(0);
        let frame = |n| {
            let mut media = self.media.clone();
            media.view.slice = Some(SliceAt::Index(n));
            self.loader.load(&media).with_context(|| format!("slice {n} could not be used"))
        };
        let frames: Vec<Picture> = (0..slices).map(frame).collect::<Result<_>>()?;
        let label = number(self.objects.len());
        let masks = segmenter.follow(&frames, start, hints)?;
        for (frame, mask) in frames.iter().zip(&masks).filter(|(_, m)| m.area_px() > 0) {
            if let Some(labels) = &mut self.labels {
                labels.paint(&frame.origin, mask, label);
            }
        }
        Ok(())
    }

    /// The last object through the volume.
    pub(crate) fn solid(&self) -> Option<SolidMeasures> {
        let labels = self.labels.as_ref()?;
        Some(measure::solid(labels, number(self.objects.len())))
    }

    /// Writes masks, overlay, COCO file and label map into `dir`.
    pub(crate) fn write(&self, dir: &Path, image: &str) -> Result<()> {
        std::fs::create_dir_all(dir).with_context(|| format!("{} could not be made", dir.display()))?;
        for (n, object) in self.objects.iter().enumerate() {
            let grey: Vec<u8> = object.source.bits().iter().map(|b| if *b { 255 } else { 0 }).collect();
            let drawn = Picture::new(object.source.width(), object.source.height(), 1, grey)?;
            let name: String =
                object.label.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
            write(&dir.join(format!("mask-{:02}-{name}.png", n + 1)), &loupe_report::png(&drawn)?)?;
        }
        let drawings: Vec<Drawing> = self.objects.iter().map(|o| Drawing::Mask(o.given.clone())).collect();
        write(&dir.join("overlay.png"), &loupe_report::png(&draw(&self.picture, &drawings)?)?)?;
        let slice = self.picture.origin.slice.map(|n| format!("#slice={n}")).unwrap_or_default();
        let image = format!("{image}{slice}");
        let outlined: Vec<Outlined<'_>> = self
            .objects
            .iter()
            .map(|o| Outlined { image: &image, label: &o.label, mask: &o.source, score: None })
            .collect();
        write(&dir.join("masks.json"), serde_json::to_string(&masks(&outlined))?.as_bytes())?;
        if let Some(labels) = &self.labels {
            write(&dir.join("labels.nii.gz"), &loupe_preprocess::nifti::label_bytes(labels)?)?;
        }
        Ok(())
    }
}

/// The label of the `n`-th object, from 1.
fn number(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Is the position covered?
fn at<F: loupe_core::geometry::Frame>(mask: &Mask, p: Point2<F>) -> bool {
    p.x >= 0.0 && p.y >= 0.0 && mask.get(p.x as usize, p.y as usize)
}

/// The mask of the pixels whose centres are inside.
fn mask_of(width: usize, height: usize, inside: impl Fn(f64, f64) -> bool) -> Result<Mask> {
    let bits = (0..width * height).map(|n| inside((n % width) as f64 + 0.5, (n / width) as f64 + 0.5));
    Mask::new(width, height, bits.collect()).context("the mask has no pixels")
}

/// The voxel that holds a fractional index, when there is one at or above 0.
fn whole(index: [f64; 3]) -> Option<[usize; 3]> {
    let near = index.map(f64::round);
    near.iter().all(|v| *v >= 0.0).then(|| near.map(|v| v as usize))
}

/// Voxel values under every source pixel of a slice.
fn sampled(origin: &Origin, read: &ReadVolume) -> Vec<f32> {
    let [w, h] = origin.source_size;
    let value = |n: usize| {
        let p = Point2::new((n % w) as f64 + 0.5, (n / w) as f64 + 0.5);
        let place = origin.lps_from_source?.apply(p);
        let [i, j, k] = whole(read.volume.lps_from_index.index_of(place)?)?;
        read.volume.voxels.get([k, j, i]).copied()
    };
    (0..w * h).map(|n| value(n).unwrap_or(f32::NAN)).collect()
}

/// Values of a single grey DICOM image in the modality's unit.
fn dicom_values(origin: &Origin, media: &MediaRef, loader: &Loader) -> Option<(Vec<f32>, Modality)> {
    let MediaSource::File(path) = &media.source else { return None };
    let image = Image::parse(loader.limits().read_file(path).ok()?, loader.limits()).ok()?;
    let values = image.values(origin.frame.unwrap_or(0)).ok()?;
    let [w, h] = origin.source_size;
    (values.len() == w * h).then(|| (values, image.modality()))
}
