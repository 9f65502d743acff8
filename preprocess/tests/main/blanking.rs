//! Pixels blanked by rule, in copies as they are written and read back.

use crate::dicom_support::{BIG, EXPLICIT, Set, grey};
use loupe_core::{MediaError, View};
use loupe_dicom::deid::{Options, Subject};
use loupe_dicom::{VR, parse, tags};
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::Image;
use loupe_preprocess::dicom::blank::{Blank, Selection};
use loupe_preprocess::dicom::export::{Export, Outcome, Rules};
use loupe_preprocess::dicom::files::{self, Blob};
use std::path::Path;

/// The copy of a file under rules.
fn copy(bytes: Vec<u8>, rules: Rules) -> Result<(Outcome, Image), MediaError> {
    let dir = tempfile::tempdir().unwrap();
    let limits = DecodeLimits::default();
    let profile = Options { secret: b"salt".to_vec(), ..Options::default() };
    let rules = Rules { profile: profile.clone(), ..rules };
    let mut export = Export::new(dir.path(), rules, limits);
    let mut subject = |patient: &str| Ok(Subject::hashed(patient, &profile));
    let outcome = export.file(&Blob::Memory(bytes.into()), &mut subject);
    let blobs = files::collect(dir.path(), &limits).unwrap_or_default();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            assert!(blobs.is_empty(), "a copy of what was refused");
            return Err(error);
        }
    };
    let bytes = blobs[0].read(&limits).unwrap();
    Ok((outcome, Image::parse(bytes, &limits)?))
}

fn rectangle(columns: std::ops::Range<usize>, rows: std::ops::Range<usize>, of: Selection) -> Rules {
    Rules { blank: vec![Blank::Rectangle { columns, rows, of }], ..Rules::default() }
}

fn everything() -> Selection {
    Selection::default()
}

#[test]
fn a_rectangle_is_black_in_every_frame_and_the_rest_as_before() {
    let values: Vec<u16> = (1..=24).collect();
    for syntax in [EXPLICIT, BIG] {
        let set = grey(3, 4, 12, false, &values).text(tags::NUMBER_OF_FRAMES, VR::IS, "2");
        let (outcome, image) = copy(set.file(syntax), rectangle(1..3, 0..2, everything())).unwrap();
        assert!(matches!(outcome, Outcome::Written { burned_in: None, .. }));
        for frame in 0..2 {
            let found = image.stored(frame).unwrap().to_f64().unwrap();
            for (at, value) in found.iter().enumerate() {
                let black = (1..3).contains(&(at % 4)) && at / 4 < 2;
                let want = if black { 0.0 } else { f64::from(values[frame * 12 + at]) };
                assert_eq!(*value, want, "pixel {at} of frame {frame}, {syntax}");
            }
        }
        let data = &image.object().data;
        assert_eq!(data.text(tags::BURNED_IN_ANNOTATION).unwrap(), "NO");
        let codes = data.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE);
        let codes: Vec<_> = codes.iter().map(|c| c.text(tags::CODE_VALUE).unwrap()).collect();
        assert_eq!(codes, ["113100", "113101"]);
    }
    // Black is the highest value where low values are white, and the darkest that stays of signed ones.
    let white = grey(1, 2, 12, false, &[5, 6]).text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
    let (_, image) = copy(white.file(EXPLICIT), rectangle(0..1, 0..1, everything())).unwrap();
    assert_eq!(image.stored(0).unwrap().to_f64().unwrap(), [4095.0, 6.0]);
    let (_, image) =
        copy(grey(1, 3, 12, true, &[5, 0xFFA, 7]).file(EXPLICIT), rectangle(0..1, 0..1, everything()))
            .unwrap();
    assert_eq!(image.stored(0).unwrap().to_f64().unwrap(), [-6.0, -6.0, 7.0]);
}

#[test]
fn ultrasound_is_black_outside_its_regions() {
    let long = |tag, value: u32, set: Set| set.bytes(tag, VR::UL, &value.to_le_bytes());
    let region = |[x0, y0, x1, y1]: [u32; 4]| {
        let set = long(tags::REGION_LOCATION_MIN_X0, x0, Set::default());
        let set = long(tags::REGION_LOCATION_MIN_Y0, y0, set);
        long(tags::REGION_LOCATION_MAX_Y1, y1, long(tags::REGION_LOCATION_MAX_X1, x1, set))
    };
    let us = || Rules { blank: vec![Blank::OutsideUltrasoundRegions], ..Rules::default() };
    let plain = grey(2, 4, 16, false, &[1, 2, 3, 4, 5, 6, 7, 8]).text(tags::MODALITY, VR::CS, "US");
    let two = plain
        .clone()
        .items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, vec![region([0, 0, 0, 1]), region([2, 1, 3, 1])]);
    let (_, image) = copy(two.file(EXPLICIT), us()).unwrap();
    assert_eq!(image.stored(0).unwrap().to_f64().unwrap(), [1.0, 0.0, 0.0, 0.0, 5.0, 0.0, 7.0, 8.0]);
    assert!(copy(plain.file(EXPLICIT), us()).is_err(), "no regions, no copy");
    // Another modality has no regions and keeps its pixels.
    let (_, image) = copy(grey(1, 2, 16, false, &[1, 2]).file(EXPLICIT), us()).unwrap();
    assert_eq!(image.stored(0).unwrap().to_f64().unwrap(), [1.0, 2.0]);
}

#[test]
fn rules_hold_for_what_they_select() {
    let of = |modality: &str, size| Selection { modality: Some(modality.to_owned()), model: None, size };
    let image = |rules| copy(grey(1, 3, 16, false, &[1, 2, 3]).file(EXPLICIT), rules);
    let values = |rules| image(rules).unwrap().1.stored(0).unwrap().to_f64().unwrap();
    assert_eq!(values(rectangle(0..1, 0..1, of("CT", Some([3, 1])))), [0.0, 2.0, 3.0]);
    assert_eq!(values(rectangle(0..1, 0..1, of("CT", Some([1, 3])))), [1.0, 2.0, 3.0]);
    assert_eq!(values(rectangle(0..1, 0..1, of("MR", None))), [1.0, 2.0, 3.0]);
    assert!(image(rectangle(0..4, 0..1, everything())).is_err(), "a rectangle beyond the picture");
}

#[test]
fn burned_in_text_can_be_refused() {
    let set = grey(1, 2, 16, false, &[1, 2]).text(tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    let (outcome, _) = copy(set.file(EXPLICIT), Rules::default()).unwrap();
    assert!(matches!(outcome, Outcome::Written { burned_in: Some(_), .. }));
    let refused = copy(set.file(EXPLICIT), Rules { refuse_burned_in: true, ..Rules::default() });
    assert!(refused.err().unwrap().to_string().contains("burned"));
    let rules = Rules { refuse_burned_in: true, ..rectangle(0..2, 0..1, everything()) };
    assert!(copy(set.file(EXPLICIT), rules).is_ok(), "blanked by rule");
}

/// Compressed frames are decoded, blanked and written uncompressed; the rest of them is what the codec gave.
#[test]
fn compressed_frames_are_written_uncompressed() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codecs");
    let limits = DecodeLimits::default();
    let mut compressed = 0;
    for blob in files::collect(&source, &limits).unwrap() {
        let bytes = blob.read(&limits).unwrap();
        if !parse::looks_like_dicom(&bytes) {
            continue;
        }
        let before = Image::parse(bytes.clone(), &limits).unwrap();
        let [columns, rows] = [before.format().columns, before.format().rows];
        let (outcome, after) = copy(bytes, rectangle(0..columns / 2, 0..rows, everything())).unwrap();
        let Outcome::Written { warnings, .. } = outcome else { panic!("it is DICOM") };
        let syntax = loupe_dicom::syntax::find(&before.object().transfer_syntax);
        let is_native = syntax.is_none_or(|row| row.2 == loupe_dicom::syntax::Coding::Native);
        compressed += usize::from(!is_native);
        assert_eq!(warnings.iter().any(|w| w.contains("compressed")), !is_native);
        let grey = before.format().photometric.is_grey();
        for frame in 0..before.format().frames {
            let values = |image: &Image| match grey {
                true => image.stored(frame).unwrap().to_f64().unwrap(),
                false => image.rgb(frame).unwrap().iter().map(|v| f64::from(*v)).collect(),
            };
            let samples = if grey { 1 } else { 3 };
            for (at, (old, new)) in values(&before).iter().zip(values(&after)).enumerate() {
                let left = at / samples % columns < columns / 2;
                assert!(left || *old == new, "{}: {old} became {new} at {at}", before.syntax_name());
            }
        }
    }
    assert!(compressed > 5, "{compressed} files were compressed");
}

/// The millimetres of an ultrasound region are those of what lies inside of it.
#[test]
fn an_ultrasound_region_is_calibrated_and_what_lies_outside_is_not() {
    let of = |[x0, y0, x1, y1]: [u32; 4]| {
        let long = |set: Set, (tag, value): (_, u32)| set.bytes(tag, VR::UL, &value.to_le_bytes());
        let places = [
            (tags::REGION_LOCATION_MIN_X0, x0),
            (tags::REGION_LOCATION_MIN_Y0, y0),
            (tags::REGION_LOCATION_MAX_X1, x1),
            (tags::REGION_LOCATION_MAX_Y1, y1),
        ];
        let units = [tags::PHYSICAL_UNITS_X_DIRECTION, tags::PHYSICAL_UNITS_Y_DIRECTION];
        let deltas = [tags::PHYSICAL_DELTA_X, tags::PHYSICAL_DELTA_Y];
        let region = places.into_iter().fold(Set::default(), long);
        let region = units.into_iter().fold(region, |set, tag| set.shorts(tag, &[3]));
        let region =
            deltas.into_iter().fold(region, |set, tag| set.bytes(tag, VR::FD, &0.05f64.to_le_bytes()));
        let file = grey(10, 20, 8, false, &[7; 200])
            .text(tags::MODALITY, VR::CS, "US")
            .items(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, vec![region]);
        Image::parse(file.file(EXPLICIT), &DecodeLimits::default())
            .unwrap()
            .picture(&View::default())
            .unwrap()
            .origin
    };
    let part = of([4, 2, 15, 7]);
    assert_eq!((part.spacing_mm, part.calibrated_xyxy), (Some([0.5, 0.5]), Some([4.0, 2.0, 16.0, 8.0])));
    for (xyxy, inside) in [
        ([4.0, 2.0, 16.0, 8.0], true),
        ([5.0, 3.0, 9.0, 5.0], true),
        ([0.0, 0.0, 3.0, 2.0], false),
        ([3.0, 3.0, 9.0, 5.0], false),
        ([5.0, 3.0, 9.0, 9.0], false),
    ] {
        assert_eq!(part.spacing_mm_within(xyxy).is_some(), inside, "{xyxy:?}");
        let note = part.spacing_note_within(xyxy).unwrap();
        assert_eq!(note.starts_with("no millimetres"), !inside, "{note}");
    }
    // All of the picture, by its last pixels or by its edges.
    for whole in [of([0, 0, 19, 9]), of([0, 0, 20, 10])] {
        assert_eq!((whole.spacing_mm, whole.calibrated_xyxy), (Some([0.5, 0.5]), None));
        assert!(whole.spacing_mm_within([0.0, 0.0, 20.0, 10.0]).is_some());
    }
}
