//! CT-CHAT / CT-CLIP (ibrahimethemhamamci/CT-CHAT, `llava/serve/encode_script.py`): HU clipped to
//! ±1000, 0.75 × 0.75 × 1.5 mm by trilinear interpolation to `int(n · old / new)` voxels, centred to
//! 480 × 480 × 240 with -1, divided by 1000.

use super::prepared::{Prepared, Recipe, volume_only};
use crate::volume_ops::{central, resized};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;

pub(super) const RECIPE: Recipe = Recipe {
    name: "ct-chat",
    summary: "HU ±1000 / 1000, 0.75×0.75×1.5 mm, 480×480×240 filled with -1",
    source: "ibrahimethemhamamci/CT-CHAT llava/serve/encode_script.py",
    prepare,
};

fn prepare(volume: &Volume, limits: &DecodeLimits) -> Result<Prepared, MediaError> {
    let mut scaled = volume.clone();
    scaled.voxels.mapv_inplace(|hu| hu.clamp(-1000.0, 1000.0) / 1000.0);
    let [d, h, w] = volume.shape();
    let spacing = volume.spacing_mm();
    let side = |n: usize, axis: usize, new: f64| ((n as f64 * spacing[axis] / new) as usize).max(1);
    let size = [side(w, 0, 0.75), side(h, 1, 0.75), side(d, 2, 1.5)];
    let made = central(&resized(&scaled, size, limits)?, [480, 480, 240], -1.0)?;
    Ok(volume_only(
        made,
        &["HU ±1000 / 1000", "trilinear to 0.75×0.75×1.5 mm", "centred 480×480×240, -1 outside"],
    ))
}
