//! Pictures and masks as PNG bytes and data URIs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ExtendedColorType, ImageEncoder};
use loupe_core::{Mask, Picture};
use thiserror::Error;

/// Why a picture could not be encoded.
#[derive(Debug, Error)]
#[error("could not encode the picture: {0}")]
pub struct EncodeError(#[from] image::ImageError);

fn encode(
    width: usize,
    height: usize,
    color: ExtendedColorType,
    bytes: &[u8],
) -> Result<Vec<u8>, EncodeError> {
    let side = |n: usize| {
        u32::try_from(n).map_err(|_| {
            EncodeError(image::ImageError::Limits(image::error::LimitError::from_kind(
                image::error::LimitErrorKind::DimensionError,
            )))
        })
    };
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive).write_image(
        bytes,
        side(width)?,
        side(height)?,
        color,
    )?;
    Ok(out)
}

/// The picture as PNG: 8-bit grey or RGB, lossless.
///
/// # Errors
/// When a side exceeds what PNG can hold.
pub fn png(picture: &Picture) -> Result<Vec<u8>, EncodeError> {
    let color = if picture.channels() == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    encode(picture.width(), picture.height(), color, picture.pixels())
}

/// A grey or colour JPEG; what is transparent loses that.
pub(crate) fn jpeg(image: &DynamicImage, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, quality);
    if image.color().has_color() {
        image.to_rgb8().write_with_encoder(encoder)?;
    } else {
        image.to_luma8().write_with_encoder(encoder)?;
    }
    Ok(out)
}

/// The mask as an 8-bit grey PNG: 255 inside, 0 outside.
///
/// # Errors
/// When a side exceeds what PNG can hold.
pub fn mask_png(mask: &Mask) -> Result<Vec<u8>, EncodeError> {
    let bytes: Vec<u8> = mask.bits().iter().map(|&b| if b { 255 } else { 0 }).collect();
    encode(mask.width(), mask.height(), ExtendedColorType::L8, &bytes)
}

/// `data:` URI of encoded image bytes.
pub fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(bytes))
}

/// The media type of encoded bytes that every browser shows as they are, or `None`.
///
/// JPEG files with an EXIF block are left out: browsers turn them, and boxes would no longer fit
/// pictures whose orientation was already applied.
pub fn browser_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => {
            let head = &bytes[..bytes.len().min(4096)];
            (!head.windows(6).any(|w| w == b"Exif\0\0")).then_some("image/jpeg")
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
