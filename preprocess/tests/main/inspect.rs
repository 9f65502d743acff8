//! Inspection says what is there, what reading decides, and what it refuses.

use crate::dicom_support::{EXPLICIT, Set, grey};
use loupe_dicom::{VR, tags};
use loupe_preprocess::inspect::{Inspection, Options, inspect};
use std::path::Path;

fn look(file: &str) -> Inspection {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
    inspect(&path, &Options::default()).unwrap()
}

#[test]
fn volumes_show_geometry_and_decisions() {
    let found = look("volumes/codes_q0_s1.nii");
    assert_eq!(
        (found.size.as_slice(), found.frames, found.stored_type.as_str()),
        (&[7, 5, 4][..], 1, "int16")
    );
    assert_eq!(found.orientation.as_deref(), Some("RAS"));
    assert_eq!(found.spacing_mm, Some([1.5, 2.0, 3.0]));
    assert!(found.notes.contains(&"geometry: sform (nibabel)".to_owned()), "{:?}", found.notes);
    let text = found.to_string();
    assert!(text.contains("size         7 × 5 × 4") && text.contains("orientation  RAS"), "{text}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["lps_from_index"][2][2], 3.0);
    assert!(look("volumes/sheared.nii").tilt_degrees.unwrap() > 1.0);
}

#[test]
fn pictures_and_folders_are_described() {
    let tiff = look("pictures/pages.tif");
    assert_eq!((tiff.format.as_str(), tiff.frames, tiff.size.as_slice()), ("TIFF", 3, &[37, 22][..]));
    assert!(look("pictures/word.png").notes[0].contains("largest value needs"));
    assert!(look("pictures").frames > 40);
}

#[test]
fn refusals_come_with_what_the_header_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/volumes/slope.nii");
    let bytes = std::fs::read(path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.nii");
    std::fs::write(&cut, &bytes[..bytes.len() - 9]).unwrap();
    let found = inspect(&cut, &Options::default()).unwrap();
    assert_eq!((found.format.as_str(), found.size.as_slice()), ("NIfTI-1", &[7, 5, 4][..]));
    assert!(found.refused.unwrap().contains("image data"));
    std::fs::write(&cut, b"neither this nor that").unwrap();
    assert!(inspect(&cut, &Options::default()).is_err());
}

#[test]
fn every_series_of_a_folder_is_named_with_what_it_would_be_refused_for() {
    let dir = tempfile::tempdir().unwrap();
    let slice = |series: &str, n: i32, z: f64| {
        let file = grey(2, 2, 16, false, &[n as u16; 4])
            .text(tags::SERIES_INSTANCE_UID, VR::UI, series)
            .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("{series}.{n}"))
            .text(tags::PIXEL_SPACING, VR::DS, "1\\1")
            .text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{z}"))
            .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
        std::fs::write(dir.path().join(format!("{series}-{n}")), file.file(EXPLICIT)).unwrap();
    };
    slice("1.2.1", 1, 0.0);
    for (n, z) in [(1, 0.0), (2, 1.0), (3, 2.0), (4, 9.0)] {
        slice("1.2.2", n, z);
    }
    let found = inspect(dir.path(), &Options::default()).unwrap();
    assert_eq!(found.format, "DICOM series (CT, 1 file, 1 frame of 2×2, 1 volume)");
    let irregular =
        found.notes.iter().find(|n| n.starts_with("series 1: CT, 4 files, 4 frames of 2×2, refused: "));
    assert!(irregular.unwrap().contains("--irregular"), "{:?}", found.notes);

    let empty = tempfile::tempdir().unwrap();
    let error = inspect(empty.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("neither pictures nor DICOM"), "{error}");
}

#[test]
fn an_image_beyond_the_limits_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.dcm");
    std::fs::write(&path, grey(2, 3, 12, true, &[0; 6]).file(EXPLICIT)).unwrap();
    let mut options = Options::default();
    options.series.limits.max_pixels = 5;
    let found = inspect(&path, &options).unwrap();
    assert_eq!((found.size.as_slice(), found.stored_type.as_str()), (&[3, 2][..], "12 of 16 bits, signed"));
    assert!(found.refused.unwrap().contains("--decode-max-pixels"));
}

#[test]
fn reports_are_announced_and_shown_when_asked_for() {
    let code = |text: &str| Set::default().text(tags::CODE_MEANING, VR::LO, text);
    let item = Set::default()
        .text(tags::VALUE_TYPE, VR::CS, "TEXT")
        .items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code("Finding")])
        .text(tags::TEXT_VALUE, VR::UT, "clear");
    let report = Set::default()
        .text(tags::MODALITY, VR::CS, "SR")
        .items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code("Chest")])
        .items(tags::CONTENT_SEQUENCE, vec![item]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.dcm");
    std::fs::write(&path, report.file(EXPLICIT)).unwrap();
    let plain = inspect(&path, &Options::default()).unwrap();
    assert!(plain.report.is_empty());
    assert!(
        plain.notes.contains(&"structured report of 2 lines: --identifiers shows it".to_owned()),
        "{:?}",
        plain.notes
    );
    let full = inspect(&path, &Options { identifiers: true, ..Options::default() }).unwrap();
    assert_eq!(full.report, ["Chest", "  Finding: clear"]);
}
