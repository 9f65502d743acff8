//! MedVision's figures against the functions of that repository (fixture: `make/medvision.py`).

use loupe_core::PictureRecord;
use loupe_core::{Box2, Labelled, MeasureUnit, Measurement, Sample, Score, Target};
use loupe_eval::profiles::{self, CRASH, HarnessProfile, HarnessSums};
use loupe_testing::assert_close;
use loupe_testing::dataset::worded;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/medvision.json")).unwrap()
}

fn profile() -> &'static dyn HarnessProfile {
    profiles::PROFILES.get("medvision").copied().unwrap()
}

fn numbers(target: &Value) -> Vec<f64> {
    target
        .as_array()
        .map_or_else(|| vec![target.as_f64().unwrap()], |l| l.iter().map(|v| v.as_f64().unwrap()).collect())
}

/// The references in loupe's own types: boxes of a picture of 640 × 480 pixels, lengths, angles.
fn typed(target: &Value) -> (Sample, Vec<PictureRecord>) {
    const SIZE: [usize; 2] = [640, 480];
    let [width, height] = SIZE.map(|n| n as f64);
    let all = numbers(target);
    let target = match all[..] {
        [x0, y0, x1, y1] => Target::Boxes(vec![Labelled {
            picture: 0,
            label: "liver".into(),
            at: Box2::new(x0 * width, (1.0 - y1) * height, x1 * width, (1.0 - y0) * height),
            reader: None,
        }]),
        _ => {
            let one = |value: &f64| Measurement { name: String::new(), value: *value, unit: MeasureUnit::Mm };
            Target::Measurements(all.iter().map(one).collect())
        }
    };
    (Sample { target, ..worded("", &[]) }, vec![PictureRecord::without_pixels(SIZE)])
}

#[test]
fn every_row_and_every_figure() {
    let mut compared = 0;
    for (task, set) in fixture().as_object().unwrap() {
        for own_types in [false, true] {
            let mut sums = HarnessSums::default();
            for row in set["rows"].as_array().unwrap() {
                let (sample, seen) = match own_types {
                    true => typed(&row["target"]),
                    false => (worded(&row["target"].to_string(), &[]), Vec::new()),
                };
                let reply = row["reply"].as_str().unwrap();
                let judged = profile().score_seen(&sample, reply, &seen);
                let part = |name: &str| {
                    let script = match name {
                        "IoU" | "F1" | "Precision" | "Recall" => format!("{task} summarize: {name}"),
                        "MAE" | "MRE" => format!("{task} parse_outputs: avg{name}"),
                        name => format!("{task} parse_outputs: {name}"),
                    };
                    judged.parts.iter().find(|(n, _)| *n == script).map(|(_, v)| *v)
                };
                assert_eq!(part("SuccessRate") == Some(1.0), row["success"].as_bool().unwrap(), "{reply:?}");
                for name in ["MAE", "MRE", "IoU", "F1", "Precision", "Recall"] {
                    match row[name].as_f64() {
                        // Both sides of a relative error of a reference of 0 are of the order of 1e15.
                        Some(expected) => assert_close(name, part(name).unwrap(), expected, 2e-7),
                        None => assert_eq!(part(name), None, "{task} {name} {reply:?}"),
                    }
                    compared += 1;
                }
                sums.add_row(&judged);
            }
            let figures = profile().figures(&sums);
            for script in ["parse_outputs", "summarize"] {
                for (name, expected) in set[script].as_object().unwrap() {
                    // summarize repeats the means of errors that parse_outputs has.
                    let shared =
                        script == "summarize" && matches!(name.as_str(), "avgMAE" | "avgMRE" | "SuccessRate");
                    let from = if shared { "parse_outputs" } else { script };
                    let name = format!("{task} {from}: {name}");
                    let found = figures.iter().find(|f| f.name == name);
                    match (found.map(|f| &f.value), expected.as_f64()) {
                        (Some(Score::Value(value)), Some(expected)) => {
                            assert_close(&name, *value, expected, 2e-7);
                        }
                        (None, None) => {}
                        (None, Some(n)) if name.ends_with("num_samples") => {
                            assert_eq!(sums.n(&format!("{task} parse_outputs: SuccessRate")) as f64, n);
                        }
                        other => panic!("{name}: {other:?}"),
                    }
                    compared += 1;
                }
            }
        }
        for row in set["stopped"].as_array().unwrap() {
            let judged =
                profile().score(&worded(&row["target"].to_string(), &[]), row["reply"].as_str().unwrap());
            assert_eq!(judged.rule, CRASH);
        }
    }
    assert!(compared > 5_000, "{compared}");
}

#[test]
fn boxes_need_the_size_of_the_picture() {
    let (sample, seen) = typed(&serde_json::json!([0.1, 0.2, 0.5, 0.6]));
    assert_eq!(profile().score(&sample, "0.1, 0.2, 0.5, 0.6").rule, "not applicable");
    let judged = profile().score_seen(&sample, "0.1, 0.2, 0.5, 0.6", &seen);
    let iou = judged.parts.iter().find(|(n, _)| n == "Detection summarize: IoU").unwrap().1;
    assert!((iou - 1.0).abs() < 1e-6);
    let worded = worded("left lung", &[]);
    assert_eq!(profile().score(&worded, "0.1").rule, "not applicable");
}
