//! Published facts about real files, where `LOUPE_TEST_DATA` names their folder: `EXPECTED/expected.json`
//! and what the data sets' own makers wrote beside them.

use loupe_core::geometry::{LpsFromIndex, Point2};
use loupe_core::{Picture, Plane, SliceAt, View, Volume};
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::series::{Content, Options, load_folder, load_volume};
use loupe_preprocess::dicom::{Image, seg};
use loupe_preprocess::nifti::Xform;
use loupe_preprocess::volume_io::{ReadVolume, labels_of, open_volume};
use loupe_testing::real_data;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The entry of expected.json whose file begins so.
fn expected(file: &str) -> Value {
    let folder = real_data("EXPECTED").expect("EXPECTED lies beside the data");
    let all: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let checks = all["checks"].as_array().unwrap();
    let found = checks.iter().find(|c| c["file"].as_str().unwrap().starts_with(file));
    found.unwrap_or_else(|| panic!("nothing is expected of {file}"))["value"].clone()
}

fn open(path: &Path, frame: usize) -> ReadVolume {
    open_volume(path, frame, Xform::Nibabel, &DecodeLimits::default())
        .unwrap_or_else(|e| panic!("{path:?}: {e}"))
}

/// Every voxel of `theirs` has the value that `ours` has at the same place in the patient.
fn agree(ours: &Volume, theirs: &Volume, name: &str) {
    assert_eq!(ours.voxels.len(), theirs.voxels.len(), "{name}");
    let index = |map: &LpsFromIndex, lps| map.index_of(lps).unwrap();
    for ((k, j, i), value) in theirs.voxels.indexed_iter() {
        let lps = theirs.lps_from_index.apply([i as f64, j as f64, k as f64]);
        let at = index(&ours.lps_from_index, lps);
        assert!(at.iter().all(|v| (v - v.round()).abs() < 2e-2), "{name}: {at:?} is between voxels");
        let [x, y, z] = at.map(|v| v.round() as usize);
        assert_eq!(ours.voxels.get([z, y, x]), Some(value), "{name}: voxel {i} {j} {k}");
    }
}

#[test]
fn twelve_bits_in_mosaics_equal_dcm2niix() {
    let Some(folder) = real_data("dcm_qa_12bit") else { return };
    let want = expected("dcm_qa_12bit");
    let cases = [
        ("12bitUnsigned.dcm", "2.nii", "2 unsigned"),
        ("12bitUnsigned_0x0F0F.dcm", "3.nii", "3 unsigned dirty high bits"),
        ("12bitSigned_0x0F0F.dcm", "4.nii", "4 SIGNED dirty high bits"),
    ];
    for (file, reference, entry) in cases {
        let (volume, _) = load_volume(&folder.join("In").join(file), &Options::default()).unwrap();
        let ends = |f: fn(f32, f32) -> f32| volume.voxels.iter().copied().reduce(f).unwrap();
        let (low, high) = (ends(f32::min), ends(f32::max));
        assert_eq!(
            [f64::from(low), f64::from(high)],
            [want[entry]["min"].as_f64().unwrap(), want[entry]["max"].as_f64().unwrap()],
            "{file}"
        );
        agree(&volume, &open(&folder.join("Ref").join(reference), 0).volume, file);
    }
}

#[test]
fn time_series_equal_dcm2niix_voxel_by_voxel() {
    let Some(folder) = real_data("dcm_qa_nih") else { return };
    let want = expected("dcm_qa_nih/In/20180918GE/mr_0004");
    let series = load_folder(&folder.join("In/20180918GE/mr_0004"), &Options::default()).unwrap();
    let [one] = series.as_slice() else { panic!("{} series", series.len()) };
    let Ok(Content::Volumes(phases)) = &one.content else { panic!("no volumes") };
    let [slices, rows, columns] = phases[0].volume.shape();
    assert_eq!(want["shape"], serde_json::json!([columns, rows, slices, phases.len()]));
    let near = phases[0].volume.spacing_mm().map(|v| (v * 1e4).round() / 1e4);
    assert_eq!(want["spacing"], serde_json::json!(near));
    for (n, phase) in phases.iter().enumerate() {
        let theirs = open(&folder.join("Ref/DCM2NIIX_regression_test_4.nii"), n);
        agree(&phase.volume, &theirs.volume, &format!("volume {n}"));
    }
}

#[test]
fn the_liver_of_dcmqi_lies_where_its_nrrd_says() {
    let Some(folder) = real_data("dcmqi") else { return };
    let want = expected("dcmqi/liver.dcm");
    let limits = DecodeLimits::default();
    let found = seg::read(limits.read_file(&folder.join("liver.dcm")).unwrap(), &limits).unwrap();
    assert_eq!(want["segment"], found.segments[0].title());
    let labels = found.on_own_grid(&limits).unwrap().flat().unwrap();
    let inside = labels.labels.iter().filter(|l| **l > 0).count();
    assert_eq!(want["voxels"], inside);
    let [slices, rows, columns] = labels.labels.dim().into();
    assert_eq!(want["shape"], serde_json::json!([columns, rows, slices]));
    let mask = Volume {
        voxels: labels.labels.mapv(|l| f32::from(l > 0)),
        lps_from_index: labels.lps_from_index,
        modality: loupe_core::Modality::Labels,
    };
    let theirs = open(&folder.join("liver_seg.nrrd"), 0).volume;
    agree(&mask, &Volume { voxels: theirs.voxels.mapv(|v| f32::from(v > 0.0)), ..theirs }, "liver");
    // And on the grid of the CT that it was drawn on.
    let (ct, _) = load_volume(&folder.join("ct-3slice"), &Options::default()).unwrap();
    let grid = loupe_core::Grid { shape: ct.shape(), lps_from_index: ct.lps_from_index };
    assert_eq!(found.onto(grid, &limits).unwrap().region(0).len(), inside);
}

#[test]
fn the_breast_lesion_of_pyradiomics_has_its_published_volume() {
    let Some(folder) = real_data("pyradiomics") else { return };
    let want = expected("pyradiomics")["breast1"]["VoxelVolume"].as_f64().unwrap();
    let mask = open(&folder.join("breast1_label.nrrd"), 0);
    let image = open(&folder.join("breast1_image.nrrd"), 0);
    assert_eq!(mask.volume.shape(), image.volume.shape());
    let labels = labels_of(&mask).unwrap();
    let inside = labels.labels.iter().filter(|l| **l == 1).count() as f64;
    let volume_mm3 = inside * mask.volume.spacing_mm().iter().product::<f64>();
    assert!((volume_mm3 / want - 1.0).abs() < 1e-9, "{volume_mm3} mm³, published {want}");
}

#[test]
fn totalsegmentator_counts_and_intensities_are_met() {
    let Some(folder) = real_data("totalseg") else { return };
    let text = std::fs::read(folder.join("example_seg_fast/statistics.json")).unwrap();
    let want: Value = serde_json::from_slice(&text).unwrap();
    let ct = open(&folder.join("example_ct_sm.nii.gz"), 0).volume;
    for name in ["liver", "spleen", "aorta", "kidney_left", "kidney_right"] {
        let mask = open(&folder.join(format!("example_seg_fast/{name}.nii.gz")), 0).volume;
        let inside: Vec<f64> = mask
            .voxels
            .iter()
            .zip(&ct.voxels)
            .filter(|(m, _)| **m > 0.0)
            .map(|(_, v)| f64::from(*v))
            .collect();
        let volume_mm3 = inside.len() as f64 * mask.spacing_mm().iter().product::<f64>();
        let mean_hu = inside.iter().sum::<f64>() / inside.len() as f64;
        assert!((volume_mm3 - want[name]["volume"].as_f64().unwrap()).abs() < 0.5, "{name}: {volume_mm3}");
        assert!((mean_hu - want[name]["intensity"].as_f64().unwrap()).abs() < 1e-5, "{name}: {mean_hu}");
    }
    // The scan that it was made from, as DICOM in JPEG 2000: twenty slices of 2 mm from the feet up.
    let (scan, _) = load_volume(&folder.join("example_ct_dicom"), &Options::default()).unwrap();
    assert_eq!(scan.shape(), [20, 512, 512]);
    assert!((scan.spacing_mm()[2] - 2.0).abs() < 1e-6 && scan.lps_from_index.determinant() > 0.0);
}

/// One head stored in several axis orders: the same pictures in every plane, at the same places.
#[test]
fn one_head_in_several_axis_orders_gives_the_same_pictures() {
    let Some(folder) = real_data("nifti_orient") else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.to_string_lossy().ends_with(".nii.gz"));
    assert!(files.len() >= 6, "{} files", files.len());
    for plane in [Plane::Axial, Plane::Coronal, Plane::Sagittal] {
        let slice = Some(SliceAt::Share(0.4));
        let shots = files.iter().map(|f| open(f, 0).picture(&View { plane, slice, ..View::default() }));
        let shots: Vec<Picture> = shots.map(Result::unwrap).collect();
        for shot in &shots {
            assert_eq!(shot.pixels(), shots[0].pixels(), "{plane:?}");
            let corner = |p: &Picture| p.origin.lps_of(Point2::new(3.0, 5.0)).unwrap();
            assert!(corner(shot).iter().zip(corner(&shots[0])).all(|(a, b)| (a - b).abs() < 1e-3));
        }
    }
}

/// A single slice of every transfer syntax that the folders hold can be shown.
#[test]
fn every_image_of_the_standard_s_own_set_is_shown() {
    let Some(folder) = real_data("wg04") else { return };
    let mut shown = 0;
    let mut open = vec![folder];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            if bytes.get(128..132) == Some(b"DICM") {
                let image = Image::parse(bytes, &DecodeLimits::default()).unwrap();
                image.picture(&View::default()).unwrap_or_else(|e| panic!("{e}"));
                shown += 1;
            }
        }
    }
    assert!(shown > 0);
}
