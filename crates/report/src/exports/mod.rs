//! Findings in the formats that other tools open, one file a format and one line of [`EXPORTERS`] a file.

pub mod coco;
pub mod cvat;
pub mod dicom_gsps;
pub mod dicom_ko;
pub mod dicom_pdf;
pub mod dicom_rtstruct;
pub mod dicom_sc;
pub mod dicom_seg;
pub mod dicom_sr;
pub(crate) mod exporter;
pub mod fhir;
pub mod findings_table;
pub mod label_studio;
mod picture_files;
pub mod radfact;

pub use exporter::{
    Export, ExportError, ExportFile, ExportImage, ExportOptions, Exported, Exporter, ImageFinding, Pictures,
    Scope, SegmentKind,
};

use loupe_core::Registry;

/// Every file of this folder with its formats; files without any are shared parts.
pub static EXPORTERS: Registry<Exporter> = Registry {
    kind: "export format",
    listed_as: "exporters",
    files: &[
        ("coco", coco::EXPORTERS),
        ("cvat", cvat::EXPORTERS),
        ("dicom_gsps", dicom_gsps::EXPORTERS),
        ("dicom_ko", dicom_ko::EXPORTERS),
        ("dicom_pdf", dicom_pdf::EXPORTERS),
        ("dicom_rtstruct", dicom_rtstruct::EXPORTERS),
        ("dicom_sc", dicom_sc::EXPORTERS),
        ("dicom_seg", dicom_seg::EXPORTERS),
        ("dicom_sr", dicom_sr::EXPORTERS),
        ("exporter", &[]),
        ("fhir", fhir::EXPORTERS),
        ("findings_table", findings_table::EXPORTERS),
        ("label_studio", label_studio::EXPORTERS),
        ("picture_files", &[]),
        ("radfact", radfact::EXPORTERS),
    ],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::dicom::Author;
    use loupe_core::MediaError;
    use std::path::Path;

    #[test]
    fn folder_and_table_agree() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/exports");
        loupe_testing::assert_table_is_folder(&folder, EXPORTERS.files.iter().map(|(file, _)| file));
    }

    #[test]
    fn a_run_may_have_no_finding() {
        let none = |_: usize| Err(MediaError::NotFound);
        let export = Export {
            images: &[],
            findings: &[],
            references: &[],
            study: None,
            labels: None,
            author: &Author::default(),
            pictures: &none,
            options: &ExportOptions::default(),
        };
        for exporter in EXPORTERS.iter() {
            match exporter.scope {
                Scope::Everything => {
                    let made = (exporter.write)(&export).unwrap();
                    assert!(!made.files.is_empty(), "{}: a run may have no finding", exporter.name);
                }
                Scope::Study => {
                    let refused = (exporter.write)(&export).unwrap_err().to_string();
                    assert!(refused.contains("--source"), "{}: {refused}", exporter.name);
                }
            }
        }
    }
}
