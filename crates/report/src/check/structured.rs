//! Structured reports: places within their images, identifiers, codes, and the shape that viewers show.

use super::report::CheckReport;
use crate::dicom::SourceStudy;
use loupe_dicom::{Dataset, tags};
use std::collections::BTreeSet;

/// How deep content is followed.
const DEEPEST: usize = 32;

/// A place in an image, as a report has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportPlace {
    /// SOP Instance UID of the image.
    pub instance: String,
    /// Frame, from 0.
    pub frame: usize,
    /// Graphic type.
    pub graphic: String,
    /// Continuous pixel edges.
    pub points: Vec<[f64; 2]>,
    /// Meaning of the group's Finding code.
    pub label: Option<String>,
    /// Tracking Unique Identifier of its group.
    pub tracking: Option<String>,
}

impl ReportPlace {
    /// `[x0, y0, x1, y1]` around the points.
    pub fn bounds(&self) -> Option<[f64; 4]> {
        let first = self.points.first()?;
        let grow =
            |b: [f64; 4], p: &[f64; 2]| [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])];
        Some(self.points.iter().fold([first[0], first[1], first[0], first[1]], grow))
    }
}

/// The places of a report's measurement groups, in order; one given twice in a group counts once.
pub fn places(data: &Dataset) -> Vec<ReportPlace> {
    let mut found = Vec::new();
    for group in groups(data) {
        let label = child(group, "121071")
            .and_then(|c| c.item(tags::CONCEPT_CODE_SEQUENCE))
            .and_then(|c| c.text(tags::CODE_MEANING));
        let tracking = child(group, "112040").and_then(|c| c.text(tags::UID));
        let mut of_group: Vec<ReportPlace> = Vec::new();
        scoords(group, 0, &mut |item| {
            let image =
                item.items(tags::CONTENT_SEQUENCE).iter().find_map(|c| c.item(tags::REFERENCED_SOP_SEQUENCE));
            let numbers = item.numbers(tags::GRAPHIC_DATA).unwrap_or_default();
            let place = ReportPlace {
                instance: image.and_then(|i| i.text(tags::REFERENCED_SOP_INSTANCE_UID)).unwrap_or_default(),
                frame: image
                    .and_then(|i| i.integer(tags::REFERENCED_FRAME_NUMBER))
                    .and_then(|n| usize::try_from(n - 1).ok())
                    .unwrap_or(0),
                graphic: item.text(tags::GRAPHIC_TYPE).unwrap_or_default(),
                points: numbers.as_chunks::<2>().0.to_vec(),
                label: label.clone(),
                tracking: tracking.clone(),
            };
            if !of_group.contains(&place) {
                of_group.push(place);
            }
        });
        found.extend(of_group);
    }
    found
}

/// Content items of a value type, anywhere below.
fn scoords<'a>(item: &'a Dataset, depth: usize, found: &mut impl FnMut(&'a Dataset)) {
    for child in item.items(tags::CONTENT_SEQUENCE) {
        if child.text(tags::VALUE_TYPE).as_deref() == Some("SCOORD") {
            found(child);
        }
        if depth < DEEPEST {
            scoords(child, depth + 1, found);
        }
    }
}

/// The containers of measurement groups, anywhere.
fn groups(data: &Dataset) -> Vec<&Dataset> {
    fn walk<'a>(item: &'a Dataset, depth: usize, found: &mut Vec<&'a Dataset>) {
        for child in item.items(tags::CONTENT_SEQUENCE) {
            if name(child).as_deref() == Some("125007") {
                found.push(child);
            } else if depth < DEEPEST {
                walk(child, depth + 1, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(data, 0, &mut found);
    found
}

/// Code value of a content item's concept name.
fn name(item: &Dataset) -> Option<String> {
    item.item(tags::CONCEPT_NAME_CODE_SEQUENCE)?.text(tags::CODE_VALUE)
}

fn child<'a>(item: &'a Dataset, code: &str) -> Option<&'a Dataset> {
    item.items(tags::CONTENT_SEQUENCE).iter().find(|c| name(c).as_deref() == Some(code))
}

pub(super) fn check(data: &Dataset, source: Option<&SourceStudy>, report: &mut CheckReport) {
    evidence(data, report);
    let groups = groups(data);
    report.looked_at = groups.len();
    let mut tracked: BTreeSet<String> = BTreeSet::new();
    for (n, group) in (1..).zip(&groups) {
        match child(group, "112040").and_then(|c| c.text(tags::UID)) {
            None => report
                .error(format!("group {n} has no Tracking Unique Identifier: viewers cannot tell it apart")),
            Some(uid) if !tracked.insert(uid.clone()) => {
                report.error(format!("group {n} has the Tracking Unique Identifier of another group"));
            }
            Some(_) => {}
        }
        let finding = child(group, "121071");
        match finding.and_then(|f| f.item(tags::CONCEPT_CODE_SEQUENCE)) {
            None => report.warning(format!("group {n} does not say what was found")),
            Some(code) if code.text(tags::CODE_MEANING).is_none() => {
                report.error(format!("the finding's code of group {n} has no meaning"));
            }
            Some(_) => {}
        }
        // OHIF's adapter reads the place below the first number of a group, where a group has numbers.
        let is_a = |item: &&Dataset, kind: &str| item.text(tags::VALUE_TYPE).as_deref() == Some(kind);
        let numbers = group.items(tags::CONTENT_SEQUENCE).iter().find(|c| is_a(c, "NUM"));
        let below = |item: &Dataset| item.items(tags::CONTENT_SEQUENCE).iter().any(|c| is_a(&c, "SCOORD"));
        if numbers.is_some_and(|number| !below(number)) {
            report.warning(format!("OHIF does not show group {n}: its first number has no place below it"));
        }
    }
    for place in places(data) {
        let words = "a place";
        if place.points.is_empty() || place.points.iter().flatten().any(|v| !v.is_finite()) {
            report.error(format!("{words} has no or impossible coordinates"));
            continue;
        }
        let Some([x0, y0, x1, y1]) = place.bounds() else { continue };
        if place.graphic == "POLYLINE" && (x1 <= x0 || y1 <= y0) {
            report.error(format!("{words} has no area"));
        }
        let Some(source) = source else { continue };
        let Some(file) = source.files.iter().find(|f| f.instance == place.instance) else { continue };
        let [columns, rows] = file.size.map(|n| n as f64);
        if x0 < 0.0 || y0 < 0.0 || x1 > columns || y1 > rows {
            report.error(format!(
                "{words} ({x0}, {y0} to {x1}, {y1}) lies outside its image of {columns} × {rows} pixels"
            ));
        }
        if place.frame >= file.frames {
            report.error(format!("{words} is on frame {}, its image has {}", place.frame + 1, file.frames));
        }
    }
}

/// Is every image of the content among the evidence?
fn evidence(data: &Dataset, report: &mut CheckReport) {
    let listed = |sequence| {
        let series =
            data.items(sequence).iter().flat_map(|study| study.items(tags::REFERENCED_SERIES_SEQUENCE));
        series
            .flat_map(|series| series.items(tags::REFERENCED_SOP_SEQUENCE))
            .filter_map(|object| object.text(tags::REFERENCED_SOP_INSTANCE_UID))
            .collect::<BTreeSet<String>>()
    };
    let mut known = listed(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE);
    known.extend(listed(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE));
    let mut content = Dataset::default();
    content.put_items(tags::CONTENT_SEQUENCE, data.items(tags::CONTENT_SEQUENCE).to_vec());
    let used = super::references::all(&content);
    let missing = used.keys().filter(|(_, instance)| !known.contains(instance)).count();
    if missing > 0 {
        report.error(format!(
            "{missing} images of the content are not among the evidence: a PACS does not fetch them"
        ));
    }
}
