//! DICOM series in explicit little endian: CT, MR, CR and US images and, for the fundus, VL photographic
//! images, with their mandatory modules (PS3.3 A.3 CT, A.4 MR, A.2 CR, A.6 US, A.32.4 VL photographic;
//! PS3.10 for the file).

use crate::error::PhantomError;
use crate::kind::Kind;
use crate::rng::mix;
use crate::study::Study;
use loupe_dicom::{Dataset, Object, VR, tags, uid, write};

/// A UID from the seed and what it names.
fn uid_of(seed: u64, what: u64) -> String {
    let high = mix(seed ^ mix(what));
    let low = mix(high ^ what.wrapping_add(1));
    uid::of_uuid(u128::from(high) << 64 | u128::from(low))
}

/// One file a slice, in the order of the slices. `seed` makes the UIDs; it names no person.
///
/// # Errors
/// [`PhantomError::Picture`] when a file cannot be made.
pub fn dicom_series(study: &Study, seed: u64) -> Result<Vec<Vec<u8>>, PhantomError> {
    (0..study.slices.len()).map(|k| file(study, seed, k)).collect()
}

fn file(study: &Study, seed: u64, k: usize) -> Result<Vec<u8>, PhantomError> {
    let kind = study.kind;
    let (class, modality) = match kind {
        _ if kind.is_ct() => ("1.2.840.10008.5.1.4.1.1.2", "CT"),
        _ if kind.is_mr() => ("1.2.840.10008.5.1.4.1.1.4", "MR"),
        Kind::Ultrasound => ("1.2.840.10008.5.1.4.1.1.6.1", "US"),
        Kind::Fundus => ("1.2.840.10008.5.1.4.1.1.77.1.4", "XC"),
        _ => ("1.2.840.10008.5.1.4.1.1.1", "CR"),
    };
    let instance = uid_of(seed, 100 + k as u64);
    let mut e = Dataset::default();
    e.put_text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100");
    e.put_text(
        tags::IMAGE_TYPE,
        match modality {
            "CT" => "ORIGINAL\\PRIMARY\\AXIAL",
            "MR" => "ORIGINAL\\PRIMARY\\OTHER",
            _ => "ORIGINAL\\PRIMARY",
        },
    );
    e.put_text(tags::SOP_CLASS_UID, class);
    e.put_text(tags::SOP_INSTANCE_UID, &instance);
    for tag in [tags::STUDY_DATE, tags::SERIES_DATE, tags::ACQUISITION_DATE, tags::CONTENT_DATE] {
        e.put_text(tag, "20260101");
    }
    for tag in [tags::STUDY_TIME, tags::SERIES_TIME, tags::ACQUISITION_TIME, tags::CONTENT_TIME] {
        e.put_text(tag, "120000");
    }
    e.put_text(tags::ACCESSION_NUMBER, "");
    e.put_text(tags::MODALITY, modality);
    e.put_text(tags::MANUFACTURER, "loupe");
    e.put_text(tags::REFERRING_PHYSICIAN_NAME, "");
    e.put_text(tags::STUDY_DESCRIPTION, "Phantom");
    e.put_text(tags::PATIENT_NAME, "PHANTOM^");
    e.put_text(tags::PATIENT_ID, "PHANTOM");
    e.put_text(tags::PATIENT_BIRTH_DATE, "");
    e.put_text(tags::PATIENT_SEX, "O");
    e.put_text(tags::BODY_PART_EXAMINED, &kind.region().to_uppercase());
    e.put_text(tags::STUDY_INSTANCE_UID, &uid_of(seed, 1));
    e.put_text(tags::SERIES_INSTANCE_UID, &uid_of(seed, 2));
    e.put_text(tags::STUDY_ID, "1");
    e.put_text(tags::SERIES_NUMBER, "1");
    e.put_text(tags::ACQUISITION_NUMBER, "1");
    e.put_text(tags::INSTANCE_NUMBER, &(k + 1).to_string());
    if kind.is_volume() {
        plane(&mut e, study, seed, k);
    }
    match modality {
        "CT" => e.put_decimals(tags::KVP, &[120.0]),
        "MR" => {
            e.put_text(tags::SCANNING_SEQUENCE, "SE");
            e.put_text(tags::SEQUENCE_VARIANT, "NONE");
            e.put_text(tags::SCAN_OPTIONS, "");
            e.put_text(tags::MR_ACQUISITION_TYPE, "2D");
            let (tr, te) = if kind == Kind::MrT1 { (500.0, 12.0) } else { (4000.0, 95.0) };
            e.put_decimals(tags::REPETITION_TIME, &[tr]);
            e.put_decimals(tags::ECHO_TIME, &[te]);
            e.put_text(tags::ECHO_TRAIN_LENGTH, "1");
        }
        "CR" => {
            e.put_text(tags::VIEW_POSITION, "PA");
            e.put_decimals(tags::IMAGER_PIXEL_SPACING, &[study.pixel_mm(); 2]);
            e.put_text(tags::PATIENT_ORIENTATION, "L\\F");
        }
        _ => {
            e.put_text(tags::PATIENT_ORIENTATION, "");
            e.put_text(tags::LOSSY_IMAGE_COMPRESSION, "00");
            if modality == "XC" {
                e.put_text(tags::LATERALITY, "");
                e.put_items(tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
            }
        }
    }
    match modality {
        "US" | "XC" => picture(&mut e, study, k),
        _ => pixels(&mut e, study, k),
    }
    write::file(&Object::new(e)).map_err(|error| PhantomError::Picture(error.to_string()))
}

/// Frame of reference and image plane (PS3.3 C.7.4.1, C.7.6.2).
fn plane(e: &mut Dataset, study: &Study, seed: u64, k: usize) {
    let lps = study.lps_from_index();
    e.put_text(tags::PATIENT_POSITION, "HFS");
    e.put_decimals(tags::SLICE_THICKNESS, &[lps.spacing_mm()[2]]);
    e.put_decimals(tags::IMAGE_POSITION_PATIENT, &lps.apply([0.0, 0.0, k as f64]));
    e.put_decimals(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    e.put_text(tags::FRAME_OF_REFERENCE_UID, &uid_of(seed, 3));
    e.put_text(tags::POSITION_REFERENCE_INDICATOR, "");
    e.put_decimals(tags::PIXEL_SPACING, &[study.pixel_mm(); 2]);
}

/// Image pixel of eight bits a sample, as the picture is shown.
fn picture(e: &mut Dataset, study: &Study, k: usize) {
    let Ok(picture) = study.picture(k) else { return };
    let size = study.size() as u16;
    let colour = picture.channels() == 3;
    e.put_shorts(tags::SAMPLES_PER_PIXEL, &[picture.channels() as u16]);
    e.put_text(tags::PHOTOMETRIC_INTERPRETATION, if colour { "RGB" } else { "MONOCHROME2" });
    if colour {
        e.put_shorts(tags::PLANAR_CONFIGURATION, &[0]);
    }
    e.put_shorts(tags::ROWS, &[size]);
    e.put_shorts(tags::COLUMNS, &[size]);
    e.put_shorts(tags::BITS_ALLOCATED, &[8]);
    e.put_shorts(tags::BITS_STORED, &[8]);
    e.put_shorts(tags::HIGH_BIT, &[7]);
    e.put_shorts(tags::PIXEL_REPRESENTATION, &[0]);
    let vr = if colour { VR::OB } else { VR::OW };
    e.put_bytes(tags::PIXEL_DATA, vr, picture.pixels().to_vec());
}

/// Image pixel, modality and VOI LUT (PS3.3 C.7.6.3, C.8.2.1, C.11.2). CT is stored in whole HU with
/// an intercept; MR and CR in thousandths.
fn pixels(e: &mut Dataset, study: &Study, k: usize) {
    let kind = study.kind;
    let size = study.size() as u16;
    let window = kind.window();
    let (scale, offset) = if kind.is_ct() { (1.0, 1024.0) } else { (1000.0, 0.0) };
    e.put_shorts(tags::SAMPLES_PER_PIXEL, &[1]);
    e.put_text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    e.put_shorts(tags::ROWS, &[size]);
    e.put_shorts(tags::COLUMNS, &[size]);
    e.put_shorts(tags::BITS_ALLOCATED, &[16]);
    e.put_shorts(tags::BITS_STORED, &[12]);
    e.put_shorts(tags::HIGH_BIT, &[11]);
    e.put_shorts(tags::PIXEL_REPRESENTATION, &[0]);
    let unit = if kind.is_ct() { 1.0 } else { 1000.0 };
    e.put_decimals(tags::WINDOW_CENTER, &[window.centre * unit]);
    e.put_decimals(tags::WINDOW_WIDTH, &[window.width * unit]);
    if kind.is_ct() {
        e.put_decimals(tags::RESCALE_INTERCEPT, &[-1024.0]);
        e.put_decimals(tags::RESCALE_SLOPE, &[1.0]);
        e.put_text(tags::RESCALE_TYPE, "HU");
    }
    let values = study.slices.get(k).map(|s| s.values.as_slice()).unwrap_or_default();
    let stored = |v: f32| ((v * scale + offset + 0.5).floor().clamp(0.0, 4095.0)) as u16;
    e.put_bytes(tags::PIXEL_DATA, VR::OW, values.iter().flat_map(|&v| stored(v).to_le_bytes()).collect());
}
