//! Masks of real data read with the right geometry and measured as their publishers measured them.
//! Needs `LOUPE_TEST_DATA`.

use crate::common::real_data;
use loupe_app::measure::{MaskOptions, MeasureOptions, measure};
use loupe_app::open::ImageOptions;
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

/// All fourteen shape values of that baseline, and those of `loupe measure`'s document.
#[test]
fn pyradiomics_shape_of_breast1() {
    let Some(folder) = real_data("pyradiomics") else { return };
    let table = std::fs::read_to_string(folder.join("baseline/baseline_shape.csv")).unwrap();
    let mut rows = csv_rows(&table);
    let heads = rows.next().unwrap();
    let column = heads.iter().position(|name| name == "breast1").unwrap();
    let document = measure(&MeasureOptions {
        image: "breast1".to_owned(),
        media: MediaRef::file(folder.join("breast1_image.nrrd")),
        images: ImageOptions::default(),
        mask: folder.join("breast1_label.nrrd"),
        mask_options: MaskOptions::default(),
    })
    .unwrap();
    let shape = document.labels[0].shape.as_ref().unwrap();
    let json = serde_json::to_value(shape).unwrap();
    let mut met = 0;
    for row in rows {
        if let Some(name) = row[0].strip_prefix("original_shape_") {
            let (_, value, _) = shape.named().into_iter().find(|(n, ..)| *n == name).unwrap();
            near(name, value.unwrap(), row[column].parse().unwrap());
            assert_eq!(json[name], value.unwrap());
            met += 1;
        }
    }
    assert_eq!(met, 14);
}

/// Rows of a table whose cells may be quoted.
fn csv_rows(table: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    table.lines().map(|line| {
        let parts = line.split('"').enumerate();
        let cells = parts.map(|(n, part)| if n % 2 == 1 { part.replace(',', ";") } else { part.to_owned() });
        cells.collect::<String>().split(',').map(str::to_owned).collect()
    })
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

/// TotalSegmentator's published volumes and mean HU of its example.
#[test]
fn totalsegmentator_example() {
    let Some(folder) = real_data("totalseg") else { return };
    let text = std::fs::read(folder.join("example_seg_fast/statistics.json")).unwrap();
    let want: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for name in ["liver", "spleen", "aorta", "kidney_left", "kidney_right"] {
        let document = measure(&MeasureOptions {
            image: name.to_owned(),
            media: MediaRef::file(folder.join("example_ct_sm.nii.gz")),
            images: ImageOptions::default(),
            mask: folder.join(format!("example_seg_fast/{name}.nii.gz")),
            mask_options: MaskOptions::default(),
        })
        .unwrap();
        let [label] = document.labels.as_slice() else { panic!("{document:?}") };
        let (solid, values) = (label.solid.as_ref().unwrap(), label.intensities.as_ref().unwrap());
        assert!((solid.volume_mm3 - want[name]["volume"].as_f64().unwrap()).abs() < 0.5, "{name}: {solid:?}");
        assert!((values.mean - want[name]["intensity"].as_f64().unwrap()).abs() < 1e-5, "{name}: {values:?}");
    }
}

/// Segments that overlap partly, beside the volumes that dcmqi made of each.
#[test]
fn dcmqi_segments_that_overlap_are_measured_whole() {
    let Some(folder) = real_data("dcmqi") else { return };
    let options = MeasureOptions {
        image: "ct".to_owned(),
        media: MediaRef {
            source: loupe_core::MediaSource::Folder(folder.join("ct-3slice")),
            ..MediaRef::file("ct")
        },
        images: ImageOptions::default(),
        mask: folder.join("partial_overlaps.dcm"),
        mask_options: MaskOptions::default(),
    };
    let document = measure(&options).unwrap();
    assert!(!document.overlaps.is_empty(), "{document:?}");
    // dcmqi puts segments that do not overlap into one file.
    let loader = Loader::new(DecodeLimits::default());
    let mut theirs = Vec::new();
    for n in 1..4 {
        let path = folder.join(format!("partial_overlaps-{n}.nrrd"));
        let labels = labels_of(&loader.load_volume(&MediaRef::file(path)).unwrap()).unwrap();
        let mut numbers: Vec<u16> = labels.labels.iter().copied().filter(|v| *v > 0).collect();
        numbers.sort_unstable();
        theirs.extend(numbers.chunk_by(|a, b| a == b).map(<[u16]>::len));
    }
    let mut ours: Vec<usize> = document.labels.iter().map(|l| l.solid.as_ref().unwrap().voxels).collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
}

/// A structure set of rt-utils, whose frame of reference is its own: the instances say whose it is.
#[test]
fn rt_utils_structure_set() {
    let Some(folder) = real_data("rtutils") else { return };
    let dir = tempfile::tempdir().unwrap();
    for name in ["ct_1.dcm", "ct_2.dcm"] {
        std::fs::copy(folder.join(name), dir.path().join(name)).unwrap();
    }
    let document = measure(&MeasureOptions {
        image: "ct".to_owned(),
        media: MediaRef {
            source: loupe_core::MediaSource::Folder(dir.path().to_owned()),
            ..MediaRef::file("ct")
        },
        images: ImageOptions::default(),
        mask: folder.join("rt.dcm"),
        mask_options: MaskOptions::default(),
    })
    .unwrap();
    assert!(document.labels.iter().any(|l| l.solid.as_ref().unwrap().voxels > 0), "{document:?}");
}
