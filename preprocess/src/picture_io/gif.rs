//! GIF frames composed as Pillow composes them (`GifImagePlugin.py`) before `convert("RGB")` drops
//! what is transparent: a transparent pixel of the first frame keeps the colour that the palette has
//! for it, one of a later frame shows the frame before, and what a frame leaves behind follows its
//! disposal method.

use super::facts::malformed;
use super::raster::{Raster, Samples};
use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, Frame, MemoryLimit};
use image::metadata::Orientation;
use loupe_core::limits::{DecodeLimits, filled, gathered};
use loupe_core::media::MediaError;
use std::num::NonZeroU64;

const FORMAT: &str = "GIF";

fn broken(error: &gif::DecodingError) -> MediaError {
    malformed(FORMAT, "image data", error.to_string())
}

fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits, skip: bool) -> Result<Decoder<&'a [u8]>, MediaError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.check_frame_consistency(true);
    options.skip_frame_decoding(skip);
    if let Some(most) = NonZeroU64::new(limits.max_memory_bytes) {
        options.set_memory_limit(MemoryLimit::Bytes(most));
    }
    let decoder = options.read_info(bytes).map_err(|e| broken(&e))?;
    let count = limits.pixels(&[decoder.width().into(), decoder.height().into()])?;
    // The canvas, what a frame hides, the frame's indices, the result turned.
    limits.together(&[(bytes.len(), 1), (count, 3 + 3 + 1 + 3)])?;
    Ok(decoder)
}

/// How many frames there are before the end or the first broken one.
pub(super) fn count(bytes: &[u8], limits: &DecodeLimits) -> Result<usize, MediaError> {
    let mut decoder = open(bytes, limits, true)?;
    let mut frames = 0;
    while let Ok(Some(_)) = decoder.next_frame_info() {
        frames += 1;
    }
    Ok(frames)
}

/// The colours of a frame's indices; beyond the palette Pillow has grey.
struct Palette([[u8; 3]; 256]);

impl Palette {
    fn new(entries: &[u8]) -> Self {
        let mut colours = std::array::from_fn(|n| [n as u8; 3]);
        colours.iter_mut().zip(entries.as_chunks::<3>().0).for_each(|(slot, entry)| *slot = *entry);
        Self(colours)
    }

    fn colour(&self, index: u8) -> [u8; 3] {
        self.0[usize::from(index)]
    }
}

/// The picture so far.
struct Canvas {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

/// What a frame leaves behind.
enum Leaving {
    Itself,
    Colour([u8; 3]),
    /// Contents of its place before it was drawn.
    Before(Vec<[u8; 3]>),
}

/// Place of a frame on the canvas: left, top, width, height.
type Place = [usize; 4];

impl Canvas {
    fn rows(&mut self, [left, top, width, height]: Place) -> impl Iterator<Item = &mut [[u8; 3]]> {
        let lines = self.pixels.chunks_exact_mut(self.width.max(1)).skip(top).take(height);
        lines.filter_map(move |line| line.get_mut(left..left + width))
    }

    fn draw(&mut self, place: Place, frame: &Frame<'_>, palette: &Palette, see_through: Option<u8>) {
        let lines = frame.buffer.chunks_exact(place[2].max(1));
        for (row, line) in self.rows(place).zip(lines) {
            for (pixel, &index) in row.iter_mut().zip(line) {
                if see_through != Some(index) {
                    *pixel = palette.colour(index);
                }
            }
        }
    }

    fn leave(&mut self, place: Place, leaving: Leaving) {
        match leaving {
            Leaving::Itself => {}
            Leaving::Colour(colour) => self.rows(place).for_each(|row| row.fill(colour)),
            Leaving::Before(pixels) => {
                let lines = pixels.chunks_exact(place[2].max(1));
                self.rows(place).zip(lines).for_each(|(row, line)| row.copy_from_slice(line));
            }
        }
    }
}

/// Frame `wanted` as a viewer shows it, without transparency.
pub(super) fn frame(bytes: &[u8], wanted: usize, limits: &DecodeLimits) -> Result<Raster, MediaError> {
    let mut decoder = open(bytes, limits, false)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let global: Vec<u8> = decoder.global_palette().unwrap_or_default().to_vec();
    let background = decoder.bg_color().and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
    let mut canvas = Canvas { width, pixels: Vec::new() };
    let mut left_over: (Place, Leaving) = ([0; 4], Leaving::Itself);
    // A frame without a method of its own keeps the one before.
    let mut disposal = DisposalMethod::Any;
    let mut seen = 0;
    while let Some(frame) = decoder.read_next_frame().map_err(|e| broken(&e))? {
        let entries = frame.palette.as_deref().unwrap_or(&global);
        let palette = Palette::new(entries);
        let place = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
        if frame.dispose != DisposalMethod::Any {
            disposal = frame.dispose;
        }
        let first = seen == 0;
        if first {
            let ground = palette.colour(frame.transparent.unwrap_or(0));
            canvas.pixels = filled(width * height, ground)?;
        }
        let (last_place, leaving) = std::mem::replace(&mut left_over, ([0; 4], Leaving::Itself));
        canvas.leave(last_place, leaving);
        // Pillow takes index 0 where a palette lacks the colour.
        let within = |index: u8| if usize::from(index) * 3 + 3 > entries.len() { 0 } else { index };
        let leaving = match (disposal, frame.transparent) {
            (DisposalMethod::Background, Some(index)) => Leaving::Colour(palette.colour(within(index))),
            (DisposalMethod::Background, None) => Leaving::Colour(palette.colour(within(background))),
            (DisposalMethod::Previous, Some(index)) if first => Leaving::Colour(palette.colour(index)),
            (DisposalMethod::Previous, _) if !first => Leaving::Before(gathered(
                place[2] * place[3],
                canvas.rows(place).flat_map(|row| row.iter().copied()),
            )?),
            _ => Leaving::Itself,
        };
        canvas.draw(place, frame, &palette, frame.transparent.filter(|_| !first));
        if seen == wanted {
            return Ok(Raster {
                width,
                height,
                channels: 3,
                samples: Samples::Byte(canvas.pixels.into_flattened()),
                orientation: Orientation::NoTransforms,
                frame: Some(wanted),
                others: count(bytes, limits)?.saturating_sub(1),
            });
        }
        left_over = (place, leaving);
        seen += 1;
    }
    Err(MediaError::View(format!(
        "frame {wanted} was asked for, but the GIF file has {seen} (counted from 0)"
    )))
}
