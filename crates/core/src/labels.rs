//! Labelled masks on one grid, which may overlap.

use crate::lattice::{Grid, Lattice};
use crate::mask::LabelVolume;
use crate::region::Region;
use ndarray::Array3;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A coded concept (DICOM PS3.3 8.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodedConcept {
    /// Code Value, such as `10200004`.
    pub value: String,
    /// Coding Scheme Designator, such as `SCT`.
    pub scheme: String,
    /// Code Meaning.
    pub meaning: String,
}

/// What a labelled mask is of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Its number in the file: label value, Segment Number, ROI Number.
    pub number: u32,
    /// Its name, where the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The kind of thing that it is, such as an anatomical structure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<CodedConcept>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodedConcept>,
}

impl Label {
    /// Its name, or `label` and its number.
    pub fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("label {}", self.number))
    }

    /// The place among `labels` of the one of this number or, in any case, name.
    ///
    /// # Errors
    /// When there is none, or several have the name.
    pub fn find(labels: &[&Self], wanted: &str) -> Result<usize, LabelError> {
        let by_number = wanted.parse::<u32>().ok();
        if let Some(at) = labels.iter().position(|l| Some(l.number) == by_number) {
            return Ok(at);
        }
        let called = |l: &Self| {
            l.name.as_ref().is_some_and(|name| name.trim().to_lowercase() == wanted.trim().to_lowercase())
        };
        let mut named = labels.iter().enumerate().filter(|(_, l)| called(l));
        match (named.next(), named.next()) {
            (Some((at, _)), None) => Ok(at),
            (Some(_), Some(_)) => Err(LabelError::Ambiguous(wanted.to_owned())),
            (None, _) => Err(LabelError::NoSuchLabel {
                wanted: wanted.to_owned(),
                have: labels.iter().map(|l| l.number).collect(),
            }),
        }
    }
}

/// Two labels that share voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Numbers of the labels.
    pub labels: [u32; 2],
    /// Voxels that both cover.
    pub voxels: usize,
}

/// Why labels could not be had as asked for. No message repeats a name, which is free text of the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelError {
    /// Labels overlap where one label a voxel is needed.
    #[error("labels {} and {} overlap in {} voxels, and one label a voxel is needed; choose one by its number or name", .0.labels[0], .0.labels[1], .0.voxels)]
    Overlapping(Overlap),
    /// There is no such label.
    #[error("the mask has no label {wanted:?}; it has {}", numbers(.have))]
    NoSuchLabel {
        /// What was asked for.
        wanted: String,
        /// The numbers that there are.
        have: Vec<u32>,
    },
    /// Several labels have the name.
    #[error("several labels of the mask are called {0:?}; choose one by its number")]
    Ambiguous(String),
    /// A number that a label volume cannot hold.
    #[error("label {0} is above 65535, the largest that a label volume can hold")]
    TooLarge(u32),
    /// More labels than can be told apart.
    #[error("the mask has more than 65534 labels")]
    TooMany,
}

fn numbers(have: &[u32]) -> String {
    match have {
        [] => "none".to_owned(),
        _ if have.len() > 20 => format!("{} labels", have.len()),
        _ => have.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Labelled masks on the grid of a volume. Labels may overlap: each lies whole in one layer, and within a layer
/// none overlap, so that labels which do not overlap take no more room than a label volume.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledMasks {
    /// The grid that they lie on.
    pub grid: Grid,
    /// What was decided on the way, in words.
    pub notes: Vec<String>,
    labels: Vec<Label>,
    /// The layer of each label.
    layer_of: Vec<usize>,
    /// In (slice, row, column) order; the n-th label of `labels`, counted from 1, or 0.
    layers: Vec<Array3<u16>>,
}

impl LabelledMasks {
    /// No labels yet.
    pub fn new(grid: Grid) -> Self {
        let layers = vec![Array3::zeros(grid.shape)];
        Self { grid, notes: Vec::new(), labels: Vec::new(), layer_of: Vec::new(), layers }
    }

    /// The labels of a volume, rising by number: those that occur and those that have a name.
    pub fn of(volume: &LabelVolume) -> Result<Self, LabelError> {
        let mut numbers: BTreeSet<u16> = volume.names.keys().copied().filter(|n| *n != 0).collect();
        let mut last = 0;
        for value in &volume.labels {
            if *value != last && *value != 0 {
                numbers.insert(*value);
            }
            last = *value;
        }
        if numbers.len() > usize::from(u16::MAX) - 1 {
            return Err(LabelError::TooMany);
        }
        let place: BTreeMap<u16, u16> = numbers.iter().copied().zip(1..).collect();
        let label =
            |n: &u16| Label { number: u32::from(*n), name: volume.names.get(n).cloned(), ..Label::default() };
        Ok(Self {
            grid: Grid { shape: volume.labels.dim().into(), lps_from_index: volume.lps_from_index },
            notes: Vec::new(),
            labels: numbers.iter().map(label).collect(),
            layer_of: vec![0; numbers.len()],
            layers: vec![volume.labels.mapv(|v| place.get(&v).copied().unwrap_or(0))],
        })
    }

    /// Adds a label that covers `voxels` (slice, row, column), and says how many of them lie outside the grid and
    /// are left out.
    ///
    /// # Errors
    /// When there are too many labels to tell apart.
    pub fn put<I: Iterator<Item = [usize; 3]>>(
        &mut self,
        label: Label,
        voxels: impl Fn() -> I,
    ) -> Result<usize, LabelError> {
        let value = u16::try_from(self.labels.len() + 1).map_err(|_| LabelError::TooMany)?;
        let free = |layer: &Array3<u16>| voxels().all(|at| layer.get(at).is_none_or(|v| *v == 0));
        let layer = match self.layers.iter().position(free) {
            Some(layer) => layer,
            None => {
                self.layers.push(Array3::zeros(self.grid.shape));
                self.layers.len() - 1
            }
        };
        self.labels.push(label);
        self.layer_of.push(layer);
        let Some(layer) = self.layers.get_mut(layer) else { return Ok(0) };
        let mut outside = 0;
        for at in voxels() {
            match layer.get_mut(at) {
                Some(voxel) => *voxel = value,
                None => outside += 1,
            }
        }
        Ok(outside)
    }

    /// The same labels on a grid whose voxels have the same centres, where `lattice` leads, and how many covered
    /// voxels lie outside it.
    pub fn moved(&self, grid: Grid, lattice: &Lattice) -> (Self, usize) {
        let mut outside = 0;
        let layers = self.layers.iter().map(|layer| {
            let mut moved = Array3::zeros(grid.shape);
            for ((k, j, i), value) in layer.indexed_iter().filter(|(_, v)| **v != 0) {
                match moved.get_mut(lattice.voxel([k, j, i])) {
                    Some(voxel) => *voxel = *value,
                    None => outside += 1,
                }
            }
            moved
        });
        let layers = layers.collect();
        (Self { grid, layers, ..self.without_voxels() }, outside)
    }

    /// The same labels resampled: each voxel of `grid` takes the labels of the voxel that holds its centre.
    pub fn resampled(&self, grid: Grid) -> Self {
        let mut layers = vec![Array3::zeros(grid.shape); self.layers.len()];
        let [slices, rows, columns] = grid.shape;
        for (k, j, i) in
            (0..slices).flat_map(|k| (0..rows).flat_map(move |j| (0..columns).map(move |i| (k, j, i))))
        {
            let lps = grid.lps_from_index.apply([i as f64, j as f64, k as f64]);
            let Some(at) = self.grid.voxel_at(lps) else { continue };
            for (to, from) in layers.iter_mut().zip(&self.layers) {
                to[[k, j, i]] = from.get(at).copied().unwrap_or(0);
            }
        }
        Self { grid, layers, ..self.without_voxels() }
    }

    fn without_voxels(&self) -> Self {
        let (labels, layer_of) = (self.labels.clone(), self.layer_of.clone());
        Self { grid: self.grid, notes: self.notes.clone(), labels, layer_of, layers: Vec::new() }
    }

    /// How many label volumes' room they take.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The labels in the order of the file.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Does the n-th label, from 0, cover the voxel (slice, row, column)? False outside the grid.
    pub fn covers(&self, label: usize, at: [usize; 3]) -> bool {
        let value = self.layer_of.get(label).and_then(|layer| self.layers.get(*layer)?.get(at));
        value.is_some_and(|v| usize::from(*v) == label + 1)
    }

    /// The places in [`LabelledMasks::labels`] of the labels that cover the voxel (slice, row, column); none outside the
    /// grid.
    pub fn at(&self, voxel: [usize; 3]) -> impl Iterator<Item = usize> {
        let values = self.layers.iter().filter_map(move |layer| layer.get(voxel));
        values.filter_map(|value| usize::from(*value).checked_sub(1))
    }

    /// The place in [`LabelledMasks::labels`] of the label of this number or, in any case, name.
    ///
    /// # Errors
    /// When there is none, or several have the name.
    pub fn find(&self, wanted: &str) -> Result<usize, LabelError> {
        Label::find(&self.labels.iter().collect::<Vec<_>>(), wanted)
    }

    /// Only the label of this number or name.
    ///
    /// # Errors
    /// As [`LabelledMasks::find`].
    pub fn only(&self, wanted: &str) -> Result<Self, LabelError> {
        let at = self.find(wanted)?;
        let value = (at + 1) as u16;
        let layer = self.layer_of.get(at).and_then(|layer| self.layers.get(*layer));
        Ok(Self {
            grid: self.grid,
            notes: self.notes.clone(),
            labels: self.labels.get(at).cloned().into_iter().collect(),
            layer_of: vec![0],
            layers: layer.map(|l| l.mapv(|v| u16::from(v == value))).into_iter().collect(),
        })
    }

    /// Numbers the labels from 1 in their order, where a file gives one number to several.
    pub fn number_in_order(&mut self) {
        for (label, number) in self.labels.iter_mut().zip(1..) {
            label.number = number;
        }
    }

    /// Labels that share voxels, in the order of the file.
    pub fn overlaps(&self) -> Vec<Overlap> {
        let mut shared: BTreeMap<[u16; 2], usize> = BTreeMap::new();
        for (n, first) in self.layers.iter().enumerate() {
            for second in self.layers.iter().skip(n + 1) {
                for (a, b) in first.iter().zip(second).filter(|(a, b)| **a != 0 && **b != 0) {
                    *shared.entry([*a.min(b), *a.max(b)]).or_default() += 1;
                }
            }
        }
        let number = |value: u16| self.labels.get(usize::from(value) - 1).map_or(0, |l| l.number);
        shared.into_iter().map(|(pair, voxels)| Overlap { labels: pair.map(number), voxels }).collect()
    }

    /// One label a voxel, by the labels' numbers.
    ///
    /// # Errors
    /// When labels overlap, or a number is above 65535. Nothing is merged.
    pub fn flat(&self) -> Result<LabelVolume, LabelError> {
        if let Some(overlap) = self.overlaps().first() {
            return Err(LabelError::Overlapping(*overlap));
        }
        let mut values = vec![0u16];
        for label in &self.labels {
            values.push(u16::try_from(label.number).map_err(|_| LabelError::TooLarge(label.number))?);
        }
        let mut labels = Array3::zeros(self.grid.shape);
        for layer in &self.layers {
            let value = |v: &u16| values.get(usize::from(*v)).copied().unwrap_or(0);
            labels.zip_mut_with(layer, |out, v| *out = if *v == 0 { *out } else { value(v) });
        }
        let named = self.labels.iter().zip(values.iter().skip(1));
        let names = named.filter_map(|(label, value)| Some((*value, label.name.clone()?))).collect();
        Ok(LabelVolume { labels, lps_from_index: self.grid.lps_from_index, names })
    }

    /// What any label covers, as label 1.
    pub fn united(&self) -> LabelVolume {
        let mut labels = Array3::zeros(self.grid.shape);
        for layer in &self.layers {
            labels.zip_mut_with(layer, |out, v| *out |= u16::from(*v != 0));
        }
        LabelVolume { labels, lps_from_index: self.grid.lps_from_index, names: BTreeMap::new() }
    }

    /// The voxels of the n-th label, from 0; none when there is no such label.
    pub fn region(&self, label: usize) -> Region {
        let layer = self.layer_of.get(label).and_then(|layer| self.layers.get(*layer));
        match (layer, u16::try_from(label + 1)) {
            (Some(layer), Ok(value)) => Region::of(layer, value),
            _ => Region::default(),
        }
    }

    /// Every label with its voxels, one after the other in the order of the file, so that no two are held at
    /// once.
    pub fn regions(&self) -> impl Iterator<Item = (&Label, Region)> {
        let bounds: Vec<_> = self.layers.iter().map(Region::bounds_of_all).collect();
        self.labels.iter().zip(&self.layer_of).zip(1u16..).map(move |((label, &layer), value)| {
            let found = self.layers.get(layer).zip(bounds.get(layer).and_then(|b| b.get(&value)));
            (label, found.map_or_else(Region::default, |(labels, at)| Region::within(labels, value, *at)))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::geometry::LpsFromIndex;

    fn named(number: u32, name: &str) -> Label {
        Label { number, name: Some(name.to_owned()), ..Label::default() }
    }

    /// Liver in two voxels, a cyst in one of them, and a stone somewhere else.
    fn masks() -> LabelledMasks {
        let mut masks = LabelledMasks::new(Grid { shape: [1, 2, 3], lps_from_index: LpsFromIndex::IDENTITY });
        let mut put = |label, voxels: &[[usize; 3]]| masks.put(label, || voxels.iter().copied()).unwrap();
        assert_eq!(put(named(7, "Liver"), &[[0, 0, 0], [0, 0, 1]]), 0);
        assert_eq!(put(named(70_000, "cyst"), &[[0, 0, 1], [0, 9, 9]]), 1);
        put(named(3, "stone"), &[[0, 1, 2]]);
        put(named(4, "nothing"), &[]);
        masks
    }

    #[test]
    fn labels_that_overlap_stay_whole_and_are_never_merged() {
        let masks = masks();
        assert_eq!(masks.overlaps(), [Overlap { labels: [7, 70_000], voxels: 1 }]);
        assert_eq!(masks.layers.len(), 2);
        let sizes: Vec<(u32, usize)> = masks.regions().map(|(l, r)| (l.number, r.len())).collect();
        assert_eq!(sizes, [(7, 2), (70_000, 1), (3, 1), (4, 0)]);
        assert!(masks.covers(0, [0, 0, 1]) && masks.covers(1, [0, 0, 1]) && !masks.covers(1, [0, 0, 0]));
        assert!(!masks.covers(9, [0, 0, 0]) && !masks.covers(0, [5, 0, 0]));
        let error = masks.flat().unwrap_err().to_string();
        assert!(error.contains("7 and 70000 overlap in 1") && !error.contains("Liver"), "{error}");
        assert_eq!(masks.united().labels.iter().filter(|v| **v == 1).count(), 3);
    }

    #[test]
    fn a_label_is_found_by_number_or_name() {
        let masks = masks();
        assert_eq!((masks.find("7"), masks.find("liver "), masks.find("STONE")), (Ok(0), Ok(0), Ok(2)));
        let error = masks.find("spleen").unwrap_err().to_string();
        assert!(error.contains("7, 70000, 3, 4") && !error.contains("Liver"), "{error}");
        let only = masks.only("cyst").unwrap();
        assert_eq!(only.flat(), Err(LabelError::TooLarge(70_000)));
        let stone = masks.only("3").unwrap().flat().unwrap();
        assert_eq!(stone.labels.iter().copied().collect::<Vec<_>>(), [0, 0, 0, 0, 0, 3]);
        assert_eq!(stone.names[&3], "stone");
    }

    #[test]
    fn labels_keep_their_overlaps_on_another_grid() {
        let masks = masks();
        let m = [[-1., 0., 0., 2.], [0., 1., 0., 0.], [0., 0., 1., -1.]];
        let grid = Grid { shape: [2, 2, 2], lps_from_index: LpsFromIndex { m } };
        let lattice = Lattice::between(&masks.grid, &grid.lps_from_index).unwrap();
        let (moved, outside) = masks.moved(grid, &lattice);
        // Columns 0 to 2 become 2 to 0, of which there are two.
        assert_eq!((outside, moved.region(0).cells().collect::<Vec<_>>()), (1, vec![[1, 0, 1]]));
        assert_eq!(moved.region(1).cells().collect::<Vec<_>>(), [[1, 0, 1]]);
        assert_eq!(moved.region(2).cells().collect::<Vec<_>>(), [[0, 1, 1]]);
        let resampled = masks.resampled(grid);
        assert_eq!((resampled.overlaps(), resampled), (moved.overlaps(), moved));
    }

    #[test]
    fn a_label_volume_there_and_back() {
        let labels = Array3::from_shape_vec((1, 2, 3), vec![0, 5, 5, 0, 2, 0]).unwrap();
        let names = BTreeMap::from([(5, "five".to_owned()), (9, "nine".to_owned())]);
        let volume = LabelVolume { labels, lps_from_index: LpsFromIndex::IDENTITY, names };
        let masks = LabelledMasks::of(&volume).unwrap();
        let numbers: Vec<u32> = masks.labels().iter().map(|l| l.number).collect();
        assert_eq!((numbers, masks.flat().unwrap()), (vec![2, 5, 9], volume));
        assert_eq!(masks.regions().map(|(_, r)| r.len()).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
