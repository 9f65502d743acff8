//! Where a frame lies (PS3.3 C.7.6.2, C.7.6.16.2).

use crate::functional;
use crate::object::Dataset;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use loupe_core::geometry::{Lps, LpsFromPlane, cross, dot, norm};

/// Position and orientation of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FramePlane {
    /// Unit vector along a row (increasing column index), LPS.
    pub row: Lps,
    /// Unit vector along a column (increasing row index), LPS.
    pub column: Lps,
    /// Centre of the first pixel, LPS in mm.
    pub position: Lps,
    /// Distance of the centres of neighbouring columns and of neighbouring rows, in mm.
    pub spacing_mm: [f64; 2],
}

impl FramePlane {
    /// The plane of `frame`; `None` when a part is missing or impossible.
    pub fn read(data: &Dataset, frame: usize) -> Option<Self> {
        let orientation = functional::place(data, frame, tags::PLANE_ORIENTATION_SEQUENCE);
        let position = functional::place(data, frame, tags::PLANE_POSITION_SEQUENCE);
        let [a, b, c, d, e, f] = orientation.vector::<6>(tags::IMAGE_ORIENTATION_PATIENT)?;
        let position = position.vector::<3>(tags::IMAGE_POSITION_PATIENT)?;
        let spacing_mm = pixel_spacing(data, frame)?;
        Self::new([a, b, c], [d, e, f], position, spacing_mm)
    }

    /// The plane of one of `frames` frames; RT dose grids give offsets from the first (C.8.8.3.2), and frames
    /// that share one position have no place of their own.
    pub fn among(data: &Dataset, frame: usize, frames: usize) -> Option<Self> {
        let mut plane = Self::read(data, frame)?;
        if frames == 1 || functional::group(data, frame, tags::PLANE_POSITION_SEQUENCE).is_some() {
            return Some(plane);
        }
        // Several frames with one position: a sequence in time, or a grid with offsets.
        let offsets = data.numbers(tags::GRID_FRAME_OFFSET_VECTOR).filter(|o| o.len() == frames)?;
        let first = if offsets.first() == Some(&0.0) { 0.0 } else { *offsets.first()? };
        let offset = offsets.get(frame)? - first;
        let normal = plane.normal();
        plane.position = [0, 1, 2].map(|n| plane.position[n] + normal[n] * offset);
        Some(plane)
    }

    /// Checks and normalises; `None` when rows and columns are not perpendicular directions.
    pub fn new(row: Lps, column: Lps, position: Lps, spacing_mm: [f64; 2]) -> Option<Self> {
        let (r, c) = (norm(row), norm(column));
        // Writers round cosines to as few as three digits.
        let unit = |n: f64| (n - 1.0).abs() < 0.01;
        if !unit(r) || !unit(c) || dot(row, column).abs() > 0.01 {
            return None;
        }
        Some(Self { row: row.map(|v| v / r), column: column.map(|v| v / c), position, spacing_mm })
    }

    /// Unit normal: row × column.
    pub fn normal(&self) -> Lps {
        let n = cross(self.row, self.column);
        let length = norm(n);
        n.map(|v| v / length)
    }

    /// Step of one column and of one row, in mm.
    pub fn steps(&self) -> (Lps, Lps) {
        (self.row.map(|v| v * self.spacing_mm[0]), self.column.map(|v| v * self.spacing_mm[1]))
    }

    /// Continuous pixel edges to LPS.
    pub fn lps_from_plane(&self) -> LpsFromPlane {
        let (i, j) = self.steps();
        LpsFromPlane { m: [0, 1, 2].map(|r| [i[r], j[r], self.position[r] - i[r] / 2.0 - j[r] / 2.0]) }
    }
}

/// `[between columns, between rows]` in mm from Pixel Spacing of the frame, which the standard gives as
/// `[between rows, between columns]`.
pub fn pixel_spacing(data: &Dataset, frame: usize) -> Option<[f64; 2]> {
    let place = functional::place(data, frame, tags::PIXEL_MEASURES_SEQUENCE);
    spacing_of(place, tags::PIXEL_SPACING)
}

/// `[between columns, between rows]` in mm from an attribute that the standard gives as `[between rows, between columns]`.
pub fn spacing_of(data: &Dataset, tag: Tag) -> Option<[f64; 2]> {
    let [rows, columns] = data.vector::<2>(tag)?;
    (rows > 0.0 && columns > 0.0).then_some([columns, rows])
}
