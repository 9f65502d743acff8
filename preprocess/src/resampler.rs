//! [`loupe_core::Resampler`]: the pixel work that protocols prescribe.

use crate::resize::{self, Backend, Filter};
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ExtendedColorType};
use loupe_core::{Picture, ResampleError, Resampler};
use std::io::Cursor;

/// Resizes as Pillow does; JPEG by the `image` crate, whose bytes are not Pillow's (another encoder,
/// no subsampled colour), so that a picture sent through it agrees with the source's only about as
/// well as two JPEG encoders agree.
#[derive(Debug, Clone, Copy, Default)]
pub struct PillowResampler;

impl Resampler for PillowResampler {
    fn resize(
        &self,
        picture: &Picture,
        width: usize,
        height: usize,
        filter: &str,
    ) -> Result<Picture, ResampleError> {
        let all = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];
        let Some(filter) = all.into_iter().find(|f| f.name() == filter) else {
            return Err(ResampleError(format!("no filter is called {filter:?}")));
        };
        resize::resize(picture, width, height, filter, Backend::Pillow)
            .map_err(|e| ResampleError(e.to_string()))
    }

    fn through_jpeg(&self, picture: &Picture, quality: u8) -> Result<Picture, ResampleError> {
        let failed = |e: image::ImageError| ResampleError(e.to_string());
        let side =
            |n: usize| u32::try_from(n).map_err(|_| ResampleError("the picture is too big for JPEG".into()));
        let colour = if picture.channels() == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode(picture.pixels(), side(picture.width())?, side(picture.height())?, colour)
            .map_err(failed)?;
        let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(failed)?;
        let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
        let (channels, pixels) = match picture.channels() {
            1 => (1, image.into_luma8().into_raw()),
            _ => (3, image.into_rgb8().into_raw()),
        };
        let step = format!("jpeg {quality}");
        picture.with_pixels(channels, pixels, &step).map_err(|e| ResampleError(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn picture(channels: usize) -> Picture {
        let pixels: Vec<u8> = (0..37 * 23 * channels).map(|n| (n / 11 % 200) as u8).collect();
        Picture::new(37, 23, channels, pixels).unwrap()
    }

    #[test]
    fn resizes_by_name() {
        for filter in ["nearest", "bilinear", "bicubic", "lanczos"] {
            let out = PillowResampler.resize(&picture(3), 56, 84, filter).unwrap();
            assert_eq!((out.width(), out.height()), (56, 84));
            let whole = out.origin.source_from_self.boxed(out.bounds());
            let want = [0.0, 0.0, 37.0, 23.0];
            assert!(whole.xyxy().iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9));
        }
        assert!(PillowResampler.resize(&picture(1), 5, 5, "sinc").is_err());
        assert!(PillowResampler.resize(&picture(1), 0, 5, "bicubic").is_err());
    }

    #[test]
    fn a_jpeg_changes_little_and_keeps_its_place() {
        for channels in [1, 3] {
            let before = picture(channels);
            let after = PillowResampler.through_jpeg(&before, 75).unwrap();
            assert_eq!((after.width(), after.height(), after.channels()), (37, 23, channels));
            assert_eq!(after.origin.source_from_self, before.origin.source_from_self);
            let total: u32 =
                before.pixels().iter().zip(after.pixels()).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
            assert!(total > 0 && f64::from(total) / (before.pixels().len() as f64) < 12.0);
        }
        assert!(
            PillowResampler.through_jpeg(&Picture::new(70_000, 1, 1, vec![0; 70_000]).unwrap(), 75).is_err()
        );
    }
}
