//! Stored values: bits out of bytes, unused bits masked, signs extended.

use super::codec::{self, Decoded, Words};
use super::format::{Format, Photometric, Stored};
use loupe_core::limits::{gathered, room};
use loupe_core::media::MediaError;
use loupe_dicom::object::{malformed, words};
use loupe_dicom::tags;

/// Stored values of one frame, pixels interleaved.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Unsigned, up to 8 bits.
    U8(Vec<u8>),
    /// Unsigned, up to 16 bits.
    U16(Vec<u16>),
    /// Signed, up to 16 bits.
    I16(Vec<i16>),
    /// Unsigned, up to 32 bits.
    U32(Vec<u32>),
    /// Signed, up to 32 bits.
    I32(Vec<i32>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// Calls `$body` with `$values` bound to the vector inside.
macro_rules! with_samples {
    ($samples:expr, $values:ident => $body:expr) => {
        match $samples {
            $crate::dicom::samples::Samples::U8($values) => $body,
            $crate::dicom::samples::Samples::U16($values) => $body,
            $crate::dicom::samples::Samples::I16($values) => $body,
            $crate::dicom::samples::Samples::U32($values) => $body,
            $crate::dicom::samples::Samples::I32($values) => $body,
            $crate::dicom::samples::Samples::F32($values) => $body,
            $crate::dicom::samples::Samples::F64($values) => $body,
        }
    };
}
pub(crate) use with_samples;

impl Samples {
    /// Number of values.
    pub fn len(&self) -> usize {
        with_samples!(self, values => values.len())
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values as double precision.
    #[expect(clippy::unnecessary_cast, clippy::cast_lossless, reason = "one arm is the identity")]
    ///
    /// # Errors
    /// When there is no memory.
    pub fn to_f64(&self) -> Result<Vec<f64>, MediaError> {
        with_samples!(self, values => gathered(values.len(), values.iter().map(|v| *v as f64)))
    }

    /// Smallest and largest value for which `keep` holds (NaN never does); `None` when none is left.
    #[expect(clippy::unnecessary_cast, clippy::cast_lossless, reason = "one arm is the identity")]
    pub fn range(&self, keep: impl Fn(f64) -> bool) -> Option<(f64, f64)> {
        let (low, high) = with_samples!(self, values => values
            .iter()
            .map(|v| *v as f64)
            .filter(|v| !v.is_nan() && keep(*v))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v))));
        (low <= high).then_some((low, high))
    }
}

/// The stored values of a frame that has been taken out of its encapsulation.
///
/// # Errors
/// When the number of samples is not what the format says.
pub(super) fn unpack(
    frame: codec::Frame,
    bit: usize,
    format: &Format,
) -> Result<(Samples, Option<bool>), MediaError> {
    match frame {
        codec::Frame::Native(bytes) => Ok((native(&bytes, bit, format)?, None)),
        codec::Frame::Interleaved(bytes) => {
            let format = Format { planar: false, ..format.clone() };
            Ok((native(&bytes, 0, &format)?, None))
        }
        codec::Frame::Decoded(decoded) => {
            let ybr = decoded.ybr;
            Ok((from_codestream(decoded, format)?, ybr))
        }
    }
}

/// Samples in little-endian order; the first begins at `bit` of the first byte (bit images only).
pub fn native(bytes: &[u8], bit: usize, format: &Format) -> Result<Samples, MediaError> {
    let count = format.pixels() * format.samples;
    let bits_needed = format.frame_bits() + bit;
    if bytes.len() * 8 < bits_needed {
        let problem = format!("{} bytes where a frame needs {}", bytes.len(), bits_needed.div_ceil(8));
        return Err(malformed(tags::PIXEL_DATA, problem));
    }
    let bytes = bytes.get(..bits_needed.div_ceil(8)).unwrap_or(bytes);
    let samples = match (format.stored, format.bits_allocated) {
        (Stored::Float, _) => {
            Samples::F32(gathered(count, words::<4>(bytes, false).map(f32::from_le_bytes))?)
        }
        (Stored::Double, _) => {
            Samples::F64(gathered(count, words::<8>(bytes, false).map(f64::from_le_bytes))?)
        }
        (_, 1) => {
            let value = |n: usize| bytes.get((bit + n) / 8).map_or(0, |b| b >> ((bit + n) % 8) & 1);
            Samples::U8(gathered(count, (0..count).map(value))?)
        }
        (_, 8) if format.photometric == Photometric::YbrFull422 => Samples::U8(spread_422(bytes, format)?),
        (_, 8) => integers(count, bytes.iter().map(|b| u32::from(*b)), format)?,
        (_, 16) if format.photometric == Photometric::YbrFull422 => {
            return Err(malformed(tags::BITS_ALLOCATED, "16 with YBR_FULL_422"));
        }
        (_, 16) => {
            let whole = format.bits_stored == 16;
            // The common cases without any arithmetic.
            match (whole, format.signed) {
                (true, true) => {
                    Samples::I16(gathered(count, words::<2>(bytes, false).map(i16::from_le_bytes))?)
                }
                (true, false) => {
                    Samples::U16(gathered(count, words::<2>(bytes, false).map(u16::from_le_bytes))?)
                }
                _ => integers(
                    count,
                    words::<2>(bytes, false).map(|b| u32::from(u16::from_le_bytes(b))),
                    format,
                )?,
            }
        }
        _ => integers(count, words::<4>(bytes, false).map(u32::from_le_bytes), format)?,
    };
    if format.planar { interleave(samples, format.pixels()) } else { Ok(samples) }
}

/// Masks to Bits Stored below High Bit (other bits may hold overlays) and extends the sign.
fn integers(count: usize, values: impl Iterator<Item = u32>, format: &Format) -> Result<Samples, MediaError> {
    let bits = u32::from(format.bits_stored);
    let shift = u32::from(format.high_bit) + 1 - bits;
    let unused = 32 - bits;
    Ok(match (format.signed, bits) {
        (false, ..=8) => {
            Samples::U8(gathered(count, values.map(|v| ((v >> shift) << unused >> unused) as u8))?)
        }
        (false, ..=16) => {
            Samples::U16(gathered(count, values.map(|v| ((v >> shift) << unused >> unused) as u16))?)
        }
        (false, _) => Samples::U32(gathered(count, values.map(|v| (v >> shift) << unused >> unused))?),
        (true, ..=16) => Samples::I16(gathered(
            count,
            values.map(|v| ((((v >> shift) << unused) as i32) >> unused) as i16),
        )?),
        (true, _) => {
            Samples::I32(gathered(count, values.map(|v| (((v >> shift) << unused) as i32) >> unused))?)
        }
    })
}

/// A codestream's samples. Its precision says how many bits are used; the data set says whether they
/// are signed, which is right when the two disagree (as pydicom and GDCM decide).
fn from_codestream(decoded: Decoded, format: &Format) -> Result<Samples, MediaError> {
    let precision = decoded.precision as u16;
    // A lossy codestream may overshoot Bits Stored a little; cutting bits off would wrap it around.
    let bits = if decoded.lossy { precision } else { precision.min(format.bits_stored) };
    let format = Format { bits_stored: bits, high_bit: bits.saturating_sub(1), ..format.clone() };
    match decoded.values {
        Words::U16(values) if bits == 16 && !format.signed => Ok(Samples::U16(values)),
        Words::U16(values) => integers(values.len(), values.into_iter().map(u32::from), &format),
        Words::I32(values) => integers(values.len(), values.into_iter().map(|v| v as u32), &format),
    }
}

/// YBR_FULL_422 (C.7.6.3.1.2): two luminances, then the differences that both share.
fn spread_422(bytes: &[u8], format: &Format) -> Result<Vec<u8>, MediaError> {
    let mut out = room(format.pixels() * 3)?;
    for &[y0, y1, cb, cr] in bytes.as_chunks::<4>().0 {
        out.extend_from_slice(&[y0, cb, cr, y1, cb, cr]);
    }
    Ok(out)
}

/// Planes to pixels.
fn interleave(samples: Samples, pixels: usize) -> Result<Samples, MediaError> {
    fn mix<T: Copy>(values: &[T], pixels: usize) -> Result<Vec<T>, MediaError> {
        let planes: Vec<&[T]> = values.chunks_exact(pixels.max(1)).collect();
        let mixed = (0..pixels).flat_map(|n| planes.iter().filter_map(move |plane| plane.get(n).copied()));
        gathered(values.len(), mixed)
    }
    Ok(match samples {
        Samples::U8(v) => Samples::U8(mix(&v, pixels)?),
        Samples::U16(v) => Samples::U16(mix(&v, pixels)?),
        Samples::I16(v) => Samples::I16(mix(&v, pixels)?),
        Samples::U32(v) => Samples::U32(mix(&v, pixels)?),
        Samples::I32(v) => Samples::I32(mix(&v, pixels)?),
        Samples::F32(v) => Samples::F32(mix(&v, pixels)?),
        Samples::F64(v) => Samples::F64(mix(&v, pixels)?),
    })
}
