//! JPEG inside TIFF (Adobe's TIFF Technical Note 2): strips or tiles that share their tables, through
//! the decoder that equals libjpeg-turbo, with the colours that the TIFF tags say (as libtiff has it).

use super::facts::malformed;
use super::jpeg::{Bytes, Colours};
use crate::jpeg::{self, About, Fault, Header};
use loupe_core::limits::{DecodeLimits, filled};
use loupe_core::media::MediaError;
use std::io::Cursor;
use tiff::decoder::{ChunkType, Decoder};
use tiff::tags::Tag;

const FORMAT: &str = "TIFF";

/// Compression of the technical note (the older one, 6, is refused by the TIFF decoder).
pub(super) const JPEG: u16 = 7;

fn unsupported(what: &str) -> MediaError {
    MediaError::Unsupported {
        what: format!("TIFF with {what}"),
        hint: "convert the picture to 8-bit grey or RGB".into(),
    }
}

/// Channels and samples of the page at which `decoder` stands: grey or RGB.
///
/// # Errors
/// When a tag or a stream is broken, or a strip does not fit its place.
pub(super) fn decode(
    bytes: &[u8],
    decoder: &mut Decoder<Cursor<&[u8]>>,
    limits: &DecodeLimits,
) -> Result<(usize, Vec<u8>), MediaError> {
    let broken = |field: &str| malformed(FORMAT, field, "cannot be read");
    let (width, height) = decoder.dimensions().map_err(|_| broken("size"))?;
    let (width, height) = (width as usize, height as usize);
    let number = |decoder: &mut Decoder<_>, tag| decoder.find_tag_unsigned::<u16>(tag).ok().flatten();
    let kind = number(decoder, Tag::PhotometricInterpretation).unwrap_or(1);
    let samples = usize::from(number(decoder, Tag::SamplesPerPixel).unwrap_or(1));
    if samples > 1 && number(decoder, Tag::PlanarConfiguration).unwrap_or(1) != 1 {
        return Err(unsupported("JPEG by planes"));
    }
    let (colours, channels) = match (kind, samples) {
        (0 | 1, 1) => (Colours::Grey, 1),
        (2, 3) => (Colours::Rgb, 3),
        (6, 3) => (Colours::Ycc, 3),
        // No one has inverted them here.
        (5, 4) => (Colours::Inks, 3),
        _ => return Err(unsupported("JPEG of an unusual colour space")),
    };
    let (offsets, counts) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let list = |decoder: &mut Decoder<_>, tag| decoder.find_tag_unsigned_vec::<u64>(tag).ok().flatten();
    let offsets = list(decoder, offsets).ok_or_else(|| broken("StripOffsets"))?;
    let counts = list(decoder, counts).ok_or_else(|| broken("StripByteCounts"))?;
    let tables = decoder.find_tag_unsigned_vec::<u8>(Tag::JPEGTables).ok().flatten();
    let (across, down) = decoder.chunk_dimensions();
    let (across, down) = (across as usize, down as usize);
    if across == 0 || down == 0 {
        return Err(malformed(FORMAT, "RowsPerStrip or TileWidth", "is 0"));
    }
    let columns = width.div_ceil(across);
    if offsets.len() != columns * height.div_ceil(down) || counts.len() != offsets.len() {
        return Err(malformed(FORMAT, "StripOffsets", "does not hold one place for each strip or tile"));
    }
    // The picture twice (it may be turned), and the strip or tile that is being decoded.
    let tile = across.saturating_mul(down).saturating_mul(samples.max(3));
    let whole = (width * height * channels, 3);
    limits.together(&[(bytes.len(), 1), whole, (tile, jpeg::BYTES_A_SAMPLE + 3)])?;
    let mut out = filled(width * height * channels, 0u8)?;
    for (n, (offset, count)) in offsets.iter().zip(&counts).enumerate() {
        let chunk = usize::try_from(*offset).ok().zip(usize::try_from(*count).ok());
        let chunk = chunk.and_then(|(from, count)| bytes.get(from..from.checked_add(count)?));
        let chunk = chunk.ok_or_else(|| malformed(FORMAT, "StripOffsets", "lead out of the file"))?;
        let (left, top) = (n % columns * across, n / columns * down);
        let (wide, tall) = (across.min(width - left), down.min(height - top));
        let wanted = |header: &Header| {
            let fits = (wide..=across).contains(&header.width) && (tall..=down).contains(&header.height);
            if !fits || header.components != samples || header.precision != 8 {
                return Err(malformed(FORMAT, "JPEG frame header", "does not fit its strip or tile"));
            }
            let pixels = limits.pixels(&[header.width as u64, header.height as u64])?;
            limits.together(&[whole, (pixels * samples.max(3), jpeg::BYTES_A_SAMPLE + 3)]).map(drop)
        };
        let begin = |about: &About| Bytes::new(colours, [about.header.width, about.header.height]);
        let decoded = jpeg::decode(&joined(tables.as_deref(), chunk), wanted, begin);
        let (about, Bytes { mut pixels, .. }) = decoded.map_err(|fault| match fault {
            Fault::Broken { field, problem } => malformed(FORMAT, field, problem),
            Fault::Process(what) => unsupported(what),
            Fault::Unwanted(error) => error,
        })?;
        if kind == 0 {
            pixels.iter_mut().for_each(|v| *v = 255 - *v);
        }
        let rows = pixels.chunks_exact(about.header.width * channels).take(tall);
        for (target, row) in out.chunks_exact_mut(width * channels).skip(top).zip(rows) {
            let target = target.get_mut(left * channels..(left + wide) * channels).unwrap_or_default();
            target.copy_from_slice(&row[..target.len()]);
        }
    }
    Ok((channels, out))
}

/// One stream: the shared tables without their end mark, then the strip without its start mark.
fn joined(tables: Option<&[u8]>, chunk: &[u8]) -> Vec<u8> {
    let tables = tables.and_then(|t| t.strip_suffix(&[0xFF, 0xD9])).filter(|t| t.starts_with(&[0xFF, 0xD8]));
    match (tables, chunk.strip_prefix(&[0xFF, 0xD8])) {
        (Some(tables), Some(rest)) => [tables, rest].concat(),
        _ => chunk.to_vec(),
    }
}
