//! Content items of structured reports (PS3.3 C.17.3).

use crate::dicom::derived::code;
use crate::printable::printable;
use loupe_core::labels::CodedConcept;
use loupe_dicom::{Dataset, tags};

/// How an item belongs to the one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relationship {
    Contains,
    HasConceptMod,
    HasObsContext,
    InferredFrom,
    SelectedFrom,
}

impl Relationship {
    const fn words(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasConceptMod => "HAS CONCEPT MOD",
            Self::HasObsContext => "HAS OBS CONTEXT",
            Self::InferredFrom => "INFERRED FROM",
            Self::SelectedFrom => "SELECTED FROM",
        }
    }
}

fn item(relationship: Relationship, kind: &str, name: Option<&CodedConcept>) -> Dataset {
    let mut item = Dataset::default();
    item.put_text(tags::RELATIONSHIP_TYPE, relationship.words());
    item.put_text(tags::VALUE_TYPE, kind);
    if let Some(name) = name {
        item.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(name)]);
    }
    item
}

/// The attributes of a container, at the root or within; `template` is one of DCMR's.
pub(crate) fn put_container(
    item: &mut Dataset,
    name: &CodedConcept,
    template: Option<&str>,
    content: Vec<Dataset>,
) {
    item.put_text(tags::VALUE_TYPE, "CONTAINER");
    item.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(name)]);
    item.put_text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    if let Some(template) = template {
        let mut of = Dataset::default();
        of.put_text(tags::MAPPING_RESOURCE, "DCMR");
        of.put_text(tags::TEMPLATE_IDENTIFIER, template);
        item.put_items(tags::CONTENT_TEMPLATE_SEQUENCE, vec![of]);
    }
    if !content.is_empty() {
        item.put_items(tags::CONTENT_SEQUENCE, content);
    }
}

/// A container within another.
pub(crate) fn container(name: &CodedConcept, template: Option<&str>, content: Vec<Dataset>) -> Dataset {
    let mut out = item(Relationship::Contains, "CONTAINER", None);
    put_container(&mut out, name, template, content);
    out
}

/// Words.
pub(crate) fn text(relationship: Relationship, name: &CodedConcept, words: &str) -> Dataset {
    let mut out = item(relationship, "TEXT", Some(name));
    out.put_text(tags::TEXT_VALUE, &printable(words));
    out
}

/// An identifier.
pub(crate) fn uid_ref(relationship: Relationship, name: &CodedConcept, uid: &str) -> Dataset {
    let mut out = item(relationship, "UIDREF", Some(name));
    out.put_text(tags::UID, uid);
    out
}

/// A code.
pub(crate) fn coded(relationship: Relationship, name: &CodedConcept, value: &CodedConcept) -> Dataset {
    let mut out = item(relationship, "CODE", Some(name));
    out.put_items(tags::CONCEPT_CODE_SEQUENCE, vec![code(value)]);
    out
}

/// A number with its unit.
pub(crate) fn number(name: &CodedConcept, value: f64, unit: &CodedConcept, content: Vec<Dataset>) -> Dataset {
    let mut measured = Dataset::default();
    measured.put_decimals(tags::NUMERIC_VALUE, &[value]);
    measured.put_doubles(tags::FLOATING_POINT_VALUE, &[value]);
    measured.put_items(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![code(unit)]);
    let mut out = item(Relationship::Contains, "NUM", Some(name));
    out.put_items(tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
    if !content.is_empty() {
        out.put_items(tags::CONTENT_SEQUENCE, content);
    }
    out
}

/// An image, by its reference.
pub(crate) fn image(relationship: Relationship, reference: Dataset) -> Dataset {
    let mut out = item(relationship, "IMAGE", None);
    out.put_items(tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
    out
}

/// A place in an image, in continuous pixel edges (PS3.3 C.18.6.1.1: the upper left corner of the first pixel is 0, 0).
pub(crate) fn place(
    relationship: Relationship,
    name: &CodedConcept,
    graphic: &str,
    points: &[[f64; 2]],
    reference: Dataset,
) -> Dataset {
    let mut out = item(relationship, "SCOORD", Some(name));
    out.put_text(tags::GRAPHIC_TYPE, graphic);
    let numbers: Vec<f32> = points.iter().flatten().map(|v| *v as f32).collect();
    out.put_floats(tags::GRAPHIC_DATA, &numbers);
    out.put_items(tags::CONTENT_SEQUENCE, vec![image(Relationship::SelectedFrom, reference)]);
    out
}
