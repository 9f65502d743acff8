//! Masks of real data read with the right geometry and measured as their publishers measured them.
//! Needs `LOUPE_TEST_DATA`.

use crate::common::real_data;
use loupe_core::measure::{intensities, solid};
use loupe_core::sample::Target;
use loupe_core::{Mask, MediaLoader, MediaRef, Picture};
use loupe_preprocess::volume_io::labels_of;
use loupe_preprocess::{DecodeLimits, Loader};

fn near(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{what}: {got}, not {expected}");
}

/// pyradiomics' published baseline of its test case breast1 (`baseline_shape.csv`,
/// `baseline_firstorder.csv`): volume, diameters, mean and spread.
#[test]
fn pyradiomics_breast1() {
    let Some(folder) = real_data("pyradiomics") else { return };
    let loader = Loader::new(DecodeLimits::default());
    let image = loader.load_volume(&MediaRef::file(folder.join("breast1_image.nrrd"))).unwrap();
    let read = loader.load_volume(&MediaRef::file(folder.join("breast1_label.nrrd"))).unwrap();
    let labels = labels_of(&read).unwrap();
    let m = solid(&labels, 1);
    assert_eq!(m.voxels, 143);
    near("VoxelVolume", m.volume_mm3, 132.425_795_455_153_24);
    near("Maximum3DDiameter", m.longest_mm, 9.081_018_608_33);
    near("Maximum2DDiameterSlice", m.longest_in_slice_mm, 8.399_793_710_27);
    let under = labels.labels.iter().zip(&image.volume.voxels).filter(|(l, _)| **l == 1);
    let values = intensities(under.map(|(_, v)| f64::from(*v))).unwrap();
    near("Mean", values.mean, 131.125_874_125_874_13);
    near("Variance", values.sd.powi(2), 257.354_785_075_064_85);
    assert_eq!((values.min, values.max), (102.0, 162.0));
}

fn mask(picture: &Picture) -> Mask {
    let bits = picture.pixels().chunks_exact(picture.channels()).map(|p| p.iter().any(|v| *v > 0)).collect();
    Mask::new(picture.width(), picture.height(), bits).unwrap()
}

/// SAM-Med2D's demonstration masks through the reader of the set: areas and boxes (inclusive corners)
/// computed with numpy.
#[test]
fn sam_med2d_demonstration() {
    let Some(folder) = real_data("sam_med2d_demo") else { return };
    let loader = Loader::new(DecodeLimits::default());
    let set = loupe_datasets::open("sa-med2d", &folder, Some("test")).unwrap();
    let mut found = 0;
    for row in 0..set.len() {
        let sample = set.get(row).unwrap();
        let Target::Masks(masks) = &sample.target else { panic!("{}", sample.id) };
        for labelled in masks {
            let expected = match labelled.at.name.rsplit('/').next().unwrap() {
                "amos_0004_75_aorta_000.png" => ([289., 203., 316., 230.], 530),
                "amos_0004_75_inferior_vena_cava_000.png" => ([228., 232., 262., 257.], 651),
                "amos_0004_75_liver_000.png" => ([153., 237., 222., 295.], 3012),
                _ => continue,
            };
            let mask = mask(&loader.load(&labelled.at).unwrap());
            assert_eq!((mask.bounding_box().unwrap().xyxy(), mask.area_px()), expected, "{}", sample.id);
            found += 1;
        }
    }
    assert_eq!(found, 3);
}

/// The liver of dcmqi's DICOM segmentation and the NRRD made of it: the same voxels and volume.
#[test]
fn dcmqi_liver() {
    let Some(folder) = real_data("dcmqi") else { return };
    let limits = DecodeLimits::default();
    let bytes = std::fs::read(folder.join("liver.dcm")).unwrap();
    let segmentation = loupe_preprocess::dicom::seg::read(bytes, &limits).unwrap();
    let segmentation = segmentation.on_own_grid(&limits).unwrap().flat().unwrap();
    let read = Loader::new(limits).load_volume(&MediaRef::file(folder.join("liver_seg.nrrd"))).unwrap();
    let nrrd = labels_of(&read).unwrap();
    let of = |labels: &loupe_core::LabelVolume| solid(labels, 1);
    let (a, b) = (of(&segmentation), of(&nrrd));
    assert_eq!((a.voxels, b.voxels), (107_098, 107_098));
    near("volume", a.volume_mm3, b.volume_mm3);
    near("longest diameter", a.longest_mm, b.longest_mm);
}

/// TotalSegmentator's example: every structure lies inside the CT and has a finite mean.
#[test]
fn totalsegmentator_example() {
    let Some(folder) = real_data("totalseg") else { return };
    let loader = Loader::new(DecodeLimits::default());
    let ct = loader.load_volume(&MediaRef::file(folder.join("example_ct_sm.nii.gz"))).unwrap();
    let read = loader.load_volume(&MediaRef::file(folder.join("example_seg.nii.gz"))).unwrap();
    let labels = labels_of(&read).unwrap();
    assert_eq!(labels.labels.dim(), ct.volume.voxels.dim());
    let mut voxels = std::collections::BTreeMap::<u16, Vec<f64>>::new();
    for (label, value) in labels.labels.iter().zip(&ct.volume.voxels).filter(|(l, _)| **l > 0) {
        voxels.entry(*label).or_default().push(f64::from(*value));
    }
    assert!(!voxels.is_empty());
    let each = labels.lps_from_index.determinant().abs();
    for (label, values) in voxels {
        let m = solid(&labels, label);
        near("volume", m.volume_mm3, values.len() as f64 * each);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        near("mean", intensities(values.into_iter()).unwrap().mean, mean);
        assert!(m.longest_mm >= m.longest_in_slice_mm);
    }
}
