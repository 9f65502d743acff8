//! `loupe embed` from outside, on a tiny random SigLIP (made by `models/tests/parity/make_siglip.py`).

use crate::common::{loupe, source, text};
use serde_json::Value;

#[test]
fn images_and_texts_are_compared_as_the_reference_does_and_what_fails_fails_alone() {
    let folder = source("tests/siglip");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let (model, image) = (folder.to_str().unwrap().to_owned(), folder.join("picture.png"));
    let mut args = vec!["embed", "nowhere.png", image.to_str().unwrap(), "--model", &model];
    let texts = expected["texts"].as_array().unwrap();
    args.extend(texts.iter().flat_map(|t| ["--text", t.as_str().unwrap()]));
    let printed = loupe(&args);
    assert_eq!(printed.status.code(), Some(1));
    assert!(text(&printed.stderr).contains("nowhere.png"), "{}", text(&printed.stderr));
    args.push("--json");
    let found: Value = serde_json::from_slice(&loupe(&args).stdout).unwrap();
    assert!(found["images"][0]["error"].as_str().unwrap().contains("does not exist"));
    assert_eq!(found["images"][1]["vector"].as_array().unwrap().len(), 16);
    let matches = found["matches"].as_array().unwrap();
    assert_eq!(matches.len(), texts.len());
    for (n, found) in matches.iter().enumerate() {
        assert_eq!((found["image"].as_u64(), found["text"].as_u64()), (Some(1), Some(n as u64)));
        for (field, wanted) in [("logit", "logits"), ("probability", "probabilities")] {
            let off = found[field].as_f64().unwrap() - expected[wanted][n].as_f64().unwrap();
            assert!(off.abs() <= 2e-5, "{field} {n}: {off}");
        }
    }
    let line = format!("{:6.2} %  {}", 100.0 * matches[0]["probability"].as_f64().unwrap(), "a chest x ray");
    assert!(text(&printed.stdout).contains(&line), "{}", text(&printed.stdout));
}

#[test]
fn an_encoder_is_needed_and_crops_are_refused() {
    let folder = source("tests/siglip");
    let (model, image) = (folder.to_str().unwrap().to_owned(), folder.join("picture.png"));
    let image = image.to_str().unwrap();
    let none = loupe(&["embed", image]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("--model"), "{}", text(&none.stderr));
    let crops = loupe(&["embed", image, "--model", &model, "--pan-and-scan"]);
    assert!(text(&crops.stderr).contains("--pan-and-scan"), "{}", text(&crops.stderr));
    let asked = loupe(&["ask", image, "what?", "--model", &model]);
    assert!(text(&asked.stderr).contains("to be compared"), "{}", text(&asked.stderr));
}
