//! Steps of one's own instead of a published recipe: a volume turned, resampled, cut and shown.

use super::prepared::Prepared;
use crate::render::{Slicing, render, stored_slice};
use crate::volume_io::read::ReadVolume;
use crate::volume_ops::{
    SliceChoice, central, chosen_slices, montage, oriented, projected, refused, resized, spaced,
};
use loupe_core::limits::DecodeLimits;
use loupe_core::mask::LabelVolume;
use loupe_core::media::{MediaError, Plane, SliceAt, View, WindowChoice};
use loupe_core::picture::Picture;
use loupe_core::volume::Volume;
use std::str::FromStr;
use std::sync::OnceLock;

/// What to do with a volume. The steps are taken in the order of the fields; what is not asked for is left
/// out. Triples are along the voxel axes i, j and k.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    /// Letters towards which i, j and k are to rise, such as `RAS`; in either case.
    pub orientation: Option<String>,
    /// Voxel sizes in mm to resample to (MONAI's `Spacing`, trilinear).
    pub spacing_mm: Option<[f64; 3]>,
    /// Columns, rows and slices to crop or pad to about the centre; padding takes the smallest value.
    pub crop: Option<[usize; 3]>,
    /// Columns, rows and slices to resize to (torch's and MONAI's `Resize`, trilinear).
    pub size: Option<[usize; 3]>,
    /// Plane of the pictures.
    pub plane: Plane,
    /// The largest value along the plane's normal instead of slices.
    pub projection: bool,
    /// Which slices become pictures.
    pub slices: SliceRule,
    /// Grey levels; what depends on values is taken over the whole volume as it was read, so that all slices keep
    /// their relation. Without it each slice is shown in its own stored window, or in their median where the
    /// slices were moved.
    pub window: Option<WindowChoice>,
    /// One picture with this many slices in a row.
    pub montage: Option<usize>,
    /// Give the volume as well, as it is before projection.
    pub keep_volume: bool,
}

/// Which slices become pictures. As text: `all`, `every:N`, `even:N` or `around:MARGIN`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SliceRule {
    /// Every one.
    #[default]
    All,
    /// The first and every n-th after it.
    Every(usize),
    /// n of them, evenly from the first to the last.
    Evenly(usize),
    /// Those that the mask touches, and so many more on either side.
    Around(usize),
}

impl FromStr for SliceRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, n) = text.split_once(':').unwrap_or((text, ""));
        let n: Option<usize> = n.parse().ok();
        match (name, n) {
            ("all", None) => Ok(Self::All),
            ("every", Some(n @ 1..)) => Ok(Self::Every(n)),
            ("even", Some(n @ 1..)) => Ok(Self::Evenly(n)),
            ("around", n) => Ok(Self::Around(n.unwrap_or(0))),
            _ => Err("expected all, every:N, even:N or around:MARGIN".to_owned()),
        }
    }
}

impl Steps {
    /// Do the steps change which slice is where?
    fn move_slices(&self) -> bool {
        let Self { orientation, spacing_mm, crop, size, projection, .. } = self;
        orientation.is_some() || spacing_mm.is_some() || crop.is_some() || size.is_some() || *projection
    }
}

/// Takes the steps. `mask` is a label map on the volume's own grid, for [`SliceRule::Around`].
///
/// # Errors
/// When a step asks for something impossible or more than the limits allow, or the mask is missing.
pub fn prepare(
    read: &ReadVolume,
    steps: &Steps,
    mask: Option<&LabelVolume>,
    limits: &DecodeLimits,
) -> Result<Prepared, MediaError> {
    let mut record = read.notes.clone();
    let volume = regridded(&read.volume, steps, &mut record, limits)?;
    let kept = steps.keep_volume.then(|| volume.clone());
    let pictures = pictures(read, volume, steps, mask, &mut record)?;
    Ok(Prepared { pictures, captions: Vec::new(), volume: kept, steps: record })
}

/// The volume on the grid that the steps ask for.
fn regridded(
    volume: &Volume,
    steps: &Steps,
    record: &mut Vec<String>,
    limits: &DecodeLimits,
) -> Result<Volume, MediaError> {
    // The volume as read, a copy that is kept and the steps' own are in memory together.
    let held = (2 * volume.voxels.len() * size_of::<f32>()) as u64;
    let limits = &limits.with_memory(limits.max_memory_bytes.saturating_sub(held));
    let mut volume = volume.clone();
    if let Some(letters) = &steps.orientation {
        volume = oriented(&volume, &letters.to_uppercase())?;
        record.push(format!("orientation {}", letters.to_uppercase()));
    }
    if let Some(mm) = steps.spacing_mm {
        volume = spaced(&volume, mm, limits)?;
        record.push(format!("spacing {mm:?} mm, trilinear (MONAI Spacing)"));
    }
    if let Some(size) = steps.crop {
        let least = volume.voxels.iter().copied().filter(|v| v.is_finite()).fold(f32::INFINITY, f32::min);
        let voxels = limits.pixels(&size.map(|n| n as u64))?;
        limits.together(&[(volume.voxels.len(), size_of::<f32>()), (voxels, size_of::<f32>())])?;
        volume = central(&volume, size, if least.is_finite() { least } else { 0.0 })?;
        record.push(format!("crop or padding to {size:?}"));
    }
    if let Some(size) = steps.size {
        volume = resized(&volume, size, limits)?;
        record.push(format!("size {size:?}, trilinear (torch interpolate)"));
    }
    Ok(volume)
}

fn pictures(
    read: &ReadVolume,
    mut volume: Volume,
    steps: &Steps,
    mask: Option<&LabelVolume>,
    record: &mut Vec<String>,
) -> Result<Vec<Picture>, MediaError> {
    let plane = match steps.plane {
        Plane::Upright if read.facts.upright => Plane::Stored,
        plane => plane,
    };
    let axis = Slicing::of(plane, &volume.lps_from_index)?.through.axis;
    if steps.projection {
        volume = projected(&volume, axis)?;
        record.push("maximum intensity projection".to_owned());
    }
    let count = volume.shape()[2 - axis];
    let choice = match steps.slices {
        SliceRule::All => SliceChoice::All,
        SliceRule::Every(n) => SliceChoice::Every(n),
        SliceRule::Evenly(n) => SliceChoice::Evenly(n),
        SliceRule::Around(_) if steps.move_slices() || axis != 2 => {
            return Err(refused("--slices around counts the volume's own slices; leave out what moves them"));
        }
        SliceRule::Around(margin) => {
            let labels = mask.ok_or_else(|| refused("--slices around needs --mask FILE"))?;
            SliceChoice::Around { labels, margin }
        }
    };
    let numbers = chosen_slices(count, choice)?;
    record.push(format!("slices {numbers:?}"));
    // The window is the volume's as it was read, and worked out once.
    let of_values = OnceLock::new();
    let window = |choice: Option<&WindowChoice>| of_values.get_or_init(|| read.window(choice)).clone();
    let one = |n: &usize| {
        let view = View { slice: Some(SliceAt::Index(*n)), plane, ..View::default() };
        let stored = if steps.move_slices() { None } else { stored_slice(&volume, &view)? };
        let grey = read.grey_scale(steps.window.as_ref(), stored, window)?;
        Ok((render(&volume, None, &view, &grey)?, grey.record()))
    };
    let made: Vec<(Picture, Vec<String>)> = numbers.iter().map(one).collect::<Result<_, MediaError>>()?;
    let mut pictures = Vec::with_capacity(made.len());
    for (picture, steps) in made {
        pictures.push(picture);
        for step in steps.into_iter().filter(|step| !record.contains(step)).collect::<Vec<_>>() {
            record.push(step);
        }
    }
    match steps.montage {
        None => Ok(pictures),
        Some(0) => Err(refused("--montage needs at least one column")),
        Some(columns) => {
            record.push(format!("montage of {} columns", columns.min(pictures.len())));
            Ok(vec![montage(&pictures, columns)?])
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::volume_facts::VolumeFacts;
    use loupe_core::geometry::LpsFromIndex;
    use loupe_core::volume::Modality;
    use ndarray::Array3;
    use std::collections::BTreeMap;

    /// Six slices of 4 × 5 pixels; each voxel's value is its number.
    fn read() -> ReadVolume {
        let voxels = Array3::from_shape_fn((6, 4, 5), |(k, j, i)| (k * 20 + j * 5 + i) as f32);
        ReadVolume {
            volume: Volume { voxels, lps_from_index: LpsFromIndex::IDENTITY, modality: Modality::Mr },
            frames: 1,
            facts: VolumeFacts::default(),
            stored_type: "float32",
            label_names: BTreeMap::new(),
            notes: vec!["as read".to_owned()],
        }
    }

    fn prepared(steps: &Steps, mask: Option<&LabelVolume>) -> Result<Prepared, MediaError> {
        prepare(&read(), steps, mask, &DecodeLimits::default())
    }

    #[test]
    fn rules_are_read_from_text() {
        let rule = |text: &str| text.parse::<SliceRule>();
        assert_eq!(rule("all"), Ok(SliceRule::All));
        assert_eq!(rule("every:2"), Ok(SliceRule::Every(2)));
        assert_eq!(rule("even:3"), Ok(SliceRule::Evenly(3)));
        assert_eq!([rule("around"), rule("around:1")], [Ok(SliceRule::Around(0)), Ok(SliceRule::Around(1))]);
        assert!(["every:0", "even", "some", "all:2"].iter().all(|text| rule(text).is_err()));
    }

    #[test]
    fn steps_are_taken_in_order_and_on_record() {
        let window = Some(WindowChoice::FullRange);
        let all = prepared(&Steps { window: window.clone(), ..Steps::default() }, None).unwrap();
        assert_eq!((all.pictures.len(), all.volume.is_none()), (6, true));
        assert_eq!(all.steps, ["as read", "slices [0, 1, 2, 3, 4, 5]", "full range 0..119"]);
        assert_eq!(all.pictures[5].pixels()[19], 255);
        let steps = Steps {
            orientation: Some("lps".to_owned()),
            crop: Some([3, 4, 2]),
            slices: SliceRule::Every(1),
            montage: Some(2),
            keep_volume: true,
            window,
            ..Steps::default()
        };
        let cut = prepared(&steps, None).unwrap();
        assert_eq!(cut.volume.unwrap().shape(), [2, 4, 3]);
        assert_eq!((cut.pictures.len(), cut.pictures[0].width(), cut.pictures[0].height()), (1, 6, 4));
        assert_eq!(cut.steps[1..3], ["orientation LPS", "crop or padding to [3, 4, 2]"]);
        let most = prepared(&Steps { projection: true, ..Steps::default() }, None).unwrap();
        assert_eq!(most.pictures.len(), 1);
    }

    #[test]
    fn slices_around_a_mask_need_it_and_their_own_grid() {
        let mut labels = Array3::<u16>::zeros((6, 4, 5));
        labels[[3, 1, 1]] = 1;
        let mask = LabelVolume { labels, lps_from_index: LpsFromIndex::IDENTITY, names: BTreeMap::new() };
        let steps = Steps { slices: SliceRule::Around(1), ..Steps::default() };
        let made = prepared(&steps, Some(&mask)).unwrap();
        assert_eq!(made.pictures.iter().map(|p| p.origin.slice).collect::<Vec<_>>(), [2, 3, 4].map(Some));
        assert!(prepared(&steps, None).unwrap_err().to_string().contains("--mask"));
        let turned = Steps { orientation: Some("RAS".to_owned()), ..steps };
        assert!(prepared(&turned, Some(&mask)).unwrap_err().to_string().contains("moves them"));
    }
}
