//! RLE Lossless: PackBits on byte planes (PS3.5 annex G).

use super::decoded::{Expected, damaged};
use loupe_core::limits::{filled, room};
use loupe_core::media::MediaError;

/// The frame as uncompressed samples in little-endian order, pixels interleaved.
///
/// # Errors
/// When the header is impossible, or a segment does not fill its plane.
pub(super) fn decode(bytes: &[u8], expected: &Expected) -> Result<Vec<u8>, MediaError> {
    let bytes_each = usize::from(expected.bits_allocated.div_ceil(8));
    let pixels = expected.width * expected.height;
    // Bit images are one plane of packed bits.
    let (plane, planes) = match expected.bits_allocated {
        1 => (pixels.div_ceil(8), expected.components),
        _ => (pixels, expected.components * bytes_each),
    };
    let header = bytes.get(..64).ok_or_else(|| damaged("RLE", "header", "shorter than 64 bytes"))?;
    let mut words = header.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w) as usize);
    let count = words.next().unwrap_or(0);
    if count != planes {
        return Err(damaged("RLE", "header", &format!("{count} segments where the image needs {planes}")));
    }
    let offsets: Vec<usize> = words.take(count).collect();
    let stride = planes;
    let mut out = filled(plane * planes, 0u8)?;
    let mut scratch = room(plane)?;
    for (n, &start) in offsets.iter().enumerate() {
        let end = offsets.get(n + 1).copied().unwrap_or(bytes.len());
        let segment = bytes.get(start..end).filter(|_| start >= 64);
        let segment = segment.ok_or_else(|| damaged("RLE", "header", "a segment outside the frame"))?;
        unpack(segment, plane, &mut scratch)?;
        // Segments are ordered by sample, most significant byte first.
        let (sample, significance) = (n / bytes_each, n % bytes_each);
        let place = sample * bytes_each + (bytes_each - 1 - significance);
        if stride == 1 {
            out.copy_from_slice(&scratch);
        } else {
            for (target, byte) in out.chunks_exact_mut(stride).zip(&scratch) {
                target[place] = *byte;
            }
        }
    }
    Ok(out)
}

fn unpack(segment: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), MediaError> {
    out.clear();
    let mut at = 0;
    while out.len() < length {
        let short = || damaged("RLE", "segment", &format!("{} of {length} bytes", out.len()));
        let control = *segment.get(at).ok_or_else(short)?;
        at += 1;
        match control {
            0..=127 => {
                let count = usize::from(control) + 1;
                let literal = segment.get(at..at + count).ok_or_else(short)?;
                out.extend_from_slice(literal);
                at += count;
            }
            128 => {}
            129..=255 => {
                let byte = *segment.get(at).ok_or_else(short)?;
                out.resize(out.len() + 257 - usize::from(control), byte);
                at += 1;
            }
        }
    }
    // A run may pad the plane to an even number of bytes.
    out.truncate(length);
    Ok(())
}
