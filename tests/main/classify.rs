//! `loupe classify` and `loupe embed` from outside on a tiny random BiomedCLIP as open_clip stores it (made by
//! `models/tests/parity/make_clip.py`).

use crate::common::{json, loupe, source, text};
use serde_json::Value;

/// The folder, its picture and what torch computes.
fn biomedclip() -> (String, String, Value) {
    let folder = source("tests/biomedclip");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let named = |file: &str| folder.join(file).to_str().unwrap().to_owned();
    (folder.to_str().unwrap().to_owned(), named("picture.png"), serde_json::from_slice(&expected).unwrap())
}

fn near(got: &Value, want: &Value) {
    let (got, want) = (got.as_f64().unwrap(), want.as_f64().unwrap());
    assert!((got - want).abs() <= 1e-5, "{got} is not {want}");
}

#[test]
fn ensembles_of_prompts_give_the_probabilities_of_the_reference() {
    let (model, image, expected) = biomedclip();
    let prompts = format!("{model}/prompts.json");
    let found = json(&["classify", &image, "--prompts", &prompts, "--model", &model, "--json"]);
    assert_eq!(found["method"], "ensembles");
    let labels = found["images"][0]["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 3);
    for label in labels {
        near(&label["probability"], &expected["zero_shot"][label["label"].as_str().unwrap()]);
    }
    assert_eq!(labels[1]["evidence"].as_array().unwrap().len(), 3);
    let best = labels
        .iter()
        .max_by(|a, b| a["probability"].as_f64().unwrap().total_cmp(&b["probability"].as_f64().unwrap()));
    assert_eq!(found["images"][0]["likeliest"], best.unwrap()["label"]);
}

#[test]
fn descriptors_are_weighed_as_the_reference_does_and_shown_as_evidence() {
    let (model, image, expected) = biomedclip();
    let descriptors = format!("{model}/descriptors.json");
    let args = ["classify", "nowhere.png", &image, "--descriptors", &descriptors, "--model", &model];
    let printed = loupe(&args);
    assert_eq!(printed.status.code(), Some(1));
    assert!(text(&printed.stderr).contains("nowhere.png"), "{}", text(&printed.stderr));
    assert!(text(&printed.stdout).contains("consolidation"), "{}", text(&printed.stdout));
    let found: Value = serde_json::from_slice(&loupe(&[&args[..], &["--json"]].concat()).stdout).unwrap();
    assert!(found["images"][0]["error"].is_string());
    for label in found["images"][1]["labels"].as_array().unwrap() {
        let want = &expected["descriptors"][label["label"].as_str().unwrap()];
        near(&label["probability"], &want["both"][0]);
        near(&label["absent_probability"], &want["both"][1]);
        for (evidence, each) in
            label["evidence"].as_array().unwrap().iter().zip(want["each"].as_array().unwrap())
        {
            near(&evidence["probability"], each);
        }
    }
}

#[test]
fn labels_go_into_templates_and_what_cannot_be_meant_is_refused() {
    let (model, image, _) = biomedclip();
    let template = ["--template", "the {} is enlarged", "--template", "{}"];
    let args =
        [&["classify", &image, "--labels", "heart, lungs", "--model", &model, "--json"], &template[..]]
            .concat();
    let found = json(&args);
    let texts = &found["images"][0]["labels"][0]["evidence"];
    assert_eq!((&texts[0]["text"], &texts[1]["text"]), (&"the heart is enlarged".into(), &"heart".into()));
    let refused = |more: &[&str]| {
        let out = loupe(&[&["classify", &image, "--model", &model], more].concat());
        assert_eq!(out.status.code(), Some(2));
        text(&out.stderr)
    };
    assert!(refused(&[]).contains("--labels"));
    assert!(refused(&["--labels", "a,a"]).contains("twice"));
    assert!(refused(&["--labels", "a", "--template", "b"]).contains("{}"));
    // A label without one of its texts would be another label.
    let long = "heart ".repeat(60);
    assert!(refused(&["--labels", &long]).contains("tokens"));
}

#[test]
fn vectors_are_written_and_images_found_by_texts() {
    let (model, image, expected) = biomedclip();
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.bmp");
    std::fs::write(&other, crate::common::bmp(30, 20, |x, _| 8 * x as u8)).unwrap();
    let (npy, parquet) = (dir.path().join("vectors.npy"), dir.path().join("vectors.parquet"));
    let other = other.to_str().unwrap();
    for file in [&npy, &parquet] {
        let out = file.to_str().unwrap();
        let args = [
            "embed",
            &image,
            other,
            "--text",
            "a chest x ray",
            "--nearest",
            "1",
            "--model",
            &model,
            "--out",
            out,
            "--json",
        ];
        let found = json(&args);
        let logit = |n: usize| found["matches"][n]["logit"].as_f64().unwrap();
        near(&found["matches"][0]["logit"], &expected["logits"][0]);
        assert_eq!(found["nearest"][0]["images"][0].as_u64(), Some(u64::from(logit(1) > logit(0))));
    }
    let bytes = std::fs::read(&npy).unwrap();
    let header = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    assert_eq!((10 + header) % 64, 0);
    let words = text(&bytes[10..10 + header]);
    assert!(words.contains("'descr': '<f4'") && words.contains("'shape': (3, 32)"), "{words}");
    let numbers: Vec<f32> =
        bytes[10 + header..].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    assert_eq!(numbers.len(), 3 * 32);
    for (got, want) in numbers.iter().zip(expected["image_embed"].as_array().unwrap()) {
        near(&f64::from(*got).into(), want);
    }
    let rows: Value = serde_json::from_slice(&std::fs::read(npy.with_extension("json")).unwrap()).unwrap();
    assert_eq!(rows["rows"][2], serde_json::json!({ "kind": "text", "of": "a chest x ray" }));
    assert!(std::fs::read(&parquet).unwrap().starts_with(b"PAR1"));
}
