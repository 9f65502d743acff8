//! What is marked on a series, as the viewer reads it.

use crate::outline::outlines;
use loupe_core::{Finding, Place};
use serde::Serialize;

/// Whose mark it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxKind {
    /// The model's finding (solid line).
    Model,
    /// The reference (dashed line).
    Reference,
    /// The region of an action: where a second look went (dotted line).
    Region,
    /// The second run's finding, on a page of two runs (solid line).
    Second,
}

/// Where a mark lies, in continuous pixel edges of the series.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkPlace {
    /// `[x0, y0, x1, y1]`.
    Box([f64; 4]),
    /// `[x, y]`.
    Point([f64; 2]),
    /// Closed outlines of a mask; holes are outlines too.
    Outlines(Vec<Vec<[f64; 2]>>),
}

/// A mark on a slice of a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// By which the page speaks of it; also what makes it clickable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Number of the slice.
    pub slice: usize,
    /// Words beside it.
    pub label: String,
    /// Whose it is.
    pub kind: BoxKind,
    /// Where.
    #[serde(flatten)]
    pub place: MarkPlace,
}

impl Mark {
    /// The mark of a finding, whose pixels are those of the series; `None` for a mask whose run lengths do not fit its size.
    pub fn of(finding: &Finding, slice: usize, label: String, kind: BoxKind) -> Option<Self> {
        let place = match &finding.at {
            Place::Box(region) => MarkPlace::Box(region.xyxy()),
            Place::Point(point) => MarkPlace::Point([point.x, point.y]),
            Place::Mask(mask) => MarkPlace::Outlines(outlines(&mask.to_mask()?)),
        };
        Some(Self { id: None, slice, label, kind, place })
    }
}
