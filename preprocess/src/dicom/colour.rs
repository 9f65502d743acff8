//! Colour samples to 8-bit RGB (PS3.3 C.7.6.3.1.2).

use super::format::{Format, Photometric};
use super::lut::Palette;
use super::samples::Samples;
use crate::jpeg::rgb_of_ycc;
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
        return Ok(samples.to_f64().iter().flat_map(|v| palette.colour(*v as i64)).collect());
    }
    let levels = to_8_bits(samples, format.bits_stored);
    // JPEG 2000's and JPEG XL's own transforms are undone by their decoders.
    let declared = matches!(format.photometric, Photometric::YbrFull | Photometric::YbrFull422);
    Ok(if ybr.unwrap_or(declared) { rgb_from_ybr(&levels) } else { levels })
}

fn to_8_bits(samples: &Samples, bits: u16) -> Vec<u8> {
    match samples {
        Samples::U8(values) if bits >= 8 => values.clone(),
        other => {
            let scale = 255.0 / ((1u64 << bits) - 1) as f64;
            other.to_f64().iter().map(|v| (v * scale).round_ties_even().clamp(0.0, 255.0) as u8).collect()
        }
    }
}

fn rgb_from_ybr(levels: &[u8]) -> Vec<u8> {
    let pixels = levels.as_chunks::<3>().0.iter();
    pixels.flat_map(|&[y, cb, cr]| rgb_of_ycc(y.into(), cb.into(), cr.into())).collect()
}
