//! Resizing that equals the library a model was published with, bit for bit.
//!
//! Two libraries prepare nearly all published models' pictures and differ in up to a third of the
//! bytes, so both are offered by name: [`Backend::Pillow`] (`PIL.Image.resize`) and
//! [`Backend::Torchvision`] (`resize(..., antialias=True)` on 8-bit tensors). Each is compared to
//! its library on hundreds of random sizes in `tests/main/resize.rs`.

mod filter;
mod kernel;
pub mod opencv;
mod pillow;
pub mod skimage;
mod torchvision;

pub use filter::{Filter, ResizeError};

use loupe_core::picture::{Picture, PictureError};
use serde::{Deserialize, Serialize};

/// Which library's bytes are reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// Pillow 13. Older releases differ in the order of the two passes for some tall pictures.
    Pillow,
    /// torchvision 0.29 on CPU tensors of type uint8 with `antialias=True`.
    Torchvision,
}

impl Backend {
    /// The name in records, `--resample` and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pillow => "pillow",
            Self::Torchvision => "torchvision",
        }
    }
}

/// Resizes `picture` to `width` × `height` pixels, same field of view; the way back to the source
/// and a step `resize … backend filter` are kept in the origin. Grey stays grey: resizing it once
/// and replicating gives the same bytes as resizing the replicated picture, three times faster.
///
/// # Errors
/// When a side is zero or the backend lacks the filter.
pub fn resize(
    picture: &Picture,
    width: usize,
    height: usize,
    filter: Filter,
    backend: Backend,
) -> Result<Picture, ResizeError> {
    if (width, height) == (picture.width(), picture.height()) {
        return Ok(picture.clone());
    }
    let from = [picture.width(), picture.height()];
    let pixels = resize_pixels(picture.pixels(), from, picture.channels(), [width, height], filter, backend)?;
    let step = format!("resize {width}x{height} {} {}", backend.name(), filter.name());
    let origin = picture.origin_after_resize(width, height, &step);
    Ok(Picture::new(width, height, picture.channels(), pixels)?.with_origin(origin))
}

/// [`resize`] on bare bytes in (row, column, channel) order; sizes are `[width, height]`.
///
/// # Errors
/// When a side is zero, the length does not fit, or the backend lacks the filter.
pub fn resize_pixels(
    pixels: &[u8],
    from: [usize; 2],
    channels: usize,
    to: [usize; 2],
    filter: Filter,
    backend: Backend,
) -> Result<Vec<u8>, ResizeError> {
    let side = |n: usize| n > 0 && n <= i32::MAX as usize;
    let bytes = |a: usize, b: usize| a.checked_mul(b)?.checked_mul(channels);
    let all_fit = [bytes(from[0], from[1]), bytes(to[0], to[1]), bytes(to[0], from[1])];
    let (true, [Some(need), Some(_), Some(_)]) = (from.into_iter().chain(to).all(side), all_fit) else {
        let ([from_width, from_height], [width, height]) = (from, to);
        return Err(ResizeError::Size { from_width, from_height, width, height });
    };
    if channels != 1 && channels != 3 {
        return Err(PictureError::Channels(channels).into());
    }
    if pixels.len() != need {
        return Err(
            PictureError::Length { width: from[0], height: from[1], channels, got: pixels.len() }.into()
        );
    }
    if from == to {
        return Ok(pixels.to_vec());
    }
    match (backend, filter) {
        (Backend::Pillow, Filter::Nearest) => Ok(gather(
            pixels,
            from,
            channels,
            &pillow::nearest(from[0], to[0]),
            &pillow::nearest(from[1], to[1]),
        )),
        (Backend::Torchvision, Filter::Nearest) => Ok(gather(
            pixels,
            from,
            channels,
            &torchvision::nearest(from[0], to[0]),
            &torchvision::nearest(from[1], to[1]),
        )),
        (Backend::Pillow, filter) => Ok(pillow::resample(pixels, from, channels, to, filter)),
        (Backend::Torchvision, filter) => torchvision::resample(pixels, from, channels, to, filter),
    }
}

/// The pixels at the given source columns and rows.
fn gather(pixels: &[u8], from: [usize; 2], channels: usize, columns: &[usize], rows: &[usize]) -> Vec<u8> {
    let mut out = Vec::with_capacity(columns.len() * rows.len() * channels);
    for &y in rows {
        let row = &pixels[y * from[0] * channels..][..from[0] * channels];
        for &x in columns {
            out.extend_from_slice(&row[x * channels..][..channels]);
        }
    }
    out
}
