//! Tasks for Label Studio with findings as predictions, pictures beside them, and the labelling set-up that shows them. Places are
//! percentages of the picture; masks are polygons along pixel edges, which have no holes.

use crate::exports::exporter::{Export, ExportError, ExportFile, Exported, Exporter, ImageFinding, Scope};
use crate::exports::picture_files::{picture_files, picture_name};
use crate::outline::{outlines, signed_area_px};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "label-studio",
    about: "tasks of Label Studio with findings as predictions, pictures and set-up",
    scope: Scope::Everything,
    write,
}];

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let mut notes = Vec::new();
    let mut tasks = Vec::new();
    for (number, image) in export.images.iter().enumerate() {
        let here = export.findings.iter().enumerate().filter(|(_, f)| f.image == image.name);
        let mut results = Vec::new();
        for (n, finding) in here {
            results.extend(result(n, finding, image.size, &mut notes)?);
        }
        let scores: Vec<f64> = results.iter().filter_map(|r: &Value| r["score"].as_f64()).collect();
        let mut prediction = json!({ "model_version": export.author.model, "result": results });
        // The mean that Label Studio shows; none is made up.
        if !scores.is_empty() && scores.len() == results.len() {
            prediction["score"] = json!(scores.iter().sum::<f64>() / scores.len() as f64);
        }
        let file = picture_name(number, image);
        tasks.push(json!({
            "data": { "image": format!("/data/local-files/?d={file}"), "name": image.name },
            "predictions": [prediction],
        }));
    }
    let mut files = picture_files(export, &mut notes)?;
    files.insert(0, ExportFile { name: "tasks.json".to_owned(), bytes: serde_json::to_vec_pretty(&tasks)? });
    files.insert(1, ExportFile { name: "labels.xml".to_owned(), bytes: set_up(export).into_bytes() });
    Ok(Exported { files, notes })
}

/// The label of a finding.
pub(super) fn label<'a>(finding: &ImageFinding<'a>) -> &'a str {
    finding.finding.label.as_deref().filter(|l| !l.trim().is_empty()).unwrap_or("finding")
}

/// A finding as results: one, or one for each part of a mask.
fn result(
    n: usize,
    of: &ImageFinding<'_>,
    [width, height]: [usize; 2],
    notes: &mut Vec<String>,
) -> Result<Vec<Value>, ExportError> {
    let (x, y) = (|v: f64| 100.0 * v / width as f64, |v: f64| 100.0 * v / height as f64);
    let (finding, label) = (of.finding, label(of));
    let made = |part: usize, kind: &str, mut value: Value| {
        value[kind] = json!([label]);
        let mut result = json!({
            "id": format!("f{}-{part}", n + 1),
            "type": kind,
            "from_name": kind,
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": value,
        });
        if let Some(score) = finding.score {
            result["score"] = json!(score);
        }
        result
    };
    if let Some(b) = finding.source_box() {
        let value = json!({ "x": x(b.x0), "y": y(b.y0), "width": x(b.width()), "height": y(b.height()), "rotation": 0 });
        return Ok(vec![made(1, "rectanglelabels", value)]);
    }
    if let Some(p) = finding.source_point() {
        return Ok(vec![made(1, "keypointlabels", json!({ "x": x(p.x), "y": y(p.y), "width": 0.5 }))]);
    }
    let mask = finding.as_mask().and_then(|m| m.to_mask()).and_then(|m| m.in_source(&finding.origin));
    let all = outlines(&mask.ok_or(ExportError::Mask(n))?);
    let outer: Vec<_> = all.iter().filter(|o| signed_area_px(o) > 0.0).collect();
    if outer.len() < all.len() {
        notes.push(format!("the holes of mask {} are filled: polygons of Label Studio have none", n + 1));
    }
    let polygon = |(part, corners): (usize, &&Vec<[f64; 2]>)| {
        let points: Vec<[f64; 2]> = corners.iter().map(|[a, b]| [x(*a), y(*b)]).collect();
        made(part + 1, "polygonlabels", json!({ "points": points, "closed": true }))
    };
    Ok(outer.iter().enumerate().map(polygon).collect())
}

/// The labelling set-up: every label for boxes, points and polygons.
fn set_up(export: &Export<'_>) -> String {
    let labels: BTreeSet<&str> = export.findings.iter().map(label).collect();
    let of = |kind: &str, tag: &str| {
        let all: String = labels.iter().map(|l| format!("    <Label value=\"{}\"/>\n", xml(l))).collect();
        format!("  <{tag} name=\"{kind}\" toName=\"image\">\n{all}  </{tag}>\n")
    };
    let kinds = [
        of("rectanglelabels", "RectangleLabels"),
        of("keypointlabels", "KeyPointLabels"),
        of("polygonlabels", "PolygonLabels"),
    ];
    format!("<View>\n  <Image name=\"image\" value=\"$image\"/>\n{}</View>\n", kinds.concat())
}

/// Words within an attribute or element of XML.
pub(super) fn xml(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to say these.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
