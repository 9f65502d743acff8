//! Looking at an image: what is in it, and one view of it as a PNG file.

use crate::error::{AppError, InStep};
use crate::files;
use crate::open::ImageOptions;
use loupe_core::media::WindowChoice;
use loupe_core::{MediaLoader, MediaRef, Picture};
use loupe_preprocess::inspect::{self, Inspection};
use loupe_report::{draw, marks};
use std::path::Path;

pub use loupe_report::Marks;

/// Says what is in a file or folder; identifiers of the patient only when they are asked for.
///
/// # Errors
/// When nothing in it is an image.
pub fn inspect(path: &Path, images: &ImageOptions, identifiers: bool) -> Result<Inspection, AppError> {
    let options = inspect::Options { xform: images.xform, series: images.series(), identifiers };
    inspect::inspect(path, &options).step(|| format!("{} could not be inspected", path.display()))
}

/// Writes a view of an image as PNG, with what is to be drawn on it, and gives the picture back; `image` is the
/// image as it was named.
///
/// # Errors
/// When the image cannot be read or the file cannot be written.
pub fn render(
    image: &str,
    media: &MediaRef,
    images: &ImageOptions,
    drawn: Marks,
    output: &Path,
) -> Result<Picture, AppError> {
    let mut picture = images.loader().load(media).step(|| format!("{image} could not be rendered"))?;
    if drawn != Marks::default() {
        picture = draw(&picture, &marks(&picture, drawn))?;
    }
    files::write(output, &loupe_report::png(&picture)?)?;
    Ok(picture)
}

/// A window by the name of its preset.
///
/// # Errors
/// When no preset has that name.
pub fn window_preset(name: &str) -> Result<WindowChoice, AppError> {
    loupe_preprocess::windows::preset(name)?;
    Ok(WindowChoice::Preset(name.to_owned()))
}
