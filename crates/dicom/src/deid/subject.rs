//! Who a copy is of, without saying who it was.

use super::options::Options;
use crate::object::Dataset;
use crate::uid;
use dicom_dictionary_std::tags;

/// The patient of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Stands for Patient ID and Patient's Name.
    pub pseudonym: String,
    /// Days by which dates move under [`Dates::Shifted`](super::Dates::Shifted); negative for the past.
    pub shift_days: i64,
}

impl Subject {
    /// The patient named by `patient` (see [`patient`]), as the secret decides: the same for all files of a patient, and to be
    /// found out by nobody who does not know the secret. Dates move to one of the ten years before.
    ///
    /// ```
    /// use loupe_dicom::deid::{Options, Subject};
    /// let options = Options { secret: b"a long secret".to_vec(), ..Options::default() };
    /// let one = Subject::hashed("4711", &options);
    /// assert_eq!(one, Subject::hashed("4711", &options));
    /// assert_ne!(one.pseudonym, Subject::hashed("4712", &options).pseudonym);
    /// assert!((-3650..0).contains(&one.shift_days));
    /// ```
    pub fn hashed(patient: &str, options: &Options) -> Self {
        let word = |what: &str| uid::digest(&options.secret, format!("{what} {patient}").as_bytes());
        let pseudonym: String = word("patient").iter().take(6).map(|b| format!("{b:02X}")).collect();
        let days = word("days").iter().take(4).fold(0i64, |n, b| n << 8 | i64::from(*b)) % 3650;
        Self { pseudonym: format!("P-{pseudonym}"), shift_days: -1 - days }
    }
}

/// What tells the patient of an object from others: Patient ID with its issuer. Where there is no Patient ID, the study, so that
/// two patients never become one.
pub fn patient(data: &Dataset) -> String {
    let charset = data.charset();
    let text = |tag| data.decoded(tag, &charset);
    match (text(tags::PATIENT_ID), text(tags::ISSUER_OF_PATIENT_ID)) {
        (Some(id), None) => id,
        (Some(id), Some(issuer)) => format!("{id} of {issuer}"),
        (None, _) => format!("study {}", text(tags::STUDY_INSTANCE_UID).unwrap_or_default()),
    }
}
