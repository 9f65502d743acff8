//! TIFF by page: what microscopes, scanners and research exports write.

use super::facts::{PictureFacts, malformed};
use super::raster::rgb_of_cmyk;
use super::raster::{Raster, Samples};
use super::tiff_jpeg;
use image::metadata::Orientation;
use loupe_core::limits::{DecodeLimits, gathered, room};
use loupe_core::media::MediaError;
use std::collections::HashSet;
use std::io::Cursor;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

const FORMAT: &str = "TIFF";

fn refused(error: &TiffError, limits: &DecodeLimits) -> MediaError {
    match error {
        // How much it would have been is not said.
        TiffError::LimitsExceeded => MediaError::Limit {
            what: "the memory needed in bytes",
            got: limits.max_memory_bytes.saturating_add(1),
            limit: limits.max_memory_bytes,
            option: "--max-memory",
        },
        TiffError::UnsupportedError(what) => MediaError::Unsupported {
            what: format!("TIFF: {what}"),
            hint: "convert the picture to 8- or 16-bit grey or RGB without compression or with LZW".into(),
        },
        other => malformed(FORMAT, "image file directory", other.to_string()),
    }
}

fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Decoder<Cursor<&'a [u8]>>, MediaError> {
    let most = usize::try_from(limits.max_memory_bytes).unwrap_or(usize::MAX);
    let mut bound = tiff::decoder::Limits::default();
    bound.decoding_buffer_size = most;
    bound.intermediate_buffer_size = most;
    bound.ifd_value_size = bytes.len();
    Ok(Decoder::new(Cursor::new(bytes)).map_err(|e| refused(&e, limits))?.with_limits(bound))
}

/// Pages of the chain: its links alone are followed, each directory once.
fn pages(bytes: &[u8]) -> usize {
    let big = bytes.first() == Some(&b'M');
    let number = |at: u64, size: usize| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let digits = bytes.get(at..at.checked_add(size)?)?.iter();
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if big { digits.fold(0, add) } else { digits.rev().fold(0, add) })
    };
    // TIFF 6.0 section 2, and BigTIFF with its eight-byte offsets.
    let (first, count_size, entry, link) =
        if number(2, 2) == Some(43) { (8, 8, 20, 8) } else { (4, 2, 12, 4) };
    let mut seen = HashSet::new();
    let mut next = number(first, link);
    while let Some(at) = next.filter(|at| *at != 0 && seen.insert(*at)) {
        let end = number(at, count_size).and_then(|n| n.checked_mul(entry)?.checked_add(count_size as u64));
        next = end.and_then(|end| number(at.checked_add(end)?, link));
    }
    seen.len().max(1)
}

fn orientation(decoder: &mut Decoder<Cursor<&[u8]>>) -> Orientation {
    let tag = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    tag.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

pub(super) fn facts(bytes: &[u8], limits: &DecodeLimits) -> Result<PictureFacts, MediaError> {
    let mut decoder = open(bytes, limits)?;
    let (width, height) = decoder.dimensions().map_err(|e| refused(&e, limits))?;
    let kind = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).ok().flatten();
    let bits = decoder.find_tag_unsigned_vec::<u8>(Tag::BitsPerSample).ok().flatten();
    let colour = match (kind, bits.as_deref()) {
        (Some(PALETTE), Some([bits, ..])) => ColorType::Palette(*bits),
        _ => decoder.colortype().map_err(|e| refused(&e, limits))?,
    };
    let exif_orientation = orientation(&mut decoder).to_exif();
    let icc_profile = decoder.find_tag(Tag::IccProfile).ok().flatten().is_some();
    Ok(PictureFacts {
        format: FORMAT,
        width: width as usize,
        height: height as usize,
        channels: usize::from(colour.num_samples()),
        bits: usize::from(colour.bit_depth()),
        frames: pages(bytes),
        exif_orientation,
        icc_profile,
    })
}

/// Page `page`, from 0. Palettes, which the decoder does not know, are read as grey indices and
/// looked up here: the high byte of each entry, as Pillow takes it.
pub(super) fn decode(bytes: &[u8], page: usize, limits: &DecodeLimits) -> Result<Raster, MediaError> {
    let mut decoder = at_page(bytes, page, limits)?;
    let kind = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).ok().flatten();
    if kind != Some(PALETTE) {
        return decode_page(bytes, decoder, page, limits);
    }
    let colours = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(|e| refused(&e, limits))?;
    let ifd = decoder.ifd_pointer().and_then(|p| usize::try_from(p.0).ok()).unwrap_or(usize::MAX);
    let grey = as_grey(bytes, ifd)
        .ok_or_else(|| malformed(FORMAT, "PhotometricInterpretation", "cannot be read"))?;
    let mut indexed = decode_page(&grey, at_page(&grey, page, limits)?, page, limits)?;
    let entries = colours.len() / 3;
    let (1, Samples::Byte(pixels)) = (indexed.channels, &indexed.samples) else {
        return Err(malformed(FORMAT, "ColorMap", "belongs to pixels of up to 8 bits"));
    };
    // Fewer than 8 bits were spread over 0 to 255.
    let spread = 255 / (entries.clamp(2, 256) - 1);
    limits.together(&[(bytes.len(), 2), (pixels.len(), 1 + 3 + 3)])?;
    let mut rgb = room(3 * pixels.len())?;
    for &pixel in pixels {
        for colour in colours.chunks_exact(entries.max(1)).take(3) {
            let entry = colour.get(usize::from(pixel) / spread);
            rgb.push(entry.map_or(0, |v| (v >> 8) as u8));
        }
    }
    if entries == 0 || rgb.len() != 3 * pixels.len() {
        return Err(malformed(FORMAT, "ColorMap", "does not hold three colours an entry"));
    }
    (indexed.channels, indexed.samples) = (3, Samples::Byte(rgb));
    Ok(indexed)
}

/// `PhotometricInterpretation` of palettes.
const PALETTE: u16 = 3;

/// The file with the page's photometric interpretation set to grey; `None` for BigTIFF and breakage.
fn as_grey(bytes: &[u8], ifd: usize) -> Option<Vec<u8>> {
    let big = bytes.first() == Some(&b'M');
    let word = |at: usize| {
        let pair = [*bytes.get(at)?, *bytes.get(at + 1)?];
        Some(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    let count = usize::from(word(ifd)?);
    let entry = (0..count).map(|n| ifd + 2 + 12 * n).find(|&at| word(at) == Some(262))?;
    let mut copy = bytes.to_vec();
    let grey: [u8; 2] = if big { 1u16.to_be_bytes() } else { 1u16.to_le_bytes() };
    copy.get_mut(entry + 8..entry + 10)?.copy_from_slice(&grey);
    Some(copy)
}

fn at_page<'a>(
    bytes: &'a [u8],
    page: usize,
    limits: &DecodeLimits,
) -> Result<Decoder<Cursor<&'a [u8]>>, MediaError> {
    let mut decoder = open(bytes, limits)?;
    if page > 0 && decoder.seek_to_image(page).is_err() {
        let pages = pages(bytes);
        return Err(MediaError::View(format!(
            "page {page} was asked for, but the TIFF file has {pages} (counted from 0)"
        )));
    }
    Ok(decoder)
}

fn decode_page(
    bytes: &[u8],
    mut decoder: Decoder<Cursor<&[u8]>>,
    page: usize,
    limits: &DecodeLimits,
) -> Result<Raster, MediaError> {
    let (width, height) = decoder.dimensions().map_err(|e| refused(&e, limits))?;
    let count = limits.pixels(&[width.into(), height.into()])?;
    let (width, height) = (width as usize, height as usize);
    let others = pages(bytes) - 1;
    let colour = decoder.colortype().map_err(|e| refused(&e, limits))?;
    let stored = usize::from(colour.num_samples());
    let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).ok().flatten();
    if compression == Some(tiff_jpeg::JPEG) && colour.bit_depth() == 8 {
        let orientation = orientation(&mut decoder);
        let (channels, pixels) = tiff_jpeg::decode(bytes, &mut decoder, limits)?;
        let samples = Samples::Byte(pixels);
        return Ok(Raster { width, height, channels, samples, orientation, frame: Some(page), others });
    }
    let unsupported = || MediaError::Unsupported {
        what: format!("TIFF with pixels of type {colour:?}"),
        hint: "convert the picture to 8- or 16-bit grey or RGB".into(),
    };
    let channels = match colour {
        ColorType::Gray(_) | ColorType::RGB(_) | ColorType::GrayA(_) | ColorType::RGBA(_) => stored,
        ColorType::Multiband { num_samples: 2, .. } => 2,
        ColorType::CMYK(8) => 4,
        _ => return Err(unsupported()),
    };
    // Samples as stored, once more side by side or inflated, as intensities, and the result turned.
    let sample = usize::from(colour.bit_depth()).div_ceil(8);
    limits
        .together(&[(bytes.len(), 1), (count.saturating_mul(channels), 2 * sample + size_of::<f32>() + 2)])?;
    let orientation = orientation(&mut decoder);
    let mut data = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut data).map_err(|e| refused(&e, limits))?;
    if data.as_buffer(0).as_bytes().len() < layout.complete_len {
        return Err(malformed(FORMAT, "planes", "not all colour planes could be read"));
    }
    let planes = if layout.planes > 1 { stored } else { 1 };
    let bits = usize::from(colour.bit_depth());
    let samples = match data {
        DecodingResult::U8(v) if bits < 8 => Samples::Byte(unpacked(&v, width * channels, height, bits)?),
        DecodingResult::U8(v) => Samples::Byte(interleaved(v, planes)?),
        DecodingResult::U16(v) => Samples::Word(interleaved(v, planes)?),
        DecodingResult::I8(v) => floats(v, planes, f32::from)?,
        DecodingResult::I16(v) => floats(v, planes, f32::from)?,
        DecodingResult::U32(v) => floats(v, planes, |n| n as f32)?,
        DecodingResult::I32(v) => floats(v, planes, |n| n as f32)?,
        DecodingResult::F32(v) => floats(v, planes, |n| n)?,
        DecodingResult::F64(v) => floats(v, planes, |n| n as f32)?,
        _ => return Err(unsupported()),
    };
    let got = match &samples {
        Samples::Byte(v) => v.len(),
        Samples::Word(v) => v.len(),
        Samples::Float(v) => v.len(),
    };
    if got != count * channels {
        return Err(malformed(
            FORMAT,
            "strips or tiles",
            format!("{got} samples, expected {}", count * channels),
        ));
    }
    let (channels, samples) = match (colour, samples) {
        (ColorType::CMYK(8), Samples::Byte(v)) => (3, Samples::Byte(rgb_of_cmyk(&v)?)),
        (_, samples) => (channels, samples),
    };
    Ok(Raster { width, height, channels, samples, orientation, frame: Some(page), others })
}

/// Planes one after the other to samples side by side.
fn interleaved<T: Copy>(samples: Vec<T>, planes: usize) -> Result<Vec<T>, MediaError> {
    if planes == 1 {
        return Ok(samples);
    }
    let each = samples.len() / planes;
    gathered(each * planes, (0..each * planes).map(|n| samples[(n % planes) * each + n / planes]))
}

fn floats<T: Copy>(
    samples: Vec<T>,
    planes: usize,
    convert: impl Fn(T) -> f32,
) -> Result<Samples, MediaError> {
    let samples = interleaved(samples, planes)?;
    Ok(Samples::Float(gathered(samples.len(), samples.into_iter().map(convert))?))
}

/// Samples of 1, 2 or 4 bits, rows padded to bytes, spread over 0 to 255.
fn unpacked(bytes: &[u8], row_samples: usize, rows: usize, bits: usize) -> Result<Vec<u8>, MediaError> {
    let row_bytes = (row_samples * bits).div_ceil(8);
    let most = (1u16 << bits) - 1;
    let mut out = room(row_samples * rows)?;
    for row in bytes.chunks_exact(row_bytes.max(1)).take(rows) {
        for n in 0..row_samples {
            let at = n * bits;
            let value = (u16::from(row[at / 8]) >> (8 - bits - at % 8)) & most;
            out.push((value * 255 / most) as u8);
        }
    }
    Ok(out)
}
