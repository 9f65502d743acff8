//! Pictures from references, and pixel work, as seams (implemented by `preprocess`).

use crate::media::{MediaError, MediaRef};
use crate::picture::Picture;
use std::sync::Arc;
use thiserror::Error;

/// One slice or frame in the units of its source (HU for CT), row by row; the same size as its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Intensities {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width × height` values.
    pub values: Vec<f32>,
    /// Are high values shown dark (MONOCHROME1)?
    pub inverted: bool,
    /// Are they Hounsfield units?
    pub hounsfield: bool,
}

/// What a viewer wants of a reference, from one reading of its source.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewerMedia {
    /// The view that the reference asks for.
    pub picture: Picture,
    /// The values behind it, where the picture was made from them with a window.
    pub intensities: Option<Intensities>,
    /// The file as stored, where it is a flat picture. The view may be another frame of it.
    pub original: Option<Arc<[u8]>>,
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

    /// The picture with what else a viewer wants of it.
    ///
    /// # Errors
    /// As for [`MediaLoader::load`]; intensities that cannot be had are left out.
    fn load_for_viewer(&self, media: &MediaRef) -> Result<ViewerMedia, MediaError> {
        let picture = self.load(media)?;
        let intensities = match picture.origin.window {
            Some(_) => self.intensities(media).ok().flatten(),
            None => None,
        };
        Ok(ViewerMedia { picture, intensities, original: None })
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

    /// `picture` written as a JPEG of this quality and read again.
    fn through_jpeg(&self, picture: &Picture, quality: u8) -> Result<Picture, ResampleError>;
}
