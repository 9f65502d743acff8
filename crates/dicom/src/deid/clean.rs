//! The walk over a data set and its items.

use super::method::Done;
use super::options::Options;
use super::people::People;
use super::subject::Subject;
use super::table::{self, Action};
use super::{content, dummy, private};
use crate::object::{Dataset, Element, Slice, Value};
use crate::parse;
use crate::syntax::dictionary_vr;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// Labels that get a number in place of their words, so that the parts can still be told apart.
const NUMBERED: &[(Tag, Tag, &str)] = &[
    (tags::SEGMENT_LABEL, tags::SEGMENT_NUMBER, "Segment"),
    (tags::ROI_NAME, tags::ROI_NUMBER, "ROI"),
    (tags::BEAM_NAME, tags::BEAM_NUMBER, "Beam"),
];

/// The attributes of a code (PS3.3 table 8.8-1). They mean nothing outside an item.
const CODE: &[Tag] = &[
    tags::CODE_VALUE,
    tags::EXTENDED_CODE_VALUE,
    tags::CODING_SCHEME_DESIGNATOR,
    tags::CODING_SCHEME_VERSION,
    tags::CODE_MEANING,
    tags::LONG_CODE_VALUE,
    tags::URN_CODE_VALUE,
];

/// Coding schemes of the standard (PS3.16 table 8-1) that nobody extends at home: what a code of theirs means is not written by hand.
const PUBLIC_SCHEMES: &str = "
    99SDM ACR BARI C4 C5 CD2 DCM FMA I10 I10P I11 I9C IBSI ICDO3 ISO3166_1 ISO639_1 ISO639_2 ITIS_TSN LN MA MDC MSH NCIT NCIt NDC NEU
    NYUMCCG OXF POS PUBCHEM_CID RADLEX RFC5646 RXNORM SCT SNM3 SRT UBERON UCUM UMLS UNS UPC mediatype";

/// Where an item stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The data set itself, not an item.
    pub root: bool,
    /// Inside a sequence that is a dummy as a whole: what would stay is replaced too.
    pub dummies: bool,
}

pub(super) struct Cleaner<'a> {
    pub options: &'a Options,
    pub subject: &'a Subject,
    /// Text that names one of them does not stay.
    pub people: People,
    /// Names of graphic layers in the order in which they were met.
    pub layers: Vec<Vec<u8>>,
    /// Content items point to others by their positions.
    pub references: bool,
    pub done: Done,
}

impl<'a> Cleaner<'a> {
    pub(super) fn new(data: &Dataset, options: &'a Options, subject: &'a Subject) -> Self {
        let done = Done { content: false, graphics: false, private: false };
        let references = content::has_references(data);
        Self { options, subject, people: People::of(data), layers: Vec::new(), references, done }
    }

    /// Applies the tables to a data set and its items.
    pub(super) fn data_set(&mut self, data: &mut Dataset, place: Place) {
        let private = private::kept(data, self.options);
        self.done.private |= !private.is_empty();
        data.elements_mut().iter_mut().for_each(open_sequence);
        let original = content::is_item(data).then(|| data.clone());
        for element in
            data.elements_mut().iter_mut().filter(|e| e.tag == tags::CONTENT_SEQUENCE && !self.references)
        {
            if let Value::Items(items) = &mut element.value {
                items.retain(|item| !content::goes(item, self.options));
            }
        }
        let emptied = |e: &Element| {
            e.tag == tags::CONTENT_SEQUENCE && matches!(&e.value, Value::Items(i) if i.is_empty())
        };
        data.retain(|e| self.action(e, place) != Action::Remove && !emptied(e));
        let numbers = NUMBERED.iter().map(|(label, number, word)| {
            let text = data.integer(*number).map(|n| format!("{word} {n}"));
            (*label, text)
        });
        let numbers: Vec<(Tag, Option<String>)> = numbers.collect();
        let scheme = data.text(tags::CODING_SCHEME_DESIGNATOR).unwrap_or_default();
        let is_public = PUBLIC_SCHEMES.split_whitespace().any(|public| public == scheme);
        for element in data.elements_mut() {
            let action = self.action(element, place);
            let tag = element.tag;
            let vr = dictionary_vr(tag);
            let bytes = match &mut element.value {
                Value::Items(items) => {
                    self.done.graphics |= tag == tags::GRAPHIC_ANNOTATION_SEQUENCE;
                    self.done.content |= tag == tags::CONTENT_SEQUENCE;
                    match action {
                        Action::Empty => items.clear(),
                        _ => {
                            let dummies = place.dummies || action == Action::Dummy;
                            items.iter_mut().for_each(|i| self.data_set(i, Place { root: false, dummies }));
                        }
                    }
                    continue;
                }
                Value::Bytes(slice) => slice.bytes(),
                Value::Fragments(_) => continue,
            };
            // What had no value says nothing.
            if bytes.iter().all(|b| matches!(b, 0 | b' ')) && is_text(vr) {
                continue;
            }
            let numbered = numbers.iter().find(|(label, _)| *label == tag).and_then(|(_, text)| text.clone());
            let replaced = match action {
                _ if matches!(tag, tags::PATIENT_ID | tags::PATIENT_NAME) => {
                    self.subject.pseudonym.clone().into()
                }
                Action::Empty | Action::Dummy if numbered.is_some() => numbered.unwrap_or_default().into(),
                Action::Dummy if tag == tags::GRAPHIC_LAYER => self.layer(bytes),
                Action::Dummy if tag == tags::CODING_SCHEME_DESIGNATOR => {
                    format!("99{}", dummy::REMOVED).into()
                }
                Action::Empty => Vec::new(),
                Action::Dummy => dummy::of(vr, bytes),
                Action::Uid => dummy::uids(bytes, self.options),
                Action::Shift => dummy::shifted(vr, bytes, self.subject.shift_days),
                _ if vr == VR::UI && !self.options.keep_uids => {
                    let coding = [tags::CODING_SCHEME_UID, tags::CONTEXT_UID, tags::MAPPING_RESOURCE_UID];
                    dummy::class_uids(bytes, coding.contains(&tag), self.options)
                }
                _ if !private::is_sound(vr, bytes) && matches!(vr, VR::DS | VR::IS | VR::AS) => Vec::new(),
                _ if tag == tags::CODE_MEANING && !is_public => dummy::of(vr, bytes),
                // A code that reads like somebody's number is a code.
                _ if tag != tags::CODE_MEANING && CODE.contains(&tag) => continue,
                _ if is_text(vr) && vr != VR::CS && self.people.named_in(bytes) => dummy::of(vr, bytes),
                _ => continue,
            };
            element.value = Value::Bytes(Slice::owned(replaced));
            // Text that stands as unknown bytes is padded like bytes.
            element.vr = if element.vr == VR::UN { vr } else { element.vr };
        }
        if let Some(original) = original {
            content::clean(&original, data, self.options, &self.people);
        }
        private.into_iter().for_each(|element| data.put(element));
    }

    fn action(&self, element: &Element, place: Place) -> Action {
        let tag = element.tag;
        let vr = dictionary_vr(tag);
        let group = tag.0;
        // Private attributes, curves, overlays, padding behind the data set, and what only a key opens.
        let gone = group % 2 == 1
            || matches!(group >> 8, 0x50 | 0x60)
            || group == 0xFFFC
            || tag == tags::ENCRYPTED_ATTRIBUTES_SEQUENCE;
        let unknown = tag.1 == 0 || vr == VR::UN;
        let misfit = match &element.value {
            Value::Items(_) => vr != VR::SQ,
            Value::Bytes(_) => vr == VR::SQ,
            Value::Fragments(_) => tag != tags::PIXEL_DATA,
        };
        if gone || unknown || misfit || (place.root && CODE.contains(&tag)) || !bytes_may_stay(tag, vr) {
            return Action::Remove;
        }
        let action = table::attribute(tag, vr, self.options).unwrap_or(match vr {
            VR::PN => Action::Empty,
            VR::UI if self.options.keep_uids => Action::Keep,
            VR::UI => Action::Uid,
            VR::DA | VR::DT | VR::TM => Action::Remove,
            vr if is_text(vr) && vr != VR::CS => Action::Remove,
            _ => Action::Keep,
        });
        match action {
            Action::Keep if place.dummies && vr == VR::UI && !self.options.keep_uids => Action::Uid,
            Action::Keep | Action::Uid if place.dummies && is_text(vr) && vr != VR::CS && vr != VR::UI => {
                Action::Dummy
            }
            action => action,
        }
    }

    fn layer(&mut self, name: &[u8]) -> Vec<u8> {
        let at = self.layers.iter().position(|known| known == name).unwrap_or_else(|| {
            self.layers.push(name.to_owned());
            self.layers.len() - 1
        });
        format!("LAYER{}", at + 1).into()
    }
}

/// A sequence that stands as unknown bytes, which a writer does that did not know it, so that what is in it can be cleaned.
fn open_sequence(element: &mut Element) {
    if let Value::Bytes(bytes) = &element.value
        && dictionary_vr(element.tag) == VR::SQ
        && let Some(items) = parse::items(bytes.bytes())
    {
        *element = Element { tag: element.tag, vr: VR::SQ, value: Value::Items(items) };
    }
}

fn is_text(vr: VR) -> bool {
    matches!(
        vr,
        VR::AE
            | VR::AS
            | VR::CS
            | VR::DA
            | VR::DT
            | VR::LO
            | VR::LT
            | VR::PN
            | VR::SH
            | VR::ST
            | VR::TM
            | VR::UC
            | VR::UI
            | VR::UR
            | VR::UT
    )
}

/// Bytes stay where they are samples, tables, coordinates or colour profiles.
fn bytes_may_stay(tag: Tag, vr: VR) -> bool {
    match vr {
        VR::OB => matches!(tag, tags::ICC_PROFILE | tags::PIXEL_DATA) || tag.0 == 0x5400,
        VR::OW => matches!(tag.0, 0x0022 | 0x0028 | 0x0066 | 0x0070 | 0x5400 | 0x5600 | 0x7FE0),
        _ => true,
    }
}
