//! Studies out of folders of DICOM files.

use loupe_core::study::Projection;
use loupe_core::{Dataset as _, DecodeLimits, MediaSource, Study};
use loupe_dicom::{Dataset, Object, VR, tags, write};
use loupe_preprocess::dicom::studies::StudyFolder;
use loupe_testing::scratch;
use std::path::Path;

/// A radiograph of 2 × 2 pixels with a name and a number in it that must not be seen anywhere.
fn radiograph(study: &str, instance: &str, date: &str) -> Dataset {
    let mut e = Dataset::default();
    e.put_text(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.1.1");
    e.put_text(tags::SOP_INSTANCE_UID, instance);
    e.put_text(tags::STUDY_INSTANCE_UID, study);
    e.put_text(tags::SERIES_INSTANCE_UID, &format!("{study}.1"));
    e.put_text(tags::STUDY_DATE, date);
    e.put_text(tags::STUDY_TIME, "101500");
    e.put_text(tags::MODALITY, "DX");
    e.put_text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    e.put_text(tags::PATIENT_NAME, "SECRETNAME^A");
    e.put_text(tags::PATIENT_ID, "SECRETID");
    e.put_text(tags::PATIENT_AGE, "064Y");
    e.put_text(tags::PATIENT_SEX, "F");
    e.put_text(tags::BODY_PART_EXAMINED, "CHEST");
    e.put_shorts(tags::SAMPLES_PER_PIXEL, &[1]);
    e.put_text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    e.put_shorts(tags::ROWS, &[2]);
    e.put_shorts(tags::COLUMNS, &[2]);
    e.put_shorts(tags::BITS_ALLOCATED, &[8]);
    e.put_shorts(tags::BITS_STORED, &[8]);
    e.put_shorts(tags::HIGH_BIT, &[7]);
    e.put_shorts(tags::PIXEL_REPRESENTATION, &[0]);
    e.put_bytes(tags::PIXEL_DATA, VR::OB, vec![1, 2, 3, 4]);
    e
}

fn put(dir: &Path, name: &str, data: Dataset) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, write::file(&Object::new(data)).unwrap()).unwrap();
}

fn with(mut data: Dataset, texts: &[(loupe_dicom::Tag, &str)]) -> Dataset {
    texts.iter().for_each(|(tag, text)| data.put_text(*tag, text));
    data
}

#[test]
fn files_become_studies_with_views_in_order_and_the_latest_prior() {
    let dir = scratch();
    let at = |name: &str, data: Dataset| put(dir.path(), name, data);
    at(
        "now/a.dcm",
        with(
            radiograph("1.9", "1.9.1", "20260105"),
            &[(tags::PATIENT_ORIENTATION, "A\\F"), (tags::INSTANCE_NUMBER, "1")],
        ),
    );
    at(
        "now/b.dcm",
        with(
            radiograph("1.9", "1.9.2", "20260105"),
            &[(tags::VIEW_POSITION, "PA"), (tags::INSTANCE_NUMBER, "2")],
        ),
    );
    at("old/a.dcm", with(radiograph("1.8", "1.8.1", "20250105"), &[(tags::VIEW_POSITION, "AP")]));
    at("older/a.dcm", with(radiograph("1.7", "1.7.1", "20240105"), &[(tags::VIEW_POSITION, "AP")]));
    let hand =
        [(tags::BODY_PART_EXAMINED, "HAND"), (tags::IMAGE_LATERALITY, "L"), (tags::VIEW_POSITION, "PA")];
    at("hand/a.dcm", with(radiograph("1.6", "1.6.1", "20251201"), &hand));
    at("other/a.dcm", with(radiograph("1.5", "1.5.1", "20251201"), &[(tags::PATIENT_ID, "ANOTHER")]));
    let folder = StudyFolder::open(dir.path(), false, &DecodeLimits::default()).unwrap();
    assert_eq!(folder.left_out, []);
    let samples: Vec<_> = (0..folder.len()).map(|row| folder.get(row).unwrap()).collect();
    let now =
        samples.iter().find(|s| s.media.iter().any(|m| m.name == "now/b.dcm") && s.media.len() == 3).unwrap();
    let names: Vec<&str> = now.media.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(
        names,
        ["now/b.dcm", "now/a.dcm", "old/a.dcm"],
        "frontal, lateral by its orientation, latest prior"
    );
    let study = Study::of(now);
    let seen: Vec<_> = study.images.iter().map(|i| (i.projection(), i.prior)).collect();
    let (frontal, lateral) = (Some(Projection::Frontal), Some(Projection::Lateral));
    assert_eq!(seen, [(frontal, false), (lateral, false), (frontal, true)]);
    assert_eq!((study.age_band.as_deref(), study.sex.as_deref()), (Some("60-69"), Some("F")));
    let of = |name: &str| samples.iter().find(|s| s.media[0].name == name).unwrap();
    assert_eq!(of("older/a.dcm").media.len(), 1, "the first study has no prior");
    assert_eq!(of("hand/a.dcm").media.len(), 1, "the chest is no prior of a hand");
    assert_eq!(Study::of(of("hand/a.dcm")).images[0].view.as_deref(), Some("PA left"));
    assert_eq!(of("other/a.dcm").media.len(), 1, "another patient");
    assert_eq!(now.group, of("older/a.dcm").group);
    assert_ne!(now.group, of("other/a.dcm").group);
    let all = serde_json::to_string(&samples).unwrap();
    for hidden in ["SECRET", "ANOTHER", "\"1.9", "20260105"] {
        assert!(!all.contains(hidden), "{hidden}");
    }
}

#[test]
fn what_is_no_image_to_report_on_is_left_out_with_its_reason() {
    let dir = scratch();
    let at = |name: &str, data: Dataset| put(dir.path(), name, data);
    at("a.dcm", with(radiograph("1.9", "1.9.1", "20260105"), &[(tags::VIEW_POSITION, "PA")]));
    at("copy.dcm", with(radiograph("1.9", "1.9.1", "20260105"), &[(tags::VIEW_POSITION, "PA")]));
    at(
        "loc.dcm",
        with(radiograph("1.9", "1.9.3", "20260105"), &[(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER")]),
    );
    at("nostudy.dcm", with(radiograph("1.9", "1.9.4", "20260105"), &[(tags::STUDY_INSTANCE_UID, "")]));
    let mut sr = Dataset::default();
    sr.put_text(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.88.11");
    sr.put_text(tags::SOP_INSTANCE_UID, "1.9.5");
    sr.put_text(tags::STUDY_INSTANCE_UID, "1.9");
    sr.put_text(tags::MODALITY, "SR");
    at("sr.dcm", sr);
    std::fs::write(dir.path().join("notes.txt"), "no DICOM").unwrap();
    for n in 0..3 {
        let slice = [(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"), (tags::MODALITY, "CT")];
        at(&format!("ct/{n}.dcm"), with(radiograph("1.4", &format!("1.4.{n}"), "20260105"), &slice));
    }
    // Cut off within its header: its study is known, so that it fails as that study's image.
    let whole = write::file(&Object::new(radiograph("1.3", "1.3.1", "20260105"))).unwrap();
    std::fs::write(dir.path().join("cut.dcm"), &whole[..whole.len() - 9]).unwrap();
    let folder = StudyFolder::open(dir.path(), false, &DecodeLimits::default()).unwrap();
    let left: Vec<(&str, &str)> =
        folder.left_out.iter().map(|out| (out.file.as_str(), out.reason.as_str())).collect();
    let reason = |file: &str| {
        left.iter().find(|(name, _)| *name == file).map(|(_, reason)| *reason).unwrap_or_default()
    };
    assert!(reason("loc.dcm").contains("localizer"), "{left:?}");
    assert!(reason("sr.dcm").contains("no image (SR)"), "{left:?}");
    assert!(reason("notes.txt").contains("no DICOM"), "{left:?}");
    assert!(reason("nostudy.dcm").contains("Study Instance UID"), "{left:?}");
    assert!(reason("ct/1.dcm").contains("volume"), "{left:?}");
    let copies = [reason("a.dcm"), reason("copy.dcm")];
    assert_eq!(copies.iter().filter(|r| r.contains("copy")).count(), 1, "{left:?}");
    let (mut ok, mut failed) = (0, 0);
    for row in 0..folder.len() {
        match folder.get(row) {
            Ok(sample) => {
                ok += 1;
                assert!(matches!(sample.media[0].source, MediaSource::File(_)));
            }
            Err(error) => {
                failed += 1;
                assert!(error.to_string().contains("volumes alone"), "{error}");
            }
        }
    }
    assert_eq!((ok, failed), (2, 1), "the radiograph, the one cut off, and the volume that cannot be shown");
    let volumes = StudyFolder::open(dir.path(), true, &DecodeLimits::default()).unwrap();
    let sources = (0..volumes.len()).map(|row| volumes.get(row).unwrap().media[0].source.clone());
    assert!(sources.into_iter().any(|s| s == MediaSource::Folder(dir.path().join("ct"))));
    let empty = scratch();
    assert!(StudyFolder::open(empty.path(), false, &DecodeLimits::default()).is_err());
}
