//! Questions with a second look: documents and overlays.

use crate::ct::{Ct, bright_slice, loader, slice};
use loupe_app::ask::{AskAnswer, AskOptions, AskPrompt, Question, write_coco};
use loupe_app::rethink::RethinkSetup;
use loupe_app::view::Marks;
use loupe_core::{Go, Picture, View, VisionLanguageModel};
use loupe_testing::{PromptShapes, Script, script_info};
use serde_json::{Value, json};

/// The document and the overlays that come of a question.
fn asked(
    ct: &Ct,
    view: View,
    words: &str,
    mut rethink: Option<RethinkSetup>,
    script: &mut Script,
) -> (Value, Vec<Picture>) {
    let loader = loader();
    let options = AskOptions {
        images: vec![ct.name()],
        view,
        ..AskOptions::new(AskPrompt::Question(words.to_owned()))
    };
    let question = Question::read(&options, &loader).unwrap();
    let answer = question.ask(script, rethink.as_mut(), &loader).unwrap();
    let document = serde_json::to_value(answer.document(&question, script.info())).unwrap();
    (document, answer.overlays(&question, &loader, Marks::default()).unwrap())
}

#[test]
fn another_slice_another_window_a_zoom_and_a_box_in_slice_pixels_and_millimetres() {
    let ct = Ct::write();
    let mut script = Script::new(&[
        r#"{"slice": 3}"#,
        r#"{"window": "lung"}"#,
        r#"[{"bbox_2d": [2, 4, 6, 8], "label": "there"}]"#,
        r#"[{"bbox_2d": [0, 0, 6, 6], "label": "nodule"}]"#,
    ]);
    let rethink = Some(RethinkSetup::plain("loupe"));
    let (said, drawn) = asked(&ct, slice(1), "Where is the nodule?", rethink, &mut script);
    let names: Vec<&str> = said["trace"]["rounds"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["action"]["name"].as_str())
        .collect();
    assert_eq!(names, ["slice", "window", "zoom"]);
    let given = &script.asks.last().unwrap().pictures;
    assert_eq!(
        given.iter().map(|p| p.origin.slice).collect::<Vec<_>>(),
        [Some(1), Some(3), Some(3), Some(3)]
    );
    assert_eq!(given[2].origin.window.unwrap().width, 1500.0);
    // The zoom shows columns 1.6–6.4 and rows 3.6–8.4, whole pixels outwards: 1–7 and 3–9, doubled.
    let found = &said["boxes"][0];
    assert_eq!(found["image"], ct.name());
    assert_eq!(found["label"], "nodule");
    assert_eq!(found["slice"], 3);
    assert_eq!(found["source_xyxy"], json!([1.0, 3.0, 4.0, 6.0]));
    assert_eq!(found["size_mm"], json!([1.5, 6.0]));
    // Edges of pixel (1, 3): half a pixel before its centre; slice 3 of 3 mm from 30 mm.
    assert_eq!(found["corners_lps_mm"][0], json!([-9.75, -15.0, 39.0]));
    // Another slice than the one given: the box is not on the given picture.
    assert_eq!(said["reply"].get("findings"), None);
    // One overlay for the slice that was given, one for the slice that was gone to.
    assert_eq!(drawn.iter().map(|p| p.origin.slice).collect::<Vec<_>>(), [Some(1), Some(3)]);
    assert!(drawn[1].pixels().iter().any(|v| *v != drawn[1].pixels()[0]));
}

#[test]
fn a_box_found_in_a_zoom_is_on_the_picture_that_was_given() {
    let ct = Ct::write();
    let mut script =
        Script::new(&[r#"[{"bbox_2d": [2, 4, 6, 8]}]"#, r#"[{"bbox_2d": [0, 0, 6, 6], "label": "nodule"}]"#]);
    let rethink = Some(RethinkSetup::plain("loupe"));
    let (said, _) = asked(&ct, slice(1), "Where?", rethink, &mut script);
    assert_eq!(said["reply"]["findings"][0]["picture"], 0);
    assert_eq!(said["reply"]["findings"][0]["box"], json!({"x0": 1.0, "y0": 3.0, "x1": 4.0, "y1": 6.0}));
}

#[test]
fn a_mark_and_a_mask_with_a_segmenter() {
    let ct = Ct::write();
    for (asks, action) in
        [(r#"{"mark": [[2, 4, 6, 8]]}"#, "mark"), (r#"{"segment": [2, 4, 6, 8]}"#, "segment")]
    {
        let mut rethink = RethinkSetup::plain("loupe");
        rethink.segmenter = Some(Box::new(PromptShapes::lit(script_info("shapes"))));
        let mut script = Script::new(&[asks, "Yes"]);
        let (said, _) = asked(&ct, bright_slice(2), "Is it round?", Some(rethink), &mut script);
        let round = &said["trace"]["rounds"][0];
        assert_eq!((&round["action"]["name"], &said["reply"]["text"]), (&json!(action), &json!("Yes")));
        let region = &round["action"]["regions"][0]["box"];
        assert_eq!(*region, json!({"x0": 2.0, "y0": 4.0, "x1": 6.0, "y1": 8.0}));
        assert_eq!(script.asks[1].pictures.len(), 2);
    }
    // Without a segmenter the model is told so and answers all the same.
    let mut script = Script::new(&[r#"{"segment": [2, 4, 6, 8]}"#, "Yes"]);
    let rethink = Some(RethinkSetup::plain("loupe"));
    let (said, _) = asked(&ct, bright_slice(2), "Is it round?", rethink, &mut script);
    assert!(said["trace"]["rounds"][0]["error"].as_str().unwrap().contains("no segmentation model"));
    assert_eq!(said["reply"]["text"], "Yes");
}

#[test]
fn two_models_debate() {
    let ct = Ct::write();
    let mut rethink = RethinkSetup::plain("second-opinion");
    rethink.second = Some(Box::new(Script::new(&["no", "no"])));
    let mut script = Script::new(&["yes", "no"]);
    let (said, _) = asked(&ct, slice(1), "Is it round?", Some(rethink), &mut script);
    assert_eq!(said["reply"]["text"], "no");
    assert_eq!(said["trace"]["rounds"].as_array().unwrap().len(), 4);
}

/// A phrase is asked for in the words of the dialect, and a dialect without such words is named.
#[test]
fn the_dialect_says_how_a_place_is_asked_for() {
    let (ct, loader) = (Ct::write(), loader());
    let ground = AskPrompt::Ground("the liver".to_owned());
    let options = AskOptions { images: vec![ct.name()], view: slice(2), ..AskOptions::new(ground) };
    let question = Question::read(&options, &loader).unwrap();
    let mut script = Script::new(&[r#"[{"bbox_2d": [2, 4, 6, 8], "label": "liver"}]"#]);
    script.info.box_dialect = "qwen2.5-vl".to_owned();
    let mut pieces = Vec::new();
    let answer = question.stream(&mut script, &mut |piece| {
        pieces.push(piece.to_owned());
        Go::On
    });
    let answer = answer.unwrap();
    assert!(answer.words.starts_with("Locate the liver in the image"), "{}", answer.words);
    assert_eq!(script.asks[0].turns[0].words(), answer.words);
    assert_eq!(answer.boxes(&question)[0].source_xyxy, [2.0, 4.0, 6.0, 8.0]);
    let file = ct.dir.path().join("found.json");
    write_coco(&file, &[(question.clone(), answer)]).unwrap();
    let coco: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(coco[0]["bbox"], json!([2.0, 4.0, 4.0, 4.0]));
    assert_eq!(coco[0]["image"], format!("{}#slice=2", ct.name()));
    // A protocol's own dialect, in which nobody is asked where something is.
    let mut other = Script::new(&["There."]);
    other.info.box_dialect = "vitar".into();
    let error = question.ask(&mut other, None, &loader).unwrap_err().to_string();
    assert!(error.contains("vitar") && error.contains("--dialect (qwen2.5-vl"), "{error}");
    assert!(other.asks.is_empty(), "nothing was asked");
}

/// A reply cannot say which picture its boxes are in, so that each picture is asked about by itself.
#[test]
fn a_place_is_asked_for_on_one_picture_at_a_time() {
    let loader = loader();
    let dir = loupe_testing::scratch();
    // Two images of one name, the first without anything.
    let images: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|folder| {
            let file = dir.path().join(folder).join("x.png");
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            let grey = Picture::new(20, 10, 1, vec![90; 200]).unwrap();
            std::fs::write(&file, loupe_report::png(&grey).unwrap()).unwrap();
            file.display().to_string()
        })
        .collect();
    let prompt = AskPrompt::Ground("the mass".to_owned());
    let options = AskOptions { images: images.clone(), ..AskOptions::new(prompt) };
    let questions = Question::read(&options, &loader).unwrap().one_by_one().unwrap();
    assert_eq!(questions.len(), 3);
    let boxed = |x: u32| format!(r#"[{{"bbox_2d": [{x}, 4, 6, 8], "label": "mass"}}]"#);
    let mut script = Script::new(&["[]", &boxed(2), &boxed(3)]);
    script.info.box_dialect = "qwen2.5-vl".to_owned();
    let ask = |question: Question| {
        let answer = question.ask(&mut script, None, &loader).unwrap();
        (question, answer)
    };
    let answers: Vec<(Question, AskAnswer)> = questions.into_iter().map(ask).collect();
    assert!(script.asks.iter().all(|ask| ask.pictures.len() == 1));
    let found: Vec<String> = answers.iter().flat_map(|(q, a)| a.boxes(q)).map(|b| b.view.image).collect();
    assert_eq!(found, images[1..], "each box with its image");
    let file = dir.path().join("found.json");
    write_coco(&file, &answers).unwrap();
    let coco: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let entry =
        |n: usize| (coco[n]["image_id"].clone(), coco[n]["bbox"][0].clone(), coco[n].get("score").cloned());
    assert_eq!(entry(0), (json!(2), json!(2.0), None));
    assert_eq!(entry(1), (json!(3), json!(3.0), None));

    // A question about several pictures stays one.
    let options = AskOptions { images, ..AskOptions::new(AskPrompt::Question("What changed?".to_owned())) };
    assert_eq!(Question::read(&options, &loader).unwrap().one_by_one().unwrap().len(), 1);
}
