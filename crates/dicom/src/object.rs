//! Data sets in memory: elements by tag, values as slices of the file, typed access.

use crate::charset::Charset;
use crate::syntax::{self, dictionary_vr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use loupe_core::media::MediaError;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A value that has not been interpreted: a part of the file.
#[derive(Clone)]
pub struct Slice {
    data: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Slice {
    /// The part `range` of `data`, clipped to what is there.
    pub fn new(data: &Arc<Vec<u8>>, range: Range<usize>) -> Self {
        let end = range.end.min(data.len());
        Self { data: Arc::clone(data), range: range.start.min(end)..end }
    }

    /// A value of its own.
    pub fn owned(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { data: Arc::new(bytes), range }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.data.get(self.range.clone()).unwrap_or_default()
    }
}

/// Says how long it is; what it holds may identify a patient.
impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.range.len())
    }
}

/// The value of an element.
#[derive(Debug, Clone)]
pub enum Value {
    /// Bytes as stored.
    Bytes(Slice),
    /// The items of a sequence.
    Items(Vec<Dataset>),
    /// The fragments of encapsulated pixel data, the basic offset table first.
    Fragments(Vec<Slice>),
}

/// The basic offset table among `fragments`; empty where there is none or it is no list of 32-bit offsets, which
/// the standard allows a table to be (PS3.5 A.4).
pub(crate) fn offset_table(fragments: &[Slice]) -> &[u8] {
    fragments.first().map(Slice::bytes).filter(|table| table.len().is_multiple_of(4)).unwrap_or_default()
}

/// One attribute.
#[derive(Debug, Clone)]
pub struct Element {
    /// Group and element.
    pub tag: Tag,
    /// As written, or from the dictionary.
    pub vr: VR,
    /// What the element holds.
    pub value: Value,
}

/// Attributes ordered by tag.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    elements: Vec<Element>,
    /// Are numbers stored with the most significant byte first?
    pub big_endian: bool,
}

/// One parsed file.
#[derive(Debug, Clone)]
pub struct Object {
    /// File meta information (group 0002); empty when the file has none.
    pub meta: Dataset,
    /// Everything else.
    pub data: Dataset,
    /// UID of the transfer syntax, as given or as found out.
    pub transfer_syntax: String,
    /// What had to be assumed to read the file, in words.
    pub notes: Vec<String>,
    /// The attribute in which the file ended early.
    pub truncated_in: Option<Tag>,
}

impl Object {
    /// An object made of `data`, to be written in explicit little endian (big endian when its numbers are).
    pub fn new(data: Dataset) -> Self {
        let transfer_syntax = if data.big_endian { syntax::EXPLICIT_BIG } else { syntax::EXPLICIT_LITTLE };
        Self {
            meta: Dataset::default(),
            data,
            transfer_syntax: transfer_syntax.to_owned(),
            notes: Vec::new(),
            truncated_in: None,
        }
    }
}

/// `Rows (0028,0010)`: keyword and tag, for messages.
pub fn describe(tag: Tag) -> String {
    use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
    match dicom_dictionary_std::StandardDataDictionary.by_tag(tag) {
        Some(entry) => format!("{} {tag}", entry.alias()),
        None => tag.to_string(),
    }
}

/// A [`MediaError::Malformed`] about `tag`.
pub fn malformed(tag: Tag, problem: impl Into<String>) -> MediaError {
    MediaError::Malformed { format: "DICOM", field: describe(tag), problem: problem.into() }
}

/// A [`MediaError::Unsupported`].
pub fn unsupported(what: impl Into<String>, hint: impl Into<String>) -> MediaError {
    MediaError::Unsupported { what: what.into(), hint: hint.into() }
}

impl Dataset {
    /// A data set of `elements`; of equal tags the last counts.
    pub fn new(mut elements: Vec<Element>, big_endian: bool) -> Self {
        if !elements.windows(2).all(|w| matches!(w, [a, b] if a.tag < b.tag)) {
            elements.reverse();
            elements.sort_by_key(|e| e.tag);
            elements.dedup_by_key(|e| e.tag);
        }
        Self { elements, big_endian }
    }

    /// All attributes in order.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Puts an attribute in place, replacing one of the same tag.
    pub fn put(&mut self, element: Element) {
        match self.elements.binary_search_by_key(&element.tag, |e| e.tag) {
            Ok(at) => self.elements[at] = element,
            Err(at) => self.elements.insert(at, element),
        }
    }

    /// Removes the attributes for which `keep` says no.
    pub fn retain(&mut self, keep: impl FnMut(&Element) -> bool) {
        self.elements.retain(keep);
    }

    /// The attributes, to be changed in place (tags must stay).
    pub fn elements_mut(&mut self) -> &mut [Element] {
        &mut self.elements
    }

    /// The attribute, when present.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.binary_search_by_key(&tag, |e| e.tag).ok().and_then(|at| self.elements.get(at))
    }

    /// The attribute, when present, to be changed in place (its tag must stay).
    pub fn get_mut(&mut self, tag: Tag) -> Option<&mut Element> {
        self.elements.binary_search_by_key(&tag, |e| e.tag).ok().and_then(|at| self.elements.get_mut(at))
    }

    /// Its bytes, when present, not a sequence and not empty.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        match self.get(tag).map(|e| &e.value) {
            Some(Value::Bytes(slice)) if !slice.bytes().is_empty() => Some(slice.bytes()),
            _ => None,
        }
    }

    /// The items of a sequence; none when absent.
    pub fn items(&self, tag: Tag) -> &[Dataset] {
        match self.get(tag).map(|e| &e.value) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// The first item of a sequence.
    pub fn item(&self, tag: Tag) -> Option<&Dataset> {
        self.items(tag).first()
    }

    /// The text without padding, undecoded (UIDs, code strings, numbers).
    pub fn text(&self, tag: Tag) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(tag)?);
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The text in the data set's character set.
    pub fn decoded(&self, tag: Tag, charset: &Charset) -> Option<String> {
        let text = charset.decode(self.bytes(tag)?);
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The character set that the data set declares.
    pub fn charset(&self) -> Charset {
        Charset::named(self.text(tags::SPECIFIC_CHARACTER_SET).as_deref().unwrap_or_default())
    }

    /// The values of a numeric attribute, whatever its VR: binary numbers by their VR, text as
    /// decimal strings. With VR `UN` the dictionary says what the bytes are.
    pub fn numbers(&self, tag: Tag) -> Option<Vec<f64>> {
        let bytes = self.bytes(tag)?;
        let vr = match self.get(tag)?.vr {
            VR::UN => dictionary_vr(tag),
            vr => vr,
        };
        let be = self.big_endian;
        Some(match vr {
            VR::US | VR::OW => words::<2>(bytes, be).map(|b| f64::from(u16::from_le_bytes(b))).collect(),
            VR::SS => words::<2>(bytes, be).map(|b| f64::from(i16::from_le_bytes(b))).collect(),
            VR::UL | VR::OL => words::<4>(bytes, be).map(|b| f64::from(u32::from_le_bytes(b))).collect(),
            VR::SL => words::<4>(bytes, be).map(|b| f64::from(i32::from_le_bytes(b))).collect(),
            VR::UV | VR::OV => words::<8>(bytes, be).map(|b| u64::from_le_bytes(b) as f64).collect(),
            VR::SV => words::<8>(bytes, be).map(|b| i64::from_le_bytes(b) as f64).collect(),
            VR::FL | VR::OF => words::<4>(bytes, be).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            VR::FD | VR::OD => words::<8>(bytes, be).map(f64::from_le_bytes).collect(),
            _ => {
                let text = String::from_utf8_lossy(bytes);
                let parts = text.split('\\').map(|p| p.trim_matches([' ', '\0']).parse::<f64>());
                let values: Result<Vec<f64>, _> = parts.collect();
                values.ok()?
            }
        })
    }

    /// The first value of a numeric attribute.
    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag)?.first().copied()
    }

    /// Exactly `N` finite values.
    pub fn vector<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let values = self.numbers(tag)?;
        let array: [f64; N] = values.try_into().ok()?;
        array.iter().all(|v| v.is_finite()).then_some(array)
    }

    /// A whole number.
    pub fn integer(&self, tag: Tag) -> Option<i64> {
        let value = self.number(tag)?;
        (value.is_finite() && value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
    }

    /// 16-bit words of `tag` (LUT data, palettes), as unsigned numbers.
    pub fn u16_words(&self, tag: Tag) -> Option<Vec<u16>> {
        Some(words::<2>(self.bytes(tag)?, self.big_endian).map(u16::from_le_bytes).collect())
    }
}

/// Groups of `N` bytes, least significant first; a rest that does not fill a group is left out.
pub fn words<const N: usize>(bytes: &[u8], big_endian: bool) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().map(move |chunk| {
        let mut word = *chunk;
        if big_endian {
            word.reverse();
        }
        word
    })
}
