//! Merlin (StanfordMIMI/Merlin, `merlin/data/monai_transforms.py`): RAS, 1.5 × 1.5 × 3 mm, HU ±1000 as
//! 0 to 1, centred to 224 × 224 × 160.

use super::prepared::{Prepared, Recipe, volume_only};
use crate::volume_ops::{central, oriented, spaced};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "merlin",
    summary: "RAS, 1.5×1.5×3 mm, HU ±1000 as 0..1, 224×224×160",
    source: "StanfordMIMI/Merlin merlin/data/monai_transforms.py",
    prepare,
};

fn prepare(volume: &Volume, limits: &DecodeLimits) -> Result<Prepared, MediaError> {
    let mut made = spaced(&oriented(volume, "RAS")?, [1.5, 1.5, 3.0], limits)?;
    made.voxels.mapv_inplace(|hu| (hu.clamp(-1000.0, 1000.0) + 1000.0) / 2000.0);
    let made = central(&made, [224, 224, 160], 0.0)?;
    Ok(volume_only(
        made,
        &["orientation RAS", "MONAI Spacing 1.5×1.5×3 mm", "HU ±1000 as 0..1", "centred 224×224×160"],
    ))
}
