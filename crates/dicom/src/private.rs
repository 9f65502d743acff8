//! Private attributes that loupe understands: blocks by their maker's name (PS3.5 7.8.1), and Siemens' CSA headers.

use crate::object::Dataset;
use dicom_core::Tag;

/// The attribute at `offset` of the block that `creator` has reserved in a private group.
pub fn tag(data: &Dataset, group: u16, creator: &str, offset: u8) -> Option<Tag> {
    let owned = |block: &u16| data.text(Tag(group, *block)).is_some_and(|text| text == creator);
    let block = (0x10..=0xFF).find(owned)?;
    Some(Tag(group, block << 8 | u16::from(offset)))
}

/// An entry of a CSA header that holds numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Csa {
    /// Its name.
    pub name: String,
    /// Its numbers.
    pub numbers: Vec<f64>,
}

/// The numbers of an entry of a CSA header of version 1 or 2 (`SV10`); the layout is that of nibabel's `csareader`. In version 1
/// an item's length stands in its first word, with the first entry's number of items added.
pub fn csa(bytes: &[u8], name: &str) -> Option<Csa> {
    let int = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let second = bytes.starts_with(b"SV10");
    let start = if second { 8 } else { 0 };
    let count = int(start)?;
    let mut at = start + 8;
    let mut first_items = None;
    for _ in 0..count.min(1024) {
        let label = bytes.get(at..at + 64)?;
        let label = label.split(|b| *b == 0).next().unwrap_or_default();
        let items = int(at + 76)?;
        let extra = *first_items.get_or_insert(items);
        at += 84;
        let mut numbers = Vec::new();
        for _ in 0..items.min(1024) {
            let length = if second { int(at + 4)? } else { int(at)?.checked_sub(extra)? };
            let text = bytes.get(at + 16..(at + 16).checked_add(length)?)?;
            let text = text.split(|b| *b == 0).next().unwrap_or_default();
            numbers.extend(String::from_utf8_lossy(text).trim().parse::<f64>().ok());
            at += 16 + length.div_ceil(4) * 4;
        }
        if label == name.as_bytes() {
            return Some(Csa { name: name.to_owned(), numbers });
        }
    }
    None
}

/// A CSA header of version 2 that holds these entries and nothing else.
pub fn csa_header(entries: &[Csa]) -> Vec<u8> {
    let mut out = b"SV10\x04\x03\x02\x01".to_vec();
    let int = |out: &mut Vec<u8>, n: usize| out.extend((n as u32).to_le_bytes());
    int(&mut out, entries.len());
    int(&mut out, 77);
    for entry in entries {
        let whole = entry.numbers.iter().all(|v| v.fract() == 0.0);
        let mut label = entry.name.as_bytes().to_vec();
        label.resize(64, 0);
        out.extend(label);
        int(&mut out, entry.numbers.len());
        out.extend(if whole { b"IS\0\0" } else { b"FD\0\0" });
        int(&mut out, if whole { 6 } else { 4 });
        int(&mut out, entry.numbers.len());
        int(&mut out, 77);
        for number in &entry.numbers {
            let text = if whole { format!("{number}\0") } else { format!("{number:.8}\0") };
            for n in [text.len(), text.len(), 77, text.len()] {
                int(&mut out, n);
            }
            let padded = text.len().div_ceil(4) * 4;
            let mut text = text.into_bytes();
            text.resize(padded, 0);
            out.extend(text);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csa_entries_are_read_back() {
        let entries = [
            Csa { name: "NumberOfImagesInMosaic".to_owned(), numbers: vec![36.0] },
            Csa { name: "SliceNormalVector".to_owned(), numbers: vec![0.0, -0.25, 0.968_245_84] },
        ];
        let header = csa_header(&entries);
        for entry in &entries {
            assert_eq!(csa(&header, &entry.name).as_ref(), Some(entry));
        }
        assert_eq!(csa(&header, "PatientName"), None);
        assert_eq!(csa(&header[..header.len() - 9], "SliceNormalVector"), None);
    }
}
