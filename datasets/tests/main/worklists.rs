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
fn a_study_is_one_row() {
    let text = "study_id,images\na,1.png\nb,2.png\na,3.png\n,4.png\n,5.png\n";
    let dir = folder(&[("w.csv", text)]);
    let set = open_with_images("worklist", &dir.path().join("w.csv"), None, None).unwrap();
    let problems = (0..set.len()).map(|row| set.get(row).map_or_else(|e| e.to_string(), |s| s.id));
    let expected = [
        "w.csv, line 2: study \"a\": its study_id is that of line 4 too; a study is one row, with all of its images",
        "b",
        "w.csv, line 4: study \"a\": its study_id is that of line 2 too; a study is one row, with all of its images",
        "w.csv, line 5: \"study_id\" is missing or empty",
        "w.csv, line 6: \"study_id\" is missing or empty",
    ];
    assert_eq!(problems.collect::<Vec<_>>(), expected);
    let dir = folder(&[("w.csv", "study_id;images\na;1.png\n")]);
    let set = open_with_images("worklist", &dir.path().join("w.csv"), None, None).unwrap();
    assert!(set.get(0).unwrap_err().to_string().contains("commas stand between them"));
}

#[test]
fn nothing_of_a_row_is_dropped() {
    let row = |more: &str| {
        let dir = folder(&[("w.jsonl", &format!("{{\"study_id\": \"s\", {more}}}"))]);
        let set = open_with_images("worklist", &dir.path().join("w.jsonl"), None, None).unwrap();
        set.get(0).map_err(|e| e.to_string())
    };
    for (more, said) in [
        (r#""images": ["a.png", null]"#, "image 2 of \"images\" has no name"),
        (r#""images": [["a.png"]]"#, "image 1 of \"images\" has no name"),
        (r#""images": "a.png||b.png""#, "image 2 of \"images\" has no name"),
        (
            r#""images": ["a.png"], "prior_images": [""] , "prior_views": ["AP"]"#,
            "1 prior_views for 0 prior_images",
        ),
        (
            r#""images": [{"path": "a.png", "veiw": "PA"}]"#,
            "did you mean \"view\"?; it has path, slice, plane, frame, window, view, order",
        ),
        (r#""images": [{"path": "a.png", "view": ["PA"]}]"#, "\"view\" of an image is no text"),
        (r#""images": ["a.png"], "indication": ["Cough", "Fever"]"#, "\"indication\" is no text"),
        (r#""images": ["a.png"], "findings": {"lungs": "clear"}"#, "\"findings\" is no text"),
        (r#""images": ["a.png"], "patient": {}"#, "\"patient\" is no text"),
    ] {
        let error = row(more).unwrap_err();
        assert!(
            error.starts_with("w.jsonl, line 1: study \"s\": ") && error.contains(said),
            "{more}: {error}"
        );
    }
    let sample =
        row(r#""images": ["a.png"], "prior_images": "", "tag:truth": [{"finding": "mass"}], "tag:n": 3"#)
            .unwrap();
    assert_eq!((sample.tag("truth"), sample.tag("n")), (Some(r#"[{"finding":"mass"}]"#), Some("3")));
    assert_eq!(sample.media.len(), 1);
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

fn predicted(text: &str) -> String {
    let dir = folder(&[("test.json", text)]);
    let reports = ["a", "b\u{e9}", "c", "d"].map(|id| (id.to_owned(), format!("New \"{id}\".\n")));
    rexrank_with_predictions(&dir.path().join("test.json"), &HashMap::from(reports)).unwrap()
}

#[test]
fn nothing_but_the_prediction_is_touched() {
    for (before, after) in [
        // Numbers, escapes and spaces stay as they were written.
        (
            r#"{"a": {"n": 12345678901234567890123, "y": 1.10, "w": "\u00e9\\\"}"}, "x": {"n": 1}}"#,
            r#"{"a": {"n": 12345678901234567890123, "y": 1.10, "w": "\u00e9\\\"}", "model_prediction": "New \"a\".\n"}, "x": {"n": 1}}"#,
        ),
        // One that is there is replaced where it stands, whatever it is.
        (
            "{\"a\":{\"model_prediction\":{\"x\":[1,\"}\"]},\"n\":NaN},\"c\":{\"model_prediction\":null}}\n",
            "{\"a\":{\"model_prediction\":\"New \\\"a\\\".\\n\",\"n\":NaN},\"c\":{\"model_prediction\":\"New \\\"c\\\".\\n\"}}\n",
        ),
        // Only that of the study itself, under its own name.
        (
            "{\n  \"b\\u00e9\": {\n    \"in\": {\"model_prediction\": 1}\n  }\n}",
            "{\n  \"b\\u00e9\": {\n    \"in\": {\"model_prediction\": 1},\n    \"model_prediction\": \"New \\\"b\u{e9}\\\".\\n\"\n  }\n}",
        ),
        (
            "{\"a\": {}, \"d\": 3, \"c\": [ ]}",
            "{\"a\": {\"model_prediction\": \"New \\\"a\\\".\\n\"}, \"d\": 3, \"c\": [ ]}",
        ),
        ("{\"a\":{\"n\":-1e5}}", "{\"a\":{\"n\":-1e5, \"model_prediction\": \"New \\\"a\\\".\\n\"}}"),
        ("{ }", "{ }"),
    ] {
        assert_eq!(predicted(before), after);
    }
}
