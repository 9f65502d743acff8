//! Codestreams to samples. Each decoder first compares its header with the data set's attributes.

mod decoded;
mod jpeg;
#[cfg(feature = "jpeg2000")]
mod jpeg2000;
mod jpegls;
#[cfg(feature = "jpegxl")]
mod jpegxl;
mod rle;

use super::format::Format;
pub(super) use decoded::{Decoded, Words};
use decoded::{Expected, damaged};
use loupe_core::media::MediaError;
use loupe_dicom::syntax::Coding;

/// A frame out of its encapsulation.
pub(super) enum Frame {
    /// Uncompressed samples, little endian, pixels interleaved or planar as the data set says.
    Native(Vec<u8>),
    /// Uncompressed and always interleaved.
    Interleaved(Vec<u8>),
    /// From a codestream.
    Decoded(Decoded),
}

/// Bytes that a decoder takes for each sample of `stored` bytes, besides the codestream and what it gives.
pub(super) fn bytes_a_sample(coding: Coding, stored: usize) -> usize {
    match coding {
        Coding::Native | Coding::Refused => 2 * stored,
        Coding::EncapsulatedNative | Coding::DeflatedFrames => 2 * stored,
        Coding::Rle => stored + 2,
        Coding::Jpeg => crate::jpeg::BYTES_A_SAMPLE + 2,
        Coding::JpegLs => 4,
        // Tile, image and our copy in 32 bits; float buffers.
        Coding::Jpeg2000 => 16,
        Coding::JpegXl => 64,
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
            let limits = loupe_core::limits::DecodeLimits::default().with_memory(need as u64 + 1);
            Frame::Native(loupe_dicom::parse::inflate(bytes, &limits)?)
        }
        Coding::Rle => Frame::Interleaved(rle::decode(bytes, &expected)?),
        Coding::Jpeg => Frame::Decoded(jpeg::decode(bytes, &expected)?),
        Coding::JpegLs => Frame::Decoded(jpegls::decode(bytes, &expected)?),
        Coding::Jpeg2000 => Frame::Decoded(decode_jpeg2000(bytes, &expected)?),
        Coding::JpegXl => Frame::Decoded(decode_jpegxl(bytes, &expected)?),
        Coding::Refused => return Err(damaged("codestream", "header", "no decoder")),
    })
}

#[cfg(feature = "jpeg2000")]
fn decode_jpeg2000(bytes: &[u8], expected: &Expected) -> Result<Decoded, MediaError> {
    apart(&|| jpeg2000::decode(bytes, expected))
}

#[cfg(not(feature = "jpeg2000"))]
fn decode_jpeg2000(_: &[u8], _: &Expected) -> Result<Decoded, MediaError> {
    Err(left_out("JPEG 2000", "jpeg2000"))
}

#[cfg(feature = "jpegxl")]
fn decode_jpegxl(bytes: &[u8], expected: &Expected) -> Result<Decoded, MediaError> {
    apart(&|| jpegxl::decode(bytes, expected))
}

#[cfg(not(feature = "jpegxl"))]
fn decode_jpegxl(_: &[u8], _: &Expected) -> Result<Decoded, MediaError> {
    Err(left_out("JPEG XL", "jpegxl"))
}

/// A codec that was not built in.
#[cfg(not(all(feature = "jpeg2000", feature = "jpegxl")))]
fn left_out(codec: &str, feature: &str) -> MediaError {
    let hint =
        format!("this program was built without the feature {feature}; build it in, or convert the file");
    loupe_dicom::object::unsupported(codec, hint)
}

/// Runs a decoder that is not ours where it has stack enough.
#[cfg(any(feature = "jpeg2000", feature = "jpegxl"))]
fn apart(decode: &(dyn Fn() -> Result<Decoded, MediaError> + Sync)) -> Result<Decoded, MediaError> {
    loupe_core::guard::guarded_with_stack("DICOM", "PixelData", decode)
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
