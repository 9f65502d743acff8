//! Drawing and cutting with Pillow's semantics, down to its rounding and its edges.

use loupe_core::picture::PictureError;
use loupe_core::{Map2, Mask, Picture};
use thiserror::Error;

/// Most pixels that a crop may have; Pillow refuses above 178 956 970, which is no picture either.
pub const MAX_CROP_PIXELS: i64 = 64 << 20;

/// Why a shape cannot be drawn or cut; the texts are Pillow's, because protocols show them to models.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PixelError {
    /// The right edge lies left of the left edge.
    #[error("x1 must be greater than or equal to x0")]
    DrawX,
    /// The lower edge lies above the upper edge.
    #[error("y1 must be greater than or equal to y0")]
    DrawY,
    /// A crop with its right edge left of its left edge.
    #[error("Coordinate 'right' is less than 'left'")]
    CropX,
    /// A crop with its lower edge above its upper edge.
    #[error("Coordinate 'lower' is less than 'upper'")]
    CropY,
    /// A crop without pixels.
    #[error("tile cannot extend outside image")]
    Empty,
    /// A crop too big to hold.
    #[error("Image size ({0} pixels) exceeds limit, could be decompression bomb DOS attack.")]
    Bomb(i64),
    /// Bytes do not make a picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// A colour for RGB pictures and one for grey ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ink {
    /// On RGB.
    pub rgb: [u8; 3],
    /// On grey.
    pub grey: u8,
}

/// Red on RGB, white on grey.
pub const RED: Ink = Ink { rgb: [255, 0, 0], grey: 255 };

/// Outlines of rectangles as `ImageDraw.rectangle(box, outline=…, width=…)` of Pillow 13 draws them:
/// corners inclusive and cut to whole numbers, edges growing inwards; in boxes smaller than two
/// widths the vertical edges overshoot, and so they do here.
///
/// # Errors
/// When the corners of a box are in the wrong order.
pub fn rectangles(
    picture: &Picture,
    boxes: &[[f64; 4]],
    ink: Ink,
    width: i64,
) -> Result<Picture, PixelError> {
    let mut canvas = Canvas::of(picture, ink);
    for b in boxes {
        let [x0, y0, x1, y1] = b.map(whole);
        if b[2] < b[0] {
            return Err(PixelError::DrawX);
        }
        if b[3] < b[1] {
            return Err(PixelError::DrawY);
        }
        for i in 0..width {
            canvas.row(y0 + i, x0, x1);
            canvas.row(y1 - i, x0, x1);
            canvas.column(x1 - i, y0 + width, y1 - width + 1);
            canvas.column(x0 + i, y0 + width, y1 - width + 1);
        }
    }
    Ok(picture.with_pixels(picture.channels(), canvas.pixels, &format!("mark {}", boxes.len()))?)
}

/// Cut towards zero like C's `(int)`, within what no picture reaches.
pub(crate) fn whole(v: f64) -> i64 {
    v.clamp(-1e9, 1e9) as i64
}

struct Canvas {
    width: i64,
    height: i64,
    colour: Vec<u8>,
    pixels: Vec<u8>,
}

impl Canvas {
    fn of(picture: &Picture, ink: Ink) -> Self {
        Self {
            width: picture.width() as i64,
            height: picture.height() as i64,
            colour: if picture.channels() == 1 { vec![ink.grey] } else { ink.rgb.to_vec() },
            pixels: picture.pixels().to_vec(),
        }
    }

    fn row(&mut self, y: i64, x0: i64, x1: i64) {
        if (0..self.height).contains(&y) {
            for x in x0.max(0)..=x1.min(self.width - 1) {
                self.dot(x, y);
            }
        }
    }

    /// Pillow's vertical line: from `from` towards `to`, which is left out.
    fn column(&mut self, x: i64, from: i64, to: i64) {
        let (low, high) = if from <= to { (from, to - 1) } else { (to + 1, from) };
        if (0..self.width).contains(&x) {
            for y in low.max(0)..=high.min(self.height - 1) {
                self.dot(x, y);
            }
        }
    }

    /// `x` and `y` inside.
    fn dot(&mut self, x: i64, y: i64) {
        let at = (y * self.width + x) as usize * self.colour.len();
        if let Some(pixel) = self.pixels.get_mut(at..at + self.colour.len()) {
            pixel.copy_from_slice(&self.colour);
        }
    }
}

/// `Image.crop(box)`: corners rounded half to even, black where the box leaves the picture.
///
/// # Errors
/// When the corners are in the wrong order, nothing is left, or the crop is too big to hold.
pub fn crop(picture: &Picture, region: [f64; 4]) -> Result<Picture, PixelError> {
    let [x0, y0, x1, y1] = region.map(|v| whole(v.round_ties_even()));
    if region[2] < region[0] {
        return Err(PixelError::CropX);
    }
    if region[3] < region[1] {
        return Err(PixelError::CropY);
    }
    let (w, h) = (x1 - x0, y1 - y0);
    if w < 1 || h < 1 {
        return Err(PixelError::Empty);
    }
    if w * h > MAX_CROP_PIXELS {
        return Err(PixelError::Bomb(w * h));
    }
    let channels = picture.channels();
    let mut out = vec![0; (w * h) as usize * channels];
    let (from, to) = (x0.max(0), x1.min(picture.width() as i64));
    for y in y0.max(0)..y1.min(picture.height() as i64) {
        if to > from {
            let source = (y * picture.width() as i64 + from) as usize * channels;
            let target = ((y - y0) * w + from - x0) as usize * channels;
            let bytes = (to - from) as usize * channels;
            if let (Some(into), Some(row)) =
                (out.get_mut(target..target + bytes), picture.pixels().get(source..source + bytes))
            {
                into.copy_from_slice(row);
            }
        }
    }
    let mut origin = picture.origin.clone();
    let shift = Map2::scale_then_shift(1.0, 1.0, x0 as f64, y0 as f64);
    origin.source_from_self = origin.source_from_self.after(&shift);
    origin.steps.push(format!("crop {x0},{y0},{x1},{y1}"));
    Ok(Picture::new(w as usize, h as usize, channels, out)?.with_origin(origin))
}

/// `smart_resize` of qwen-vl-utils, which protocols apply to crops: both sides multiples of
/// `factor`, the area between the bounds. Rounds half to even. Returns (width, height).
pub fn smart_resize(
    width: f64,
    height: f64,
    factor: f64,
    min_pixels: f64,
    max_pixels: f64,
) -> (usize, usize) {
    let round = |v: f64| (v / factor).round_ties_even() * factor;
    let (mut w, mut h) = (round(width).max(factor), round(height).max(factor));
    if w * h > max_pixels {
        let beta = (width * height / max_pixels).sqrt();
        (w, h) = ((width / beta / factor).floor() * factor, (height / beta / factor).floor() * factor);
    } else if w * h < min_pixels {
        let beta = (min_pixels / (width * height)).sqrt();
        (w, h) = ((width * beta / factor).ceil() * factor, (height * beta / factor).ceil() * factor);
    }
    (w.max(factor) as usize, h.max(factor) as usize)
}

/// `mask` laid over the picture: of covered pixels the share `alpha` is `colour`, the rest themselves. The arithmetic
/// is that of numpy in f32, over all of the picture and cut to whole levels, by which a level can sink by one even
/// where nothing is covered (`alpha` 0.4).
///
/// # Errors
/// When the mask is not of the picture's size.
pub fn overlay(picture: &Picture, mask: &Mask, colour: [u8; 3], alpha: f64) -> Result<Picture, PixelError> {
    let rgb = picture.to_rgb();
    let mut pixels = rgb.pixels().to_vec();
    if (mask.width(), mask.height()) != (picture.width(), picture.height()) {
        return Err(PixelError::Empty);
    }
    let (own, share) = ((1.0 - alpha) as f32, alpha as f32);
    for (pixel, covered) in pixels.chunks_exact_mut(3).zip(mask.bits()) {
        for (v, c) in pixel.iter_mut().zip(colour) {
            let over = if *covered { c } else { *v };
            *v = (f32::from(*v) * own + f32::from(over) * share) as u8;
        }
    }
    Ok(picture.with_pixels(3, pixels, "mask")?)
}
