//! JPEG files: [`crate::jpeg`] with the colour rules of libjpeg (`jdapimin.c`) and of Pillow.

use super::facts::malformed;
use super::raster::rgb_of_cmyk;
use super::raster::{Raster, Samples};
use crate::jpeg::{self, Fault, Header, Jpeg, Pixels, rgb_of_planes, rgb_of_ycc};
use image::metadata::Orientation;
use loupe_core::limits::{DecodeLimits, gathered};
use loupe_core::media::MediaError;

const FORMAT: &str = "JPEG";

/// How the components are to be understood.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    Ycc,
    Cmyk,
    Ycck,
}

impl Colours {
    /// The markers decide, then the components' identifiers, then their number.
    fn of(decoded: &Jpeg) -> Option<Self> {
        Some(match (decoded.ids.as_slice(), decoded.jfif, decoded.adobe) {
            ([_], ..) => Self::Grey,
            ([_, _, _], true, _) => Self::Ycc,
            ([_, _, _], _, Some(0)) => Self::Rgb,
            ([_, _, _], _, Some(_)) => Self::Ycc,
            (b"RGB", ..) => Self::Rgb,
            ([_, _, _], ..) if decoded.lossless => Self::Rgb,
            ([_, _, _], ..) => Self::Ycc,
            ([_, _, _, _], _, None | Some(0)) => Self::Cmyk,
            ([_, _, _, _], ..) => Self::Ycck,
            _ => return None,
        })
    }
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, MediaError> {
    let wanted = |header: &Header| {
        let count = limits.pixels(&[header.width as u64, header.height as u64])?;
        // And the picture, twice where it is turned or its inks are mixed.
        let sample = jpeg::BYTES_A_SAMPLE + 3;
        limits.together(&[(bytes.len(), 1), (count, header.components.max(3) * sample)]).map(drop)
    };
    let mut decoded = jpeg::decode(bytes, wanted).map_err(|fault| match fault {
        Fault::Broken { field, problem } => malformed(FORMAT, field, problem),
        Fault::Process(what) => unsupported(what),
        Fault::Unwanted(error) => error,
    })?;
    let Header { width, height, precision, .. } = decoded.header;
    let colours = Colours::of(&decoded)
        .ok_or_else(|| unsupported("JPEG with a number of components other than 1, 3 and 4"))?;
    let orientation = decoded.exif.take().and_then(|exif| Orientation::from_exif_chunk(&exif));
    let raster = |channels, samples| Raster {
        width,
        height,
        channels,
        samples,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        frame: None,
        others: 0,
    };
    if colours == Colours::Grey && precision != 8 {
        // Levels over the whole of 16 bits, as pictures of that depth have them.
        let widen = |v: u16| (u32::from(v) * 65_535 / ((1 << precision) - 1)) as u16;
        let values = match decoded.pixels {
            Pixels::Planes(mut planes) => planes.pop().unwrap_or_default(),
            Pixels::Interleaved(values) => values,
        };
        let widened = gathered(values.len(), values.into_iter().map(widen))?;
        return Ok(raster(1, Samples::Word(widened)));
    }
    if precision != 8 {
        return Err(unsupported("colour JPEG of other than 8 bits"));
    }
    let (channels, pixels) = match decoded.pixels {
        Pixels::Planes(planes) => from_planes(&planes, colours)?,
        Pixels::Interleaved(values) => from_planes(&planes_of(&values, decoded.header.components)?, colours)?,
    };
    Ok(raster(channels, Samples::Byte(pixels)))
}

fn unsupported(what: &str) -> MediaError {
    MediaError::Unsupported { what: what.to_owned(), hint: "convert the picture to PNG".into() }
}

pub(super) fn planes_of(values: &[u16], count: usize) -> Result<Vec<Vec<u16>>, MediaError> {
    let each = values.len().div_ceil(count.max(1));
    (0..count).map(|n| gathered(each, values.iter().skip(n).step_by(count).copied())).collect()
}

/// 8-bit grey or RGB, pixels interleaved.
pub(super) fn from_planes(planes: &[Vec<u16>], colours: Colours) -> Result<(usize, Vec<u8>), MediaError> {
    let each = planes.first().map_or(0, Vec::len);
    Ok(match (planes, colours) {
        ([y, cb, cr], Colours::Ycc) => (3, rgb_of_planes([y, cb, cr])?),
        ([a, b, c], _) => {
            let pixels = a.iter().zip(b).zip(c);
            let pixels = pixels.flat_map(|((r, g), b)| [*r as u8, *g as u8, *b as u8]);
            (3, gathered(3 * each, pixels)?)
        }
        ([a, b, c, d], colours) => {
            // Pillow takes the inks to be stored inverted, as Adobe does; so does this.
            let pixels = a.iter().zip(b).zip(c).zip(d).flat_map(|(((a, b), c), k)| {
                let [c, m, y] = match colours {
                    Colours::Ycck => rgb_of_ycc(i32::from(*a), i32::from(*b), i32::from(*c)),
                    _ => [a, b, c].map(|v| 255 - *v as u8),
                };
                [c, m, y, 255 - *k as u8]
            });
            (3, rgb_of_cmyk(&gathered(4 * each, pixels)?)?)
        }
        (planes, _) => {
            let grey = planes.first().map(Vec::as_slice).unwrap_or_default();
            (1, gathered(each, grey.iter().map(|v| *v as u8))?)
        }
    })
}
