//! Presentation states and structure sets: places within their images and in their planes.

use super::report::CheckReport;
use crate::dicom::{SourceFile, SourceStudy};
use loupe_core::geometry::dot;
use loupe_dicom::{Dataset, tags};
use std::collections::BTreeSet;

/// Millimetres that a contour may lie off the plane of its image.
const OFF_PLANE_MM: f64 = 0.01;

fn referred<'a>(source: &'a SourceStudy, item: &Dataset) -> Option<(&'a SourceFile, usize)> {
    let uid = item.text(tags::REFERENCED_SOP_INSTANCE_UID)?;
    let frame = item.integer(tags::REFERENCED_FRAME_NUMBER).and_then(|n| usize::try_from(n - 1).ok());
    Some((source.files.iter().find(|f| f.instance == uid)?, frame.unwrap_or(0)))
}

pub(super) fn presentation(data: &Dataset, source: Option<&SourceStudy>, report: &mut CheckReport) {
    let mut layers: BTreeSet<String> = BTreeSet::new();
    layers
        .extend(data.items(tags::GRAPHIC_LAYER_SEQUENCE).iter().filter_map(|l| l.text(tags::GRAPHIC_LAYER)));
    for annotation in data.items(tags::GRAPHIC_ANNOTATION_SEQUENCE) {
        if !annotation.text(tags::GRAPHIC_LAYER).is_some_and(|layer| layers.contains(&layer)) {
            report.error("an annotation is in a layer that is not described");
        }
        let image = annotation.item(tags::REFERENCED_IMAGE_SEQUENCE);
        let file = source.zip(image).and_then(|(source, image)| referred(source, image));
        for graphic in annotation.items(tags::GRAPHIC_OBJECT_SEQUENCE) {
            report.looked_at += 1;
            let n = report.looked_at;
            let numbers = graphic.numbers(tags::GRAPHIC_DATA).unwrap_or_default();
            let stated = graphic.integer(tags::NUMBER_OF_GRAPHIC_POINTS).unwrap_or(0);
            if numbers.len() as i64 != 2 * stated {
                report.error(format!(
                    "graphic {n} states {stated} points and has {} coordinates",
                    numbers.len()
                ));
            }
            if graphic.text(tags::GRAPHIC_ANNOTATION_UNITS).as_deref() != Some("PIXEL") {
                continue;
            }
            let Some((file, _)) = file else { continue };
            let [columns, rows] = file.size.map(|v| v as f64);
            let outside = |[x, y]: &[f64; 2]| *x < 0.0 || *y < 0.0 || *x > columns || *y > rows;
            if numbers.as_chunks::<2>().0.iter().any(outside) {
                report.error(format!("graphic {n} lies outside its image of {columns} × {rows} pixels"));
            }
        }
    }
}

pub(super) fn structures(data: &Dataset, source: Option<&SourceStudy>, report: &mut CheckReport) {
    let described: BTreeSet<i64> = data
        .items(tags::STRUCTURE_SET_ROI_SEQUENCE)
        .iter()
        .filter_map(|r| r.integer(tags::ROI_NUMBER))
        .collect();
    for roi in data.items(tags::ROI_CONTOUR_SEQUENCE) {
        let number = roi.integer(tags::REFERENCED_ROI_NUMBER).unwrap_or(0);
        if !described.contains(&number) {
            report.error(format!("contours of region {number}, which is not described"));
        }
        for contour in roi.items(tags::CONTOUR_SEQUENCE) {
            report.looked_at += 1;
            let n = report.looked_at;
            let points = contour.numbers(tags::CONTOUR_DATA).unwrap_or_default();
            let points = points.as_chunks::<3>().0;
            let closed = contour.text(tags::CONTOUR_GEOMETRIC_TYPE).is_some_and(|t| t.starts_with("CLOSED"));
            if closed && points.len() < 3 {
                report.error(format!("closed contour {n} has {} points", points.len()));
            }
            let image = contour.item(tags::CONTOUR_IMAGE_SEQUENCE);
            let plane = source
                .zip(image)
                .and_then(|(source, image)| referred(source, image))
                .and_then(|(file, frame)| file.plane(frame));
            let Some(plane) = plane else { continue };
            let off = |p: &[f64; 3]| {
                dot(plane.normal(), [0, 1, 2].map(|a| p[a] - plane.position[a])).abs() > OFF_PLANE_MM
            };
            if points.iter().any(off) {
                report.error(format!("contour {n} does not lie in the plane of its image"));
            }
        }
    }
}
