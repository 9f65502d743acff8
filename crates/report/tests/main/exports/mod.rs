//! Exports of findings: round trips through DICOM objects, and validators where they are on the path.

mod dicom;
mod tables;
mod text_formats;

use loupe_core::{Finding, MediaError, Origin, Picture};
use loupe_dicom::{Dataset, Object, VR, tags};
use loupe_report::dicom::{Author, SourceFile, SourceStudy};
use loupe_report::exports::{
    EXPORTERS, Export, ExportError, ExportImage, ExportOptions, Exported, ImageFinding,
};

/// Columns and rows of the series.
const SIZE: [usize; 2] = [24, 16];
/// Number of slices.
const SLICES: usize = 5;

/// A CT slice: 0.7 × 0.8 mm, 2.5 mm apart, the columns of the stack tilted in the patient.
fn slice(k: usize) -> Object {
    let (row, column) = ([0.8, 0.6, 0.0], [-0.6, 0.8, 0.0]);
    let mut data = Dataset::default();
    for (tag, text) in [
        (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100"),
        (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
        (tags::STUDY_DATE, "20260101"),
        (tags::STUDY_TIME, "101500"),
        (tags::ACCESSION_NUMBER, ""),
        (tags::MODALITY, "CT"),
        (tags::REFERRING_PHYSICIAN_NAME, ""),
        (tags::PATIENT_ID, "PHANTOM"),
        (tags::PATIENT_BIRTH_DATE, ""),
        (tags::PATIENT_SEX, "O"),
        (tags::STUDY_INSTANCE_UID, "2.25.101"),
        (tags::SERIES_INSTANCE_UID, "2.25.102"),
        (tags::STUDY_ID, "1"),
        (tags::FRAME_OF_REFERENCE_UID, "2.25.103"),
        (tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2"),
        (tags::RESCALE_INTERCEPT, "-1024"),
        (tags::RESCALE_SLOPE, "1"),
        (tags::RESCALE_TYPE, "HU"),
        (tags::WINDOW_CENTER, "40"),
        (tags::WINDOW_WIDTH, "400"),
    ] {
        data.put_text(tag, text);
    }
    // A name beyond ASCII, in the character set of the source.
    data.put_bytes(tags::PATIENT_NAME, VR::PN, b"M\xfcller^Phantom".to_vec());
    data.put_text(tags::SOP_INSTANCE_UID, &format!("2.25.2{k:02}"));
    data.put_text(tags::INSTANCE_NUMBER, &(k + 1).to_string());
    data.put_decimals(tags::IMAGE_ORIENTATION_PATIENT, &[row, column].concat());
    data.put_decimals(tags::IMAGE_POSITION_PATIENT, &[-10.125, 20.25, -100.0 + 2.5 * k as f64]);
    data.put_decimals(tags::PIXEL_SPACING, &[0.8, 0.7]);
    data.put_decimals(tags::SLICE_THICKNESS, &[2.5]);
    data.put_shorts(tags::SAMPLES_PER_PIXEL, &[1]);
    data.put_shorts(tags::ROWS, &[SIZE[1] as u16]);
    data.put_shorts(tags::COLUMNS, &[SIZE[0] as u16]);
    Object::new(data)
}

fn study() -> SourceStudy {
    SourceStudy::of((0..SLICES).map(|k| SourceFile::of(slice(k)).unwrap()).collect()).unwrap()
}

/// The view of slice `k` as a loader gives it.
fn view(study: &SourceStudy, k: usize) -> Origin {
    let plane = study.files[k].plane(0).unwrap();
    let mut origin = Origin::of_size(SIZE[0], SIZE[1]);
    origin.source = Some("ct".to_owned());
    origin.slice = Some(k);
    origin.spacing_mm = Some(plane.spacing_mm);
    origin.lps_from_source = Some(plane.lps_from_plane());
    origin
}

fn author() -> Author {
    Author {
        model: "a model".to_owned(),
        identity: "0123456789abcdef".to_owned(),
        version: "0.0.0".to_owned(),
        made: ["20260102".to_owned(), "112233".to_owned()],
    }
}

/// Runs an exporter over findings on views of the series.
fn export(
    format: &str,
    study: &SourceStudy,
    findings: &[(usize, Finding)],
    options: &ExportOptions,
) -> Result<Exported, ExportError> {
    let views: Vec<(String, Origin)> =
        (0..SLICES).map(|k| (format!("ct#slice={k}"), view(study, k))).collect();
    let files: Vec<usize> = (0..SLICES).collect();
    let images: Vec<ExportImage<'_>> = views
        .iter()
        .map(|(name, origin)| ExportImage { name, size: SIZE, origin: Some(origin), files: &files })
        .collect();
    let findings: Vec<ImageFinding<'_>> =
        findings.iter().map(|(k, finding)| ImageFinding { image: &views[*k].0, finding }).collect();
    let pictures = |n: usize| -> Result<Picture, MediaError> {
        let levels = vec![100u8; SIZE[0] * SIZE[1]];
        Ok(Picture::new(SIZE[0], SIZE[1], 1, levels).unwrap().with_origin(views[n].1.clone()))
    };
    let author = author();
    (EXPORTERS.by_name(format).unwrap().write)(&Export {
        images: &images,
        findings: &findings,
        references: &[],
        study: Some(study),
        labels: None,
        author: &author,
        pictures: &pictures,
        options,
    })
}
