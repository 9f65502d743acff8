//! Surface distances between boundary voxels, as MedPy 0.5 and MONAI have them. They differ from the
//! default (`surface`) by half a voxel and by whether the two ways are pooled.

use super::entry::Entry;
use super::region::Region;
use loupe_core::Score;
use loupe_core::distance;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed(
        "hd95_medpy",
        "MedPy hd95: 95th percentile of both ways pooled, boundary voxels",
        "mm",
        false,
    ),
    Entry::typed(
        "hd95_monai",
        "MONAI HausdorffDistanceMetric(percentile=95): larger of the two percentiles",
        "mm",
        false,
    ),
    Entry::typed("assd_medpy", "MedPy 0.5 assd: mean of both ways pooled", "mm", false),
    Entry::typed("assd_medpy_04", "MedPy before 0.5: mean of the two mean distances", "mm", false),
    Entry::typed(
        "assd_monai",
        "MONAI SurfaceDistanceMetric(symmetric=True): mean of both ways pooled",
        "mm",
        false,
    ),
];

/// Distances of the boundary voxels, reference to answer and back.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundaryDistances {
    from_reference: Vec<f64>,
    from_answer: Vec<f64>,
}

/// Distances between the boundaries of two masks; `Err` says why there are none (MedPy raises, MONAI
/// gives NaN or infinity).
pub fn distances<const N: usize>(
    reference: &Region<N>,
    answer: &Region<N>,
    spacing_mm: [f64; N],
) -> Result<BoundaryDistances, &'static str> {
    if reference.shape() != answer.shape() {
        return Err("the masks lie on grids of different shapes");
    }
    if reference.count() == 0 || answer.count() == 0 {
        return Err("a mask is empty");
    }
    let Some((low, high)) = reference.bounds_with(answer) else { return Err("both masks are empty") };
    // A face at the edge of the cut is a face at the edge of a mask or of the grid.
    let edges = [reference, answer].map(|m| m.boundary().cut(low, high));
    let far = edges.each_ref().map(|e| distance::distance_mm(e.shape(), e.bits(), spacing_mm));
    let way = |from: usize, to: usize| {
        let mut all: Vec<f64> =
            far[to].iter().zip(edges[from].bits()).filter(|(_, b)| **b).map(|(d, _)| *d).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    Ok(BoundaryDistances { from_reference: way(0, 1), from_answer: way(1, 0) })
}

/// numpy's linear percentile of sorted values.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let at = percent / 100.0 * (sorted.len().max(1) - 1) as f64;
    let value = |i: usize| sorted.get(i.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN);
    let (low, high) = (value(at.floor() as usize), value(at.ceil() as usize));
    low + (high - low) * at.fract()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl BoundaryDistances {
    fn pooled(&self) -> Vec<f64> {
        let mut all = [self.from_reference.as_slice(), &self.from_answer].concat();
        all.sort_by(f64::total_cmp);
        all
    }

    /// MedPy's `hd95`.
    pub fn hd95_medpy_mm(&self) -> Score {
        Score::Value(percentile(&self.pooled(), 95.0))
    }

    /// MONAI's 95 % Hausdorff distance.
    pub fn hd95_monai_mm(&self) -> Score {
        Score::Value(percentile(&self.from_reference, 95.0).max(percentile(&self.from_answer, 95.0)))
    }

    /// `assd` of MedPy 0.5 and MONAI's symmetric average surface distance.
    pub fn assd_pooled_mm(&self) -> Score {
        Score::Value(mean(&self.pooled()))
    }

    /// `assd` of MedPy before 0.5.
    pub fn assd_of_means_mm(&self) -> Score {
        Score::Value((mean(&self.from_reference) + mean(&self.from_answer)) / 2.0)
    }
}
