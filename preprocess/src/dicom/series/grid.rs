//! Slices to a regular grid: order along the normal, phases, spacing, and what to do with gaps.

use super::options::{Irregular, Options};
use super::scan::{Group, Slice};
use crate::dicom::files::Blob;
use crate::dicom::image::Image;
use crate::volume_facts::{SliceFacts, SliceInstance, SliceMaking, VolumeFacts};
use loupe_core::geometry::{Lps, LpsFromIndex, dot, norm};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;
use loupe_core::words::counted;
use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Two positions closer than this are the same, in mm.
const SAME_POSITION_MM: f64 = 0.005;
/// Steps may differ by this much whatever the tolerance says: positions are written with few digits.
const ROUNDING_MM: f64 = 0.011;
/// Above this angle between step and normal, slices are called tilted, in degrees.
const TILT_DEGREES: f64 = 0.1;

/// A regular grid and the slices that fill it.
pub struct SliceGrid {
    pub(super) lps_from_index: LpsFromIndex,
    pub(super) phases: Vec<Vec<Fill>>,
    pub(super) notes: Vec<String>,
}

/// How one slice of a grid is made.
#[derive(Debug, Clone)]
pub(super) enum Fill {
    /// A stored slice, as an index into the group.
    Slice(usize),
    /// The stored slice that lies nearest, at another place.
    Nearest(usize),
    /// Between two stored slices; the share of the second.
    Between(usize, usize, f64),
}

impl Fill {
    /// The stored slices that it takes.
    fn members(&self) -> Vec<usize> {
        match self {
            Self::Slice(n) | Self::Nearest(n) => vec![*n],
            Self::Between(a, b, _) => vec![*a, *b],
        }
    }
}

/// A volume with what is known of its slices.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Values and place.
    pub volume: Volume,
    /// How its slices are shown, where they came from, and which voxels are padding.
    pub facts: VolumeFacts,
}

/// Indices into the group at one position, in order of time.
struct Position {
    distance: f64,
    place: Lps,
    members: Vec<usize>,
}

fn refuse(problem: String) -> MediaError {
    MediaError::Geometry(problem)
}

/// Arranges slices that share size, spacing and orientation.
pub(super) fn arrange(slices: &[Slice], options: &Options) -> Result<Vec<SliceGrid>, MediaError> {
    let mut notes = Vec::new();
    let mut positions = positions(slices)?;
    let phases = phases(slices, &mut positions, options, &mut notes)?;
    let plane = slices.first().and_then(|s| s.plane).ok_or_else(|| refuse("no position".to_owned()))?;
    let (step_i, step_j) = plane.steps();
    let build = |stretch: &[Position], step_k: Lps, places: Vec<Vec<Fill>>, notes: Vec<String>| {
        let origin = stretch.first().map_or(plane.position, |p| p.place);
        SliceGrid {
            lps_from_index: LpsFromIndex::from_columns(step_i, step_j, step_k, origin),
            phases: places,
            notes,
        }
    };
    let direct = |stretch: &[Position]| -> Vec<Vec<Fill>> {
        (0..phases)
            .map(|phase| {
                stretch.iter().filter_map(|p| p.members.get(phase).copied().map(Fill::Slice)).collect()
            })
            .collect()
    };
    if positions.len() == 1 {
        let normal = plane.normal();
        let (depth, note) = match slices.first().and_then(|s| s.thickness_mm) {
            Some(t) => (t, format!("single slice: depth of {t} mm taken from Slice Thickness")),
            None => (1.0, "single slice: depth of 1 mm assumed".to_owned()),
        };
        notes.push(note);
        return Ok(vec![build(&positions, normal.map(|v| v * depth), direct(&positions), notes)]);
    }
    let steps: Vec<f64> = positions.windows(2).map(|w| w[1].distance - w[0].distance).collect();
    let median = median(&steps);
    let slack = (options.tolerance * median).max(ROUNDING_MM);
    let off = steps.iter().position(|s| (s - median).abs() > slack);
    let Some(off) = off else {
        let step_k = step_of(&positions);
        check_straight(&positions, step_k, &plane.spacing_mm)?;
        notes.extend(tilt_note(step_k, plane.normal()));
        return Ok(vec![build(&positions, step_k, direct(&positions), notes)]);
    };
    let step = steps.get(off).copied().unwrap_or(median);
    match options.irregular {
        Irregular::Refuse => Err(refuse(describe(off, step, median))),
        Irregular::Split => {
            let mut placed = Vec::new();
            for stretch in stretches(positions, &steps, slack) {
                let n = stretch.len();
                let step_k = match n {
                    1 => plane.normal().map(|v| v * median),
                    _ => step_of(&stretch),
                };
                check_straight(&stretch, step_k, &plane.spacing_mm)?;
                let mut notes = notes.clone();
                notes.push(format!("irregular steps split: this part has {}", counted(n, "slice")));
                notes.extend(tilt_note(step_k, plane.normal()));
                placed.push(build(&stretch, step_k, direct(&stretch), notes));
            }
            Ok(placed)
        }
        Irregular::Nearest | Irregular::Resample => {
            let whole = positions.last().map_or(0.0, |p| p.distance) - positions[0].distance;
            let smallest = steps.iter().copied().fold(f64::INFINITY, f64::min);
            let goal = if options.irregular == Irregular::Nearest { median } else { smallest };
            let count = (whole / goal).round().max(1.0) as usize + 1;
            // Within the group, a grid denser than its slices a hundredfold is a mistake in the file.
            if count > positions.len() * 100 {
                return Err(refuse(describe(off, step, median)));
            }
            let exact = whole / (count - 1) as f64;
            let step_k = step_of(&positions).map(|v| v * (positions.len() - 1) as f64 / (count - 1) as f64);
            let places = (0..phases).map(|phase| {
                (0..count)
                    .map(|k| fill_at(&positions, phase, positions[0].distance + exact * k as f64, options))
                    .collect()
            });
            let places: Vec<Vec<Fill>> = places.collect();
            let how = if options.irregular == Irregular::Nearest {
                "nearest slice"
            } else {
                "linear interpolation"
            };
            notes.push(format!("irregular steps put on a grid of {exact:.4} mm by {how}"));
            notes.extend(tilt_note(step_k, plane.normal()));
            Ok(vec![build(&positions, step_k, places, notes)])
        }
    }
}

fn describe(at: usize, step: f64, median: f64) -> String {
    let missing = (step / median).round() - 1.0;
    let guess = if missing >= 1.0 && (step / median - missing - 1.0).abs() < 0.05 {
        format!(" ({missing} missing?)")
    } else {
        String::new()
    };
    format!(
        "slices {at} and {} are {step:.4} mm apart where the median step is {median:.4} mm{guess}; choose \
         --irregular nearest, resample or split to go on",
        at + 1
    )
}

/// Groups slices by their distance along the normal and sorts.
fn positions(slices: &[Slice]) -> Result<Vec<Position>, MediaError> {
    let normal = slices.first().and_then(|s| s.plane).map(|p| p.normal());
    let normal = normal.ok_or_else(|| refuse("no position".to_owned()))?;
    let mut all: Vec<(f64, Lps, usize)> = Vec::new();
    for (n, slice) in slices.iter().enumerate() {
        let plane = slice.plane.ok_or_else(|| refuse(format!("frame {n} has no position")))?;
        all.push((dot(normal, plane.position), plane.position, n));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut positions: Vec<Position> = Vec::new();
    for (distance, place, n) in all {
        match positions.last_mut() {
            Some(last) if distance - last.distance <= SAME_POSITION_MM => last.members.push(n),
            _ => positions.push(Position { distance, place, members: vec![n] }),
        }
    }
    Ok(positions)
}

/// How many slices each position has; orders them. Copies of a file count once.
fn phases(
    slices: &[Slice],
    positions: &mut [Position],
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<usize, MediaError> {
    let key = |n: &usize| slices.get(*n).map(|s| s.order.clone()).unwrap_or_default();
    let mut copies = 0;
    for position in positions.iter_mut() {
        position.members.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.iter()
                .zip(&b)
                .map(|(x, y)| x.total_cmp(y))
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let before = position.members.len();
        let id = |n: &usize| slices.get(*n).map(|s| (s.instance_uid.clone(), s.frame, s.tile));
        position.members.dedup_by(|a, b| id(a) == id(b) && id(a).is_some_and(|i| i.0.is_some()));
        copies += before - position.members.len();
    }
    if copies > 0 {
        notes.push(match copies {
            1 => "1 copy of an image was left out".to_owned(),
            _ => format!("{copies} copies of the same image were left out"),
        });
    }
    let count = positions.first().map_or(0, |p| p.members.len());
    let uneven = positions.iter().position(|p| p.members.len() != count);
    let keys_differ = positions.iter().all(|p| p.members.windows(2).all(|w| key(&w[0]) != key(&w[1])));
    match uneven {
        None if count == 1 || keys_differ => Ok(count),
        _ if options.drop_duplicates => {
            positions.iter_mut().for_each(|p| p.members.truncate(1));
            notes.push("of several slices at one position the first was used".to_owned());
            Ok(1)
        }
        _ => {
            let at = uneven.unwrap_or(0);
            let have = positions.get(at).map_or(0, |p| p.members.len());
            Err(refuse(format!(
                "position {at} has {} where the first has {count}: duplicates, or an incomplete time \
                 series; --drop-duplicates takes the first of each",
                counted(have, "slice")
            )))
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n % 2 == 1 { sorted[n / 2] } else { (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0 }
}

/// The mean step from the first to the last position.
fn step_of(positions: &[Position]) -> Lps {
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return [0.0; 3] };
    let n = positions.len().saturating_sub(1).max(1) as f64;
    [0, 1, 2].map(|a| (last.place[a] - first.place[a]) / n)
}

/// All positions must lie on one line: slices shifted sideways make no grid.
fn check_straight(positions: &[Position], step: Lps, spacing_mm: &[f64; 2]) -> Result<(), MediaError> {
    let Some(first) = positions.first() else { return Ok(()) };
    let slack = (spacing_mm[0].min(spacing_mm[1]) * 0.1).max(0.05);
    let along = norm(step);
    for (k, position) in positions.iter().enumerate() {
        let expected = [0, 1, 2].map(|a| first.place[a] + step[a] * k as f64);
        let off = norm([0, 1, 2].map(|a| position.place[a] - expected[a]));
        if off > slack.max(along * 0.02) {
            return Err(refuse(format!("slice {k} lies {off:.3} mm beside the line through the others")));
        }
    }
    Ok(())
}

fn tilt_note(step: Lps, normal: Lps) -> Option<String> {
    let cosine = dot(step, normal) / norm(step);
    let degrees = cosine.clamp(-1.0, 1.0).acos().to_degrees();
    (degrees > TILT_DEGREES)
        .then(|| format!("tilted by {degrees:.2}°: the shear is kept unless deskewing is asked for"))
}

/// Cuts where the step changes, so that each part is even.
fn stretches(positions: Vec<Position>, steps: &[f64], slack: f64) -> Vec<Vec<Position>> {
    let mut parts: Vec<Vec<Position>> = vec![Vec::new()];
    let mut current: Option<f64> = None;
    for (n, position) in positions.into_iter().enumerate() {
        if let Some(step) = n.checked_sub(1).and_then(|n| steps.get(n)) {
            if current.is_some_and(|c| (c - step).abs() > slack) {
                parts.push(Vec::new());
                current = None;
            } else {
                current = Some(*step);
            }
        }
        if let Some(part) = parts.last_mut() {
            part.push(position);
        }
    }
    parts
}

fn fill_at(positions: &[Position], phase: usize, distance: f64, options: &Options) -> Fill {
    let after = positions.partition_point(|p| p.distance < distance).min(positions.len() - 1);
    let before = after.saturating_sub(1);
    let member = |n: usize| positions.get(n).and_then(|p| p.members.get(phase)).copied().unwrap_or(0);
    let (a, b) = (positions[before].distance, positions[after].distance);
    let share = if b > a { ((distance - a) / (b - a)).clamp(0.0, 1.0) } else { 0.0 };
    match options.irregular {
        Irregular::Resample if share > 1e-6 && share < 1.0 - 1e-6 => {
            Fill::Between(member(before), member(after), share)
        }
        Irregular::Nearest if share > 1e-6 && share < 1.0 - 1e-6 => {
            Fill::Nearest(member(if share < 0.5 { before } else { after }))
        }
        _ if share < 0.5 => Fill::Slice(member(before)),
        _ => Fill::Slice(member(after)),
    }
}

/// A decoded slice, and which of its pixels are padding.
type Decoded = (Array2<f32>, Option<Array2<bool>>);

/// Decodes the slices of one phase.
pub(super) fn fill(
    group: &Group,
    phase: &[Fill],
    placed: &SliceGrid,
    options: &Options,
) -> Result<Phase, MediaError> {
    let [rows, columns] = group.size;
    let voxels = options.limits.pixels(&[phase.len() as u64, rows as u64, columns as u64])?;
    // The slices and the volume that they are put into; what came out of an archive; a frame being decoded on
    // each thread.
    let held = |blob: &Blob| if let Blob::Memory(bytes) = blob { bytes.len() } else { 0 };
    let archive: usize = group.blobs.iter().map(held).sum();
    let frame = rows * columns * 24;
    options.limits.together(&[
        (voxels, 2 * (size_of::<f32>() + size_of::<bool>())),
        (archive, 1),
        (rayon::current_num_threads(), frame),
    ])?;
    // Each file is parsed once, then its frames are decoded in parallel.
    let mut needed: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for n in phase.iter().flat_map(Fill::members) {
        if let Some(slice) = group.slices.get(n) {
            needed.entry(slice.blob).or_default().insert(n);
        }
    }
    let decode = |(blob, members): (&usize, &BTreeSet<usize>)| -> Result<Vec<(usize, Decoded)>, MediaError> {
        let blob = group.blobs.get(*blob).ok_or(MediaError::NotFound)?;
        let image = Image::parse(blob.read(&options.limits)?, &options.limits)?;
        let one = |n: &usize| {
            let slice = group.slices.get(*n).ok_or(MediaError::NotFound)?;
            let (mut values, mut padding) = image.values_and_padding(slice.frame)?;
            if let Some(tile) = slice.tile {
                values = super::mosaic::cut(&values, image.format(), tile, group.size);
                padding = padding.map(|p| super::mosaic::cut(&p, image.format(), tile, group.size));
            }
            let size = |_| refuse(format!("slice {n} has another size"));
            let plane = Array2::from_shape_vec((rows, columns), values).map_err(size)?;
            let padding = padding.map(|p| Array2::from_shape_vec((rows, columns), p)).transpose();
            Ok((*n, (plane, padding.map_err(size)?)))
        };
        members.par_iter().map(one).collect()
    };
    let decoded: Result<Vec<_>, MediaError> = needed.par_iter().map(decode).collect();
    let decoded: BTreeMap<usize, Decoded> = decoded?.into_iter().flatten().collect();
    let shape = (phase.len(), rows, columns);
    let whole = |_| refuse("the slices do not fill the volume".to_owned());
    let mut volume = Array3::from_shape_vec(shape, filled(voxels, 0f32)?).map_err(whole)?;
    let padded = decoded.values().any(|(_, padding)| padding.is_some());
    let mut padding = match padded {
        true => Some(Array3::from_shape_vec(shape, filled(voxels, false)?).map_err(whole)?),
        false => None,
    };
    for (k, (mut out, fill)) in volume.axis_iter_mut(Axis(0)).zip(phase).enumerate() {
        let slice = |n: &usize| decoded.get(n).ok_or_else(|| refuse(format!("slice {n} was not decoded")));
        match fill {
            Fill::Slice(n) | Fill::Nearest(n) => out.assign(&slice(n)?.0),
            Fill::Between(a, b, share) => {
                let share = *share as f32;
                out.assign(&(&slice(a)?.0 * (1.0 - share) + &slice(b)?.0 * share));
            }
        }
        // Between padding and an image there is nothing.
        for n in fill.members() {
            if let (Some(whole), Some(own)) = (&mut padding, &slice(&n)?.1) {
                whole.index_axis_mut(Axis(0), k).zip_mut_with(own, |to, from| *to |= from);
            }
        }
    }
    let slices = phase.iter().map(|fill| facts(group, fill)).collect();
    let frame_of_reference = group.about.frame_of_reference.clone();
    let facts = VolumeFacts { slices, padding, upright: true, frame_of_reference };
    let volume = Volume { voxels: volume, lps_from_index: placed.lps_from_index, modality: group.modality };
    Ok(Phase { volume, facts })
}

/// What is known of a slice of the grid.
fn facts(group: &Group, fill: &Fill) -> SliceFacts {
    let (nearest, making) = match fill {
        Fill::Slice(n) => (*n, SliceMaking::Stored),
        Fill::Nearest(n) => (*n, SliceMaking::Nearest),
        Fill::Between(a, b, share) => (if *share < 0.5 { *a } else { *b }, SliceMaking::Between),
    };
    let instance = |n: usize| {
        let slice = group.slices.get(n)?;
        let same_file = |other: &Slice| other.blob == slice.blob && other.frame != slice.frame;
        Some(SliceInstance {
            sop_instance_uid: slice.instance_uid.clone(),
            instance_number: slice.instance_number,
            frame: (slice.frame > 0 || group.slices.iter().any(same_file)).then_some(slice.frame),
        })
    };
    SliceFacts {
        presentation: group.slices.get(nearest).map(|s| Arc::clone(&s.presentation)).unwrap_or_default(),
        making,
        instances: fill.members().into_iter().filter_map(instance).collect(),
    }
}
