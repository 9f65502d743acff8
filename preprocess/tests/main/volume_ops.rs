//! Volume operations and recipes against scipy, torch, numpy and nibabel (`volume_ops.py`).

use loupe_core::geometry::{LpsFromIndex, Point2};
use loupe_core::mask::LabelVolume;
use loupe_core::picture::Picture;
use loupe_core::volume::{Modality, Volume};
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::recipes::{RECIPES, recipe};
use loupe_preprocess::volume_ops::{
    SliceChoice, central, chosen_slices, crop_positive, montage, oriented, projected, resized,
    resized_nearest, spaced,
};
use ndarray::Array3;
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const SPACING: [f64; 3] = [1.3, 0.9, 2.5];

#[derive(Deserialize)]
struct Want {
    shape: [usize; 3],
    mean: f64,
    values: Vec<f64>,
    ras: Option<[[f64; 4]; 3]>,
}

fn wanted() -> BTreeMap<String, Want> {
    serde_json::from_str(include_str!("../volume_ops.json")).unwrap()
}

fn volume() -> Volume {
    let voxels = Array3::from_shape_fn((6, 9, 11), |(k, j, i)| {
        (((i * 37 + j * 101 + k * 59) % 97) as f32) * 25.0 - 1100.0 + (i * j) as f32
    });
    let [x, y, z] = SPACING;
    let lps_from_index = LpsFromIndex::from_columns([x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, z], [0.0; 3]);
    Volume { voxels, lps_from_index, modality: Modality::Ct }
}

fn same(name: &str, shape: [usize; 3], values: &[f64], tolerance: f64) {
    let want = &wanted()[name];
    assert_eq!(shape, want.shape, "{name}");
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((mean - want.mean).abs() <= tolerance, "{name}: mean {mean}, wanted {}", want.mean);
    for (n, w) in want.values.iter().enumerate() {
        let got = values[n * (values.len() - 1) / 40];
        assert!((got - w).abs() <= tolerance, "{name}: value {n} is {got}, wanted {w}");
    }
}

fn check(name: &str, got: &Volume, tolerance: f64) {
    let values: Vec<f64> = got.voxels.iter().map(|v| f64::from(*v)).collect();
    same(name, got.shape(), &values, tolerance);
}

fn check_picture(name: &str, got: &Picture) {
    let values: Vec<f64> = got.pixels().iter().map(|v| f64::from(*v)).collect();
    same(name, [got.height(), got.width(), got.channels()], &values, 0.0);
}

#[test]
fn resampling_equals_scipy_and_torch() {
    let (v, limits) = (volume(), DecodeLimits::default());
    // Values reach 1 400; torch computes in single precision.
    check("spaced_fine", &spaced(&v, [0.7, 1.0, 1.1], &limits).unwrap(), 2e-4);
    check("spaced_coarse", &spaced(&v, [3.1, 2.0, 4.0], &limits).unwrap(), 2e-4);
    check("resized_up", &resized(&v, [20, 13, 9], &limits).unwrap(), 1e-3);
    check("resized_down", &resized(&v, [5, 4, 3], &limits).unwrap(), 1e-3);
    check("nearest", &resized_nearest(&v, [20, 4, 9], &limits).unwrap(), 1e-4);
    assert!(spaced(&v, [0.0, 1.0, 1.0], &limits).is_err());
    let limit = spaced(&v, [1e-6, 1e-6, 1e-6], &limits).unwrap_err().to_string();
    assert!(limit.contains("--decode-max-pixels"), "{limit}");
}

#[test]
fn crops_pads_and_orientations_equal_monai_and_nibabel() {
    let v = volume();
    check("central", &central(&v, [7, 12, 4], -7.0).unwrap(), 1e-4);
    check("central_odd", &central(&v, [14, 4, 9], 0.0).unwrap(), 1e-4);
    for letters in ["RAS", "LPS", "ASR", "ILP"] {
        let turned = oriented(&v, letters).unwrap();
        check(letters, &turned, 1e-4);
        let (got, want) = (turned.lps_from_index.to_ras(), wanted()[letters].ras.unwrap());
        assert!(
            got.iter().flatten().zip(want.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-9),
            "{letters}"
        );
    }
    for bad in ["RAR", "RA", "XYZ", ""] {
        assert!(oriented(&v, bad).is_err(), "{bad}");
    }
}

#[test]
fn recipes_equal_their_formulas() {
    let (v, limits) = (volume(), DecodeLimits::default());
    let made = |name: &str| (recipe(name).unwrap().prepare)(&v, &limits).unwrap();
    // Voxels of unit range; trilinear in single precision there.
    for name in ["ct-chat", "m3d", "merlin"] {
        check(name, made(name).volume.as_ref().unwrap(), 2e-6);
    }
    let ct = made("medgemma-ct");
    assert_eq!(
        (ct.pictures.len(), ct.captions[0].as_str(), ct.captions[5].as_str()),
        (6, "SLICE 1", "SLICE 6")
    );
    check_picture("medgemma-ct", &ct.pictures[3]);
    check_picture("medgemma-ct-serving", &made("medgemma-ct-serving").pictures[3]);
    let first = made("medgemma1-ct");
    check_picture("medgemma1-ct", &first.pictures[3]);
    assert!(first.captions.is_empty());
    // One row of padding above.
    assert_eq!(first.pictures[3].origin.source_from_self.m, [[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]]);
    check_picture("medgemma-mr", &made("medgemma-mr").pictures[3]);
    let hulu = made("hulu-med");
    check_picture("hulu-med", &hulu.pictures[3]);
    // The upper right pixel of the picture is the first of the last row of the slice.
    let corner =
        hulu.pictures[3].origin.source_from_self.point(Point2::new(hulu.pictures[3].width() as f64, 0.0));
    assert_eq!((corner.x, corner.y), (0.0, hulu.pictures[3].width() as f64));
    let fleming = made("fleming-vl");
    assert_eq!(fleming.pictures.len(), 11);
    // One level of rounding where single and double precision part.
    let (got, want) = (&fleming.pictures[4], &wanted()["fleming-vl"]);
    for (n, w) in want.values.iter().enumerate() {
        let value = f64::from(got.pixels()[n * (got.pixels().len() - 1) / 40]);
        assert!((value - w).abs() <= 1.0, "{n}: {value} {w}");
    }
    let radfm = made("radfm");
    assert_eq!((radfm.pictures[0].width(), radfm.pictures[0].height()), (512, 512));
    assert_eq!(radfm.pictures[0].pixels(), made("radfm").pictures[0].pixels());
    assert!(recipe("merlim").is_err());
}

#[test]
fn long_series_are_thinned_as_published() {
    let voxels = Array3::from_shape_fn((200, 2, 2), |(k, _, _)| k as f32);
    let long = Volume { voxels, ..volume() };
    let ct = (recipe("medgemma-ct").unwrap().prepare)(&long, &DecodeLimits::default()).unwrap();
    let slices: Vec<usize> = ct.pictures.iter().map(|p| p.origin.slice.unwrap()).collect();
    assert_eq!((slices.len(), slices[0], slices[1], slices[84]), (85, 2, 5, 199));
}

#[test]
fn every_recipe_file_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/recipes");
    loupe_testing::assert_table_is_folder(&folder, RECIPES.files.iter().map(|(file, _)| *file));
    for (file, recipes) in RECIPES.files {
        assert!(recipes.iter().all(|r| r.name.replace('-', "_") == *file), "{file}");
    }
    assert!(recipe("medgemma_ct").unwrap_err().to_string().contains("did you mean \"medgemma-ct\"?"));
}

#[test]
fn slices_montage_and_projection() {
    assert_eq!(chosen_slices(10, SliceChoice::Every(4)).unwrap(), [0, 4, 8]);
    assert_eq!(chosen_slices(10, SliceChoice::Evenly(4)).unwrap(), [0, 3, 6, 9]);
    assert_eq!(chosen_slices(3, SliceChoice::Evenly(4)).unwrap(), [0, 1, 2]);
    assert_eq!(chosen_slices(2, SliceChoice::All).unwrap(), [0, 1]);
    assert!(chosen_slices(2, SliceChoice::Every(0)).is_err());
    let mut labels = LabelVolume {
        labels: Array3::zeros((10, 2, 2)),
        lps_from_index: LpsFromIndex::IDENTITY,
        names: BTreeMap::new(),
    };
    let around = |labels: &LabelVolume| chosen_slices(10, SliceChoice::Around { labels, margin: 2 });
    assert!(around(&labels).is_err());
    labels.labels[[1, 0, 1]] = 3;
    labels.labels[[4, 1, 1]] = 1;
    assert_eq!(around(&labels).unwrap(), [0, 1, 2, 3, 4, 5, 6]);

    let grey = |v: u8| Picture::new(2, 1, 1, vec![v, v + 1]).unwrap();
    let sheet = montage(&[grey(1), grey(3), grey(5)], 2).unwrap();
    assert_eq!((sheet.width(), sheet.height(), sheet.pixels()), (4, 2, &[1, 2, 3, 4, 5, 6, 0, 0][..]));

    let v = volume();
    let mip = projected(&v, 1).unwrap();
    assert_eq!(mip.shape(), [6, 1, 11]);
    let most = (0..9).map(|j| v.voxels[[2, j, 5]]).fold(f32::MIN, f32::max);
    assert_eq!(mip.voxels[[2, 0, 5]], most);
    assert_eq!(mip.lps_from_index.column(3), [0.0, 4.0 * 0.9, 0.0]);
    let foreground = crop_positive(&v);
    assert!(foreground.voxels.iter().any(|x| *x > 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A voxel that survives an operation is where it was in the patient.
    #[test]
    fn places_are_kept(w in 1usize..9, h in 1usize..9, d in 1usize..9, pick in 0usize..48) {
        let base = volume();
        let x = central(&base, [w, h, d], f32::NAN).unwrap();
        let letters = ["RAS", "LPS", "ASR", "ILP", "PIR", "SAL"][pick % 6];
        let y = oriented(&x, letters).unwrap();
        for ((k, j, i), value) in y.voxels.indexed_iter() {
            let at = base.lps_from_index.index_of(y.lps_from_index.apply([i as f64, j as f64, k as f64])).unwrap();
            let [a, b, c] = at.map(|n| n.round() as i64);
            let inside = (0..11).contains(&a) && (0..9).contains(&b) && (0..6).contains(&c);
            prop_assert_eq!(inside, value.is_finite());
            if inside {
                prop_assert_eq!(*value, base.voxels[[c as usize, b as usize, a as usize]]);
            }
        }
    }
}
