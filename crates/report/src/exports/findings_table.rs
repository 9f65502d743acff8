//! Findings as a table: a row a box, point or mask, with its place in pixels of the source and in the patient, its sizes, and the
//! DICOM object it lies on. `docs/reference/tables.md` describes the columns.

use crate::exports::exporter::{Export, ExportError, Exported, Exporter, ImageFinding, Scope};
use loupe_core::measure::{self, FlatMeasures};
use loupe_core::{Cells, Column, Columns, Point2, Source};
use serde_json::json;

/// Name of the schema.
pub const SCHEMA: &str = "loupe.findings";
/// Version of the schema: another one where a column changes its name, its type or its meaning.
pub const VERSION: u32 = 1;

/// The formats of this file.
pub static EXPORTERS: &[Exporter] = &[
    Exporter {
        name: "findings-csv",
        about: "a row a box, point or mask: pixels, millimetres, sizes, label, score, DICOM instance",
        scope: Scope::Everything,
        write: |export| Ok(Exported::file("findings.csv", columns(export)?.csv().into_bytes())),
    },
    Exporter {
        name: "findings-json",
        about: "the same table as JSON",
        scope: Scope::Everything,
        write: |export| {
            Ok(Exported::file("findings.json", serde_json::to_vec_pretty(&columns(export)?.json())?))
        },
    },
];

/// What a row is about.
struct Row<'a> {
    finding: &'a ImageFinding<'a>,
    number: usize,
    /// `[x0, y0, x1, y1]` in pixels of the source; of an empty mask none.
    xyxy: Option<[f64; 4]>,
    /// Centre, or the point itself.
    centre: Option<Point2<Source>>,
    mask: Option<FlatMeasures>,
    /// Series, instance, and frame where the object has several.
    instance: Option<(String, String, Option<i64>)>,
}

impl<'a> Row<'a> {
    fn of(export: &'a Export<'_>, number: usize, finding: &'a ImageFinding<'a>) -> Result<Self, ExportError> {
        let (found, origin) = (finding.finding, &finding.finding.origin);
        let (mut xyxy, mut centre, mut mask) = (None, None, None);
        if let Some(rle) = found.as_mask() {
            let flat = rle.to_mask().and_then(|m| m.in_source(origin)).ok_or(ExportError::Mask(number))?;
            xyxy = flat.bounding_box().map(|b| b.xyxy());
            let spacing = xyxy.and_then(|b| origin.spacing_mm_within(b));
            let measured = measure::flat(&flat, spacing);
            centre = measured.centre_xy.map(|[x, y]| Point2::new(x, y));
            mask = Some(measured);
        } else if let Some(region) = found.source_box() {
            (xyxy, centre) = (Some(region.xyxy()), Some(region.centre()));
        } else if let Some(point) = found.source_point() {
            centre = Some(point);
        }
        let files = export.image_of(finding).map_or(&[][..], |(_, image)| image.files);
        let instance = export.study.and_then(|study| {
            let (at, _) = study.frame_of(origin, files).ok()?;
            let file = study.file(at)?;
            let frame = (file.frames > 1).then_some(at.frame as i64 + 1);
            Some((file.series.clone(), file.instance.clone(), frame))
        });
        Ok(Self { finding, number, xyxy, centre, mask, instance })
    }

    fn side(&self, low: usize, high: usize) -> Option<f64> {
        self.xyxy.map(|b| b[high] - b[low])
    }

    /// Pixel size to the right and down where the finding lies.
    fn spacing(&self) -> Option<[f64; 2]> {
        self.finding.finding.origin.spacing_mm_within(self.xyxy?)
    }

    fn centre_lps(&self) -> Option<[f64; 3]> {
        Some(self.finding.finding.origin.lps_from_source?.apply(self.centre?))
    }
}

fn text<'a>(rows: &[Row<'a>], of: impl Fn(&Row<'a>) -> Option<String>) -> Cells {
    Cells::Text(rows.iter().map(of).collect())
}

fn numbers<'a>(rows: &[Row<'a>], of: impl Fn(&Row<'a>) -> Option<f64>) -> Cells {
    Cells::Number(rows.iter().map(of).collect())
}

fn whole<'a>(rows: &[Row<'a>], of: impl Fn(&Row<'a>) -> Option<i64>) -> Cells {
    Cells::Whole(rows.iter().map(of).collect())
}

/// The table.
///
/// # Errors
/// When a mask is none on its picture.
pub fn columns(export: &Export<'_>) -> Result<Columns, ExportError> {
    let rows: Vec<Row<'_>> = export
        .findings
        .iter()
        .enumerate()
        .map(|(n, finding)| Row::of(export, n, finding))
        .collect::<Result<_, _>>()?;
    let rows = rows.as_slice();
    let kind = |r: &Row<'_>| match (r.finding.finding.as_box(), r.finding.finding.as_point()) {
        (Some(_), _) => "box",
        (_, Some(_)) => "point",
        _ => "mask",
    };
    let count = |n: Option<usize>| n.and_then(|n| i64::try_from(n).ok());
    let area_px = |r: &Row<'_>| match &r.mask {
        Some(mask) => Some(mask.area_px as f64),
        None => Some(r.side(0, 2)? * r.side(1, 3)?),
    };
    let area_mm2 = |r: &Row<'_>| match &r.mask {
        Some(mask) => mask.area_mm2,
        None => r.spacing().and_then(|[x, y]| Some(r.side(0, 2)? * x * r.side(1, 3)? * y)),
    };
    let corners = |r: &Row<'_>| r.finding.finding.corners_lps_mm().map(|c| json!(c));
    let note = |r: &Row<'_>| {
        let origin = &r.finding.finding.origin;
        r.xyxy.map_or_else(|| origin.spacing_note.clone(), |b| origin.spacing_note_within(b))
    };
    let columns = vec![
        ("number", whole(rows, |r| count(Some(r.number + 1)))),
        ("image", text(rows, |r| Some(r.finding.image.to_owned()))),
        ("frame", whole(rows, |r| count(r.finding.finding.origin.frame))),
        ("slice", whole(rows, |r| count(r.finding.finding.origin.slice))),
        ("plane", text(rows, |r| r.finding.finding.origin.plane.map(|p| p.name().to_owned()))),
        ("kind", text(rows, |r| Some(kind(r).to_owned()))),
        ("label", text(rows, |r| r.finding.finding.label.clone())),
        ("score", numbers(rows, |r| r.finding.finding.score)),
        ("x0_px", numbers(rows, |r| r.xyxy.map(|b| b[0]))),
        ("y0_px", numbers(rows, |r| r.xyxy.map(|b| b[1]))),
        ("x1_px", numbers(rows, |r| r.xyxy.map(|b| b[2]))),
        ("y1_px", numbers(rows, |r| r.xyxy.map(|b| b[3]))),
        ("centre_x_px", numbers(rows, |r| r.centre.map(|p| p.x))),
        ("centre_y_px", numbers(rows, |r| r.centre.map(|p| p.y))),
        ("width_px", numbers(rows, |r| r.side(0, 2))),
        ("height_px", numbers(rows, |r| r.side(1, 3))),
        ("area_px", numbers(rows, area_px)),
        ("width_mm", numbers(rows, |r| Some(r.side(0, 2)? * r.spacing()?[0]))),
        ("height_mm", numbers(rows, |r| Some(r.side(1, 3)? * r.spacing()?[1]))),
        ("area_mm2", numbers(rows, area_mm2)),
        ("longest_px", numbers(rows, |r| r.mask.as_ref().map(|m| m.longest_px))),
        ("longest_mm", numbers(rows, |r| r.mask.as_ref().and_then(|m| m.longest_mm))),
        ("mm_note", text(rows, note)),
        ("centre_x_lps_mm", numbers(rows, |r| r.centre_lps().map(|c| c[0]))),
        ("centre_y_lps_mm", numbers(rows, |r| r.centre_lps().map(|c| c[1]))),
        ("centre_z_lps_mm", numbers(rows, |r| r.centre_lps().map(|c| c[2]))),
        ("corners_lps_mm", Cells::Json(rows.iter().map(corners).collect())),
        ("series_instance_uid", text(rows, |r| r.instance.as_ref().map(|(series, ..)| series.clone()))),
        ("sop_instance_uid", text(rows, |r| r.instance.as_ref().map(|(_, instance, _)| instance.clone()))),
        ("frame_number", whole(rows, |r| r.instance.as_ref().and_then(|(.., frame)| *frame))),
    ];
    let columns = columns.into_iter().map(|(name, cells)| Column { name, cells });
    Ok(Columns { schema: SCHEMA, version: VERSION, columns: columns.collect() })
}
