//! Codestreams to samples. Each decoder first compares its header with the data set's attributes.

mod jpeg;
mod jpeg2000;
mod jpegls;
mod jpegxl;
mod rle;

use super::format::Format;
use super::syntax::Coding;
use loupe_core::guard::guarded_with_stack;
use loupe_core::media::MediaError;

/// What the data set says a frame must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples per pixel.
    pub components: usize,
    /// Bits Allocated.
    pub bits_allocated: u16,
}

impl Expected {
    /// Of a frame of `format`.
    pub(super) fn of(format: &Format) -> Self {
        Self {
            width: format.columns,
            height: format.rows,
            components: format.samples,
            bits_allocated: format.bits_allocated,
        }
    }

    /// Compares a codestream's header, before anything is decoded or allocated.
    fn check(&self, width: usize, height: usize, components: usize, bits: u32) -> Result<(), MediaError> {
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
pub(super) enum Words {
    /// Unsigned, up to 16 bits.
    U16(Vec<u16>),
    /// Signed or wider.
    I32(Vec<i32>),
}

/// A decoded frame, pixels interleaved.
pub(super) struct Decoded {
    /// Samples.
    pub values: Words,
    /// Bits a sample.
    pub precision: u32,
    /// Are colours luminance and differences? `None` when the codestream does not say.
    pub ybr: Option<bool>,
    /// May values differ from what was encoded?
    pub lossy: bool,
}

/// A frame out of its encapsulation.
pub(super) enum Frame {
    /// Uncompressed samples, little endian, pixels interleaved or planar as the data set says.
    Native(Vec<u8>),
    /// Uncompressed and always interleaved.
    Interleaved(Vec<u8>),
    /// From a codestream.
    Decoded(Decoded),
}

pub(super) fn damaged(codec: &str, field: &str, problem: &str) -> MediaError {
    MediaError::Malformed {
        format: "DICOM",
        field: format!("PixelData, {codec} {field}"),
        problem: problem.to_owned(),
    }
}

/// Decodes the frame in `bytes`.
///
/// # Errors
/// When it is damaged or disagrees with the data set.
pub(super) fn decode(coding: Coding, bytes: &[u8], format: &Format) -> Result<Frame, MediaError> {
    let expected = Expected::of(format);
    if matches!(coding, Coding::Jpeg2000 | Coding::JpegXl) {
        check_emptiness(&expected, bytes.len())?;
    }
    Ok(match coding {
        Coding::Native | Coding::EncapsulatedNative => Frame::Native(bytes.to_vec()),
        Coding::DeflatedFrames => {
            let need = format.frame_bits().div_ceil(8);
            // Inflation stops at the size that a frame has; a bomb gets no further.
            let limits =
                loupe_core::limits::DecodeLimits { max_memory_bytes: need as u64 + 1, ..Default::default() };
            Frame::Native(super::parse::inflate(bytes, &limits)?)
        }
        Coding::Rle => Frame::Interleaved(rle::decode(bytes, &expected)?),
        Coding::Jpeg => Frame::Decoded(jpeg::decode(bytes, &expected)?),
        Coding::JpegLs => Frame::Decoded(jpegls::decode(bytes, &expected)?),
        Coding::Jpeg2000 => Frame::Decoded(apart(&|| jpeg2000::decode(bytes, &expected))?),
        Coding::JpegXl => Frame::Decoded(apart(&|| jpegxl::decode(bytes, &expected))?),
        Coding::Refused => return Err(damaged("codestream", "header", "no decoder")),
    })
}

/// Runs a decoder that is not ours where it has stack enough.
fn apart(decode: &(dyn Fn() -> Result<Decoded, MediaError> + Sync)) -> Result<Decoded, MediaError> {
    guarded_with_stack("DICOM", "PixelData", decode)
}

/// Samples that a frame may have whatever its codestream's length.
const SAMPLES_FROM_NOTHING: usize = 1 << 25;
/// Samples that each byte of a larger frame's codestream may stand for; real frames stay under a hundred.
const SAMPLES_A_BYTE: usize = 1024;

/// Wavelets and modular trees make a blank frame of any size out of a few hundred bytes, and take their
/// time over it.
fn check_emptiness(expected: &Expected, bytes: usize) -> Result<(), MediaError> {
    let samples = expected.width * expected.height * expected.components;
    if samples > SAMPLES_FROM_NOTHING.max(bytes.saturating_mul(SAMPLES_A_BYTE)) {
        let problem = format!("{bytes} bytes for {samples} samples: too few to be a picture");
        return Err(damaged("codestream", "length", &problem));
    }
    Ok(())
}

/// Does a fragment begin a codestream? (Assigning fragments to frames without an offset table.)
pub(super) fn starts_codestream(coding: Coding, bytes: &[u8]) -> bool {
    match coding {
        Coding::Jpeg | Coding::JpegLs => bytes.starts_with(&[0xFF, 0xD8]),
        Coding::Jpeg2000 => bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) || bytes.starts_with(&[0, 0, 0, 12]),
        Coding::JpegXl => bytes.starts_with(&[0xFF, 0x0A]) || bytes.starts_with(&[0, 0, 0, 12]),
        // An RLE frame begins with its number of segments and the first offset, 64.
        Coding::Rle => matches!(bytes, [1..=15, 0, 0, 0, 64, 0, 0, 0, ..]),
        _ => true,
    }
}
