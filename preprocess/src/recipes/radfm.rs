//! RadFM (chaoyi-wu/RadFM, `Quick_demo/test.py`): 512 × 512, bicubic, each picture repeated to a depth
//! of 4. The published script takes a random crop of 80–100 % even at test time, so that no two runs
//! agree; here the whole picture is taken, which is the mean of those crops' frames and repeatable.

use super::prepared::{Prepared, Recipe, level, range, slice_pictures};
use crate::resize::{Backend, Filter, resize};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "radfm",
    summary: "middle slice, min to max as grey in RGB, 512×512 bicubic, whole picture instead of a random crop",
    source: "chaoyi-wu/RadFM Quick_demo/test.py",
    prepare,
};

fn prepare(volume: &Volume, _: &DecodeLimits) -> Result<Prepared, MediaError> {
    let (low, high) = range(volume.voxels.iter().copied());
    let step = format!("volume range {low}..{high} as grey in RGB");
    let middle = volume.shape()[0] / 2;
    let pictures = slice_pictures(volume, &[middle], 3, &step, |values| {
        values.iter().flat_map(|&v| [level(v, low, high); 3]).collect()
    })?;
    let pictures = pictures
        .iter()
        .map(|p| {
            resize(p, 512, 512, Filter::Bicubic, Backend::Pillow).map_err(|e| MediaError::View(e.to_string()))
        })
        .collect::<Result<_, _>>()?;
    let deterministic = "whole picture (the published script crops at random)".to_owned();
    Ok(Prepared { pictures, captions: Vec::new(), volume: None, steps: vec![step, deterministic] })
}
