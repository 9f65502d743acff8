//! Data sets to bytes (PS3.5 section 7, PS3.10 section 7), in the encoding they were read in.

use super::object::{Dataset, Element, Object, Slice, Value};
use super::syntax;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// The file that holds `object`: preamble, meta information, data set. Deflated data sets are
/// written without deflation.
pub fn file(object: &Object) -> Vec<u8> {
    let uid = match object.transfer_syntax.as_str() {
        syntax::DEFLATED_EXPLICIT_LITTLE => syntax::EXPLICIT_LITTLE,
        other if !other.is_empty() && other.bytes().all(|b| b.is_ascii_digit() || b == b'.') => other,
        // A damaged file may have none; what was read is written in the common one.
        _ => syntax::EXPLICIT_LITTLE,
    };
    let text = |tag| object.data.text(tag).unwrap_or_default();
    let uid_element = |tag, value: &str| Element {
        tag,
        vr: VR::UI,
        value: Value::Bytes(Slice::owned(value.as_bytes().to_vec())),
    };
    let version = Value::Bytes(Slice::owned(vec![0, 1]));
    let meta = Dataset::new(
        vec![
            Element { tag: tags::FILE_META_INFORMATION_VERSION, vr: VR::OB, value: version },
            uid_element(tags::MEDIA_STORAGE_SOP_CLASS_UID, &text(tags::SOP_CLASS_UID)),
            uid_element(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, &text(tags::SOP_INSTANCE_UID)),
            uid_element(tags::TRANSFER_SYNTAX_UID, uid),
            // A UUID-derived root (PS3.5 B.2) of this writer.
            uid_element(tags::IMPLEMENTATION_CLASS_UID, "2.25.264733116372110353171437215219838391921"),
        ],
        false,
    );
    let mut group = Vec::new();
    write(&mut group, &meta, true, false);
    let mut out = vec![0u8; 128];
    out.extend_from_slice(b"DICM");
    out.extend_from_slice(&[2, 0, 0, 0, b'U', b'L', 4, 0]);
    out.extend_from_slice(&(group.len() as u32).to_le_bytes());
    out.append(&mut group);
    // Command and meta groups have no place in a data set; from a damaged file they would contradict
    // what was written above.
    let mut data = object.data.clone();
    data.retain(|e| e.tag.0 > 2);
    write(&mut out, &data, uid != syntax::IMPLICIT_LITTLE, uid == syntax::EXPLICIT_BIG);
    out
}

fn write(out: &mut Vec<u8>, data: &Dataset, explicit: bool, big: bool) {
    for element in data.elements() {
        // Group lengths are retired and would be wrong after a change.
        if element.tag.1 == 0 {
            continue;
        }
        match &element.value {
            Value::Bytes(slice) => {
                let bytes = slice.bytes();
                let padded = bytes.len() + bytes.len() % 2;
                header(out, element.tag, element.vr, padded as u32, explicit, big);
                out.extend_from_slice(bytes);
                out.resize(out.len() + padded - bytes.len(), if is_text(element.vr) { b' ' } else { 0 });
            }
            Value::Items(items) => {
                header(out, element.tag, VR::SQ, u32::MAX, explicit, big);
                for item in items {
                    mark(out, Tag(0xFFFE, 0xE000), u32::MAX, big);
                    write(out, item, explicit, big);
                    mark(out, Tag(0xFFFE, 0xE00D), 0, big);
                }
                mark(out, Tag(0xFFFE, 0xE0DD), 0, big);
            }
            Value::Fragments(fragments) => {
                header(out, element.tag, VR::OB, u32::MAX, explicit, big);
                for fragment in fragments {
                    let bytes = fragment.bytes();
                    let padded = bytes.len() + bytes.len() % 2;
                    mark(out, Tag(0xFFFE, 0xE000), padded as u32, big);
                    out.extend_from_slice(bytes);
                    out.resize(out.len() + padded - bytes.len(), 0);
                }
                mark(out, Tag(0xFFFE, 0xE0DD), 0, big);
            }
        }
    }
}

fn is_text(vr: VR) -> bool {
    !matches!(
        vr,
        VR::UI
            | VR::OB
            | VR::OW
            | VR::OF
            | VR::OD
            | VR::OL
            | VR::OV
            | VR::UN
            | VR::AT
            | VR::US
            | VR::SS
            | VR::UL
    ) && !matches!(vr, VR::SL | VR::FL | VR::FD | VR::SV | VR::UV)
}

fn header(out: &mut Vec<u8>, tag: Tag, vr: VR, length: u32, explicit: bool, big: bool) {
    if !explicit {
        mark(out, tag, length, big);
        return;
    }
    short(out, tag.0, big);
    short(out, tag.1, big);
    let long = super::parse::has_long_length(vr.to_bytes());
    // A value too long for its VR's two-byte length is written as UN (PS3.5 6.2.2).
    let vr = if !long && length > 0xFFFE { VR::UN } else { vr };
    out.extend_from_slice(&vr.to_bytes());
    if long || vr == VR::UN {
        out.extend_from_slice(&[0, 0]);
        word(out, length, big);
    } else {
        short(out, length as u16, big);
    }
}

fn mark(out: &mut Vec<u8>, tag: Tag, length: u32, big: bool) {
    short(out, tag.0, big);
    short(out, tag.1, big);
    word(out, length, big);
}

fn short(out: &mut Vec<u8>, value: u16, big: bool) {
    out.extend_from_slice(&if big { value.to_be_bytes() } else { value.to_le_bytes() });
}

fn word(out: &mut Vec<u8>, value: u32, big: bool) {
    out.extend_from_slice(&if big { value.to_be_bytes() } else { value.to_le_bytes() });
}
