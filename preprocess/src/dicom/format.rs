//! The image pixel attributes (PS3.3 C.7.6.3) read and checked before anything is allocated.

use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_dicom::object::{Dataset, Object, malformed, unsupported};
use loupe_dicom::{Tag, tags};
use serde::Serialize;

/// Photometric Interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Photometric {
    /// Low values are white.
    Monochrome1,
    /// Low values are black.
    Monochrome2,
    /// Indices into the file's palette.
    PaletteColor,
    /// Red, green, blue.
    Rgb,
    /// Luminance and colour differences, full range.
    YbrFull,
    /// The same with colour differences for every other column.
    YbrFull422,
    /// JPEG 2000's irreversible transform.
    YbrIct,
    /// JPEG 2000's reversible transform.
    YbrRct,
    /// JPEG XL's own.
    Xyb,
}

impl Photometric {
    /// One value a pixel that a window applies to?
    pub fn is_grey(self) -> bool {
        matches!(self, Self::Monochrome1 | Self::Monochrome2)
    }
}

/// Type of a stored sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// Integers of `bits_stored` bits within `bits_allocated`.
    Integer,
    /// Float Pixel Data (7FE0,0008).
    Float,
    /// Double Float Pixel Data (7FE0,0009).
    Double,
}

/// Size and layout of the frames of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Format {
    /// Rows of a frame.
    pub rows: usize,
    /// Columns of a frame.
    pub columns: usize,
    /// Number of frames.
    pub frames: usize,
    /// Values a pixel: 1 or 3.
    pub samples: usize,
    /// 1, 8, 16, 32 or 64.
    pub bits_allocated: u16,
    /// Bits in use.
    pub bits_stored: u16,
    /// Position of the most significant bit in use.
    pub high_bit: u16,
    /// Two's complement?
    pub signed: bool,
    /// Colour by plane (true) or by pixel.
    pub planar: bool,
    /// Meaning of the samples.
    pub photometric: Photometric,
    /// Type of the samples.
    pub stored: Stored,
}

impl Format {
    /// In words: `12 of 16 bits, signed`.
    pub fn describe(&self) -> String {
        let sign = if self.signed { ", signed" } else { "" };
        let kind = match self.stored {
            Stored::Integer => format!("{} of {} bits{sign}", self.bits_stored, self.bits_allocated),
            Stored::Float => "float32".to_owned(),
            Stored::Double => "float64".to_owned(),
        };
        if self.samples == 1 { kind } else { format!("{kind}, {} channels", self.samples) }
    }

    /// Reads and checks the attributes.
    ///
    /// # Errors
    /// Names the attribute that is missing, impossible or beyond the limits.
    pub fn read(object: &Object, limits: &DecodeLimits) -> Result<Self, MediaError> {
        let data = &object.data;
        let stored = if data.get(tags::PIXEL_DATA).is_some() {
            Stored::Integer
        } else if data.get(tags::FLOAT_PIXEL_DATA).is_some() {
            Stored::Float
        } else if data.get(tags::DOUBLE_FLOAT_PIXEL_DATA).is_some() {
            Stored::Double
        } else if let Some(tag) = object.truncated_in {
            return Err(malformed(
                tags::PIXEL_DATA,
                format!("absent: {}", loupe_dicom::parse::truncation_note(tag)),
            ));
        } else {
            return Err(malformed(tags::PIXEL_DATA, "absent: this object holds no image"));
        };
        let rows = count(data, tags::ROWS, None)?;
        let columns = count(data, tags::COLUMNS, None)?;
        // Some writers put 0 for the one frame there is; pydicom takes it so too.
        let frames = match data.integer(tags::NUMBER_OF_FRAMES) {
            Some(0) => 1,
            _ => count(data, tags::NUMBER_OF_FRAMES, Some(1))?,
        };
        let samples = count(data, tags::SAMPLES_PER_PIXEL, Some(1))?;
        if samples != 1 && samples != 3 {
            return Err(malformed(tags::SAMPLES_PER_PIXEL, format!("{samples}; images have 1 or 3")));
        }
        let photometric = photometric(data, samples)?;
        let colour = !matches!(photometric, p if p.is_grey() || p == Photometric::PaletteColor);
        if colour != (samples == 3) {
            let name = data.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default();
            // Only the standard's own words are repeated.
            let name = if NAMES.iter().any(|(n, _)| *n == name) { name } else { "this".to_owned() };
            return Err(malformed(tags::SAMPLES_PER_PIXEL, format!("{samples} does not go with {name}")));
        }
        let default_bits = match stored {
            Stored::Integer => None,
            Stored::Float => Some(32),
            Stored::Double => Some(64),
        };
        let bits_allocated = bits(data, tags::BITS_ALLOCATED, default_bits)?;
        let allowed: &[u16] = match stored {
            Stored::Integer => &[1, 8, 16, 32],
            Stored::Float => &[32],
            Stored::Double => &[64],
        };
        if !allowed.contains(&bits_allocated) {
            return Err(malformed(
                tags::BITS_ALLOCATED,
                format!("{bits_allocated}; {allowed:?} can be read"),
            ));
        }
        let bits_stored = match stored {
            Stored::Integer => bits(data, tags::BITS_STORED, Some(bits_allocated))?,
            _ => bits_allocated,
        };
        if bits_stored == 0 || bits_stored > bits_allocated {
            let problem = format!("{bits_stored} with {bits_allocated} bits allocated");
            return Err(malformed(tags::BITS_STORED, problem));
        }
        let high_bit = match stored {
            Stored::Integer => bits(data, tags::HIGH_BIT, Some(bits_stored - 1))?,
            _ => bits_allocated - 1,
        };
        if high_bit >= bits_allocated || high_bit + 1 < bits_stored {
            let problem = format!("{high_bit} with {bits_stored} of {bits_allocated} bits stored");
            return Err(malformed(tags::HIGH_BIT, problem));
        }
        let representation = data.integer(tags::PIXEL_REPRESENTATION).unwrap_or(0);
        if !(0..=1).contains(&representation) {
            return Err(malformed(
                tags::PIXEL_REPRESENTATION,
                format!("{representation}; 0 and 1 are defined"),
            ));
        }
        let planar = data.integer(tags::PLANAR_CONFIGURATION).unwrap_or(0);
        if !(0..=1).contains(&planar) {
            return Err(malformed(tags::PLANAR_CONFIGURATION, format!("{planar}; 0 and 1 are defined")));
        }
        limits.pixels(&[rows as u64, columns as u64, frames as u64])?;
        limits.memory(rows * columns * samples, usize::from(bits_allocated.div_ceil(8)))?;
        Ok(Self {
            rows,
            columns,
            frames,
            samples,
            bits_allocated,
            bits_stored,
            high_bit,
            signed: representation == 1,
            planar: planar == 1 && samples == 3,
            photometric,
            stored,
        })
    }

    /// Pixels of a frame.
    pub fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// Bits of an uncompressed frame (frames of bit images need not fill whole bytes).
    pub fn frame_bits(&self) -> usize {
        let per_pixel = match self.photometric {
            // Two luminances share one pair of colour differences.
            Photometric::YbrFull422 => 2,
            _ => self.samples,
        };
        self.pixels() * per_pixel * usize::from(self.bits_allocated)
    }
}

const NAMES: &[(&str, Photometric)] = &[
    ("MONOCHROME1", Photometric::Monochrome1),
    ("MONOCHROME2", Photometric::Monochrome2),
    ("PALETTE COLOR", Photometric::PaletteColor),
    ("RGB", Photometric::Rgb),
    ("YBR_FULL", Photometric::YbrFull),
    ("YBR_FULL_422", Photometric::YbrFull422),
    ("YBR_ICT", Photometric::YbrIct),
    ("YBR_RCT", Photometric::YbrRct),
    ("XYB", Photometric::Xyb),
];

fn photometric(data: &Dataset, samples: usize) -> Result<Photometric, MediaError> {
    const RETIRED: [&str; 5] = ["YBR_PARTIAL_422", "YBR_PARTIAL_420", "HSV", "ARGB", "CMYK"];
    let Some(name) = data.text(tags::PHOTOMETRIC_INTERPRETATION) else {
        return match samples {
            // Required, but parametric maps and old files leave it out; one sample can only be grey.
            1 => Ok(Photometric::Monochrome2),
            _ => Err(malformed(tags::PHOTOMETRIC_INTERPRETATION, "absent")),
        };
    };
    if let Some(retired) = RETIRED.iter().find(|n| **n == name) {
        let hint = "convert the file to RGB with the tool that made it";
        return Err(unsupported(format!("photometric interpretation {retired}"), hint));
    }
    let found = NAMES.iter().find(|(n, _)| *n == name);
    found.map(|(_, p)| *p).ok_or_else(|| {
        malformed(tags::PHOTOMETRIC_INTERPRETATION, "a value that PS3.3 C.7.6.3.1.2 does not define")
    })
}

fn count(data: &Dataset, tag: Tag, default: Option<usize>) -> Result<usize, MediaError> {
    let value = match (data.bytes(tag), default) {
        (None, Some(default)) => return Ok(default),
        (None, None) => return Err(malformed(tag, "absent")),
        (Some(_), _) => data.integer(tag).ok_or_else(|| malformed(tag, "not a whole number"))?,
    };
    match usize::try_from(value) {
        Ok(n) if (1..=i32::MAX as usize).contains(&n) => Ok(n),
        _ => Err(malformed(tag, format!("{value} is not possible"))),
    }
}

fn bits(data: &Dataset, tag: Tag, default: Option<u16>) -> Result<u16, MediaError> {
    let value = match (data.integer(tag), default) {
        (Some(value), _) => value,
        (None, Some(default)) => return Ok(default),
        (None, None) => return Err(malformed(tag, "absent or not a whole number")),
    };
    u16::try_from(value).map_err(|_| malformed(tag, format!("{value} is not possible")))
}
