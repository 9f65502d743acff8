//! Measurements of masks: area, volume, longest diameters, intensities.
//!
//! Lengths run between the places where the mask ends: half-way between a covered cell and an
//! uncovered neighbour, as the surface mesh of pyradiomics has its vertices (van Griethuysen et al.
//! 2017; `Maximum3DDiameter`, `Maximum2DDiameterSlice`). A single pixel is thus one pixel wide.
//! Volumes count voxels (`VoxelVolume`).

use crate::diameter::{by_plane, ends, longest};
use crate::geometry::LpsFromIndex;
use crate::mask::{LabelVolume, Mask};
use crate::region::Region;
use serde::Serialize;

/// Of a mask on a flat picture or slice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlatMeasures {
    /// Covered pixels.
    pub area_px: usize,
    /// Area, when the picture is calibrated.
    pub area_mm2: Option<f64>,
    /// Longest diameter in pixels (as if they were square).
    pub longest_px: f64,
    /// Longest diameter, when the picture is calibrated.
    pub longest_mm: Option<f64>,
    /// Mean position of the covered pixels' centres, `[x, y]` in continuous edges; none when empty.
    pub centre_xy: Option<[f64; 2]>,
}

/// Of one label of a volume.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SolidMeasures {
    /// Covered voxels.
    pub voxels: usize,
    /// Their volume.
    pub volume_mm3: f64,
    /// Longest diameter in space.
    pub longest_mm: f64,
    /// Longest diameter within a stored slice.
    pub longest_in_slice_mm: f64,
    /// That slice, from 0; the first of several.
    pub slice_of_longest: Option<usize>,
    /// First and last slice that hold the label.
    pub slices: Option<[usize; 2]>,
}

/// Of the values under a mask, in their own unit (HU for CT).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntensityStats {
    /// Values that are numbers.
    pub n: usize,
    /// Mean, in the unit of the values.
    pub mean: f64,
    /// Standard deviation over n, not n − 1.
    pub sd: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// Measures a mask whose pixels are `spacing_mm` wide and high.
pub fn flat(mask: &Mask, spacing_mm: Option<[f64; 2]>) -> FlatMeasures {
    let area_px = mask.area_px();
    let covered = |[i, j, k]: [i64; 3]| match (usize::try_from(i), usize::try_from(j)) {
        (Ok(x), Ok(y)) => k == 0 && mask.get(x, y),
        _ => false,
    };
    let cells = mask.bits().iter().enumerate().filter(|(_, b)| **b);
    let cells: Vec<[i64; 3]> =
        cells.map(|(n, _)| [(n % mask.width()) as i64, (n / mask.width()) as i64, 0]).collect();
    let ends = ends(cells.iter().copied(), covered, 2);
    let sum = cells.iter().fold([0.0, 0.0], |s, c| [s[0] + c[0] as f64, s[1] + c[1] as f64]);
    FlatMeasures {
        area_px,
        area_mm2: spacing_mm.map(|[x, y]| area_px as f64 * x * y),
        longest_px: longest(ends.clone(), |p| p),
        longest_mm: spacing_mm.map(|[x, y]| longest(ends, |p| [p[0] * x, p[1] * y, 0.0])),
        centre_xy: (area_px > 0).then(|| sum.map(|s| s / area_px as f64 + 0.5)),
    }
}

/// Measures the voxels that are `label`.
pub fn solid(volume: &LabelVolume, label: u16) -> SolidMeasures {
    of_region(&Region::of(&volume.labels, label), &volume.lps_from_index)
}

/// Measures a region of a grid.
pub fn of_region(region: &Region, lps_from_index: &LpsFromIndex) -> SolidMeasures {
    let mm = |p: [f64; 3]| lps_from_index.apply(p);
    let covered = |cell| region.covers(cell);
    let (mut in_slice, mut slices) = ((0.0, None), None);
    for (twice_k, points) in by_plane(ends(region.cells(), covered, 2), 2) {
        let k = (twice_k / 2) as usize;
        slices = Some([slices.map_or(k, |[first, _]: [usize; 2]| first), k]);
        let length = longest(points, mm);
        if length > in_slice.0 {
            in_slice = (length, Some(k));
        }
    }
    let voxels = region.len();
    SolidMeasures {
        voxels,
        volume_mm3: voxels as f64 * lps_from_index.determinant().abs(),
        longest_mm: longest(ends(region.cells(), covered, 3), mm),
        longest_in_slice_mm: in_slice.0,
        slice_of_longest: in_slice.1,
        slices,
    }
}

/// Mean, spread and range of the values; `None` when none is a number.
pub fn intensities(values: impl Iterator<Item = f64>) -> Option<IntensityStats> {
    let (mut n, mut mean, mut squares) = (0usize, 0.0, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in values.filter(|v| v.is_finite()) {
        // Welford 1962: no cancellation for large offsets.
        n += 1;
        let delta = v - mean;
        mean += delta / n as f64;
        squares += delta * (v - mean);
        (min, max) = (min.min(v), max.max(v));
    }
    (n > 0).then(|| IntensityStats { n, mean, sd: (squares / n as f64).sqrt(), min, max })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use ndarray::Array3;
    use std::collections::BTreeMap;

    #[test]
    fn a_bar_of_pixels() {
        let bits = vec![false, false, false, false, true, true, true, false];
        let m = flat(&Mask::new(4, 2, bits).unwrap(), Some([0.5, 2.0]));
        assert_eq!((m.area_px, m.area_mm2, m.longest_mm), (3, Some(3.0), Some(1.0f64.hypot(2.0))));
        assert_eq!(m.longest_px, 3.0);
        assert_eq!(m.centre_xy, Some([1.5, 1.5]));
        let none = flat(&Mask::empty(3, 3), None);
        assert_eq!((none.area_px, none.longest_px, none.centre_xy), (0, 0.0, None));
    }

    #[test]
    fn a_block_of_voxels() {
        let mut labels = Array3::<u16>::zeros((4, 5, 6));
        for k in 1..3 {
            labels[[k, 2, 3]] = 7;
        }
        let map = LpsFromIndex::from_columns([1., 0., 0.], [0., 2., 0.], [0., 0., 5.], [0., 0., 0.]);
        let volume = LabelVolume { labels, lps_from_index: map, names: BTreeMap::new() };
        let m = solid(&volume, 7);
        assert_eq!((m.voxels, m.volume_mm3, m.slices), (2, 20.0, Some([1, 2])));
        assert_eq!((m.longest_mm, m.longest_in_slice_mm, m.slice_of_longest), (10.0, 2.0, Some(1)));
        assert_eq!(solid(&volume, 8).voxels, 0);
    }

    #[test]
    fn spread_of_values() {
        let i = intensities([1000.0, f64::NAN, 1002.0].into_iter()).unwrap();
        assert_eq!((i.n, i.mean, i.sd, i.min, i.max), (2, 1001.0, 1.0, 1000.0, 1002.0));
        assert!(intensities(std::iter::empty()).is_none());
    }
}
