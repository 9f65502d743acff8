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

/// From a run of the embedded model over phantoms to pages, answers and an analysis.
#[test]
fn a_run_becomes_a_blinded_study_and_its_answers_readings() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let out = loupe(&["phantom", "--out", &at("data"), "--seed", "77", "--studies", "3", "--quiet"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let data = format!("jsonl={}", at("data/grounding/grounding.jsonl"));
    json(&[
        "eval",
        "--data",
        &data,
        "--limit",
        "6",
        "--max-new-tokens",
        "48",
        "-o",
        &at("run"),
        "--quiet",
        "--json",
    ]);
    let design = "[study]\ntitle = 'With and without marks'\nseed = 5\nsessions = 1\n[cases]\nrun = 'run'\nshow_question = true\n\
                  [[arm]]\nname = 'unaided'\n[[arm]]\nname = 'aided'\nrun = 'run'\nshow = ['marks']\n\
                  [[reader]]\ncode = 'a'\n[[reader]]\ncode = 'b'\n[[question]]\npack = 'localisation'\n";
    std::fs::write(at("study.toml"), design).unwrap();
    let made = json(&["study", "build", &at("study.toml"), "-o", &at("pages"), "--json"]);
    assert_eq!((made["pages"].as_array().unwrap().len(), &made["left_out"]), (2, &serde_json::json!([])));
    let page = std::fs::read_to_string(dir.path().join("pages/a/study.html")).unwrap();
    for hidden in ["phantom-vl", "grounding.jsonl", "unaided", &dir.path().display().to_string()] {
        assert!(!page.contains(hidden), "{hidden}");
    }
    let key = std::fs::read_to_string(dir.path().join("pages/key.json")).unwrap();
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    assert_eq!(key["cases"].as_array().unwrap().len(), 6);
    assert!(
        key["cases"]
            .as_array()
            .unwrap()
            .iter()
            .all(|c| c["truth"] == true && c["lesions"][0]["xyxy"][0].is_f64())
    );
    if let Some(mut browser) = loupe_testing::Browser::start([1400, 900]) {
        browser.open(&dir.path().join("pages/a/study.html"));
        browser.wait("document.querySelector('.message button.main')");
        browser.press("Enter");
        browser.wait("document.querySelector('.panel h2')?.textContent === 'Case 1 of 12'");
        browser.assert_quiet();
    }
    std::fs::write(at("mine.json"), "{}").unwrap();
    let ended =
        loupe(&["study", "collect", &at("mine.json"), "--key", &at("pages/key.json"), "-o", &at("readings")]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("mine.json: this is no file of answers"), "{}", text(&ended.stderr));
    // Two images and an earlier study side by side, with a lesion that is seen on all of them.
    let mut studies: Vec<_> =
        std::fs::read_dir(at("data/studies")).unwrap().map(|e| e.unwrap().path()).collect();
    studies.sort();
    let [one, two] = [0, 1].map(|n| studies[n].join("slice.png").display().to_string());
    let list = |second: usize| {
        let prior = studies[2].join("slice.png").display().to_string();
        format!("case,image,prior,truth,lesions\nc1,{one};{two},{prior},1,a@0:1,2,30,40;a@{second}/0:5,6,30,40;a@prior/0:7,8,30,40\n")
            .replace(",a@", ",\"a@").replace("40\n", "40\"\n")
    };
    let design = design
        .replace("run = 'run'\nshow_question = true", "list = 'list.csv'")
        .replace("[[arm]]\nname = 'aided'\nrun = 'run'\nshow = ['marks']\n", "")
        .replace("[[reader]]\ncode = 'b'\n", "");
    std::fs::write(at("side.toml"), design).unwrap();
    std::fs::write(at("list.csv"), list(2)).unwrap();
    json(&["study", "build", &at("side.toml"), "-o", &at("side"), "--json"]);
    let key = std::fs::read_to_string(dir.path().join("side/key.json")).unwrap();
    let key: serde_json::Value = serde_json::from_str(&key).unwrap();
    let lesions = key["cases"][0]["lesions"].as_array().unwrap();
    let series: Vec<_> = lesions.iter().map(|l| l["series"].as_u64().unwrap_or(0)).collect();
    assert_eq!((series, &key["cases"][0]["prior"]), (vec![0, 1, 2], &serde_json::json!(2)));
    std::fs::write(at("list.csv"), list(3)).unwrap();
    let ended = loupe(&["study", "build", &at("side.toml"), "-o", &at("side")]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("on a further image of the row"), "{}", text(&ended.stderr));
}
