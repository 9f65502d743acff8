//! A report as a DICOM structured report of text: Basic Text SR (PS3.3 A.35.1) or Enhanced SR (A.35.2), by TID 2000.
//!
//! The document is preliminary and unverified, and its observer is a device. It carries the patient and study of the images only where
//! their header is handed in; without it these attributes are empty and the study is a new one.

use super::record::StudyReport;
use crate::printable::printable;
use loupe_core::DecodeLimits;
use loupe_core::guard::guarded;
use loupe_core::media::MediaError;
use loupe_dicom::{Dataset, Object, Tag, VR, parse, tags, uid, write};
use loupe_eval::reports::Section;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Which storage class is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextSr {
    /// Basic Text SR Storage.
    Basic,
    /// Enhanced SR Storage.
    Enhanced,
}

impl TextSr {
    const fn class(self) -> &'static str {
        match self {
            Self::Basic => "1.2.840.10008.5.1.4.1.1.88.11",
            Self::Enhanced => "1.2.840.10008.5.1.4.1.1.88.22",
        }
    }
}

/// What of the images' header a report of the same study repeats (Patient and General Study modules, PS3.3 C.7.1.1, C.7.2.1).
const SHARED: [Tag; 12] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
    tags::STUDY_DESCRIPTION,
];

/// Code value, scheme and meaning.
type Code = (&'static str, &'static str, &'static str);

const REPORT: Code = ("18748-4", "LN", "Diagnostic Imaging Report");
const LANGUAGE: Code = ("121049", "DCM", "Language of Content Item and Descendants");
const OBSERVER_TYPE: Code = ("121005", "DCM", "Observer Type");
const DEVICE: Code = ("121007", "DCM", "Device");
const DEVICE_UID: Code = ("121012", "DCM", "Device Observer UID");
const DEVICE_NAME: Code = ("121013", "DCM", "Device Observer Name");
const HISTORY: Code = ("121060", "DCM", "History");
const FINDINGS: Code = ("121070", "DCM", "Findings");
const FINDING: Code = ("121071", "DCM", "Finding");
const IMPRESSIONS: Code = ("121072", "DCM", "Impressions");
const IMPRESSION: Code = ("121073", "DCM", "Impression");

/// The data set of the image at `path`, whose patient and study a report repeats.
///
/// # Errors
/// When it cannot be read or is no DICOM file.
pub fn image_header(path: &Path) -> Result<Object, MediaError> {
    let limits = DecodeLimits::default();
    let bytes = limits.read_file(path)?;
    if !parse::looks_like_dicom(&bytes) {
        return Err(MediaError::UnknownFormat(
            "the header of a DICOM file is wanted, and the image is none".to_owned(),
        ));
    }
    guarded("DICOM", "data set", || parse::parse(bytes, &limits))
}

/// The file that holds `report`, written at `when` (`YYYYMMDD`, `HHMMSS`). `header` is that of one of the images, for a report that
/// belongs to their patient and study.
///
/// # Errors
/// When the file cannot be made.
pub fn dicom_report(
    report: &StudyReport,
    class: TextSr,
    header: Option<&Dataset>,
    when: [&str; 2],
) -> Result<Vec<u8>, MediaError> {
    let identity =
        serde_json::to_vec(&(&report.study_id, &report.provenance, &report.raw)).unwrap_or_default();
    let uid_of = |what: &str| {
        let digest = Sha256::new().chain_update(what).chain_update(&identity).finalize();
        let mut number = [0u8; 16];
        number.copy_from_slice(&digest[..16]);
        uid::of_uuid(u128::from_be_bytes(number))
    };
    let mut e = Dataset::default();
    e.put_text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    e.put_text(tags::SOP_CLASS_UID, class.class());
    e.put_text(tags::SOP_INSTANCE_UID, &uid_of("instance"));
    for tag in SHARED {
        let given = header.and_then(|header| header.decoded(tag, &header.charset()));
        match (tag, given) {
            (tags::ISSUER_OF_PATIENT_ID | tags::STUDY_DESCRIPTION, None) => {}
            (tags::STUDY_INSTANCE_UID, None) => e.put_text(tag, &uid_of("study")),
            (tags::STUDY_ID, None) => e.put_text(tag, ""),
            (tag, given) => e.put_text(tag, given.as_deref().unwrap_or_default().trim()),
        }
    }
    e.put_text(tags::MODALITY, "SR");
    e.put_text(tags::SERIES_INSTANCE_UID, &uid_of("series"));
    e.put_text(tags::SERIES_NUMBER, "1");
    e.put_text(tags::SERIES_DESCRIPTION, "Report written by a model");
    e.put_text(tags::MANUFACTURER, "loupe");
    e.put_text(tags::MANUFACTURER_MODEL_NAME, &short(&report.provenance.model));
    e.put_text(tags::DEVICE_SERIAL_NUMBER, "0");
    e.put_text(tags::SOFTWARE_VERSIONS, &short(&format!("loupe {}", report.provenance.loupe)));
    e.put_items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    e.put_items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    e.put_text(tags::INSTANCE_NUMBER, "1");
    e.put_text(tags::COMPLETION_FLAG, "PARTIAL");
    e.put_text(tags::VERIFICATION_FLAG, "UNVERIFIED");
    e.put_text(tags::PRELIMINARY_FLAG, "PRELIMINARY");
    e.put_text(tags::CONTENT_DATE, when[0]);
    e.put_text(tags::CONTENT_TIME, when[1]);
    e.put_text(tags::VALUE_TYPE, "CONTAINER");
    e.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(REPORT)]);
    e.put_text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    let mut template = Dataset::default();
    template.put_text(tags::MAPPING_RESOURCE, "DCMR");
    template.put_text(tags::TEMPLATE_IDENTIFIER, "2000");
    e.put_items(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
    let mut content = vec![
        coded(LANGUAGE, "HAS CONCEPT MOD", ("en", "RFC5646", "English")),
        coded(OBSERVER_TYPE, "HAS OBS CONTEXT", DEVICE),
        with_uid(DEVICE_UID, &uid_of("device")),
        text(DEVICE_NAME, "HAS OBS CONTEXT", &report.provenance.model),
    ];
    let history = [("Indication", &report.study.indication), ("Comparison", &report.study.comparison)];
    for (name, said) in history {
        if let Some(said) = said {
            content.push(container(HISTORY, vec![text(HISTORY, "CONTAINS", &format!("{name}: {said}"))]));
        }
    }
    for (section, heading, item) in
        [(Section::Findings, FINDINGS, FINDING), (Section::Impression, IMPRESSIONS, IMPRESSION)]
    {
        let sentences = report.sentences.iter().filter(|sentence| sentence.section == section);
        let items: Vec<Dataset> = sentences.map(|sentence| text(item, "CONTAINS", &sentence.text)).collect();
        if !items.is_empty() {
            content.push(container(heading, items));
        }
    }
    e.put_items(tags::CONTENT_SEQUENCE, content);
    write::file(&Object::new(e))
}

/// At most 64 characters, as LO has.
fn short(text: &str) -> String {
    text.chars().filter(|c| *c != '\\' && !c.is_control()).take(64).collect()
}

fn code((value, scheme, meaning): Code) -> Dataset {
    let mut e = Dataset::default();
    e.put_text(tags::CODE_VALUE, value);
    e.put_text(tags::CODING_SCHEME_DESIGNATOR, scheme);
    e.put_text(tags::CODE_MEANING, meaning);
    e
}

fn item(name: Code, relationship: &str, kind: &str) -> Dataset {
    let mut e = Dataset::default();
    e.put_text(tags::RELATIONSHIP_TYPE, relationship);
    e.put_text(tags::VALUE_TYPE, kind);
    e.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(name)]);
    e
}

fn coded(name: Code, relationship: &str, value: Code) -> Dataset {
    let mut e = item(name, relationship, "CODE");
    e.put_items(tags::CONCEPT_CODE_SEQUENCE, vec![code(value)]);
    e
}

fn with_uid(name: Code, value: &str) -> Dataset {
    let mut e = item(name, "HAS OBS CONTEXT", "UIDREF");
    e.put_text(tags::UID, value);
    e
}

fn text(name: Code, relationship: &str, value: &str) -> Dataset {
    let mut e = item(name, relationship, "TEXT");
    e.put_bytes(tags::TEXT_VALUE, VR::UT, printable(value).as_bytes().to_vec());
    e
}

fn container(name: Code, content: Vec<Dataset>) -> Dataset {
    let mut e = item(name, "CONTAINS", "CONTAINER");
    e.put_text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    e.put_items(tags::CONTENT_SEQUENCE, content);
    e
}
