#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
use super::*;
use crate::fakes::{Outlines, Script, info, write_ct};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// What `loupe ask` prints as JSON and draws, with scripted models in place of checkpoints.
fn asked(words: &[&str], mut look: Option<Look>, script: &mut Script) -> (Value, Vec<Picture>) {
    let args = Line::parse_from(["ask"].iter().chain(words)).args;
    let (words, paths) = args.words.split_last().unwrap();
    let loader = args.images.loader();
    let question = Question::read(&args, paths, words.clone(), &loader).unwrap();
    let answered = question.ask(script, look.as_mut(), &loader, &mut ()).unwrap();
    let document = answered.document(&question, script.info()).unwrap();
    (document, answered.overlays(&question, &loader).unwrap())
}

fn ct(dir: &tempfile::TempDir) -> String {
    let file = dir.path().join("ct.nii.gz");
    write_ct(&file);
    file.to_str().unwrap().to_owned()
}

#[test]
fn another_slice_another_window_a_zoom_and_a_box_in_slice_pixels_and_millimetres() {
    let dir = tempfile::tempdir().unwrap();
    let mut script = Script::new(&[
        r#"{"slice": 3}"#,
        r#"{"window": "lung"}"#,
        r#"[{"bbox_2d": [2, 4, 6, 8], "label": "there"}]"#,
        r#"[{"bbox_2d": [0, 0, 6, 6], "label": "nodule"}]"#,
    ]);
    let ct = ct(&dir);
    let words = [ct.as_str(), "--slice", "1", "Where is the nodule?"];
    let (said, drawn) = asked(&words, Some(Look::plain("loupe")), &mut script);
    let names: Vec<&str> = said["trace"]["rounds"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["action"]["name"].as_str())
        .collect();
    assert_eq!(names, ["slice", "window", "zoom"]);
    let shown = &script.asks.last().unwrap().pictures;
    assert_eq!(
        shown.iter().map(|p| p.origin.slice).collect::<Vec<_>>(),
        [Some(1), Some(3), Some(3), Some(3)]
    );
    assert_eq!(shown[2].origin.window.unwrap().width, 1500.0);
    // The zoom shows columns 1.6–6.4 and rows 3.6–8.4, whole pixels outwards: 1–7 and 3–9, doubled.
    let found = &said["boxes"][0];
    assert_eq!(found["label"], "nodule");
    assert_eq!(found["slice"], 3);
    assert_eq!(found["source_xyxy"], json!([1.0, 3.0, 4.0, 6.0]));
    assert_eq!(found["size_mm"], json!([1.5, 6.0]));
    // Edges of pixel (1, 3): half a pixel before its centre; slice 3 of 3 mm from 30 mm.
    assert_eq!(found["corners_lps_mm"][0], json!([-9.75, -15.0, 39.0]));
    // Another slice than the one given: the box is not on the given picture.
    assert_eq!(said["reply"].get("boxes"), None);
    // One overlay for the slice that was given, one for the slice that was gone to.
    assert_eq!(drawn.iter().map(|p| p.origin.slice).collect::<Vec<_>>(), [Some(1), Some(3)]);
    assert!(drawn[1].pixels().iter().any(|v| *v != drawn[1].pixels()[0]));
}

#[test]
fn a_box_found_in_a_zoom_is_on_the_picture_that_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut script =
        Script::new(&[r#"[{"bbox_2d": [2, 4, 6, 8]}]"#, r#"[{"bbox_2d": [0, 0, 6, 6], "label": "nodule"}]"#]);
    let ct = ct(&dir);
    let (said, _) = asked(&[&ct, "--slice", "1", "Where?"], Some(Look::plain("loupe")), &mut script);
    assert_eq!(said["reply"]["boxes"][0]["picture"], 0);
    assert_eq!(said["reply"]["boxes"][0]["box"], json!({"x0": 1.0, "y0": 3.0, "x1": 4.0, "y1": 6.0}));
}

#[test]
fn a_mark_and_an_outline_with_a_segmenter() {
    let dir = tempfile::tempdir().unwrap();
    let ct = ct(&dir);
    let words = [ct.as_str(), "--slice", "2", "--window", "20/100", "Is it round?"];
    for (asks, action) in
        [(r#"{"mark": [[2, 4, 6, 8]]}"#, "mark"), (r#"{"segment": [2, 4, 6, 8]}"#, "segment")]
    {
        let mut look = Look::plain("loupe");
        look.segmenter = Some(Box::new(Outlines(info("outlines"))));
        let mut script = Script::new(&[asks, "Yes"]);
        let (said, _) = asked(&words, Some(look), &mut script);
        let round = &said["trace"]["rounds"][0];
        assert_eq!((&round["action"]["name"], &said["reply"]["text"]), (&json!(action), &json!("Yes")));
        let region = &round["action"]["regions"][0]["box"];
        assert_eq!(*region, json!({"x0": 2.0, "y0": 4.0, "x1": 6.0, "y1": 8.0}));
        assert_eq!(script.asks[1].pictures.len(), 2);
    }
    // Without a segmenter the model is told so and answers all the same.
    let mut script = Script::new(&[r#"{"segment": [2, 4, 6, 8]}"#, "Yes"]);
    let (said, _) = asked(&words, Some(Look::plain("loupe")), &mut script);
    assert!(said["trace"]["rounds"][0]["error"].as_str().unwrap().contains("no segmentation model"));
    assert_eq!(said["reply"]["text"], "Yes");
}

#[test]
fn two_models_debate() {
    let dir = tempfile::tempdir().unwrap();
    let ct = ct(&dir);
    let mut look = Look::plain("second-opinion");
    look.second = Some(Box::new(Script::new(&["no", "no"])));
    let mut script = Script::new(&["yes", "no"]);
    let (said, _) = asked(&[&ct, "Is it round?"], Some(look), &mut script);
    assert_eq!(said["reply"]["text"], "no");
    assert_eq!(said["trace"]["rounds"].as_array().unwrap().len(), 4);
}
