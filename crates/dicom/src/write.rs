//! Data sets to files (PS3.10 section 7), in the encoding they were read in, through `dicom-object`.
//!
//! Values go to the library as the bytes they are, so that it neither decodes text nor reformats numbers:
//! what a damaged file says stays as it is. Three things are settled before, because the library would
//! write them wrongly or not at all:
//!
//! - decimal and integer strings are given to it as text, since it writes bytes of theirs as numbers;
//! - a value too long for its VR's two-byte length becomes `UN` (PS3.5 6.2.2), where it would refuse;
//! - the transfer syntax of the data set is one that it knows: files of a private one are written as
//!   explicit little endian, which is what they are read as, under the name they had.

use crate::object::{Dataset, Element, Object, Value, offset_table, words};
use crate::syntax::{self, has_long_length};
use crate::uid;
use dicom_core::value::{C, DataSetSequence, PixelFragmentSequence};
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTable, FileMetaTableBuilder, InMemDicomObject};
use loupe_core::media::MediaError;

/// Implementation Class UID (0002,0012) of the files that are written: a UUID-derived one (PS3.5 B.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.207437618253497816143986137158712946573";

/// How the bytes of a data set are laid out.
#[derive(Clone, Copy)]
struct Encoding {
    explicit: bool,
    big_endian: bool,
}

impl Encoding {
    fn of(uid: &str) -> Self {
        Self { explicit: uid != syntax::IMPLICIT_LITTLE, big_endian: uid == syntax::EXPLICIT_BIG }
    }

    /// A syntax that the library writes, with this layout.
    fn uid(self) -> &'static str {
        match (self.explicit, self.big_endian) {
            (false, _) => syntax::IMPLICIT_LITTLE,
            (true, false) => syntax::EXPLICIT_LITTLE,
            (true, true) => syntax::EXPLICIT_BIG,
        }
    }
}

/// The file that holds `object`: preamble, meta information, data set. The meta information is made anew
/// from the data set's SOP Class and Instance UID and the object's transfer syntax; what `object.meta` says
/// is not used. Deflated data sets are written without deflation, sequences and items with undefined
/// lengths, group lengths (retired) not at all. Values are brought into the byte order of the transfer syntax.
///
/// # Errors
/// When the library refuses something; nothing that [`parse`](crate::parse::parse) gives is known to be refused.
pub fn file(object: &Object) -> Result<Vec<u8>, MediaError> {
    let uid = match object.transfer_syntax.as_str() {
        syntax::DEFLATED_EXPLICIT_LITTLE => syntax::EXPLICIT_LITTLE,
        other if uid::is_valid(other) => other,
        // A damaged file may have none; what was read is written in the common one.
        _ => syntax::EXPLICIT_LITTLE,
    };
    let encoding = Encoding::of(uid);
    let mut out = vec![0u8; 128];
    out.extend_from_slice(b"DICM");
    meta(object, uid)?.write(&mut out).map_err(|_| refused("file meta information"))?;
    // Command and meta groups have no place in a data set; from a damaged file they would contradict
    // what was written above.
    let elements = object.data.elements().iter().filter(|e| e.tag.0 > 2);
    library_set(elements, object.data.big_endian, encoding)
        .with_exact_meta(meta(object, encoding.uid())?)
        .write_dataset(&mut out)
        .map_err(|_| refused("data set"))?;
    Ok(out)
}

/// The library's own errors may quote values.
fn refused(part: &str) -> MediaError {
    MediaError::Malformed {
        format: "DICOM",
        field: part.to_owned(),
        problem: "holds something that cannot be written".to_owned(),
    }
}

fn meta(object: &Object, transfer_syntax: &str) -> Result<FileMetaTable, MediaError> {
    let named = |tag| object.data.text(tag).filter(|uid| uid::is_valid(uid)).unwrap_or_default();
    FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(named(tags::SOP_CLASS_UID))
        .media_storage_sop_instance_uid(named(tags::SOP_INSTANCE_UID))
        .transfer_syntax(transfer_syntax)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .build()
        .map_err(|_| refused("file meta information"))
}

/// The library's form of a data set whose numbers are stored with `from_big` endianness.
fn library_set<'a>(
    elements: impl Iterator<Item = &'a Element>,
    from_big: bool,
    to: Encoding,
) -> InMemDicomObject {
    // Group lengths would be wrong after a change.
    let written = elements.filter(|e| e.tag.1 != 0);
    InMemDicomObject::from_element_iter(written.map(|e| library_element(e, from_big, to)))
}

fn library_element(element: &Element, from_big: bool, to: Encoding) -> DataElement<InMemDicomObject> {
    let tag = element.tag;
    match &element.value {
        Value::Items(items) => {
            let item = |item: &Dataset| library_set(item.elements().iter(), item.big_endian, to);
            let items: Vec<InMemDicomObject> = items.iter().map(item).collect();
            DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
        }
        Value::Fragments(fragments) if tag == tags::PIXEL_DATA => {
            let table: C<u32> =
                words::<4>(offset_table(fragments), from_big).map(u32::from_le_bytes).collect();
            let fragments: C<Vec<u8>> = fragments.iter().skip(1).map(|f| f.bytes().to_vec()).collect();
            DataElement::new(tag, VR::OB, PixelFragmentSequence::new(table, fragments))
        }
        // Nothing but pixel data may be in fragments (PS3.5 A.4); elsewhere their contents are the value.
        Value::Fragments(fragments) => {
            let bytes: Vec<u8> = fragments.iter().flat_map(|f| f.bytes()).copied().collect();
            library_value(tag, VR::OB, bytes, to)
        }
        Value::Bytes(slice) => {
            let mut bytes = slice.bytes().to_vec();
            if from_big != to.big_endian {
                reverse_numbers(&mut bytes, element.vr);
            }
            library_value(tag, element.vr, bytes, to)
        }
    }
}

fn library_value(tag: Tag, vr: VR, mut bytes: Vec<u8>, to: Encoding) -> DataElement<InMemDicomObject> {
    if bytes.len() % 2 == 1 {
        bytes.push(if is_text(vr) { b' ' } else { 0 });
    }
    let too_long = to.explicit && bytes.len() > 0xFFFE && !has_long_length(vr.to_bytes());
    // A sequence whose items are not known is bytes that nobody understands.
    let vr = if too_long || vr == VR::SQ { VR::UN } else { vr };
    let value = match vr {
        _ if bytes.is_empty() => PrimitiveValue::Empty,
        // The library maps these characters to the bytes that they stand for here.
        VR::DS | VR::IS => PrimitiveValue::Str(bytes.iter().map(|b| char::from(*b)).collect()),
        _ => PrimitiveValue::U8(C::from_vec(bytes)),
    };
    DataElement::new(tag, vr, value)
}

/// Is the value padded with a blank?
fn is_text(vr: VR) -> bool {
    number_size(vr).is_none() && !matches!(vr, VR::UI | VR::OB | VR::UN | VR::SQ)
}

/// Bytes of each number of a binary value.
fn number_size(vr: VR) -> Option<usize> {
    match vr {
        VR::US | VR::SS | VR::OW | VR::AT => Some(2),
        VR::UL | VR::SL | VR::FL | VR::OF | VR::OL => Some(4),
        VR::FD | VR::OD | VR::UV | VR::SV | VR::OV => Some(8),
        _ => None,
    }
}

fn reverse_numbers(bytes: &mut [u8], vr: VR) {
    let Some(size) = number_size(vr) else { return };
    bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
}
