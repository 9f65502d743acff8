//! Models by sets from one file: checked before anything is loaded, resumed, in one table of numbers.

use crate::common::{bmp, loupe, text};
use std::fs;

#[test]
fn a_suite_makes_every_combination_and_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for n in 0..3 {
        fs::write(at(&format!("{n}.bmp")), bmp(40 + n, 30, |x, y| (x * 3 + y) as u8)).unwrap();
    }
    let row = |n: usize, answer: &str, organ: &str| serde_json::json!({"id": n, "image": format!("{}.bmp", n % 3), "question": format!("Is it {n}?"), "answer": answer, "tags": {"organ": organ}});
    let lines: String =
        (0..6).map(|n| format!("{}\n", row(n, ["yes", "no"][n % 2], ["lung", "liver"][n / 3]))).collect();
    fs::write(at("data.jsonl"), lines).unwrap();
    fs::write(at("mine.j2"), "{{ question }} ({{ kind }})").unwrap();
    let suite = r#"
        output = "out"
        max_new_tokens = 3
        [[models]]
        name = "tuned"
        base = "plain"
        [[models]]
        name = "plain"
        [[sets]]
        name = "own"
        data = "jsonl=data.jsonl"
        [[sets]]
        name = "lungs"
        data = "jsonl=data.jsonl"
        where = ["organ=lung"]
        [[templates]]
        name = "loupe"
        [[templates]]
        name = "mine"
        file = "mine.j2"
    "#;
    let file = at("july.toml").display().to_string();
    let write = |text: &str| fs::write(&file, text).unwrap();

    // All that is wrong is named before a model is loaded.
    write(&suite.replace("organ=lung", "organ=lungs").replace("file = \"mine.j2\"", "file = \"none.j2\""));
    let out = loupe(&["suite", &file]);
    assert_eq!(out.status.code(), Some(2));
    for named in ["lungs", "none.j2"] {
        assert!(text(&out.stderr).contains(named), "{}", text(&out.stderr));
    }
    assert!(!at("out").exists());

    write(suite);
    let out = loupe(&["suite", &file, "--check"]);
    assert_eq!((out.status.code(), text(&out.stdout).lines().count()), (Some(0), 8), "{}", text(&out.stderr));
    let out = loupe(&["suite", &file]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let table = text(&out.stdout);
    assert!(table.contains("models by sets") && table.contains("beside its own base"), "{table}");
    let csv = fs::read_to_string(at("out/results.csv")).unwrap();
    let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let column = |name: &str| head.iter().position(|h| *h == name).unwrap();
    let accuracy: Vec<Vec<&str>> = csv
        .lines()
        .map(|l| l.split(',').collect::<Vec<_>>())
        .filter(|l| l[column("figure")] == "accuracy" && l[column("profile")] == "strict")
        .collect();
    assert_eq!(accuracy.len(), 8, "{csv}");
    for line in &accuracy {
        assert!((0.0..=1.0).contains(&line[column("value")].parse::<f64>().unwrap()));
        let n: u64 = line[column("n")].parse().unwrap();
        assert_eq!(n, if line[column("set")] == "lungs" { 3 } else { 6 });
        assert_eq!((line[column("failed")], line[column("missing")]), ("0", "0"));
    }
    // The same weights beside themselves.
    let pairs = fs::read_to_string(at("out/pairs.csv")).unwrap();
    assert_eq!(pairs.lines().count(), 1 + 4);
    // Again nothing is asked, and the tables are the same.
    let out = loupe(&["suite", &file]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!(fs::read_to_string(at("out/results.csv")).unwrap(), csv);
    let replies = fs::read_to_string(at("out/plain/own/mine-seed-0/replies.jsonl")).unwrap();
    assert_eq!(replies.lines().count(), 6);
    assert!(replies.contains("(yes_no)"), "the prompt as it was sent is on record");
}
