//! Where a frame lies (PS3.3 C.7.6.2, C.7.6.16.2) and how large its pixels are.

use super::functional;
use loupe_core::geometry::{Lps, LpsFromPlane, cross, dot, norm};
use loupe_dicom::object::Dataset;
use loupe_dicom::tags;

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

/// `[between columns, between rows]` from Pixel Spacing, which the standard gives as
/// `[between rows, between columns]`.
fn pixel_spacing(data: &Dataset, frame: usize) -> Option<[f64; 2]> {
    let place = functional::place(data, frame, tags::PIXEL_MEASURES_SEQUENCE);
    spacing_of(place, tags::PIXEL_SPACING)
}

fn spacing_of(data: &Dataset, tag: loupe_dicom::Tag) -> Option<[f64; 2]> {
    let [rows, columns] = data.vector::<2>(tag)?;
    (rows > 0.0 && columns > 0.0).then_some([columns, rows])
}

/// Pixel size to the right and down in mm, and how it is known when not measured in the patient.
pub fn calibration(data: &Dataset, frame: usize) -> Option<([f64; 2], Option<&'static str>)> {
    if let Some(spacing) = pixel_spacing(data, frame) {
        return Some((spacing, None));
    }
    if let Some(spacing) = spacing_of(data, tags::IMAGER_PIXEL_SPACING) {
        return Some((spacing, Some("spacing at the detector, not corrected for magnification")));
    }
    if let Some(spacing) = spacing_of(data, tags::NOMINAL_SCANNED_PIXEL_SPACING) {
        return Some((spacing, Some("spacing of the scanned film")));
    }
    // Ultrasound: one region with both axes in centimetres (C.8.5.5.1.1, unit 3).
    let [region] = data.items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS) else { return None };
    let centimetres = [tags::PHYSICAL_UNITS_X_DIRECTION, tags::PHYSICAL_UNITS_Y_DIRECTION]
        .iter()
        .all(|tag| region.integer(*tag) == Some(3));
    let (dx, dy) = (region.number(tags::PHYSICAL_DELTA_X)?, region.number(tags::PHYSICAL_DELTA_Y)?);
    let spacing = [dx.abs() * 10.0, dy.abs() * 10.0];
    let usable = centimetres && spacing.iter().all(|v| v.is_finite() && *v > 0.0);
    usable.then_some((spacing, Some("spacing of the ultrasound region")))
}
