//! JPEG (ISO 10918-1): sequential and progressive DCT with 8 and 12 bits, and lossless with 2 to 16.
//!
//! The decoders of the Rust ecosystem stop at 8 bits, decide about colour by themselves (which turns
//! medical files wrong) and differ from libjpeg by up to 3 levels in an ordinary photograph (7 at the
//! borders of odd sizes). This one gives the components as coded, upsampled, line by line as soon as they
//! are decoded (so that a line is still in the processor's cache), and says what the stream itself declares
//! about colour. The inverse DCT, the upsampling and the colour conversion are
//! those of libjpeg and libjpeg-turbo (`jidctint.c`, `jdsample.c`, `jdcolor.c`) with their default
//! settings, so that 8-bit pictures equal theirs, and with them Pillow's and OpenCV's, to the bit.

mod bands;
mod bits;
mod colour;
mod dct;
mod fault;
mod frame;
mod idct;
#[cfg(target_arch = "x86_64")]
mod idct_avx2;
mod idct_numbers;
mod lossless;
mod upsample;

use bits::Huffman;
pub(crate) use colour::{rgb_line, rgb_of_ycc};
pub(crate) use fault::Fault;
use fault::broken;
use frame::{Component, Frame, Kind, Scan, ScanComponent, Tables};
pub(crate) use frame::{Header, Lines};
use loupe_core::media::MediaError;

/// What a stream says about its colours.
pub(crate) struct About {
    pub(crate) header: Header,
    pub(crate) lossless: bool,
    /// A JFIF marker was there: three components are luminance and differences.
    pub(crate) jfif: bool,
    /// The transform of an Adobe marker: 0 none, 1 YCbCr, 2 YCCK.
    pub(crate) adobe: Option<u8>,
    /// Identifiers of the components.
    pub(crate) ids: Vec<u8>,
    /// The TIFF structure of an Exif marker.
    pub(crate) exif: Option<Vec<u8>>,
}

impl About {
    fn of(frame: &Frame, jfif: bool, adobe: Option<u8>) -> Self {
        let ids = frame.components.iter().map(|c| c.id).collect();
        let lossless = frame.kind == Kind::Lossless;
        Self { header: frame.header(), lossless, jfif, adobe, ids, exif: None }
    }
}

enum Work<L> {
    /// No scan was read.
    Announced,
    /// Scans that wait for others.
    Dct(dct::Coefficients),
    Lossless(Vec<u16>),
    /// All lines were sent.
    Sent(L),
}

/// Blocks that all scans together may visit in any picture; about two seconds. A thousand scans of a
/// huge picture cost a hostile file a few kilobytes and the reader minutes.
const VISITS: usize = 1 << 25;

/// How often the scans of a larger picture may visit each of its blocks, besides what their bytes
/// account for. libjpeg's own script for colour visits the luminance six times.
const VISITS_A_BLOCK: usize = 12;

fn most_visits(frame: &Frame, bytes: usize) -> usize {
    let blocks = frame.width.div_ceil(8) * frame.height.div_ceil(8) * frame.components.len();
    VISITS.max(VISITS_A_BLOCK * blocks).saturating_add(16 * bytes)
}

/// Bytes that decoding takes at most for each sample, besides the stream and what is made of the lines: the
/// coefficients of all scans, the samples of a lossless picture, or the lines that are being decoded, which are not
/// few where the picture is low.
pub(crate) const BYTES_A_SAMPLE: usize = 6;

/// Decodes a stream; `wanted` may refuse what the frame header announces, `begin` what the headers say together.
/// What it gives takes the lines and comes back with all that was said.
///
/// # Errors
/// Damage, and arithmetic or hierarchical coding and sampling by fractions, by name.
pub(crate) fn decode<L: Lines>(
    bytes: &[u8],
    wanted: impl Fn(&Header) -> Result<(), MediaError>,
    begin: impl Fn(&About) -> Result<L, MediaError>,
) -> Result<(About, L), Fault> {
    let mut tables = Tables::default();
    let mut frame: Option<Frame> = None;
    let mut work = Work::Announced;
    let (mut adobe, mut jfif, mut exif) = (None, false, None);
    let (mut scans, mut visits, mut ended) = (0usize, 0usize, false);
    let mut at = 0;
    while let Some(mark) = next_marker(bytes, &mut at) {
        match mark {
            0xD8 | 0x01 | 0xD0..=0xD7 => continue,
            0xD9 => {
                ended = true;
                break;
            }
            _ => {}
        }
        let segment = segment(bytes, &mut at)?;
        match mark {
            0xC0..=0xC3 => {
                if frame.is_some() {
                    return Err(broken("SOF", "a second frame header"));
                }
                let found = read_frame(mark, segment)?;
                wanted(&found.header()).map_err(Fault::Unwanted)?;
                frame = Some(found);
            }
            0xC5..=0xC7 | 0xCD..=0xCF => return Err(Fault::Process("hierarchical JPEG")),
            0xC9..=0xCC => return Err(Fault::Process("JPEG with arithmetic coding")),
            0xC4 => read_huffman(segment, &mut tables)?,
            0xDB => read_quantisers(segment, &mut tables)?,
            0xDD => match segment {
                [high, low, ..] => tables.restart_interval = usize::from(u16::from_be_bytes([*high, *low])),
                _ => return Err(broken("DRI", "too short")),
            },
            0xE0 if segment.starts_with(b"JFIF\0") => jfif = true,
            0xE1 if exif.is_none() => exif = segment.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec),
            0xEE if segment.starts_with(b"Adobe") => adobe = segment.get(11).copied(),
            0xDA => {
                scans += 1;
                // A progressive frame needs at most one scan for each bit of each coefficient band.
                if scans > 1_000 {
                    return Err(broken("SOS", "more than 1000 scans"));
                }
                let Some(frame) = &frame else {
                    return Err(broken("SOS", "a scan before the frame header"));
                };
                let scan = read_scan(segment, frame)?;
                let data = bytes.get(at..).unwrap_or_default();
                visits += frame.width.div_ceil(8) * frame.height.div_ceil(8) * scan.components.len();
                if scans > 1 && visits > most_visits(frame, bytes.len()) {
                    return Err(broken("SOS", "more scans than a picture of this size can need"));
                }
                if let Work::Announced = work {
                    work = match frame.kind {
                        Kind::Lossless => Work::Lossless(Vec::new()),
                        // One scan has it all: nothing has to wait.
                        Kind::Sequential if scan.components.len() == frame.components.len() => {
                            Work::Sent(begin(&About::of(frame, jfif, adobe)).map_err(Fault::Unwanted)?)
                        }
                        _ => Work::Dct(dct::Coefficients::new(frame).map_err(Fault::Unwanted)?),
                    };
                }
                at += match &mut work {
                    Work::Sent(lines) if scans == 1 => dct::stream(frame, &scan, &tables, data, lines)?,
                    Work::Dct(coefficients) => coefficients.scan(frame, &scan, &tables, data)?,
                    Work::Lossless(samples) => lossless::scan(frame, &scan, &tables, data, samples)?,
                    Work::Announced | Work::Sent(_) => {
                        return Err(broken("SOS", "a scan after one that had all components"));
                    }
                };
            }
            _ => {}
        }
    }
    let Some(frame) = frame else {
        return Err(broken("SOF", "no frame header found"));
    };
    // The scans of a progressive picture refine each other: without the later ones it looks whole and is not.
    if frame.kind == Kind::Progressive && scans > 0 && !ended {
        return Err(broken("EOI", "missing: the file was cut off, and later scans with it"));
    }
    let mut about = About::of(&frame, jfif, adobe);
    let lines = match work {
        Work::Announced => return Err(broken("SOS", "no scan found")),
        Work::Sent(lines) => lines,
        Work::Dct(coefficients) => {
            let mut lines = begin(&about).map_err(Fault::Unwanted)?;
            coefficients.finish(&frame, &tables, &mut lines)?;
            lines
        }
        Work::Lossless(samples) => {
            let mut lines = begin(&about).map_err(Fault::Unwanted)?;
            lossless::finish(&frame, &samples, &mut lines).map_err(Fault::Unwanted)?;
            lines
        }
    };
    about.exif = exif;
    Ok((about, lines))
}

/// The next marker code, behind which `at` is left.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        match (bytes.get(*at)?, bytes.get(*at + 1)?) {
            (0xFF, mark) if *mark != 0 && *mark != 0xFF => {
                *at += 2;
                return Some(*mark);
            }
            _ => *at += 1,
        }
    }
}

fn segment<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], Fault> {
    let length = match bytes.get(*at..*at + 2) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(broken("marker segment", "ends early")),
    };
    let body =
        bytes.get(*at + 2..*at + length.max(2)).ok_or_else(|| broken("marker segment", "ends early"))?;
    *at += length.max(2);
    Ok(body)
}

fn read_frame(mark: u8, segment: &[u8]) -> Result<Frame, Fault> {
    let [precision, h1, h0, w1, w0, count, rest @ ..] = segment else {
        return Err(broken("SOF", "too short"));
    };
    let kind = match mark {
        0xC2 => Kind::Progressive,
        0xC3 => Kind::Lossless,
        _ => Kind::Sequential,
    };
    let precision = u32::from(*precision);
    let allowed = match kind {
        Kind::Lossless => (2..=16).contains(&precision),
        _ => precision == 8 || precision == 12,
    };
    if !allowed {
        return Err(broken("SOF", "a sample precision that the process does not have"));
    }
    let height = usize::from(u16::from_be_bytes([*h1, *h0]));
    let width = usize::from(u16::from_be_bytes([*w1, *w0]));
    let mut components = Vec::new();
    for &[id, factors, quantiser] in rest.as_chunks::<3>().0.iter().take(usize::from(*count)) {
        let (h, v) = (usize::from(factors >> 4), usize::from(factors & 15));
        if !(1..=4).contains(&h) || !(1..=4).contains(&v) || quantiser > 3 {
            return Err(broken("SOF", "impossible sampling factors or table"));
        }
        components.push(Component { id, h, v, quantiser: usize::from(quantiser), ..Component::default() });
    }
    if components.is_empty() || components.len() != usize::from(*count) || width == 0 || height == 0 {
        return Err(broken("SOF", "no components or no pixels"));
    }
    if let [alone] = components.as_mut_slice() {
        // There is nothing that it could be sampled in relation to, and its blocks come row by row (A.2.2).
        (alone.h, alone.v) = (1, 1);
    }
    let h_max = components.iter().map(|c| c.h).max().unwrap_or(1);
    let v_max = components.iter().map(|c| c.v).max().unwrap_or(1);
    // As libjpeg has it: what lies between samples is not said anywhere.
    let is_whole = |c: &Component| h_max.is_multiple_of(c.h) && v_max.is_multiple_of(c.v);
    if kind != Kind::Lossless && !components.iter().all(is_whole) {
        return Err(Fault::Process(
            "JPEG whose components have fractions of the samples of others (3:2, 4:3)",
        ));
    }
    for component in &mut components {
        component.width = (width * component.h).div_ceil(h_max);
        component.height = (height * component.v).div_ceil(v_max);
    }
    Ok(Frame { kind, precision, width, height, components, h_max, v_max })
}

fn read_scan(segment: &[u8], frame: &Frame) -> Result<Scan, Fault> {
    let (count, rest) = segment.split_first().ok_or_else(|| broken("SOS", "too short"))?;
    let count = usize::from(*count);
    let (pairs, tail) = rest.split_at_checked(count * 2).ok_or_else(|| broken("SOS", "too short"))?;
    let &[start, end, approximation, ..] = tail else {
        return Err(broken("SOS", "too short"));
    };
    let mut components: Vec<ScanComponent> = Vec::new();
    for &[id, selectors] in pairs.as_chunks::<2>().0 {
        let index = frame.components.iter().position(|c| c.id == id);
        let index = index.ok_or_else(|| broken("SOS", "a component that the frame does not have"))?;
        let (dc, ac) = (usize::from(selectors >> 4), usize::from(selectors & 15));
        if dc > 3 || ac > 3 || components.iter().any(|c| c.index == index) {
            return Err(broken("SOS", "impossible tables or a component twice"));
        }
        components.push(ScanComponent { index, dc, ac });
    }
    if components.is_empty() || components.len() > 4 {
        return Err(broken("SOS", "no components"));
    }
    let (start, end) = (usize::from(start), usize::from(end));
    let (high, low) = (u32::from(approximation >> 4), u32::from(approximation & 15));
    if frame.kind == Kind::Progressive && (start > end || end > 63 || low > 13) {
        return Err(broken("SOS", "impossible spectral selection"));
    }
    Ok(Scan { components, start, end, high, low })
}

fn read_huffman(mut segment: &[u8], tables: &mut Tables) -> Result<(), Fault> {
    while let Some((&[class, ref counts @ ..], rest)) = segment.split_first_chunk::<17>() {
        let total: usize = counts.iter().map(|c| usize::from(*c)).sum();
        let (symbols, rest) = rest.split_at_checked(total).ok_or_else(|| broken("DHT", "too short"))?;
        let table = Huffman::new(counts, symbols)?;
        let slots = if class >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        let slot = slots.get_mut(usize::from(class & 15)).ok_or_else(|| broken("DHT", "no such table"))?;
        *slot = Some(table);
        segment = rest;
    }
    Ok(())
}

fn read_quantisers(mut segment: &[u8], tables: &mut Tables) -> Result<(), Fault> {
    while let Some((head, rest)) = segment.split_first() {
        let bytes_each = if head >> 4 == 0 { 1 } else { 2 };
        let (values, rest) =
            rest.split_at_checked(64 * bytes_each).ok_or_else(|| broken("DQT", "too short"))?;
        let mut table = [0u16; 64];
        for (slot, value) in table.iter_mut().zip(values.chunks_exact(bytes_each)) {
            *slot = value.iter().fold(0, |n, b| n << 8 | u16::from(*b));
        }
        let slot = tables.quantisers.get_mut(usize::from(head & 15));
        *slot.ok_or_else(|| broken("DQT", "no such table"))? = Some(table);
        segment = rest;
    }
    Ok(())
}
