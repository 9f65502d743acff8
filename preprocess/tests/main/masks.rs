//! Segmentations and structure sets on the series that they were made for, written by highdicom and pydicom
//! (`tests/masks/make.py`), and on everything else.

use loupe_core::labels::LabelledMasks;
use loupe_core::mask::LabelVolume;
use loupe_core::{LpsFromIndex, MediaError, MediaRef, MediaSource, SliceAt, View};
use loupe_preprocess::masks::{MaskFile, MaskOptions, on_picture};
use loupe_preprocess::nifti::label_bytes;
use loupe_preprocess::volume_io::ReadVolume;
use loupe_preprocess::{DecodeLimits, Loader};
use ndarray::Array3;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masks")
}

fn loader() -> Loader {
    Loader::new(DecodeLimits::default())
}

fn series() -> MediaRef {
    MediaRef { source: MediaSource::Folder(folder().join("ct")), ..MediaRef::file("ct") }
}

fn image() -> Arc<ReadVolume> {
    loader().load_volume(&series()).unwrap()
}

fn masks_of(path: &Path, options: &MaskOptions) -> Result<LabelledMasks, MediaError> {
    let limits = DecodeLimits::default();
    MaskFile::open(&loader(), &MediaRef::file(path))?.onto(&image(), options, &limits)
}

fn masks(name: &str) -> LabelledMasks {
    masks_of(&folder().join(name), &MaskOptions::default()).unwrap()
}

fn resample() -> MaskOptions {
    MaskOptions { resample: true, label: None }
}

/// What the file holds as JSON: number, name and voxels (slice, row, column) of each label.
fn found(masks: &LabelledMasks) -> Value {
    let of = masks.regions().map(|(label, region)| {
        let voxels: Vec<[i64; 3]> = region.cells().map(|[i, j, k]| [k, j, i]).collect();
        serde_json::json!({ "number": label.number, "name": label.name, "voxels": voxels })
    });
    of.collect()
}

#[test]
fn every_kind_of_segmentation_and_contour_has_the_voxels_that_were_drawn() {
    let want: Value = serde_json::from_slice(&std::fs::read(folder().join("want.json")).unwrap()).unwrap();
    for (name, want) in want.as_object().unwrap() {
        let masks = masks(&format!("{name}.dcm"));
        assert_eq!(found(&masks), *want, "{name}");
        assert_eq!(masks.grid.shape, [6, 10, 12], "{name}");
    }
}

#[test]
fn names_and_codes_come_along() {
    let binary = masks("binary.dcm");
    let liver = &binary.labels()[0];
    let code = liver.code.as_ref().unwrap();
    assert_eq!(
        (code.value.as_str(), code.scheme.as_str(), code.meaning.as_str()),
        ("10200004", "SCT", "Liver")
    );
    assert_eq!(liver.category.as_ref().unwrap().value, "91772007");
    let structures = masks("structures.dcm");
    assert_eq!(structures.labels()[0].code, liver.code);
    assert_eq!(structures.labels()[1].code, None);
}

#[test]
fn overlapping_segments_are_kept_apart_and_never_merged() {
    let binary = masks("binary.dcm");
    let [overlap] = binary.overlaps()[..] else { panic!("{:?}", binary.overlaps()) };
    assert_eq!((overlap.labels, overlap.voxels), ([1, 2], 6));
    assert!(binary.flat().unwrap_err().to_string().contains("1 and 2 overlap in 6"));
    let cyst =
        masks_of(&folder().join("binary.dcm"), &MaskOptions { label: Some("CYST".into()), resample: false });
    assert_eq!(cyst.unwrap().flat().unwrap().labels.iter().filter(|v| **v == 2).count(), 12);
    assert!(masks("labelmap.dcm").overlaps().is_empty());
}

#[test]
fn what_was_decided_is_said() {
    let said = |name: &str, words: &str| {
        let notes = masks(name).notes;
        assert!(notes.iter().any(|note| note.contains(words)), "{name}: {notes:?}");
    };
    said("fractional.dcm", "at least half");
    said("structures.dcm", "3 slices of region 2 between others without a contour stay empty");
    assert!(masks("binary.dcm").notes.is_empty(), "{:?}", masks("binary.dcm").notes);
}

#[test]
fn a_mask_covers_the_pixels_of_the_slice_that_is_shown() {
    let (loader, masks) = (loader(), masks("binary.dcm"));
    for (slice, want) in [(2, vec![(0, 48), (1, 12)]), (1, vec![(0, 48)]), (5, vec![])] {
        let mut media = series();
        media.view = View { slice: Some(SliceAt::Index(slice)), ..View::default() };
        let picture = loupe_core::MediaLoader::load(&loader, &media).unwrap();
        let on = on_picture(&masks, &picture.origin, [picture.width(), picture.height()]).unwrap();
        let areas: Vec<(usize, usize)> = on.iter().map(|(n, mask)| (*n, mask.area_px())).collect();
        assert_eq!(areas, want, "slice {slice}");
    }
}

/// The image's labels as NIfTI on a grid of their own.
fn nifti(dir: &Path, shape: (usize, usize, usize), map: LpsFromIndex, label: [usize; 3]) -> PathBuf {
    let mut labels = Array3::zeros(shape);
    labels[label] = 3;
    let path = dir.join("labels.nii.gz");
    let volume = LabelVolume { labels, lps_from_index: map, names: Default::default() };
    std::fs::write(&path, label_bytes(&volume).unwrap()).unwrap();
    path
}

#[test]
fn a_label_map_lies_where_its_matrix_says() {
    let dir = tempfile::tempdir().unwrap();
    let own = image().volume.lps_from_index;
    let where_is = |path: &Path, options: &MaskOptions| {
        let masks = masks_of(path, options)?;
        Ok::<_, MediaError>((masks.region(0).cells().collect::<Vec<_>>(), masks.notes))
    };
    let plain = MaskOptions::default();
    let (cells, notes) = where_is(&nifti(dir.path(), (6, 10, 12), own, [4, 3, 2]), &plain).unwrap();
    assert_eq!((cells, notes.len()), (vec![[2, 3, 4]], 0));
    // Columns and slices the other way round: the same place in the patient.
    let turned = LpsFromIndex::from_columns(
        own.column(0).map(|v| -v),
        own.column(1),
        own.column(2).map(|v| -v),
        own.apply([11.0, 0.0, 5.0]),
    );
    let (cells, notes) = where_is(&nifti(dir.path(), (6, 10, 12), turned, [1, 3, 9]), &plain).unwrap();
    assert_eq!((cells, notes.len()), (vec![[2, 3, 4]], 1));
    // Voxels of half the size lie on nothing of the image's.
    let half = |axis| own.column(axis).map(|v| v / 2.0);
    let fine = LpsFromIndex::from_columns(half(0), half(1), half(2), own.apply([0.0; 3]));
    let path = nifti(dir.path(), (12, 20, 24), fine, [8, 6, 4]);
    let error = where_is(&path, &plain).unwrap_err().to_string();
    assert!(error.contains("24 × 20 × 12 voxels") && error.contains("--resample-mask"), "{error}");
    let (cells, notes) = where_is(&path, &resample()).unwrap();
    assert_eq!(cells, [[2, 3, 4]]);
    assert!(notes[0].contains("resampled"), "{notes:?}");
}

#[test]
fn a_mask_of_another_patient_or_place_is_refused() {
    let limits = DecodeLimits::default();
    let file = MaskFile::open(&loader(), &MediaRef::file(folder().join("binary.dcm"))).unwrap();
    let mut elsewhere = (*image()).clone();
    elsewhere.volume.lps_from_index.m[2][3] += 1.0;
    let error = file.onto(&elsewhere, &MaskOptions::default(), &limits).unwrap_err().to_string();
    assert!(error.contains("do not lie on the image's"), "{error}");
    let moved = file.onto(&elsewhere, &resample(), &limits).unwrap();
    assert_eq!(moved.region(0).len(), 4 * 6 * 8);
    assert!(moved.notes.iter().any(|note| note.contains("resampled")), "{:?}", moved.notes);
    let set = MaskFile::open(&loader(), &MediaRef::file(folder().join("structures.dcm"))).unwrap();
    let error = set.onto(&elsewhere, &MaskOptions::default(), &limits).unwrap_err().to_string();
    assert!(error.contains("between two slices"), "{error}");
    assert!(set.onto(&elsewhere, &resample(), &limits).unwrap().notes.iter().any(|n| n.contains("moved")));
}

#[test]
fn a_folder_with_several_masks_has_to_be_said_which() {
    let media = MediaRef { source: MediaSource::Folder(folder()), ..MediaRef::file("masks") };
    let error = MaskFile::open(&loader(), &media).unwrap_err().to_string();
    assert!(error.contains("5 segmentations and structure sets"), "{error}");
    let picture = MediaRef::file(folder().join("../pictures/grey.png"));
    assert!(matches!(MaskFile::open(&loader(), &picture).unwrap(), MaskFile::Drawn(_)));
}
