//! Findings in the formats that other tools open, one file a format and one line of [`EXPORTERS`] a file.

pub mod coco;
mod exporter;

pub use exporter::{ExportError, ExportImage, Exporter, ImageFinding};

use loupe_core::Registry;

/// Every file of this folder with its formats; files without any are shared parts.
pub static EXPORTERS: Registry<Exporter> = Registry {
    kind: "export format",
    listed_as: "exporters",
    files: &[("coco", coco::EXPORTERS), ("exporter", &[])],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::path::Path;

    #[test]
    fn folder_and_table_agree() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/exports");
        loupe_testing::assert_table_is_folder(&folder, EXPORTERS.files.iter().map(|(file, _)| file));
        let names: Vec<&str> = EXPORTERS.names().collect();
        assert_eq!(names, ["coco-detections", "coco-masks"]);
        for exporter in EXPORTERS.iter() {
            assert!(
                !(exporter.write)(&[], &[]).unwrap().is_empty(),
                "{}: a run may have no finding",
                exporter.name
            );
        }
    }
}
