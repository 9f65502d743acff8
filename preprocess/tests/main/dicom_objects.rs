//! De-identification, inspection, segmentations and structure sets.

use crate::dicom_support::{BIG, EXPLICIT, IMPLICIT, Set, grey};
use loupe_core::{Grid, LpsFromIndex};
use loupe_dicom::deid::{Options, Subject, deidentify, patient};
use loupe_dicom::{Object, parse, write};
use loupe_dicom::{VR, tags};
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::export::{Export, Outcome, Rules};
use loupe_preprocess::dicom::files;
use loupe_preprocess::dicom::inspect::inspect;
use loupe_preprocess::dicom::rtstruct::OffPlane;
use loupe_preprocess::dicom::{Image, rtstruct, seg};
use std::path::Path;

fn study() -> Set {
    let referenced = Set::default().text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.3.4");
    grey(2, 2, 16, false, &[1, 2, 3, 4])
        .text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2")
        .text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4")
        .text(tags::PATIENT_NAME, VR::PN, "Doe^Jane")
        .text(tags::PATIENT_ID, VR::LO, "4711")
        .text(tags::PATIENT_SEX, VR::CS, "F")
        .text(tags::STUDY_DATE, VR::DA, "20200229")
        .text(tags::INSTITUTION_NAME, VR::LO, "General Hospital")
        .text(tags::IMAGE_COMMENTS, VR::LT, "seen by Dr Who")
        .text(loupe_dicom::Tag(0x0009, 0x0010), VR::LO, "SECRET MAKER")
        .text(loupe_dicom::Tag(0x0009, 0x1001), VR::LO, "Jane Doe again")
        .items(tags::REFERENCED_IMAGE_SEQUENCE, vec![referenced])
        // Not in the table of the profile.
        .text(tags::SECONDARY_REVIEWER_NAME, VR::PN, "Doe^Second")
        .text(tags::PATIENT_BIRTH_DATE_IN_ALTERNATIVE_CALENDAR, VR::LO, "20200229")
        .text(tags::SOP_INSTANCE_UID_OF_CONCATENATION_SOURCE, VR::UI, "1.2.3.4")
}

fn object(bytes: Vec<u8>) -> Object {
    parse::parse(bytes, &DecodeLimits::default()).unwrap()
}

#[test]
fn nothing_that_identifies_is_left() {
    for syntax in [EXPLICIT, IMPLICIT, BIG] {
        let options = Options { secret: b"salt".to_vec(), ..Options::default() };
        let original = object(study().file(syntax));
        let subject = Subject::hashed(&patient(&original.data), &options);
        let done = deidentify(&original, &options, &subject).unwrap();
        let bytes = write::file(&done.object).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for secret in ["Doe", "Jane", "4711", "20200229", "General Hospital", "Dr Who", "SECRET", "1.2.3.4"] {
            assert!(!text.contains(secret), "{secret} is still in the {syntax} file");
        }
        let again = object(bytes.clone());
        let uid = again.data.text(tags::SOP_INSTANCE_UID).unwrap();
        let item = again.data.item(tags::REFERENCED_IMAGE_SEQUENCE).unwrap();
        assert_eq!(item.text(tags::REFERENCED_SOP_INSTANCE_UID).unwrap(), uid, "references still agree");
        assert_eq!(again.data.text(tags::SOP_INSTANCE_UID_OF_CONCATENATION_SOURCE).unwrap(), uid);
        assert!(uid.starts_with("2.25.") && uid.len() <= 64);
        assert_eq!(again.data.text(tags::SOP_CLASS_UID).unwrap(), "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(again.data.text(tags::PATIENT_IDENTITY_REMOVED).unwrap(), "YES");
        let image = Image::parse(bytes, &DecodeLimits::default()).unwrap();
        assert_eq!(image.stored(0).unwrap().to_f64().unwrap(), [1.0, 2.0, 3.0, 4.0]);
    }
}

#[test]
fn exported_copies_are_named_by_new_uids_and_agree_between_runs() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codecs");
    let blobs = files::collect(&source, &DecodeLimits::default()).unwrap();
    let run = |secret: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { secret: secret.to_vec(), ..Options::default() };
        let rules = Rules { profile: options.clone(), ..Rules::default() };
        let mut export = Export::new(dir.path(), rules, DecodeLimits::default());
        let mut subject = |patient: &str| Ok(Subject::hashed(patient, &options));
        let outcomes: Vec<Outcome> =
            blobs.iter().map(|blob| export.file(blob, &mut subject).unwrap()).collect();
        // The maker and the values lie beside the 18 files.
        assert_eq!(outcomes.iter().filter(|o| **o == Outcome::NotDicom).count(), 2);
        let mut copies: Vec<(String, Vec<u8>)> = files::collect(dir.path(), &DecodeLimits::default())
            .unwrap()
            .into_iter()
            .map(|blob| match blob {
                files::Blob::File(path) => {
                    let name = path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned();
                    (name, std::fs::read(&path).unwrap())
                }
                files::Blob::Memory(_) => panic!("copies lie on disk"),
            })
            .collect();
        copies.sort();
        copies
    };
    let copies = run(b"one");
    assert_eq!(copies.len(), 18, "objects that share a UID stand side by side");
    for (name, bytes) in &copies {
        let text = String::from_utf8_lossy(bytes);
        for secret in ["Doe", "4711", "19500101", "20200229", "General Hospital", "3680043"] {
            assert!(!name.contains(secret) && !text.contains(secret), "{secret} is left in {name}");
        }
    }
    assert_eq!(copies, run(b"one"));
    assert!(run(b"two").iter().all(|(name, _)| copies.iter().all(|(other, _)| other != name)));
}

#[test]
fn inspection_hides_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcm");
    std::fs::write(&path, study().file(EXPLICIT)).unwrap();
    let hidden = serde_json::to_string(&inspect(&path, false, &DecodeLimits::default()).unwrap()).unwrap();
    assert!(!hidden.contains("Doe") && !hidden.contains("4711") && !hidden.contains("1.2.3.4"), "{hidden}");
    assert!(hidden.contains("Explicit VR Little Endian") && hidden.contains("\"rows\":2"), "{hidden}");
    let shown = inspect(&path, true, &DecodeLimits::default()).unwrap();
    assert!(
        shown.identifiers.iter().any(|(name, value)| name.starts_with("PatientName") && value == "Doe^Jane")
    );
    // Why an image would be refused is a fact, not an error.
    std::fs::write(&path, study().shorts(tags::BITS_STORED, &[31]).file(EXPLICIT)).unwrap();
    assert!(inspect(&path, false, &DecodeLimits::default()).unwrap().refused.unwrap().contains("BitsStored"));
}

#[test]
fn contours_become_labels() {
    let square = "1\\1\\0\\5\\1\\0\\5\\5\\0\\1\\5\\0";
    let hole = "2.5\\2.5\\0\\3.5\\2.5\\0\\3.5\\3.5\\0\\2.5\\3.5\\0";
    let contour = |points: &str| {
        Set::default().text(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR").text(
            tags::CONTOUR_DATA,
            VR::DS,
            points,
        )
    };
    let region = Set::default().text(tags::ROI_NUMBER, VR::IS, "3").text(tags::ROI_NAME, VR::LO, "liver");
    let contours = Set::default()
        .text(tags::REFERENCED_ROI_NUMBER, VR::IS, "3")
        .items(tags::CONTOUR_SEQUENCE, vec![contour(square), contour(hole)]);
    let set = Set::default()
        .text(tags::MODALITY, VR::CS, "RTSTRUCT")
        .items(tags::STRUCTURE_SET_ROI_SEQUENCE, vec![region])
        .items(tags::ROI_CONTOUR_SEQUENCE, vec![contours]);
    let limits = DecodeLimits::default();
    let set = rtstruct::read(set.file(EXPLICIT), &limits).unwrap();
    assert_eq!((set.regions[0].label.title(), set.regions[0].contours.len()), ("liver".to_owned(), 2));
    let grid = Grid { shape: [1, 7, 7], lps_from_index: LpsFromIndex::IDENTITY };
    let masks = set.onto(grid, &Default::default(), OffPlane::Refuse, &limits).unwrap();
    // Centres 1 to 5 in each direction, those on the contour among them, less the hole's one.
    assert_eq!(masks.region(0).len(), 24);
    assert!(!masks.covers(0, [0, 3, 3]) && masks.covers(0, [0, 5, 5]));
}

#[test]
fn contours_beyond_the_image_are_said_and_a_broken_region_spoils_no_other() {
    let region = |number: &str, name: &str, contours: &[&str]| {
        let contour = |points: &&str| {
            Set::default().text(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR").text(
                tags::CONTOUR_DATA,
                VR::DS,
                points,
            )
        };
        let described =
            Set::default().text(tags::ROI_NUMBER, VR::IS, number).text(tags::ROI_NAME, VR::LO, name);
        let drawn = Set::default()
            .text(tags::REFERENCED_ROI_NUMBER, VR::IS, number)
            .items(tags::CONTOUR_SEQUENCE, contours.iter().map(contour).collect());
        (described, drawn)
    };
    let half = "-3\\1\\0\\2\\1\\0\\2\\3\\0\\-3\\3\\0";
    let beside = "9\\1\\0\\12\\1\\0\\12\\3\\0\\9\\3\\0";
    let above = "1\\1\\50.3\\2\\1\\50.3\\2\\3\\50.3\\1\\3\\50.3";
    let regions = [region("1", "cut", &[half, beside, above]), region("2", "broken", &["1\\2\\3\\4"])];
    let (described, drawn) = regions.into_iter().unzip();
    let file = Set::default()
        .text(tags::MODALITY, VR::CS, "RTSTRUCT")
        .items(tags::STRUCTURE_SET_ROI_SEQUENCE, described)
        .items(tags::ROI_CONTOUR_SEQUENCE, drawn)
        .file(EXPLICIT);
    let limits = DecodeLimits::default();
    let set = rtstruct::read(file, &limits).unwrap();
    let grid = Grid { shape: [2, 7, 7], lps_from_index: LpsFromIndex::IDENTITY };
    let onto = |set: &rtstruct::StructureSet| set.onto(grid, &Default::default(), OffPlane::Refuse, &limits);
    let error = onto(&set).unwrap_err().to_string();
    assert!(error.contains("region 2") && error.contains("by its number"), "{error}");
    let masks = onto(&set.with_only("cut").unwrap()).unwrap();
    assert_eq!(masks.region(0).len(), 9, "columns 0 to 2 of rows 1 to 3");
    assert_eq!(
        masks.notes,
        [
            "2 contours of region 1 outside the image left out",
            "1 contour of region 1 cut off at the image's edge"
        ]
    );
    assert!(set.with_only("spleen").is_err());
}

#[test]
fn a_label_map_has_a_background_that_is_no_segment() {
    let segment = |number: u16, label: &str| {
        Set::default().shorts(tags::SEGMENT_NUMBER, &[number]).text(tags::SEGMENT_LABEL, VR::LO, label)
    };
    let set = grey(1, 4, 16, false, &[0, 2, 1, 2])
        .text(tags::SEGMENTATION_TYPE, VR::CS, "LABELMAP")
        .items(
            tags::SEGMENT_SEQUENCE,
            vec![segment(0, "Background"), segment(1, "liver"), segment(2, "cyst")],
        )
        .text(tags::PIXEL_SPACING, VR::DS, "1\\1")
        .text(tags::IMAGE_POSITION_PATIENT, VR::DS, "0\\0\\0")
        .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    let found = seg::read(set.file(EXPLICIT), &DecodeLimits::default()).unwrap();
    let names: Vec<(u32, String)> = found.segments.iter().map(|s| (s.number, s.title())).collect();
    assert_eq!(names, [(1, "liver".to_owned()), (2, "cyst".to_owned())]);
    let masks = found.on_own_grid(&DecodeLimits::default()).unwrap();
    assert_eq!(masks.flat().unwrap().labels.iter().copied().collect::<Vec<_>>(), [0, 2, 1, 2]);
}

/// `LOUPE_TEST_DATA`: the liver of dcmqi against the NRRD that dcmqi made of it.
#[test]
fn a_segmentation_has_the_published_voxels() {
    let Some(liver) = loupe_testing::real_data("dcmqi/liver.dcm") else { return };
    let limits = DecodeLimits::default();
    let bytes = limits.read_file(&liver).unwrap();
    let found = seg::read(bytes, &limits).unwrap();
    assert_eq!(found.segments.len(), 1);
    assert_eq!(found.segments[0].title(), "Liver");
    let masks = found.on_own_grid(&limits).unwrap();
    assert_eq!((masks.grid.shape, masks.region(0).len()), ([3, 512, 512], 107_098));
}
