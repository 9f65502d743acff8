//! JPEG files: [`crate::jpeg`] with the colour rules of libjpeg (`jdapimin.c`) and of Pillow.

use super::facts::malformed;
use super::raster::rgb_of_cmyk;
use super::raster::{Raster, Samples};
use crate::jpeg::{self, About, Fault, Header, Lines, rgb_line, rgb_of_ycc};
use image::metadata::Orientation;
use loupe_core::limits::{DecodeLimits, filled, room};
use loupe_core::media::MediaError;

const FORMAT: &str = "JPEG";

/// How the components are to be understood.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    Ycc,
    /// Inks that are stored inverted, as Adobe does and Pillow takes them to be.
    Cmyk,
    Ycck,
    /// Inks as they are.
    Inks,
}

impl Colours {
    /// The markers decide, then the components' identifiers, then their number.
    fn of(about: &About) -> Option<Self> {
        Some(match (about.ids.as_slice(), about.jfif, about.adobe) {
            ([_], ..) => Self::Grey,
            ([_, _, _], true, _) => Self::Ycc,
            ([_, _, _], _, Some(0)) => Self::Rgb,
            ([_, _, _], _, Some(_)) => Self::Ycc,
            (b"RGB", ..) => Self::Rgb,
            ([_, _, _], ..) if about.lossless => Self::Rgb,
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
    let begin = |about: &About| {
        let colours = Colours::of(about)
            .ok_or_else(|| unsupported("JPEG with a number of components other than 1, 3 and 4"))?;
        let Header { width, height, precision, .. } = about.header;
        match (colours, precision) {
            (_, 8) => Ok(Taken::Bytes(Bytes::new(colours, [width, height])?)),
            (Colours::Grey, _) => Ok(Taken::Levels(room(width * height)?, precision)),
            _ => Err(unsupported("colour JPEG of other than 8 bits")),
        }
    };
    let (about, taken) = jpeg::decode(bytes, wanted, begin).map_err(|fault| match fault {
        Fault::Broken { field, problem } => malformed(FORMAT, field, problem),
        Fault::Process(what) => unsupported(what),
        Fault::Unwanted(error) => error,
    })?;
    let Header { width, height, .. } = about.header;
    let orientation = about.exif.and_then(|exif| Orientation::from_exif_chunk(&exif));
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let (channels, samples) = match taken {
        Taken::Bytes(Bytes { channels, pixels, .. }) => (channels, Samples::Byte(pixels)),
        Taken::Levels(values, _) => (1, Samples::Word(values)),
    };
    Ok(Raster { width, height, channels, samples, orientation, frame: None, others: 0 })
}

fn unsupported(what: &str) -> MediaError {
    MediaError::Unsupported { what: what.to_owned(), hint: "convert the picture to PNG".into() }
}

/// What takes the lines of a file.
enum Taken {
    Bytes(Bytes),
    /// Grey of more or fewer than 8 bits.
    Levels(Vec<u16>, u32),
}

impl Lines for Taken {
    fn line(&mut self, components: &[&[u16]]) -> Result<(), MediaError> {
        match self {
            Self::Bytes(bytes) => bytes.line(components)?,
            Self::Levels(values, precision) => {
                // Levels over the whole of 16 bits, as pictures of that depth have them.
                let most = (1 << *precision) - 1;
                let line = components.first().copied().unwrap_or_default();
                values.extend(line.iter().map(|v| (u32::from(*v) * 65_535 / most) as u16));
            }
        }
        Ok(())
    }
}

/// 8-bit grey or RGB, pixels interleaved.
pub(super) struct Bytes {
    colours: Colours,
    pub(super) channels: usize,
    pub(super) pixels: Vec<u8>,
    /// A line on its way: a colour after the other, or the inks of pixel after pixel.
    apart: Vec<u8>,
    together: Vec<u8>,
}

impl Bytes {
    pub(super) fn new(colours: Colours, [width, height]: [usize; 2]) -> Result<Self, MediaError> {
        let channels = if colours == Colours::Grey { 1 } else { 3 };
        let (apart, together) = (filled(4 * width, 0)?, filled(3 * width, 0)?);
        Ok(Self { colours, channels, pixels: room(width * height * channels)?, apart, together })
    }
}

impl Lines for Bytes {
    fn line(&mut self, components: &[&[u16]]) -> Result<(), MediaError> {
        let Self { colours, pixels, apart, together, .. } = self;
        match (components, colours) {
            (&[y, cb, cr], Colours::Ycc) => {
                let width = apart.len() / 4;
                let (r, rest) = apart.split_at_mut(width);
                let (g, b) = rest.split_at_mut(width);
                rgb_line([y, cb, cr], [r, g, b]);
                pulp::Arch::new().dispatch(Together { colours: [r, g, b], out: together });
                pixels.extend_from_slice(together);
            }
            (&[a, b, c], _) => {
                let line = a.iter().zip(b).zip(c);
                pixels.extend(line.flat_map(|((r, g), b)| [*r as u8, *g as u8, *b as u8]));
            }
            (&[a, b, c, d], colours) => {
                let line = a.iter().zip(b).zip(c).zip(d);
                for (inks, (((a, b), c), k)) in apart.as_chunks_mut::<4>().0.iter_mut().zip(line) {
                    let [c, m, y] = match colours {
                        Colours::Ycck => rgb_of_ycc(i32::from(*a), i32::from(*b), i32::from(*c)),
                        Colours::Inks => [a, b, c].map(|v| *v as u8),
                        _ => [a, b, c].map(|v| 255 - *v as u8),
                    };
                    let k = *k as u8;
                    *inks = [c, m, y, if *colours == Colours::Inks { k } else { 255 - k }];
                }
                pixels.extend(rgb_of_cmyk(apart)?);
            }
            (components, _) => {
                let line = components.first().copied().unwrap_or_default();
                pixels.extend(line.iter().map(|v| *v as u8));
            }
        }
        Ok(())
    }
}

/// Colours side by side to pixels.
struct Together<'a> {
    colours: [&'a [u8]; 3],
    out: &'a mut [u8],
}

impl pulp::WithSimd for Together<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let [r, g, b] = self.colours;
        for (pixel, ((r, g), b)) in self.out.as_chunks_mut::<3>().0.iter_mut().zip(r.iter().zip(g).zip(b)) {
            *pixel = [*r, *g, *b];
        }
    }
}
