//! torchvision's antialiased resize of 8-bit tensors, which is ATen's `_upsample_bi*2d_aa` with
//! 16-bit weights. `fast_image_resize` rounds its weights in the same way; its own order (rows
//! first) differs, so the passes are run one at a time, columns first.

use super::{Filter, ResizeError};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Both passes; a side that keeps its length is skipped. The caller has checked the sizes.
pub(super) fn resample(
    pixels: &[u8],
    from: [usize; 2],
    channels: usize,
    to: [usize; 2],
    filter: Filter,
) -> Result<Vec<u8>, ResizeError> {
    let kernel = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
        other => return Err(ResizeError::NotInTorchvision(other.name())),
    };
    let kind = if channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel)).use_alpha(false);
    let refused = || {
        let ([from_width, from_height], [width, height]) = (from, to);
        ResizeError::Size { from_width, from_height, width, height }
    };
    // Sides are below 2³¹ (checked by the caller), so the conversions keep the value.
    let pass = |pixels: &[u8], from: [usize; 2], to: [usize; 2]| -> Result<Vec<u8>, ResizeError> {
        let source = ImageRef::new(from[0] as u32, from[1] as u32, pixels, kind).map_err(|_| refused())?;
        let mut target = Image::new(to[0] as u32, to[1] as u32, kind);
        Resizer::new().resize(&source, &mut target, &options).map_err(|_| refused())?;
        Ok(target.into_vec())
    };
    let middle = [to[0], from[1]];
    match (from[0] != to[0], from[1] != to[1]) {
        (true, true) => pass(&pass(pixels, from, middle)?, middle, to),
        _ => pass(pixels, from, to),
    }
}

/// Source positions of torch's `nearest` along one axis (`nearest_idx` in UpSample.h: single
/// precision, the corner of the output pixel).
pub(super) fn nearest(from: usize, to: usize) -> Vec<usize> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|out| match to {
            _ if to == from => out,
            _ if to == 2 * from => out / 2,
            _ => ((out as f32 * scale).floor() as usize).min(from - 1),
        })
        .collect()
}
