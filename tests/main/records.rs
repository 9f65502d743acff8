//! What a run says of itself, and what a second command in its folder may change, from outside.

use crate::common::{json, loupe, put, source, text};
use serde_json::{Value, json as value};
use std::fs;
use std::path::Path;

/// A copy of the built-in checkpoint, to be edited.
fn checkpoint(dir: &Path) {
    for file in fs::read_dir(source("crates/phantom/assets/phantom-vl")).unwrap().map(Result::unwrap) {
        put(&dir.join(file.file_name()), &fs::read(file.path()).unwrap());
    }
}

fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut whole: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut whole);
    fs::write(file, whole.to_string()).unwrap();
}

/// `rows` questions about one picture.
fn questions(dir: &Path, rows: usize) {
    put(&dir.join("a.bmp"), &crate::common::bmp(40, 30, |x, y| (5 * x + y) as u8));
    let row = |n: usize| {
        value!({ "id": n.to_string(), "image": "a.bmp", "question": format!("Is it {n}?"), "answer": "yes" })
            .to_string()
    };
    put(&dir.join("data.jsonl"), ((0..rows).map(row).collect::<Vec<_>>().join("\n") + "\n").as_bytes());
}

#[test]
fn run_json_says_who_made_it_and_a_changed_checkpoint_is_refused_by_field() {
    let dir = tempfile::tempdir().unwrap();
    let (model, run) = (dir.path().join("model"), dir.path().join("run"));
    checkpoint(&model);
    questions(dir.path(), 3);
    let data = format!("jsonl={}", dir.path().join("data.jsonl").display());
    let model_name = model.display().to_string();
    let run_name = run.display().to_string();
    let args = [
        "eval",
        "--data",
        &data,
        "--model",
        &model_name,
        "-o",
        &run_name,
        "--max-new-tokens",
        "4",
        "--no-page",
    ];
    let eval = |more: &[&str]| loupe(&[&args[..], more].concat());
    let out = eval(&[]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let made: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    let session = &made["sessions"][0];
    assert_eq!(session["command"][1], "eval");
    assert_eq!((session["answered"].as_u64(), session["failed"].as_u64()), (Some(3), Some(0)));
    assert!(session["ended"].is_string() && session["commit"].as_str().is_some_and(|c| !c.is_empty()));
    let version = text(&loupe(&["--version"]).stdout);
    assert!(version.contains(session["commit"].as_str().unwrap()), "{version}");
    let record = &made["model"]["from"]["checkpoint"];
    assert_eq!(record["settings"]["pictures"]["max_pixels"], 14000);
    assert_eq!(record["generation"]["end_tokens"], value!([0, 2]));
    assert_eq!(made["limits"]["repetition_penalty"], 1.0);

    let refused = |more: &[&str], parts: &[&str]| {
        let out = eval(more);
        assert_eq!(out.status.code(), Some(2), "{more:?}");
        let said = text(&out.stderr);
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
    };
    refused(&["--max-pixels", "12000"], &["pictures.max_pixels", "14000", "12000"]);
    refused(&["--repetition-penalty", "1.2"], &["limits.repetition_penalty"]);
    let put_back = |file: &str| {
        fs::copy(source("crates/phantom/assets/phantom-vl").join(file), model.join(file)).unwrap()
    };
    edit(&model.join("preprocessor_config.json"), |p| p["image_mean"] = value!([0.4, 0.5, 0.5]));
    refused(&[], &["pictures.levels.image_mean"]);
    put_back("preprocessor_config.json");
    fs::write(
        model.join("chat_template.jinja"),
        fs::read_to_string(model.join("chat_template.jinja")).unwrap() + " ",
    )
    .unwrap();
    refused(&[], &["template_sha256"]);
    put_back("chat_template.jinja");
    edit(&model.join("generation_config.json"), |g| g["eos_token_id"] = value!(2));
    refused(&[], &["end_tokens"]);
    put_back("generation_config.json");
    // The same settings in other words, and more rows once they are asked for.
    edit(&model.join("config.json"), |c| c["transformers_version"] = value!("5.99"));
    assert!(eval(&[]).status.success());
    questions(dir.path(), 5);
    refused(&[], &["5 samples", "--extend"]);
    let out = eval(&["--extend", "--json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(summary["replies"], 5);
}

#[test]
fn the_checkpoints_penalty_and_the_built_in_model_are_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    checkpoint(&model);
    questions(dir.path(), 1);
    let picture = dir.path().join("a.bmp").display().to_string();
    let model_name = model.display().to_string();
    let ask = |more: &[&str]| {
        loupe(&[&["ask", &picture, "What is shown?", "--max-new-tokens", "4"][..], more].concat())
    };
    let quiet = ask(&["--model", &model_name]);
    assert_eq!(text(&quiet.stderr), "");
    edit(&model.join("generation_config.json"), |g| g["repetition_penalty"] = value!(1.3));
    let said = text(&ask(&["--model", &model_name]).stderr);
    assert!(said.contains("repetition_penalty 1.3 is used") && said.lines().count() == 1, "{said}");
    let said = text(&ask(&[]).stderr);
    assert!(said.contains("phantom-vl") && said.contains("synthetic") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_part_of_a_set_says_so_and_a_set_without_masks_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let row = value!({
        "qid": 1, "image_name": "a.bmp", "image_organ": "CHEST", "answer": "yes", "answer_type": "CLOSED",
        "question_type": "PRES", "question": "Is it?", "phrase_type": "freeform",
    });
    put(&dir.path().join("testset.json"), value!([row]).to_string().as_bytes());
    put(&dir.path().join("images/a.bmp"), &crate::common::bmp(40, 30, |x, _| (5 * x) as u8));
    let data = format!("vqa-rad={}", dir.path().display());
    let run = dir.path().join("run").display().to_string();
    let out = loupe(&["eval", "--data", &data, "-o", &run, "--max-new-tokens", "4"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let words = "1 of 451 published rows";
    assert!(text(&out.stdout).contains(words), "{}", text(&out.stdout));
    let summary: Value =
        serde_json::from_slice(&fs::read(Path::new(&run).join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["run"]["published_rows"], 451);
    assert!(fs::read_to_string(Path::new(&run).join("report.html")).unwrap().contains(words));
    assert!(text(&loupe(&["leaderboard", &run]).stdout).contains(words));
    let out = loupe(&["eval", "--data", &data, "--segment", "box", "-o", &format!("{run}-masks")]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("masks"), "{}", text(&out.stderr));
}

#[test]
fn a_profile_is_listed_with_its_quirks_and_stays_when_a_run_is_scored_again() {
    let listed = text(&loupe(&["list", "profiles", "huatuo-slake"]).stdout);
    assert!(listed.contains("quirk") && listed.contains("made for: slake"), "{listed}");
    let unknown = loupe(&["list", "profiles", "huatuo-slaek"]);
    assert!(text(&unknown.stderr).contains("huatuo-slake"), "{}", text(&unknown.stderr));
    let dir = tempfile::tempdir().unwrap();
    questions(dir.path(), 2);
    let data = format!("jsonl={}", dir.path().join("data.jsonl").display());
    let run = dir.path().join("run").display().to_string();
    let args = ["eval", "--data", &data, "-o", &run, "--max-new-tokens", "4", "--profile", "karma"];
    assert!(loupe(&args).status.success());
    assert!(
        fs::read_to_string(Path::new(&run).join("report.html")).unwrap().contains("reproduced on purpose")
    );
    let again = json(&["score", &run, "--json", "--no-page"]);
    let names: Vec<&str> =
        again["profiles"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.len() == 2 && names[1].starts_with("compat:karma@"), "{names:?}");
    let out = loupe(&["score", &run, "--no-page"]);
    assert!(
        !text(&out.stderr).contains("report.html"),
        "an old page is not announced: {}",
        text(&out.stderr)
    );
}
