//! PNG: the `png` crate behind a look at the chunks. Every checksum is compared (Pillow refuses what does not
//! fit), and what pixels do not need is not inflated: a colour profile of kilobytes may inflate to any size.

use super::facts::{PictureFacts, malformed};
use super::raster::{Raster, Samples, memory};
use image::metadata::Orientation;
use loupe_core::limits::{DecodeLimits, filled, gathered};
use loupe_core::media::MediaError;
use png::{BitDepth, DecodeOptions, Decoder, DecodingError, Limits, Reader, Transformations};
use std::io::Cursor;

const FORMAT: &str = "PNG";

/// Bytes that the decoder may take besides the picture: rows, small chunks.
const ASIDE: usize = 32 << 20;

/// What the chunks say that are not about pixels.
#[derive(Default)]
struct Chunks {
    /// Frames of an animation.
    frames: Option<u32>,
    icc_profile: bool,
}

impl Chunks {
    fn read(bytes: &[u8]) -> Result<Self, MediaError> {
        let mut found = Self::default();
        let mut rest = bytes.get(8..).unwrap_or_default();
        while let Some(([l0, l1, l2, l3, name @ ..], data)) = rest.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
            let name: [u8; 4] = *name;
            // Where the file ends inside a chunk, the pixels tell whether they are whole.
            let Some((data, after)) = data.split_at_checked(length) else { break };
            let Some((sum, after)) = after.split_first_chunk::<4>() else { break };
            let mut crc = flate2::Crc::new();
            crc.update(&name);
            crc.update(data);
            if crc.sum() != u32::from_be_bytes(*sum) {
                let named = name.iter().all(u8::is_ascii_alphabetic);
                let name = if named { String::from_utf8_lossy(&name) } else { "of no known name".into() };
                return Err(malformed(FORMAT, &format!("chunk {name}"), "its checksum does not fit"));
            }
            match &name {
                b"acTL" => found.frames = data.first_chunk::<4>().map(|n| u32::from_be_bytes(*n)),
                b"iCCP" => found.icc_profile = true,
                b"IEND" => break,
                _ => {}
            }
            rest = after;
        }
        Ok(found)
    }
}

fn refused(error: &DecodingError, limits: &DecodeLimits) -> MediaError {
    match error {
        DecodingError::LimitsExceeded => MediaError::Limit {
            what: "the memory needed in bytes",
            got: limits.max_memory_bytes.saturating_add(1),
            limit: limits.max_memory_bytes,
            option: "--max-memory",
        },
        other => malformed(FORMAT, "image data", other.to_string()),
    }
}

fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Reader<Cursor<&'a [u8]>>, MediaError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    let most = usize::try_from(limits.max_memory_bytes).unwrap_or(usize::MAX);
    decoder.set_limits(Limits { bytes: ASIDE.min(most) });
    // Palettes are looked up and fewer than 8 bits spread; 16 bits stay.
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(|e| refused(&e, limits))
}

fn orientation(reader: &Reader<Cursor<&[u8]>>) -> Orientation {
    let exif = reader.info().exif_metadata.as_deref();
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

pub(super) fn facts(bytes: &[u8], limits: &DecodeLimits) -> Result<PictureFacts, MediaError> {
    let chunks = Chunks::read(bytes)?;
    let reader = open(bytes, limits)?;
    let info = reader.info();
    let (colour, depth) = reader.output_color_type();
    Ok(PictureFacts {
        format: FORMAT,
        width: info.width as usize,
        height: info.height as usize,
        channels: colour.samples(),
        bits: depth as usize,
        frames: chunks.frames.map_or(1, |n| n.max(1) as usize),
        exif_orientation: orientation(&reader).to_exif(),
        icc_profile: chunks.icc_profile,
    })
}

pub(super) fn decode(bytes: &[u8], windowed: bool, limits: &DecodeLimits) -> Result<Raster, MediaError> {
    let chunks = Chunks::read(bytes)?;
    let mut reader = open(bytes, limits)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let pixels = limits.pixels(&[width.into(), height.into()])?;
    let (colour, depth) = reader.output_color_type();
    let (channels, words) = (colour.samples(), depth == BitDepth::Sixteen);
    memory(bytes, pixels, channels, if words { 4 } else { 1 }, windowed, limits)?;
    let orientation = orientation(&reader);
    let mut buffer = filled(pixels * channels * if words { 2 } else { 1 }, 0u8)?;
    reader.next_frame(&mut buffer).map_err(|e| refused(&e, limits))?;
    let samples = if words {
        let pairs = buffer.as_chunks::<2>().0;
        Samples::Word(gathered(pairs.len(), pairs.iter().map(|pair| u16::from_be_bytes(*pair)))?)
    } else {
        Samples::Byte(buffer)
    };
    Ok(Raster {
        width: width as usize,
        height: height as usize,
        channels,
        samples,
        orientation,
        frame: None,
        others: chunks.frames.map_or(0, |n| n.saturating_sub(1) as usize),
    })
}
