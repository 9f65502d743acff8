//! A picture scaled into a black square, its aspect kept: `LongestMaxSize` and `PadIfNeeded` of the package
//! albumentations, whose defaults are OpenCV's linear interpolation and a centred picture.

use loupe_core::Picture;
use loupe_core::dialect::letterbox;
use loupe_preprocess::resize::opencv;

/// The picture in the middle of a square of `side` pixels, 8 bits, RGB.
pub(crate) fn letterboxed(picture: &Picture, side: usize) -> Result<Picture, String> {
    let rgb = picture.to_rgb();
    let from = [rgb.width(), rgb.height()];
    let (size, [left, above]) = letterbox(from, side);
    let small = opencv::linear(rgb.pixels(), from, 3, size).map_err(|e| e.to_string())?;
    let mut out = vec![0u8; side * side * 3];
    for (line, row) in out.chunks_exact_mut(side * 3).skip(above).zip(small.chunks_exact(size[0] * 3)) {
        line[left * 3..][..row.len()].copy_from_slice(row);
    }
    Picture::new(side, side, 3, out).map_err(|e| e.to_string())
}
