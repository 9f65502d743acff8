//! What the header of a picture file says, and what is wrong with one.

use loupe_core::media::MediaError;

/// What the header of a picture file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFacts {
    /// Format name.
    pub format: &'static str,
    /// Columns as stored, before the EXIF orientation.
    pub width: usize,
    /// Rows as stored.
    pub height: usize,
    /// Samples a pixel, alpha included.
    pub channels: usize,
    /// Bits a sample.
    pub bits: usize,
    /// Pages or animation frames.
    pub frames: usize,
    /// EXIF orientation, 1 to 8.
    pub exif_orientation: u8,
    /// Does it hold a colour profile? It is not applied, as Pillow does not apply it.
    pub icc_profile: bool,
}

pub(super) fn malformed(format: &'static str, field: &str, problem: impl Into<String>) -> MediaError {
    MediaError::Malformed { format, field: field.into(), problem: problem.into() }
}
