//! The binary from outside: what it prints, how it ends, and that a killed run loses nothing.

use crate::common::{bmp, json, loupe, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A set of our own format: `images` grey ramps, `questions` a picture.
fn small_set(dir: &Path, images: usize, questions: usize) {
    fs::create_dir_all(dir.join("images")).unwrap();
    let mut lines = String::new();
    for n in 0..images {
        let (w, h) = (40 + 7 * n, 56 + 5 * n);
        fs::write(dir.join(format!("images/{n}.bmp")), bmp(w, h, |x, y| (x * (n + 2) + y) as u8)).unwrap();
        for q in 0..questions {
            let line = serde_json::json!({
                "id": format!("{n}-{q}"),
                "images": [format!("images/{n}.bmp")],
                "question": format!("Is finding {q} present?"),
                "answer": if (n + q) % 2 == 0 { "yes" } else { "no" },
            });
            lines += &format!("{line}\n");
        }
    }
    fs::write(dir.join("data.jsonl"), lines).unwrap();
}

fn eval_args<'a>(data: &'a str, run: &'a str) -> Vec<&'a str> {
    vec![
        "eval",
        "--data",
        data,
        "--output",
        run,
        "--max-new-tokens",
        "6",
        "--quiet",
        "--batch",
        "4",
        "--no-page",
    ]
}

#[test]
fn lists_name_what_there_is() {
    for what in [
        "models",
        "datasets",
        "prompts",
        "profiles",
        "metrics",
        "protocols",
        "dialects",
        "recipes",
        "exporters",
        "windows",
    ] {
        let entries = json(&["list", what, "--json"]);
        let entries = entries.as_array().unwrap();
        assert!(!entries.is_empty(), "{what}");
        assert!(entries.iter().all(|e| e["name"].is_string() && e["about"].is_string()), "{what}");
    }
}

#[test]
fn lists_fit_a_narrow_terminal_and_are_one_line_for_programs() {
    let list = |columns: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loupe"));
        command.args(["list", "metrics"]).env_remove("COLUMNS").envs(columns.map(|n| ("COLUMNS", n)));
        text(&command.output().unwrap().stdout)
    };
    let (whole, narrow) = (list(None), list(Some("80")));
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    assert!(narrow.lines().count() > whole.lines().count());
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&narrow), words(&whole), "nothing is cut");
}

#[test]
fn wrong_use_ends_with_2_and_says_what_to_do() {
    let cases: [(&[&str], &str); 7] = [
        (&["list", "profiles", "strickt"], "did you mean \"strict\"?"),
        (&["list", "profiles", "compat:lava-med"], "did you mean \"llava-med\"?"),
        (&["eval", "--data", "vqa-rda=nowhere"], "did you mean \"vqa-rad\"?"),
        (&["eval", "--data", "vqa-rad"], "SET=DIR"),
        (&["render", "nowhere.png", "-o", "out.png"], "does not exist"),
        (&["ask", "Cargo.toml", "--model", "nowhere", "what?"], "not an image format"),
        (&["score", "nowhere"], "nowhere"),
    ];
    for (args, words) in cases {
        let out = loupe(args);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?} said: {said}");
        assert!(out.stdout.is_empty(), "{args:?}: nothing on stdout");
    }
}

/// A model that is not there is told by its own sentence, with what to do.
#[test]
fn a_model_that_is_not_there_is_said_to_be_not_there() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path(), 1, 1);
    let image = dir.path().join("images/0.bmp");
    for (model, words) in [
        (
            "publisher/no-such-model",
            "`hf download publisher/no-such-model --local-dir no-such-model` fetches it",
        ),
        ("no/such/folder", "there is no no/such/folder; --model takes the folder of a checkpoint"),
        ("tests", "config.json is missing in the checkpoint tests"),
    ] {
        let out = loupe(&["ask", image.to_str().unwrap(), "What is shown?", "--model", model]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{model}: {said}");
        assert!(said.contains(words), "{model} said: {said}");
    }
}

#[test]
fn the_embedded_model_answers_and_the_same_question_gets_the_same_answer() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path(), 1, 1);
    let image = dir.path().join("images/0.bmp");
    let ask = || {
        let out =
            loupe(&["ask", image.to_str().unwrap(), "What is shown?", "--max-new-tokens", "5", "--json"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        serde_json::from_slice::<Value>(&out.stdout).unwrap()
    };
    let (first, second) = (ask(), ask());
    assert_eq!(first["reply"]["token_ids"], second["reply"]["token_ids"]);
    assert!(first["reply"]["counts"]["prompt_tokens"].as_u64().unwrap() > 4);
    assert_eq!(first["model"]["from"]["checkpoint"]["weights_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_missing_image_is_a_failed_item_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path(), 3, 2);
    fs::remove_file(dir.path().join("images/1.bmp")).unwrap();
    let (data, run) = (format!("jsonl={}", dir.path().join("data.jsonl").display()), dir.path().join("run"));
    let out = loupe(&[&eval_args(&data, run.to_str().unwrap())[..], &["--json"]].concat());
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((summary["replies"].as_u64(), summary["failed"].as_u64()), (Some(4), Some(2)));
}

/// The complete lines of a run's replies so far, each a JSON object.
fn replies_on_disk(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("replies.jsonl")).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines: Vec<String> = complete.lines().map(str::to_owned).collect();
    for line in &lines {
        assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{line}");
    }
    lines
}

/// Kills the run at twenty moments, half of them spread over its length and half right after a reply was
/// written. After each kill the folder still holds every reply that was seen in it before; the scores end
/// byte for byte as those of a run that nobody disturbed.
#[test]
fn a_run_killed_twenty_times_ends_like_an_undisturbed_one() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path(), 5, 5);
    let data = format!("jsonl={}", dir.path().join("data.jsonl").display());
    let calm = dir.path().join("calm");
    let started = std::time::Instant::now();
    let out = loupe(&eval_args(&data, calm.to_str().unwrap()));
    assert!(out.status.success(), "{}", text(&out.stderr));
    let length = started.elapsed();
    let killed = dir.path().join("killed");
    let (mut interrupted, mut partly) = (0, 0);
    let mut kept: Vec<String> = Vec::new();
    for n in 0..20u32 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loupe"))
            .args(eval_args(&data, killed.to_str().unwrap()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if n % 2 == 0 {
            std::thread::sleep(length.mul_f64(f64::from(n * 7 % 20) / 20.0).max(Duration::from_millis(1)));
        } else {
            while replies_on_disk(&killed).len() == kept.len() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let seen = replies_on_disk(&killed);
        child.kill().unwrap();
        interrupted += usize::from(!child.wait().unwrap().success());
        let now = replies_on_disk(&killed);
        for before in [&kept, &seen] {
            assert_eq!(now.get(..before.len()), Some(&before[..]), "a reply that was on disk is gone");
        }
        partly += usize::from(now.len() > kept.len() && now.len() < 25);
        kept = now;
    }
    assert!(interrupted > 0, "no run was caught alive");
    assert!(partly > 0, "replies are written as they are done, not together at the end");
    let out = loupe(&eval_args(&data, killed.to_str().unwrap()));
    assert!(out.status.success(), "{}", text(&out.stderr));
    let read = |run: &PathBuf| fs::read(run.join("scores.json")).unwrap();
    assert_eq!(read(&calm), read(&killed));
    assert_eq!(replies_on_disk(&killed).len(), 25, "no reply was made twice");
}

#[test]
fn another_question_in_the_same_folder_is_refused_by_the_field_that_differs() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path(), 1, 2);
    let data = format!("jsonl={}", dir.path().join("data.jsonl").display());
    let run = dir.path().join("run");
    assert!(loupe(&eval_args(&data, run.to_str().unwrap())).status.success());
    let again = loupe(&[&eval_args(&data, run.to_str().unwrap())[..], &["--temperature", "0.7"]].concat());
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("limits.sampling"), "{}", text(&again.stderr));
}

#[test]
fn a_page_is_written_and_a_run_can_be_scored_again_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    small_set(dir.path(), 2, 2);
    let data = format!("jsonl={}", dir.path().join("data.jsonl").display());
    let run = dir.path().join("run");
    let args: Vec<&str> =
        eval_args(&data, run.to_str().unwrap()).into_iter().filter(|a| *a != "--no-page").collect();
    assert!(loupe(&args).status.success());
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Is finding 1 present?") && page.contains("data:image/png;base64,"));
    let scores = fs::read(run.join("scores.json")).unwrap();
    assert!(loupe(&["score", run.to_str().unwrap(), "--quiet"]).status.success());
    assert_eq!(scores, fs::read(run.join("scores.json")).unwrap());
}
