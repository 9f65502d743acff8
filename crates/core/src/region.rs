//! The voxels of one label, within the box around them.

use ndarray::{Array3, s};
use std::collections::BTreeMap;

/// First and last index of a label along slices, rows and columns, both inclusive.
pub(crate) type Bounds = [[usize; 2]; 3];

/// The voxels of one label. Positions are indices `[i, j, k]` of the whole grid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Region {
    /// The first column, row and slice of the box.
    low: [i64; 3],
    /// In (slice, row, column) order.
    bits: Array3<bool>,
}

impl Region {
    /// The voxels of `labels` that are `label`; empty when there are none.
    pub fn of(labels: &Array3<u16>, label: u16) -> Self {
        let bounds = bounds(labels, |v| *v == label).remove(&label);
        bounds.map_or_else(Self::default, |at| Self::within(labels, label, at))
    }

    /// The bounds of every label of a grid but 0, in one pass.
    pub(crate) fn bounds_of_all(labels: &Array3<u16>) -> BTreeMap<u16, Bounds> {
        bounds(labels, |v| *v != 0)
    }

    /// The voxels of `labels` that are `label`, all of which lie within `bounds`.
    pub(crate) fn within(labels: &Array3<u16>, label: u16, [k, j, i]: Bounds) -> Self {
        let part = labels.slice(s![k[0]..=k[1], j[0]..=j[1], i[0]..=i[1]]);
        Self { low: [i[0], j[0], k[0]].map(|v| v as i64), bits: part.mapv(|v| v == label) }
    }

    /// Is the voxel covered? False outside the grid.
    pub fn covers(&self, [i, j, k]: [i64; 3]) -> bool {
        let local = [(k, 2), (j, 1), (i, 0)].map(|(v, axis)| usize::try_from(v - self.low[axis]).ok());
        match local {
            [Some(k), Some(j), Some(i)] => self.bits.get([k, j, i]).copied().unwrap_or(false),
            _ => false,
        }
    }

    /// The covered voxels.
    pub fn cells(&self) -> impl Iterator<Item = [i64; 3]> + '_ {
        let covered = self.bits.indexed_iter().filter(|(_, bit)| **bit);
        covered.map(|((k, j, i), _)| [i as i64 + self.low[0], j as i64 + self.low[1], k as i64 + self.low[2]])
    }

    /// Number of covered voxels.
    pub fn len(&self) -> usize {
        self.bits.iter().filter(|bit| **bit).count()
    }

    /// Is nothing covered?
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// The first voxel of the box and the one behind its last, `[i, j, k]`.
    pub fn bounds(&self) -> [[i64; 3]; 2] {
        let (k, j, i) = self.bits.dim();
        [self.low, [self.low[0] + i as i64, self.low[1] + j as i64, self.low[2] + k as i64]]
    }
}

/// The bounds of every label that `wanted` lets through, in one pass.
fn bounds(labels: &Array3<u16>, wanted: impl Fn(&u16) -> bool) -> BTreeMap<u16, Bounds> {
    let mut found: BTreeMap<u16, Bounds> = BTreeMap::new();
    for (k, plane) in labels.outer_iter().enumerate() {
        for (j, row) in plane.outer_iter().enumerate() {
            for (i, label) in row.iter().enumerate().filter(|(_, v)| wanted(v)) {
                let at = [k, j, i];
                let known = found.entry(*label).or_insert(at.map(|n| [n, n]));
                for (bounds, n) in known.iter_mut().zip(at) {
                    *bounds = [bounds[0].min(n), bounds[1].max(n)];
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_region_holds_its_voxels_and_no_others(values in proptest::collection::vec(0u16..4, 60)) {
            let labels = Array3::from_shape_vec((3, 4, 5), values).unwrap();
            let cells = |label| -> Vec<[i64; 3]> {
                let of = labels.indexed_iter().filter(|(_, v)| **v == label);
                of.map(|((k, j, i), _)| [i as i64, j as i64, k as i64]).collect()
            };
            for (label, bounds) in Region::bounds_of_all(&labels) {
                let region = Region::within(&labels, label, bounds);
                prop_assert_eq!(region.cells().collect::<Vec<_>>(), cells(label));
                prop_assert_eq!(&region, &Region::of(&labels, label));
                prop_assert_eq!(region.len(), cells(label).len());
                prop_assert!(!region.covers([-1, 0, 0]) && !region.covers([5, 0, 0]));
                let same = |((k, j, i), v): ((usize, usize, usize), &u16)| region.covers([i as i64, j as i64, k as i64]) == (*v == label);
                prop_assert!(labels.indexed_iter().all(same));
            }
            prop_assert!(Region::of(&labels, 9).is_empty());
        }
    }
}
