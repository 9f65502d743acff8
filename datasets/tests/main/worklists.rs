use super::{open, rows, samples};
use loupe_core::study::Projection;
use loupe_core::{MediaSource, SliceAt, Study, Target};
use loupe_datasets::{open_with_images, rexrank_with_predictions};
use loupe_testing::{folder, put};
use std::collections::HashMap;

const ROW: &str = r#"{"study_id": "s1", "images": [{"path": "b.png", "view": "LATERAL", "order": 2}, {"path": "a.png", "view": "PA", "order": 1}], "prior_images": [{"path": "old.dcm", "view": "AP", "slice": 3}], "indication": "Cough.", "technique": "Two views.", "comparison": "2019", "prior_report": "Clear.", "age": 64, "sex": "F", "patient": "p7", "reference": {"findings": "Lungs clear.", "impression": "Normal."}, "tag:site": "north"}"#;

#[test]
fn a_study_has_views_priors_and_what_is_known_beside() {
    let dir = folder(&[("w.jsonl", ROW)]);
    let [sample] = <[_; 1]>::try_from(samples("worklist", dir.path(), "all")).unwrap();
    let names: Vec<&str> = sample.media.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a.png", "b.png", "old.dcm"]);
    assert_eq!(sample.media[2].view.slice, Some(SliceAt::Index(3)));
    let study = Study::of(&sample);
    let views: Vec<_> = study.images.iter().map(|i| (i.projection(), i.prior)).collect();
    assert_eq!(
        views,
        [
            (Some(Projection::Frontal), false),
            (Some(Projection::Lateral), false),
            (Some(Projection::Frontal), true)
        ]
    );
    assert_eq!((study.indication.as_deref(), study.age_band.as_deref()), (Some("Cough."), Some("60-69")));
    assert_eq!((study.prior_report.as_deref(), study.sex.as_deref()), (Some("Clear."), Some("F")));
    assert_eq!((sample.group.as_str(), sample.tag("site")), ("p7", Some("north")));
    let Target::Report(sections) = &sample.target else { panic!("{:?}", sample.target) };
    assert_eq!(sections["impression"], "Normal.");
}

#[test]
fn a_table_says_the_same() {
    let table = "study_id,images,views,prior_images,indication,findings,impression\n\
                 s1,a.png|b.png,PA|,old.png,\"Cough, fever.\",Lungs clear.,Normal.\n\
                 s2,a.png,,,,,\n";
    let dir = folder(&[("w.csv", table)]);
    let all = samples("worklist", dir.path(), "all");
    let study = Study::of(&all[0]);
    assert_eq!(study.images.iter().map(|i| i.view.as_deref()).collect::<Vec<_>>(), [Some("PA"), None, None]);
    assert_eq!(study.images.iter().map(|i| i.prior).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(study.indication.as_deref(), Some("Cough, fever."));
    assert!(matches!(&all[0].target, Target::Report(s) if s.len() == 2));
    assert_eq!((&all[1].target, Study::of(&all[1]).has_prior()), (&Target::Unknown, false));
}

#[test]
fn a_broken_row_costs_that_study_alone() {
    let lines = [
        r#"{"study_id": "ok", "images": ["a.png"]}"#,
        r#"{"study_id": "none", "images": []}"#,
        r#"{"images": ["a.png"]}"#,
        r#"{"study_id": "typo", "images": ["a.png"], "indicaton": "x"}"#,
        r#"{"study_id": "out", "images": ["../a.png"]}"#,
        r#"{"study_id": "views", "images": ["a.png"], "views": ["PA", "AP"]}"#,
        r#"{"study_id": "age", "images": ["a.png"], "age": "old"}"#,
        r#"{"study_id": "ref", "images": ["a.png"], "reference": {"findings": 3}}"#,
    ];
    let dir = folder(&[("w.jsonl", &lines.join("\n"))]);
    let set = open("worklist", dir.path(), "all");
    let said: Vec<String> =
        rows(set.as_ref()).into_iter().map(|r| r.map_or_else(|e| e.to_string(), |s| s.id)).collect();
    let wanted = [
        "ok",
        "\"images\" names no image",
        "\"study_id\" is missing",
        "did you mean \"indication\"",
        "leaves the dataset's folder",
        "2 views for 1 images",
        "\"age\" is no number",
        "\"findings\" of \"reference\" is no text",
    ];
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.contains(wanted), "{said}: {wanted}");
    }
}

#[test]
fn images_may_lie_elsewhere() {
    let (dir, images) = (folder(&[("w.jsonl", r#"{"study_id": "s", "images": ["x/a.png"]}"#)]), folder(&[]));
    let set = open_with_images("worklist", dir.path(), None, Some(images.path())).unwrap();
    let sample = set.get(0).unwrap();
    assert_eq!(sample.media[0].source, MediaSource::File(images.path().join("x/a.png")));
    assert_eq!(set.root(), Some(images.path()));
}

const REXRANK: &str = r#"{
    "CXR1": {"image_path": ["images/1/a.png", "images/1/b.png"], "key_image_path": "images/1/a.png", "context": "Age:60-70.\nGender:F.\nIndication: Cough.\nComparison: None.", "frontal_lateral": ["Frontal", "Lateral"], "section_findings": "Clear – lungs.", "section_impression": "Normal.", "report": "x", "score": 0.10000000000000001},
    "CXR2": {"image_path": ["images/2/a.png"], "context": "", "frontal_lateral": ["Frontal"], "section_findings": "", "section_impression": "Nodule."}
}"#;

#[test]
fn rexrank_comes_in_and_goes_back_unchanged_but_for_the_prediction() {
    let dir = folder(&[]);
    put(&dir.path().join("test.json"), REXRANK.as_bytes());
    let all = samples("rexrank", &dir.path().join("test.json"), "all");
    let study = Study::of(&all[0]);
    assert_eq!((all[0].id.as_str(), all[0].media.len()), ("CXR1", 2));
    assert_eq!(study.images[1].projection(), Some(Projection::Lateral));
    assert_eq!((study.indication.as_deref(), study.comparison.as_deref()), (Some("Cough."), None));
    assert!(matches!(&all[1].target, Target::Report(s) if s.len() == 1 && s["impression"] == "Nodule."));

    let reports = HashMap::from([("CXR1".to_owned(), "Findings: A.\nImpression: \"B\".".to_owned())]);
    let text = rexrank_with_predictions(&dir.path().join("test.json"), &reports).unwrap();
    let mut back: serde_json::Value = serde_json::from_str(&text).unwrap();
    let said = back["CXR1"].as_object_mut().unwrap().remove("model_prediction").unwrap();
    assert_eq!(said, reports["CXR1"]);
    assert_eq!(back, serde_json::from_str::<serde_json::Value>(REXRANK).unwrap());
    let places = ["CXR1", "image_path", "key_image_path", "section_impression", "CXR2"]
        .map(|word| text.find(&format!("{word:?}")));
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains('–'));
}
