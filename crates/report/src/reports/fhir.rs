//! A report as a FHIR R4 bundle: DiagnosticReport, Device, Provenance, and the prompt as a DocumentReference.
//!
//! The shape follows HL7's AI Transparency on FHIR (ballot 1.0.0): what a model asserted carries the security label `AIAST`, the
//! Provenance names the model as the agent and the prompt as an entity. No patient is named: whoever files the report adds the subject.

use super::formats::NOTICE;
use super::record::StudyReport;
use crate::printable::printable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The bundle of `report`, written at `when` (an instant such as `2026-01-31T09:05:00Z`); `prompt` is the template's text.
pub fn fhir_bundle(report: &StudyReport, prompt: &str, when: &str) -> Value {
    let identity =
        serde_json::to_vec(&(&report.study_id, &report.provenance, &report.raw)).unwrap_or_default();
    let url = |what: &str| format!("urn:uuid:{}", uuid(what, &identity));
    let [of_report, of_device, of_prompt, of_provenance] =
        ["report", "device", "prompt", "provenance"].map(url);
    let label = json!({"security": [{
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "AIAST",
        "display": "Artificial Intelligence asserted",
    }]});
    let text = report.text();
    let mut diagnostic = json!({
        "resourceType": "DiagnosticReport",
        "meta": label,
        "text": {"status": "generated", "div": narrative(&printable(&text))},
        "identifier": [{"system": "urn:loupe:study", "value": printable(&report.study_id)}],
        "status": "preliminary",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology",
        }]}],
        "code": {"coding": [{
            "system": "http://loinc.org", "code": "18748-4", "display": "Diagnostic imaging study",
        }]},
        "issued": when,
        "presentedForm": [{"contentType": "text/plain; charset=utf-8", "data": STANDARD.encode(&text), "title": NOTICE}],
    });
    if let (Some(impression), Some(fields)) = (&report.impression, diagnostic.as_object_mut()) {
        fields.insert("conclusion".to_owned(), printable(impression).into());
    }
    let made = &report.provenance;
    let mut versions = vec![json!({"type": {"text": "loupe"}, "value": made.loupe})];
    let hashes = made.from.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    versions.extend(hashes.map(|(name, value)| json!({"type": {"text": name}, "value": value})));
    let device = json!({
        "resourceType": "Device",
        "deviceName": [{"name": printable(&made.model), "type": "model-name"}],
        "type": {"text": "vision-language model"},
        "version": versions,
    });
    let prompt = json!({
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"text": "input prompt"},
        "description": format!("report template {} (SHA-256 {})", made.template, made.template_sha256),
        "content": [{"attachment": {
            "contentType": "text/plain; charset=utf-8", "data": STANDARD.encode(prompt), "title": made.template,
        }}],
    });
    let mut entities = vec![json!({"role": "source", "what": {"reference": of_prompt}})];
    let images = made.pixels_sha256.iter().enumerate().filter(|(_, sha256)| !sha256.is_empty());
    entities.extend(images.map(|(at, sha256)| {
        json!({"role": "source", "what": {
            "identifier": {"system": "urn:loupe:pixels-sha256", "value": sha256},
            "display": format!("image {}", at + 1),
        }})
    }));
    let provenance = json!({
        "resourceType": "Provenance",
        "meta": label,
        "target": [{"reference": of_report}],
        "recorded": when,
        "agent": [{
            "type": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                "code": "author", "display": "Author",
            }]},
            "who": {"reference": of_device},
        }],
        "entity": entities,
    });
    json!({
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": when,
        "entry": [
            {"fullUrl": of_report, "resource": diagnostic},
            {"fullUrl": of_device, "resource": device},
            {"fullUrl": of_prompt, "resource": prompt},
            {"fullUrl": of_provenance, "resource": provenance},
        ],
    })
}

/// XHTML as narratives have it.
fn narrative(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let lines: Vec<String> = escaped.lines().map(|line| format!("<p>{line}</p>")).collect();
    format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{NOTICE}</p>{}</div>", lines.concat())
}

/// A UUID of version 8 (RFC 9562) from a digest.
fn uuid(what: &str, identity: &[u8]) -> String {
    let digest = Sha256::new().chain_update(what).chain_update(identity).finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = loupe_core::words::hex(&bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
