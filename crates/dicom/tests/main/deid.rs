//! The basic profile on data sets; whole files and their pixels are tested in `preprocess`.

use loupe_dicom::deid::{Options, deidentify};
use loupe_dicom::{Dataset, Object, Tag, VR, tags};

fn study() -> Object {
    let mut referenced = Dataset::default();
    referenced.put_text(tags::REFERENCED_SOP_INSTANCE_UID, "1.2.3.4");
    let mut data = Dataset::default();
    for (tag, text) in [
        (tags::MODALITY, "CT"),
        (tags::SOP_INSTANCE_UID, "1.2.3.4"),
        (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
        (tags::PATIENT_NAME, "Doe^Jane"),
        (tags::STUDY_DATE, "20200229"),
        (tags::INSTITUTION_NAME, "General Hospital"),
    ] {
        data.put_text(tag, text);
    }
    data.put_items(tags::REFERENCED_IMAGE_SEQUENCE, vec![referenced]);
    data.put_bytes(Tag(0x0009, 0x0010), VR::LO, b"SECRET MAKER".to_vec());
    Object::new(data)
}

#[test]
fn options_keep_what_they_name() {
    let options = Options { keep_dates: true, keep_uids: true, keep_institution: true, ..Options::default() };
    let done = deidentify(&study(), &options);
    let data = &done.object.data;
    assert_eq!(data.text(tags::STUDY_DATE).unwrap(), "20200229");
    assert_eq!(data.text(tags::SOP_INSTANCE_UID).unwrap(), "1.2.3.4");
    assert_eq!(data.text(tags::INSTITUTION_NAME).unwrap(), "General Hospital");
    assert_eq!(data.text(tags::PATIENT_NAME), None);
    assert!(done.warnings.is_empty());
    let mut ultrasound = study();
    ultrasound.data.put_text(tags::MODALITY, "US");
    assert_eq!(deidentify(&ultrasound, &options).warnings.len(), 1);
}

#[test]
fn new_uids_agree_and_depend_on_the_secret() {
    let with = |secret: &[u8]| {
        let options = Options { secret: secret.to_vec(), ..Options::default() };
        let data = deidentify(&study(), &options).object.data;
        let item = data.item(tags::REFERENCED_IMAGE_SEQUENCE).unwrap();
        let uid = data.text(tags::SOP_INSTANCE_UID).unwrap();
        assert_eq!(item.text(tags::REFERENCED_SOP_INSTANCE_UID).unwrap(), uid);
        assert_eq!(data.text(tags::SOP_CLASS_UID).unwrap(), "1.2.840.10008.5.1.4.1.1.2");
        assert!(data.elements().iter().all(|e| e.tag.0 % 2 == 0), "private attributes are left");
        uid
    };
    // The form of PS3.5 B.2 of a version 8 UUID; it must never change, or copies of a study fall apart.
    assert_eq!(with(b"one"), UID_OF_ONE);
    assert_ne!(with(b"one"), with(b"two"));
}

const UID_OF_ONE: &str = "2.25.143384036256472560766794960553705082219";
