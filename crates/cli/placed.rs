//! Boxes and points with their way home: image, slice, source pixels, millimetres.

use loupe_core::{Box2, Origin, Plane, Point2, Source};
use serde::Serialize;

/// The view of an image that a place lies in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Place {
    /// The image as it was named on the command line.
    pub(crate) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) frame: Option<usize>,
    /// Slice along the plane's normal, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slice: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plane: Option<Plane>,
}

impl Place {
    pub(crate) fn of(origin: &Origin, image: &str) -> Self {
        Self { image: image.to_owned(), frame: origin.frame, slice: origin.slice, plane: origin.plane }
    }

    /// ` slice 40 (coronal)`, or nothing for a flat picture.
    pub(crate) fn words(&self) -> String {
        let mut words = String::new();
        if let Some(slice) = self.slice {
            words += &format!("  slice {slice}");
        }
        if let Some(plane) = self.plane.filter(|p| *p != Plane::Stored) {
            words += &format!(" ({})", format!("{plane:?}").to_lowercase());
        }
        words
    }
}

/// A box with its way home.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PlacedBox {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f64>,
    /// `[x0, y0, x1, y1]` in pixels of the picture that the model spoke about.
    pub(crate) given_xyxy: Option<[f64; 4]>,
    /// The same in pixels of the image, slice or frame it was cut from.
    pub(crate) source_xyxy: [f64; 4],
    /// Width and height in millimetres, when the image is calibrated.
    pub(crate) size_mm: Option<[f64; 2]>,
    /// Patient position (LPS) of the centre in millimetres, when the image says where it was taken.
    pub(crate) centre_lps_mm: Option<[f64; 3]>,
    /// The corners upper left, upper right, lower right, lower left, likewise.
    pub(crate) corners_lps_mm: Option<[[f64; 3]; 4]>,
}

impl PlacedBox {
    /// `region` of the source of a picture with this origin.
    pub(crate) fn new(
        region: Box2<Source>,
        label: Option<String>,
        score: Option<f64>,
        origin: &Origin,
        image: &str,
    ) -> Self {
        let lps = |x, y| origin.lps_from_source.map(|lps| lps.apply(Point2::new(x, y)));
        let corners =
            [(region.x0, region.y0), (region.x1, region.y0), (region.x1, region.y1), (region.x0, region.y1)];
        let centre = region.centre();
        Self {
            place: Place::of(origin, image),
            label,
            score,
            given_xyxy: origin.source_from_self.inverse().map(|back| back.boxed(region).xyxy()),
            source_xyxy: region.xyxy(),
            size_mm: origin.spacing_mm.map(|[sx, sy]| [region.width() * sx, region.height() * sy]),
            centre_lps_mm: lps(centre.x, centre.y),
            corners_lps_mm: origin
                .lps_from_source
                .map(|lps| corners.map(|(x, y)| lps.apply(Point2::new(x, y)))),
        }
    }

    /// A line for people.
    pub(crate) fn words(&self) -> String {
        let [x0, y0, x1, y1] = self.source_xyxy;
        let size = self.size_mm.map(|[w, h]| format!("  {w:.1} × {h:.1} mm")).unwrap_or_default();
        let label = self.label.as_deref().unwrap_or("box");
        format!("{label}  x {x0:.1}–{x1:.1}  y {y0:.1}–{y1:.1}{size}{}", self.place.words())
    }
}

/// A point with its way home.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PlacedPoint {
    #[serde(flatten)]
    pub(crate) place: Place,
    pub(crate) label: Option<String>,
    /// `[x, y]` in pixels of the image, slice or frame, in continuous edges.
    pub(crate) source_xy: [f64; 2],
    /// Patient position (LPS) in millimetres, when the image says where it was taken.
    pub(crate) lps_mm: Option<[f64; 3]>,
}

impl PlacedPoint {
    /// `at` on the source of a picture with this origin.
    pub(crate) fn new(at: Point2<Source>, label: Option<String>, origin: &Origin, image: &str) -> Self {
        Self {
            place: Place::of(origin, image),
            label,
            source_xy: [at.x, at.y],
            lps_mm: origin.lps_from_source.map(|lps| lps.apply(at)),
        }
    }

    /// A line for people.
    pub(crate) fn words(&self) -> String {
        let ([x, y], label) = (self.source_xy, self.label.as_deref().unwrap_or("point"));
        format!("{label}  x {x:.1}  y {y:.1}{}", self.place.words())
    }
}
