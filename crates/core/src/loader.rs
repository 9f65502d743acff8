//! Pictures from references, and pixel work, as seams (implemented by `preprocess`).

use crate::media::{MediaError, MediaRef};
use crate::picture::Picture;
use std::sync::Arc;
use thiserror::Error;

/// One slice or frame in the units of its source (HU for CT), row by row; the same size as its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Intensities {
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// `width × height` values.
    pub values: Vec<f32>,
    /// Are high values shown dark (MONOCHROME1)?
    pub inverted: bool,
    /// Are they Hounsfield units?
    pub hounsfield: bool,
}

/// A picture with what a viewer shows beside or instead of its pixels.
#[derive(Debug, Clone)]
pub struct DisplayMaterial {
    /// The picture, as [`MediaLoader::load`] gives it.
    pub picture: Picture,
    /// The values behind it, of the picture's size; nothing where it was made without a window.
    pub intensities: Option<Intensities>,
    /// The encoded file, where the picture is all of it: one that decodes to these very pixels without a
    /// window, a page or a turn to choose, so that a viewer that reads the format may show it as it is.
    pub encoded: Option<Arc<[u8]>>,
}

/// Turns references into pictures (implemented by `preprocess`).
pub trait MediaLoader: Send + Sync {
    /// Decodes the view that `media` asks for.
    ///
    /// # Errors
    /// When the source cannot be read or decoded, or has no such view.
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError>;

    /// The values behind that view before any window, for viewers that make their own; nothing where
    /// the source is a picture of grey levels or colours already.
    ///
    /// # Errors
    /// As for [`MediaLoader::load`].
    fn intensities(&self, _media: &MediaRef) -> Result<Option<Intensities>, MediaError> {
        Ok(None)
    }

    /// The picture of that view with its values and its encoded file, for a page that people look at. A
    /// loader that reads files opens the source once for all three; here they are asked for in turn, and no
    /// encoded file is given, so that the pixels are what is shown.
    ///
    /// # Errors
    /// As for [`MediaLoader::load`]. Values that cannot be had are left out.
    fn load_for_display(&self, media: &MediaRef) -> Result<DisplayMaterial, MediaError> {
        let picture = self.load(media)?;
        // Only a picture that was made with a window can be windowed again.
        let windowed = picture.origin.window.is_some();
        let intensities = if windowed { self.intensities(media).ok().flatten() } else { None };
        Ok(DisplayMaterial { picture, intensities, encoded: None })
    }
}

/// Why a picture could not be resampled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("could not resample the picture: {0}")]
pub struct ResampleError(pub String);

/// Pixel work that a protocol prescribes (implemented by `preprocess`).
pub trait Resampler: Send + Sync {
    /// `picture` resized to `width` × `height` with Pillow's filter of this name (`nearest`,
    /// `bilinear`, `bicubic`, `lanczos`); the result knows its way back.
    fn resize(
        &self,
        picture: &Picture,
        width: usize,
        height: usize,
        filter: &str,
    ) -> Result<Picture, ResampleError>;

    /// `picture` in this size: as it is when it has it, else resized with Pillow's `bilinear`.
    ///
    /// # Errors
    /// As for [`Resampler::resize`].
    fn fitted(&self, picture: &Picture, width: usize, height: usize) -> Result<Picture, ResampleError> {
        if [picture.width(), picture.height()] == [width, height] {
            return Ok(picture.clone());
        }
        self.resize(picture, width, height, "bilinear")
    }

    /// `picture` written as a JPEG of this quality and read again.
    fn through_jpeg(&self, picture: &Picture, quality: u8) -> Result<Picture, ResampleError>;
}
