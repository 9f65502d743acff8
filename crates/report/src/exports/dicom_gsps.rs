//! Boxes and points as a Grayscale Softcopy Presentation State (PS3.3 A.33.1): drawn over the image by viewers that apply
//! presentation states (Weasis, most PACS). Coordinates are continuous pixel edges (C.10.5.1.2), in single precision.
//!
//! A state has one modality transformation for all its images, so images whose rescale differs have states of their own.

use crate::dicom::derived::{DerivedKind, begin, finish, long_string, reference, referenced_series};
use crate::dicom::places::{PlacedFinding, Shape, masks_left_out, placed};
use crate::dicom::{FrameRef, SourceFile, SourceStudy};
use crate::exports::exporter::{Export, ExportError, ExportFile, Exported, Exporter, Scope};
use loupe_core::Window;
use loupe_dicom::functional::place;
use loupe_dicom::{Dataset, tags};
use std::collections::{BTreeMap, BTreeSet};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "dicom-gsps",
    about: "boxes and points as a DICOM presentation state",
    scope: Scope::Study,
    write,
}];

const KIND: DerivedKind = DerivedKind {
    class: "1.2.840.10008.5.1.4.1.1.11.1",
    modality: "PR",
    series_number: 9004,
    description: "Annotations by model",
};

/// The layer that annotations are drawn in.
const LAYER: &str = "FINDINGS";

/// Rescale of a frame: slope, intercept and type, as written.
type Rescale = Option<[String; 3]>;

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let study = export.study()?;
    let mut notes: Vec<String> = masks_left_out(export).into_iter().collect();
    let findings = placed(export, &mut notes)?;
    let mut states: BTreeMap<(String, Rescale), Vec<&PlacedFinding<'_>>> = BTreeMap::new();
    for found in &findings {
        let Some(file) = study.file(found.at) else { continue };
        if file.data.integer(tags::SAMPLES_PER_PIXEL) == Some(3) {
            notes.push(format!(
                "finding {} is left out: a grayscale state is for no colour image",
                found.number + 1
            ));
            continue;
        }
        states.entry((file.series.clone(), rescale(file, found.at.frame))).or_default().push(found);
    }
    if states.is_empty() {
        return Err(ExportError::Nothing("no box or point lies on a stored grey frame"));
    }
    let several = states.len() > 1;
    let mut files = Vec::new();
    for (n, ((_, rescale), findings)) in states.iter().enumerate() {
        let name = if several { format!("gsps-{:02}.dcm", n + 1) } else { "gsps.dcm".to_owned() };
        files.push(ExportFile { name, bytes: state(export, study, rescale, findings)? });
    }
    Ok(Exported { files, notes })
}

fn rescale(file: &SourceFile, frame: usize) -> Rescale {
    let group = place(&file.data, frame, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
    let word = |tag| group.text(tag);
    let (slope, intercept) = (word(tags::RESCALE_SLOPE)?, word(tags::RESCALE_INTERCEPT)?);
    Some([slope, intercept, word(tags::RESCALE_TYPE).unwrap_or_else(|| "US".to_owned())])
}

/// The window that the finding's picture was shown in, else the file's own.
fn window(found: &PlacedFinding<'_>, file: &SourceFile) -> Option<(f64, f64)> {
    let shown = found.finding.origin.window.filter(Window::is_valid).map(|w| (w.centre, w.width));
    shown.or_else(|| {
        let group = place(&file.data, found.at.frame, tags::FRAME_VOILUT_SEQUENCE);
        group.number(tags::WINDOW_CENTER).zip(group.number(tags::WINDOW_WIDTH)).filter(|(_, w)| *w >= 1.0)
    })
}

fn state(
    export: &Export<'_>,
    study: &SourceStudy,
    rescale: &Rescale,
    findings: &[&PlacedFinding<'_>],
) -> Result<Vec<u8>, ExportError> {
    let first = findings.first().and_then(|f| study.file(f.at)).ok_or(ExportError::NoStudy)?;
    let mut data = begin(first, &KIND, export.author);
    // Required of a series whose part of the body may be one of a pair; empty says that it is not known.
    data.put_text(tags::LATERALITY, &first.data.text(tags::LATERALITY).unwrap_or_default());
    let [date, time] = &export.author.made;
    data.put_text(tags::PRESENTATION_CREATION_DATE, date);
    data.put_text(tags::PRESENTATION_CREATION_TIME, time);
    data.put_text(tags::CONTENT_LABEL, LAYER);
    data.put_text(tags::CONTENT_DESCRIPTION, "Findings by model, not verified");
    data.put_text(tags::CONTENT_CREATOR_NAME, "");
    if let Some([slope, intercept, kind]) = rescale {
        data.put_text(tags::RESCALE_INTERCEPT, intercept);
        data.put_text(tags::RESCALE_SLOPE, slope);
        data.put_text(tags::RESCALE_TYPE, kind);
    }
    let frames: BTreeSet<FrameRef> = findings.iter().map(|f| f.at).collect();
    data.put_items(
        tags::REFERENCED_SERIES_SEQUENCE,
        referenced_series(study, frames.iter().copied(), tags::REFERENCED_IMAGE_SEQUENCE),
    );
    let area = |at: &FrameRef| {
        let [columns, rows] = study.file(*at).map_or([1, 1], |f| f.size);
        let mut item = Dataset::default();
        item.put_items(tags::REFERENCED_IMAGE_SEQUENCE, vec![reference(study, *at)]);
        item.put_signed_longs(tags::DISPLAYED_AREA_TOP_LEFT_HAND_CORNER, &[1, 1]);
        item.put_signed_longs(tags::DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER, &[columns as i32, rows as i32]);
        item.put_text(tags::PRESENTATION_SIZE_MODE, "SCALE TO FIT");
        match study.plane(*at).map(|p| p.spacing_mm) {
            Some([x, y]) => item.put_decimals(tags::PRESENTATION_PIXEL_SPACING, &[y, x]),
            None => item.put_text(tags::PRESENTATION_PIXEL_ASPECT_RATIO, "1\\1"),
        }
        item
    };
    data.put_items(tags::DISPLAYED_AREA_SELECTION_SEQUENCE, frames.iter().map(area).collect());
    let annotation = |at: &FrameRef| {
        let here: Vec<_> = findings.iter().filter(|f| f.at == *at).collect();
        let mut item = Dataset::default();
        item.put_items(tags::REFERENCED_IMAGE_SEQUENCE, vec![reference(study, *at)]);
        item.put_text(tags::GRAPHIC_LAYER, LAYER);
        item.put_items(tags::GRAPHIC_OBJECT_SEQUENCE, here.iter().map(|f| graphic(f)).collect());
        item.put_items(tags::TEXT_OBJECT_SEQUENCE, here.iter().map(|f| words(f)).collect());
        item
    };
    data.put_items(tags::GRAPHIC_ANNOTATION_SEQUENCE, frames.iter().map(annotation).collect());
    let mut layer = Dataset::default();
    layer.put_text(tags::GRAPHIC_LAYER, LAYER);
    layer.put_text(tags::GRAPHIC_LAYER_ORDER, "1");
    layer.put_text(tags::GRAPHIC_LAYER_DESCRIPTION, "Findings by model");
    data.put_items(tags::GRAPHIC_LAYER_SEQUENCE, vec![layer]);
    let voi = |at: &FrameRef| {
        let found = findings.iter().find(|f| f.at == *at)?;
        let (centre, width) = window(found, study.file(*at)?)?;
        let mut item = Dataset::default();
        item.put_items(tags::REFERENCED_IMAGE_SEQUENCE, vec![reference(study, *at)]);
        item.put_decimals(tags::WINDOW_CENTER, &[centre]);
        item.put_decimals(tags::WINDOW_WIDTH, &[width]);
        Some(item)
    };
    let windows: Vec<Dataset> = frames.iter().filter_map(voi).collect();
    if !windows.is_empty() {
        data.put_items(tags::SOFTCOPY_VOILUT_SEQUENCE, windows);
    }
    // A state replaces the image's own photometric interpretation.
    let inverted = first.data.text(tags::PHOTOMETRIC_INTERPRETATION).as_deref() == Some("MONOCHROME1");
    data.put_text(tags::PRESENTATION_LUT_SHAPE, if inverted { "INVERSE" } else { "IDENTITY" });
    Ok(finish(data)?)
}

fn graphic(found: &PlacedFinding<'_>) -> Dataset {
    let points = found.shape.points();
    let mut item = Dataset::default();
    item.put_text(tags::GRAPHIC_ANNOTATION_UNITS, "PIXEL");
    item.put_shorts(tags::GRAPHIC_DIMENSIONS, &[2]);
    item.put_shorts(tags::NUMBER_OF_GRAPHIC_POINTS, &[points.len() as u16]);
    item.put_floats(tags::GRAPHIC_DATA, &points.iter().flatten().map(|v| *v as f32).collect::<Vec<_>>());
    item.put_text(tags::GRAPHIC_TYPE, found.shape.graphic());
    if found.shape.graphic() != "POINT" {
        item.put_text(tags::GRAPHIC_FILLED, "N");
    }
    item
}

fn words(found: &PlacedFinding<'_>) -> Dataset {
    let [x, y] = match found.shape {
        Shape::Box([x0, _, _, y1]) => [x0, y1],
        Shape::Point(at) => at,
    };
    let mut item = Dataset::default();
    item.put_text(tags::ANCHOR_POINT_ANNOTATION_UNITS, "PIXEL");
    item.put_text(tags::UNFORMATTED_TEXT_VALUE, &long_string(found.label(), "finding"));
    item.put_floats(tags::ANCHOR_POINT, &[x as f32, y as f32]);
    item.put_text(tags::ANCHOR_POINT_VISIBILITY, "N");
    item
}
