//! Flat picture files: PNG, JPEG, TIFF, BMP, WebP, GIF and PNM, and folders of frames.
//!
//! The 8-bit picture is what PIL's `Image.open(…).convert("RGB")` gives, with grey kept as one
//! channel: alpha is dropped (not blended), palettes are looked up, CMYK is converted with Pillow's
//! integer formula. Two things differ on purpose and are named in [`Origin::steps`]: the EXIF
//! orientation is applied, and 16-bit grey is not clipped at 255 (Pillow 13) but scaled by the bits that its
//! largest value needs (with 16 its high byte, as Pillow itself does for 16-bit colour), unless a window is
//! asked for.
//!
//! [`Origin::steps`]: loupe_core::picture::Origin

mod facts;
mod folder;
mod gif;
mod jpeg;
mod png;
mod raster;
mod tiff;
mod tiff_jpeg;
mod webp;

pub use facts::PictureFacts;
pub(crate) use folder::is_named_as_picture;
pub use folder::{frame_files, open_frame};
pub use raster::EXIF_STEP;
pub(crate) use raster::{Raster, Samples};

use facts::malformed;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};
use loupe_core::limits::{DecodeLimits, filled, gathered};
use loupe_core::media::{MediaError, View};
use loupe_core::picture::Picture;
use raster::memory;
use std::io::Cursor;

/// The name of the picture format that `bytes` begin with, or `None`.
pub fn sniff(bytes: &[u8]) -> Option<&'static str> {
    format_of(bytes).and_then(name_of)
}

/// `image` does not know the mark of TIFF files with 64-bit offsets.
fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(b"II\x2B\0") || bytes.starts_with(b"MM\0\x2B") {
        return Some(ImageFormat::Tiff);
    }
    image::guess_format(bytes).ok()
}

fn name_of(format: ImageFormat) -> Option<&'static str> {
    Some(match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Pnm => "PNM",
        _ => return None,
    })
}

fn known(bytes: &[u8]) -> Result<(ImageFormat, &'static str), MediaError> {
    format_of(bytes).and_then(|f| name_of(f).map(|name| (f, name))).ok_or_else(|| {
        MediaError::UnknownFormat("the first bytes are none of PNG, JPEG, TIFF, BMP, WebP, GIF, PNM".into())
    })
}

/// Decodes the frame and window of `view` from the bytes of a picture file.
///
/// # Errors
/// When the format is unknown, the data broken, a limit met, or the view asks for a frame or a
/// window the picture does not have.
pub fn decode(bytes: &[u8], view: &View, limits: &DecodeLimits) -> Result<Picture, MediaError> {
    let (format, name) = known(bytes)?;
    guarded(name, || match format {
        ImageFormat::Tiff => tiff::decode(bytes, view.frame.unwrap_or(0), limits)?.into_picture(view),
        ImageFormat::Gif => gif::frame(bytes, view.frame.unwrap_or(0), limits)?.into_picture(view),
        _ => still(bytes, format, name, view, limits)?.into_picture(view),
    })
}

/// The header of a picture file, without decoding pixels (GIF frames have to be counted).
///
/// # Errors
/// When the format is unknown or the header broken.
pub fn facts(bytes: &[u8], limits: &DecodeLimits) -> Result<PictureFacts, MediaError> {
    let (format, name) = known(bytes)?;
    guarded(name, || {
        match format {
            ImageFormat::Tiff => return tiff::facts(bytes, limits),
            ImageFormat::Png => return png::facts(bytes, limits),
            _ => {}
        }
        let mut decoder = decoder_of(bytes, format, name, limits)?;
        let (width, height) = decoder.dimensions();
        let colour = decoder.original_color_type();
        let frames = match format {
            ImageFormat::Gif => gif::count(bytes, limits)?,
            ImageFormat::WebP => webp::frames(bytes),
            _ => 1,
        };
        Ok(PictureFacts {
            format: name,
            width: width as usize,
            height: height as usize,
            channels: usize::from(colour.channel_count()),
            bits: usize::from(colour.bits_per_pixel() / u16::from(colour.channel_count().max(1))),
            frames,
            exif_orientation: decoder.orientation().map_or(1, Orientation::to_exif),
            icc_profile: matches!(decoder.icc_profile(), Ok(Some(_))),
        })
    })
}

/// Runs a decoder where hostile input can do no harm.
fn guarded<T: Send>(
    format: &'static str,
    work: impl FnOnce() -> Result<T, MediaError> + Send,
) -> Result<T, MediaError> {
    loupe_core::guard::guarded_with_stack(format, "image data", work)
}

fn image_error(format: &'static str, error: &ImageError, limits: &DecodeLimits) -> MediaError {
    match error {
        ImageError::Limits(_) => MediaError::Limit {
            what: "the memory needed in bytes",
            got: limits.max_memory_bytes.saturating_add(1),
            limit: limits.max_memory_bytes,
            option: "--max-memory",
        },
        ImageError::Unsupported(what) => MediaError::Unsupported {
            what: format!("{format}: {what}"),
            hint: "convert the picture to 8- or 16-bit PNG".into(),
        },
        other => malformed(format, "image data", other.to_string()),
    }
}

fn decoder_of<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    name: &'static str,
    limits: &DecodeLimits,
) -> Result<impl ImageDecoder + 'a, MediaError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(image_limits(limits));
    reader.into_decoder().map_err(|e| image_error(name, &e, limits))
}

fn image_limits(limits: &DecodeLimits) -> image::Limits {
    let mut bound = image::Limits::default();
    bound.max_alloc = Some(limits.max_memory_bytes);
    bound
}

fn still(
    bytes: &[u8],
    format: ImageFormat,
    name: &'static str,
    view: &View,
    limits: &DecodeLimits,
) -> Result<Raster, MediaError> {
    if let Some(frame @ 1..) = view.frame {
        return Err(MediaError::View(format!(
            "frame {frame} was asked for, but of a {name} file only the first is read"
        )));
    }
    let windowed = view.window.is_some();
    match format {
        ImageFormat::Jpeg => return jpeg::decode(bytes, limits),
        ImageFormat::Png => return png::decode(bytes, windowed, limits),
        _ => {}
    }
    let mut decoder = decoder_of(bytes, format, name, limits)?;
    let (width, height) = decoder.dimensions();
    let pixels = limits.pixels(&[width.into(), height.into()])?;
    let colour = decoder.color_type();
    let channels = usize::from(colour.channel_count());
    let sample = usize::from(colour.bytes_per_pixel()) / channels.max(1);
    // The decoder's own picture beside ours (WebP's is one of four bytes a pixel), and wider samples twice.
    let inside = usize::from(format == ImageFormat::WebP) * 8 + sample;
    memory(bytes, pixels, channels, sample * 2 + inside, windowed || sample == 4, limits)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut buffer = filled(pixels * usize::from(colour.bytes_per_pixel()), 0u8)?;
    decoder.read_image(&mut buffer).map_err(|e| image_error(name, &e, limits))?;
    let words = |b: &[u8]| {
        let pairs = b.as_chunks::<2>().0;
        gathered(pairs.len(), pairs.iter().map(|&w| u16::from_ne_bytes(w)))
    };
    let floats = |b: &[u8]| {
        let fours = b.as_chunks::<4>().0;
        gathered(fours.len(), fours.iter().map(|&w| f32::from_ne_bytes(w)))
    };
    let samples = match colour {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => Samples::Byte(buffer),
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            Samples::Word(words(&buffer)?)
        }
        ColorType::Rgb32F | ColorType::Rgba32F => Samples::Float(floats(&buffer)?),
        other => {
            return Err(MediaError::Unsupported {
                what: format!("{name} with pixels of type {other:?}"),
                hint: "convert the picture to 8- or 16-bit PNG".into(),
            });
        }
    };
    let others = if format == ImageFormat::WebP { webp::frames(bytes) - 1 } else { 0 };
    let (width, height) = (width as usize, height as usize);
    Ok(Raster { width, height, channels, samples, orientation, frame: None, others })
}
