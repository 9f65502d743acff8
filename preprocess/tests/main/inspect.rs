//! Inspection says what is there, what reading decides, and what it refuses.

use crate::dicom_support::{EXPLICIT, Set, grey};
use loupe_core::{MediaError, MediaLoader, MediaRef};
use loupe_dicom::{VR, tags};
use loupe_preprocess::dicom::files;
use loupe_preprocess::inspect::{Inspection, Options, inspect};
use loupe_preprocess::{DecodeLimits, Loader};
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

/// A slice of a series, with what tells it from others.
fn slice(series: &str, n: i32, z: f64) -> Set {
    grey(2, 2, 16, false, &[n as u16; 4])
        .text(tags::SERIES_INSTANCE_UID, VR::UI, series)
        .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("{series}.{n}"))
        .text(tags::SERIES_NUMBER, VR::IS, series.rsplit('.').next().unwrap())
        .text(tags::SERIES_DESCRIPTION, VR::LO, "portal venous")
        .text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL")
        .text(tags::CONVOLUTION_KERNEL, VR::SH, "B30f")
        .text(tags::CONTRAST_BOLUS_AGENT, VR::LO, "an agent")
        .text(tags::WINDOW_CENTER, VR::DS, "40")
        .text(tags::WINDOW_WIDTH, VR::DS, "400")
        .text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.75")
        .text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{z}"))
        .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")
}

#[test]
fn every_series_of_a_folder_is_listed_with_what_tells_it_from_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let put = |series: &str, n: i32, z: f64| {
        let path = dir.path().join(format!("{series}-{n}"));
        std::fs::write(path, slice(series, n, z).file(EXPLICIT)).unwrap();
    };
    for (n, z) in [(1, 0.0), (2, 3.0)] {
        put("1.2.1", n, z);
    }
    for (n, z) in [(1, 0.0), (2, 1.0), (3, 2.0), (4, 9.0)] {
        put("1.2.2", n, z);
    }
    let found = inspect(dir.path(), &Options::default()).unwrap();
    assert_eq!(found.format, "DICOM, 2 series; this is series 0");
    assert_eq!((found.size.as_slice(), found.refused.as_deref()), (&[2, 2, 2][..], None));
    let json = serde_json::to_value(&found).unwrap();
    let expected = serde_json::json!({
        "index": 0, "series_number": 1, "modality": "CT", "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "plane": "axial", "kernel": "B30f", "phases": 1, "size": [2, 2], "slices": 2, "files": 2, "frames": 2,
        "phase": [{"name": "contrast agent", "value": "given"}],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(json["series"][0][name], *value, "{name}");
    }
    assert_eq!(json["series"][0]["spacing_mm"], serde_json::json!([0.75, 0.5, 3.0]));
    assert_eq!(json["series"][0]["windows"][0]["width"], 400.0);
    let refused = found.series[1].refused.as_deref().unwrap();
    assert!(refused.contains("--irregular"), "{refused}");
    let text = found.to_string();
    assert!(text.contains("series 1     number 2: CT, axial, 4 frames of 2 × 2, kernel B30f"), "{text}");
    // What somebody typed is shown when it is asked for, of every series.
    assert!(!text.contains("venous") && !text.contains("1.2.2") && !text.contains("an agent"), "{text}");
    let named = inspect(dir.path(), &Options { identifiers: true, ..Options::default() }).unwrap();
    assert_eq!(named.to_string().matches("portal venous").count(), 3, "{named}");
    assert!(named.series[1].identifiers.iter().any(|(_, value)| value == "1.2.2"));

    let empty = tempfile::tempdir().unwrap();
    let error = inspect(empty.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("neither pictures nor DICOM"), "{error}");
}

#[test]
fn segments_are_described_and_named_when_asked_for() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masks/binary.dcm");
    let found = inspect(&file, &Options::default()).unwrap();
    for note in
        ["binary segmentation of 2 segments", "segment 2: 12 voxels", "segments 1 and 2 overlap in 6 voxels"]
    {
        assert!(found.notes.iter().any(|n| n == note), "{note}: {:?}", found.notes);
    }
    assert!(!found.notes.iter().any(|n| n.contains("--drop-duplicates")), "{:?}", found.notes);
    assert_eq!((found.size.as_slice(), found.labels.len()), (&[12, 10, 4][..], 2));
    assert!(!found.to_string().contains("Liver") && found.to_string().contains("SCT 10200004"), "{found}");
    let named = inspect(&file, &Options { identifiers: true, ..Options::default() }).unwrap();
    assert!(named.to_string().contains("label        1 Liver (SCT 10200004 Liver)"), "{named}");
}

#[test]
fn gzipped_files_are_read_alone_and_in_folders() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..3 {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&slice("1.2.1", n, f64::from(n)).file(EXPLICIT)).unwrap();
        std::fs::write(dir.path().join(format!("{n}.dcm.gz")), packed.finish().unwrap()).unwrap();
    }
    let one = inspect(&dir.path().join("0.dcm.gz"), &Options::default()).unwrap();
    assert!(one.format.starts_with("DICOM") && one.refused.is_none(), "{one}");
    let all = inspect(dir.path(), &Options::default()).unwrap();
    assert_eq!(all.size, [2, 2, 3]);
    let loader = Loader::new(DecodeLimits::default());
    let picture = loader.load(&MediaRef::file(dir.path().join("1.dcm.gz"))).unwrap();
    assert_eq!([picture.width(), picture.height()], [2, 2]);
    // What is cut off is refused, and so is what inflates beyond the limits.
    let path = dir.path().join("0.dcm.gz");
    let bytes = std::fs::read(&path).unwrap();
    let small = DecodeLimits { max_memory_bytes: 300, ..DecodeLimits::default() };
    assert!(matches!(files::plain(bytes.clone(), &small), Err(MediaError::Limit { .. })));
    std::fs::write(&path, &bytes[..bytes.len() - 12]).unwrap();
    assert!(loader.load(&MediaRef::file(&path)).unwrap_err().to_string().contains("gzip"));
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
