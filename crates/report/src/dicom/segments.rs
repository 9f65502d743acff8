//! Masks on the stored frames of a study, from labels on the grid of a series or from findings on views of its
//! frames.

use crate::dicom::source::{FrameRef, SourceError, SourceStudy};
use loupe_core::labels::{Label, LabelledMasks};
use loupe_core::lattice::Lattice;
use loupe_core::{Finding, Mask};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What one segment covers of the frames of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentMasks {
    /// Number, name and codes.
    pub label: Label,
    /// The model's own estimate, where it gives one.
    pub score: Option<f64>,
    /// In pixels of each frame; frames without a covered pixel are left out.
    pub frames: BTreeMap<FrameRef, Mask>,
}

/// Why masks do not lie on the frames.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SegmentsError {
    /// Voxels that no frame holds would be lost.
    #[error(
        "{lost} of {all} voxels of label {label} lie on none of the series' frames; give the series that the masks were \
         made for"
    )]
    Outside {
        /// Number of the label.
        label: u32,
        /// Its voxels.
        all: usize,
        /// Those that would be lost.
        lost: usize,
    },
    /// No frame of the series has a place in the patient.
    #[error("no frame of the series says where it lies in the patient")]
    NoPlace,
    /// A mask that is none on its picture.
    #[error("finding {0} is no mask on its picture")]
    Mask(usize),
    /// A view that is no frame.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// The labels on the frames of `series`, and what has to be said of it. Every voxel must lie on a frame.
///
/// # Errors
/// When a voxel would be lost, or the frames have no place.
pub fn segments_of_labels(
    study: &SourceStudy,
    series: &str,
    masks: &LabelledMasks,
) -> Result<(Vec<SegmentMasks>, Vec<String>), SegmentsError> {
    let mut segments: Vec<SegmentMasks> = masks
        .labels()
        .iter()
        .map(|label| SegmentMasks { label: label.clone(), score: None, frames: BTreeMap::new() })
        .collect();
    let mut painted = vec![0usize; segments.len()];
    let (mut places, mut repeated, mut placed) = (BTreeSet::new(), 0, false);
    for at in study.frames(series) {
        let Some(file) = study.file(at) else { continue };
        let Some(grid) = file.grid(at.frame) else { continue };
        placed = true;
        let Some(lattice) = Lattice::between(&grid, &masks.grid.lps_from_index) else { continue };
        // Of frames in one place, such as those of several phases, the first stands for all.
        if !places.insert(lattice.index([0; 3])) {
            repeated += 1;
            continue;
        }
        let [columns, rows] = file.size;
        let mut bits: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
        for (j, i) in (0..rows).flat_map(|j| (0..columns).map(move |i| (j, i))) {
            for label in masks.at(lattice.voxel([0, j, i])) {
                bits.entry(label).or_insert_with(|| vec![false; rows * columns])[j * columns + i] = true;
                painted[label] += 1;
            }
        }
        for (label, bits) in bits {
            if let Some(mask) = Mask::new(columns, rows, bits) {
                segments[label].frames.insert(at, mask);
            }
        }
    }
    if !placed {
        return Err(SegmentsError::NoPlace);
    }
    for (n, segment) in segments.iter().enumerate() {
        let all = masks.region(n).len();
        if painted[n] < all {
            let lost = all - painted[n];
            return Err(SegmentsError::Outside { label: segment.label.number, all, lost });
        }
    }
    let mut notes = masks.notes.clone();
    if repeated > 0 {
        notes.push(format!(
            "{repeated} frames lie where another does; the first of each place is referred to"
        ));
    }
    let empty = segments.iter().filter(|s| s.frames.is_empty()).count();
    if empty > 0 {
        notes.push(format!("{empty} labels cover no voxel; they are described and have no pixels"));
    }
    Ok((segments, notes))
}

/// A mask among findings, and the objects that its image is stored in.
#[derive(Debug, Clone, Copy)]
pub struct PlacedMask<'a> {
    /// Its number, for messages.
    pub number: usize,
    /// The finding.
    pub finding: &'a Finding,
    /// Numbers of the objects.
    pub files: &'a [usize],
}

/// The masks among findings on the frames that they were made on: masks of one name are one segment, numbered from 1 in order
/// of first appearance. What lies on no stored frame is said.
///
/// # Errors
/// When a mask is none on its picture.
pub fn segments_of_findings(
    study: &SourceStudy,
    masks: &[PlacedMask<'_>],
) -> Result<(Vec<SegmentMasks>, Vec<String>), SegmentsError> {
    let (mut segments, mut notes): (Vec<SegmentMasks>, Vec<String>) = (Vec::new(), Vec::new());
    for PlacedMask { number, finding, files } in masks {
        let rle = finding.as_mask().ok_or(SegmentsError::Mask(*number))?;
        let mask = rle.to_mask().and_then(|m| m.in_source(&finding.origin));
        let mask = mask.ok_or(SegmentsError::Mask(*number))?;
        let (at, map) = match study.frame_of(&finding.origin, files) {
            Ok(found) => found,
            Err(error) => {
                notes.push(format!("mask {} is left out: {error}", number + 1));
                continue;
            }
        };
        let Some(file) = study.file(at) else { continue };
        let [columns, rows] = file.size;
        let name = finding.label.clone().unwrap_or_else(|| "finding".to_owned());
        let place = segments.iter().position(|s| s.label.name.as_ref() == Some(&name));
        let place = place.unwrap_or_else(|| {
            let number = segments.len() as u32 + 1;
            let label = Label { number, name: Some(name), ..Label::default() };
            segments.push(SegmentMasks { label, score: finding.score, frames: BTreeMap::new() });
            segments.len() - 1
        });
        let Some(segment) = segments.get_mut(place) else { continue };
        let mut bits = match segment.frames.get(&at) {
            Some(before) => before.bits().to_vec(),
            None => vec![false; rows * columns],
        };
        for y in 0..mask.height() {
            for x in (0..mask.width()).filter(|x| mask.get(*x, y)) {
                if let Some([i, j]) = map.pixel(x, y).filter(|[i, j]| *i < columns && *j < rows) {
                    bits[j * columns + i] = true;
                }
            }
        }
        segment.frames.extend(Mask::new(columns, rows, bits).map(|mask| (at, mask)));
    }
    Ok((segments, notes))
}
