//! Findings as a FHIR R5 collection: a Device (the model), and for each finding an Observation (preliminary) that is derived from an
//! ImagingSelection, which says where it lies: pixels of the instance, and millimetres where the image has a place. Numbers have
//! their full precision. Nothing about the patient is in it; who receives it adds the subject.

use crate::dicom::{FrameMap, FrameRef, SourceError, code_of};
use crate::exports::exporter::{Export, ExportError, Exported, Exporter, ImageFinding, Scope};
use crate::exports::label_studio::label;
use crate::outline::{outlines, signed_area_px};
use loupe_core::words::hex;
use loupe_core::{Origin, Point2};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "fhir",
    about: "findings as FHIR R5 Observations and ImagingSelections",
    scope: Scope::Everything,
    write,
}];

/// A UUID of these words (version 8), the same each time.
fn uuid(words: &str) -> String {
    let mut bytes = Sha256::digest(words.as_bytes());
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes[..16]);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..32])
}

fn entry(id: &str, mut resource: Value) -> Value {
    resource["id"] = json!(id);
    json!({ "fullUrl": format!("urn:uuid:{id}"), "resource": resource })
}

/// A code of a label with its words.
fn concept(label: &str) -> Value {
    let code = code_of(label);
    match code.scheme.as_str() {
        "SCT" => json!({
            "coding": [{ "system": "http://snomed.info/sct", "code": code.value, "display": code.meaning }],
            "text": label,
        }),
        _ => json!({ "text": label }),
    }
}

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let author = export.author;
    let device = uuid(&format!("device\n{}\n{}", author.model, author.identity));
    let mut resource = json!({
        "resourceType": "Device",
        "name": [{ "value": if author.model.is_empty() { "unnamed model" } else { &author.model }, "type": "user-friendly-name" }],
    });
    if !author.identity.is_empty() {
        resource["serialNumber"] = json!(author.identity);
    }
    if !author.version.is_empty() {
        resource["version"] = json!([{ "value": format!("loupe {}", author.version) }]);
    }
    let mut entries = vec![entry(&device, resource)];
    let mut notes = Vec::new();
    for (n, finding) in export.findings.iter().enumerate() {
        let place = place(export, n, finding)?;
        let key = format!("{n}\n{}\n{}\n{place}", finding.image, label(finding));
        let selection = uuid(&format!("selection\n{device}\n{key}"));
        let observation = uuid(&format!("observation\n{device}\n{key}"));
        let instance = frame(export, finding).map(|(at, _)| at);
        if let (Some(_), Err(reason)) = (export.study, &instance) {
            notes.push(format!("finding {} names no DICOM instance: {reason}", n + 1));
        }
        entries.push(entry(&observation, observed(finding, &device, &selection)));
        entries.push(entry(&selection, selected(export, finding, instance.ok(), &place)));
    }
    let bundle = json!({ "resourceType": "Bundle", "type": "collection", "entry": entries });
    Ok(Exported { notes, ..Exported::file("findings.fhir.json", serde_json::to_vec_pretty(&bundle)?) })
}

fn observed(finding: &ImageFinding<'_>, device: &str, selection: &str) -> Value {
    let mut out = json!({
        "resourceType": "Observation",
        "status": "preliminary",
        "code": { "coding": [{ "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "121071", "display": "Finding" }] },
        "valueCodeableConcept": concept(label(finding)),
        "device": { "reference": format!("urn:uuid:{device}") },
        "derivedFrom": [{ "reference": format!("urn:uuid:{selection}"), "display": finding.image }],
    });
    if let Some(score) = finding.finding.score.filter(|s| s.is_finite()) {
        out["component"] = json!([{
            "code": { "text": "score given by the model" },
            "valueQuantity": { "value": score, "unit": "1", "system": "http://unitsofmeasure.org", "code": "1" },
        }]);
    }
    out
}

/// Where the finding lies: regions in pixels of the stored frame or of the source, and in millimetres.
fn place(export: &Export<'_>, n: usize, of: &ImageFinding<'_>) -> Result<Value, ExportError> {
    let finding = of.finding;
    let (kind, contours): (&str, Vec<Vec<[f64; 2]>>) = if let Some(b) = finding.source_box() {
        ("polyline", vec![vec![[b.x0, b.y0], [b.x1, b.y0], [b.x1, b.y1], [b.x0, b.y1], [b.x0, b.y0]]])
    } else if let Some(p) = finding.source_point() {
        ("point", vec![vec![[p.x, p.y]]])
    } else {
        let mask = finding.as_mask().and_then(|m| m.to_mask()).and_then(|m| m.in_source(&finding.origin));
        let outer =
            outlines(&mask.ok_or(ExportError::Mask(n))?).into_iter().filter(|o| signed_area_px(o) > 0.0);
        let closed = outer.map(|mut corners| {
            corners.extend(corners.first().copied());
            corners
        });
        ("polyline", closed.collect())
    };
    let map = frame(export, of).ok().map(|(_, map)| map);
    let flat = |corners: &Vec<[f64; 2]>| {
        let points = corners.iter().flat_map(|[x, y]| match map {
            Some(map) => map.point(Point2::new(*x, *y)),
            None => [*x, *y],
        });
        json!({ "regionType": kind, "coordinate": points.collect::<Vec<f64>>() })
    };
    let solid = |corners: &Vec<[f64; 2]>, origin: &Origin| {
        let lps = origin.lps_from_source?;
        let points: Vec<f64> = corners.iter().flat_map(|[x, y]| lps.apply(Point2::new(*x, *y))).collect();
        let kind = if kind == "point" { "point" } else { "polygon" };
        Some(json!({ "regionType": kind, "coordinate": points }))
    };
    let flat: Vec<Value> = contours.iter().map(flat).collect();
    let solid: Option<Vec<Value>> = contours.iter().map(|c| solid(c, &finding.origin)).collect();
    Ok(json!({ "flat": flat, "solid": solid }))
}

fn frame(export: &Export<'_>, of: &ImageFinding<'_>) -> Result<(FrameRef, FrameMap), SourceError> {
    let files = export.image_of(of).map_or(&[][..], |(_, image)| image.files);
    match export.study {
        Some(study) => study.frame_of(&of.finding.origin, files),
        None => Err(SourceError::NotStored),
    }
}

fn selected(export: &Export<'_>, of: &ImageFinding<'_>, at: Option<FrameRef>, place: &Value) -> Value {
    let mut out = json!({
        "resourceType": "ImagingSelection",
        "status": "available",
        "code": { "text": "place of a finding" },
    });
    let file = at.and_then(|at| Some((at, export.study?.file(at)?)));
    let mut instance = match file {
        Some((at, file)) => {
            out["studyUid"] = json!(file.study);
            out["seriesUid"] = json!(file.series);
            if let Some(frame) = file.frame_of_reference() {
                out["frameOfReferenceUid"] = json!(frame);
            }
            let class = json!({ "system": "urn:ietf:rfc:3986", "code": format!("urn:oid:{}", file.class) });
            let mut item = json!({ "uid": file.instance, "sopClass": class });
            if file.frames > 1 {
                item["subset"] = json!([(at.frame + 1).to_string()]);
            }
            item
        }
        None => {
            out["identifier"] = json!([{ "value": of.image }]);
            json!({ "uid": image_uid(of.image) })
        }
    };
    instance["imageRegion2D"] = place["flat"].clone();
    if place["solid"].as_array().is_some_and(|all| !all.is_empty()) {
        instance["imageRegion3D"] = place["solid"].clone();
    }
    out["instance"] = json!([instance]);
    out
}

/// An identifier for an image without one, made of its name, as the format needs one to say a place in pixels.
fn image_uid(name: &str) -> String {
    loupe_dicom::uid::hashed(b"loupe export: image", name.as_bytes())
}
