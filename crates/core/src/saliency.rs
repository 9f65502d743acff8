//! Where in a picture lies what it has in common with a text, as an encoder of pictures and texts shows it: a value a
//! cell of its grid, the map that they make, and boxes around what stands out of it.

use crate::geometry::{Box2, Given, Map2};
use serde::Serialize;

/// How an information bottleneck finds what of a picture bears on a text (M2IB; Wang et al., "Visual Explanations of
/// Image-Text Representations via Multi-Modal Information Bottleneck Attribution", NeurIPS 2023).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bottleneck {
    /// The layer of the tower that it stands behind, from 0.
    pub layer: usize,
    /// Weight of what passes against the cosine of picture and text: the larger, the less of the picture is left.
    pub beta: f64,
    /// Steps of Adam, at a rate of 1.
    pub steps: usize,
    /// Draws of noise a step.
    pub draws: usize,
    /// Of the noise.
    pub seed: u64,
}

impl Bottleneck {
    /// Most steps: behind them nothing of what is shut out can be told from nothing.
    pub const MOST_STEPS: usize = 64;
    /// Most draws of noise a step.
    pub const MOST_DRAWS: usize = 1000;
}

impl Default for Bottleneck {
    /// The defaults of MedCLIP-SAMv2 (`generate_saliency_maps.py`) and, for steps and draws, of M2IB's own code.
    fn default() -> Self {
        Self { layer: 7, beta: 0.1, steps: 10, draws: 10, seed: 42 }
    }
}

/// What an encoder shows of a picture and a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Saliency {
    /// Columns and rows of the grid.
    pub grid: [usize; 2],
    /// For every cell in row order the information that passes, in nats.
    pub cells: Vec<f32>,
    /// What the encoder saw of the picture, which the grid covers: the middle, where the picture is cut to a square, or
    /// more than the picture, where it is put into one.
    pub seen: Box2<Given>,
    /// Pixels of a side of what it read.
    pub side: usize,
}

/// Values between 0 and 1 over a part of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct SaliencyMap {
    /// Pixels of a side.
    pub side: usize,
    /// In row order; the smallest is 0 and the largest 1.
    pub values: Vec<f32>,
    /// The part that it covers.
    pub seen: Box2<Given>,
}

/// A position on `cells` numbers, at which the values of two of them are mixed: the first, the second, and the share of
/// the second (bilinear interpolation without aligned corners; beyond the outer centres their values go on).
fn between(at: f64, cells: usize) -> (usize, usize, f64) {
    let at = (at - 0.5).max(0.0);
    let low = (at.floor() as usize).min(cells.saturating_sub(1));
    (low, (low + 1).min(cells.saturating_sub(1)), at - low as f64)
}

/// The value of a grid at a position in cells.
fn mixed(values: &[f32], [columns, rows]: [usize; 2], [x, y]: [f64; 2]) -> f64 {
    let ((x0, x1, fx), (y0, y1, fy)) = (between(x, columns), between(y, rows));
    let value = |x: usize, y: usize| values.get(y * columns + x).map_or(0.0, |v| f64::from(*v));
    let line = |y: usize| value(x0, y) * (1.0 - fx) + value(x1, y) * fx;
    line(y0) * (1.0 - fy) + line(y1) * fy
}

impl Saliency {
    /// The cells interpolated to the pixels that the encoder read, brought to 0–1; none where all are equal.
    pub fn map(&self) -> Option<SaliencyMap> {
        let (side, [columns, rows]) = (self.side, self.grid);
        let scale = |n: usize, cells: usize| (n as f64 + 0.5) * cells as f64 / side as f64;
        let place = |n: usize| [scale(n % side, columns), scale(n / side, rows)];
        let large: Vec<f64> = (0..side * side).map(|n| mixed(&self.cells, self.grid, place(n))).collect();
        let low = large.iter().copied().fold(f64::INFINITY, f64::min);
        let high = large.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = high - low;
        if !(span > 0.0 && span.is_finite()) {
            return None;
        }
        let values = large.iter().map(|v| ((v - low) / span) as f32).collect();
        Some(SaliencyMap { side, values, seen: self.seen })
    }
}

/// A part of a map that stands out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SalientPart {
    /// Around it, within the picture.
    pub region: Box2<Given>,
    /// Pixels of the map.
    pub area: usize,
}

impl SaliencyMap {
    /// The value at a position of the picture; none outside the part that was seen.
    pub fn at(&self, x: f64, y: f64) -> Option<f32> {
        let [x0, y0, x1, y1] = self.seen.xyxy();
        if !(x >= x0 && y >= y0 && x < x1 && y < y1) {
            return None;
        }
        let side = self.side as f64;
        let place = [(x - x0) / (x1 - x0) * side, (y - y0) / (y1 - y0) * side];
        Some(mixed(&self.values, [self.side; 2], place) as f32)
    }

    /// The map in 256 levels, as a picture of it has them.
    fn levels(&self) -> Vec<u8> {
        self.values.iter().map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8).collect()
    }

    /// The value that parts the map into two clusters with the least variance within them: that of k-means with two
    /// centres at its best, and of Otsu's method (IEEE Trans. SMC 9, 1979). What is above belongs to the higher one.
    pub fn threshold(&self) -> f64 {
        let mut counts = [0u64; 256];
        self.levels().iter().for_each(|level| counts[usize::from(*level)] += 1);
        let weighed = |counts: &[u64]| -> (f64, f64) {
            let of = |(level, n): (usize, &u64)| level as f64 * *n as f64;
            (counts.iter().sum::<u64>() as f64, counts.iter().enumerate().map(of).sum())
        };
        let (all, sum) = weighed(&counts);
        let (mut below, mut sum_below, mut best) = (0.0, 0.0, (f64::NEG_INFINITY, 0));
        for (level, n) in counts.iter().enumerate().take(255) {
            below += *n as f64;
            sum_below += level as f64 * *n as f64;
            let above = all - below;
            if below > 0.0 && above > 0.0 {
                let apart = sum_below / below - (sum - sum_below) / above;
                let between = below * above * apart * apart;
                if between > best.0 {
                    best = (between, level);
                }
            }
        }
        (best.1 as f64 + 0.5) / 255.0
    }

    /// The `count` largest connected parts (over edges and corners) above a value, the largest first, that have a place
    /// within a picture of this size.
    pub fn parts(&self, above: f64, count: usize, [width, height]: [usize; 2]) -> Vec<SalientPart> {
        let side = self.side;
        let mut open: Vec<bool> = self.values.iter().map(|v| f64::from(*v) > above).collect();
        let [x0, y0, x1, y1] = self.seen.xyxy();
        let (sx, sy) = ((x1 - x0) / side as f64, (y1 - y0) / side as f64);
        let given_from_map: Map2<Given, Given> = Map2::scale_then_shift(sx, sy, x0, y0);
        let mut found = Vec::new();
        for start in 0..open.len() {
            if !open[start] {
                continue;
            }
            open[start] = false;
            let (mut todo, mut area) = (vec![start], 0);
            let mut bounds = [usize::MAX, usize::MAX, 0, 0];
            while let Some(at) = todo.pop() {
                let (x, y) = (at % side, at / side);
                area += 1;
                bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x + 1), bounds[3].max(y + 1)];
                for ny in y.saturating_sub(1)..(y + 2).min(side) {
                    for nx in x.saturating_sub(1)..(x + 2).min(side) {
                        if std::mem::take(&mut open[ny * side + nx]) {
                            todo.push(ny * side + nx);
                        }
                    }
                }
            }
            let [x0, y0, x1, y1] = bounds.map(|n| n as f64);
            let region = given_from_map.boxed(Box2::new(x0, y0, x1, y1));
            let region = region.clipped(width as f64, height as f64);
            if region.is_proper() {
                found.push(SalientPart { region, area });
            }
        }
        // Of equal ones the upper first, as they were found.
        found.sort_by_key(|part| std::cmp::Reverse(part.area));
        found.truncate(count);
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn saliency(grid: [usize; 2], cells: &[f32], side: usize) -> Saliency {
        Saliency { grid, cells: cells.to_vec(), seen: Box2::new(0.0, 0.0, side as f64, side as f64), side }
    }

    #[test]
    fn cells_become_a_map_between_0_and_1() {
        // Two cells on four pixels: torch's interpolate gives 0, 1/4, 3/4, 1 of the difference.
        let map = saliency([2, 1], &[3.0, 5.0], 4).map().unwrap();
        assert_eq!(&map.values[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(map.values[12..], map.values[..4]);
        assert_eq!(saliency([2, 2], &[1.0; 4], 8).map(), None);
        assert_eq!(saliency([2, 1], &[1.0, f32::NAN], 2).map(), None);
    }

    #[test]
    fn positions_of_the_picture_are_found_again() {
        let mut whole = saliency([2, 2], &[0.0, 1.0, 0.0, 1.0], 4);
        whole.seen = Box2::new(10.0, 0.0, 30.0, 20.0);
        let map = whole.map().unwrap();
        assert_eq!((map.at(9.9, 5.0), map.at(30.0, 5.0), map.at(20.0, -0.1)), (None, None, None));
        assert!(map.at(10.0, 0.0).unwrap() < 1e-6 && map.at(29.9, 19.9).unwrap() > 0.999);
        assert!((map.at(20.0, 10.0).unwrap() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_threshold_parts_two_clusters() {
        let mut values = vec![0.1f32; 50];
        values.extend([0.2; 30]);
        values.extend([0.9; 20]);
        let map = SaliencyMap { side: 10, values, seen: Box2::new(0.0, 0.0, 10.0, 10.0) };
        let threshold = map.threshold();
        assert!(threshold > 0.2 && threshold < 0.9, "{threshold}");
    }

    #[test]
    fn parts_are_boxes_of_the_picture_by_their_size() {
        let mut values = vec![0.0f32; 36];
        // Three that touch at corners, one alone.
        for at in [0, 7, 14, 5] {
            values[at] = 1.0;
        }
        let map = SaliencyMap { side: 6, values, seen: Box2::new(-6.0, 0.0, 6.0, 12.0) };
        let parts = map.parts(0.5, 5, [100, 100]);
        // The larger one lies left of the picture in part.
        let boxes: Vec<([f64; 4], usize)> = parts.iter().map(|p| (p.region.xyxy(), p.area)).collect();
        assert_eq!(boxes, [([4.0, 0.0, 6.0, 2.0], 1)]);
        let map = SaliencyMap { seen: Box2::new(0.0, 0.0, 12.0, 12.0), ..map };
        let parts = map.parts(0.5, 5, [100, 100]);
        let boxes: Vec<([f64; 4], usize)> = parts.iter().map(|p| (p.region.xyxy(), p.area)).collect();
        assert_eq!(boxes, [([0.0, 0.0, 6.0, 6.0], 3), ([10.0, 0.0, 12.0, 2.0], 1)]);
        assert_eq!(map.parts(0.5, 1, [100, 100]).len(), 1);
        assert!(map.parts(1.0, 5, [100, 100]).is_empty());
    }
}
