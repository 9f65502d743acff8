//! `loupe study analyse` from outside.

use crate::common::{json, loupe, source, text};

fn readings() -> String {
    source("crates/study/tests/fixtures/imrmc_example.csv").display().to_string()
}

#[test]
fn a_file_of_readings_becomes_numbers_tables_and_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().display().to_string();
    let args =
        ["study", "analyse", &readings(), "-o", &out, "--threshold", "1.0", "--resamples", "50", "--json"];
    let document = json(&args);
    let merit = |name: &str| {
        document["merits"].as_array().unwrap().iter().find(|m| m["merit"] == name).unwrap().clone()
    };
    let random = &merit("auc")["comparison"]["results"][0];
    assert!((random["f"].as_f64().unwrap() - 3.275_394_921_641_718).abs() < 1e-9);
    assert_eq!(merit("sensitivity")["each"].as_array().unwrap().len(), 10);
    assert_eq!(document["changes"][0]["readers"].as_array().unwrap().len(), 5);
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("analysis.json")).unwrap()).unwrap();
    assert_eq!(written, document);
    let page = std::fs::read_to_string(dir.path().join("study.html")).unwrap();
    assert!(page.contains("default-src 'none'") && page.contains("<svg") && !page.contains("<script"));
    let exported = std::fs::read_to_string(dir.path().join("exports/ratings.imrmc")).unwrap();
    assert!(exported.contains("BEGIN DATA:\ntruth,n1,truth,0\n"));
}

#[test]
fn a_name_that_the_file_does_not_have_is_answered_with_the_nearest() {
    let ended = loupe(&["study", "analyse", &readings(), "--model", "r11"]);
    assert_eq!(ended.status.code(), Some(2));
    let said = text(&ended.stderr);
    assert!(said.contains("the file has no reader") && said.contains("did you mean"), "{said}");
}
