//! What an exporter is.

use loupe_core::Finding;
use loupe_core::registry::Named;
use thiserror::Error;

/// An image that was looked at, whether anything was found on it or not: its place in the list is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportImage<'a> {
    /// The dataset's or user's name for the image.
    pub name: &'a str,
    /// Width and height of the source in pixels.
    pub size: [usize; 2],
}

/// A finding with the name of its image.
#[derive(Debug, Clone, Copy)]
pub struct ImageFinding<'a> {
    /// The dataset's or user's name for the image.
    pub image: &'a str,
    /// What was found on it.
    pub finding: &'a Finding,
}

/// Why findings could not be exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The runs do not fill the size, or the picture has no way back to its source.
    #[error("finding {0} is no mask on its picture")]
    Mask(usize),
    /// The data do not serialise.
    #[error("the findings could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A format that findings can be written in.
pub struct Exporter {
    /// Its name in tables.
    pub name: &'static str,
    /// What it holds and who reads it, in one line.
    pub about: &'static str,
    /// The whole file: every image that was looked at, and what was found.
    #[expect(clippy::type_complexity, reason = "one function")]
    pub write: fn(&[ExportImage<'_>], &[ImageFinding<'_>]) -> Result<Vec<u8>, ExportError>,
}

impl Named for Exporter {
    fn name(&self) -> &str {
        self.name
    }
}
