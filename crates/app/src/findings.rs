//! Findings as JSON documents have them: image, slice, source pixels, millimetres.

use loupe_core::{Finding, Origin, Plane};
use serde::Serialize;

/// The view of an image that something lies in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ViewEntry {
    /// The image as it was named by who asked.
    pub image: String,
    /// Frame, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<usize>,
    /// Slice along the plane's normal, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<usize>,
    /// Plane of the slice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plane: Option<Plane>,
    /// What has to be said of the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl ViewEntry {
    /// The view that a picture with this origin shows of `image`.
    pub fn of(origin: &Origin, image: &str) -> Self {
        Self {
            image: image.to_owned(),
            frame: origin.frame,
            slice: origin.slice,
            plane: origin.plane,
            warnings: origin.warnings().map(str::to_owned).collect(),
        }
    }
}

/// A name for the view that a picture with this origin shows of `image`: `scan.nii#slice=3`, with its plane
/// where that is not the file's own, so that views of one image have different names.
pub fn view_name(origin: &Origin, image: &str) -> String {
    let plane = origin.plane.filter(|plane| !matches!(plane, Plane::Upright | Plane::Stored));
    let parts = [
        origin.frame.map(|n| format!("frame={n}")),
        plane.map(|plane| format!("plane={}", plane.name())),
        origin.slice.map(|n| format!("slice={n}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { image.to_owned() } else { format!("{image}#{}", parts.join("&")) }
}

/// A box with its way home.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxEntry {
    /// Its place.
    #[serde(flatten)]
    pub view: ViewEntry,
    /// What the model calls it.
    pub label: Option<String>,
    /// Confidence, when the model gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// `[x0, y0, x1, y1]` in pixels of the picture that the model spoke about.
    pub given_xyxy: Option<[f64; 4]>,
    /// The same in pixels of the image, slice or frame it was cut from.
    pub source_xyxy: [f64; 4],
    /// Width and height in millimetres, when the image is calibrated.
    pub size_mm: Option<[f64; 2]>,
    /// What has to be said of these millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_note: Option<String>,
    /// Patient position (LPS) of the centre in millimetres, when the image says where it was taken.
    pub centre_lps_mm: Option<[f64; 3]>,
    /// The corners upper left, upper right, lower right, lower left, likewise.
    pub corners_lps_mm: Option<[[f64; 3]; 4]>,
}

impl BoxEntry {
    /// The entry of a finding on `image`; `None` when it is no box.
    pub fn of(finding: &Finding, image: &str) -> Option<Self> {
        Some(Self {
            view: ViewEntry::of(&finding.origin, image),
            label: finding.label.clone(),
            score: finding.score,
            given_xyxy: finding.as_box().map(|b| b.xyxy()),
            source_xyxy: finding.source_box()?.xyxy(),
            size_mm: finding.size_mm(),
            size_note: finding
                .origin
                .spacing_mm
                .and(finding.origin.spacing_note_within(finding.source_box()?.xyxy())),
            centre_lps_mm: finding.centre_lps_mm(),
            corners_lps_mm: finding.corners_lps_mm(),
        })
    }
}

/// A point with its way home.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointEntry {
    /// Its place.
    #[serde(flatten)]
    pub view: ViewEntry,
    /// What the model calls it.
    pub label: Option<String>,
    /// `[x, y]` in pixels of the image, slice or frame, in continuous edges.
    pub source_xy: [f64; 2],
    /// Patient position (LPS) in millimetres, when the image says where it was taken.
    pub lps_mm: Option<[f64; 3]>,
}

impl PointEntry {
    /// The entry of a finding on `image`; `None` when it is no point.
    pub fn of(finding: &Finding, image: &str) -> Option<Self> {
        let at = finding.source_point()?;
        Some(Self {
            view: ViewEntry::of(&finding.origin, image),
            label: finding.label.clone(),
            source_xy: [at.x, at.y],
            lps_mm: finding.centre_lps_mm(),
        })
    }
}
