//! Colour samples to 8-bit RGB (PS3.3 C.7.6.3.1.2).

use super::format::{Format, Photometric};
use super::lut::Palette;
use super::samples::Samples;
use crate::jpeg::rgb_of_ycc;
use loupe_core::limits::gathered;
use loupe_core::media::MediaError;
use loupe_dicom::object::Object;

/// RGB of a frame whose photometric interpretation is not grey. `ybr` is what the codestream itself
/// says about its colours, which is right when the attribute disagrees.
///
/// # Errors
/// When a palette is broken.
pub(super) fn to_rgb(
    object: &Object,
    format: &Format,
    samples: &Samples,
    ybr: Option<bool>,
) -> Result<Vec<u8>, MediaError> {
    if format.photometric == Photometric::PaletteColor {
        let palette = Palette::read(&object.data, format.signed)?;
        let colours = samples.to_f64()?.into_iter().flat_map(|v| palette.colour(v as i64));
        return gathered(3 * samples.len(), colours);
    }
    let levels = to_8_bits(samples, format.bits_stored)?;
    // JPEG 2000's and JPEG XL's own transforms are undone by their decoders.
    let declared = matches!(format.photometric, Photometric::YbrFull | Photometric::YbrFull422);
    if ybr.unwrap_or(declared) { rgb_from_ybr(&levels) } else { Ok(levels) }
}

fn to_8_bits(samples: &Samples, bits: u16) -> Result<Vec<u8>, MediaError> {
    match samples {
        Samples::U8(values) if bits >= 8 => gathered(values.len(), values.iter().copied()),
        other => {
            let scale = 255.0 / ((1u64 << bits) - 1) as f64;
            let level = |v: f64| (v * scale).round_ties_even().clamp(0.0, 255.0) as u8;
            gathered(other.len(), other.to_f64()?.into_iter().map(level))
        }
    }
}

fn rgb_from_ybr(levels: &[u8]) -> Result<Vec<u8>, MediaError> {
    let pixels = levels.as_chunks::<3>().0.iter();
    gathered(levels.len(), pixels.flat_map(|&[y, cb, cr]| rgb_of_ycc(y.into(), cb.into(), cr.into())))
}
