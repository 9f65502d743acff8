//! Boxes, points and masks drawn on a copy of a picture.
//!
//! Conventions: a 2-pixel line with a 1-pixel dark halo so that it is seen on any grey level, the
//! colour-blind safe palette of Okabe and Ito (2008), a number tag beside every box so that colour
//! never carries the meaning alone. Model boxes are solid, reference boxes dashed.

use crate::font;
use loupe_core::picture::PictureError;
use loupe_core::{Box2, Given, Mask, Picture, Point2};

/// The palette of Okabe and Ito without black, in the order used here.
pub const PALETTE: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

/// Who drew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Solid line: the model's.
    Model,
    /// Dashed line: the reference's.
    Reference,
}

/// Something to draw, in pixels of the picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Drawing {
    /// A box with its tag.
    Box {
        /// Corners in pixels of the picture.
        region: Box2<Given>,
        /// Words beside it.
        tag: String,
        /// Whose it is.
        style: Style,
    },
    /// A cross with its tag.
    Point {
        /// Position in pixels of the picture.
        at: Point2<Given>,
        /// Words beside it.
        tag: String,
    },
    /// A tinted area with an outline.
    Mask(Mask),
}

type Canvas = image::RgbImage;

/// Draws `drawings` in order on an RGB copy of `picture`; colours follow the order.
///
/// # Errors
/// When the picture is larger than an image file can be.
pub fn draw(picture: &Picture, drawings: &[Drawing]) -> Result<Picture, PictureError> {
    let rgb = picture.to_rgb();
    let (w, h) = (rgb.width(), rgb.height());
    let size = u32::try_from(w).ok().zip(u32::try_from(h).ok());
    let Some(mut canvas) = size.and_then(|(w, h)| Canvas::from_raw(w, h, rgb.pixels().to_vec())) else {
        return Err(PictureError::Empty { width: w, height: h });
    };
    for (n, drawing) in drawings.iter().enumerate() {
        let colour = image::Rgb(PALETTE[n % PALETTE.len()]);
        match drawing {
            Drawing::Box { region, tag, style } => draw_box(&mut canvas, *region, *style, colour, tag),
            Drawing::Point { at, tag } => draw_point(&mut canvas, *at, colour, tag),
            Drawing::Mask(mask) => tint(&mut canvas, mask, colour),
        }
    }
    picture.with_pixels(3, canvas.into_raw(), "overlay")
}

const HALO: image::Rgb<u8> = image::Rgb([0, 0, 0]);

fn fill(canvas: &mut Canvas, x: i64, y: i64, w: i64, h: i64, colour: image::Rgb<u8>) {
    let side = |from: i64, length: i64, limit: u32| {
        let clamped = |v: i64| u32::try_from(v.clamp(0, i64::from(limit))).unwrap_or(limit);
        clamped(from)..clamped(from + length)
    };
    let columns = side(x, w, canvas.width());
    for y in side(y, h, canvas.height()) {
        for x in columns.clone() {
            canvas.put_pixel(x, y, colour);
        }
    }
}

/// Whole pixels, kept where arithmetic on them cannot overflow.
fn px(v: f64) -> i64 {
    v.round().clamp(-1e6, 1e6) as i64
}

fn draw_box(canvas: &mut Canvas, region: Box2<Given>, style: Style, colour: image::Rgb<u8>, tag: &str) {
    let r = region.ordered();
    let (x0, y0, x1, y1) = (px(r.x0), px(r.y0), px(r.x1).max(px(r.x0) + 1), px(r.y1).max(px(r.y0) + 1));
    for (grow, thick, colour) in [(2, 4, HALO), (1, 2, colour)] {
        let dash = (style == Style::Reference && thick == 2).then_some(6);
        let (x, y, w, h) = (x0 - grow, y0 - grow, x1 - x0 + 2 * grow, y1 - y0 + 2 * grow);
        line(canvas, x, y, w, thick, dash, true, colour);
        line(canvas, x, y + h - thick, w, thick, dash, true, colour);
        line(canvas, x, y, h, thick, dash, false, colour);
        line(canvas, x + w - thick, y, h, thick, dash, false, colour);
    }
    write_tag(canvas, x0, y0, tag, colour);
}

#[expect(clippy::too_many_arguments, reason = "a stroke is a place, a length, a pattern and a colour")]
fn line(
    canvas: &mut Canvas,
    x: i64,
    y: i64,
    length: i64,
    thick: i64,
    dash: Option<i64>,
    along_x: bool,
    colour: image::Rgb<u8>,
) {
    let step = dash.unwrap_or(length.max(1));
    let mut at = 0;
    while at < length {
        let n = step.min(length - at);
        if along_x {
            fill(canvas, x + at, y, n, thick, colour);
        } else {
            fill(canvas, x, y + at, thick, n, colour);
        }
        at += if dash.is_some() { 2 * step } else { step };
    }
}

fn draw_point(canvas: &mut Canvas, at: Point2<Given>, colour: image::Rgb<u8>, tag: &str) {
    let (x, y) = (px(at.x.floor()), px(at.y.floor()));
    for (reach, thick, colour) in [(7, 3, HALO), (6, 1, colour)] {
        fill(canvas, x - reach, y - thick / 2, 2 * reach + 1, thick, colour);
        fill(canvas, x - thick / 2, y - reach, thick, 2 * reach + 1, colour);
    }
    write_tag(canvas, x + 8, y - 8, tag, colour);
}

/// Words on a dark plate above the place, or inside the picture when there is no room above.
fn write_tag(canvas: &mut Canvas, x: i64, y: i64, tag: &str, colour: image::Rgb<u8>) {
    if tag.is_empty() {
        return;
    }
    let scale = if canvas.width().min(canvas.height()) >= 900 { 2 } else { 1 };
    let (w, h) = (font::width(tag) * scale + 4, font::HEIGHT * scale + 4);
    let limit_x = (i64::from(canvas.width()) - w).max(0);
    let (tx, ty) = (x.clamp(0, limit_x), if y - h - 2 >= 0 { y - h - 2 } else { y.max(0) + 2 });
    fill(canvas, tx, ty, w, h, HALO);
    for (px, py) in font::pixels(tag) {
        fill(canvas, tx + 2 + px * scale, ty + 2 + py * scale, scale, scale, colour);
    }
}

fn tint(canvas: &mut Canvas, mask: &Mask, colour: image::Rgb<u8>) {
    for (x, y, pixel) in canvas.enumerate_pixels_mut() {
        let (x, y) = (x as usize, y as usize);
        if !mask.get(x, y) {
            continue;
        }
        let inner = x > 0
            && y > 0
            && mask.get(x - 1, y)
            && mask.get(x, y - 1)
            && mask.get(x + 1, y)
            && mask.get(x, y + 1);
        let share = if inner { 0.35 } else { 1.0 };
        for c in 0..3 {
            let mixed = f64::from(pixel.0[c]) * (1.0 - share) + f64::from(colour.0[c]) * share;
            pixel.0[c] = mixed.round() as u8;
        }
    }
}
