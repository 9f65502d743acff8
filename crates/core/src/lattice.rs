//! Where the voxels of one grid lie on another.

use crate::geometry::LpsFromIndex;

/// A voxel grid: its size and its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Number of slices, rows and columns.
    pub shape: [usize; 3],
    /// Voxel index (i, j, k) at centres to patient mm.
    pub lps_from_index: LpsFromIndex,
}

impl Grid {
    /// Columns, rows and slices: sizes along i, j and k.
    fn sizes(&self) -> [usize; 3] {
        let [slices, rows, columns] = self.shape;
        [columns, rows, slices]
    }

    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// The voxel (slice, row, column) that holds a patient position; `None` outside the grid.
    pub fn voxel_at(&self, lps: [f64; 3]) -> Option<[usize; 3]> {
        let index = self.lps_from_index.index_of(lps)?;
        let mut at = [0; 3];
        for ((at, v), size) in at.iter_mut().zip(index).zip(self.sizes()) {
            let v = v.round();
            if !(v >= 0.0 && v < size as f64) {
                return None;
            }
            *at = v as usize;
        }
        let [i, j, k] = at;
        Some([k, j, i])
    }
}

/// How the indices of one grid become those of another whose voxels have the same centres: axes may be
/// exchanged and turned round, and either grid may be a part of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lattice {
    base: [i64; 3],
    steps: [[i64; 3]; 3],
}

impl Lattice {
    /// Largest distance of two centres that count as the same, in voxels: positions and spacings are written with
    /// few digits.
    pub const SLACK: f64 = 0.1;

    /// From the indices of `from` to those of `to`; `None` when their voxels do not coincide.
    pub fn between(from: &Grid, to: &LpsFromIndex) -> Option<Self> {
        let at = |index: [f64; 3]| to.index_of(from.lps_from_index.apply(index));
        let last = from.sizes().map(|n| n.saturating_sub(1) as f64);
        let first = at([0.0; 3])?;
        let base = whole(first)?;
        let mut steps = [[0; 3]; 3];
        for (axis, step) in steps.iter_mut().enumerate() {
            // The longest way along the axis has the least rounding in each step. An axis of one voxel leads
            // nowhere, whatever its step would be.
            if last[axis] > 0.0 {
                let mut far = [0.0; 3];
                far[axis] = last[axis];
                let end = at(far)?;
                *step = whole([0, 1, 2].map(|n| (end[n] - first[n]) / last[axis]))?;
                if step.iter().map(|v| v.abs()).sum::<i64>() != 1 {
                    return None;
                }
            }
        }
        let found = Self { base, steps };
        let corners = (0..8u8).map(|bits| [0, 1, 2].map(|n| if bits >> n & 1 == 1 { last[n] } else { 0.0 }));
        for corner in corners {
            let (exact, there) = (at(corner)?, found.index(corner.map(|v| v as i64)));
            if exact.iter().zip(there).any(|(a, b)| (a - b as f64).abs() > Self::SLACK) {
                return None;
            }
        }
        Some(found)
    }

    /// The index on the other grid.
    pub fn index(&self, index: [i64; 3]) -> [i64; 3] {
        [0, 1, 2].map(|n| self.base[n] + (0..3).map(|axis| index[axis] * self.steps[axis][n]).sum::<i64>())
    }

    /// The voxel (slice, row, column) of the other grid for a voxel (slice, row, column) of this one; beyond all
    /// sizes where it lies before the other's first.
    pub fn voxel(&self, [k, j, i]: [usize; 3]) -> [usize; 3] {
        let [i, j, k] = self.index([i as i64, j as i64, k as i64]);
        [k, j, i].map(|v| usize::try_from(v).unwrap_or(usize::MAX))
    }

    /// Do all indices stay as they are?
    pub fn is_identity(&self) -> bool {
        let same = |axis: usize| {
            let unit = [0, 1, 2].map(|n| i64::from(n == axis));
            self.steps[axis] == unit || self.steps[axis] == [0; 3]
        };
        self.base == [0; 3] && (0..3).all(same)
    }
}

/// The nearest whole numbers, when they are near and small enough to count with.
fn whole(index: [f64; 3]) -> Option<[i64; 3]> {
    let near = |v: &f64| (v - v.round()).abs() <= Lattice::SLACK && v.abs() < 1e9;
    index.iter().all(near).then(|| index.map(|v| v.round() as i64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    fn grid(shape: [usize; 3], m: [[f64; 4]; 3]) -> Grid {
        Grid { shape, lps_from_index: LpsFromIndex { m } }
    }

    #[test]
    fn a_part_that_is_turned_round_is_found() {
        let whole = grid([4, 6, 8], [[0.5, 0., 0., -3.], [0., 0.7, 0., 9.], [0., 0., 2., 1.]]);
        // Columns run backwards from column 6, rows from row 1, slices downwards from slice 3.
        let part = grid([2, 5, 3], [[-0.5, 0., 0., 0.], [0., 0.7, 0., 9.7], [0., 0., -2., 7.]]);
        let lattice = Lattice::between(&part, &whole.lps_from_index).unwrap();
        assert_eq!((lattice.voxel([0, 0, 0]), lattice.voxel([1, 4, 2])), ([3, 1, 6], [2, 5, 4]));
        assert!(!lattice.is_identity());
        assert!(Lattice::between(&whole, &whole.lps_from_index).unwrap().is_identity());
        let before = Lattice::between(&whole, &part.lps_from_index).unwrap();
        assert_eq!(before.voxel([3, 0, 6]), [0, usize::MAX, 0]);
    }

    #[test]
    fn grids_of_other_steps_or_between_the_voxels_do_not_coincide() {
        let whole = grid([4, 6, 8], [[0.5, 0., 0., -3.], [0., 0.7, 0., 9.], [0., 0., 2., 1.]]);
        for other in [
            [[0.5, 0., 0., -2.8], [0., 0.7, 0., 9.], [0., 0., 2., 1.]],
            [[1.0, 0., 0., -3.], [0., 0.7, 0., 9.], [0., 0., 2., 1.]],
            [[0.52, 0., 0., -3.], [0., 0.7, 0., 9.], [0., 0., 2., 1.]],
            [[0.5, 0., 0., -3.], [0.1, 0.7, 0., 9.], [0., 0., 2., 1.]],
            [[0.0; 4], [0.0; 4], [0.0; 4]],
        ] {
            assert_eq!(Lattice::between(&grid([4, 6, 8], other), &whole.lps_from_index), None, "{other:?}");
        }
    }

    proptest! {
        /// Positions written with four digits are still the same voxels.
        #[test]
        fn rounded_positions_coincide(x in -500.0f64..500.0, step in 0.3f64..3.0) {
            let exact = grid([9, 64, 64], [[step, 0., 0., x], [0., step, 0., -x], [0., 0., 2.5 * step, 4.0 * x]]);
            let m = exact.lps_from_index.m.map(|row| row.map(|v| (v * 1e4).round() / 1e4));
            let lattice = Lattice::between(&grid([9, 64, 64], m), &exact.lps_from_index);
            prop_assert!(lattice.is_some_and(|l| l.is_identity()));
        }
    }
}
