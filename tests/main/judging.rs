//! A language model as judge, from outside: endpoints, checkpoints, and the prompts of harnesses.

use crate::common::{json, loupe};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn said(out: &Output) -> String {
    crate::common::text(&out.stderr)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An endpoint on this machine that judges by a word in the answer, and fails when it is told to.
struct Endpoint {
    url: String,
    requests: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (requests, bodies) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, kept) = (requests.clone(), bodies.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, kept) = (counted.clone(), kept.clone());
                std::thread::spawn(move || serve(stream, &counted, &kept));
            }
        });
        Self { url, requests, bodies }
    }

    /// The command with this endpoint as judge, and its summary.
    fn judges(&self, args: &[&str]) -> (Output, Value) {
        let judge = ["--judge", &self.url, "--judge-model", "judge-7b", "--judge-key-env", "JUDGE_KEY"];
        let out = Command::new(env!("CARGO_BIN_EXE_loupe"))
            .args(args)
            .args(judge)
            .args(["--json", "--no-page"])
            .env("JUDGE_KEY", "secret-key")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let summary = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", said(&out)));
        (out, summary)
    }
}

fn serve(stream: TcpStream, requests: &AtomicUsize, bodies: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut authorised) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let lower = line.to_lowercase();
        if let Some(n) = lower.strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        authorised |= line.contains("Bearer secret-key");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let number = requests.fetch_add(1, Ordering::SeqCst);
    let body: Value = serde_json::from_slice(&body).unwrap();
    let prompt = body["messages"][0]["content"].as_str().unwrap().to_owned();
    bodies.lock().unwrap().push(body);
    // Our own prompt, or MedEvalKit's.
    let theirs = prompt.contains("<judge>");
    let mark = if theirs { "The user's answer: " } else { "Answer to judge: " };
    let answer = prompt.split(mark).nth(1).unwrap().split("\n\n").next().unwrap();
    let (status, content) = match answer {
        _ if !authorised => (401, String::new()),
        _ if number == 0 => (503, String::new()),
        a if a.contains("refuse") => (400, String::new()),
        a if a.contains("mumble") => (200, "I would rather not say.".to_owned()),
        a if theirs && a.contains("heart") => (200, "<think>no</think><judge>1</judge>".to_owned()),
        _ if theirs => (200, "<think>same</think>\n<judge>0</judge>".to_owned()),
        a if a.contains("heart") => (200, "Other organ.\nVERDICT: INCORRECT".to_owned()),
        _ => (200, "Same.\nVERDICT: CORRECT".to_owned()),
    };
    let text = json!({"choices": [{"message": {"role": "assistant", "content": content}}]}).to_string();
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
}

#[test]
fn a_judge_is_asked_once_on_record_and_its_failures_stay_failures() {
    let endpoint = Endpoint::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("replies.jsonl");
    let rows = [
        ("1", "the lung on the left"),
        ("2", "heart"),
        ("3", "mumble"),
        ("4", "refuse"),
        ("5", ""),
        ("6", "<think>left lung</think>"),
    ];
    let lines = rows.map(|(id, reply)| {
        json!({"id": id, "question": "Where?", "answer": "left lung", "response": reply}).to_string() + "\n"
    });
    fs::write(&file, lines.concat()).unwrap();
    let run = dir.path().join("run");
    let judged = |args: &[&str]| endpoint.judges(args);
    let (out, summary) = judged(&["score", "--replies", path(&file), "--output", path(&run)]);
    assert_eq!(out.status.code(), Some(1), "failures of the judge are no success");
    assert!(said(&out).contains("no verdict on 2 replies"), "{}", said(&out));
    let judge =
        summary["profiles"].as_array().unwrap().iter().find(|p| p["name"] == "judge:loupe@judge-7b").unwrap();
    assert_eq!(judge["verdicts"], json!({"correct": 1, "wrong": 1, "unparsed": 2, "unscored": 2}));
    // Right one of four: wrong, empty and thought-only count, what was not judged does not.
    assert_eq!((&judge["figures"][0]["value"], &judge["figures"][0]["unscored"]), (&json!(0.25), &json!(2)));
    assert!(
        judge["rules"].as_object().unwrap().keys().any(|r| r.contains("status 400")),
        "{}",
        judge["rules"]
    );
    assert_eq!(endpoint.requests.load(Ordering::SeqCst), 5, "four prompts and one more try");
    let body = endpoint.bodies.lock().unwrap()[0].clone();
    assert_eq!((&body["model"], &body["temperature"]), (&json!("judge-7b"), &json!(0.0)));
    let record = fs::read_to_string(run.join("judge.jsonl")).unwrap();
    assert!(record.contains("Reference answer: left lung") && !record.contains("secret-key"));
    assert_eq!(record.lines().count(), 2, "verdicts of the judge are kept, failures and mumbling are not");
    // Again: what has no verdict is asked, and only that.
    judged(&["score", path(&run)]);
    assert_eq!(endpoint.requests.load(Ordering::SeqCst), 7);
    // Nobody there: no verdict at all, and nothing in its place.
    let away = loupe(&[
        "score",
        path(&run),
        "--judge",
        "http://127.0.0.1:9/v1",
        "--judge-model",
        "other",
        "--json",
        "--no-page",
        "--quiet",
    ]);
    assert_eq!(away.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&away.stdout).unwrap();
    let judge = summary["profiles"].as_array().unwrap().last().unwrap();
    assert_eq!(judge["verdicts"], json!({"unparsed": 2, "unscored": 4}));
}

#[test]
fn the_judge_of_a_harness_fills_its_profile() {
    let endpoint = Endpoint::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("replies.jsonl");
    let row = |id: &str, gold: &str, reply: &str| {
        json!({"id": id, "question": "Where?", "answer": gold, "response": reply}).to_string() + "\n"
    };
    let rows = [
        row("1", "Yes", "Yes, there is."),
        row("2", "Left lung", "\\boxed{The LEFT one}"),
        row("3", "left lung", "heart"),
        row("4", "left lung", "refuse"),
    ];
    fs::write(&file, rows.concat()).unwrap();
    let (run, name) = (dir.path().join("run"), "medevalkit-vqa-rad+judge");
    let args = ["score", "--replies", path(&file), "--output", path(&run), "--profile", name];
    let without = loupe(&args);
    assert!(said(&without).contains("asks a language model"), "{}", said(&without));
    let (out, summary) = endpoint.judges(&args);
    assert_eq!(out.status.code(), Some(1), "a failure of the judge is no success");
    let profiles = summary["profiles"].as_array().unwrap();
    assert_eq!(profiles.len(), 2, "our own prompt is not asked beside: {profiles:?}");
    let judged = &profiles[1];
    assert_eq!(judged["name"], format!("compat:{name}@9b12e3b/judge-7b"));
    assert_eq!(judged["verdicts"], json!({"correct": 2, "wrong": 1, "unscored": 1}));
    let printed = judged["printed"].as_array().unwrap();
    let of = |name: &str| printed.iter().find(|p| p[0] == name).unwrap()[1].as_f64().unwrap();
    // Of the three that were judged; the open accuracy is divided twice, as the harness divides it.
    assert_eq!((of("total metrics.acc"), of("close.acc"), of("open.acc")), (2.0 / 3.0, 1.0, 0.25));
    let prompts: Vec<String> = endpoint
        .bodies
        .lock()
        .unwrap()
        .iter()
        .map(|b| b["messages"][0]["content"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        prompts
            .iter()
            .any(|p| p.contains("The standard answer: left lung\n\nThe user's answer: the left one\n\n"))
    );
    assert!(!prompts.iter().any(|p| p.contains("yes, there is")), "closed questions are not judged");
    assert_eq!(fs::read_to_string(run.join("judge.jsonl")).unwrap().lines().count(), 2);
}

#[test]
fn a_checkpoint_on_this_machine_judges_too() {
    let dir = tempfile::tempdir().unwrap();
    let (file, prompt) = (dir.path().join("replies.jsonl"), dir.path().join("short.txt"));
    fs::write(
        &file,
        json!({"id": "1", "question": "Where?", "answer": "left lung", "response": "heart"}).to_string(),
    )
    .unwrap();
    fs::write(&prompt, "{question} {reference} {reply}").unwrap();
    let (run, judge) = (dir.path().join("run"), crate::common::source("crates/phantom/assets/phantom-vl"));
    let args = ["score", "--replies", path(&file), "--output", path(&run), "--judge", path(&judge), "--json"];
    let more = ["--judge-prompt", path(&prompt), "--judge-reading", "judge-tag-zero", "--no-page", "--quiet"];
    let summary = json(&[&args[..], &more].concat());
    let judged = &summary["profiles"][1];
    let name = judged["name"].as_str().unwrap();
    assert!(name.starts_with("judge:short@phantom-vl@"), "{name}");
    // It knows of no tags, and anything but a 0 in them is wrong by this reading.
    assert_eq!((&judged["verdicts"], &judged["rules"]), (&json!({"wrong": 1}), &json!({"judge": 1})));
    let record: Value =
        serde_json::from_str(fs::read_to_string(run.join("judge.jsonl")).unwrap().trim()).unwrap();
    assert_eq!(record["prompt"], "Where? left lung heart");
    assert!(!record["reply"].as_str().unwrap().is_empty());
    // By our own prompt its words hold no verdict, and nothing is put in the place of one.
    let out = loupe(&["score", path(&run), "--judge", path(&judge), "--json", "--no-page", "--quiet"]);
    assert_eq!(out.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(summary["profiles"][1]["verdicts"], json!({"unscored": 1}));
}
