//! A place in a picture with a label: what grounding, detection and segmentation give.

use crate::geometry::{Box2, Given, Point2, Source};
use crate::mask::Rle;
use crate::picture::Origin;
use serde::{Deserialize, Serialize};

/// Something found in a picture. It carries the picture's origin, and with it the way to source pixels and
/// patient millimetres, so that every export is made from findings alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which picture of the ask, or which picture of the trace where a trace lists them; from 0.
    #[serde(default)]
    pub picture: usize,
    /// Where, in pixels of that picture.
    #[serde(flatten)]
    pub at: Place,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Confidence or predicted IoU, when the model gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Where the picture came from; for a mask in a volume with the stored slice it lies in.
    #[serde(default = "Origin::unknown", skip_serializing_if = "Origin::is_unknown")]
    pub origin: Origin,
}

/// A place in pixels of the picture that was given to the model (continuous pixel edges).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A region.
    Box(Box2<Given>),
    /// A spot.
    Point(Point2<Given>),
    /// Pixels of the picture, as run lengths.
    Mask(Rle),
}

impl Finding {
    /// A box on the picture with this number and origin.
    pub fn region(picture: usize, region: Box2<Given>, origin: Origin) -> Self {
        Self { picture, at: Place::Box(region), label: None, score: None, origin }
    }

    /// A point on the picture with this number and origin.
    pub fn spot(picture: usize, point: Point2<Given>, origin: Origin) -> Self {
        Self { picture, at: Place::Point(point), label: None, score: None, origin }
    }

    /// A mask on the picture with this number and origin.
    pub fn mask(picture: usize, mask: Rle, origin: Origin) -> Self {
        Self { picture, at: Place::Mask(mask), label: None, score: None, origin }
    }

    /// The same with a label and a score.
    #[must_use]
    pub fn with(mut self, label: Option<String>, score: Option<f64>) -> Self {
        (self.label, self.score) = (label, score);
        self
    }

    /// The box, when it is one.
    pub fn as_box(&self) -> Option<Box2<Given>> {
        if let Place::Box(region) = self.at { Some(region) } else { None }
    }

    /// The point, when it is one.
    pub fn as_point(&self) -> Option<Point2<Given>> {
        if let Place::Point(point) = self.at { Some(point) } else { None }
    }

    /// The mask, when it is one.
    pub fn as_mask(&self) -> Option<&Rle> {
        if let Place::Mask(mask) = &self.at { Some(mask) } else { None }
    }

    /// The box in pixels of the source.
    pub fn source_box(&self) -> Option<Box2<Source>> {
        self.as_box().map(|b| self.origin.source_from_self.boxed(b))
    }

    /// The point in pixels of the source.
    pub fn source_point(&self) -> Option<Point2<Source>> {
        self.as_point().map(|p| self.origin.source_from_self.point(p))
    }

    /// Width and height of the box in millimetres, when the source is calibrated there.
    pub fn size_mm(&self) -> Option<[f64; 2]> {
        let region = self.source_box()?;
        let [x, y] = self.origin.spacing_mm_within(region.xyxy())?;
        Some([region.width() * x, region.height() * y])
    }

    /// The box's corners upper left, upper right, lower right, lower left in patient millimetres (LPS),
    /// when the source says where it was taken.
    pub fn corners_lps_mm(&self) -> Option<[[f64; 3]; 4]> {
        let (b, lps) = (self.source_box()?, self.origin.lps_from_source?);
        let corners = [(b.x0, b.y0), (b.x1, b.y0), (b.x1, b.y1), (b.x0, b.y1)];
        Some(corners.map(|(x, y)| lps.apply(Point2::new(x, y))))
    }

    /// The point, or the centre of the box, in patient millimetres (LPS), when the source says where it
    /// was taken.
    pub fn centre_lps_mm(&self) -> Option<[f64; 3]> {
        let at = self.source_point().or_else(|| self.source_box().map(|b| b.centre()))?;
        Some(self.origin.lps_from_source?.apply(at))
    }

    /// The same place on another picture of the same source: its number and origin. `None` when the way
    /// back cannot be had, or for a mask, whose pixels belong to its own picture.
    #[must_use]
    pub fn moved_to(&self, picture: usize, origin: &Origin) -> Option<Self> {
        let given_from_source = origin.source_from_self.inverse()?;
        let at = match self.at {
            Place::Box(_) => Place::Box(given_from_source.boxed(self.source_box()?)),
            Place::Point(_) => Place::Point(given_from_source.point(self.source_point()?)),
            Place::Mask(_) => return None,
        };
        Some(Self { picture, at, origin: origin.clone(), ..self.clone() })
    }
}

/// A box of the first layout of run folders.
#[derive(Deserialize)]
pub(crate) struct FormerBox {
    picture: usize,
    #[serde(rename = "box")]
    region: Box2<Given>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    score: Option<f64>,
}

/// A point of the first layout of run folders.
#[derive(Deserialize)]
pub(crate) struct FormerPoint {
    picture: usize,
    point: Point2<Given>,
    #[serde(default)]
    label: Option<String>,
}

/// A mask as it is written now or as the first layout of run folders had it: the slice beside the mask.
#[derive(Deserialize)]
pub(crate) struct FormerMask {
    #[serde(default)]
    picture: usize,
    #[serde(default)]
    slice: Option<usize>,
    #[serde(default)]
    label: Option<String>,
    mask: Rle,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default = "Origin::unknown")]
    origin: Origin,
}

impl From<FormerBox> for Finding {
    fn from(f: FormerBox) -> Self {
        Self::region(f.picture, f.region, Origin::unknown()).with(f.label, f.score)
    }
}

impl From<FormerPoint> for Finding {
    fn from(f: FormerPoint) -> Self {
        Self::spot(f.picture, f.point, Origin::unknown()).with(f.label, None)
    }
}

impl From<FormerMask> for Finding {
    fn from(f: FormerMask) -> Self {
        let origin = Origin { slice: f.slice.or(f.origin.slice), ..f.origin };
        Self::mask(f.picture, f.mask, origin).with(f.label, f.score)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::geometry::Map2;

    #[test]
    fn a_finding_knows_its_way_home_and_moves_between_pictures() {
        let mut crop = Origin::of_size(200, 100);
        crop.source_from_self = Map2::scale_then_shift(0.5, 0.5, 20.0, 10.0);
        crop.spacing_mm = Some([0.5, 2.0]);
        let found =
            Finding::region(1, Box2::new(0.0, 0.0, 40.0, 20.0), crop).with(Some("nodule".into()), None);
        assert_eq!(found.source_box().unwrap().xyxy(), [20.0, 10.0, 40.0, 20.0]);
        assert_eq!(found.size_mm(), Some([10.0, 20.0]));
        assert_eq!(found.corners_lps_mm(), None);
        let mut partly = found.clone();
        partly.origin.calibrated_xyxy = Some([20.0, 10.0, 40.0, 20.0]);
        assert_eq!(partly.size_mm(), Some([10.0, 20.0]));
        partly.origin.calibrated_xyxy = Some([21.0, 10.0, 40.0, 20.0]);
        assert_eq!(partly.size_mm(), None);
        let home = found.moved_to(0, &Origin::of_size(200, 100)).unwrap();
        assert_eq!((home.picture, home.as_box().unwrap().xyxy()), (0, [20.0, 10.0, 40.0, 20.0]));
        let text = serde_json::to_string(&found).unwrap();
        assert!(text.contains(r#""box":{"x0":0.0,"y0":0.0,"x1":40.0,"y1":20.0}"#), "{text}");
        assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), found);
    }
}
