//! Boxes and points of an export on the stored frames of a study.

use crate::dicom::source::FrameRef;
use crate::exports::exporter::{Export, ExportError};
use loupe_core::Finding;

/// A box or a point on a stored frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlacedFinding<'a> {
    /// Its number among all findings, from 0.
    pub(crate) number: usize,
    pub(crate) finding: &'a Finding,
    pub(crate) at: FrameRef,
    pub(crate) shape: Shape,
}

/// In continuous pixel edges of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// `[x0, y0, x1, y1]`.
    Box([f64; 4]),
    Point([f64; 2]),
}

impl Shape {
    /// The corners clockwise from the upper left, closed; a point alone.
    pub(crate) fn points(&self) -> Vec<[f64; 2]> {
        match *self {
            Self::Point(at) => vec![at],
            Self::Box([x0, y0, x1, y1]) => vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]],
        }
    }

    /// The graphic type of DICOM.
    pub(crate) const fn graphic(&self) -> &'static str {
        match self {
            Self::Box(_) => "POLYLINE",
            Self::Point(_) => "POINT",
        }
    }
}

impl PlacedFinding<'_> {
    /// The label, or a word for what has none.
    pub(crate) fn label(&self) -> &str {
        self.finding.label.as_deref().map(str::trim).filter(|l| !l.is_empty()).unwrap_or("finding")
    }
}

/// Every box and point that lies on a stored frame; what does not is said in `notes`.
///
/// # Errors
/// When the export has no study.
pub(crate) fn placed<'a>(
    export: &Export<'a>,
    notes: &mut Vec<String>,
) -> Result<Vec<PlacedFinding<'a>>, ExportError> {
    let study = export.study()?;
    let mut found = Vec::new();
    for (number, of) in export.findings.iter().enumerate() {
        let finding = of.finding;
        let (region, point) = (finding.source_box(), finding.source_point());
        if region.is_none() && point.is_none() {
            continue;
        }
        let files = export.image_of(of).map_or(&[][..], |(_, image)| image.files);
        let (at, map) = match study.frame_of(&finding.origin, files) {
            Ok(placed) => placed,
            Err(error) => {
                notes.push(format!("finding {} is left out: {error}", number + 1));
                continue;
            }
        };
        let shape = match (region, point) {
            (Some(region), _) if region.is_proper() => Shape::Box(map.boxed(region)),
            (None, Some(point)) => Shape::Point(map.point(point)),
            _ => {
                notes.push(format!("finding {} is left out: its box has no area", number + 1));
                continue;
            }
        };
        found.push(PlacedFinding { number, finding, at, shape });
    }
    Ok(found)
}

/// What is said of masks by a format that holds none.
pub(crate) fn masks_left_out(export: &Export<'_>) -> Option<String> {
    let masks = export.findings.iter().filter(|f| f.finding.as_mask().is_some()).count();
    (masks > 0).then(|| format!("{masks} masks are left out: dicom-seg and dicom-rtstruct hold them"))
}
