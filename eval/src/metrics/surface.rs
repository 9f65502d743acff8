//! Distances between surfaces in mm, as DeepMind's surface-distance 0.1 measures them (Nikolov et al.
//! 2018): surface elements between the voxels, each weighted by its area (2-D: its length).

use super::entry::Entry;
use super::region::{Region, unravel};
use super::surface_table;
use loupe_core::Score;
use loupe_core::distance;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed(
        "hd95",
        "DeepMind surface-distance: larger of the two area-weighted 95th percentiles",
        "mm",
        false,
    ),
    Entry::typed("hd100", "DeepMind surface-distance: larger of the two greatest distances", "mm", false),
    Entry::typed("nsd", "DeepMind surface-distance: surface Dice at a tolerance", "share", true),
    Entry::typed(
        "assd",
        "DeepMind surface-distance: area-weighted mean distances, averaged over both ways",
        "mm",
        false,
    ),
];

/// Distances of the elements of one surface to the other, nearest first, with their areas.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OneWay {
    distances_mm: Vec<f64>,
    areas: Vec<f64>,
}

/// Both ways.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    /// From the reference to the answer.
    pub from_reference: OneWay,
    /// From the answer to the reference.
    pub from_answer: OneWay,
}

/// A grid whose surface elements have a table of areas: two or three dimensions.
pub trait Elements<const N: usize> {
    /// Length or area of the element of each corner code.
    fn areas(spacing_mm: [f64; N]) -> Vec<f64>;
}

impl Elements<3> for Region<3> {
    fn areas([z, y, x]: [f64; 3]) -> Vec<f64> {
        surface_table::NORMALS
            .split_whitespace()
            .map(|normals| {
                let digits: Vec<f64> =
                    normals.bytes().map(|b| f64::from(b.wrapping_sub(b'0')) / 8.0).collect();
                let area = |n: &[f64]| match n {
                    [a, b, c] => ((a * y * x).powi(2) + (b * z * x).powi(2) + (c * z * y).powi(2)).sqrt(),
                    _ => 0.0,
                };
                digits.chunks(3).map(area).sum()
            })
            .collect()
    }
}

impl Elements<2> for Region<2> {
    fn areas([down, across]: [f64; 2]) -> Vec<f64> {
        let diagonal = 0.5 * down.hypot(across);
        // Bits: upper left, upper right, lower left, lower right.
        (0u8..16)
            .map(|code| match code {
                0b0000 | 0b1111 => 0.0,
                0b0011 | 0b1100 => across,
                0b0101 | 0b1010 => down,
                0b0110 | 0b1001 => 2.0 * diagonal,
                _ => diagonal,
            })
            .collect()
    }
}

/// Corner codes of a mask: bit by bit, which of the 2ᴺ cells around each corner are covered, the
/// cell before it along every axis first.
fn codes<const N: usize>(mask: &Region<N>, corners: [usize; N]) -> Vec<usize> {
    let around = 1usize << N;
    let cells: usize = corners.iter().product();
    (0..cells)
        .map(|at| {
            let corner = unravel(at, corners);
            (0..around).fold(0, |code, k| {
                let cell: [i64; N] =
                    std::array::from_fn(|a| corner[a] as i64 - 1 + ((k >> (N - 1 - a)) & 1) as i64);
                (code << 1) | usize::from(mask.get(cell))
            })
        })
        .collect()
}

/// All distances between the surfaces of two masks on one grid; `spacing_mm` is the step along each
/// axis. `Err` says why there are none.
pub fn distances<const N: usize>(
    reference: &Region<N>,
    answer: &Region<N>,
    spacing_mm: [f64; N],
) -> Result<SurfaceDistances, &'static str>
where
    Region<N>: Elements<N>,
{
    if reference.shape() != answer.shape() {
        return Err("the masks lie on grids of different shapes");
    }
    if !spacing_mm.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err("the spacing is not positive");
    }
    let Some((low, high)) = reference.bounds_with(answer) else { return Err("both masks are empty") };
    let corners: [usize; N] = std::array::from_fn(|a| high[a] - low[a] + 2);
    let areas = <Region<N> as Elements<N>>::areas(spacing_mm);
    let full = areas.len() - 1;
    let coded = [reference, answer].map(|mask| codes(&mask.cut(low, high), corners));
    let borders =
        coded.each_ref().map(|codes| codes.iter().map(|c| *c != 0 && *c != full).collect::<Vec<bool>>());
    let far = borders.each_ref().map(|border| distance::distance_mm(corners, border, spacing_mm));
    let way = |from: usize, to: usize| {
        let mut all: Vec<(f64, f64)> = (0..far[to].len())
            .filter(|at| borders[from][*at])
            .map(|at| (far[to][at], areas.get(coded[from][at]).copied().unwrap_or(0.0)))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (distances_mm, areas) = all.into_iter().unzip();
        OneWay { distances_mm, areas }
    };
    Ok(SurfaceDistances { from_reference: way(0, 1), from_answer: way(1, 0) })
}

impl OneWay {
    /// Distance below which `percent` of the surface lies.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let total: f64 = self.areas.iter().sum();
        let mut sum = 0.0;
        let at = self.areas.iter().position(|a| {
            sum += a;
            sum / total >= percent / 100.0
        });
        self.distances_mm.get(at.unwrap_or(self.areas.len().saturating_sub(1))).copied()
    }

    fn mean(&self) -> f64 {
        self.distances_mm.iter().zip(&self.areas).map(|(d, a)| d * a).sum::<f64>()
            / self.areas.iter().sum::<f64>()
    }

    fn within(&self, tolerance_mm: f64) -> f64 {
        self.distances_mm.iter().zip(&self.areas).filter(|(d, _)| **d <= tolerance_mm).map(|(_, a)| a).sum()
    }
}

impl SurfaceDistances {
    /// Is one of the masks empty? Its distances are then infinite in the reference package.
    fn one_empty(&self) -> bool {
        self.from_reference.areas.is_empty() || self.from_answer.areas.is_empty()
    }

    /// The robust Hausdorff distance; unscored when one mask is empty (infinite there).
    pub fn hausdorff_mm(&self, percent: f64) -> Score {
        match (self.from_reference.percentile(percent), self.from_answer.percentile(percent)) {
            (Some(a), Some(b)) if a.is_finite() && b.is_finite() => Score::Value(a.max(b)),
            _ => Score::Unscored("one mask is empty".into()),
        }
    }

    /// Surface Dice (NSD) at a tolerance; 0 when one mask is empty.
    pub fn surface_dice(&self, tolerance_mm: f64) -> Score {
        let [a, b] = [&self.from_reference, &self.from_answer];
        let total = a.areas.iter().sum::<f64>() + b.areas.iter().sum::<f64>();
        Score::Value((a.within(tolerance_mm) + b.within(tolerance_mm)) / total)
    }

    /// Mean distances from the reference to the answer and back, in mm; `None` when one mask is empty.
    pub fn mean_mm(&self) -> Option<[f64; 2]> {
        (!self.one_empty()).then(|| [self.from_reference.mean(), self.from_answer.mean()])
    }

    /// The average symmetric surface distance: the mean of the two means.
    pub fn assd_mm(&self) -> Score {
        self.mean_mm()
            .map_or(Score::Unscored("one mask is empty".into()), |[a, b]| Score::Value((a + b) / 2.0))
    }
}
