//! Who a file is about, so that no text that names them stays.

use crate::object::Dataset;
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// Shortest part of a name or number that is looked for; shorter ones stand in too many words.
const SHORTEST: usize = 4;

/// Names of the people of a data set, and the patient's number.
pub(super) struct People {
    /// In small letters.
    parts: Vec<String>,
}

impl People {
    pub(super) fn of(data: &Dataset) -> Self {
        let charset = data.charset();
        let texts = data
            .elements()
            .iter()
            .filter(|e| {
                e.vr == VR::PN
                    || matches!(e.tag, tags::PATIENT_NAME | tags::PATIENT_ID | tags::ACCESSION_NUMBER)
            })
            .filter_map(|e| data.decoded(e.tag, &charset));
        let parts = texts.flat_map(|text| {
            let parts = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            parts.filter(|part| part.chars().count() >= SHORTEST).collect::<Vec<_>>()
        });
        Self { parts: parts.collect() }
    }

    /// Does a text hold one of them?
    pub(super) fn named_in(&self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        self.parts.iter().any(|part| text.contains(part.as_str()))
    }
}
