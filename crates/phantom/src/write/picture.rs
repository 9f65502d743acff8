//! PNG and JPEG files.

use crate::error::PhantomError;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use loupe_core::Picture;
use std::io::Cursor;

fn encoded(picture: &Picture, format: ImageFormat) -> Result<Vec<u8>, PhantomError> {
    let (w, h) = (picture.width() as u32, picture.height() as u32);
    let pixels = picture.pixels().to_vec();
    let image = if picture.channels() == 1 {
        GrayImage::from_raw(w, h, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(w, h, pixels).map(DynamicImage::from)
    };
    let image = image.ok_or_else(|| PhantomError::Picture("the pixels do not fill it".to_owned()))?;
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).map_err(|e| PhantomError::Picture(e.to_string()))?;
    Ok(out.into_inner())
}

/// The picture as a PNG file, bit for bit.
///
/// # Errors
/// When the encoder refuses it.
pub fn png(picture: &Picture) -> Result<Vec<u8>, PhantomError> {
    encoded(picture, ImageFormat::Png)
}

/// The picture as a JPEG file, with the encoder's default quality.
pub(super) fn jpeg(picture: &Picture) -> Result<Vec<u8>, PhantomError> {
    encoded(picture, ImageFormat::Jpeg)
}
