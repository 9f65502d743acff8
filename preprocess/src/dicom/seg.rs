//! DICOM Segmentation objects (PS3.3 A.51, C.8.20) as label volumes.

use super::geometry::FramePlane;
use super::image::Image;
use loupe_core::geometry::{LpsFromIndex, cross, dot};
use loupe_core::limits::DecodeLimits;
use loupe_core::mask::LabelVolume;
use loupe_core::media::MediaError;
use loupe_dicom::object::malformed;
use loupe_dicom::tags;
use ndarray::Array3;
use std::collections::BTreeMap;

/// One segment of a segmentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Segment Number (0062,0004), or the label value of a label map.
    pub number: u16,
    /// Segment Label (0062,0005).
    pub label: String,
    /// Membership in (slice, row, column) order: 1 inside; shares for fractional segmentations.
    pub membership: Array3<f32>,
}

/// A segmentation on its own grid. Segments may overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// Voxel index to patient mm.
    pub lps_from_index: LpsFromIndex,
    /// Segments in the order of the file.
    pub segments: Vec<Segment>,
}

/// Reads a SEG file: binary, fractional or label map, with any frames left out.
///
/// # Errors
/// When it is not a segmentation, or its frames have no place on one grid.
pub fn read(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Segmentation, MediaError> {
    let image = Image::parse(bytes, limits)?;
    let data = &image.object().data;
    if data.items(tags::SEGMENT_SEQUENCE).is_empty() {
        return Err(malformed(tags::SEGMENT_SEQUENCE, "absent: not a segmentation"));
    }
    let charset = data.charset();
    let label_map = data.text(tags::SEGMENTATION_TYPE).as_deref() == Some("LABELMAP");
    let mut names: BTreeMap<u16, String> = BTreeMap::new();
    for item in data.items(tags::SEGMENT_SEQUENCE) {
        let number = item.integer(tags::SEGMENT_NUMBER).and_then(|n| u16::try_from(n).ok());
        let number = number.ok_or_else(|| malformed(tags::SEGMENT_NUMBER, "absent or impossible"))?;
        if label_map && number == 0 {
            continue; // The background, which label maps may describe.
        }
        let label = item.decoded(tags::SEGMENT_LABEL, &charset);
        names.insert(number, label.unwrap_or_else(|| format!("segment {number}")));
    }
    let format = image.format();
    let planes: Option<Vec<FramePlane>> = (0..format.frames).map(|frame| image.plane(frame)).collect();
    let planes = planes.ok_or_else(|| malformed(tags::PLANE_POSITION_SEQUENCE, "a frame has no position"))?;
    let (lps_from_index, places, depth) = grid(&planes, image.object())?;
    let kinds = names.len();
    let voxels = limits.pixels(&[depth as u64, format.rows as u64, format.columns as u64, kinds as u64])?;
    limits.memory(voxels, size_of::<f32>())?;
    let top = data.number(tags::MAXIMUM_FRACTIONAL_VALUE).filter(|_| !label_map && format.bits_allocated > 1);
    let top = top.filter(|v| *v > 0.0).unwrap_or(1.0) as f32;
    let shape = (depth, format.rows, format.columns);
    let mut segments: Vec<Segment> = names
        .into_iter()
        .map(|(number, label)| Segment { number, label, membership: Array3::zeros(shape) })
        .collect();
    for (frame, &k) in places.iter().enumerate() {
        let stored = image.stored(frame)?.to_f64()?;
        if label_map {
            for (at, value) in stored.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                let segment = segments.iter_mut().find(|s| f64::from(s.number) == *value);
                let segment =
                    segment.ok_or_else(|| malformed(tags::PIXEL_DATA, "a label that is not described"))?;
                if let Some(voxel) = segment.membership.get_mut([k, at / format.columns, at % format.columns])
                {
                    *voxel = 1.0;
                }
            }
            continue;
        }
        let group = super::functional::group(data, frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE);
        let number = group.and_then(|g| g.integer(tags::REFERENCED_SEGMENT_NUMBER));
        let number = number.ok_or_else(|| malformed(tags::REFERENCED_SEGMENT_NUMBER, "absent"))?;
        let segment = segments.iter_mut().find(|s| i64::from(s.number) == number);
        let segment =
            segment.ok_or_else(|| malformed(tags::REFERENCED_SEGMENT_NUMBER, "a segment not described"))?;
        for (voxel, value) in segment.membership.index_axis_mut(ndarray::Axis(0), k).iter_mut().zip(stored) {
            *voxel = voxel.max(value as f32 / top);
        }
    }
    Ok(Segmentation { lps_from_index, segments })
}

/// The grid that holds all frames, the slice of each frame, and the number of slices. Frames without
/// content may be left out, so steps are whole multiples of the smallest.
fn grid(
    planes: &[FramePlane],
    object: &loupe_dicom::object::Object,
) -> Result<(LpsFromIndex, Vec<usize>, usize), MediaError> {
    let uneven = |problem: &str| MediaError::Geometry(problem.to_owned());
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
    let measures = super::functional::place(&object.data, 0, tags::PIXEL_MEASURES_SEQUENCE);
    let stated =
        [tags::SPACING_BETWEEN_SLICES, tags::SLICE_THICKNESS].iter().find_map(|t| measures.number(*t));
    let smallest = sorted.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
    let step = if smallest.is_finite() { smallest } else { stated.filter(|s| *s > 0.0).unwrap_or(1.0) };
    let lowest = sorted.first().copied().unwrap_or(0.0);
    let mut places = Vec::with_capacity(planes.len());
    let span = sorted.last().copied().unwrap_or(lowest) - lowest;
    // The step from the whole span: single differences carry the rounding of two positions.
    let count = (span / step).round();
    if count > 100_000.0 {
        return Err(uneven("the frames of the segmentation are too far apart for their smallest step"));
    }
    let step = if count > 0.0 { span / count } else { step };
    for distance in &distances {
        let k = (distance - lowest) / step;
        if (k - k.round()).abs() > 0.05 {
            return Err(uneven("the frames of the segmentation are not evenly spaced"));
        }
        places.push(k.round() as usize);
    }
    let at = distances.iter().position(|d| (d - lowest).abs() < 1e-3).unwrap_or(0);
    let origin = planes.get(at).map_or(first.position, |p| p.position);
    // The step leads from the lowest to the highest frame, which keeps a tilted stack sheared.
    let high = distances.iter().position(|d| (d - lowest - span).abs() < 1e-3).unwrap_or(at);
    let towards = planes.get(high).map_or(first.position, |p| p.position);
    let step_k = if count > 0.0 {
        [0, 1, 2].map(|a| (towards[a] - origin[a]) / count)
    } else {
        cross(first.row, first.column).map(|v| v * step)
    };
    let (i, j) = first.steps();
    Ok((LpsFromIndex::from_columns(i, j, step_k, origin), places, count as usize + 1))
}

impl Segmentation {
    /// Labels on the segmentation's own grid; where segments overlap, the later one counts. Shares of
    /// at least one half are inside.
    pub fn to_labels(&self) -> LabelVolume {
        let shape = self.segments.first().map_or((0, 0, 0), |s| s.membership.dim());
        let mut labels = Array3::<u16>::zeros(shape);
        let mut names = BTreeMap::new();
        for segment in &self.segments {
            names.insert(segment.number, segment.label.clone());
            labels.zip_mut_with(&segment.membership, |label, share| {
                if *share >= 0.5 {
                    *label = segment.number;
                }
            });
        }
        LabelVolume { labels, lps_from_index: self.lps_from_index, names }
    }

    /// Labels on the grid of the image it refers to (nearest voxel); 0 outside the segmentation.
    ///
    /// # Errors
    /// When the segmentation's own grid has no volume.
    pub fn onto(&self, shape: [usize; 3], lps_from_index: &LpsFromIndex) -> Result<LabelVolume, MediaError> {
        let own = self.to_labels();
        let flat = || MediaError::Geometry("the segmentation's grid has no volume".to_owned());
        self.lps_from_index.index_of([0.0; 3]).ok_or_else(flat)?;
        let labels = Array3::from_shape_fn(shape, |(k, j, i)| {
            let lps = lps_from_index.apply([i as f64, j as f64, k as f64]);
            let index = self.lps_from_index.index_of(lps).unwrap_or([-1.0; 3]).map(f64::round);
            if index.iter().any(|v| *v < 0.0) {
                return 0;
            }
            let [i, j, k] = index.map(|v| v as usize);
            own.labels.get([k, j, i]).copied().unwrap_or(0)
        });
        Ok(LabelVolume { labels, lps_from_index: *lps_from_index, names: own.names })
    }
}
