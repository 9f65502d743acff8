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
    /// A value between 0 and 1 for each pixel in row order, as heat: nothing at 0, and where the value is no number.
    Heat(Vec<f32>),
    /// Words in white, such as the letters of a direction.
    Words {
        /// What is written.
        words: String,
        /// Where from left (0) to right (1).
        across: f64,
        /// Where from top (0) to bottom (1).
        down: f64,
    },
    /// A white bar at the lower left with its length in words.
    Bar {
        /// Its length in pixels of the picture.
        length_px: f64,
        /// What is written over it.
        words: String,
    },
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
            Drawing::Heat(values) => heat(&mut canvas, values),
            Drawing::Words { words, across, down } => {
                let ([w, h], [cw, ch]) = (plate(&canvas, words), size_of(&canvas));
                let at = |share: f64, room: i64| px((room.max(0) as f64) * share);
                write(&mut canvas, at(*across, cw - w), at(*down, ch - h), words, WHITE);
            }
            Drawing::Bar { length_px, words } => draw_bar(&mut canvas, *length_px, words),
        }
    }
    picture.with_pixels(3, canvas.into_raw(), "overlay")
}

const HALO: image::Rgb<u8> = image::Rgb([0, 0, 0]);
const WHITE: image::Rgb<u8> = image::Rgb([255, 255, 255]);

fn size_of(canvas: &Canvas) -> [i64; 2] {
    [i64::from(canvas.width()), i64::from(canvas.height())]
}

/// A bar with a halo and end strokes, its length over it.
fn draw_bar(canvas: &mut Canvas, length_px: f64, words: &str) {
    let ([_, h], [_, ch]) = (plate(canvas, words), size_of(canvas));
    let (x, y, length) = (4, ch - 6, px(length_px).max(1));
    for (grow, colour) in [(1, HALO), (0, WHITE)] {
        fill(canvas, x - grow, y - grow, length + 2 * grow, 2 + 2 * grow, colour);
        for end in [x, x + length - 1] {
            fill(canvas, end - grow, y - 2 - grow, 1 + 2 * grow, 6 + 2 * grow, colour);
        }
    }
    write(canvas, x, y - h - 4, words, WHITE);
}

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
    let ([w, h], [cw, _]) = (plate(canvas, tag), size_of(canvas));
    let (tx, ty) = (x.clamp(0, (cw - w).max(0)), if y - h - 2 >= 0 { y - h - 2 } else { y.max(0) + 2 });
    write(canvas, tx, ty, tag, colour);
}

/// How much larger than its dots the writing is.
fn scale_of(canvas: &Canvas) -> i64 {
    if canvas.width().min(canvas.height()) >= 900 { 2 } else { 1 }
}

/// Width and height of words with their dark plate.
fn plate(canvas: &Canvas, words: &str) -> [i64; 2] {
    let scale = scale_of(canvas);
    [font::width(words) * scale + 4, font::HEIGHT * scale + 4]
}

/// Words on a dark plate whose upper left corner is given.
fn write(canvas: &mut Canvas, x: i64, y: i64, words: &str, colour: image::Rgb<u8>) {
    let ([w, h], scale) = (plate(canvas, words), scale_of(canvas));
    fill(canvas, x, y, w, h, HALO);
    for (px, py) in font::pixels(words) {
        fill(canvas, x + 2 + px * scale, y + 2 + py * scale, scale, scale, colour);
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

/// From nothing over the middle to the whole, dark red to light yellow; brightness rises with the value.
const HEAT: [[f64; 3]; 4] =
    [[80.0, 0.0, 60.0], [200.0, 30.0, 20.0], [250.0, 150.0, 0.0], [255.0, 250.0, 160.0]];
/// Share of the colour at 1; the picture is seen through it.
const MOST_HEAT: f64 = 0.75;

fn heat(canvas: &mut Canvas, values: &[f32]) {
    for (pixel, value) in canvas.pixels_mut().zip(values).filter(|(_, value)| **value > 0.0) {
        let value = f64::from(*value).min(1.0);
        let at = value * (HEAT.len() - 1) as f64;
        let low = (at as usize).min(HEAT.len() - 2);
        let (part, share) = (at - low as f64, value * MOST_HEAT);
        for (c, level) in pixel.0.iter_mut().enumerate() {
            let colour = HEAT[low][c] * (1.0 - part) + HEAT[low + 1][c] * part;
            *level = (f64::from(*level) * (1.0 - share) + colour * share).round() as u8;
        }
    }
}
