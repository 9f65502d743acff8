//! Private attributes that stay (PS3.15 E.3.10).

use super::options::Options;
use super::table;
use crate::object::{Dataset, Element, Slice, Value};
use crate::private::{self, Csa};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// What a mosaic cannot be cut into slices without, and numbers about diffusion and timing that users ask for. All are numbers.
const LAYOUT: &[&str] = &["NumberOfImagesInMosaic", "SliceNormalVector"];
const NUMBERS: &[&str] = &[
    "B_value",
    "DiffusionGradientDirection",
    "B_matrix",
    "MosaicRefAcqTimes",
    "SliceMeasurementDuration",
    "BandwidthPerPixelPhaseEncode",
    "PhaseEncodingDirectionPositive",
    "RealDwellTime",
];

/// The private attributes of a data set that may stay, with the names of their makers: those of table E.3.10-1 when the option says
/// so, and of a Siemens mosaic always the numbers that say how it is laid out. Values that are not what their VR says do not stay.
pub(super) fn kept(data: &Dataset, options: &Options) -> Vec<Element> {
    let mut kept = Vec::new();
    let mut keep = |tag: Tag, vr: VR, bytes: Vec<u8>, creator: &str| {
        let owner = Tag(tag.0, tag.1 >> 8);
        kept.push(Element { tag: owner, vr: VR::LO, value: Value::Bytes(Slice::owned(creator.into())) });
        kept.push(Element { tag, vr, value: Value::Bytes(Slice::owned(bytes)) });
    };
    let mosaic =
        data.text(tags::IMAGE_TYPE).is_some_and(|kind| kind.split('\\').any(|part| part == "MOSAIC"));
    if mosaic {
        if let Some(tag) = private::tag(data, 0x0029, "SIEMENS CSA HEADER", 0x10)
            && let Some(header) = data.bytes(tag)
        {
            let more = if options.keep_safe_private { NUMBERS } else { &[] };
            let names = LAYOUT.iter().chain(more);
            let numbers: Vec<Csa> = names.filter_map(|name| private::csa(header, name)).collect();
            keep(tag, VR::OB, private::csa_header(&numbers), "SIEMENS CSA HEADER");
        }
        if let Some(tag) = private::tag(data, 0x0019, "SIEMENS MR HEADER", 0x0A)
            && let Some(count) = data.integer(tag).and_then(|n| u16::try_from(n).ok())
        {
            let bytes = if data.big_endian { count.to_be_bytes() } else { count.to_le_bytes() };
            keep(tag, VR::US, bytes.to_vec(), "SIEMENS MR HEADER");
        }
    }
    if options.keep_safe_private {
        for element in data.elements().iter().filter(|e| e.tag.0 % 2 == 1 && e.tag.1 >= 0x1000) {
            let Some(creator) = data.text(Tag(element.tag.0, element.tag.1 >> 8)) else { continue };
            let Some(vr) = table::safe_private(element.tag.0, element.tag.1 as u8, &creator) else {
                continue;
            };
            let Value::Bytes(bytes) = &element.value else { continue };
            if is_sound(vr, bytes.bytes()) {
                keep(element.tag, vr, bytes.bytes().to_vec(), &creator);
            }
        }
    }
    kept
}

/// Is the value what its VR says it is? Commas and words for what is no number count as numbers: readers have their own opinion of them,
/// and they name nobody.
pub(super) fn is_sound(vr: VR, bytes: &[u8]) -> bool {
    let only = |allowed: fn(&u8) -> bool| bytes.iter().all(allowed);
    match vr {
        VR::DS | VR::IS => bytes.split(|b| *b == b'\\').all(|part| {
            let text = String::from_utf8_lossy(part);
            let number = text.trim_matches([' ', '\0']).parse::<f64>().is_ok();
            number || part.iter().all(|b| b.is_ascii_digit() || b" +-.,eE\0".contains(b))
        }),
        VR::CS => only(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b" _\\\0".contains(b)),
        VR::AS => only(|b| b.is_ascii_digit() || b" DWMY\0".contains(b)),
        _ => true,
    }
}
