//! What a codec is told of a frame and what it gives back.

use crate::dicom::format::Format;
use loupe_core::media::MediaError;

/// What the data set says a frame must be.
#[derive(Debug, Clone, Copy)]
pub(in crate::dicom) struct Expected {
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Samples per pixel.
    pub components: usize,
    /// Bits Allocated.
    pub bits_allocated: u16,
}

impl Expected {
    /// Of a frame of `format`.
    pub(in crate::dicom) fn of(format: &Format) -> Self {
        Self {
            width: format.columns,
            height: format.rows,
            components: format.samples,
            bits_allocated: format.bits_allocated,
        }
    }

    /// Compares a codestream's header, before anything is decoded or allocated.
    pub(in crate::dicom) fn check(
        &self,
        width: usize,
        height: usize,
        components: usize,
        bits: u32,
    ) -> Result<(), MediaError> {
        let problem = if (width, height) != (self.width, self.height) {
            format!("{width}×{height} pixels, but Columns×Rows is {}×{}", self.width, self.height)
        } else if components != self.components {
            format!("{components} components, but Samples per Pixel is {}", self.components)
        } else if bits > u32::from(self.bits_allocated.max(8)) {
            format!("{bits} bits a sample, but Bits Allocated is {}", self.bits_allocated)
        } else {
            return Ok(());
        };
        Err(damaged("codestream", "header", &problem))
    }
}

/// Samples of a frame as the codestream holds them.
pub(in crate::dicom) enum Words {
    /// Unsigned, up to 16 bits.
    U16(Vec<u16>),
    /// Signed or wider.
    #[cfg_attr(
        not(any(feature = "jpeg2000", feature = "jpegxl")),
        expect(dead_code, reason = "those codecs give it")
    )]
    I32(Vec<i32>),
}

/// A decoded frame, pixels interleaved.
pub(in crate::dicom) struct Decoded {
    /// Stored values, as the pixels of the frame follow each other.
    pub values: Words,
    /// Bits a sample.
    pub precision: u32,
    /// Are colours luminance and differences? `None` when the codestream does not say.
    pub ybr: Option<bool>,
    /// May values differ from what was encoded?
    pub lossy: bool,
}

pub(in crate::dicom) fn damaged(codec: &str, field: &str, problem: &str) -> MediaError {
    MediaError::Malformed {
        format: "DICOM",
        field: format!("PixelData, {codec} {field}"),
        problem: problem.to_owned(),
    }
}
