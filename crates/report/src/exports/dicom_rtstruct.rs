//! Masks and boxes as an RT Structure Set (PS3.3 A.19): closed contours in the planes of the series, for treatment planning systems
//! and 3D Slicer.
//!
//! Contours run along the edges of pixels, so that filling them by pixel centres gives the mask again. Parts apart and holes are
//! contours of their own, as the even–odd rule takes them.

use crate::dicom::derived::{DerivedKind, begin, by_series, finish, frame_of_reference, long_string};
use crate::dicom::places::{Shape, placed};
use crate::dicom::{FrameRef, SourceStudy, segments_of_findings, segments_of_labels};
use crate::exports::dicom_seg::placed_masks;
use crate::exports::exporter::{Export, ExportError, ExportFile, Exported, Exporter, Scope};
use crate::label_tables::label_colour;
use crate::outline::outlines;
use loupe_core::Point2;
use loupe_dicom::{Dataset, tags};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "dicom-rtstruct",
    about: "masks and boxes as contours of a DICOM structure set",
    scope: Scope::Study,
    write,
}];

const KIND: DerivedKind = DerivedKind {
    class: "1.2.840.10008.5.1.4.1.1.481.3",
    modality: "RTSTRUCT",
    series_number: 9006,
    description: "Structures by model",
};

/// Corners in pixels of a frame.
type Contour = (FrameRef, Vec<[f64; 2]>);

/// A region with its contours.
struct Structure {
    name: String,
    contours: Vec<Contour>,
}

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let study = export.study()?;
    let mut notes = Vec::new();
    let (segments, said) = match export.labels {
        Some((series, labels)) => segments_of_labels(study, series, labels)?,
        None => segments_of_findings(study, &placed_masks(export))?,
    };
    notes.extend(said);
    let mut structures: Vec<Structure> = segments
        .iter()
        .map(|s| {
            let contours =
                s.frames.iter().flat_map(|(at, mask)| outlines(mask).into_iter().map(|c| (*at, c)));
            Structure { name: s.label.title(), contours: contours.collect() }
        })
        .collect();
    for found in placed(export, &mut notes)? {
        let corners = match found.shape {
            Shape::Box(_) => found.shape.points().into_iter().take(4).collect(),
            Shape::Point(at) => vec![at],
        };
        let name = format!("{} {}", found.label(), found.number + 1);
        structures.push(Structure { name, contours: vec![(found.at, corners)] });
    }
    structures.retain(|s| !s.contours.is_empty());
    // A structure set is of one frame of reference.
    let mut frames: Vec<String> = Vec::new();
    for (at, _) in structures.iter().flat_map(|s| &s.contours) {
        let uid = study.file(*at).and_then(|f| f.frame_of_reference());
        frames.extend(uid.filter(|uid| !frames.contains(uid)));
    }
    let mut files = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let name =
            if frames.len() == 1 { "rtstruct.dcm".to_owned() } else { format!("rtstruct-{:02}.dcm", n + 1) };
        files.push(ExportFile { name, bytes: set(export, study, frame, &structures)? });
    }
    match files.is_empty() {
        true => Err(ExportError::Nothing("no mask or box lies on a frame with a place in the patient")),
        false => Ok(Exported { files, notes }),
    }
}

/// The structure set of one frame of reference.
fn set(
    export: &Export<'_>,
    study: &SourceStudy,
    frame: &str,
    structures: &[Structure],
) -> Result<Vec<u8>, ExportError> {
    let here =
        |at: &FrameRef| study.file(*at).is_some_and(|f| f.frame_of_reference().as_deref() == Some(frame));
    let structures: Vec<(usize, &Structure)> =
        (1..).zip(structures).filter(|(_, s)| s.contours.iter().any(|(at, _)| here(at))).collect();
    let first = structures.iter().flat_map(|(_, s)| &s.contours).find(|(at, _)| here(at));
    let first = first.and_then(|(at, _)| study.file(*at)).ok_or(ExportError::NoStudy)?;
    let mut data = begin(first, &KIND, export.author);
    frame_of_reference(&mut data, first);
    let [date, time] = &export.author.made;
    data.put_text(tags::STRUCTURE_SET_LABEL, "FINDINGS");
    data.put_text(tags::STRUCTURE_SET_DATE, date);
    data.put_text(tags::STRUCTURE_SET_TIME, time);
    data.put_text(tags::APPROVAL_STATUS, "UNAPPROVED");
    data.put_text(tags::OPERATORS_NAME, "");
    let whole: Vec<FrameRef> = study.frames(&first.series);
    data.put_items(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![referenced(study, frame, &whole)]);
    let roi = |(number, s): &(usize, &Structure)| {
        let mut item = Dataset::default();
        item.put_text(tags::ROI_NUMBER, &number.to_string());
        item.put_text(tags::REFERENCED_FRAME_OF_REFERENCE_UID, frame);
        item.put_text(tags::ROI_NAME, &long_string(&s.name, "structure"));
        item.put_text(tags::ROI_GENERATION_ALGORITHM, "AUTOMATIC");
        item
    };
    data.put_items(tags::STRUCTURE_SET_ROI_SEQUENCE, structures.iter().map(roi).collect());
    let contours = |(number, s): &(usize, &Structure)| {
        let mut item = Dataset::default();
        let [r, g, b] = label_colour(*number as u16);
        item.put_text(tags::ROI_DISPLAY_COLOR, &format!("{r}\\{g}\\{b}"));
        item.put_text(tags::REFERENCED_ROI_NUMBER, &number.to_string());
        let drawn = s.contours.iter().filter(|(at, _)| here(at)).filter_map(|c| contour(study, c));
        item.put_items(tags::CONTOUR_SEQUENCE, drawn.collect());
        item
    };
    data.put_items(tags::ROI_CONTOUR_SEQUENCE, structures.iter().map(contours).collect());
    let observation = |(number, _): &(usize, &Structure)| {
        let mut item = Dataset::default();
        item.put_text(tags::OBSERVATION_NUMBER, &number.to_string());
        item.put_text(tags::REFERENCED_ROI_NUMBER, &number.to_string());
        item.put_text(tags::RTROI_INTERPRETED_TYPE, "");
        item.put_text(tags::ROI_INTERPRETER, "");
        item
    };
    data.put_items(tags::RTROI_OBSERVATIONS_SEQUENCE, structures.iter().map(observation).collect());
    Ok(finish(data)?)
}

/// The study and series that the contours lie on (PS3.3 C.8.8.5).
fn referenced(study: &SourceStudy, frame: &str, frames: &[FrameRef]) -> Dataset {
    let series = by_series(study, frames.iter().copied()).into_iter().map(|(uid, objects)| {
        let mut item = Dataset::default();
        item.put_text(tags::SERIES_INSTANCE_UID, &uid);
        item.put_items(tags::CONTOUR_IMAGE_SEQUENCE, objects);
        item
    });
    let mut of_study = Dataset::default();
    of_study.put_text(tags::REFERENCED_SOP_CLASS_UID, "1.2.840.10008.3.1.2.3.1");
    of_study
        .put_text(tags::REFERENCED_SOP_INSTANCE_UID, study.files.first().map_or("", |f| f.study.as_str()));
    of_study.put_items(tags::RT_REFERENCED_SERIES_SEQUENCE, series.collect());
    let mut item = Dataset::default();
    item.put_text(tags::FRAME_OF_REFERENCE_UID, frame);
    item.put_items(tags::RT_REFERENCED_STUDY_SEQUENCE, vec![of_study]);
    item
}

fn contour(study: &SourceStudy, (at, corners): &Contour) -> Option<Dataset> {
    let lps = study.plane(*at)?.lps_from_plane();
    let points: Vec<f64> = corners.iter().flat_map(|[x, y]| lps.apply(Point2::new(*x, *y))).collect();
    let mut item = Dataset::default();
    item.put_items(tags::CONTOUR_IMAGE_SEQUENCE, vec![crate::dicom::derived::reference(study, *at)]);
    item.put_text(tags::CONTOUR_GEOMETRIC_TYPE, if corners.len() == 1 { "POINT" } else { "CLOSED_PLANAR" });
    item.put_text(tags::NUMBER_OF_CONTOUR_POINTS, &corners.len().to_string());
    item.put_decimals(tags::CONTOUR_DATA, &points);
    Some(item)
}
