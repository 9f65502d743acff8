//! Mask metrics against DeepMind's surface-distance, MedPy and MONAI's definition.

use loupe_core::Score;
use loupe_eval::metrics::mask_overlap::{BothEmpty, dice, iou, medplib};
use loupe_eval::metrics::region::{Region, unravel};
use loupe_eval::metrics::surface::{Elements, SurfaceDistances};
use loupe_eval::metrics::{boundary, surface};
use loupe_testing::assert_near;
use serde_json::Value;

fn value(score: &Score) -> f64 {
    match score {
        Score::Value(v) => *v,
        Score::Unscored(why) => panic!("{why}"),
    }
}

fn numbers<const N: usize>(v: &Value) -> [f64; N] {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>().try_into().unwrap()
}

#[track_caller]
fn near(what: &str, got: f64, expected: f64) {
    assert_near(what, got, expected, 1e-6);
}

fn check<const N: usize>(case: &Value)
where
    Region<N>: Elements<N>,
{
    let shape: [usize; N] = numbers::<N>(&case["shape"]).map(|n| n as usize);
    let mask =
        |k: &str| Region::new(shape, case[k].as_str().unwrap().bytes().map(|b| b == b'1').collect()).unwrap();
    let (a, b, spacing) = (mask("a"), mask("b"), numbers::<N>(&case["spacing"]));
    let e = |k: &str| case[k].as_f64().unwrap();
    near("dice", value(&dice(&a, &b, BothEmpty::Unscored)), e("dice"));
    let d: SurfaceDistances = surface::distances(&a, &b, spacing).unwrap();
    near("hd95", value(&d.hausdorff_mm(95.0)), e("hd95"));
    near("hd100", value(&d.hausdorff_mm(100.0)), e("hd100"));
    near("nsd", value(&d.surface_dice(1.0)), e("nsd1"));
    let (mean, expected) = (d.mean_mm().unwrap(), numbers::<2>(&case["mean"]));
    near("there", mean[0], expected[0]);
    near("back", mean[1], expected[1]);
    let d = boundary::distances(&a, &b, spacing).unwrap();
    near("hd95_medpy", value(&d.hd95_medpy_mm()), e("hd95_medpy"));
    near("hd95_monai", value(&d.hd95_monai_mm()), e("hd95_monai"));
    near("assd_medpy", value(&d.assd_pooled_mm()), e("assd_medpy"));
    near("assd_monai", value(&d.assd_pooled_mm()), e("assd_monai"));
    near("assd of means", value(&d.assd_of_means_mm()), e("assd_means"));
}

#[test]
fn equal_to_the_packages_in_two_and_three_dimensions() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../fixtures/segmentation.json")).unwrap();
    for case in &cases {
        match case["shape"].as_array().unwrap().len() {
            2 => check::<2>(case),
            _ => check::<3>(case),
        }
    }
    assert!(cases.len() >= 12);
}

#[test]
fn equal_to_the_golden_ellipsoids() {
    let golden: Value = serde_json::from_str(include_str!("../fixtures/segmentation_golden.json")).unwrap();
    let shape = numbers::<3>(&golden["shape"]).map(|n| n as usize);
    let spacing = numbers::<3>(&golden["spacing"]);
    let ellipsoid = |v: &Value| {
        let (centre, radius) = (numbers::<3>(&v[0]), numbers::<3>(&v[1]));
        let inside = |at: usize| {
            let place = unravel(at, shape);
            (0..3).map(|a| ((place[a] as f64 - centre[a]) / radius[a]).powi(2)).sum::<f64>() <= 1.0
        };
        Region::new(shape, (0..shape.iter().product()).map(inside).collect()).unwrap()
    };
    for (name, masks) in golden["cases"].as_object().unwrap() {
        let (a, b) = (ellipsoid(&masks[0]), ellipsoid(&masks[1]));
        let values = &golden["values"][name];
        let e = |k: &str| values[k].as_f64().unwrap();
        assert_eq!(
            [a.count() as u64, b.count() as u64],
            [values["vol"][0].as_u64().unwrap(), values["vol"][1].as_u64().unwrap()]
        );
        near("dice", value(&dice(&a, &b, BothEmpty::Unscored)), e("dice"));
        let d = surface::distances(&a, &b, spacing).unwrap();
        near("hd95", value(&d.hausdorff_mm(95.0)), e("hd95"));
        near("hd100", value(&d.hausdorff_mm(100.0)), e("hd100"));
        near("nsd", value(&d.surface_dice(2.0)), e("nsd2"));
        let (mean, expected) = (d.mean_mm().unwrap(), numbers::<2>(&values["assd"]));
        near("there", mean[0], expected[0]);
        near("back", mean[1], expected[1]);
        let d = boundary::distances(&a, &b, spacing).unwrap();
        near("medpy", value(&d.hd95_medpy_mm()), e("hd95_voxel_medpy_style"));
        near("monai", value(&d.hd95_monai_mm()), e("hd95_voxel_monai_style_max_of_percentiles"));
    }
}

#[test]
fn empty_masks_follow_the_stated_convention() {
    let (empty, one) = (
        Region::new([2, 2], vec![false; 4]).unwrap(),
        Region::new([2, 2], vec![true, false, false, false]).unwrap(),
    );
    assert!(matches!(dice(&empty, &empty, BothEmpty::Unscored), Score::Unscored(_)));
    assert_eq!(dice(&empty, &empty, BothEmpty::One), Score::Value(1.0));
    assert_eq!(medplib(&empty, &empty), (Score::Value(0.0), Score::Value(0.0)));
    assert_eq!(iou(&one, &empty, BothEmpty::Unscored), Score::Value(0.0));
    assert!(surface::distances(&empty, &empty, [1.0, 1.0]).is_err());
    let d = surface::distances(&one, &empty, [1.0, 1.0]).unwrap();
    assert!(matches!(d.hausdorff_mm(95.0), Score::Unscored(_)));
    assert_eq!(d.surface_dice(1.0), Score::Value(0.0));
    assert!(matches!(d.assd_mm(), Score::Unscored(_)));
    assert!(boundary::distances(&one, &empty, [1.0, 1.0]).is_err());
    let other = Region::new([1, 4], vec![true; 4]).unwrap();
    assert!(matches!(dice(&one, &other, BothEmpty::Unscored), Score::Unscored(_)));
    assert!(surface::distances(&one, &one, [0.0, 1.0]).is_err());
}
