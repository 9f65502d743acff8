//! De-identification: the Basic Application Level Confidentiality Profile of PS3.15 annex E and options of it.
//!
//! `profile.csv`, `content.csv` and `private.csv` are tables E.1-1, E.3.4-1 and E.3.10-1 of the edition that [`EDITION`] names, made
//! by `profile.py`. What the table leaves to the type of an attribute (`X/Z`, `X/D`, …) takes the form that is valid for every type.
//! Beyond the table, all text goes that is not a term of the machine, so that nothing that was typed is left, and so do dates and UIDs
//! of objects. Structured reports, presentation states, segmentations and structure sets keep their form, codes, numbers and
//! coordinates (E.3.3, E.3.4). Objects that cannot be both clean and readable are refused.

mod burned_in;
mod check;
mod clean;
mod content;
mod dummy;
mod method;
mod options;
mod people;
mod pixels;
mod private;
mod refused;
mod subject;
mod table;

pub use burned_in::burned_in_text;
pub use check::check;
pub use method::record_blanked;
pub use options::{Dates, Options};
pub use subject::{Subject, patient};
pub use table::EDITION;

use crate::object::{Dataset, Object};
use clean::{Cleaner, Place};
use dicom_dictionary_std::tags;
use loupe_core::media::MediaError;

/// A de-identified object and what a person still has to look at.
#[derive(Debug)]
pub struct Deidentified {
    /// The object.
    pub object: Object,
    /// Why its pixels may show names, when they may.
    pub burned_in: Option<&'static str>,
    /// Further warnings, in words.
    pub warnings: Vec<String>,
}

/// De-identifies an object. Samples of pixels stay as they are; what stands behind them goes.
///
/// # Errors
/// When no copy can be made that is clean and still readable; what it is, is named.
pub fn deidentify(object: &Object, options: &Options, subject: &Subject) -> Result<Deidentified, MediaError> {
    refused::check(&object.data)?;
    let mut object = object.clone();
    let burned_in = burned_in_text(&object.data);
    let mut warnings = Vec::new();
    if object.truncated_in.is_some() {
        warnings
            .push("the file was cut off, and its copy is; what is missing could not be checked".to_owned());
    }
    let has_patient = [tags::PATIENT_ID, tags::PATIENT_NAME, tags::STUDY_INSTANCE_UID]
        .iter()
        .any(|tag| object.data.get(*tag).is_some());
    let mut cleaner = Cleaner::new(&object.data, options, subject);
    cleaner.data_set(&mut object.data, Place { root: true, dummies: false });
    if pixels::clean(&mut object.data) {
        warnings.push("bytes behind the last sample were removed".to_owned());
    }
    if has_patient {
        object.data.put_text(tags::PATIENT_ID, &subject.pseudonym);
        object.data.put_text(tags::PATIENT_NAME, &subject.pseudonym);
    }
    method::record(&mut object.data, options, &cleaner.done);
    object.meta = Dataset::default();
    Ok(Deidentified { object, burned_in, warnings })
}
