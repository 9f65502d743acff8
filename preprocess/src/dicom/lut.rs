//! Lookup tables: modality, VOI and palette (PS3.3 C.11.1, C.11.2, C.7.9).

use loupe_core::media::MediaError;
use loupe_dicom::object::{Dataset, malformed};
use loupe_dicom::{Tag, VR, tags};

/// A table from whole numbers to whole numbers; inputs beyond its ends take the end values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lut {
    /// Input that maps to the first entry.
    pub first: i64,
    /// Output for each input, from the first mapped one on.
    pub entries: Vec<u16>,
    /// Bits of the outputs: 8 to 16.
    pub bits: u16,
}

impl Lut {
    /// From a LUT sequence's item: LUT Descriptor (0028,3002) and LUT Data (0028,3006).
    ///
    /// # Errors
    /// When descriptor and data do not agree.
    pub fn from_item(item: &Dataset, signed_input: bool) -> Result<Self, MediaError> {
        Self::read(item, tags::LUT_DESCRIPTOR, tags::LUT_DATA, signed_input)
    }

    /// From a descriptor and data of any tag.
    ///
    /// # Errors
    /// When descriptor and data do not agree.
    pub fn read(
        data: &Dataset,
        descriptor: Tag,
        contents: Tag,
        signed_input: bool,
    ) -> Result<Self, MediaError> {
        let (count, first, bits) = describe(data, descriptor, signed_input)?;
        let bytes = data.bytes(contents).ok_or_else(|| malformed(contents, "absent"))?;
        // Entries of 8 bits may be packed two to a word, whatever the descriptor says of their bits.
        let entries: Vec<u16> = if bytes.len() < count * 2 && (bits <= 8 || bytes.len() == count) {
            packed_bytes(data, contents).into_iter().map(u16::from).take(count).collect()
        } else {
            data.u16_words(contents).unwrap_or_default().into_iter().take(count).collect()
        };
        if entries.len() != count {
            let problem = format!("{} entries where the descriptor says {count}", entries.len());
            return Err(malformed(contents, problem));
        }
        Ok(Self { first, entries, bits })
    }

    /// The output for `input`.
    pub fn apply(&self, input: i64) -> u16 {
        let last = self.entries.len().saturating_sub(1) as i64;
        let at = input.saturating_sub(self.first).clamp(0, last.max(0));
        self.entries.get(at as usize).copied().unwrap_or(0)
    }
}

/// Bytes of a table in their order: big-endian words hold them in pairs, the second first.
fn packed_bytes(data: &Dataset, contents: Tag) -> Vec<u8> {
    let words = data.get(contents).is_some_and(|e| e.vr == VR::OW || e.vr == VR::US);
    if data.big_endian && words {
        return data.u16_words(contents).unwrap_or_default().into_iter().flat_map(u16::to_le_bytes).collect();
    }
    data.bytes(contents).unwrap_or_default().to_vec()
}

/// Number of entries, first input and bits of a descriptor.
fn describe(data: &Dataset, tag: Tag, signed_input: bool) -> Result<(usize, i64, u16), MediaError> {
    let words = data.u16_words(tag).ok_or_else(|| malformed(tag, "absent"))?;
    let &[count, first, bits, ..] = words.as_slice() else {
        return Err(malformed(tag, "fewer than three values"));
    };
    if !(8..=16).contains(&bits) {
        return Err(malformed(tag, format!("{bits} bits an entry; 8 to 16 are possible")));
    }
    let count = if count == 0 { 65_536 } else { usize::from(count) };
    let first = if signed_input { i64::from(first.cast_signed()) } else { i64::from(first) };
    Ok((count, first, bits))
}

/// Red, green and blue by palette index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    tables: [Lut; 3],
    /// Bits that the entries fill.
    bits: u16,
}

impl Palette {
    /// The palette of an image, plain or segmented; its first index is signed where the image is.
    ///
    /// # Errors
    /// When a table is absent or broken.
    pub fn read(data: &Dataset, signed: bool) -> Result<Self, MediaError> {
        let plain = [
            (tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA),
            (tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA),
            (tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        ];
        let segmented = [
            tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ];
        let table = |n: usize| {
            let (descriptor, contents) = plain[n];
            if data.get(segmented[n]).is_some() {
                expand_segments(data, descriptor, segmented[n], signed)
            } else {
                Lut::read(data, descriptor, contents, signed)
            }
        };
        let tables = [table(0)?, table(1)?, table(2)?];
        // Writers disagree with their own descriptor: values of 8 bits called 16 would all be black.
        let most = tables.iter().flat_map(|t| &t.entries).copied().max().unwrap_or(0);
        let said = tables.iter().map(|t| t.bits).max().unwrap_or(8);
        let bits = match most {
            0..=255 => 8,
            _ if u32::from(most) >> said.min(16) > 0 => 16,
            _ => said,
        };
        Ok(Self { tables, bits })
    }

    /// What is to be said when the entries are not of the bits that the descriptors give.
    pub fn note(&self) -> Option<String> {
        let said = self.tables.iter().map(|t| t.bits).max()?;
        (said != self.bits)
            .then(|| format!("palette of {said} bits holds entries of {} bits; taken as such", self.bits))
    }

    /// The 8-bit colour of an index.
    pub fn colour(&self, index: i64) -> [u8; 3] {
        [0, 1, 2].map(|n: usize| (self.tables[n].apply(index) >> (self.bits - 8)) as u8)
    }
}

/// Segmented palettes (C.7.9.2): discrete, linear and indirect segments.
fn expand_segments(data: &Dataset, descriptor: Tag, contents: Tag, signed: bool) -> Result<Lut, MediaError> {
    let (count, first, bits) = describe(data, descriptor, signed)?;
    let words: Vec<u16> = if bits == 8 {
        packed_bytes(data, contents).into_iter().map(u16::from).collect()
    } else {
        data.u16_words(contents).unwrap_or_default()
    };
    let mut entries = Vec::with_capacity(count);
    let mut at = 0;
    while at < words.len() && entries.len() < count {
        at = expand_one(&words, at, bits, count, &mut entries, contents)?;
    }
    if entries.len() != count {
        return Err(malformed(
            contents,
            format!("{} entries where the descriptor says {count}", entries.len()),
        ));
    }
    Ok(Lut { first, entries, bits })
}

/// Expands the segment at `at`; returns where the next begins.
fn expand_one(
    words: &[u16],
    at: usize,
    bits: u16,
    count: usize,
    entries: &mut Vec<u16>,
    tag: Tag,
) -> Result<usize, MediaError> {
    let broken = || malformed(tag, "a segment that ends early or is of an unknown kind");
    let word = |n: usize| words.get(n).copied().ok_or_else(broken);
    let (kind, length) = (word(at)?, usize::from(word(at + 1)?));
    match kind {
        0 => {
            entries.extend_from_slice(words.get(at + 2..at + 2 + length).ok_or_else(broken)?);
            Ok(at + 2 + length)
        }
        1 => {
            let from = i64::from(*entries.last().ok_or_else(broken)?);
            let to = i64::from(word(at + 2)?);
            for step in 1..=length as i64 {
                entries.push(
                    (from + ((to - from) * step * 2 + length as i64).div_euclid(2 * length as i64)) as u16,
                );
            }
            Ok(at + 3)
        }
        2 => {
            // Offset in bytes (8-bit data) or words, least significant part first.
            let unit = if bits == 8 { 8 } else { 16 };
            let parts = if bits == 8 { 4 } else { 2 };
            let mut offset = 0usize;
            for part in (0..parts).rev() {
                offset = offset << unit | usize::from(word(at + 2 + part)?);
            }
            let mut from = offset;
            for _ in 0..length {
                if word(from)? == 2 || entries.len() > count {
                    return Err(broken());
                }
                from = expand_one(words, from, bits, count, entries, tag)?;
            }
            Ok(at + 2 + parts)
        }
        _ => Err(broken()),
    }
}
