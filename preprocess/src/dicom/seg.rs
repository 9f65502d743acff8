//! DICOM Segmentation objects (PS3.3 A.51, C.8.20): labelled masks that may overlap.

use super::geometry::FramePlane;
use super::image::Image;
use super::references::{Belonging, concept, said};
use loupe_core::geometry::{LpsFromIndex, cross, dot};
use loupe_core::guard::guarded;
use loupe_core::labels::{Label, LabelledMasks};
use loupe_core::lattice::{Grid, Lattice};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::words::counted;
use loupe_dicom::object::{Dataset, malformed};
use loupe_dicom::parse;
use loupe_dicom::tags;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How membership is stored (0062,0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentationType {
    /// 1 inside.
    Binary,
    /// Shares of Maximum Fractional Value (0062,000E); at least half is inside.
    Fractional,
    /// Each pixel holds the number of its segment.
    LabelMap,
}

impl SegmentationType {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Fractional => "fractional",
            Self::LabelMap => "label map",
        }
    }
}

/// Pixels of a frame that follow each other, rows after rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: usize,
    length: usize,
}

/// What one segment covers of a frame.
#[derive(Debug, Clone)]
struct Part {
    /// Its place among the segments.
    segment: usize,
    /// The frame's place among the planes.
    plane: usize,
    runs: Vec<Run>,
}

/// A segmentation, its frames decoded.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// What it was made for.
    pub belonging: Belonging,
    /// How membership is stored.
    pub kind: SegmentationType,
    /// Segments in the order of the file.
    pub segments: Vec<Label>,
    /// Rows and columns of a frame.
    size: [usize; 2],
    planes: Vec<FramePlane>,
    /// Spacing Between Slices, or Slice Thickness, in mm.
    stated_step: Option<f64>,
    parts: Vec<Part>,
}

/// Is a data set a segmentation?
pub fn is_segmentation(data: &Dataset) -> bool {
    !data.items(tags::SEGMENT_SEQUENCE).is_empty() && data.get(tags::SEGMENTATION_TYPE).is_some()
}

/// Reads a SEG file: binary, fractional or label map, with any frames left out.
///
/// # Errors
/// When it is not a segmentation, a frame has no position in the patient, or frames are damaged.
pub fn read(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Segmentation, MediaError> {
    of_image(&Image::parse(bytes, limits)?)
}

/// [`read`] of a parsed file.
///
/// # Errors
/// As [`read`].
pub fn of_image(image: &Image) -> Result<Segmentation, MediaError> {
    let data = &image.object().data;
    let kind = match data.text(tags::SEGMENTATION_TYPE).as_deref() {
        Some("BINARY") => SegmentationType::Binary,
        Some("FRACTIONAL") => SegmentationType::Fractional,
        Some("LABELMAP") => SegmentationType::LabelMap,
        Some(_) => return Err(malformed(tags::SEGMENTATION_TYPE, "none of BINARY, FRACTIONAL and LABELMAP")),
        None => return Err(malformed(tags::SEGMENTATION_TYPE, "absent: not a segmentation")),
    };
    let segments = segments(data, kind)?;
    let format = image.format();
    let planes: Option<Vec<FramePlane>> = (0..format.frames).map(|frame| image.plane(frame)).collect();
    let planes = planes
        .ok_or_else(|| malformed(tags::PLANE_POSITION_SEQUENCE, "a frame has no position in the patient"))?;
    let decode = Decode {
        data,
        kind,
        place: segments.iter().enumerate().map(|(n, s)| (i64::from(s.number), n)).collect(),
        background: data.integer(tags::PIXEL_PADDING_VALUE),
        least_inside: least_inside(data, kind)?,
    };
    let mut parts = Vec::new();
    for plane in 0..format.frames {
        let stored = image.stored(plane)?.to_f64()?;
        parts.extend(decode.parts(plane, &stored)?);
    }
    let measures = super::functional::place(data, 0, tags::PIXEL_MEASURES_SEQUENCE);
    let steps = [tags::SPACING_BETWEEN_SLICES, tags::SLICE_THICKNESS];
    Ok(Segmentation {
        belonging: Belonging::of_mask(data),
        kind,
        segments,
        size: [format.rows, format.columns],
        planes,
        stated_step: steps.iter().find_map(|t| measures.number(*t)).filter(|s| s.is_finite() && *s > 0.0),
        parts,
    })
}

/// The masks of a file on a grid of their own; `None` when it is no segmentation.
///
/// # Errors
/// As [`read`] and [`Segmentation::on_own_grid`].
pub(crate) fn on_its_own(bytes: &[u8], limits: &DecodeLimits) -> Result<Option<LabelledMasks>, MediaError> {
    let object = guarded("DICOM", "data set", || parse::parse(bytes.to_vec(), limits))?;
    if !is_segmentation(&object.data) {
        return Ok(None);
    }
    of_image(&Image::new(Arc::new(object), limits)?)?.on_own_grid(limits).map(Some)
}

/// The segments that are described; the background of a label map is none.
fn segments(data: &Dataset, kind: SegmentationType) -> Result<Vec<Label>, MediaError> {
    let charset = data.charset();
    let mut found: Vec<Label> = Vec::new();
    for item in data.items(tags::SEGMENT_SEQUENCE) {
        let number = item.integer(tags::SEGMENT_NUMBER).and_then(|n| u32::try_from(n).ok());
        let number = number.ok_or_else(|| malformed(tags::SEGMENT_NUMBER, "absent or impossible"))?;
        if kind == SegmentationType::LabelMap && number == 0 {
            continue;
        }
        if found.iter().any(|s| s.number == number) {
            return Err(malformed(tags::SEGMENT_NUMBER, format!("{number} is given to two segments")));
        }
        found.push(Label {
            number,
            name: said(item, tags::SEGMENT_LABEL, &charset),
            category: concept(item, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &charset),
            code: concept(item, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, &charset),
        });
    }
    match found.is_empty() {
        true => Err(malformed(tags::SEGMENT_SEQUENCE, "no segment is described")),
        false => Ok(found),
    }
}

/// The smallest stored value that is inside.
fn least_inside(data: &Dataset, kind: SegmentationType) -> Result<f64, MediaError> {
    if kind != SegmentationType::Fractional {
        return Ok(1.0);
    }
    let most = data.number(tags::MAXIMUM_FRACTIONAL_VALUE).filter(|v| v.is_finite() && *v > 0.0);
    let absent =
        || malformed(tags::MAXIMUM_FRACTIONAL_VALUE, "absent or impossible: fractions have no scale");
    Ok(most.ok_or_else(absent)? / 2.0)
}

/// What is needed to tell which segments a frame holds.
struct Decode<'a> {
    data: &'a Dataset,
    kind: SegmentationType,
    /// Segment Number to its place.
    place: BTreeMap<i64, usize>,
    background: Option<i64>,
    least_inside: f64,
}

impl Decode<'_> {
    fn parts(&self, plane: usize, stored: &[f64]) -> Result<Vec<Part>, MediaError> {
        if self.kind != SegmentationType::LabelMap {
            let group = super::functional::group(self.data, plane, tags::SEGMENT_IDENTIFICATION_SEQUENCE);
            let number = group.and_then(|g| g.integer(tags::REFERENCED_SEGMENT_NUMBER));
            let number = number.ok_or_else(|| malformed(tags::REFERENCED_SEGMENT_NUMBER, "absent"))?;
            let segment = self.place.get(&number).copied();
            let segment = segment.ok_or_else(|| {
                malformed(tags::REFERENCED_SEGMENT_NUMBER, "a segment that is not described")
            })?;
            return Ok(vec![Part { segment, plane, runs: runs(stored, |v| v >= self.least_inside) }]);
        }
        let mut values: Vec<i64> = Vec::new();
        for value in stored {
            let value = *value as i64;
            if value != 0 && Some(value) != self.background && values.last() != Some(&value) {
                values.push(value);
            }
        }
        values.sort_unstable();
        values.dedup();
        let part = |value: i64| {
            let segment = self.place.get(&value).copied();
            let segment =
                segment.ok_or_else(|| malformed(tags::PIXEL_DATA, "a label that is not described"))?;
            Ok(Part { segment, plane, runs: runs(stored, |v| v as i64 == value) })
        };
        values.into_iter().map(part).collect()
    }
}

fn runs(stored: &[f64], inside: impl Fn(f64) -> bool) -> Vec<Run> {
    let mut found: Vec<Run> = Vec::new();
    for (at, _) in stored.iter().enumerate().filter(|(_, v)| inside(**v)) {
        match found.last_mut() {
            Some(run) if run.first + run.length == at => run.length += 1,
            _ => found.push(Run { first: at, length: 1 }),
        }
    }
    found
}

impl Segmentation {
    /// What is said of fractions, which are made masks.
    fn notes(&self) -> Vec<String> {
        match self.kind {
            SegmentationType::Fractional => {
                vec!["fractional segmentation: voxels of at least half the maximum are inside".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// The masks on `grid`, the image's, on whose voxels those of every frame must lie.
    ///
    /// # Errors
    /// When a frame lies elsewhere ([`MediaError::View`]), or a limit is met.
    pub fn onto(&self, grid: Grid, limits: &DecodeLimits) -> Result<LabelledMasks, MediaError> {
        let [rows, columns] = self.size;
        let on_grid = |plane: &FramePlane| {
            let (i, j) = plane.steps();
            let lps_from_index = LpsFromIndex::from_columns(i, j, plane.normal(), plane.position);
            Lattice::between(&Grid { shape: [1, rows, columns], lps_from_index }, &grid.lps_from_index)
        };
        let places: Option<Vec<Lattice>> = self.planes.iter().map(on_grid).collect();
        let places = places.ok_or_else(elsewhere)?;
        self.placed(grid, limits, |plane, [j, i]| {
            places.get(plane).map_or([usize::MAX; 3], |place| place.voxel([0, j, i]))
        })
    }

    /// The masks on the smallest even grid that holds all frames.
    ///
    /// # Errors
    /// When the frames make no even grid, or a limit is met.
    pub fn on_own_grid(&self, limits: &DecodeLimits) -> Result<LabelledMasks, MediaError> {
        let (grid, slices) = self.own_grid()?;
        self.placed(grid, limits, |plane, [j, i]| [slices.get(plane).copied().unwrap_or(usize::MAX), j, i])
    }

    /// The masks, each pixel where `place` says.
    fn placed(
        &self,
        grid: Grid,
        limits: &DecodeLimits,
        place: impl Fn(usize, [usize; 2]) -> [usize; 3],
    ) -> Result<LabelledMasks, MediaError> {
        let voxels = limits.pixels(&grid.shape.map(|n| n as u64))?;
        let mut masks = LabelledMasks::new(grid);
        masks.notes = self.notes();
        let columns = self.size[1].max(1);
        for (n, segment) in self.segments.iter().enumerate() {
            limits.memory(voxels.saturating_mul(masks.layers() + 1), size_of::<u16>())?;
            let parts: Vec<&Part> = self.parts.iter().filter(|part| part.segment == n).collect();
            let covered = || {
                parts
                    .iter()
                    .flat_map(|part| part.runs.iter().map(move |run| (part.plane, run)))
                    .flat_map(|(plane, run)| (run.first..run.first + run.length).map(move |at| (plane, at)))
            };
            let outside = masks.put(segment.clone(), || {
                covered().map(|(plane, at)| place(plane, [at / columns, at % columns]))
            });
            let outside = outside.map_err(|e| MediaError::View(e.to_string()))?;
            if outside > 0 {
                let voxels = counted(outside, "voxel");
                masks.notes.push(format!("{voxels} of segment {} lie outside the image", segment.number));
            }
        }
        Ok(masks)
    }

    /// The grid that holds all frames, and the slice of each frame. Frames without content may be left out, so
    /// steps are whole multiples of the one that the file states or, without one, of the smallest.
    fn own_grid(&self) -> Result<(Grid, Vec<usize>), MediaError> {
        let uneven = |problem: &str| MediaError::Geometry(problem.to_owned());
        let planes = &self.planes;
        let first = planes.first().ok_or_else(|| uneven("no frames"))?;
        let normal = first.normal();
        let parallel =
            |p: &FramePlane| dot(p.normal(), normal) > 1.0 - 1e-6 && dot(p.row, first.row) > 1.0 - 1e-6;
        if !planes.iter().all(parallel) {
            return Err(uneven("the frames of the segmentation are not parallel"));
        }
        let distances: Vec<f64> = planes.iter().map(|p| dot(normal, p.position)).collect();
        let mut sorted = distances.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup_by(|a, b| (*a - *b).abs() < 1e-3);
        let lowest = sorted.first().copied().unwrap_or(0.0);
        let span = sorted.last().copied().unwrap_or(lowest) - lowest;
        let smallest = sorted.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
        let fits = |step: f64| {
            let off = |d: &f64| ((d - lowest) / step - ((d - lowest) / step).round()).abs();
            sorted.iter().all(|d| off(d) <= 0.05)
        };
        let stated = self.stated_step.filter(|step| fits(*step));
        let step = stated.unwrap_or(if smallest.is_finite() { smallest } else { 1.0 });
        if !fits(step) {
            return Err(uneven("the frames of the segmentation are not evenly spaced"));
        }
        // The step from the whole span: single differences carry the rounding of two positions.
        let count = (span / step).round();
        if count > 100_000.0 {
            return Err(uneven("the frames of the segmentation are too far apart for their smallest step"));
        }
        let step = if count > 0.0 { span / count } else { step };
        let slices = distances.iter().map(|d| ((d - lowest) / step).round() as usize).collect();
        let frame_at = |distance: f64| {
            let at = distances.iter().position(|d| (d - distance).abs() < 1e-3);
            at.and_then(|at| planes.get(at)).unwrap_or(first).position
        };
        let (origin, end) = (frame_at(lowest), frame_at(lowest + span));
        // The step leads from the lowest to the highest frame, which keeps a tilted stack sheared.
        let step_k = if count > 0.0 {
            [0, 1, 2].map(|a| (end[a] - origin[a]) / count)
        } else {
            cross(first.row, first.column).map(|v| v * step)
        };
        let (i, j) = first.steps();
        let lps_from_index = LpsFromIndex::from_columns(i, j, step_k, origin);
        let [rows, columns] = self.size;
        Ok((Grid { shape: [count as usize + 1, rows, columns], lps_from_index }, slices))
    }
}

/// Why a mask whose voxels lie between those of the image is not taken as it is.
pub(crate) fn elsewhere() -> MediaError {
    MediaError::View(
        "the mask's voxels do not lie on the image's; --resample-mask takes the nearest and says so"
            .to_owned(),
    )
}
