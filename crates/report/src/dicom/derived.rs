//! What every object that is derived from a study has: patient and study of the source, a series of its own, who made
//! it, and identifiers that are the same each time.

use crate::dicom::source::{FrameRef, SourceFile, SourceStudy};
use loupe_core::MediaError;
use loupe_core::labels::CodedConcept;
use loupe_dicom::charset::Charset;
use loupe_dicom::object::Value;
use loupe_dicom::{Dataset, Element, Object, Tag, tags, uid, write};
use std::collections::BTreeMap;

/// Who made the findings, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// Name of the model, or of what else made the masks.
    pub model: String,
    /// What proves which model it was: the SHA-256 of its weights, an address; empty where nothing does.
    pub identity: String,
    /// Version of loupe.
    pub version: String,
    /// When the findings were made: date (`YYYYMMDD`) and time (`HHMMSS`), not when they were exported.
    pub made: [String; 2],
}

/// What kind of object is derived.
#[derive(Debug, Clone, Copy)]
pub struct DerivedKind {
    /// SOP Class UID.
    pub class: &'static str,
    /// Modality of the series.
    pub modality: &'static str,
    /// Number of the series, by which viewers sort.
    pub series_number: u32,
    /// Series Description.
    pub description: &'static str,
}

/// Attributes of patient and study that are carried over (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2). Those of type 2 are empty where the
/// source has none.
const CARRIED: &[(Tag, bool)] = &[
    (tags::STUDY_DATE, true),
    (tags::STUDY_TIME, true),
    (tags::ACCESSION_NUMBER, true),
    (tags::REFERRING_PHYSICIAN_NAME, true),
    (tags::STUDY_DESCRIPTION, false),
    (tags::PATIENT_NAME, true),
    (tags::PATIENT_ID, true),
    (tags::ISSUER_OF_PATIENT_ID, false),
    (tags::PATIENT_BIRTH_DATE, true),
    (tags::PATIENT_SEX, true),
    (tags::PATIENT_AGE, false),
    (tags::PATIENT_SIZE, false),
    (tags::PATIENT_WEIGHT, false),
    (tags::PATIENT_IDENTITY_REMOVED, false),
    (tags::DEIDENTIFICATION_METHOD, false),
    (tags::STUDY_ID, true),
];

/// A data set with patient, study, series, equipment and SOP class; what [`finish`] adds is missing.
pub(crate) fn begin(source: &SourceFile, kind: &DerivedKind, author: &Author) -> Dataset {
    let mut data = Dataset::default();
    data.put_text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    let charset = source.data.charset();
    for (tag, always) in CARRIED {
        match source.data.get(*tag) {
            Some(element) => data.put(recoded(element, &charset)),
            None if *always => data.put_text(*tag, ""),
            None => {}
        }
    }
    data.put_text(tags::SOP_CLASS_UID, kind.class);
    data.put_text(tags::STUDY_INSTANCE_UID, &source.study);
    data.put_text(tags::MODALITY, kind.modality);
    data.put_text(tags::SERIES_NUMBER, &kind.series_number.to_string());
    data.put_text(tags::SERIES_DESCRIPTION, kind.description);
    data.put_text(tags::INSTANCE_NUMBER, "1");
    data.put_text(tags::MANUFACTURER, "loupe");
    data.put_text(tags::MANUFACTURER_MODEL_NAME, &long_string(&author.model, "loupe"));
    data.put_text(tags::DEVICE_SERIAL_NUMBER, &long_string(&author.identity, "unknown"));
    data.put_text(tags::SOFTWARE_VERSIONS, &long_string(&author.version, "unknown"));
    let [date, time] = &author.made;
    data.put_text(tags::SERIES_DATE, date);
    data.put_text(tags::SERIES_TIME, time);
    data.put_text(tags::CONTENT_DATE, date);
    data.put_text(tags::CONTENT_TIME, time);
    data
}

/// Gives the object its identifiers, which follow from what it holds, and writes its file.
///
/// # Errors
/// When the data set cannot be written.
pub(crate) fn finish(mut data: Dataset) -> Result<Vec<u8>, MediaError> {
    let contents = write::file(&Object::new(data.clone()))?;
    let series: String = [
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_DESCRIPTION,
        tags::MANUFACTURER_MODEL_NAME,
        tags::DEVICE_SERIAL_NUMBER,
    ]
    .map(|tag| data.text(tag).unwrap_or_default())
    .join("\n");
    if data.get(tags::SERIES_INSTANCE_UID).is_none() {
        data.put_text(tags::SERIES_INSTANCE_UID, &uid::hashed(b"loupe export: series", series.as_bytes()));
    }
    data.put_text(tags::SOP_INSTANCE_UID, &uid::hashed(b"loupe export: instance", &contents));
    write::file(&Object::new(data))
}

/// An attribute of the source with its words in UTF-8.
fn recoded(element: &Element, charset: &Charset) -> Element {
    let mut out = element.clone();
    if let Value::Bytes(bytes) = &element.value
        && bytes.bytes().iter().any(|b| !b.is_ascii() || *b == 0x1b)
    {
        let words = charset.decode(bytes.bytes());
        out.value =
            Value::Bytes(loupe_dicom::Slice::owned(words.trim_matches([' ', '\0']).as_bytes().to_vec()));
    }
    out
}

/// Words as a value of VR `LO` or `SH`-like text: one value, at most 64 characters.
pub(crate) fn long_string(words: &str, otherwise: &str) -> String {
    let clean: String =
        words.chars().map(|c| if c.is_control() || c == '\\' { ' ' } else { c }).take(64).collect();
    match clean.trim() {
        "" => otherwise.to_owned(),
        words => words.to_owned(),
    }
}

/// A code as an item of a sequence (PS3.3 8.8).
pub(crate) fn code(concept: &CodedConcept) -> Dataset {
    let mut item = Dataset::default();
    item.put_text(tags::CODE_VALUE, &concept.value);
    item.put_text(tags::CODING_SCHEME_DESIGNATOR, &concept.scheme);
    item.put_text(tags::CODE_MEANING, &long_string(&concept.meaning, "unnamed"));
    item
}

/// A reference to an object, and to one of its frames where it has several.
pub(crate) fn reference(study: &SourceStudy, at: FrameRef) -> Dataset {
    let mut item = Dataset::default();
    if let Some(file) = study.file(at) {
        item.put_text(tags::REFERENCED_SOP_CLASS_UID, &file.class);
        item.put_text(tags::REFERENCED_SOP_INSTANCE_UID, &file.instance);
        if file.frames > 1 {
            item.put_text(tags::REFERENCED_FRAME_NUMBER, &(at.frame + 1).to_string());
        }
    }
    item
}

/// The objects of these frames by series: Series Instance UID and a reference to each object as a whole.
pub(crate) fn by_series(
    study: &SourceStudy,
    frames: impl Iterator<Item = FrameRef>,
) -> Vec<(String, Vec<Dataset>)> {
    let mut series: BTreeMap<&str, BTreeMap<usize, Dataset>> = BTreeMap::new();
    for at in frames {
        if let Some(file) = study.file(at) {
            let mut item = Dataset::default();
            item.put_text(tags::REFERENCED_SOP_CLASS_UID, &file.class);
            item.put_text(tags::REFERENCED_SOP_INSTANCE_UID, &file.instance);
            series.entry(&file.series).or_default().insert(at.file, item);
        }
    }
    series.into_iter().map(|(uid, items)| (uid.to_owned(), items.into_values().collect())).collect()
}

/// Referenced Series Sequence (PS3.3 C.12.2, C.11.11) of these frames' objects.
pub(crate) fn referenced_series(
    study: &SourceStudy,
    frames: impl Iterator<Item = FrameRef>,
    items: Tag,
) -> Vec<Dataset> {
    let one = |(series, instances): (String, Vec<Dataset>)| {
        let mut item = Dataset::default();
        item.put_text(tags::SERIES_INSTANCE_UID, &series);
        item.put_items(items, instances);
        item
    };
    by_series(study, frames).into_iter().map(one).collect()
}

/// Frame of reference of the source, where it has one.
pub(crate) fn frame_of_reference(data: &mut Dataset, source: &SourceFile) {
    if let Some(uid) = source.frame_of_reference() {
        data.put_text(tags::FRAME_OF_REFERENCE_UID, &uid);
        let indicator = source.data.text(tags::POSITION_REFERENCE_INDICATOR).unwrap_or_default();
        data.put_text(tags::POSITION_REFERENCE_INDICATOR, &indicator);
    }
}
