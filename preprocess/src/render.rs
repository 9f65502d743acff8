//! From a volume to the picture of one slice: which voxels, which window, and the way back.

use crate::presentation::GreyScale;
use crate::resize::{Backend, Filter, resize};
use crate::windows;
use loupe_core::geometry::{LpsFromIndex, LpsFromPlane, Map2, cross, dot, norm};
use loupe_core::loader::Intensities;
use loupe_core::media::{MediaError, Plane, SliceAt, View, WindowChoice};
use loupe_core::picture::{Origin, Picture};
use loupe_core::volume::{Modality, Volume};
use loupe_core::window::{Window, WindowFunction};
use ndarray::Array3;
use std::collections::BTreeMap;

/// Percentiles that bound the grey levels where nothing else says how to show intensities.
pub const DEFAULT_PERCENTILES: (f64, f64) = (0.5, 99.5);

/// A window and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenWindow {
    /// In the units of the values.
    pub window: Window,
    /// For the record.
    pub step: String,
}

/// The window that `choice` means for `values` (all values of the volume, or the frame when there
/// is only one). Without a choice, CT is shown in the soft-tissue window and everything else from
/// percentile 0.5 to 99.5.
///
/// # Errors
/// When the preset is unknown or made for another modality, the numbers make no window, or the
/// file has no stored window.
pub fn window_for(
    choice: Option<&WindowChoice>,
    values: &[f32],
    modality: Option<Modality>,
) -> Result<ChosenWindow, MediaError> {
    let chosen = |window, step: String| ChosenWindow { window, step };
    let (low, high) = DEFAULT_PERCENTILES;
    match choice {
        Some(WindowChoice::Preset(name)) => {
            if let Some(m @ (Modality::Mr | Modality::Pt | Modality::Us | Modality::Xray)) = modality {
                return Err(MediaError::View(format!(
                    "the window {name:?} is in Hounsfield units, but the image is {m:?}; use numbers or percentiles"
                )));
            }
            Ok(chosen(windows::preset(name)?, format!("window {name}")))
        }
        Some(WindowChoice::Numbers(window)) if window.has_width() => {
            // Whole numbers are looked for only where they matter.
            let whole = window.width >= 1.0 && values.iter().all(|v| v.fract() == 0.0);
            Ok(by_numbers(window.for_values(whole)))
        }
        Some(WindowChoice::Exactly(window)) if window.is_valid() => Ok(by_numbers(*window)),
        Some(WindowChoice::Numbers(window) | WindowChoice::Exactly(window)) => {
            Err(MediaError::View(format!(
                "a window of centre {} and width {} is not possible: the width must be above 0",
                window.centre, window.width
            )))
        }
        Some(WindowChoice::Stored(n) | WindowChoice::Median(n)) => {
            Err(MediaError::View(format!("the file has no stored window {n}")))
        }
        Some(WindowChoice::FullRange) => {
            let (low, high) = range_of(values)?;
            Ok(chosen(span(low, high), format!("full range {low}..{high}")))
        }
        Some(WindowChoice::Percentiles(low, high)) => by_percentiles(values, *low, *high),
        None if modality == Some(Modality::Ct) => {
            Ok(chosen(windows::preset("soft-tissue")?, "window soft-tissue (default for CT)".into()))
        }
        None => by_percentiles(values, low, high),
    }
}

fn by_numbers(window: Window) -> ChosenWindow {
    let exact = if window.function == WindowFunction::LinearExact { " (LINEAR_EXACT)" } else { "" };
    ChosenWindow { window, step: format!("window {}/{}{exact}", window.centre, window.width) }
}

fn by_percentiles(values: &[f32], low: f64, high: f64) -> Result<ChosenWindow, MediaError> {
    if !(0.0..=100.0).contains(&low) || !(0.0..=100.0).contains(&high) || low >= high {
        return Err(MediaError::View(format!(
            "percentiles {low} and {high} are not two rising numbers from 0 to 100"
        )));
    }
    let [a, b] = percentiles(values, [low, high]).ok_or_else(no_values)?;
    Ok(ChosenWindow { window: span(a, b), step: format!("percentiles {low}..{high} = {a}..{b}") })
}

/// A window of the given edges; a flat image becomes black.
fn span(low: f64, high: f64) -> Window {
    Window::between(low, if high > low { high } else { low + 1.0 })
}

fn no_values() -> MediaError {
    MediaError::View("the image has no finite values to make a window from".into())
}

/// Smallest and largest finite value.
fn range_of(values: &[f32]) -> Result<(f64, f64), MediaError> {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high { Err(no_values()) } else { Ok((low.into(), high.into())) }
}

/// Percentiles of the finite values as numpy's `percentile(method="linear")`; `None` without any. Values are
/// counted by their upper and lower halves of bits instead of sorted, so that a volume is not copied.
pub fn percentiles<const N: usize>(values: &[f32], wanted: [f64; N]) -> Option<[f64; N]> {
    let mut upper = vec![0usize; 1 << 16];
    for value in values.iter().filter(|v| v.is_finite()) {
        upper[(rank_key(*value) >> 16) as usize] += 1;
    }
    let count: usize = upper.iter().sum();
    let last = count.checked_sub(1)?;
    let at = wanted.map(|p| (p / 100.0 * last as f64).clamp(0.0, last as f64));
    let ranks: Vec<usize> = at.iter().flat_map(|at| [*at as usize, (*at as usize + 1).min(last)]).collect();
    let found = at_ranks(values, &upper, &ranks);
    let mut pairs = at.iter().zip(found.chunks_exact(2)).map(|(at, pair)| {
        let (below, next, share) = (f64::from(pair[0]), f64::from(pair[1]), at.fract());
        // numpy's `_lerp` counts from the nearer end.
        if share < 0.5 { below + (next - below) * share } else { next - (next - below) * (1.0 - share) }
    });
    Some(wanted.map(|_| pairs.next().unwrap_or_default()))
}

/// Orders as the values do (`f32::total_cmp`).
fn rank_key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn of_rank_key(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

/// The finite values at these places of their order; `upper` counts them by the upper half of their key.
fn at_ranks(values: &[f32], upper: &[usize], ranks: &[usize]) -> Vec<f32> {
    // The half that each rank falls into, and its place within it.
    let place = |rank: usize| {
        let mut before = 0;
        for (half, count) in (0u32..).zip(upper) {
            if rank < before + count {
                return (half, rank - before);
            }
            before += count;
        }
        (u32::from(u16::MAX), 0)
    };
    let places: Vec<(u32, usize)> = ranks.iter().map(|rank| place(*rank)).collect();
    let mut lower: BTreeMap<u32, Vec<usize>> =
        places.iter().map(|(half, _)| (*half, vec![0usize; 1 << 16])).collect();
    for key in values.iter().filter(|v| v.is_finite()).map(|v| rank_key(*v)) {
        if let Some(counts) = lower.get_mut(&(key >> 16)) {
            counts[(key & 0xFFFF) as usize] += 1;
        }
    }
    let value = |(half, rank): &(u32, usize)| {
        let mut before = 0;
        for (low, count) in (0u32..).zip(lower.get(half).into_iter().flatten()) {
            before += count;
            if *rank < before {
                return of_rank_key(half << 16 | low);
            }
        }
        0.0
    };
    places.iter().map(value).collect()
}

/// An axis of the voxel grid and whether it is walked backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// 0 (i, columns), 1 (j, rows) or 2 (k, slices).
    pub axis: usize,
    /// From the last index to the first.
    pub reversed: bool,
}

/// For patient axes x (left), y (back), z (head): the voxel axis nearest to each and whether it
/// runs against it. `None` when the map is singular.
pub fn nearest_axes(map: &LpsFromIndex) -> Option<[Walk; 3]> {
    let columns = [0, 1, 2].map(|a| map.column(a));
    let lengths = columns.map(norm);
    if lengths.iter().any(|l| !l.is_finite() || *l == 0.0) || map.index_of([0.0; 3]).is_none() {
        return None;
    }
    let cosine = |patient: usize, axis: usize| columns[axis][patient] / lengths[axis];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let fit = |order: &[usize; 3]| (0..3).map(|p| cosine(p, order[p]).abs()).sum::<f64>();
    let mut best = orders[0];
    for order in orders {
        if fit(&order) > fit(&best) + 1e-9 {
            best = order;
        }
    }
    Some([0, 1, 2].map(|p| Walk { axis: best[p], reversed: cosine(p, best[p]) < 0.0 }))
}

/// Letters of the directions in which i, j and k rise, nibabel's `aff2axcodes`: `RAS`, `LPS`, …
pub fn orientation_letters(map: &LpsFromIndex) -> Option<String> {
    let walks = nearest_axes(map)?;
    let mut letters = ['?'; 3];
    for (walk, [rising, falling]) in walks.iter().zip([['L', 'R'], ['P', 'A'], ['S', 'I']]) {
        letters[walk.axis] = if walk.reversed { falling } else { rising };
    }
    Some(letters.iter().collect())
}

/// How a slice lies in the voxel grid: the axes to the right, downwards and through the slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slicing {
    /// Columns of the picture.
    pub right: Walk,
    /// Rows of the picture.
    pub down: Walk,
    /// Slice numbers.
    pub through: Walk,
}

impl Slicing {
    /// Radiological display: the patient's right on the left, front at the top (axial), head at the
    /// top (coronal, sagittal), front on the left (sagittal). Slices count from feet to head, front
    /// to back, and right to left. Oblique volumes are shown along their nearest axes.
    ///
    /// # Errors
    /// When the geometry is singular, so that there are no anatomical planes.
    pub fn of(plane: Plane, map: &LpsFromIndex) -> Result<Self, MediaError> {
        let forward = |axis| Walk { axis, reversed: false };
        let array = match plane {
            Plane::Upright => return Ok(Self::upright(map)),
            Plane::Stored => Some([0, 1, 2]),
            Plane::AcrossI => Some([2, 1, 0]),
            Plane::AcrossJ => Some([2, 0, 1]),
            Plane::AcrossK => Some([1, 0, 2]),
            Plane::Axial | Plane::Coronal | Plane::Sagittal => None,
        };
        if let Some([right, down, through]) = array {
            return Ok(Self { right: forward(right), down: forward(down), through: forward(through) });
        }
        let [x, y, z] = nearest_axes(map).ok_or_else(|| {
            MediaError::Geometry("the voxel axes do not span space, so it has no planes".into())
        })?;
        let back = |w: Walk| Walk { reversed: !w.reversed, ..w };
        Ok(match plane {
            Plane::Coronal => Self { right: x, down: back(z), through: y },
            Plane::Sagittal => Self { right: y, down: back(z), through: x },
            _ => Self { right: x, down: y, through: z },
        })
    }

    /// The stored slices in their order, each turned as the anatomical plane nearest to it is shown. Where the
    /// axes do not span space nothing says how, and they stay as stored.
    fn upright(map: &LpsFromIndex) -> Self {
        let forward = |axis| Walk { axis, reversed: false };
        let as_stored = Self { right: forward(0), down: forward(1), through: forward(2) };
        let Some(walks) = nearest_axes(map) else { return as_stored };
        let nearest = [Plane::Sagittal, Plane::Coronal, Plane::Axial];
        let through = walks.iter().position(|walk| walk.axis == 2).and_then(|p| nearest.get(p));
        let turned = through.and_then(|plane| Self::of(*plane, map).ok());
        turned.map_or(as_stored, |turned| Self { through: forward(2), ..turned })
    }

    /// The anatomical plane that slices along this voxel axis are nearest to, and by how many degrees they lie
    /// off it.
    pub fn nearest_plane(&self, map: &LpsFromIndex) -> Option<(Plane, f64)> {
        let walks = nearest_axes(map)?;
        let patient = walks.iter().position(|walk| walk.axis == self.through.axis)?;
        let (a, b) = (map.column(self.right.axis), map.column(self.down.axis));
        let normal = cross(a, b);
        let degrees = (normal[patient].abs() / norm(normal)).clamp(0.0, 1.0).acos().to_degrees();
        Some(([Plane::Sagittal, Plane::Coronal, Plane::Axial][patient], degrees))
    }
}

/// From how many degrees on a picture that is called upright is said to be oblique.
const OBLIQUE_DEGREES: f64 = 10.0;

/// The number along k of the stored slice that `view` shows; `None` when its picture holds voxels of many.
///
/// # Errors
/// When the slice does not exist.
pub fn stored_slice(volume: &Volume, view: &View) -> Result<Option<usize>, MediaError> {
    let map = &volume.lps_from_index;
    let slicing = Slicing::of(view.plane, map)?;
    let [slices, rows, columns] = volume.shape();
    let number = slice_number(view.slice, view.plane, &slicing, [columns, rows, slices], map)?;
    let Walk { axis, reversed } = slicing.through;
    Ok((axis == 2).then(|| if reversed { slices - 1 - number } else { number }))
}

/// The voxels of one slice in the order of its picture.
struct Slice<T> {
    number: usize,
    width: usize,
    height: usize,
    values: Vec<T>,
    lps_from_source: LpsFromPlane,
}

fn cut<T: Copy>(voxels: &Array3<T>, map: &LpsFromIndex, view: &View) -> Result<Slice<T>, MediaError> {
    let slicing = Slicing::of(view.plane, map)?;
    let (slices, rows, columns) = voxels.dim();
    let sizes = [columns, rows, slices];
    let number = slice_number(view.slice, view.plane, &slicing, sizes, map)?;
    let (width, height) = (sizes[slicing.right.axis], sizes[slicing.down.axis]);
    let mut values = Vec::with_capacity(width * height);
    let at = |walk: Walk, n: usize| if walk.reversed { sizes[walk.axis] - 1 - n } else { n };
    let mut index = [0usize; 3];
    index[slicing.through.axis] = at(slicing.through, number);
    for y in 0..height {
        index[slicing.down.axis] = at(slicing.down, y);
        for x in 0..width {
            index[slicing.right.axis] = at(slicing.right, x);
            let [i, j, k] = index;
            values.push(voxels[[k, j, i]]);
        }
    }
    let lps_from_source = plane_map(map, &slicing, sizes, number);
    Ok(Slice { number, width, height, values, lps_from_source })
}

/// The slice that `view` asks for as an 8-bit picture; see [`Slicing`]. Reformats along patient axes are
/// stretched to square pixels where their voxels are not square; slices of the array never are.
///
/// `padding` takes no part in what is said of the window.
///
/// # Errors
/// When the slice does not exist.
pub fn render(
    volume: &Volume,
    padding: Option<&Array3<bool>>,
    view: &View,
    grey: &GreyScale,
) -> Result<Picture, MediaError> {
    let map = &volume.lps_from_index;
    let Slice { number, width, height, values, lps_from_source } = cut(&volume.voxels, map, view)?;
    let pixels: Vec<u8> = values.iter().map(|v| grey.level(f64::from(*v))).collect();
    let picture = Picture::new(width, height, 1, pixels)
        .map_err(|e| MediaError::Geometry(format!("a slice of {width}×{height} voxels: {e}")))?;
    let mut steps = grey.record();
    steps.extend(
        grey.missed(range_without(&values, padding.map(|p| cut(p, map, view)).transpose()?.as_ref())),
    );
    if view.plane == Plane::Upright {
        let found = Slicing::of(view.plane, map)?.nearest_plane(map);
        steps.push(match found {
            Some((plane, degrees)) if degrees < OBLIQUE_DEGREES => format!("upright: {}", plane.name()),
            Some((plane, degrees)) => format!("upright: {degrees:.0}° off {}", plane.name()),
            None => "as stored: nothing says where its axes lead".to_owned(),
        });
    }
    let origin = Origin {
        slice: Some(number),
        plane: Some(view.plane),
        window: grey.window(),
        steps,
        spacing_mm: Some(lps_from_source.spacing_mm()),
        lps_from_source: Some(lps_from_source),
        ..Origin::of_size(width, height)
    };
    let picture = picture.with_origin(origin);
    if is_anatomical(view.plane) { squared(picture) } else { Ok(picture) }
}

/// Smallest and largest finite value that is not padding.
fn range_without(values: &[f32], padding: Option<&Slice<bool>>) -> Option<[f64; 2]> {
    let padded = |n: usize| padding.is_some_and(|p| p.values.get(n) == Some(&true));
    let image =
        values.iter().enumerate().filter(|(n, v)| v.is_finite() && !padded(*n)).map(|(_, v)| f64::from(*v));
    image.fold(None, |range, v| Some(range.map_or([v, v], |[low, high]: [f64; 2]| [low.min(v), high.max(v)])))
}

/// The values of the slice that `view` asks for, before any window, padding as NaN; nothing for a reformat,
/// whose pixels may be stretched.
///
/// # Errors
/// When the slice does not exist.
pub fn intensities(
    volume: &Volume,
    padding: Option<&Array3<bool>>,
    view: &View,
) -> Result<Option<Intensities>, MediaError> {
    if is_anatomical(view.plane) {
        return Ok(None);
    }
    let map = &volume.lps_from_index;
    let Slice { width, height, mut values, .. } = cut(&volume.voxels, map, view)?;
    if let Some(padding) = padding {
        let padded = cut(padding, map, view)?.values;
        values.iter_mut().zip(padded).filter(|(_, padded)| *padded).for_each(|(value, _)| *value = f32::NAN);
    }
    let hounsfield = volume.modality == Modality::Ct;
    Ok(Some(Intensities { width, height, values, inverted: false, hounsfield }))
}

fn is_anatomical(plane: Plane) -> bool {
    matches!(plane, Plane::Axial | Plane::Coronal | Plane::Sagittal)
}

/// Largest factor by which a reformat is stretched; beyond it the spacing is taken for an error.
const MOST_STRETCH: f64 = 64.0;

/// The picture with square pixels of the finer spacing. It is its own source from then on: boxes, masks and
/// millimetres are those of the picture that is seen, whatever grid it was made from.
fn squared(picture: Picture) -> Result<Picture, MediaError> {
    let Some([x_mm, y_mm]) = picture.origin.spacing_mm else { return Ok(picture) };
    let fine = x_mm.min(y_mm);
    let stretch = [x_mm / fine, y_mm / fine];
    if !stretch.iter().all(|s| s.is_finite() && *s <= MOST_STRETCH) {
        return Ok(picture);
    }
    let side = |n: usize, s: f64| ((n as f64 * s).round() as usize).max(1);
    let (w, h) = (picture.width(), picture.height());
    let (width, height) = (side(w, stretch[0]), side(h, stretch[1]));
    if (width, height) == (w, h) {
        return Ok(picture);
    }
    let mut square = resize(&picture, width, height, Filter::Bilinear, Backend::Pillow)
        .map_err(|e| MediaError::View(e.to_string()))?;
    let (across, down) = (w as f64 / width as f64, h as f64 / height as f64);
    let lps_from_source = picture.origin.lps_from_source.map(|lps| lps.scaled(across, down));
    square.origin = Origin {
        lps_from_source,
        spacing_mm: lps_from_source.map(|lps| lps.spacing_mm()),
        source_size: [width, height],
        source_from_self: Map2::identity(),
        ..square.origin
    };
    Ok(square)
}

/// Picture edges of slice `number` to patient mm.
fn plane_map(map: &LpsFromIndex, slicing: &Slicing, sizes: [usize; 3], number: usize) -> LpsFromPlane {
    let step = |walk: Walk| map.column(walk.axis).map(|v| if walk.reversed { -v } else { v });
    let (right, down) = (step(slicing.right), step(slicing.down));
    let mut first = [0.0; 3];
    for (walk, n) in [(slicing.right, 0), (slicing.down, 0), (slicing.through, number)] {
        first[walk.axis] = if walk.reversed { (sizes[walk.axis] - 1 - n) as f64 } else { n as f64 };
    }
    let centre = map.apply(first);
    LpsFromPlane { m: [0, 1, 2].map(|r| [right[r], down[r], centre[r] - (right[r] + down[r]) / 2.0]) }
}

fn slice_number(
    wanted: Option<SliceAt>,
    plane: Plane,
    slicing: &Slicing,
    sizes: [usize; 3],
    map: &LpsFromIndex,
) -> Result<usize, MediaError> {
    let count = sizes[slicing.through.axis];
    if count == 0 {
        return Err(MediaError::Geometry("the volume holds no slices".to_owned()));
    }
    match wanted {
        None => Ok(count / 2),
        Some(SliceAt::Index(n)) if n < count => Ok(n),
        Some(SliceAt::Index(n)) => {
            Err(MediaError::View(format!("slice {n} was asked for, but there are {count} (counted from 0)")))
        }
        Some(SliceAt::Share(s)) if (0.0..=1.0).contains(&s) => Ok((s * (count - 1) as f64).round() as usize),
        Some(SliceAt::Share(s)) => Err(MediaError::View(format!("a share of the way is 0 to 1, got {s}"))),
        Some(SliceAt::Mm(mm)) => {
            let normal = match plane {
                Plane::Axial => [0.0, 0.0, 1.0],
                Plane::Coronal => [0.0, 1.0, 0.0],
                Plane::Sagittal => [1.0, 0.0, 0.0],
                Plane::Upright | Plane::Stored | Plane::AcrossI | Plane::AcrossJ | Plane::AcrossK => {
                    let axis = slicing.through.axis;
                    let n = cross(map.column((axis + 1) % 3), map.column((axis + 2) % 3));
                    n.map(|v| v / norm(n))
                }
            };
            // Through the middle of the slice, so that oblique slices are told apart fairly.
            let position = |n: usize| {
                let mut index = sizes.map(|s| (s - 1) as f64 / 2.0);
                let n = if slicing.through.reversed { count - 1 - n } else { n };
                index[slicing.through.axis] = n as f64;
                dot(map.apply(index), normal)
            };
            let (first, last) = (position(0), position(count - 1));
            let step = if count > 1 {
                (last - first) / (count - 1) as f64
            } else {
                norm(map.column(slicing.through.axis))
            };
            let at = ((mm - first) / step).round();
            if at >= 0.0 && at < count as f64 {
                return Ok(at as usize);
            }
            Err(MediaError::View(format!(
                "no slice lies at {mm} mm; they lie from {first:.1} to {last:.1} mm"
            )))
        }
    }
}
