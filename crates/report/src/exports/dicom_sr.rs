//! Boxes and points as a DICOM Comprehensive SR with template TID 1500 (PS3.16), Measurement Report: a planar measurement group (TID
//! 1410) a finding. PACS keep it; OHIF, 3D Slicer, highdicom and dcmqi read it.
//!
//! OHIF takes a place from the first number of a group that has numbers, and drops groups where the place only stands beside it;
//! so a finding with a score has its place in both. Coordinates are continuous pixel edges, in single precision as the standard
//! has them. The report is preliminary and unverified: a model made it.

use crate::dicom::codes::{OWN_SCHEME, code_of, concept};
use crate::dicom::content::{Relationship, coded, container, number, place, put_container, text, uid_ref};
use crate::dicom::derived::{DerivedKind, begin, by_series, finish, reference};
use crate::dicom::places::{PlacedFinding, masks_left_out, placed};
use crate::dicom::{Author, FrameRef, SourceStudy};
use crate::exports::exporter::{Export, ExportError, Exported, Exporter, Scope};
use loupe_dicom::{Dataset, tags, uid};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "dicom-sr",
    about: "boxes and points as DICOM SR (TID 1500), as OHIF shows it",
    scope: Scope::Study,
    write,
}];

const KIND: DerivedKind = DerivedKind {
    class: "1.2.840.10008.5.1.4.1.1.88.33",
    modality: "SR",
    series_number: 9002,
    description: "Findings by model",
};

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let study = export.study()?;
    let mut notes: Vec<String> = masks_left_out(export).into_iter().collect();
    let findings = placed(export, &mut notes)?;
    let first = findings.first().and_then(|f| study.file(f.at));
    let first = first.ok_or(ExportError::Nothing("no box or point lies on a stored frame"))?;
    let mut data = begin(first, &KIND, export.author);
    document(&mut data, study, findings.iter().map(|f| f.at));
    let groups = findings.iter().map(|f| group(study, f)).collect();
    let mut content = vec![language()];
    content.extend(observer(export.author));
    content.push(coded(
        Relationship::HasConceptMod,
        &concept("121058", "DCM", "Procedure reported"),
        &concept("363679005", "SCT", "Imaging procedure"),
    ));
    content.push(container(&concept("126010", "DCM", "Imaging Measurements"), None, groups));
    put_container(&mut data, &concept("126000", "DCM", "Imaging Measurement Report"), Some("1500"), content);
    Ok(Exported { notes, ..Exported::file("sr.dcm", finish(data)?) })
}

/// Series and document of a report that nobody has verified (PS3.3 C.17.1, C.17.2), and what it refers to.
pub(super) fn document(data: &mut Dataset, study: &SourceStudy, frames: impl Iterator<Item = FrameRef>) {
    data.put_items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    data.put_items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    data.put_text(tags::COMPLETION_FLAG, "COMPLETE");
    data.put_text(tags::VERIFICATION_FLAG, "UNVERIFIED");
    data.put_text(tags::PRELIMINARY_FLAG, "PRELIMINARY");
    data.put_items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, vec![evidence(study, frames)]);
}

/// What is referred to: study, series, objects (PS3.3 C.17.2.3).
pub(super) fn evidence(study: &SourceStudy, frames: impl Iterator<Item = FrameRef>) -> Dataset {
    let series = by_series(study, frames).into_iter().map(|(uid, objects)| {
        let mut item = Dataset::default();
        item.put_text(tags::SERIES_INSTANCE_UID, &uid);
        item.put_items(tags::REFERENCED_SOP_SEQUENCE, objects);
        item
    });
    let mut item = Dataset::default();
    item.put_text(tags::STUDY_INSTANCE_UID, study.files.first().map_or("", |f| f.study.as_str()));
    item.put_items(tags::REFERENCED_SERIES_SEQUENCE, series.collect());
    item
}

/// TID 1204.
fn language() -> Dataset {
    let mut item = coded(
        Relationship::HasConceptMod,
        &concept("121049", "DCM", "Language of Content Item and Descendants"),
        &concept("en", "RFC5646", "English"),
    );
    let country = coded(
        Relationship::HasConceptMod,
        &concept("121046", "DCM", "Country of Language"),
        &concept("GB", "ISO3166_1", "United Kingdom"),
    );
    item.put_items(tags::CONTENT_SEQUENCE, vec![country]);
    item
}

/// TID 1004: a device observed, which is the model.
pub(super) fn observer(author: &Author) -> Vec<Dataset> {
    let context = Relationship::HasObsContext;
    let identity = format!("{}\n{}", author.model, author.identity);
    let mut out = vec![
        coded(context, &concept("121005", "DCM", "Observer Type"), &concept("121007", "DCM", "Device")),
        uid_ref(
            context,
            &concept("121012", "DCM", "Device Observer UID"),
            &uid::hashed(b"loupe export: device", identity.as_bytes()),
        ),
        text(context, &concept("121013", "DCM", "Device Observer Name"), &author.model),
        text(context, &concept("121014", "DCM", "Device Observer Manufacturer"), "loupe"),
        text(context, &concept("121015", "DCM", "Device Observer Model Name"), &author.model),
    ];
    if !author.identity.is_empty() {
        out.push(text(context, &concept("121016", "DCM", "Device Observer Serial Number"), &author.identity));
    }
    out
}

/// TID 1410.
fn group(study: &SourceStudy, found: &PlacedFinding<'_>) -> Dataset {
    let label = found.label();
    let seen = || reference(study, found.at);
    let instance = study.file(found.at).map_or("", |f| f.instance.as_str());
    let key = format!("{instance}\n{}\n{}\n{label}\n{:?}", found.at.frame, found.number, found.shape);
    let region = |relationship| {
        let name = concept("111030", "DCM", "Image Region");
        place(relationship, &name, found.shape.graphic(), &found.shape.points(), seen())
    };
    let mut content = vec![
        text(
            Relationship::HasObsContext,
            &concept("112039", "DCM", "Tracking Identifier"),
            &format!("{label} {}", found.number + 1),
        ),
        uid_ref(
            Relationship::HasObsContext,
            &concept("112040", "DCM", "Tracking Unique Identifier"),
            &uid::hashed(b"loupe export: finding", key.as_bytes()),
        ),
        coded(Relationship::Contains, &concept("121071", "DCM", "Finding"), &code_of(label)),
        region(Relationship::Contains),
    ];
    if let Some(score) = found.finding.score.filter(|s| s.is_finite()) {
        let name = concept("model-score", OWN_SCHEME, "Score given by the model");
        let unit = concept("1", "UCUM", "no units");
        content.push(number(&name, score, &unit, vec![region(Relationship::InferredFrom)]));
    }
    if code_of(label).scheme == OWN_SCHEME {
        // The words as they are; the meaning of a code is cut at 64 characters.
        content.push(text(Relationship::Contains, &concept("121106", "DCM", "Comment"), label));
    }
    container(&concept("125007", "DCM", "Measurement Group"), Some("1410"), content)
}
