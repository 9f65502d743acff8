//! JPEG 2000 and HTJ2K (ISO 15444-1, -15) through OpenJPEG's Rust port, after checking the SIZ marker.

use super::decoded::{Decoded, Expected, Words, damaged};
use loupe_core::limits::{filled, gathered};
use loupe_core::media::MediaError;

fn broken(field: &str, problem: &str) -> MediaError {
    damaged("JPEG 2000", field, problem)
}

/// Decodes one frame.
///
/// # Errors
/// When the header does not agree with `expected`, or the decoder gives up.
pub(super) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded, MediaError> {
    let precision = check_siz(bytes, expected)?;
    let image =
        jpeg2k::Image::from_bytes(bytes).map_err(|_| broken("codestream", "the decoder found it damaged"))?;
    let components = image.components();
    let fits = |c: &jpeg2k::ImageComponent| {
        (c.width() as usize, c.height() as usize) == (expected.width, expected.height)
            && c.data().len() == expected.width * expected.height
    };
    if components.len() != expected.components || !components.iter().all(fits) {
        return Err(broken("codestream", "decodes to another size than its header says"));
    }
    let values = match components {
        [one] => gathered(one.data().len(), one.data().iter().copied())?,
        many => {
            let mut values = filled(expected.width * expected.height * many.len(), 0i32)?;
            for (n, component) in many.iter().enumerate() {
                for (value, sample) in values.iter_mut().skip(n).step_by(many.len()).zip(component.data()) {
                    *value = *sample;
                }
            }
            values
        }
    };
    Ok(Decoded { values: Words::I32(values), precision, ybr: None, lossy: true })
}

/// Reads SIZ (A.5.1), which follows the start mark at once, also inside a JP2 box.
fn check_siz(bytes: &[u8], expected: &Expected) -> Result<u32, MediaError> {
    let start = bytes.windows(4).take(4096).position(|w| w == [0xFF, 0x4F, 0xFF, 0x51]);
    let start = start.ok_or_else(|| broken("SIZ", "no codestream found"))?;
    let field = |offset: usize| {
        let b = bytes.get(start + 8 + offset..start + 12 + offset)?;
        Some(u32::from_be_bytes(b.try_into().ok()?))
    };
    let fields: Option<Vec<u64>> = (0..8).map(|n| field(n * 4).map(u64::from)).collect();
    let fields = fields.ok_or_else(|| broken("SIZ", "ends early"))?;
    let [x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y] = fields[..] else {
        return Err(broken("SIZ", "ends early"));
    };
    let count = match bytes.get(start + 40..start + 42) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(broken("SIZ", "ends early")),
    };
    let parts = bytes.get(start + 42..start + 42 + count * 3).ok_or_else(|| broken("SIZ", "ends early"))?;
    let depth = parts.first().map_or(0, |s| u32::from(s & 0x7F) + 1);
    if parts.as_chunks::<3>().0.iter().any(|c| u32::from(c[0] & 0x7F) + 1 != depth || c[1] != 1 || c[2] != 1)
    {
        return Err(broken("SIZ", "components differ in depth or size"));
    }
    let (width, height) = (x1.saturating_sub(x0), y1.saturating_sub(y0));
    expected.check(width as usize, height as usize, count, depth)?;
    if tile_w == 0 || tile_h == 0 || tile_x > x0 || tile_y > y0 {
        return Err(broken("SIZ", "impossible tiles"));
    }
    // Decoders keep some kilobytes for each tile that the header announces.
    let tiles = (x1 - tile_x).div_ceil(tile_w).saturating_mul((y1 - tile_y).div_ceil(tile_h));
    if tiles > (width * height / 1024).max(64) {
        return Err(broken("SIZ", "more tiles than the picture can need"));
    }
    Ok(depth)
}
