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
    assert_eq!(pairs.lines().count(), 1 + 4, "{pairs}");
    // Again nothing is asked, and the tables are the same.
    let out = loupe(&["suite", &file]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!(fs::read_to_string(at("out/results.csv")).unwrap(), csv);
    let replies = fs::read_to_string(at("out/plain/own/mine-seed-0/replies.jsonl")).unwrap();
    assert_eq!(replies.lines().count(), 6);
    assert!(replies.contains("(yes_no)"), "the prompt as it was sent is on record");
}

#[test]
fn a_template_is_chosen_on_another_split_and_the_choice_is_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let row = |n: usize| {
        serde_json::json!({
            "question": format!("Which of these is number {n}?"), "answer": "lung", "answer_idx": "A",
            "options": { "A": "lung", "B": "liver" },
        })
    };
    let rows = |from: usize| (from..from + 4).map(|n| format!("{}\n", row(n))).collect::<String>();
    fs::create_dir(at("medqa")).unwrap();
    fs::write(at("medqa/phrases_no_exclude_dev.jsonl"), rows(0)).unwrap();
    fs::write(at("medqa/phrases_no_exclude_test.jsonl"), rows(10)).unwrap();
    fs::write(at("mine.j2"), "{{ question }}\n{{ options }}").unwrap();
    let suite = r#"
        output = "out"
        max_new_tokens = 3
        profiles = ["medevalkit-vqa-rad"]
        [[models]]
        name = "tuned"
        base = "plain"
        [[models]]
        name = "plain"
        [[sets]]
        name = "exam"
        data = "medqa=medqa"
        split = "test"
        choose_on = "dev"
        choose_sample = 3
        [[templates]]
        name = "loupe"
        [[templates]]
        name = "mine"
        file = "mine.j2"
    "#;
    let file = at("choice.toml").display().to_string();
    let write = |text: &str| fs::write(&file, text).unwrap();
    write(&suite.replace("split = \"test\"", "split = \"dev\""));
    let out = loupe(&["suite", &file, "--check"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("on the split that is asked about"), "{}", text(&out.stderr));

    write(suite);
    let out = loupe(&["suite", &file]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("templates chosen"), "{}", text(&out.stdout));
    let choices = fs::read_to_string(at("out/choices.csv")).unwrap();
    let tried: Vec<Vec<&str>> = choices.lines().skip(1).map(|l| l.split(',').collect()).collect();
    assert_eq!(tried.len(), 4, "{choices}");
    assert!(tried.iter().all(|l| (l[3], l[7]) == ("dev", "3")), "{choices}");
    let chosen: Vec<(&str, &str)> = tried.iter().filter(|l| l[9] == "1").map(|l| (l[0], l[4])).collect();
    assert_eq!(chosen.iter().map(|c| c.0).collect::<Vec<_>>(), ["tuned", "plain"]);
    let results = fs::read_to_string(at("out/results.csv")).unwrap();
    let head = results.lines().next().unwrap();
    assert!(head.contains("template,chosen_on,seed"), "{head}");
    for line in results.lines().skip(1).map(|l| l.split(',').collect::<Vec<_>>()) {
        assert!(chosen.contains(&(line[0], line[4])) && line[5] == "dev", "{line:?}");
    }
    for (model, template) in chosen {
        let other = if template == "loupe" { "mine" } else { "loupe" };
        assert!(at(&format!("out/{model}/exam/{template}-seed-0")).is_dir());
        assert!(!at(&format!("out/{model}/exam/{other}-seed-0")).exists());
    }
    // Each model beside its base by every profile that both were scored by.
    let pairs = fs::read_to_string(at("out/pairs.csv")).unwrap();
    assert!(pairs.lines().skip(1).any(|l| l.contains(",strict,")), "{pairs}");
    assert_eq!(pairs.lines().count(), 1 + 2, "{pairs}");
}
