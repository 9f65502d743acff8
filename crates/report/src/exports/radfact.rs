//! Grounded phrases as RadFact reads them: a list with `prediction` and `target` a sample, each a list of phrases with boxes whose
//! edges are shares of the image. A phrase without a box has `null`: RadFact refuses an empty list. Points and masks are no phrases.

use crate::exports::exporter::{Export, ExportError, ExportImage, Exported, Exporter, ImageFinding, Scope};
use crate::exports::label_studio::label;
use serde_json::{Value, json};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "radfact",
    about: "boxes as grounded phrases for RadFact, predictions beside references",
    scope: Scope::Everything,
    write,
}];

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let sample = |image: &ExportImage<'_>| {
        json!({
            "example_id": image.name,
            "prediction": phrases(export.findings, image.name, image.size),
            "target": phrases(export.references, image.name, image.size),
        })
    };
    let all: Vec<Value> = export.images.iter().map(sample).collect();
    let mut out = Exported::file("radfact.json", serde_json::to_vec_pretty(&all)?);
    let others = export.findings.iter().filter(|f| f.finding.as_box().is_none()).count();
    if others > 0 {
        out.notes.push(format!("{others} points and masks are left out: RadFact has boxes only"));
    }
    Ok(out)
}

/// The boxes of one label are one phrase, in order of first appearance.
fn phrases(findings: &[ImageFinding<'_>], image: &str, [width, height]: [usize; 2]) -> Vec<Value> {
    let mut phrases: Vec<(&str, Vec<Value>)> = Vec::new();
    for finding in findings.iter().filter(|f| f.image == image) {
        let Some(b) = finding.finding.source_box() else { continue };
        let (w, h) = (width as f64, height as f64);
        let edges = json!({ "x_min": b.x0 / w, "y_min": b.y0 / h, "x_max": b.x1 / w, "y_max": b.y1 / h });
        let words = label(finding);
        match phrases.iter_mut().find(|(text, _)| *text == words) {
            Some((_, boxes)) => boxes.push(edges),
            None => phrases.push((words, vec![edges])),
        }
    }
    phrases.into_iter().map(|(text, boxes)| json!({ "text": text, "boxes": boxes })).collect()
}
