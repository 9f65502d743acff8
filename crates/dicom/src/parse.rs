//! Bytes to data sets (PS3.5 section 7, PS3.10 section 7).
//!
//! Written for files as they are: without preamble or meta information, with wrong or missing
//! lengths of the meta group, implicit elements inside explicit files, `UN` of undefined length,
//! deflated, cut off. What was read before the cut is kept and marked. Nothing is allocated for a
//! declared length: values are slices of the input, nesting and the number of elements are bounded.

use crate::object::{Dataset, Element, Object, Slice, Value, describe, malformed};
use crate::syntax::{self, dictionary_vr, has_long_length};
use dicom_core::dictionary::DataDictionary;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use loupe_core::limits::{DecodeLimits, room};
use loupe_core::media::MediaError;
use loupe_core::picture::INCOMPLETE;
use std::io::Read;
use std::sync::Arc;

/// Deepest nesting of sequences. Structured reports stay under 20.
const MAX_DEPTH: usize = 64;
/// Most elements of a file over all items: whole-slide and RT files stay under a million.
const MAX_ELEMENTS: usize = 8 << 20;

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;

/// Does this look like DICOM? True for files with the `DICM` mark and for data sets without it
/// whose first element is one of the groups that data sets begin with.
pub fn looks_like_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM") || guess(bytes).is_some()
}

/// Parses a file.
///
/// # Errors
/// When it is not DICOM, nested too deeply, has too many elements, or inflates beyond the limits.
pub fn parse(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Object, MediaError> {
    let bytes = Arc::new(bytes);
    let mut notes = Vec::new();
    let mut at = 0;
    let mut meta = Dataset::default();
    let mut truncated = None;
    if bytes.get(128..132) == Some(b"DICM") {
        at = 132;
    } else if bytes.starts_with(b"DICM") {
        at = 4;
        notes.push("no preamble".to_owned());
    } else {
        notes.push("no preamble".to_owned());
    }
    // The group's length is not needed: the group ends where another begins.
    if bytes.get(at..at + 2) == Some(&[2, 0]) {
        let mut reader = Reader::new(&bytes, at, bytes.len(), Encoding::EXPLICIT_LITTLE);
        let mut elements = Vec::new();
        while reader.group() == Some(2) {
            match reader.element(0)? {
                Some(element) => elements.push(element),
                None => break,
            }
        }
        at = reader.at;
        truncated = reader.truncated;
        meta = Dataset::new(elements, false);
    } else {
        notes.push("no file meta information".to_owned());
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let declared = meta.text(tags::TRANSFER_SYNTAX_UID);
    let looks = guess(rest);
    let (transfer_syntax, encoding) = match (&declared, looks) {
        (Some(uid), looks) => {
            let stated = Encoding::of(uid);
            match looks {
                // Files that say one thing and do another: the data decide.
                Some(seen) if seen.explicit && seen != stated && uid != syntax::DEFLATED_EXPLICIT_LITTLE => {
                    notes.push(match seen.big_endian == stated.big_endian {
                        true => "explicit VR where the transfer syntax says implicit".to_owned(),
                        false => "another byte order than the transfer syntax says".to_owned(),
                    });
                    (uid.clone(), seen)
                }
                _ => (uid.clone(), stated),
            }
        }
        (None, Some(seen)) => {
            notes.push("transfer syntax found out from the data".to_owned());
            (seen.uid().to_owned(), seen)
        }
        (None, None) => return Err(MediaError::UnknownFormat("no DICOM data set found".to_owned())),
    };
    if rest.is_empty() && meta.elements().is_empty() {
        return Err(MediaError::UnknownFormat("empty file".to_owned()));
    }
    let (body, start) = if transfer_syntax == syntax::DEFLATED_EXPLICIT_LITTLE {
        (Arc::new(inflate(rest, limits)?), 0)
    } else {
        (Arc::clone(&bytes), at)
    };
    let mut reader = Reader::new(&body, start, body.len(), encoding);
    reader.elements_left = MAX_ELEMENTS;
    let elements = reader.dataset(body.len(), 0, false)?;
    if elements.is_empty() && meta.elements().is_empty() {
        return Err(MediaError::UnknownFormat("no DICOM data set found".to_owned()));
    }
    let truncated_in = reader.truncated.or(truncated);
    let data = Dataset::new(elements, encoding.big_endian);
    let transfer_syntax = match declared {
        Some(_) => transfer_syntax,
        None => encapsulated_guess(&data).map_or(transfer_syntax, str::to_owned),
    };
    Ok(Object { meta, data, transfer_syntax, notes, truncated_in })
}

/// The items of a sequence that stands as a value of unknown VR: implicit VR, little endian (PS3.5 6.2.2). `None` when the bytes are
/// no whole sequence.
pub fn items(bytes: &[u8]) -> Option<Vec<Dataset>> {
    let data = Arc::new(bytes.to_vec());
    let mut reader = Reader::new(&data, 0, data.len(), Encoding::IMPLICIT_LITTLE);
    let items = reader.items(ITEM, Some(data.len()), 0).ok()?;
    (reader.truncated.is_none() && (bytes.is_empty() || !items.is_empty())).then_some(items)
}

/// Inflates a raw deflate stream: no more than the memory allowed comes out. It is read twice, first to
/// count, so that memory for the result is asked for once and not outgrown.
pub fn inflate(bytes: &[u8], limits: &DecodeLimits) -> Result<Vec<u8>, MediaError> {
    let mut counted = Counted { bytes: 0, most: limits.max_memory_bytes.saturating_sub(bytes.len() as u64) };
    let whole = std::io::copy(&mut flate2::read::DeflateDecoder::new(bytes), &mut counted);
    if counted.bytes > counted.most {
        let (got, limit) = (counted.bytes + bytes.len() as u64, limits.max_memory_bytes);
        let what = "the inflated size in bytes, with the file,";
        return Err(MediaError::Limit { what, got, limit, option: "--max-memory" });
    }
    // A stream that breaks off keeps what came before; the data set is then marked as cut.
    if whole.is_err() && counted.bytes == 0 {
        return Err(MediaError::Malformed {
            format: "DICOM",
            field: "deflated data set".to_owned(),
            problem: "the deflate stream is damaged".to_owned(),
        });
    }
    let mut out = room(counted.bytes as usize)?;
    let source = flate2::read::DeflateDecoder::new(bytes);
    // It breaks off where it did the first time.
    let _ = source.take(counted.bytes).read_to_end(&mut out);
    Ok(out)
}

/// Counts bytes and keeps none, up to a bound.
struct Counted {
    bytes: u64,
    most: u64,
}

impl std::io::Write for Counted {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.bytes += part.len() as u64;
        if self.bytes > self.most { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(part.len()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How numbers and headers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Encoding {
    explicit: bool,
    big_endian: bool,
}

impl Encoding {
    const EXPLICIT_LITTLE: Self = Self { explicit: true, big_endian: false };
    const IMPLICIT_LITTLE: Self = Self { explicit: false, big_endian: false };
    const EXPLICIT_BIG: Self = Self { explicit: true, big_endian: true };

    fn of(uid: &str) -> Self {
        match uid {
            syntax::IMPLICIT_LITTLE => Self::IMPLICIT_LITTLE,
            syntax::EXPLICIT_BIG => Self::EXPLICIT_BIG,
            _ => Self::EXPLICIT_LITTLE,
        }
    }

    fn uid(self) -> &'static str {
        match (self.explicit, self.big_endian) {
            (false, _) => syntax::IMPLICIT_LITTLE,
            (true, false) => syntax::EXPLICIT_LITTLE,
            (true, true) => syntax::EXPLICIT_BIG,
        }
    }
}

/// The encoding that the first element shows, when it looks like the start of a data set.
fn guess(bytes: &[u8]) -> Option<Encoding> {
    let head: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
    let [a, b, c, d, v0, v1, ..] = head;
    let explicit = VR::from_binary([v0, v1]).is_some();
    let plausible =
        |group: u16| matches!(group, 0x0002 | 0x0004 | 0x0008 | 0x0010 | 0x0018 | 0x0020 | 0x0028);
    let (little, big) = (u16::from_le_bytes([a, b]), u16::from_be_bytes([a, b]));
    if plausible(little) && (explicit || implicit_start(bytes, u16::from_le_bytes([c, d]))) {
        return Some(Encoding { explicit, big_endian: false });
    }
    (plausible(big) && explicit).then_some(Encoding::EXPLICIT_BIG)
}

/// An implicit first element must be one that the dictionary knows and fit into the file.
fn implicit_start(bytes: &[u8], element: u16) -> bool {
    let Some([g0, g1, _, _, l0, l1, l2, l3]) = bytes.get(..8).and_then(|b| <[u8; 8]>::try_from(b).ok())
    else {
        return false;
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let tag = Tag(u16::from_le_bytes([g0, g1]), element);
    length <= bytes.len() && (element == 0 || StandardDataDictionary.by_tag(tag).is_some())
}

/// Encapsulated pixel data without meta information: the first fragment's mark names the codec.
fn encapsulated_guess(data: &Dataset) -> Option<&'static str> {
    let Some(Value::Fragments(fragments)) = data.get(tags::PIXEL_DATA).map(|e| &e.value) else {
        return None;
    };
    syntax::of_codestream(fragments.get(1)?.bytes())
}

struct Reader<'a> {
    data: &'a Arc<Vec<u8>>,
    at: usize,
    end: usize,
    encoding: Encoding,
    elements_left: usize,
    truncated: Option<Tag>,
}

struct Header {
    tag: Tag,
    vr: VR,
    length: u32,
}

impl<'a> Reader<'a> {
    fn new(data: &'a Arc<Vec<u8>>, at: usize, end: usize, encoding: Encoding) -> Self {
        Self { data, at, end, encoding, elements_left: MAX_ELEMENTS, truncated: None }
    }

    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let from = self.at.checked_add(offset)?;
        let to = from.checked_add(N)?;
        if to > self.end {
            return None;
        }
        self.data.get(from..to)?.try_into().ok()
    }

    fn u16_at(&self, offset: usize) -> Option<u16> {
        let b = self.array(offset)?;
        Some(if self.encoding.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    fn u32_at(&self, offset: usize) -> Option<u32> {
        let b = self.array(offset)?;
        Some(if self.encoding.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    fn group(&self) -> Option<u16> {
        self.u16_at(0)
    }

    /// Reads a header and moves behind it; `None` (and a mark) where the file ends inside it.
    fn header(&mut self) -> Option<Header> {
        let header = self.read_header();
        if header.is_none() && self.at < self.end {
            self.truncated.get_or_insert(Tag(self.u16_at(0).unwrap_or(0), self.u16_at(2).unwrap_or(0)));
            self.at = self.end;
        }
        header
    }

    fn read_header(&mut self) -> Option<Header> {
        let tag = Tag(self.u16_at(0)?, self.u16_at(2)?);
        if tag.0 == 0xFFFE {
            let length = self.u32_at(4)?;
            self.at += 8;
            return Some(Header { tag, vr: VR::UN, length });
        }
        let letters: [u8; 2] = self.array(4)?;
        // Two capitals make an explicit header; anything else is an implicit element among explicit
        // ones, which some writers produce.
        if self.encoding.explicit && letters.iter().all(u8::is_ascii_uppercase) {
            let vr = VR::from_binary(letters).unwrap_or(VR::UN);
            if has_long_length(letters) {
                let length = self.u32_at(8)?;
                self.at += 12;
                return Some(Header { tag, vr, length });
            }
            let length = u32::from(self.u16_at(6)?);
            self.at += 8;
            return Some(Header { tag, vr, length });
        }
        let length = self.u32_at(4)?;
        self.at += 8;
        Some(Header { tag, vr: dictionary_vr(tag), length })
    }

    /// Elements up to `end`, or up to an item delimiter when `delimited`.
    fn dataset(&mut self, end: usize, depth: usize, delimited: bool) -> Result<Vec<Element>, MediaError> {
        let outer = self.end;
        self.end = end.min(outer);
        let mut elements = Vec::new();
        while self.at < self.end {
            let tag = Tag(self.u16_at(0).unwrap_or(0), self.u16_at(2).unwrap_or(0));
            if tag.0 == 0xFFFE {
                // A delimiter: ours when one is awaited, a stray one otherwise.
                let ours = delimited && (tag == ITEM_END || tag == SEQUENCE_END);
                if !(ours && tag == SEQUENCE_END) {
                    self.at = (self.at + 8).min(self.end);
                }
                if ours {
                    break;
                }
                continue;
            }
            match self.element(depth)? {
                Some(element) => elements.push(element),
                None => break,
            }
        }
        self.end = outer;
        Ok(elements)
    }

    fn element(&mut self, depth: usize) -> Result<Option<Element>, MediaError> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or(MediaError::Limit {
            what: "the number of elements",
            got: MAX_ELEMENTS as u64 + 1,
            limit: MAX_ELEMENTS as u64,
            option: "no option (no sound file has so many)",
        })?;
        let Some(Header { tag, vr, length }) = self.header() else { return Ok(None) };
        let pixels = matches!(tag, tags::PIXEL_DATA);
        let value = if length == UNDEFINED {
            if pixels || matches!(vr, VR::OB | VR::OW) {
                Value::Fragments(self.fragments(tag))
            } else if vr == VR::UN && self.encoding.explicit {
                // PS3.5 6.2.2: such a value is a sequence in implicit VR little endian.
                let outer = std::mem::replace(&mut self.encoding, Encoding::IMPLICIT_LITTLE);
                let items = self.items(tag, None, depth);
                self.encoding = outer;
                Value::Items(items?)
            } else {
                Value::Items(self.items(tag, None, depth)?)
            }
        } else {
            let stop = self.at.saturating_add(length as usize);
            if stop > self.end {
                self.truncated.get_or_insert(tag);
            }
            let stop = stop.min(self.end);
            if vr == VR::SQ {
                Value::Items(self.items(tag, Some(stop), depth)?)
            } else {
                let slice = Slice::new(self.data, self.at..stop);
                self.at = stop;
                Value::Bytes(slice)
            }
        };
        let vr = if matches!(value, Value::Items(_)) { VR::SQ } else { vr };
        Ok(Some(Element { tag, vr, value }))
    }

    fn items(&mut self, tag: Tag, stop: Option<usize>, depth: usize) -> Result<Vec<Dataset>, MediaError> {
        if depth >= MAX_DEPTH {
            return Err(malformed(tag, format!("sequences are nested deeper than {MAX_DEPTH}")));
        }
        let outer = self.end;
        self.end = stop.unwrap_or(outer).min(outer);
        let mut items = Vec::new();
        while self.at < self.end {
            let before = self.at;
            let Some(header) = self.header() else { break };
            match header.tag {
                ITEM => {
                    let (end, delimited) = match header.length {
                        UNDEFINED => (self.end, true),
                        length => (self.at.saturating_add(length as usize), false),
                    };
                    if end > self.end {
                        self.truncated.get_or_insert(tag);
                    }
                    let elements = self.dataset(end, depth + 1, delimited)?;
                    items.push(Dataset::new(elements, self.encoding.big_endian));
                }
                SEQUENCE_END => break,
                ITEM_END => {}
                _ => {
                    // Neither an item nor the end: the sequence was not what its header said.
                    self.at = match stop {
                        Some(stop) => stop,
                        None => before,
                    };
                    break;
                }
            }
        }
        if let Some(stop) = stop {
            self.at = stop.min(outer);
        }
        self.end = outer;
        Ok(items)
    }

    fn fragments(&mut self, tag: Tag) -> Vec<Slice> {
        let mut fragments = Vec::new();
        loop {
            let Some(header) = self.header() else {
                self.truncated.get_or_insert(tag);
                break;
            };
            if header.tag != ITEM || header.length == UNDEFINED {
                if header.tag != SEQUENCE_END {
                    self.truncated.get_or_insert(tag);
                }
                break;
            }
            let stop = self.at.saturating_add(header.length as usize);
            if stop > self.end {
                self.truncated.get_or_insert(tag);
            }
            let stop = stop.min(self.end);
            fragments.push(Slice::new(self.data, self.at..stop));
            self.at = stop;
        }
        fragments
    }
}

/// The text of a note about a file that was cut off.
pub fn truncation_note(tag: Tag) -> String {
    format!("{INCOMPLETE}the file ends inside {}; what came before was kept", describe(tag))
}
