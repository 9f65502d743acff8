//! torchvision's antialiased resize of 8-bit tensors, which is ATen's `_upsample_bi*2d_aa` with
//! 16-bit weights. `fast_image_resize` rounds its weights in the same way; its own order (rows
//! first) differs, so the passes are run one at a time, columns first.

use super::filter::{Filter, ResizeError};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

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
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel)).use_alpha(false);
    let done = if channels == 1 {
        passes::<U8>(pixels, from, channels, to, &options)
    } else {
        passes::<U8x3>(pixels, from, channels, to, &options)
    };
    let ([from_width, from_height], [width, height]) = (from, to);
    done.ok_or(ResizeError::Size { from_width, from_height, width, height })
}

/// The passes for one kind of pixel. (The library's call that takes any kind would be compiled into
/// this crate for all eighteen of them, which takes over a minute.)
fn passes<P: PixelTrait + 'static>(
    pixels: &[u8],
    from: [usize; 2],
    channels: usize,
    to: [usize; 2],
    options: &ResizeOptions,
) -> Option<Vec<u8>> {
    // Sides are below 2³¹ (checked by the caller), so the conversions keep the value.
    let pass = |pixels: &[u8], from: [usize; 2], to: [usize; 2]| -> Option<Vec<u8>> {
        let mut out = vec![0u8; to[0] * to[1] * channels];
        let source = TypedImageRef::<P>::from_buffer(from[0] as u32, from[1] as u32, pixels).ok()?;
        let mut target = TypedImage::<P>::from_buffer(to[0] as u32, to[1] as u32, &mut out).ok()?;
        Resizer::new().resize_typed(&source, &mut target, options).ok()?;
        Some(out)
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
