//! What recipes are and give, and the steps that several of them take.

use loupe_core::Named;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::picture::Picture;
use loupe_core::volume::Volume;
use rayon::prelude::*;

/// What a recipe makes.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Pictures in the order in which the model sees them.
    pub pictures: Vec<Picture>,
    /// Text that follows each picture; empty when there is none.
    pub captions: Vec<String>,
    /// The tensor of models that take volumes, values as the model wants them.
    pub volume: Option<Volume>,
    /// What was done, for the record.
    pub steps: Vec<String>,
}

/// A published preparation.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Name to ask for.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Where it is published.
    pub source: &'static str,
    /// Does it. Slices of the volume are taken as stored, along k.
    pub prepare: fn(&Volume, &DecodeLimits) -> Result<Prepared, MediaError>,
}

impl Named for Recipe {
    fn name(&self) -> &str {
        self.name
    }
}

pub(super) fn volume_only(volume: Volume, steps: &[&str]) -> Prepared {
    Prepared {
        pictures: Vec::new(),
        captions: Vec::new(),
        volume: Some(volume),
        steps: steps.iter().map(|s| (*s).to_owned()).collect(),
    }
}

/// Slices `numbers` as pictures; `levels` turns one slice's values into `channels` bytes each.
pub(super) fn slice_pictures(
    volume: &Volume,
    numbers: &[usize],
    channels: usize,
    step: &str,
    levels: impl Fn(&[f32]) -> Vec<u8> + Sync,
) -> Result<Vec<Picture>, MediaError> {
    let [_, height, width] = volume.shape();
    numbers
        .par_iter()
        .map(|&k| {
            let values: Vec<f32> = volume.voxels.index_axis(ndarray::Axis(0), k).iter().copied().collect();
            let mut picture = Picture::new(width, height, channels, levels(&values))
                .map_err(|e| MediaError::View(e.to_string()))?;
            let plane = volume.lps_from_index.plane(k as f64);
            picture.origin.slice = Some(k);
            picture.origin.plane = Some(loupe_core::media::Plane::Stored);
            picture.origin.spacing_mm = Some(plane.spacing_mm());
            picture.origin.lps_from_source = Some(plane);
            picture.origin.steps.push(step.to_owned());
            Ok(picture)
        })
        .collect()
}

/// Smallest and largest finite value; 0 and 0 without any.
pub(super) fn range(values: impl IntoIterator<Item = f32>) -> (f32, f32) {
    let (low, high) = values
        .into_iter()
        .filter(|v| v.is_finite())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low > high { (0.0, 0.0) } else { (low, high) }
}

/// `(value - low) / (high - low)` on 0 to 255, clipped; 0 when flat.
pub(super) fn grey(value: f32, low: f32, high: f32) -> f64 {
    if high <= low {
        return 0.0;
    }
    let share = (f64::from(value) - f64::from(low)) / (f64::from(high) - f64::from(low));
    share.clamp(0.0, 1.0) * 255.0
}

/// [`grey`] rounded half to even.
pub(super) fn level(value: f32, low: f32, high: f32) -> u8 {
    grey(value, low, high).round_ties_even() as u8
}
