//! A PDF file of the user's put into the study (PS3.3 A.45.1), where a PACS shows it beside the images.

use crate::dicom::codes::concept;
use crate::dicom::derived::{DerivedKind, begin, code, finish};
use crate::exports::exporter::{Export, ExportError, Exported, Exporter, Scope};
use loupe_dicom::{VR, tags};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "dicom-pdf",
    about: "a PDF file (--pdf) as a DICOM object of the study",
    scope: Scope::Study,
    write,
}];

const KIND: DerivedKind = DerivedKind {
    class: "1.2.840.10008.5.1.4.1.1.104.1",
    modality: "DOC",
    series_number: 9007,
    description: "Report by model",
};

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let study = export.study()?;
    let first = study.files.first().ok_or(ExportError::NoStudy)?;
    let pdf = export.options.pdf.as_ref();
    let pdf = pdf.ok_or(ExportError::Nothing("no PDF file is given; name one with --pdf FILE"))?;
    // Readers look for the mark within the first kilobyte.
    if !pdf.iter().take(1024).copied().collect::<Vec<u8>>().windows(5).any(|w| w == b"%PDF-") {
        return Err(ExportError::Nothing("the file given with --pdf is no PDF"));
    }
    let mut data = begin(first, &KIND, export.author);
    data.put_text(tags::CONVERSION_TYPE, "WSD");
    data.put_text(tags::ACQUISITION_DATE_TIME, "");
    // Whether it names the patient is not looked into.
    data.put_text(tags::BURNED_IN_ANNOTATION, "YES");
    data.put_text(tags::DOCUMENT_TITLE, "Report by model, not verified");
    data.put_items(
        tags::CONCEPT_NAME_CODE_SEQUENCE,
        vec![code(&concept("18748-4", "LN", "Diagnostic imaging study"))],
    );
    data.put_text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf");
    data.put_longs(tags::ENCAPSULATED_DOCUMENT_LENGTH, &[u32::try_from(pdf.len()).unwrap_or(u32::MAX)]);
    data.put_bytes(tags::ENCAPSULATED_DOCUMENT, VR::OB, pdf.clone());
    Ok(Exported::file("report.dcm", finish(data)?))
}
