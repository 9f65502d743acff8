//! RT Structure Sets (PS3.3 C.8.8.5, C.8.8.6): contours in patient millimetres, and as labels.

use loupe_core::geometry::{Lps, LpsFromIndex};
use loupe_core::guard::guarded;
use loupe_core::limits::DecodeLimits;
use loupe_core::mask::LabelVolume;
use loupe_core::media::MediaError;
use loupe_dicom::object::malformed;
use loupe_dicom::parse;
use loupe_dicom::tags;
use ndarray::Array3;
use std::collections::BTreeMap;

/// A region of interest.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// ROI Number (3006,0022).
    pub number: u16,
    /// ROI Name (3006,0026).
    pub name: String,
    /// Closed planar contours, each a list of LPS positions in mm.
    pub contours: Vec<Vec<Lps>>,
}

/// Reads the closed planar contours of a structure set.
///
/// # Errors
/// When it is not a structure set, or a contour's numbers are broken.
pub fn read(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Vec<Region>, MediaError> {
    let object = guarded("DICOM", "data set", || parse::parse(bytes, limits))?;
    let data = &object.data;
    let charset = data.charset();
    if data.items(tags::STRUCTURE_SET_ROI_SEQUENCE).is_empty() {
        return Err(malformed(tags::STRUCTURE_SET_ROI_SEQUENCE, "absent: not a structure set"));
    }
    let mut regions: Vec<Region> = Vec::new();
    for item in data.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
        let number = item.integer(tags::ROI_NUMBER).and_then(|n| u16::try_from(n).ok());
        let number = number.ok_or_else(|| malformed(tags::ROI_NUMBER, "absent or impossible"))?;
        let name = item.decoded(tags::ROI_NAME, &charset).unwrap_or_else(|| format!("region {number}"));
        regions.push(Region { number, name, contours: Vec::new() });
    }
    for item in data.items(tags::ROI_CONTOUR_SEQUENCE) {
        let number = item.integer(tags::REFERENCED_ROI_NUMBER);
        let Some(region) = regions.iter_mut().find(|r| Some(i64::from(r.number)) == number) else {
            return Err(malformed(tags::REFERENCED_ROI_NUMBER, "a region that is not described"));
        };
        for contour in item.items(tags::CONTOUR_SEQUENCE) {
            let kind = contour.text(tags::CONTOUR_GEOMETRIC_TYPE).unwrap_or_default();
            if kind != "CLOSED_PLANAR" && kind != "CLOSEDPLANAR_XOR" {
                continue;
            }
            let numbers = contour.numbers(tags::CONTOUR_DATA).unwrap_or_default();
            if numbers.len() % 3 != 0 || numbers.iter().any(|v| !v.is_finite()) {
                return Err(malformed(tags::CONTOUR_DATA, "not a list of finite x, y, z"));
            }
            region.contours.push(numbers.as_chunks::<3>().0.to_vec());
        }
    }
    Ok(regions)
}

/// The regions on a grid: a voxel is inside when its centre is, by the even–odd rule over all
/// contours of the region in its slice (so that inner contours cut holes). Later regions cover
/// earlier ones.
///
/// # Errors
/// When the grid has no volume.
pub fn to_labels(
    regions: &[Region],
    shape: [usize; 3],
    lps_from_index: &LpsFromIndex,
) -> Result<LabelVolume, MediaError> {
    let [slices, rows, columns] = shape;
    let mut labels = Array3::<u16>::zeros(shape);
    let mut names = BTreeMap::new();
    for region in regions {
        names.insert(region.number, region.name.clone());
        let mut by_slice: BTreeMap<usize, Vec<Vec<[f64; 2]>>> = BTreeMap::new();
        for contour in &region.contours {
            let points: Option<Vec<[f64; 3]>> = contour.iter().map(|p| lps_from_index.index_of(*p)).collect();
            let points = points.ok_or_else(|| MediaError::Geometry("the grid has no volume".to_owned()))?;
            let middle = points.iter().map(|p| p[2]).sum::<f64>() / points.len().max(1) as f64;
            if points.len() < 3 || middle < -0.5 || middle >= slices as f64 - 0.5 {
                continue;
            }
            let k = middle.round().max(0.0) as usize;
            by_slice.entry(k).or_default().push(points.iter().map(|p| [p[0], p[1]]).collect());
        }
        for (k, contours) in by_slice {
            for row in 0..rows {
                let mut crossings = crossings(&contours, row as f64);
                crossings.sort_by(f64::total_cmp);
                for pair in crossings.as_chunks::<2>().0 {
                    let from = pair[0].ceil().max(0.0) as usize;
                    let to = (pair[1].ceil().max(0.0) as usize).min(columns);
                    for column in from..to {
                        if let Some(label) = labels.get_mut([k, row, column]) {
                            *label = region.number;
                        }
                    }
                }
            }
        }
    }
    Ok(LabelVolume { labels, lps_from_index: *lps_from_index, names })
}

/// Where the edges of polygons cross a row of voxel centres.
fn crossings(contours: &[Vec<[f64; 2]>], y: f64) -> Vec<f64> {
    let mut found = Vec::new();
    for contour in contours {
        for (n, a) in contour.iter().enumerate() {
            let Some(b) = contour.get((n + 1) % contour.len()) else { continue };
            if (a[1] <= y) != (b[1] <= y) {
                found.push(a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
            }
        }
    }
    found
}
