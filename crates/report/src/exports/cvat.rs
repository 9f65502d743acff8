//! Annotations for CVAT ("CVAT for images 1.1"), with pictures beside them. Boxes are pixel edges; masks are run lengths along rows
//! within their bounding box, the first of zeros. The format has no scores: they go into an attribute only where a finding has one.

use crate::exports::exporter::{Export, ExportError, ExportFile, Exported, Exporter, ImageFinding, Scope};
use crate::exports::label_studio::{label, xml};
use crate::exports::picture_files::{picture_files, picture_name};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "cvat",
    about: "annotations and pictures for CVAT (for images 1.1)",
    scope: Scope::Everything,
    write,
}];

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let mut text =
        String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n  <version>1.1</version>\n");
    let labels: BTreeSet<&str> = export.findings.iter().map(label).collect();
    text += "  <meta><task><labels>\n";
    for label in labels {
        let attribute = "<attributes><attribute><name>score</name><mutable>False</mutable><input_type>text</input_type></attribute></attributes>";
        let _ = writeln!(text, "    <label><name>{}</name>{attribute}</label>", xml(label));
    }
    text += "  </labels></task></meta>\n";
    for (number, image) in export.images.iter().enumerate() {
        let [width, height] = image.size;
        let file = picture_name(number, image);
        let _ = writeln!(
            text,
            "  <image id=\"{number}\" name=\"{}\" width=\"{width}\" height=\"{height}\">",
            xml(&file)
        );
        for (n, finding) in export.findings.iter().enumerate().filter(|(_, f)| f.image == image.name) {
            if let Some(shape) = shape(n, finding)? {
                let score =
                    finding.finding.score.map(|s| format!("<attribute name=\"score\">{s}</attribute>"));
                let (kind, attributes) = shape;
                let _ = writeln!(
                    text,
                    "    <{kind} label=\"{}\" source=\"auto\" occluded=\"0\" z_order=\"0\" {attributes}>{}</{kind}>",
                    xml(label(finding)),
                    score.unwrap_or_default()
                );
            }
        }
        text += "  </image>\n";
    }
    text += "</annotations>\n";
    let mut notes = Vec::new();
    let mut files = picture_files(export, &mut notes)?;
    files.insert(0, ExportFile { name: "annotations.xml".to_owned(), bytes: text.into_bytes() });
    Ok(Exported { files, notes })
}

/// The element of a finding and its attributes; nothing for an empty mask.
fn shape(n: usize, of: &ImageFinding<'_>) -> Result<Option<(&'static str, String)>, ExportError> {
    if let Some(b) = of.finding.source_box() {
        let place = format!("xtl=\"{}\" ytl=\"{}\" xbr=\"{}\" ybr=\"{}\"", b.x0, b.y0, b.x1, b.y1);
        return Ok(Some(("box", place)));
    }
    if let Some(p) = of.finding.source_point() {
        return Ok(Some(("points", format!("points=\"{},{}\"", p.x, p.y))));
    }
    let mask = of.finding.as_mask().and_then(|m| m.to_mask()).and_then(|m| m.in_source(&of.finding.origin));
    let mask = mask.ok_or(ExportError::Mask(n))?;
    let Some(b) = mask.bounding_box() else { return Ok(None) };
    let [left, top, right, bottom] = b.xyxy().map(|v| v as usize);
    let (mut runs, mut run, mut last) = (Vec::new(), 0usize, false);
    for bit in (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y))).map(|(x, y)| mask.get(x, y)) {
        if bit != last {
            runs.push(run.to_string());
            (run, last) = (0, bit);
        }
        run += 1;
    }
    runs.push(run.to_string());
    let place = format!(
        "rle=\"{}\" left=\"{left}\" top=\"{top}\" width=\"{}\" height=\"{}\"",
        runs.join(", "),
        right - left,
        bottom - top
    );
    Ok(Some(("mask", place)))
}
