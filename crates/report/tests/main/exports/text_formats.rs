//! Formats of annotation tools and of metrics.

use super::*;
use loupe_core::mask::Rle;
use loupe_core::{Box2, DecodeLimits, Mask};
use loupe_report::check::check;
use serde_json::Value;

fn findings(study: &SourceStudy) -> Vec<(usize, Finding)> {
    let ring = (0..SIZE[0] * SIZE[1]).map(|n| {
        let (x, y) = (n % SIZE[0], n / SIZE[0]);
        (2..6).contains(&x) && (1..5).contains(&y) && (x, y) != (3, 2)
    });
    let ring = Mask::new(SIZE[0], SIZE[1], ring.collect()).unwrap();
    vec![
        (
            1,
            Finding::region(0, Box2::new(2.5, 4.0, 12.0, 8.0), view(study, 1))
                .with(Some("a <b> & \"c\"".into()), Some(0.25)),
        ),
        (
            1,
            Finding::region(0, Box2::new(0.0, 0.0, 6.0, 4.0), view(study, 1))
                .with(Some("a <b> & \"c\"".into()), None),
        ),
        (2, Finding::mask(0, Rle::of(&ring), view(study, 2))),
    ]
}

fn file(made: &Exported, name: &str) -> Vec<u8> {
    made.files.iter().find(|f| f.name == name).unwrap().bytes.clone()
}

fn json(made: &Exported, name: &str) -> Value {
    serde_json::from_slice(&file(made, name)).unwrap()
}

#[test]
fn coco_has_pictures_and_no_score_that_was_not_given() {
    let study = study();
    let made = export("coco", &study, &findings(&study), &ExportOptions::default()).unwrap();
    let found = json(&made, "findings.json");
    assert_eq!(found["images"][2]["file_name"], "images/0003-ct-slice-2.png");
    assert!(
        made.files.iter().any(|f| f.name == "images/0003-ct-slice-2.png" && f.bytes.starts_with(b"\x89PNG"))
    );
    let annotations = found["annotations"].as_array().unwrap();
    assert_eq!((annotations[0]["score"].as_f64(), annotations[1].get("score")), (Some(0.25), None));
    assert_eq!((annotations[2]["area"].as_f64(), &annotations[2]["category_id"]), (Some(15.0), &2.into()));
    let detections = json(&made, "detections.json");
    assert_eq!((&detections[0]["image_id"], &detections[0]["bbox"][0]), (&2.into(), &2.5.into()));
    assert!(made.notes.iter().any(|n| n.contains("1 of 2 detections have no score")), "{:?}", made.notes);
    let dir = loupe_testing::scratch();
    let report =
        check(file(&made, "findings.json"), None, Some(dir.path()), &DecodeLimits::default()).unwrap();
    assert!(report.problems.iter().any(|p| p.words.contains("5 of 5 pictures are not beside")), "{report:?}");
    let invented = br#"[{"bbox": [0, 0, 5, 5], "score": 1}, {"bbox": [0, 0, 0, 5], "score": 1}]"#;
    let report = check(invented.to_vec(), None, None, &DecodeLimits::default()).unwrap();
    let words: Vec<&str> = report.problems.iter().map(|p| p.words.as_str()).collect();
    assert_eq!(words, ["box 2 has no area", "all 2 scores are 1: were they given by a model?"]);
}

#[test]
fn annotation_tools_get_percentages_edges_and_runs() {
    let study = study();
    let made = export("label-studio", &study, &findings(&study), &ExportOptions::default()).unwrap();
    let tasks = json(&made, "tasks.json");
    let result = &tasks[1]["predictions"][0]["result"];
    assert_eq!(
        (result[1]["value"]["width"].as_f64(), result[1]["value"]["height"].as_f64()),
        (Some(25.0), Some(25.0))
    );
    assert_eq!((result[0]["score"].as_f64(), tasks[1]["predictions"][0].get("score")), (Some(0.25), None));
    assert!(made.notes.iter().any(|n| n.contains("holes of mask 3")), "{:?}", made.notes);
    let made = export("cvat", &study, &findings(&study), &ExportOptions::default()).unwrap();
    let text = String::from_utf8(file(&made, "annotations.xml")).unwrap();
    assert!(
        text.contains("xtl=\"2.5\" ytl=\"4\" xbr=\"12\" ybr=\"8\"><attribute name=\"score\">0.25<"),
        "{text}"
    );
    assert!(text.contains("label=\"a &lt;b&gt; &amp; &quot;c&quot;\""), "{text}");
    assert!(text.contains("rle=\"0, 5, 1, 10\" left=\"2\" top=\"1\" width=\"4\" height=\"4\""), "{text}");
}

#[test]
fn radfact_and_fhir_hold_the_places() {
    let study = study();
    let made = export("radfact", &study, &findings(&study), &ExportOptions::default()).unwrap();
    let all = json(&made, "radfact.json");
    let phrase = &all[1]["prediction"][0];
    assert_eq!(
        phrase["boxes"][1],
        serde_json::json!({"x_min": 0.0, "y_min": 0.0, "x_max": 0.25, "y_max": 0.25})
    );
    assert_eq!(all[0]["prediction"], serde_json::json!([]));
    let made = export("fhir", &study, &findings(&study), &ExportOptions::default()).unwrap();
    let bundle = json(&made, "findings.fhir.json");
    assert_eq!(bundle["entry"].as_array().unwrap().len(), 7, "a device, and two for each finding");
    let selection = &bundle["entry"][2]["resource"];
    assert_eq!(
        (&selection["studyUid"], &selection["instance"][0]["uid"]),
        (&"2.25.101".into(), &"2.25.201".into())
    );
    let flat = &selection["instance"][0]["imageRegion2D"][0]["coordinate"];
    assert_eq!(*flat, serde_json::json!([2.5, 4.0, 12.0, 4.0, 12.0, 8.0, 2.5, 8.0, 2.5, 4.0]));
    let references: Vec<&str> =
        bundle["entry"].as_array().unwrap().iter().map(|e| e["fullUrl"].as_str().unwrap()).collect();
    assert!(
        references.contains(&bundle["entry"][1]["resource"]["derivedFrom"][0]["reference"].as_str().unwrap())
    );
}
