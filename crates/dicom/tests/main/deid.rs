//! The profile on data sets; whole files and their pixels are tested in `preprocess` and from outside in `tests/main/deidentify.rs`.

use loupe_core::{DecodeLimits, MediaError};
use loupe_dicom::deid::{Dates, Deidentified, Options, Subject, deidentify, patient};
use loupe_dicom::private::{Csa, csa, csa_header};
use loupe_dicom::syntax::dictionary_vr;
use loupe_dicom::{Dataset, Object, Tag, VR, deid, parse, tags, write};

fn study() -> Object {
    let referenced = set(&[(tags::REFERENCED_SOP_INSTANCE_UID, "1.2.3.4")]);
    let mut data = set(&[
        (tags::MODALITY, "CT"),
        (tags::SOP_INSTANCE_UID, "1.2.3.4"),
        (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
        (tags::PATIENT_NAME, "Doe^Jane"),
        (tags::PATIENT_ID, "4711"),
        (tags::STUDY_DATE, "20200229"),
        (tags::STUDY_TIME, "235959"),
        (tags::ACQUISITION_DATE_TIME, "20200301000001"),
        (tags::PATIENT_BIRTH_DATE, "19500101"),
        (tags::INSTITUTION_NAME, "General Hospital"),
    ]);
    data.put_items(tags::REFERENCED_IMAGE_SEQUENCE, vec![referenced]);
    data.put_bytes(Tag(0x0009, 0x0010), VR::LO, b"SECRET MAKER".to_vec());
    Object::new(data)
}

fn set(values: &[(Tag, &str)]) -> Dataset {
    let mut data = Dataset::default();
    values.iter().for_each(|(tag, text)| data.put_text(*tag, text));
    data
}

fn clean_with(object: &Object, options: &Options) -> Result<Deidentified, MediaError> {
    deidentify(object, options, &Subject::hashed(&patient(&object.data), options))
}

fn clean(object: &Object) -> Dataset {
    clean_with(object, &Options::default()).unwrap().object.data
}

fn code(value: &str, scheme: &str, meaning: &str) -> Vec<Dataset> {
    vec![set(&[
        (tags::CODE_VALUE, value),
        (tags::CODING_SCHEME_DESIGNATOR, scheme),
        (tags::CODE_MEANING, meaning),
    ])]
}

#[test]
fn options_keep_what_they_name() {
    let options =
        Options { dates: Dates::Kept, keep_uids: true, keep_institution: true, ..Options::default() };
    let done = clean_with(&study(), &options).unwrap();
    let data = &done.object.data;
    assert_eq!(data.text(tags::STUDY_DATE).unwrap(), "20200229");
    assert_eq!(data.text(tags::SOP_INSTANCE_UID).unwrap(), "1.2.3.4");
    assert_eq!(data.text(tags::INSTITUTION_NAME).unwrap(), "General Hospital");
    assert_ne!(data.text(tags::PATIENT_NAME).unwrap(), "Doe^Jane");
    assert!(done.warnings.is_empty() && done.burned_in.is_none());
    let codes = |data: &Dataset| {
        let items = data.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE);
        items.iter().map(|item| item.text(tags::CODE_VALUE).unwrap()).collect::<Vec<_>>()
    };
    // PS3.16 CID 7050: the profile, full dates, UIDs, institution.
    assert_eq!(codes(data), ["113100", "113106", "113110", "113112"]);
    assert_eq!(codes(&clean(&study())), ["113100"]);
    assert!(data.text(tags::DEIDENTIFICATION_METHOD).unwrap().contains(deid::EDITION));
    let mut ultrasound = study();
    ultrasound.data.put_text(tags::MODALITY, "US");
    assert!(clean_with(&ultrasound, &options).unwrap().burned_in.is_some());
}

#[test]
fn new_uids_agree_and_depend_on_the_secret() {
    let with = |secret: &[u8]| {
        let options = Options { secret: secret.to_vec(), ..Options::default() };
        let data = clean_with(&study(), &options).unwrap().object.data;
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

#[test]
fn patients_stay_apart_and_together() {
    let options = Options { secret: b"one".to_vec(), ..Options::default() };
    let of = |id: &str, issuer: &str| {
        let mut object = study();
        object.data.put_text(tags::PATIENT_ID, id);
        object.data.put_text(tags::ISSUER_OF_PATIENT_ID, issuer);
        clean_with(&object, &options).unwrap().object.data.text(tags::PATIENT_ID).unwrap()
    };
    assert_eq!(of("4711", ""), of("4711 ", ""));
    assert_ne!(of("4711", ""), of("4712", ""));
    assert_ne!(of("4711", "A"), of("4711", "B"), "one number of two hospitals");
    // Without a number, a study is not taken for another's.
    let mut first = study();
    first.data.put_text(tags::PATIENT_ID, "");
    let mut second = first.clone();
    first.data.put_text(tags::STUDY_INSTANCE_UID, "1.2.1");
    second.data.put_text(tags::STUDY_INSTANCE_UID, "1.2.2");
    assert_ne!(patient(&first.data), patient(&second.data));
}

#[test]
fn dates_move_by_one_distance() {
    let options = Options { secret: b"one".to_vec(), dates: Dates::Shifted, ..Options::default() };
    let subject = Subject { pseudonym: "R001".to_owned(), shift_days: -366 };
    let data = deidentify(&study(), &options, &subject).unwrap().object.data;
    assert_eq!(data.text(tags::STUDY_DATE).unwrap(), "20190228");
    assert_eq!(data.text(tags::ACQUISITION_DATE_TIME).unwrap(), "20190301000001");
    assert_eq!(data.text(tags::STUDY_TIME).unwrap(), "235959");
    assert_eq!(data.text(tags::PATIENT_BIRTH_DATE), None, "nobody needs a birthday");
    assert_eq!(data.text(tags::PATIENT_ID).unwrap(), "R001");
    assert_eq!(data.text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED).unwrap(), "MODIFIED");
}

/// Every row of table E.1-1 and every other text attribute of the dictionary, at the top, in items of a sequence that stays, and
/// in items of one that the table cleans.
#[test]
fn no_attribute_keeps_a_marker() {
    const MARKER: &str = "ZZLEAK";
    let rows = include_str!("../../src/deid/profile.csv").lines().filter(|line| !line.starts_with('#'));
    let mut planted = Dataset::default();
    let mut count = 0;
    for row in rows {
        let (tag, rest) = row.split_once(',').unwrap();
        let tag = u32::from_str_radix(tag, 16).unwrap();
        let tag = Tag((tag >> 16) as u16, tag as u16);
        if tag.0 <= 4 || rest.starts_with('K') {
            continue;
        }
        count += 1;
        match dictionary_vr(tag) {
            VR::SQ => planted.put_items(
                tag,
                vec![set(&[
                    (tags::PATIENT_NAME, MARKER),
                    (tags::TEXT_VALUE, MARKER),
                    (tags::STUDY_ID, MARKER),
                ])],
            ),
            VR::UI => planted.put_text(tag, "1.2.3.ZZLEAK"),
            VR::DA | VR::DT => planted.put_text(tag, "19570102"),
            vr => planted.put_bytes(tag, vr, MARKER.into()),
        }
    }
    assert!(count > 1000, "{count} rows");
    // Private attributes, overlays, curves, bytes without a meaning, and a value behind the data set.
    for (tag, vr) in [
        (Tag(0x0009, 0x0010), VR::LO),
        (Tag(0x0009, 0x1001), VR::LO),
        (Tag(0x6000, 0x0022), VR::LO),
        (Tag(0x6002, 0x1500), VR::LO),
        (Tag(0x6000, 0x3000), VR::OW),
        (Tag(0x5000, 0x2600), VR::LO),
        (Tag(0x0011, 0x0002), VR::UN),
        (Tag(0x0018, 0xFFFA), VR::UN),
        (Tag(0xFFFC, 0xFFFC), VR::OB),
        (tags::ENCRYPTED_CONTENT, VR::OB),
        (tags::PIXEL_SPACING, VR::DS),
        (tags::PATIENT_AGE, VR::AS),
    ] {
        planted.put_bytes(tag, vr, MARKER.into());
    }
    for document in [tags::ENCAPSULATED_DOCUMENT, tags::SOP_CLASS_UID] {
        planted.retain(|e| e.tag != document);
    }
    let mut data = planted.clone();
    data.put_items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![planted.clone()]);
    data.put_items(tags::REFERENCED_SERIES_SEQUENCE, vec![planted.clone()]);
    data.put_items(tags::GRAPHIC_ANNOTATION_SEQUENCE, vec![planted.clone()]);
    data.put_items(tags::CONTENT_SEQUENCE, vec![planted]);
    for options in [
        Options::default(),
        Options {
            dates: Dates::Shifted,
            keep_safe_private: true,
            secret: b"one".to_vec(),
            ..Options::default()
        },
    ] {
        let done = clean_with(&Object::new(data.clone()), &options).unwrap();
        let file = write::file(&done.object).unwrap();
        deid::check(file.clone(), &done.object, &DecodeLimits::default()).unwrap();
        let mut left = Vec::new();
        find(&done.object.data, MARKER.as_bytes(), &mut left);
        find(&done.object.data, b"19570102", &mut left);
        assert!(left.is_empty(), "{left:?}");
        assert!(!file.windows(MARKER.len()).any(|w| w == MARKER.as_bytes()));
    }
    // Terms of the machine go too when they name the patient.
    let mut object = study();
    object.data.put_text(tags::MANUFACTURER_MODEL_NAME, "Scanner of Jane");
    object.data.put_text(tags::CONVOLUTION_KERNEL, "B30f");
    let data = clean(&object);
    assert_eq!(data.text(tags::MANUFACTURER_MODEL_NAME).unwrap(), "REMOVED");
    assert_eq!(data.text(tags::CONVOLUTION_KERNEL).unwrap(), "B30f");
}

fn find(data: &Dataset, marker: &[u8], left: &mut Vec<Tag>) {
    for element in data.elements() {
        data.items(element.tag).iter().for_each(|item| find(item, marker, left));
        if data.bytes(element.tag).is_some_and(|b| b.windows(marker.len()).any(|w| w == marker)) {
            left.push(element.tag);
        }
    }
}

#[test]
fn reports_keep_their_form() {
    let mut number = set(&[(tags::RELATIONSHIP_TYPE, "CONTAINS"), (tags::VALUE_TYPE, "NUM")]);
    number.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, code("410668003", "SCT", "Length"));
    let mut value = set(&[(tags::NUMERIC_VALUE, "23.5")]);
    value.put_items(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, code("mm", "UCUM", "millimeter"));
    number.put_items(tags::MEASURED_VALUE_SEQUENCE, vec![value.clone()]);
    let item = |kind: &str, concept: Vec<Dataset>, tag: Tag, text: &str| {
        let mut item =
            set(&[(tags::RELATIONSHIP_TYPE, "HAS OBS CONTEXT"), (tags::VALUE_TYPE, kind), (tag, text)]);
        item.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, concept);
        item
    };
    let observer = item("PNAME", code("121008", "DCM", "Person Observer Name"), tags::PERSON_NAME, "House^G");
    let finding = item("TEXT", code("121071", "DCM", "Finding"), tags::TEXT_VALUE, "seen by Dr House");
    let device = item("TEXT", code("121013", "DCM", "Device Observer Name"), tags::TEXT_VALUE, "CAD 7");
    let date = item("DATETIME", code("111526", "DCM", "DateTime Started"), tags::DATE_TIME, "20200229101112");
    let mut sex = item("CODE", code("121032", "DCM", "Subject Sex"), tags::VALUE_TYPE, "CODE");
    sex.put_items(tags::CONCEPT_CODE_SEQUENCE, code("F", "DCM", "Female"));
    let mut age = item("NUM", code("121033", "DCM", "Subject Age"), tags::VALUE_TYPE, "NUM");
    age.put_items(tags::MEASURED_VALUE_SEQUENCE, vec![value]);
    let mut local = item("TEXT", code("77", "99HERE", "Ask Dr House"), tags::TEXT_VALUE, "x");
    local.put_text(tags::RELATIONSHIP_TYPE, "CONTAINS");
    let mut scoord = set(&[(tags::VALUE_TYPE, "SCOORD"), (tags::GRAPHIC_TYPE, "POLYLINE")]);
    let line = [10f32, 12.0, 33.5, 12.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    scoord.put_bytes(tags::GRAPHIC_DATA, VR::FL, line);
    number.put_items(tags::CONTENT_SEQUENCE, vec![scoord.clone()]);
    let mut object = study();
    object.data.put_text(tags::MODALITY, "SR");
    object.data.put_text(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.88.34");
    object.data.put_text(tags::VALUE_TYPE, "CONTAINER");
    object
        .data
        .put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, code("126000", "DCM", "Imaging Measurement Report"));
    let birth = item("DATE", code("121031", "DCM", "Subject Birth Date"), tags::DATE, "19470311");
    object.data.put_items(
        tags::CONTENT_SEQUENCE,
        vec![observer, finding, device, date, sex.clone(), age.clone(), local, number, birth],
    );

    let data = clean(&object);
    let root = data.item(tags::CONCEPT_NAME_CODE_SEQUENCE).unwrap();
    assert_eq!(root.text(tags::CODE_MEANING).unwrap(), "Imaging Measurement Report");
    let items = data.items(tags::CONTENT_SEQUENCE);
    let kinds: Vec<_> = items.iter().map(|i| i.text(tags::VALUE_TYPE).unwrap()).collect();
    // Sex and age go as a whole: readers open no number without a value.
    assert_eq!(kinds, ["PNAME", "TEXT", "TEXT", "DATETIME", "TEXT", "NUM", "DATE"]);
    assert_eq!(items[0].text(tags::PERSON_NAME).unwrap(), "ANONYMOUS");
    assert_eq!(items[1].text(tags::TEXT_VALUE).unwrap(), "REMOVED");
    assert_eq!(items[2].text(tags::TEXT_VALUE).unwrap(), "REMOVED");
    assert_eq!(items[3].text(tags::DATE_TIME).unwrap(), "19000101000000");
    let concept = items[4].item(tags::CONCEPT_NAME_CODE_SEQUENCE).unwrap();
    assert_eq!(concept.text(tags::CODE_VALUE).unwrap(), "77");
    assert_eq!(concept.text(tags::CODE_MEANING).unwrap(), "REMOVED", "words of a house's own codes");
    let measured = items[5].item(tags::MEASURED_VALUE_SEQUENCE).unwrap();
    assert_eq!(measured.text(tags::NUMERIC_VALUE).unwrap(), "23.5");
    let unit = measured.item(tags::MEASUREMENT_UNITS_CODE_SEQUENCE).unwrap();
    assert_eq!(unit.text(tags::CODE_MEANING).unwrap(), "millimeter");
    let marks = items[5].item(tags::CONTENT_SEQUENCE).unwrap();
    assert_eq!(marks.numbers(tags::GRAPHIC_DATA).unwrap(), [10.0, 12.0, 33.5, 12.0]);
    assert_eq!(marks.text(tags::GRAPHIC_TYPE).unwrap(), "POLYLINE");
    assert!(
        data.get(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE).is_none(),
        "all codes are those of the report"
    );
    let method = data.text(tags::DEIDENTIFICATION_METHOD).unwrap();
    assert!(method.contains("Clean Structured Content Option"), "{method}");

    // What an option keeps is kept in items too.
    let options = Options { keep_device: true, keep_patient_characteristics: true, ..Options::default() };
    let kept = clean_with(&object, &options).unwrap().object.data;
    let items = kept.items(tags::CONTENT_SEQUENCE);
    assert_eq!(items[1].text(tags::TEXT_VALUE).unwrap(), "REMOVED");
    assert_eq!(items[2].text(tags::TEXT_VALUE).unwrap(), "CAD 7");
    assert_eq!(items[4].item(tags::CONCEPT_CODE_SEQUENCE).unwrap().text(tags::CODE_VALUE).unwrap(), "F");
    assert_eq!(items[5].items(tags::MEASURED_VALUE_SEQUENCE).len(), 1);

    // A date of birth is none of the dates that an option keeps or moves.
    for dates in [Dates::Kept, Dates::Shifted] {
        let options = Options { dates, ..Options::default() };
        let kept = clean_with(&object, &options).unwrap().object.data;
        assert_eq!(kept.items(tags::CONTENT_SEQUENCE)[6].text(tags::DATE).unwrap(), "19000101", "{dates:?}");
    }
    // Where items point to others by their positions none goes; the number loses its value.
    let mut pointer = set(&[(tags::RELATIONSHIP_TYPE, "INFERRED FROM")]);
    pointer.put_bytes(
        tags::REFERENCED_CONTENT_ITEM_IDENTIFIER,
        VR::UL,
        [1u32, 1].map(u32::to_le_bytes).concat(),
    );
    object.data.put_items(tags::CONTENT_SEQUENCE, vec![age, sex, pointer]);
    let items = clean(&object).items(tags::CONTENT_SEQUENCE).to_vec();
    assert_eq!(items.len(), 3);
    assert!(items[0].items(tags::MEASURED_VALUE_SEQUENCE).is_empty());
    let told = items[1].item(tags::CONCEPT_CODE_SEQUENCE).unwrap();
    assert_eq!(told.text(tags::CODE_VALUE).unwrap(), "121103", "a sex that is not told");
}

#[test]
fn drawings_and_labels_keep_their_form() {
    let mut text = set(&[
        (tags::UNFORMATTED_TEXT_VALUE, "Jane's lesion"),
        (tags::ANCHOR_POINT_ANNOTATION_UNITS, "PIXEL"),
    ]);
    text.put_bytes(tags::ANCHOR_POINT, VR::FL, [3f32, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect());
    let mut line = set(&[(tags::GRAPHIC_TYPE, "POLYLINE"), (tags::GRAPHIC_ANNOTATION_UNITS, "PIXEL")]);
    line.put_shorts(tags::GRAPHIC_DIMENSIONS, &[2]);
    let mut drawn = set(&[(tags::GRAPHIC_LAYER, "DR HOUSE")]);
    drawn.put_items(tags::TEXT_OBJECT_SEQUENCE, vec![text]);
    drawn.put_items(tags::GRAPHIC_OBJECT_SEQUENCE, vec![line]);
    let mut object = study();
    object.data.put_items(tags::GRAPHIC_ANNOTATION_SEQUENCE, vec![drawn]);
    object.data.put_items(
        tags::GRAPHIC_LAYER_SEQUENCE,
        vec![set(&[(tags::GRAPHIC_LAYER, "DR HOUSE"), (tags::GRAPHIC_LAYER_DESCRIPTION, "Jane")])],
    );
    object.data.put_text(tags::CONTENT_LABEL, "JANE");
    object.data.put_text(tags::CONTENT_DESCRIPTION, "Jane");
    let segment = |number: u16| {
        let mut segment =
            set(&[(tags::SEGMENT_LABEL, "Jane"), (tags::TRACKING_ID, "Jane"), (tags::TRACKING_UID, "1.2.9")]);
        segment.put_shorts(tags::SEGMENT_NUMBER, &[number]);
        segment.put_items(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, code("10200004", "SCT", "Liver"));
        segment
    };
    object.data.put_items(tags::SEGMENT_SEQUENCE, vec![segment(1), segment(2)]);
    let region = set(&[
        (tags::ROI_NUMBER, "7"),
        (tags::ROI_NAME, "Jane's bladder"),
        (tags::ROI_GENERATION_ALGORITHM, "MANUAL"),
    ]);
    object.data.put_items(tags::STRUCTURE_SET_ROI_SEQUENCE, vec![region]);

    let data = clean(&object);
    let drawn = data.item(tags::GRAPHIC_ANNOTATION_SEQUENCE).unwrap();
    let layer = data.item(tags::GRAPHIC_LAYER_SEQUENCE).unwrap();
    assert_eq!(layer.text(tags::GRAPHIC_LAYER).unwrap(), "LAYER1");
    assert_eq!(drawn.text(tags::GRAPHIC_LAYER).unwrap(), "LAYER1", "the layer that is declared");
    assert!(layer.get(tags::GRAPHIC_LAYER_DESCRIPTION).is_none());
    let text = drawn.item(tags::TEXT_OBJECT_SEQUENCE).unwrap();
    assert_eq!(text.text(tags::UNFORMATTED_TEXT_VALUE).unwrap(), "REMOVED");
    assert_eq!(text.numbers(tags::ANCHOR_POINT).unwrap(), [3.0, 4.0]);
    assert_eq!(text.text(tags::ANCHOR_POINT_ANNOTATION_UNITS).unwrap(), "PIXEL");
    assert_eq!(drawn.item(tags::GRAPHIC_OBJECT_SEQUENCE).unwrap().integer(tags::GRAPHIC_DIMENSIONS), Some(2));
    assert_eq!(data.text(tags::CONTENT_LABEL).unwrap(), "REMOVED");
    let segments = data.items(tags::SEGMENT_SEQUENCE);
    let labels: Vec<_> = segments.iter().map(|s| s.text(tags::SEGMENT_LABEL).unwrap()).collect();
    assert_eq!(labels, ["Segment 1", "Segment 2"], "segments can be told apart");
    assert_eq!(segments[0].text(tags::TRACKING_ID).unwrap(), "REMOVED");
    assert!(segments[0].text(tags::TRACKING_UID).unwrap().starts_with("2.25."));
    let kind = segments[0].item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE).unwrap();
    assert_eq!(kind.text(tags::CODE_MEANING).unwrap(), "Liver");
    let region = data.item(tags::STRUCTURE_SET_ROI_SEQUENCE).unwrap();
    assert_eq!(region.text(tags::ROI_NAME).unwrap(), "ROI 7");
    assert_eq!(region.text(tags::ROI_GENERATION_ALGORITHM).unwrap(), "MANUAL");
}

#[test]
fn what_cannot_be_clean_and_readable_is_refused() {
    let refused = |class: &str| {
        let mut object = study();
        object.data.put_text(tags::SOP_CLASS_UID, class);
        clean_with(&object, &Options::default()).err().map(|e| e.to_string())
    };
    for (class, word) in [
        ("1.2.840.10008.5.1.4.1.1.104.1", "encapsulated document"),
        ("1.2.840.10008.5.1.4.1.1.9.4.1", "sound"),
        ("1.2.840.10008.5.1.4.1.1.66", "raw data"),
        ("1.2.840.10008.1.3.10", "DICOMDIR"),
        ("1.3.12.2.1107.5.9.1", "maker's own class"),
    ] {
        assert!(refused(class).is_some_and(|said| said.contains(word) && !said.contains("Doe")), "{class}");
    }
    for class in
        ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.88.33"]
    {
        assert_eq!(refused(class), None);
    }
    let mut object = study();
    object.data.put_bytes(tags::ENCAPSULATED_DOCUMENT, VR::OB, b"%PDF".to_vec());
    assert!(clean_with(&object, &Options::default()).is_err());
}

#[test]
fn mosaics_keep_the_numbers_of_their_layout() {
    let header = [
        Csa { name: "NumberOfImagesInMosaic".to_owned(), numbers: vec![3.0] },
        Csa { name: "B_value".to_owned(), numbers: vec![1000.0] },
        Csa { name: "SliceNormalVector".to_owned(), numbers: vec![0.0, 0.0, 1.0] },
    ];
    let mut bytes = csa_header(&header);
    bytes.extend(b"Doe^Jane");
    let mut object = study();
    object.data.put_text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\M\\MOSAIC");
    object.data.put_text(Tag(0x0029, 0x0011), "SIEMENS CSA HEADER");
    object.data.put_bytes(Tag(0x0029, 0x0011), VR::LO, b"SIEMENS CSA HEADER".to_vec());
    object.data.put_bytes(Tag(0x0029, 0x1110), VR::OB, bytes);
    object.data.put_bytes(Tag(0x0029, 0x1120), VR::OB, b"Doe^Jane".to_vec());
    object.data.put_bytes(Tag(0x0019, 0x0010), VR::LO, b"SIEMENS MR HEADER".to_vec());
    object.data.put_bytes(Tag(0x0019, 0x100A), VR::US, vec![3, 0]);
    object.data.put_bytes(Tag(0x0019, 0x100C), VR::IS, b"1000".to_vec());
    let private = |data: &Dataset| {
        data.elements().iter().filter(|e| e.tag.0 % 2 == 1).map(|e| e.tag).collect::<Vec<_>>()
    };
    let data = clean(&object);
    let layout = [Tag(0x0019, 0x0010), Tag(0x0019, 0x100A), Tag(0x0029, 0x0011), Tag(0x0029, 0x1110)];
    assert_eq!(private(&data), layout);
    let kept = data.bytes(Tag(0x0029, 0x1110)).unwrap();
    assert_eq!(csa(kept, "NumberOfImagesInMosaic").unwrap().numbers, [3.0]);
    assert_eq!(csa(kept, "SliceNormalVector").unwrap().numbers, [0.0, 0.0, 1.0]);
    assert_eq!(csa(kept, "B_value"), None);
    assert!(!kept.windows(3).any(|w| w == b"Doe"));
    let options = Options { keep_safe_private: true, ..Options::default() };
    let data = clean_with(&object, &options).unwrap().object.data;
    assert_eq!(data.integer(Tag(0x0019, 0x100C)), Some(1000), "a b value is on the list");
    assert_eq!(csa(data.bytes(Tag(0x0029, 0x1110)).unwrap(), "B_value").unwrap().numbers, [1000.0]);
    // A picture that is no mosaic keeps nothing private.
    object.data.put_text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
    assert!(private(&clean(&object)).is_empty());
}

#[test]
fn bytes_behind_the_samples_go() {
    let mut object = study();
    for (tag, value) in [(tags::ROWS, 2), (tags::COLUMNS, 3), (tags::BITS_ALLOCATED, 8)] {
        object.data.put_shorts(tag, &[value]);
    }
    object.data.put_bytes(tags::PIXEL_DATA, VR::OB, b"abcdefDoe^Jane".to_vec());
    let done = clean_with(&object, &Options::default()).unwrap();
    assert_eq!(done.object.data.bytes(tags::PIXEL_DATA).unwrap(), b"abcdef");
    assert_eq!(done.warnings.len(), 1);
    // The byte that makes the length even is none.
    for (tag, value) in [(tags::ROWS, 1), (tags::COLUMNS, 5)] {
        object.data.put_shorts(tag, &[value]);
    }
    object.data.put_bytes(tags::PIXEL_DATA, VR::OB, b"abcde\0".to_vec());
    assert!(clean_with(&object, &Options::default()).unwrap().warnings.is_empty());
}

#[test]
fn a_file_that_differs_from_what_was_meant_is_found_out() {
    let done = clean_with(&study(), &Options::default()).unwrap();
    let file = write::file(&done.object).unwrap();
    let limits = DecodeLimits::default();
    deid::check(file.clone(), &done.object, &limits).unwrap();
    assert!(deid::check(file[..file.len() - 4].to_vec(), &done.object, &limits).is_err());
    let at = file.windows(3).rposition(|w| w == b"YES").unwrap();
    let mut other = file.clone();
    other[at] = b'N';
    assert!(
        deid::check(other, &done.object, &limits).unwrap_err().to_string().contains("PatientIdentityRemoved")
    );
    let mut more = parse::parse(file, &limits).unwrap();
    more.data.put_text(tags::STUDY_ID, "1");
    assert!(deid::check(write::file(&more).unwrap(), &done.object, &limits).is_err());
}
