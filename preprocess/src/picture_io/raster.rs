//! Decoded samples of any depth, and their way to an 8-bit picture.

use super::facts::malformed;
use crate::render::window_for;
use image::metadata::Orientation;
use loupe_core::limits::{DecodeLimits, gathered, room};
use loupe_core::media::{MediaError, View, WindowChoice};
use loupe_core::picture::{Picture, first_of};

/// Decoded samples in (row, column, channel) order.
pub(crate) enum Samples {
    Byte(Vec<u8>),
    Word(Vec<u16>),
    Float(Vec<f32>),
}

/// A decoded picture before windowing; 2 and 4 channels end in alpha.
pub(crate) struct Raster {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    pub(crate) samples: Samples,
    pub(crate) orientation: Orientation,
    /// Set when the file can have several.
    pub(crate) frame: Option<usize>,
    /// Further frames or pages of the file, which are not read.
    pub(crate) others: usize,
}

/// Bounds what a picture takes from its bytes to the 8-bit result: the file, `sample` bytes of samples while it
/// is decoded, the intensities for a window, the result and its turned copy.
pub(super) fn memory(
    bytes: &[u8],
    pixels: usize,
    channels: usize,
    sample: usize,
    windowed: bool,
    limits: &DecodeLimits,
) -> Result<(), MediaError> {
    let samples = pixels.saturating_mul(channels);
    let values = if windowed { size_of::<f32>() } else { 0 };
    limits.together(&[(bytes.len(), 1), (samples, sample), (samples, values), (samples, 2)]).map(drop)
}

impl Raster {
    /// The 8-bit picture, right way up, with its record.
    pub(crate) fn into_picture(self, view: &View) -> Result<Picture, MediaError> {
        let Self { width, height, channels, samples, orientation, frame, others } = self;
        if view.slice.is_some() {
            return Err(MediaError::View("a slice was asked for, but this is a flat picture".into()));
        }
        let mut steps = Vec::new();
        if view.frame.is_none() {
            steps.extend(first_of(others + 1, frame.is_some()));
        }
        let colours = match channels {
            1 | 3 => channels,
            _ => {
                steps.push("alpha dropped".to_owned());
                channels - 1
            }
        };
        let mut used = None;
        let pixels = match (&view.window, samples) {
            (None, Samples::Byte(v)) if channels == colours => v,
            (None, Samples::Byte(v)) => keep(&v, channels, colours, |b| b)?,
            (None, Samples::Word(v)) => {
                let values = keep(&v, channels, colours, |w| w)?;
                let bits = bits_of(&values);
                steps.push(match bits {
                    16 => "16 bit to 8: high byte".to_owned(),
                    _ => {
                        format!("16 bit to 8: the values have {bits} bits, 0..{} scaled to 0..255", top(bits))
                    }
                });
                gathered(values.len(), values.iter().map(|&w| to_byte(w, bits)))?
            }
            (Some(_), _) if colours == 3 => {
                return Err(MediaError::View(
                    "a window needs grey intensities, but this picture has colours".into(),
                ));
            }
            (choice, samples) => {
                let values: Vec<f32> = match &samples {
                    Samples::Byte(v) => keep(v, channels, colours, f32::from)?,
                    Samples::Word(v) => keep(v, channels, colours, f32::from)?,
                    Samples::Float(v) => keep(v, channels, colours, |f| f)?,
                };
                if let Some(WindowChoice::Preset(name)) = choice {
                    return Err(MediaError::View(format!(
                        "the window {name:?} is in Hounsfield units, which a picture file does not have"
                    )));
                }
                let choice = choice.clone().unwrap_or(WindowChoice::FullRange);
                let window = window_for(Some(&choice), &values, None)?;
                steps.push(window.step);
                used = Some(window.window);
                gathered(values.len(), values.iter().map(|&v| window.window.level(f64::from(v))))?
            }
        };
        let (width, height, pixels) = turned(pixels, width, height, colours, orientation)?;
        if orientation != Orientation::NoTransforms {
            steps.push(format!("{EXIF_STEP}{}", orientation.to_exif()));
        }
        let mut picture = Picture::new(width, height, colours, pixels)
            .map_err(|e| malformed("picture", "size", e.to_string()))?;
        picture.origin.frame = frame;
        picture.origin.window = used;
        picture.origin.steps = steps;
        Ok(picture)
    }
}

/// Bits that the largest value needs, 8 at least: detectors of 10 to 14 bits are exported in files of 16, whose
/// high byte would be nearly black.
fn bits_of(values: &[u16]) -> u32 {
    let most = values.iter().copied().max().unwrap_or(0);
    (u16::BITS - most.leading_zeros()).max(8)
}

/// The largest number of so many bits.
fn top(bits: u32) -> u32 {
    (1 << bits) - 1
}

/// A value of so many bits as 8: the high byte of 16, else to the nearest level.
fn to_byte(value: u16, bits: u32) -> u8 {
    match bits {
        16 => (value >> 8) as u8,
        _ => ((u32::from(value) * 255 + top(bits) / 2) / top(bits)) as u8,
    }
}
/// How the step begins that turned a picture; its EXIF orientation follows.
pub const EXIF_STEP: &str = "exif orientation ";

/// The first `colours` of every `channels` samples, converted.
fn keep<T: Copy, U>(
    samples: &[T],
    channels: usize,
    colours: usize,
    convert: impl Fn(T) -> U,
) -> Result<Vec<U>, MediaError> {
    if channels == colours {
        return gathered(samples.len(), samples.iter().map(|&s| convert(s)));
    }
    let kept = samples.chunks_exact(channels).flat_map(|pixel| &pixel[..colours]).map(|&s| convert(s));
    gathered(samples.len() / channels * colours, kept)
}

/// The picture as an EXIF-aware viewer shows it.
fn turned(
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    channels: usize,
    orientation: Orientation,
) -> Result<(usize, usize, Vec<u8>), MediaError> {
    use Orientation as O;
    let swaps = matches!(orientation, O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH);
    let (new_width, new_height) = if swaps { (height, width) } else { (width, height) };
    if orientation == O::NoTransforms {
        return Ok((width, height, pixels));
    }
    let (right, bottom) = (width - 1, height - 1);
    let mut out = room(pixels.len())?;
    for y in 0..new_height {
        for x in 0..new_width {
            let (sx, sy) = match orientation {
                O::NoTransforms => (x, y),
                O::FlipHorizontal => (right - x, y),
                O::Rotate180 => (right - x, bottom - y),
                O::FlipVertical => (x, bottom - y),
                O::Rotate90FlipH => (y, x),
                O::Rotate90 => (y, bottom - x),
                O::Rotate270FlipH => (right - y, bottom - x),
                O::Rotate270 => (right - y, x),
            };
            out.extend_from_slice(&pixels[(sy * width + sx) * channels..][..channels]);
        }
    }
    Ok((new_width, new_height, out))
}

/// Pillow's `cmyk2rgb` (Convert.c): black times the complement of each ink, rounded.
///
/// # Errors
/// When there is no memory.
pub(super) fn rgb_of_cmyk(inks: &[u8]) -> Result<Vec<u8>, MediaError> {
    let scaled = |ink: u8, k: u8| {
        let product = u32::from(ink) * u32::from(k) + 128;
        ((product >> 8) + product) >> 8
    };
    let pixels = inks.as_chunks::<4>().0.iter();
    let rgb = pixels.flat_map(|&[c, m, y, k]| {
        [c, m, y].map(|ink| u32::from(255 - k).saturating_sub(scaled(ink, 255 - k)) as u8)
    });
    gathered(inks.len() / 4 * 3, rgb)
}
