//! Masks that lie on an image: label maps, DICOM segmentations and structure sets, and drawn pictures.
//!
//! Positions decide, in patient coordinates. A mask whose voxels are not the image's is refused unless it may be
//! resampled, and the notes say when it was. Labels that overlap stay apart.

use crate::dicom;
use crate::dicom::files;
use crate::dicom::references::Belonging;
use crate::dicom::rtstruct::{self, OffPlane, StructureSet};
use crate::dicom::seg::{self, Segmentation, elsewhere};
use crate::loader::{FileKind, Loader};
use crate::volume_io::read::ReadVolume;
use crate::volume_io::{VolumeFormat, labels_of, nifti};
use loupe_core::MediaLoader;
use loupe_core::geometry::Point2;
use loupe_core::guard::guarded;
use loupe_core::labels::{Label, LabelError, LabelledMasks};
use loupe_core::lattice::{Grid, Lattice};
use loupe_core::limits::DecodeLimits;
use loupe_core::mask::Mask;
use loupe_core::media::{MediaError, MediaRef, MediaSource};
use loupe_core::picture::{Origin, Picture};
use loupe_dicom::parse;
use std::sync::Arc;

/// How a mask is put on an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaskOptions {
    /// Take the nearest voxel where the mask's voxels do not lie on the image's, instead of refusing it.
    pub resample: bool,
    /// Only the label of this number or name.
    pub label: Option<String>,
}

/// What a mask file holds.
#[derive(Debug, Clone)]
pub enum MaskFile {
    /// A DICOM segmentation.
    Segmentation(Box<Segmentation>),
    /// A DICOM structure set.
    Structures(Box<StructureSet>),
    /// A label map on a grid of its own.
    Labels {
        /// Its labels.
        masks: Box<LabelledMasks>,
        /// Does the format say where the grid lies? Numpy arrays do not: they lie on the image's when they have
        /// its size.
        placed: bool,
    },
    /// A flat picture; what is not 0 is inside.
    Drawn(Box<Picture>),
}

/// What one file is.
enum Found {
    /// A segmentation or structure set.
    Mask(MaskFile),
    /// Something else, by its contents.
    Other(Option<FileKind>),
}

impl MaskFile {
    /// Reads the mask file, or the folder or archive with one segmentation or structure set, that `media` means.
    ///
    /// # Errors
    /// When it cannot be read, holds several segmentations, or values that are no labels.
    pub fn open(loader: &Loader, media: &MediaRef) -> Result<Self, MediaError> {
        let limits = loader.limits();
        // Opening checks that the path may be read.
        let mut opened = loader.open(&media.source)?;
        let blobs = match &media.source {
            MediaSource::Bytes(bytes) => files::collect_bytes(bytes.to_vec(), limits)?,
            MediaSource::File(path) | MediaSource::Folder(path) => files::collect(path, limits)?,
        };
        if let Some(layer) = media.view.layer {
            let [file] = blobs.as_slice() else {
                return Err(MediaError::View("layers are those of one file of masks".into()));
            };
            let bytes = file.read(limits)?;
            if FileKind::sniff(&bytes) != Some(FileKind::Volume(VolumeFormat::Nifti)) {
                return Err(MediaError::View("layers of masks are read from NIfTI files".into()));
            }
            let read = nifti::read_layer(&bytes, layer, limits)?;
            let masks = LabelledMasks::of(&labels_of(&read)?).map_err(unusable)?;
            return Ok(Self::Labels { masks: Box::new(masks), placed: false });
        }
        let single = blobs.len() == 1;
        let mut found = Vec::new();
        let mut format = None;
        for blob in &blobs {
            match (blob.read(limits).and_then(|bytes| Self::of_blob(bytes, limits)), single) {
                (Ok(Found::Mask(mask)), _) => found.push(mask),
                (Ok(Found::Other(kind)), true) => format = kind,
                (Err(error), true) => return Err(error),
                // Of a folder the files that are none do not matter.
                (Ok(Found::Other(_)) | Err(_), false) => {}
            }
        }
        let several = found.len();
        match (found.pop(), several) {
            (Some(mask), 1) => return Ok(mask),
            (None, _) => {}
            (Some(_), _) => {
                return Err(MediaError::View(format!(
                    "{several} segmentations and structure sets in it; name the file of one"
                )));
            }
        }
        if let Some(FileKind::Picture(_)) = format {
            return Ok(Self::Drawn(Box::new(loader.load(media)?)));
        }
        let read = opened.volume(media.view.frame.unwrap_or(0))?;
        let masks = if read.frames > 1 && media.view.frame.is_none() {
            layers(&read, |frame| opened.volume(frame))?
        } else {
            LabelledMasks::of(&labels_of(&read)?).map_err(unusable)?
        };
        let placed = format != Some(FileKind::Volume(VolumeFormat::Npy));
        Ok(Self::Labels { masks: Box::new(masks), placed })
    }

    fn of_blob(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Found, MediaError> {
        let kind = FileKind::sniff(&bytes);
        if kind != Some(FileKind::Dicom) {
            return Ok(Found::Other(kind));
        }
        let object = guarded("DICOM", "data set", || parse::parse(bytes, limits))?;
        Ok(if seg::is_segmentation(&object.data) {
            let image = dicom::Image::new(Arc::new(object), limits)?;
            Found::Mask(Self::Segmentation(Box::new(seg::of_image(&image)?)))
        } else if rtstruct::is_structure_set(&object.data) {
            Found::Mask(Self::Structures(Box::new(rtstruct::of_data(&object.data)?)))
        } else {
            Found::Other(kind)
        })
    }

    /// The masks on the voxels of `image`.
    ///
    /// # Errors
    /// When the mask belongs to another image, its voxels are not the image's and may not be resampled, it is a
    /// flat picture, or has no label of the name.
    pub fn onto(
        &self,
        image: &ReadVolume,
        options: &MaskOptions,
        limits: &DecodeLimits,
    ) -> Result<LabelledMasks, MediaError> {
        let grid = grid_of(image);
        let own = image.belonging();
        let said = match self {
            Self::Segmentation(mask) => mask.belonging.fits(&own)?,
            Self::Structures(set) => set.belonging.fits(&own)?,
            Self::Labels { .. } => None,
            Self::Drawn(_) => {
                return Err(MediaError::View(
                    "the mask is a flat picture, which lies on one slice of a volume; choose it with --slice"
                        .into(),
                ));
            }
        };
        let mut masks = match self {
            Self::Segmentation(mask) => match mask.onto(grid, limits) {
                Err(MediaError::View(_)) if options.resample => {
                    resampled(&mask.on_own_grid(limits)?, grid, limits)?
                }
                other => other?,
            },
            Self::Structures(set) => {
                let off_plane = if options.resample { OffPlane::Nearest } else { OffPlane::Refuse };
                // A region that cannot be used does not stand in the way of the one that is wanted.
                let wanted = options
                    .label
                    .as_deref()
                    .map(|label| set.with_only(label))
                    .transpose()
                    .map_err(unusable)?;
                wanted.as_ref().unwrap_or(set).onto(grid, &own, off_plane, limits)?
            }
            Self::Labels { masks, placed } => on_grid(masks, *placed, grid, options.resample, limits)?,
            Self::Drawn(_) => return Err(elsewhere()),
        };
        masks.notes.extend(said.map(str::to_owned));
        match &options.label {
            Some(label) => masks.only(label).map_err(unusable),
            None => Ok(masks),
        }
    }

    /// The masks voxel by voxel on an image of this shape that they were not made for: another patient's, in the
    /// place of their own.
    ///
    /// # Errors
    /// When they have another shape, or no grid of their own.
    pub fn by_shape(&self, shape: [usize; 3], limits: &DecodeLimits) -> Result<LabelledMasks, MediaError> {
        let masks = match self {
            Self::Labels { masks, .. } => (**masks).clone(),
            Self::Segmentation(mask) => mask.on_own_grid(limits)?,
            Self::Structures(_) | Self::Drawn(_) => {
                return Err(MediaError::View("the mask has no grid of its own".into()));
            }
        };
        if masks.grid.shape == shape {
            return Ok(masks);
        }
        Err(MediaError::View(format!(
            "the mask has {:?} voxels (slices, rows, columns), the image {shape:?}",
            masks.grid.shape
        )))
    }

    /// Its labels in the order of the file; none of a flat picture.
    pub fn labels(&self) -> Vec<&Label> {
        match self {
            Self::Segmentation(mask) => mask.segments.iter().collect(),
            Self::Structures(set) => set.regions.iter().map(|region| &region.label).collect(),
            Self::Labels { masks, .. } => masks.labels().iter().collect(),
            Self::Drawn(_) => Vec::new(),
        }
    }

    /// Must one label be chosen where several are? Label maps of research formats may be taken as a whole; what a
    /// DICOM object keeps apart is not united without a word.
    pub fn keeps_labels_apart(&self) -> bool {
        matches!(self, Self::Segmentation(_) | Self::Structures(_))
    }
}

/// Pixels of a picture that a label covers: each pixel takes the voxel that holds its centre. Every label that
/// covers one, by its place among the labels. A picture without a place in the patient takes a mask of one slice of its
/// source's size; `None` when it has another.
pub fn on_picture(masks: &LabelledMasks, origin: &Origin, size: [usize; 2]) -> Option<Vec<(usize, Mask)>> {
    let [columns, rows] = origin.source_size;
    if origin.lps_from_source.is_none() && masks.grid.shape != [1, rows, columns] {
        return None;
    }
    let [width, height] = size;
    let voxel = |n: usize| {
        let centre = Point2::new((n % width) as f64 + 0.5, (n / width) as f64 + 0.5);
        let at = origin.source_from_self.point(centre);
        match origin.lps_from_source {
            Some(lps) => masks.grid.voxel_at(lps.apply(at)),
            None => (at.x >= 0.0 && at.y >= 0.0).then_some([0, at.y as usize, at.x as usize]),
        }
    };
    let voxels: Vec<Option<[usize; 3]>> = (0..width * height).map(voxel).collect();
    let label = |n: usize| {
        let bits = voxels.iter().map(|at| at.is_some_and(|at| masks.covers(n, at))).collect();
        let mask = Mask::new(width, height, bits).filter(|mask| mask.area_px() > 0)?;
        Some((n, mask))
    };
    Some((0..masks.labels().len()).filter_map(label).collect())
}

/// The grid of a volume.
pub fn grid_of(image: &ReadVolume) -> Grid {
    Grid { shape: image.volume.shape(), lps_from_index: image.volume.lps_from_index }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn unusable(error: LabelError) -> MediaError {
    MediaError::View(error.to_string())
}

/// The labels of every layer of a file whose labels overlap (3D Slicer's).
fn layers(
    first: &ReadVolume,
    mut frame: impl FnMut(usize) -> Result<Arc<ReadVolume>, MediaError>,
) -> Result<LabelledMasks, MediaError> {
    let mut masks = LabelledMasks::new(grid_of(first));
    let mut numbers = std::collections::BTreeSet::new();
    let mut again = false;
    for n in 0..first.frames {
        let read = frame(n)?;
        if read.label_names.is_empty() {
            return Err(MediaError::View(format!(
                "the label map has {} frames; name a file with the one that is meant",
                first.frames
            )));
        }
        let layer = LabelledMasks::of(&labels_of(&read)?).map_err(unusable)?;
        for (label, region) in layer.regions() {
            again |= !numbers.insert(label.number);
            let cells = || region.cells().map(|[i, j, k]| [k, j, i].map(|v| v as usize));
            masks.put(label.clone(), cells).map_err(unusable)?;
        }
    }
    if again {
        masks.number_in_order();
        masks
            .notes
            .push("layers give the same number to several labels: numbered in the file's order".to_owned());
    }
    Ok(masks)
}

/// A label map of its own grid on that of the image.
fn on_grid(
    masks: &LabelledMasks,
    placed: bool,
    grid: Grid,
    resample: bool,
    limits: &DecodeLimits,
) -> Result<LabelledMasks, MediaError> {
    let same_shape = masks.grid.shape == grid.shape;
    if !placed {
        if !same_shape {
            return Err(MediaError::View(format!(
                "the mask says nothing of its place and has {:?} voxels (slices, rows, columns), the image {:?}",
                masks.grid.shape, grid.shape
            )));
        }
        let mut taken = masks.clone();
        taken.grid = grid;
        taken.notes.push("the mask says nothing of its place: taken voxel by voxel".to_owned());
        return Ok(taken);
    }
    let Some(lattice) = Lattice::between(&masks.grid, &grid.lps_from_index) else {
        if resample {
            return resampled(masks, grid, limits);
        }
        let words = |grid: &Grid| {
            let mm = grid.lps_from_index.spacing_mm().map(|v| format!("{v:.3}")).join(" × ");
            let [slices, rows, columns] = grid.shape;
            format!("{columns} × {rows} × {slices} voxels of {mm} mm")
        };
        return Err(MediaError::View(format!(
            "the mask has {}, the image {}, and they do not lie on each other; --resample-mask takes the nearest \
             voxel and says so",
            words(&masks.grid),
            words(&grid)
        )));
    };
    if same_shape && lattice.is_identity() {
        let mut same = masks.clone();
        same.grid = grid;
        return Ok(same);
    }
    limits.memory(limits.pixels(&grid.shape.map(|n| n as u64))?.saturating_mul(masks.layers()), 2)?;
    let (mut moved, outside) = masks.moved(grid, &lattice);
    moved
        .notes
        .push("the mask's grid is a part of the image's or turned round: taken voxel by voxel".to_owned());
    if outside > 0 {
        let voxels = loupe_core::words::counted(outside, "labelled voxel");
        moved.notes.push(format!("{voxels} of the mask outside the image left out"));
    }
    Ok(moved)
}

fn resampled(masks: &LabelledMasks, grid: Grid, limits: &DecodeLimits) -> Result<LabelledMasks, MediaError> {
    limits.memory(limits.pixels(&grid.shape.map(|n| n as u64))?.saturating_mul(masks.layers()), 2)?;
    let mut found = masks.resampled(grid);
    found
        .notes
        .push("the mask was resampled to the image's voxels: each takes the nearest of the mask".to_owned());
    Ok(found)
}

impl ReadVolume {
    /// What it belongs to, for masks that name it.
    pub fn belonging(&self) -> Belonging {
        let instances = self.facts.slices.iter().flat_map(|slice| &slice.instances);
        Belonging {
            frames_of_reference: self.facts.frame_of_reference.iter().cloned().collect(),
            instances: instances.filter_map(|instance| instance.sop_instance_uid.clone()).collect(),
        }
    }
}
