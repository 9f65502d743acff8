//! Detection figures against pycocotools.

use loupe_eval::metrics::coco_map::{Found, Params, Summary, Truth, evaluate};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn xywh(value: &Value) -> [f64; 4] {
    numbers(value).try_into().unwrap()
}

fn scene(value: &Value) -> (Vec<Truth>, Vec<Found>) {
    let truths = value["truths"].as_array().unwrap().iter().map(|t| Truth {
        image: t["image"].as_u64().unwrap() as usize,
        class: t["class"].as_u64().unwrap() as usize,
        xywh: xywh(&t["xywh"]),
        area: t["area"].as_f64(),
        crowd: t["crowd"].as_bool().unwrap(),
    });
    let founds = value["founds"].as_array().unwrap().iter().map(|f| Found {
        image: f["image"].as_u64().unwrap() as usize,
        class: f["class"].as_u64().unwrap() as usize,
        xywh: xywh(&f["xywh"]),
        score: f["score"].as_f64().unwrap(),
    });
    (truths.collect(), founds.collect())
}

fn figures(s: &Summary) -> Vec<f64> {
    [
        s.ap,
        s.ap50,
        s.ap75,
        s.ap_small,
        s.ap_medium,
        s.ap_large,
        s.ar1,
        s.ar10,
        s.ar100,
        s.ar_small,
        s.ar_medium,
        s.ar_large,
    ]
    .map(|v| v.unwrap_or(-1.0))
    .to_vec()
}

#[test]
fn equal_to_pycocotools() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/coco_map.json")).unwrap();
    for (i, case) in fixture.as_array().unwrap().iter().enumerate() {
        let (truths, founds) = scene(case);
        let got = figures(&evaluate(&truths, &founds, &Params::coco()));
        for (g, e) in got.iter().zip(numbers(&case["figures"])) {
            assert!((g - e).abs() < 1e-9, "case {i}: {got:?} instead of {:?}", numbers(&case["figures"]));
        }
    }
}

#[test]
fn equal_to_the_golden_four_images() {
    let golden: Value = serde_json::from_str(include_str!("../fixtures/detection_golden.json")).unwrap();
    let corners = |v: &Value| {
        let b = numbers(v);
        [b[0], b[1], b[2] - b[0], b[3] - b[1]]
    };
    let (mut truths, mut founds) = (Vec::new(), Vec::new());
    for (image, boxes) in golden["gt"].as_object().unwrap() {
        let image = image.parse().unwrap();
        for b in boxes.as_array().unwrap() {
            truths.push(Truth { image, class: 0, xywh: corners(b), area: None, crowd: false });
        }
        for f in golden["pred"][image.to_string()].as_array().unwrap() {
            founds.push(Found {
                image,
                class: 0,
                xywh: corners(&f["box"]),
                score: f["score"].as_f64().unwrap(),
            });
        }
    }
    let got = figures(&evaluate(&truths, &founds, &Params::coco()));
    let names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"];
    for (name, got) in names.iter().zip(got) {
        let expected = golden["coco"][name].as_f64().unwrap();
        assert!((got - expected).abs() < 1e-9, "{name}: {got} instead of {expected}");
    }
}
