//! Served models, from outside: runs, second looks, judges, servers that die, and batches.

use crate::common::{bmp, json, loupe, text};
use loupe_testing::server::{Do, Request, Server, refusal, says};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Twelve questions about four pictures; the odd ones are answered with yes.
fn set(dir: &Path) -> String {
    let mut lines = String::new();
    for n in 0..4 {
        fs::write(dir.join(format!("{n}.bmp")), bmp(40 + n, 30, |x, y| (x * (n + 1) + y) as u8)).unwrap();
        for q in 0..3 {
            let number = n * 3 + q;
            let answer = if number % 2 == 1 { "yes" } else { "no" };
            let line = json!({ "id": format!("s{number}"), "image": format!("{n}.bmp"),
                "question": format!("Is finding {number} present?"), "answer": answer });
            lines += &format!("{line}\n");
        }
    }
    fs::write(dir.join("set.jsonl"), lines).unwrap();
    format!("jsonl={}", dir.join("set.jsonl").display())
}

/// The number of the finding that a question asks for.
fn number(request: &Request) -> usize {
    let words = request.words();
    let digits: String =
        words.split("finding ").nth(1).unwrap_or("0").chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn truth(request: &Request) -> Do {
    says(if number(request) % 2 == 1 { "yes" } else { "no" })
}

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loupe"));
    command.args(args).env("SERVED_KEY", "k-secret-77").stdin(Stdio::null()).output().unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Everything in a folder of a run.
fn contents(dir: &Path) -> String {
    fs::read_dir(dir).unwrap().map(|e| text(&fs::read(e.unwrap().path()).unwrap_or_default())).collect()
}

#[test]
fn a_served_model_is_evaluated_like_any_other_and_its_key_shows_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (data, folder) = (set(dir.path()), dir.path().join("run"));
    let server = Server::new(|_, request| truth(request));
    let model = server.address();
    let args = [
        "eval",
        "--data",
        &data,
        "--model",
        &model,
        "-o",
        path(&folder),
        "--key-env",
        "SERVED_KEY",
        "--json",
    ];
    let out = run(&args);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(summary["failed"], 0, "{summary}");
    let made_by: Value = serde_json::from_str(&fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
    let served = &made_by["model"]["from"]["served"];
    assert_eq!(
        (&served["model"], &served["server"]),
        (&json!("m"), &json!("owned by tests, version 9.1, server fake/1"))
    );
    let replies = fs::read_to_string(folder.join("replies.jsonl")).unwrap();
    assert_eq!((replies.lines().count(), replies.matches("\"request_sha256\"").count()), (12, 12));
    let scores = fs::read_to_string(folder.join("scores.json")).unwrap();
    assert!(scores.contains("\"s11\""), "{scores}");
    // The picture went whole, before the words.
    let first = &server.questions()[0];
    let parts = first.body["messages"].as_array().unwrap().last().unwrap()["content"].as_array().unwrap();
    assert!(parts[0]["image_url"]["url"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert!(server.questions().iter().all(|q| q.head.contains("Bearer k-secret-77")));
    for said in [contents(&folder), text(&out.stdout), text(&out.stderr)] {
        assert!(!said.contains("k-secret"), "the key shows");
    }
    // Nothing is asked twice.
    assert!(run(&args).status.success());
    assert_eq!(server.questions().len(), 12);
}

#[test]
fn a_server_that_dies_ends_with_75_and_the_same_command_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (data, folder) = (set(dir.path()), dir.path().join("run"));
    let calm = dir.path().join("calm");
    let left = Arc::new(AtomicUsize::new(5));
    let alive = left.clone();
    // After five replies it resets every connection, whoever asks for what.
    let server = Server::raw(move |request| match request {
        _ if alive.load(Ordering::SeqCst) == 0 => Do::Reset,
        r if r.is("/v1/models") => Do::Answer(200, String::new(), r#"{"data": [{"id": "m"}]}"#.to_owned()),
        r if r.is("/v1/chat/completions") => {
            alive.fetch_sub(1, Ordering::SeqCst);
            truth(r)
        }
        _ => Do::Answer(404, String::new(), String::new()),
    });
    let model = server.address();
    let args = |to: &Path| {
        let words = [
            "eval",
            "--data",
            &data,
            "--model",
            &model,
            "-o",
            path(to),
            "--no-page",
            "--batch",
            "1",
            "--server-patience",
            "1",
        ];
        words.map(str::to_owned)
    };
    let go = |to: &Path| run(&args(to).each_ref().map(String::as_str));
    let out = go(&folder);
    assert_eq!(out.status.code(), Some(75), "{}", text(&out.stderr));
    let said = text(&out.stderr);
    assert!(said.contains("5 of 12 replies are on record and nothing is lost"), "{said}");
    let lines = || fs::read_to_string(folder.join("replies.jsonl")).unwrap().lines().count();
    assert_eq!(lines(), 5);
    // Still down: it cannot even be opened.
    assert_eq!(go(&folder).status.code(), Some(75));
    left.store(usize::MAX, Ordering::SeqCst);
    for to in [&folder, &calm] {
        let out = go(to);
        assert!(out.status.success(), "{}", text(&out.stderr));
    }
    assert_eq!(lines(), 12);
    let scores = |to: &Path| fs::read(to.join("scores.json")).unwrap();
    assert!(scores(&folder) == scores(&calm));
    // A model that is not there and a key that is refused need somebody, so it is another code.
    let elsewhere = model.replace("#m", "#other");
    let out = run(&["ask", "Is it?", "--model", &elsewhere]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("no model \"other\""), "{}", text(&out.stderr));
    let closed = Server::new(|_, _| refusal(401, "no"));
    let out = run(&[
        "eval",
        "--data",
        &data,
        "--model",
        &closed.address(),
        "-o",
        path(&dir.path().join("other")),
        "--no-page",
    ]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("0 of 12 replies are on record"), "{}", text(&out.stderr));
}

#[test]
fn questions_rethink_options_and_judges_take_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let data = set(dir.path());
    let server = Server::new(|_, request| match request.body["max_tokens"].as_u64() {
        Some(1) => {
            let top = json!([{ "token": "Yes", "logprob": -0.25 }, { "token": "No", "logprob": -2.0 }]);
            let content = json!([{ "token": "Yes", "logprob": -0.25, "top_logprobs": top }]);
            let choice = json!({ "message": { "content": "Yes" }, "finish_reason": "length", "logprobs": { "content": content } });
            Do::Answer(200, String::new(), json!({ "choices": [choice] }).to_string())
        }
        _ => says("yes\nVERDICT: CORRECT"),
    });
    let model = server.address();
    let image = dir.path().join("0.bmp");
    let asked =
        json(&["ask", path(&image), "Is there a disc?", "--model", &model, "--options", "yes,no", "--json"]);
    assert_eq!(asked["reply"]["text"], "yes");
    assert_eq!(asked["reply"]["served"]["options_from"], "top_logprobs");
    let asked = json(&["ask", path(&image), "Is there a disc?", "--model", &model, "--json"]);
    assert_eq!(asked["model"]["from"]["served"]["model"], "m");
    let looked = json(&[
        "ask",
        path(&image),
        "Is there a disc?",
        "--model",
        &model,
        "--rethink",
        "second-opinion",
        "--second-model",
        &model,
        "--json",
    ]);
    assert!(looked["trace"]["rounds"].as_array().is_some_and(|r| r.len() >= 2), "{looked}");
    let folder = dir.path().join("run");
    json(&[
        "eval",
        "--data",
        &data,
        "--model",
        &model,
        "-o",
        path(&folder),
        "--no-page",
        "--judge",
        &model,
        "--json",
    ]);
    assert!(fs::read_to_string(folder.join("judge.jsonl")).unwrap().contains("CORRECT"));
    // What is about a checkpoint is refused, and so is what is not served.
    let refused = |args: &[&str], words: &str| {
        let out = loupe(args);
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains(words), "{}", text(&out.stderr));
    };
    refused(
        &["ask", path(&image), "Is it?", "--model", &model, "--dtype", "f32"],
        "--dtype is about a checkpoint",
    );
    refused(&["segment", path(&image), "--model", &model, "--box", "1,1,9,9"], "is computed here");
    refused(&["ask", path(&image), "Is it?", "--model", "http://me:pw@h/v1#m"], "holds a user or a password");
}

#[test]
fn a_batch_is_written_and_its_results_make_a_run_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let (data, folder, requests) = (set(dir.path()), dir.path().join("run"), dir.path().join("requests"));
    let same = ["--data", data.as_str(), "-o", path(&folder), "--served-name", "m", "--no-page", "--json"];
    let export = |to: &Path, more: &[&str]| {
        run(&[&["batch", "export", "--requests", path(to)], &same[..], more].concat())
    };
    let out = export(&requests, &["--rows", "7"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let written: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&written["requests"], &written["replies"], written["files"].as_array().unwrap().len()),
        (&json!(12), &json!(12), 2)
    );
    let lines = fs::read_to_string(requests.join("requests-001.jsonl")).unwrap()
        + &fs::read_to_string(requests.join("requests-002.jsonl")).unwrap();
    let answered = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = Request { line: String::new(), head: String::new(), body: line["body"].clone() };
        let Do::Answer(_, _, body) = truth(&request) else { panic!() };
        let body: Value = serde_json::from_str(&body).unwrap();
        json!({ "custom_id": line["custom_id"], "response": { "status_code": 200, "body": body }, "error": null }).to_string()
    };
    let mut results: Vec<String> = lines.lines().map(answered).collect();
    results.reverse();
    let (first, second) = (dir.path().join("a.jsonl"), dir.path().join("b.jsonl"));
    fs::write(&first, results[..5].join("\n")).unwrap();
    fs::write(&second, results[5..].join("\n")).unwrap();
    let import = |file: &Path| run(&[&["batch", "import", "--results", path(file)], &same[..]].concat());
    let out = import(&first);
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(summary["missing"], 7, "{}", text(&out.stderr));
    // What is left can be written once more.
    let out = export(&dir.path().join("rest"), &[]);
    let rest: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(rest["requests"], 7);
    assert!(import(&second).status.success());
    // The same questions through a server give the same scores.
    let (live, server) = (dir.path().join("live"), Server::new(|_, request| truth(request)));
    let out = run(&["eval", "--data", &data, "-o", path(&live), "--model", &server.address(), "--no-page"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let scores = |to: &Path| fs::read(to.join("scores.json")).unwrap();
    assert!(scores(&folder) == scores(&live));
    // Other options are another run.
    let out =
        run(&[&["batch", "import", "--results", path(&second)], &same[..], &["--max-new-tokens", "9"]]
            .concat());
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("max_new_tokens"), "{}", text(&out.stderr));
}
