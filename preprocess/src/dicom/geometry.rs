//! How large the pixels of a frame are (PS3.3 10.7.1.3, C.8.5.5.1), and where the frame lies.

use loupe_dicom::object::Dataset;
use loupe_dicom::plane::{pixel_spacing, spacing_of};
use loupe_dicom::tags;

pub use loupe_dicom::plane::FramePlane;

/// How large the pixels of a frame are, as far as the file tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calibration {
    /// Pixel size to the right and down in mm.
    pub spacing_mm: Option<[f64; 2]>,
    /// How the size is known when it was not measured in the patient, or why there is none.
    pub note: Option<String>,
    /// `[x0, y0, x1, y1]` in pixels of the frame: where the size holds, when it does not hold everywhere.
    pub region_xyxy: Option<[f64; 4]>,
}

impl Calibration {
    fn new(spacing_mm: [f64; 2], note: Option<String>) -> Self {
        Self { spacing_mm: Some(spacing_mm), note, region_xyxy: None }
    }

    /// The calibration of a frame (PS3.3 10.7.1.3, C.8.5.5.1).
    pub fn read(data: &Dataset, frame: usize) -> Self {
        let detector = spacing_of(data, tags::IMAGER_PIXEL_SPACING);
        if let Some(spacing) = pixel_spacing(data, frame) {
            // Pixel Spacing that repeats Imager Pixel Spacing was not corrected for magnification.
            let note = match (data.text(tags::PIXEL_SPACING_CALIBRATION_TYPE).as_deref(), detector) {
                (Some("GEOMETRY"), _) => {
                    Some("corrected for magnification at one depth (GEOMETRY)".to_owned())
                }
                (Some("FIDUCIAL"), _) => Some("calibrated by an object of known size (FIDUCIAL)".to_owned()),
                (_, Some(detector)) if detector == spacing => Some(at_detector(data)),
                _ => None,
            };
            return Self::new(spacing, note);
        }
        if let Some(spacing) = detector {
            return Self::new(spacing, Some(at_detector(data)));
        }
        if let Some(spacing) = spacing_of(data, tags::NOMINAL_SCANNED_PIXEL_SPACING) {
            return Self::new(spacing, Some("spacing of the scanned film".to_owned()));
        }
        ultrasound(data)
    }
}

fn at_detector(data: &Dataset) -> String {
    let factor = data.number(tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR);
    let factor = factor.filter(|f| f.is_finite() && *f > 0.0).map(|f| format!(" (factor {f})"));
    format!("spacing at the detector, not corrected for magnification{}", factor.unwrap_or_default())
}

/// One region with both axes in centimetres (C.8.5.5.1.1, unit 3). A region that ends beyond the picture shows
/// that the picture was made smaller afterwards.
fn ultrasound(data: &Dataset) -> Calibration {
    let none = |note: Option<&str>| Calibration { note: note.map(str::to_owned), ..Calibration::default() };
    let region = match data.items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS) {
        [] => return none(None),
        [region] => region,
        _ => return none(Some("no millimetres: several ultrasound regions")),
    };
    let centimetres = [tags::PHYSICAL_UNITS_X_DIRECTION, tags::PHYSICAL_UNITS_Y_DIRECTION]
        .iter()
        .all(|tag| region.integer(*tag) == Some(3));
    let delta = |tag| region.number(tag).map(|d| d.abs() * 10.0).filter(|d| d.is_finite() && *d > 0.0);
    let spacing = delta(tags::PHYSICAL_DELTA_X).zip(delta(tags::PHYSICAL_DELTA_Y));
    let Some((x, y)) = spacing.filter(|_| centimetres) else { return none(None) };
    let beyond = |end, side| match (region.integer(end), data.integer(side)) {
        // Some writers give the edge instead of the last pixel.
        (Some(end), Some(side)) => end > side,
        _ => false,
    };
    if beyond(tags::REGION_LOCATION_MAX_X1, tags::COLUMNS) || beyond(tags::REGION_LOCATION_MAX_Y1, tags::ROWS)
    {
        return none(Some(
            "no millimetres: the ultrasound region ends outside the picture, which was made smaller after it was \
             calibrated",
        ));
    }
    let note = Some("spacing of the ultrasound region".to_owned());
    Calibration { region_xyxy: part_of_frame(data, region), ..Calibration::new([x, y], note) }
}

/// The edges of an ultrasound region, when it is less than the frame.
fn part_of_frame(data: &Dataset, region: &Dataset) -> Option<[f64; 4]> {
    let size = [data.integer(tags::COLUMNS)?, data.integer(tags::ROWS)?];
    let first = [tags::REGION_LOCATION_MIN_X0, tags::REGION_LOCATION_MIN_Y0].map(|tag| region.integer(tag));
    let last = [tags::REGION_LOCATION_MAX_X1, tags::REGION_LOCATION_MAX_Y1].map(|tag| region.integer(tag));
    let ([Some(x0), Some(y0)], [Some(x1), Some(y1)]) = (first, last) else { return None };
    // The last pixel belongs to it; that of writers who give the edge ends with the frame.
    let [x1, y1] = [(x1 + 1).min(size[0]), (y1 + 1).min(size[1])];
    ([x0, y0] != [0, 0] || [x1, y1] != size).then(|| [x0, y0, x1, y1].map(|v| v as f64))
}
