//! Frames with findings as a Key Object Selection (PS3.3 A.35.4, TID 2010): what a PACS shows first.

use crate::dicom::codes::concept;
use crate::dicom::content::{Relationship, image, put_container, text};
use crate::dicom::derived::{DerivedKind, begin, finish, reference};
use crate::dicom::places::placed;
use crate::dicom::{FrameRef, segments_of_findings};
use crate::exports::dicom_seg::placed_masks;
use crate::exports::dicom_sr::{evidence, observer};
use crate::exports::exporter::{Export, ExportError, Exported, Exporter, Scope};
use loupe_dicom::tags;
use std::collections::BTreeSet;

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "dicom-ko",
    about: "frames with findings as a DICOM Key Object Selection",
    scope: Scope::Study,
    write,
}];

const KIND: DerivedKind = DerivedKind {
    class: "1.2.840.10008.5.1.4.1.1.88.59",
    modality: "KO",
    series_number: 9003,
    description: "Key images by model",
};

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let study = export.study()?;
    let mut notes = Vec::new();
    let mut frames: BTreeSet<FrameRef> = placed(export, &mut notes)?.iter().map(|f| f.at).collect();
    let (masks, said) = segments_of_findings(study, &placed_masks(export))?;
    frames.extend(masks.iter().flat_map(|s| s.frames.keys().copied()));
    notes.extend(said);
    let first = frames.first().and_then(|at| study.file(*at));
    let first = first.ok_or(ExportError::Nothing("no finding lies on a stored frame"))?;
    let mut data = begin(first, &KIND, export.author);
    data.put_items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    data.put_items(
        tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        vec![evidence(study, frames.iter().copied())],
    );
    let mut content = observer(export.author);
    content.push(text(
        Relationship::Contains,
        &concept("113012", "DCM", "Key Object Description"),
        "Images on which a model found something; not verified",
    ));
    content.extend(frames.iter().map(|at| image(Relationship::Contains, reference(study, *at))));
    put_container(&mut data, &concept("113000", "DCM", "Of Interest"), Some("2010"), content);
    Ok(Exported { notes, ..Exported::file("ko.dcm", finish(data)?) })
}
