//! Objects followed through the slices of a volume, up and down from where they were prompted.

use super::network::Features;
use super::resample::shrunk;
use super::segmenter::Sam2;
use super::tracker::{Bank, Direction, FrameMask, Given, Tracker};
use crate::layers::on_pool;
use crate::networks::sam::segmenter::{Network, failed};
use crate::networks::sam::upsample::Plane;
use loupe_core::{LabelVolume, Mask, Picture, SegmentError, SegmentPrompt, Volume};
use ndarray::Array3;
use std::collections::BTreeMap;

/// Prompts about one object in one slice of a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct SlicePrompts {
    /// Slice k, from 0.
    pub slice: usize,
    /// In pixels of the slice: x along columns i, y along rows j.
    pub prompts: Vec<SegmentPrompt>,
}

/// One object in one slice it was followed to.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackedSlice {
    /// Slice k, from 0.
    pub slice: usize,
    /// The object's label, from 1 in the order the objects were given.
    pub label: u16,
    /// Predicted IoU.
    pub predicted_iou: f32,
    /// Logit of "the object is in this slice".
    pub object_score: f32,
    /// Were there prompts in this slice?
    pub prompted: bool,
}

/// Objects followed through a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracks {
    /// On the volume's own grid; label n is the n-th object, from 1.
    pub labels: LabelVolume,
    /// Where the objects were found, by slice and label.
    pub slices: Vec<TrackedSlice>,
}

/// One object on its way.
struct Object {
    /// The lowest prompted slice and the highest.
    first: usize,
    last: usize,
    /// Answers where it was prompted.
    prompted: BTreeMap<usize, FrameMask>,
    bank: Bank,
    active: bool,
    /// Every slice that it was found in.
    found: BTreeMap<usize, FrameMask>,
}

/// Pictures of equal size, one after another.
trait Frames {
    fn count(&self) -> usize;

    /// Columns and rows.
    fn size(&self) -> [usize; 2];

    fn picture(&self, number: usize) -> Result<Picture, SegmentError>;
}

impl Frames for [Picture] {
    fn count(&self) -> usize {
        self.len()
    }

    fn size(&self) -> [usize; 2] {
        self.first().map_or([0, 0], |p| [p.width(), p.height()])
    }

    fn picture(&self, number: usize) -> Result<Picture, SegmentError> {
        let found = self.get(number).filter(|p| [p.width(), p.height()] == self.size());
        let count = self.len();
        found.cloned().ok_or_else(|| {
            SegmentError::BadPrompt(format!(
                "frame {number} is not among the {count} frames (counted from 0), or has another size than the first"
            ))
        })
    }
}

/// One object in one frame, as the network gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowedFrame {
    /// Side of the low-resolution mask.
    pub side: usize,
    /// Mask logits, `side × side` values in row order.
    pub logits: Vec<f32>,
    /// Predicted IoU.
    pub predicted_iou: f32,
    /// Logit of "the object is in this frame".
    pub object_score: f32,
}

impl Sam2 {
    /// Follows each object from its prompts through the neighbouring slices of a volume, up and down,
    /// until it ends: at the first slice beyond its prompts in which no pixel is covered. Voxels from
    /// `grey[0]` to `grey[1]` become grey levels. Where objects overlap, the higher logit wins.
    ///
    /// # Errors
    /// When an object has no prompts, a prompt cannot be used, or the computation fails.
    pub fn track(
        &mut self,
        volume: &Volume,
        grey: [f32; 2],
        objects: &[Vec<SlicePrompts>],
    ) -> Result<Tracks, SegmentError> {
        let slices = Slices::new(volume, grey)?;
        if objects.is_empty() || objects.len() > usize::from(u16::MAX) {
            let count = objects.len();
            return Err(SegmentError::BadPrompt(format!("{count} objects; 1 to 65535 can be followed")));
        }
        let mut all = Vec::new();
        for prompts in objects {
            all.push(self.prompt(&slices, prompts)?);
        }
        self.walk(&slices, &mut all, Direction::Up, true)?;
        self.walk(&slices, &mut all, Direction::Down, true)?;
        Ok(self.assemble(volume, &slices, &all))
    }

    /// Follows one object through frames of equal size from its first prompts to the last frame
    /// (`upwards`) or back to frame 0, without ever ending it, as the reference does: every frame
    /// on the way with its low-resolution logits.
    ///
    /// # Errors
    /// When a prompt cannot be used, frames differ in size, or the computation fails.
    pub fn follow_frames(
        &mut self,
        frames: &[Picture],
        prompts: &[SlicePrompts],
        upwards: bool,
    ) -> Result<Vec<(usize, FollowedFrame)>, SegmentError> {
        let mut object = [self.prompt(frames, prompts)?];
        let direction = if upwards { Direction::Up } else { Direction::Down };
        self.walk(frames, &mut object, direction, false)?;
        let [object] = object;
        let plain = |mask: FrameMask| FollowedFrame {
            side: mask.logits.width,
            logits: mask.logits.values,
            predicted_iou: mask.predicted_iou,
            object_score: mask.object_score,
        };
        Ok(object.found.into_iter().map(|(n, mask)| (n, plain(mask))).collect())
    }

    /// One mask a frame, empty where the object is not, from prompts in frame `start`.
    pub(super) fn segment_frames(
        &mut self,
        frames: &[Picture],
        start: usize,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Mask>, SegmentError> {
        let mut object = [self.prompt(frames, &[SlicePrompts { slice: start, prompts: prompts.to_vec() }])?];
        self.walk(frames, &mut object, Direction::Up, true)?;
        self.walk(frames, &mut object, Direction::Down, true)?;
        let [columns, rows] = frames.size();
        let mut masks = vec![Mask::empty(columns, rows); frames.len()];
        let [object] = object;
        for (slice, mask) in &object.found {
            let logits = self.sam.finish(&mask.logits, columns, rows).values;
            let mask = Mask::new(columns, rows, logits.iter().map(|v| *v > 0.0).collect());
            if let (Some(place), Some(mask)) = (masks.get_mut(*slice), mask) {
                *place = mask;
            }
        }
        Ok(masks)
    }

    fn tracker(&self) -> Result<&Tracker, SegmentError> {
        let missing = "this checkpoint holds the network for single pictures only; the weights of a video model are \
                       needed to follow objects";
        self.tracker.as_ref().ok_or_else(|| SegmentError::Compute(missing.to_owned()))
    }

    /// The object in all slices where something is said about it.
    fn prompt(
        &mut self,
        slices: &(impl Frames + ?Sized),
        prompts: &[SlicePrompts],
    ) -> Result<Object, SegmentError> {
        let numbers = || prompts.iter().map(|h| h.slice);
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else {
            return Err(SegmentError::BadPrompt(
                "every object needs prompts in at least one slice".to_owned(),
            ));
        };
        let (mut prompted, mut bank) = (BTreeMap::new(), Bank::default());
        for SlicePrompts { slice, prompts } in prompts {
            let picture = slices.picture(*slice)?;
            let given = self.given(&picture, prompts)?;
            let encoded = self.sam.embed(&picture)?;
            let features = Features::of(&encoded).map_err(failed)?;
            let (tracker, network) = (self.tracker()?, &self.network);
            let done = on_pool(features.coarse.device(), || tracker.prompted(network, features, &given));
            let (mask, entry) = done.map_err(failed)?;
            bank.prompted.insert(*slice, entry);
            if prompted.insert(*slice, mask).is_some() {
                return Err(SegmentError::BadPrompt(format!("slice {slice} is named twice for one object")));
            }
        }
        Ok(Object { first, last, prompted, bank, active: true, found: BTreeMap::new() })
    }

    fn given(&self, picture: &Picture, prompts: &[SegmentPrompt]) -> Result<Given, SegmentError> {
        let (sparse, mask) = self.sam.given(picture, prompts)?;
        match mask {
            None => Ok(Given::Sparse(sparse)),
            Some(_) if prompts.len() > 1 => Err(SegmentError::BadPrompt(
                "a mask is taken as it is; give it without points and boxes".to_owned(),
            )),
            Some(mask) => Ok(Given::Mask(self.at_input(&mask))),
        }
    }

    /// A mask at the input's size (`process_new_mask_for_video_frame`).
    fn at_input(&self, mask: &Mask) -> Plane {
        let side = self.network.prompts().image_size();
        let values = mask.bits().iter().map(|b| f32::from(u8::from(*b))).collect();
        let whole = Plane { width: mask.width(), height: mask.height(), values };
        if (mask.width(), mask.height()) == (side, side) {
            return whole;
        }
        let mut small = shrunk(&whole, side, side);
        small.values.iter_mut().for_each(|v| *v = f32::from(u8::from(*v >= 0.5)));
        small
    }

    /// Follows all objects one way; with `ends`, each ends at the first slice without a covered
    /// pixel beyond its prompts. What was remembered on the way up is forgotten before the way down.
    fn walk(
        &mut self,
        slices: &(impl Frames + ?Sized),
        objects: &mut [Object],
        direction: Direction,
        ends: bool,
    ) -> Result<(), SegmentError> {
        let [columns, rows] = slices.size();
        for object in objects.iter_mut() {
            object.active = true;
            object.bank.tracked.clear();
        }
        let order: Vec<usize> = match direction {
            Direction::Up => (objects.iter().map(|o| o.first).min().unwrap_or(0)..slices.count()).collect(),
            Direction::Down => (0..=objects.iter().map(|o| o.first).max().unwrap_or(0)).rev().collect(),
        };
        for slice in order {
            let reached = |o: &Object| match direction {
                Direction::Up => o.active && slice >= o.first,
                Direction::Down => o.active && slice <= o.first,
            };
            if !objects.iter().any(|o| o.active) {
                break;
            }
            let mut encoded = None;
            for object in objects.iter_mut().filter(|o| reached(o)) {
                if let Some(mask) = object.prompted.get(&slice) {
                    object.found.insert(slice, mask.clone());
                    continue;
                }
                let encoded = match &encoded {
                    Some(encoded) => encoded,
                    None => encoded.insert(self.sam.embed(&slices.picture(slice)?)?),
                };
                let features = Features::of(encoded).map_err(failed)?;
                let (tracker, network, count) = (self.tracker()?, &self.network, slices.count());
                let done = on_pool(features.coarse.device(), || {
                    tracker.tracked(network, features, &object.bank, slice, count, direction)
                });
                let (mask, entry) = done.map_err(failed)?;
                let beyond = ends && (direction == Direction::Down || slice > object.last);
                if beyond && !self.sam.finish(&mask.logits, columns, rows).values.iter().any(|v| *v > 0.0) {
                    object.active = false;
                    continue;
                }
                let reach = tracker.reach();
                object.bank.tracked.retain(|n, _| n.abs_diff(slice) <= reach);
                object.bank.tracked.insert(slice, entry);
                object.found.insert(slice, mask);
            }
        }
        Ok(())
    }

    /// Labels of all objects; where several cover a voxel, the highest logit wins.
    fn assemble(&self, volume: &Volume, slices: &Slices, objects: &[Object]) -> Tracks {
        let mut labels = Array3::<u16>::zeros((slices.count, slices.rows, slices.columns));
        let mut tracked = Vec::new();
        for (slice, mut plane) in labels.outer_iter_mut().enumerate() {
            let mut highest = vec![0f32; slices.rows * slices.columns];
            for (label, object) in (1u16..).zip(objects) {
                let Some(mask) = object.found.get(&slice) else { continue };
                let logits = self.sam.finish(&mask.logits, slices.columns, slices.rows);
                for ((voxel, best), &logit) in plane.iter_mut().zip(&mut highest).zip(&logits.values) {
                    if logit > *best {
                        (*voxel, *best) = (label, logit);
                    }
                }
                tracked.push(TrackedSlice {
                    slice,
                    label,
                    predicted_iou: mask.predicted_iou,
                    object_score: mask.object_score,
                    prompted: object.prompted.contains_key(&slice),
                });
            }
        }
        let labels = LabelVolume { labels, lps_from_index: volume.lps_from_index, names: BTreeMap::new() };
        Tracks { labels, slices: tracked }
    }
}

/// The slices of a volume in grey levels.
struct Slices {
    count: usize,
    rows: usize,
    columns: usize,
    levels: Vec<u8>,
}

impl Slices {
    /// Clips to `low` and `high`, then spreads what is left from its minimum to its maximum over
    /// 0–255 and drops fractions, as MedSAM2's scripts do.
    fn new(volume: &Volume, [low, high]: [f32; 2]) -> Result<Self, SegmentError> {
        let [count, rows, columns] = volume.shape();
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(SegmentError::BadPrompt(format!("grey levels from {low} to {high} make no picture")));
        }
        if count == 0 || rows == 0 || columns == 0 {
            return Err(SegmentError::BadPrompt("the volume has no voxels".to_owned()));
        }
        let clipped = |v: f32| f64::from(if v.is_finite() { v.clamp(low, high) } else { low });
        let values = || volume.voxels.iter().map(|v| clipped(*v));
        let (least, most) =
            values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if least >= most {
            let problem = format!("every voxel is the same between {low} and {high}; choose another window");
            return Err(SegmentError::BadPrompt(problem));
        }
        let levels = values().map(|v| ((v - least) / (most - least) * 255.0) as u8).collect();
        Ok(Self { count, rows, columns, levels })
    }
}

impl Frames for Slices {
    fn count(&self) -> usize {
        self.count
    }

    fn size(&self) -> [usize; 2] {
        [self.columns, self.rows]
    }

    fn picture(&self, slice: usize) -> Result<Picture, SegmentError> {
        let size = self.rows * self.columns;
        let levels = self.levels.get(slice * size..(slice + 1) * size);
        let Some(levels) = levels.filter(|_| slice < self.count) else {
            let problem = format!("slice {slice} is not among the {} slices (counted from 0)", self.count);
            return Err(SegmentError::BadPrompt(problem));
        };
        Picture::new(self.columns, self.rows, 1, levels.to_vec())
            .map_err(|e| SegmentError::Compute(e.to_string()))
    }
}
