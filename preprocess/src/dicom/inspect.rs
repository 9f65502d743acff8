//! What is in a file, for people and programs: format, geometry, windows, and what would be refused.

use super::format::Format;
use super::geometry::Calibration;
use super::image::Image;
use super::values::Transform;
use crate::presentation::StoredWindow;
use crate::volume_facts::{SliceFacts, VolumeFacts};
use loupe_core::guard::guarded;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::words::counted;
use loupe_dicom::deid::burned_in_text;
use loupe_dicom::object::{Dataset, Element, Object, Value, describe};
use loupe_dicom::parse;
use loupe_dicom::syntax;
use loupe_dicom::tags;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Facts about one file.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The standard's name of the transfer syntax.
    pub transfer_syntax: &'static str,
    /// Modality (0008,0060), when it is one of the standard's short codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    /// Size and layout of the frames; absent for objects without an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Windows of the first frame, with the maker's names.
    pub windows: Vec<StoredWindow>,
    /// Value that the stored values 0 and 1 stand for, when they are rescaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescaled: Option<[f64; 2]>,
    /// Pixel size to the right and down in mm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[f64; 2]>,
    /// How the size is known when it was not measured in the patient, or why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_note: Option<String>,
    /// Row and column direction and the first pixel's centre of the first frame (LPS, mm).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plane: Option<[[f64; 3]; 3]>,
    /// What had to be assumed, and where the file ends early.
    pub notes: Vec<String>,
    /// Why the image, or its first or last frame, cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Burned-in text: said by the file, or likely from the kind of image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burned_in_text: Option<&'static str>,
    /// Text of a structured report, a line an item, indented by level.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<String>,
    /// Names and identifiers; only when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<(String, String)>,
}

/// Inspects a file. Identifiers are left out unless `identifiers` is set, and with them the text of
/// reports, which names people.
///
/// # Errors
/// When the file cannot be read or is not DICOM. An image that would be refused is not an error.
pub fn inspect(path: &Path, identifiers: bool, limits: &DecodeLimits) -> Result<Inspection, MediaError> {
    let bytes = super::files::plain(limits.read_file(path)?, limits)?;
    let object = Arc::new(guarded("DICOM", "data set", || parse::parse(bytes, limits))?);
    let data = &object.data;
    let mut notes = object.notes.clone();
    notes.extend(object.truncated_in.map(parse::truncation_note));
    if data.get(tags::ICC_PROFILE).is_some() {
        notes.push(super::image::ICC_NOTE.to_owned());
    }
    let lines = report(data);
    if !lines.is_empty() && !identifiers {
        let note = format!("structured report of {}: --identifiers shows it", counted(lines.len(), "line"));
        notes.push(note);
    }
    let image = Image::new(Arc::clone(&object), limits);
    let refused = match &image {
        Err(e) => Some(e.to_string()),
        Ok(image) => BTreeSet::from([0, image.format().frames - 1])
            .into_iter()
            .find_map(|frame| image.stored(frame).err().or_else(|| image.transform(frame).err()))
            .map(|e| e.to_string()),
    };
    notes.extend(super::overlays::announcement(data));
    let windows = match &image {
        Ok(image) => {
            notes.extend(grey_notes(image));
            image.presentation(0).map(|shown| shown.windows).unwrap_or_default()
        }
        Err(_) => Vec::new(),
    };
    let rescaled = Transform::read(&object, 0, false).ok().filter(|t| !t.is_identity());
    let calibration = Calibration::read(data, 0);
    Ok(Inspection {
        transfer_syntax: syntax::name(&object.transfer_syntax),
        modality: data
            .text(tags::MODALITY)
            .filter(|m| m.len() <= 16 && m.bytes().all(|b| b.is_ascii_uppercase())),
        // What is beyond the limits is described too; describing takes no memory.
        format: Format::read(&object, &DecodeLimits { max_pixels: u64::MAX, max_memory_bytes: u64::MAX })
            .ok(),
        windows: windows.into_iter().filter(|w| w.window.is_valid()).collect(),
        rescaled: rescaled.map(|t| [t.apply(0.0), t.apply(1.0)]),
        spacing_mm: calibration.spacing_mm,
        spacing_note: calibration.note,
        plane: super::geometry::FramePlane::read(data, 0).map(|p| [p.row, p.column, p.position]),
        notes,
        refused,
        burned_in_text: burned_in_text(data),
        report: if identifiers { lines } else { Vec::new() },
        identifiers: if identifiers { names(&object) } else { Vec::new() },
    })
}

/// What is to be said of the grey levels: inversion, padding, windows that are not used or vary, a palette that
/// does not hold what it says.
fn grey_notes(image: &Image) -> Vec<String> {
    let mut notes: Vec<String> = image.palette_note().into_iter().collect();
    if !image.format().photometric.is_grey() {
        return notes;
    }
    let frames = 0..image.format().frames;
    let facts = |frame| SliceFacts {
        presentation: Arc::new(image.presentation(frame).unwrap_or_default()),
        ..SliceFacts::default()
    };
    notes.extend(
        VolumeFacts { slices: frames.clone().map(facts).collect(), ..VolumeFacts::default() }.notes(),
    );
    if let Some(text) = image.padding_note() {
        notes.push(text);
    }
    let first = image.transform(0).ok();
    let mut frames = frames;
    if frames.any(|frame| image.transform(frame).ok() != first) {
        notes.push("values are rescaled frame by frame; the first frame's numbers are shown".to_owned());
    }
    notes
}

/// The attributes that name the patient, the study and who took part, with text decoded.
pub(crate) fn names(object: &Object) -> Vec<(String, String)> {
    const SHOWN: [loupe_dicom::Tag; 13] = [
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::STUDY_DATE,
        tags::STUDY_DESCRIPTION,
        tags::SERIES_DESCRIPTION,
        tags::PROTOCOL_NAME,
        tags::ACCESSION_NUMBER,
        tags::INSTITUTION_NAME,
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::SOP_INSTANCE_UID,
    ];
    let charset = object.data.charset();
    SHOWN.iter().filter_map(|tag| Some((describe(*tag), object.data.decoded(*tag, &charset)?))).collect()
}

/// The content tree of a structured report (PS3.3 C.17.3) as lines: concept name and value.
pub fn report(data: &Dataset) -> Vec<String> {
    let mut lines = Vec::new();
    let charset = data.charset();
    fn meaning(
        set: &Dataset,
        tag: loupe_dicom::Tag,
        charset: &loupe_dicom::charset::Charset,
    ) -> Option<String> {
        set.item(tag)?.decoded(tags::CODE_MEANING, charset)
    }
    fn visit(set: &Dataset, depth: usize, charset: &loupe_dicom::charset::Charset, lines: &mut Vec<String>) {
        for item in set.items(tags::CONTENT_SEQUENCE) {
            let name = meaning(item, tags::CONCEPT_NAME_CODE_SEQUENCE, charset);
            let measured = item.item(tags::MEASURED_VALUE_SEQUENCE).and_then(|m| {
                let unit =
                    m.item(tags::MEASUREMENT_UNITS_CODE_SEQUENCE).and_then(|u| u.text(tags::CODE_VALUE));
                Some(format!("{} {}", m.text(tags::NUMERIC_VALUE)?, unit.unwrap_or_default()))
            });
            let texts =
                [tags::TEXT_VALUE, tags::PERSON_NAME, tags::DATE, tags::TIME, tags::DATE_TIME, tags::UID];
            let value = texts
                .iter()
                .find_map(|tag| item.decoded(*tag, charset))
                .or_else(|| meaning(item, tags::CONCEPT_CODE_SEQUENCE, charset))
                .or(measured);
            let kind = item.text(tags::VALUE_TYPE).unwrap_or_default();
            let line = match (name, value) {
                (Some(name), Some(value)) => format!("{name}: {}", value.trim()),
                (Some(text), None) | (None, Some(text)) => text,
                (None, None) => kind,
            };
            lines.push(format!("{}{line}", "  ".repeat(depth)));
            visit(item, depth + 1, charset, lines);
        }
    }
    if let Some(title) = meaning(data, tags::CONCEPT_NAME_CODE_SEQUENCE, &charset) {
        lines.push(title);
    }
    visit(data, 1, &charset, &mut lines);
    if lines.len() == 1 && data.items(tags::CONTENT_SEQUENCE).is_empty() {
        lines.clear();
    }
    lines
}

/// Every element by keyword, tag and VR, without values: the structure of a file.
pub fn structure(data: &Dataset) -> Vec<String> {
    fn visit(elements: &[Element], depth: usize, lines: &mut Vec<String>) {
        for element in elements {
            let size = match &element.value {
                Value::Bytes(slice) => counted(slice.bytes().len(), "byte"),
                Value::Items(items) => counted(items.len(), "item"),
                Value::Fragments(fragments) => counted(fragments.len(), "fragment"),
            };
            lines.push(format!("{}{} {} {size}", "  ".repeat(depth), describe(element.tag), element.vr));
            if let Value::Items(items) = &element.value {
                items.iter().for_each(|item| visit(item.elements(), depth + 1, lines));
            }
        }
    }
    let mut lines = Vec::new();
    visit(data.elements(), 0, &mut lines);
    lines
}
