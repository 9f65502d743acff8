//! Closed questions answered by the probabilities of their options, through the binary.

use crate::common::{bmp, json, loupe, text};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_question_with_options_gets_their_probabilities() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("a.bmp");
    fs::write(&image, bmp(64, 64, |x, y| (x * y) as u8)).unwrap();
    let image = image.to_str().unwrap();
    let asked = json(&["ask", image, "Is there a disc?", "--options", "yes,no,not to be told", "--json"]);
    let scores = &asked["reply"]["options"];
    let each = scores["each"].as_array().unwrap();
    assert_eq!(
        each.iter().map(|o| o["text"].as_str().unwrap()).collect::<Vec<_>>(),
        ["yes", "no", "not to be told"]
    );
    let probabilities: Vec<f64> = each.iter().map(|o| o["probability"].as_f64().unwrap()).collect();
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{scores}");
    let mass = scores["mass"].as_f64().unwrap();
    assert!(mass > 0.0 && mass <= 1.0, "{scores}");
    let best = (0..3).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap();
    assert_eq!(asked["reply"]["text"], each[best]["text"]);

    let printed = loupe(&["ask", image, "Is there a disc?", "--options", "yes,no"]);
    let printed = text(&printed.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.len() == 3 && lines[2].ends_with("  mass (any of these)"), "{printed}");
    for (options, problem) in [("yes", "give 2 to 256"), ("yes,yes", "options 1 and 2 are the same")] {
        let out = loupe(&["ask", image, "Is there a disc?", "--options", options]);
        assert!(!out.status.success() && text(&out.stderr).contains(problem), "{}", text(&out.stderr));
    }
}

#[test]
fn a_run_answers_closed_questions_by_options_and_is_calibrated() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.bmp"), bmp(64, 64, |x, y| (x + 2 * y) as u8)).unwrap();
    let rows = [
        json!({"id": "y", "images": ["a.bmp"], "question": "Is there a disc?", "answer": "yes"}),
        json!({"id": "n", "images": ["a.bmp"], "question": "Is there a ring?", "answer": "no"}),
        json!({"id": "c", "images": ["a.bmp"], "question": "Which?", "choices": ["disc", "ring", "bar"], "answer": "B"}),
        json!({"id": "o", "images": ["a.bmp"], "question": "What is shown?", "answer": "disc"}),
    ];
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(dir.path().join("set.jsonl"), rows.join("\n")).unwrap();
    let data = format!("jsonl={}", dir.path().join("set.jsonl").display());
    let run = dir.path().join("run");
    let args = [
        "eval",
        "--data",
        &data,
        "--output",
        run.to_str().unwrap(),
        "--max-new-tokens",
        "4",
        "--no-page",
        "--quiet",
    ];
    let summary = json(&[&args[..], &["--answer-by", "options", "--json"]].concat());
    assert_eq!(summary["profiles"][0]["calibration"]["n"], 3, "{summary}");
    let replies = fs::read_to_string(run.join("replies.jsonl")).unwrap();
    for line in replies.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = line.to_string();
        let offered: &[&str] = match text {
            _ if text.contains("\"id\":\"c\"") => &["A", "B", "C"],
            _ if text.contains("\"id\":\"o\"") => &[],
            _ => &["yes", "no"],
        };
        let of: Vec<String> = offered.iter().map(|o| format!("\"text\":\"{o}\",\"probability\"")).collect();
        assert!(of.iter().all(|o| text.contains(o)), "{text}");
        assert_eq!(text.matches("\"probability\"").count(), offered.len(), "{text}");
    }
    // Another way of answering is another run.
    let other = loupe(&args);
    assert!(
        !other.status.success() && text(&other.stderr).contains("limits.options"),
        "{}",
        text(&other.stderr)
    );
}
