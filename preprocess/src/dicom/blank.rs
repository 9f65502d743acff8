//! Pixels blanked by rule, where text is burned into them (PS3.15 E.3.1).
//!
//! Stored values change, so that nothing is left under an overlay. Frames that are compressed are decoded and written uncompressed.

use super::Image;
use super::format::{Format, Photometric, Stored};
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_dicom::deid::record_blanked;
use loupe_dicom::object::{Dataset, Object, malformed, unsupported};
use loupe_dicom::syntax::{self, Coding};
use loupe_dicom::{VR, tags};
use std::ops::Range;
use std::sync::Arc;

/// What is blanked, and of which images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blank {
    /// Everything outside the regions that an ultrasound image declares (Sequence of Ultrasound Regions). Other images have no such
    /// regions and stay as they are; an ultrasound image without them is refused.
    OutsideUltrasoundRegions,
    /// A rectangle of all frames.
    Rectangle {
        /// Columns, from 0, the last excluded.
        columns: Range<usize>,
        /// Rows, from 0, the last excluded.
        rows: Range<usize>,
        /// The images that it is meant for.
        of: Selection,
    },
}

/// Images by what they say about themselves; what is not named may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Modality.
    pub modality: Option<String>,
    /// Manufacturer's Model Name.
    pub model: Option<String>,
    /// Columns and rows.
    pub size: Option<[usize; 2]>,
}

impl Selection {
    fn holds(&self, data: &Dataset) -> bool {
        let is = |wanted: &Option<String>, tag| {
            wanted
                .as_ref()
                .is_none_or(|text| data.text(tag).is_some_and(|found| found.eq_ignore_ascii_case(text)))
        };
        let size = [tags::COLUMNS, tags::ROWS].map(|tag| data.integer(tag).unwrap_or(0) as usize);
        is(&self.modality, tags::MODALITY)
            && is(&self.model, tags::MANUFACTURER_MODEL_NAME)
            && self.size.is_none_or(|wanted| wanted == size)
    }
}

/// Blanks a copy by the rules, as `original` (the object before it was cleaned) says which apply. Says what a user should know, or
/// `None` when no rule applies.
///
/// # Errors
/// When a rule applies and cannot be carried out: the copy must then not be used.
pub fn blank(
    copy: &mut Object,
    original: &Dataset,
    rules: &[Blank],
    limits: &DecodeLimits,
) -> Result<Option<String>, MediaError> {
    let ultrasound = matches!(original.text(tags::MODALITY).as_deref(), Some("US" | "IVUS"))
        || original.get(tags::SEQUENCE_OF_ULTRASOUND_REGIONS).is_some();
    let applies = |rule: &&Blank| match rule {
        Blank::OutsideUltrasoundRegions => ultrasound,
        Blank::Rectangle { of, .. } => of.holds(original),
    };
    let has_pixels = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA]
        .iter()
        .any(|tag| copy.data.get(*tag).is_some());
    let rules: Vec<&Blank> = rules.iter().filter(applies).collect();
    if rules.is_empty() || !has_pixels {
        return Ok(None);
    }
    let image = Image::new(Arc::new(copy.clone()), limits)
        .map_err(|e| unsupported("blanking pixels of this image", e.to_string()))?;
    let format = image.format().clone();
    let mut black = vec![false; format.pixels()];
    for rule in rules {
        match rule {
            Blank::OutsideUltrasoundRegions => {
                let regions = regions(original, [format.columns, format.rows])?;
                paint(&mut black, format.columns, |x, y| {
                    !regions.iter().any(|[columns, rows]| columns.contains(&x) && rows.contains(&y))
                });
            }
            Blank::Rectangle { columns, rows, .. } => {
                if columns.end > format.columns || rows.end > format.rows {
                    let found = format!(
                        "{} × {} pixels, but a rectangle to be blanked ends at {}, {}",
                        format.columns, format.rows, columns.end, rows.end
                    );
                    return Err(malformed(tags::PIXEL_DATA, found));
                }
                paint(&mut black, format.columns, |x, y| columns.contains(&x) && rows.contains(&y));
            }
        }
    }
    let compressed = syntax::find(&copy.transfer_syntax).is_some_and(|row| row.2 != Coding::Native);
    let bytes = frames(&image, &black, limits)?;
    write(&mut copy.data, &image, bytes);
    if compressed {
        copy.transfer_syntax = syntax::EXPLICIT_LITTLE.to_owned();
    }
    record_blanked(&mut copy.data);
    Ok(Some(match compressed {
        true => "pixels were blanked by rule; its frames were compressed and are not any more".to_owned(),
        false => "pixels were blanked by rule".to_owned(),
    }))
}

fn paint(black: &mut [bool], columns: usize, inside: impl Fn(usize, usize) -> bool) {
    for (at, pixel) in black.iter_mut().enumerate() {
        *pixel |= inside(at % columns, at / columns);
    }
}

/// The declared regions, in pixels (PS3.3 C.8.5.5.1.1: both corners belong to a region).
fn regions(data: &Dataset, size: [usize; 2]) -> Result<Vec<[Range<usize>; 2]>, MediaError> {
    let corners = [
        [tags::REGION_LOCATION_MIN_X0, tags::REGION_LOCATION_MAX_X1],
        [tags::REGION_LOCATION_MIN_Y0, tags::REGION_LOCATION_MAX_Y1],
    ];
    let region = |item: &Dataset| {
        let side = |[first, last]: [loupe_dicom::Tag; 2]| {
            let corner = |tag| item.integer(tag).and_then(|v| usize::try_from(v).ok());
            Some(corner(first)?..corner(last)? + 1)
        };
        Some([side(corners[0])?, side(corners[1])?])
    };
    let tag = tags::SEQUENCE_OF_ULTRASOUND_REGIONS;
    let found: Option<Vec<_>> = data.items(tag).iter().map(region).collect();
    let found = found.ok_or_else(|| malformed(tag, "a region without its corners"))?;
    let inside = |[columns, rows]: &[Range<usize>; 2]| {
        !columns.is_empty() && !rows.is_empty() && columns.start < size[0] && rows.start < size[1]
    };
    match found.is_empty() || !found.iter().all(inside) {
        true => Err(malformed(
            tag,
            "no region inside the picture, so that everything would be blanked; name rectangles instead",
        )),
        false => Ok(found),
    }
}

/// All frames as stored samples, least significant byte first, those of `black` pixels without a picture.
fn frames(image: &Image, black: &[bool], limits: &DecodeLimits) -> Result<Vec<u8>, MediaError> {
    let format = image.format();
    let grey = format.photometric.is_grey() || format.photometric == Photometric::PaletteColor;
    let bits = usize::from(format.bits_allocated);
    if !grey && bits != 8 {
        return Err(unsupported(
            "blanking colours of more than 8 bits",
            "leave the file out, or blank it with another program",
        ));
    }
    let values = format.pixels().saturating_mul(format.frames).saturating_mul(format.samples);
    limits.memory(values, bits.div_ceil(8))?;
    let mut out = Vec::new();
    let mut ones: Vec<bool> = Vec::new();
    for frame in 0..format.frames {
        if !grey {
            let rgb = image.rgb(frame)?;
            out.extend(
                rgb.as_chunks::<3>()
                    .0
                    .iter()
                    .zip(black)
                    .flat_map(|(pixel, black)| if *black { [0; 3] } else { *pixel }),
            );
            continue;
        }
        let samples = image.stored(frame)?;
        if bits == 1 {
            let values = samples.to_f64()?;
            ones.extend(values.iter().zip(black).map(|(value, black)| !*black && *value != 0.0));
            continue;
        }
        let (low, high) = extremes(format);
        match format.stored {
            Stored::Integer => {
                let dark = dark(image, frame, black, [low, high])?;
                // The bits above Bits Stored may have held an overlay; now they are those of the number. What a lossy codec overshot
                // has no place among them.
                let shift = format.high_bit + 1 - format.bits_stored;
                for (value, black) in samples.to_f64()?.iter().zip(black) {
                    let value = if *black { dark } else { (*value as i64).clamp(low, high) } << shift;
                    out.extend_from_slice(value.to_le_bytes().get(..bits / 8).unwrap_or_default());
                }
            }
            Stored::Float => {
                for (value, black) in samples.to_f64()?.iter().zip(black) {
                    out.extend(if *black { 0f32 } else { *value as f32 }.to_le_bytes());
                }
            }
            Stored::Double => {
                for (value, black) in samples.to_f64()?.iter().zip(black) {
                    out.extend(if *black { 0f64 } else { *value }.to_le_bytes());
                }
            }
        }
    }
    if bits == 1 {
        out = ones
            .chunks(8)
            .map(|eight| eight.iter().enumerate().fold(0, |byte, (n, one)| byte | u8::from(*one) << n))
            .collect();
    }
    Ok(out)
}

/// What stands for black. Signed numbers reach far below anything in a picture (−32768 in a CT), and ranges and percentiles would
/// follow, so there it is the darkest number that stays in the frame.
fn dark(image: &Image, frame: usize, black: &[bool], [low, high]: [i64; 2]) -> Result<i64, MediaError> {
    let format = image.format();
    let inverted = format.photometric == Photometric::Monochrome1;
    let end = if inverted { high } else { low };
    if !format.signed || format.photometric == Photometric::PaletteColor {
        return Ok(end);
    }
    let samples = image.stored(frame)?.to_f64()?;
    let stays =
        samples.iter().zip(black).filter(|(_, black)| !**black).map(|(v, _)| (*v as i64).clamp(low, high));
    Ok(if inverted { stays.max() } else { stays.min() }.unwrap_or(0))
}

/// The least and the greatest number of Bits Stored.
fn extremes(format: &Format) -> (i64, i64) {
    let bits = format.bits_stored.clamp(1, 32);
    match format.signed {
        true => (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1),
        false => (0, (1i64 << bits) - 1),
    }
}

/// Puts the frames in place, with the attributes that say how they are laid out.
fn write(data: &mut Dataset, image: &Image, mut bytes: Vec<u8>) {
    let format = image.format();
    let grey = format.photometric.is_grey() || format.photometric == Photometric::PaletteColor;
    let (tag, vr, word) = match (format.stored, format.bits_allocated) {
        (Stored::Float, _) => (tags::FLOAT_PIXEL_DATA, VR::OF, 4),
        (Stored::Double, _) => (tags::DOUBLE_FLOAT_PIXEL_DATA, VR::OD, 8),
        (_, bits) => (tags::PIXEL_DATA, VR::OW, usize::from(bits / 8)),
    };
    if data.big_endian {
        // In words of 16 bits, two 8-bit samples stand in each.
        bytes.resize(bytes.len().div_ceil(2) * 2, 0);
        bytes.chunks_exact_mut(word.max(2)).for_each(<[u8]>::reverse);
    }
    data.retain(|e| {
        !matches!(
            e.tag,
            tags::EXTENDED_OFFSET_TABLE
                | tags::EXTENDED_OFFSET_TABLE_LENGTHS
                | tags::ENCAPSULATED_PIXEL_DATA_VALUE_TOTAL_LENGTH
        )
    });
    data.put_bytes(tag, vr, bytes);
    if !grey {
        data.put_text(tags::PHOTOMETRIC_INTERPRETATION, "RGB");
        data.put_shorts(tags::PLANAR_CONFIGURATION, &[0]);
    }
}
