//! Replies of other tools, leaderboards, overlaps and probes through the binary.

use crate::common::{bmp, json, loupe, real_data};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

fn said(out: &Output) -> String {
    crate::common::text(&out.stderr)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A figure of a profile, or what it prints under that name.
fn figure(summary: &Value, profile: &str, name: &str) -> f64 {
    let profiles = summary["profiles"].as_array().unwrap();
    let of = profiles.iter().find(|p| p["name"].as_str().unwrap().contains(profile)).unwrap();
    let plain = of["figures"].as_array().unwrap().iter().find(|f| f["name"] == name).map(|f| &f["value"]);
    let printed = || of["printed"].as_array()?.iter().find(|p| p[0] == name).map(|p| &p[1]);
    printed().or(plain).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {name} in {of}"))
}

/// Every published prediction file with what its authors printed.
#[test]
fn published_figures_come_out_of_the_command_line() {
    let Some(figures) = real_data("EXPECTED") else { return };
    let data = figures.join("..");
    let expected: Value = serde_json::from_slice(&fs::read(figures.join("expected.json")).unwrap()).unwrap();
    let value = |file: &str| {
        let checks = expected["checks"].as_array().unwrap();
        checks.iter().find(|c| c["file"] == file).map(|c| c["value"].clone()).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let score = |file: &str, profile: &str, more: &[&str]| {
        let run = dir.path().join(file.replace('/', "-"));
        let file = data.join(file);
        let args = ["score", "--replies", path(&file), "--output", path(&run), "--profile", profile];
        json(&[&args[..], &["--json", "--quiet", "--no-page"], more].concat())
    };
    let near = |got: f64, expected: &Value, tolerance: f64| {
        let expected = expected.as_f64().unwrap();
        assert!((got - expected).abs() <= tolerance, "{got} instead of {expected}");
    };
    for file in [
        "pred_gr5293/results/baseline/predictions.jsonl",
        "pred_gr5293/checkpoints/lora_quick/lora_predictions.jsonl",
    ] {
        let (got, expected) = (score(file, "gr5293", &[]), value(file));
        for (name, key) in [
            ("overall.exact_match", "overall_em"),
            ("closed.exact_match", "closed_em"),
            ("open.bleu1", "open_bleu1"),
            ("open.rougeL", "open_rougeL"),
            ("open.f1", "open_f1"),
        ] {
            near(figure(&got, "gr5293", name), &expected[key], 1e-12);
        }
        near(figure(&got, "gr5293", "closed.ci95.lower"), &expected["closed_ci95"][0], 1e-12);
        near(figure(&got, "gr5293", "closed.ci95.upper"), &expected["closed_ci95"][1], 1e-12);
    }
    for file in ["baseline", "baseline_v2", "lora_r16_val"] {
        let file = format!("pred_internvl2_vqarad/{file}_predictions.jsonl");
        let (got, expected) =
            (score(&file, "internvl2-vqarad", &["--tag", "qtype=answer_type"]), value(&file));
        for name in ["closed_exact_match", "open_bleu1", "open_rouge_l"] {
            near(figure(&got, "internvl2-vqarad", name), &expected[name], 1e-12);
        }
    }
    let file = "pred_huatuo_slake/original/predictions.jsonl";
    let (got, expected) = (score(file, "huatuo-slake", &[]), value(file));
    near(figure(&got, "huatuo-slake", "accuracy"), &expected["published_accuracy"], 1e-12);
    // The fault beside it: closed questions answered by an organ are never right there.
    let strict = figure(&got, "strict", "closed accuracy (answer_type)");
    let theirs = figure(&got, "huatuo-slake", "closed");
    assert!(strict > theirs + 0.05, "strict {strict}, theirs {theirs}");

    let file = "pred_mmmu_med/example_outputs/llava1.5_13b/total_val_output.json";
    let references = data.join("pred_mmmu_med/answer_dict_val.json");
    let more = ["--references", path(&references), "--letters", "ABCDEFGHI"];
    let (got, expected) = (score(file, "mmmu", &more), value(file));
    for (name, key) in [
        ("Overall", "overall"),
        ("Overall-Health and Medicine", "health_and_medicine"),
        ("Basic_Medical_Science", "Basic_Medical_Science"),
        ("Diagnostics_and_Laboratory_Medicine", "Diagnostics_and_Laboratory_Medicine"),
        ("Pharmacy", "Pharmacy"),
    ] {
        // The script prints three decimals.
        near(figure(&got, "mmmu", name), &expected[key], 5e-4);
    }
    let file = "pred_pointdetectcount/qwen-finetuned-6task-test500-result.jsonl";
    let (got, expected) = (score(file, "pointdetectcount", &[]), value(file));
    near(figure(&got, "pointdetectcount", "bounding.mAP"), &expected["mAP"], 5e-4);
    near(figure(&got, "pointdetectcount", "bounding.iou"), &expected["mean_best_iou"], 1e-6);
}

#[test]
fn columns_are_guessed_said_and_corrected() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("theirs.csv");
    fs::write(&file, "index,question,A,B,answer,prediction,image\n1,Which?,one,two,B,B.,x.png\n2,Which?,one,two,A,maybe,x.png\n").unwrap();
    let run = dir.path().join("run");
    let out = loupe(&["score", "--replies", path(&file), "--output", path(&run), "--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert!(said(&out).contains("reply prediction, reference answer, id index"), "{}", said(&out));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(figure(&summary, "strict", "choice accuracy"), 0.5);
    assert_eq!(summary["profiles"][0]["figures"][0]["groups"], 1, "rows of one image belong together");
    let range = summary["sensitivity"]["by_profile"].as_array().unwrap();
    assert!(range.len() > 5 && range[0][1].as_f64() < range.last().unwrap()[1].as_f64(), "{range:?}");
    assert!(run.join("report.html").is_file());
    // The same again is the same run; another mapping in its folder is refused.
    assert!(loupe(&["score", "--replies", path(&file), "--output", path(&run), "--quiet"]).status.success());
    let other = loupe(&["score", "--replies", path(&file), "--output", path(&run), "--gold-column", "B"]);
    assert_eq!(other.status.code(), Some(2));
    let unknown = loupe(&["score", "--replies", path(&file), "--reply-column", "nothing"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("there are index, question"), "{}", said(&unknown));
    // What another tool failed to ask, loupe cannot ask again.
    let theirs = "index,question,A,B,answer,prediction\n1,Which?,one,two,B,B.\n2,Which?,one,two,A,Failed to obtain answer via API.\n";
    fs::write(&file, theirs).unwrap();
    let out = loupe(&["score", "--replies", path(&file), "--output", path(&dir.path().join("failed"))]);
    let words = said(&out);
    assert!(
        words.contains("the tool that wrote the replies") && !words.contains("--retry-failed"),
        "{words}"
    );
}

#[test]
fn replies_meet_the_questions_of_a_set_by_id_or_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let lines = (0..4).map(|n| {
        json!({"id": format!("q{n}"), "question": "Is it?", "answer": (["yes", "no"][n % 2]), "images": []})
            .to_string()
            + "\n"
    });
    fs::write(dir.path().join("data.jsonl"), lines.collect::<String>()).unwrap();
    let set = format!("jsonl={}", dir.path().join("data.jsonl").display());
    let file = dir.path().join("replies.jsonl");
    fs::write(&file, "{\"id\":\"q1\",\"response\":\"no\"}\n{\"id\":\"q3\",\"response\":\"yes\"}\nbroken\n{\"id\":\"q9\",\"response\":\"x\"}\n").unwrap();
    let run = dir.path().join("by-id");
    let args =
        ["score", "--replies", path(&file), "--data", &set, "--output", path(&run), "--json", "--no-page"];
    let out = loupe(&args);
    assert_eq!(out.status.code(), Some(1), "a broken row and missing replies are no success: {}", said(&out));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&summary["replies"], &summary["missing"]), (&json!(2), &json!(2)));
    assert_eq!(figure(&summary, "strict", "accuracy"), 0.5);
    let position = dir.path().join("position.jsonl");
    fs::write(&position, ["yes", "no", "no", "no"].map(|r| format!("{{\"output\":\"{r}\"}}\n")).concat())
        .unwrap();
    let wrong = loupe(&["score", "--replies", path(&position), "--data", &set]);
    assert!(said(&wrong).contains("--in-order"), "{}", said(&wrong));
    let run = dir.path().join("by-position");
    let summary = json(&[
        "score",
        "--replies",
        path(&position),
        "--data",
        &set,
        "--in-order",
        "--output",
        path(&run),
        "--json",
        "--no-page",
    ]);
    assert_eq!(figure(&summary, "strict", "accuracy"), 0.75);
}

#[test]
fn several_replies_a_sample_and_metrics_and_a_leaderboard() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, replies: &[&str]| {
        let file = dir.path().join(format!("{name}.jsonl"));
        let lines = replies
            .iter()
            .enumerate()
            .map(|(n, r)| json!({"id": n / 3, "answer": "left lung", "response": r}).to_string() + "\n");
        fs::write(&file, lines.collect::<String>()).unwrap();
        let run = dir.path().join(name);
        let args = [
            "score",
            "--replies",
            path(&file),
            "--output",
            path(&run),
            "--rollouts",
            "3",
            "--metric",
            "rouge_l",
            "--metric",
            "bleu1_coco",
            "--profile",
            "llava-med",
            "--json",
            "--no-page",
        ];
        (json(&args), run)
    };
    let (good, a) = run("good", &["left lung", "left lung", "heart", "left lung", "left lung", "left lung"]);
    let (_, b) = run("bad", &["heart"; 6]);
    let rollouts = &good["profiles"][0]["rollouts"];
    assert_eq!(
        (&rollouts["k"], &rollouts["majority_right"], &rollouts["any"], &rollouts["all"]),
        (&json!(3), &json!(1.0), &json!(1.0), &json!(0.5))
    );
    let metrics: Vec<&str> =
        good["metrics"].as_array().unwrap().iter().filter_map(|m| m["name"].as_str()).collect();
    assert_eq!(metrics, ["rouge_l", "bleu1_coco"]);
    for (format, mark) in [
        ("markdown", "| run | accuracy | n | unparsed | failed | model |"),
        ("latex", "\\begin{tabular}"),
        ("csv", "run,accuracy,n,unparsed,failed,model,dataset,split,"),
    ] {
        let out = loupe(&["leaderboard", path(&b), path(&a), "--format", format]);
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success() && text.contains(mark), "{text}");
        assert!(text.find("good").unwrap() < text.find("bad").unwrap(), "best first: {text}");
    }
    assert_eq!(loupe(&["leaderboard", path(dir.path())]).status.code(), Some(2));
    let unknown = loupe(&["score", path(&a), "--metric", "dice"]);
    assert!(said(&unknown).contains("no metric of words"), "{}", said(&unknown));
    let page = dir.path().join("sides.html");
    let out = loupe(&["compare", path(&a), path(&b), "--format", "markdown", "--page", path(&page)]);
    assert!(out.status.success(), "{}", said(&out));
    assert!(fs::read_to_string(&page).unwrap().contains("\"right\":\"only good\""));
}

#[test]
fn report_metrics_come_from_imported_annotations() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("reports.jsonl");
    let rows = ["a", "b"].map(|id| {
        json!({"id": id, "question": "Report.", "report": "Lungs clear.", "images": []}).to_string() + "\n"
    });
    fs::write(&set, rows.concat()).unwrap();
    let replies = dir.path().join("replies.jsonl");
    fs::write(
        &replies,
        "{\"id\":\"a\",\"reply\":\"Lungs clear.\"}\n{\"id\":\"b\",\"reply\":\"Effusion.\"}\n",
    )
    .unwrap();
    let entity =
        |words: &str| json!({"entities": {"1": {"tokens": words, "label": "OBS-DP", "relations": []}}});
    let labels = |on: usize| (0..14).map(|o| u8::from(o == on)).collect::<Vec<_>>();
    let phrase = |entailed: bool| {
        json!({"status": if entailed { "entailment" } else { "not_entailment" },
        "boxes": [[0.1, 0.1, 0.6, 0.6]], "evidence": [0]})
    };
    let line = |id: &str, said: &str, on: usize, green: Value| {
        json!({"id": id, "radgraph": {"reference": entity("clear"), "reply": entity(said)},
            "chexbert": {"reference": labels(9), "reply": labels(on)}, "green": green,
            "radfact": {"reply": [phrase(on == 9)], "reference": [phrase(on == 9), phrase(false)]}})
        .to_string()
            + "\n"
    };
    let counts = json!({"matched": 3, "significant": [0, 1, 0, 0, 0, 0]});
    let words = json!("[Clinically Significant Errors]:\n(a) 1. x\n[Matched Findings]:\n0. none");
    let annotations = dir.path().join("annotations.jsonl");
    fs::write(&annotations, line("a", "clear", 9, counts) + &line("b", "effusion", 1, words)).unwrap();
    let data = format!("jsonl={}", set.display());
    let run = dir.path().join("run");
    let args = [
        "score",
        "--replies",
        path(&replies),
        "--data",
        &data,
        "--output",
        path(&run),
        "--json",
        "--no-page",
        "--quiet",
    ];
    let more = [
        "--annotations",
        path(&annotations),
        "--metric",
        "rouge_l",
        "--report-part",
        "findings",
        "--report-clean",
    ];
    let summary = json(&[&args[..], &more].concat());
    let metric = |name: &str| {
        let all = summary["metrics"].as_array().unwrap();
        all.iter().find(|m| m["name"] == name).map(|m| m["value"].as_f64().unwrap())
    };
    for (name, expected) in [
        ("rouge_l", Some(0.5)),
        ("radgraph_simple", Some(0.5)),
        ("green", Some(0.375)),
        ("chexbert_f1_micro_14", Some(0.5)),
        ("radfact_logical_precision", Some(0.5)),
        ("radfact_logical_recall", Some(0.25)),
        ("radfact_logical_f1", Some(1.0 / 3.0)),
        ("radfact_grounding_recall", Some(1.0)),
        ("radfact_spatial_recall", Some(0.25)),
        ("radcliq_v0", None),
    ] {
        assert_eq!(metric(name), expected, "{name}: {}", summary["metrics"]);
    }
    assert_eq!(
        summary["texts"],
        "reports: findings; lower, no numbering, no placeholders; no section was found in 2 replies and 2 references (of 2)"
    );
    // A line at fault costs its report; what is left is told by its number.
    let counts = json!({"matched": 3, "significant": [0, 1, 0, 0, 0, 0]});
    fs::write(&annotations, line("a", "clear", 9, counts) + "{\"id\": \"b\", \"green\": 3}\n").unwrap();
    let out =
        loupe(&["score", path(&run), "--annotations", path(&annotations), "--no-page", "--json", "--quiet"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(summary["annotations"]["lost"], json!(["b"]), "{}", summary["annotations"]);
    let metrics = summary["metrics"].as_array().unwrap();
    for name in ["green", "chexbert_f1_micro_14", "radfact_logical_f1"] {
        let figure = metrics.iter().find(|m| m["name"] == name).unwrap();
        assert_eq!((figure["n"].as_u64(), figure["unscored"].as_u64()), (Some(1), Some(1)), "{figure}");
    }
}

#[test]
fn overlap_is_flagged_row_by_row_and_probes_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let texture = |x: usize, y: usize, more: f64| {
        let (x, y) = (x as f64, y as f64);
        (110.0
            + more
            + 50.0 * (x / 7.0).sin()
            + 40.0 * (y / 11.0 + x / 23.0).cos()
            + 20.0 * (x * y / 300.0).sin()) as u8
    };
    let pictures: [(&str, Vec<u8>); 3] = [
        ("a.bmp", bmp(64, 64, |x, y| texture(x, y, 0.0))),
        ("brighter.bmp", bmp(64, 64, |x, y| texture(x, y, 12.0))),
        ("other.bmp", bmp(64, 64, |x, y| if (x / 9 + y / 5) % 2 == 0 { 230 } else { (x * y) as u8 })),
    ];
    for (name, bytes) in &pictures {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let set = |name: &str, rows: &[(&str, &str)]| {
        let line = |(n, (image, question)): (usize, &(&str, &str))| {
            json!({"id": format!("{name}{n}"), "images": [image], "question": question, "answer": (["yes", "no"][n % 2])}).to_string() + "\n"
        };
        fs::write(
            dir.path().join(format!("{name}.jsonl")),
            rows.iter().enumerate().map(line).collect::<String>(),
        )
        .unwrap();
        format!("jsonl={}", dir.path().join(format!("{name}.jsonl")).display())
    };
    let train = set("train", &[("a.bmp", "Is it large?")]);
    let test = set(
        "test",
        &[("a.bmp", "Is it large?"), ("brighter.bmp", "Is it new?"), ("other.bmp", "Is it old?")],
    );
    let rows = dir.path().join("rows.csv");
    let found = json(&[
        "data",
        "overlap",
        "--train",
        &train,
        "--train-split",
        "all",
        "--test",
        &test,
        "--test-split",
        "all",
        "-o",
        path(&rows),
        "--json",
    ]);
    let counts =
        ["n", "same_image", "near_image", "same_question", "whole_row"].map(|k| found[k].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 2, 1, 1], "{found}");
    let csv = fs::read_to_string(&rows).unwrap();
    assert!(csv.starts_with("id,image,near_image") && csv.contains("test1,0,1,"), "{csv}");

    let run = |name: &str, more: &[&str]| {
        let run = dir.path().join(name);
        let args = [
            "eval",
            "--data",
            &test,
            "--output",
            path(&run),
            "--max-new-tokens",
            "4",
            "--quiet",
            "--no-page",
            "--logprobs",
            "1",
            "--json",
        ];
        let summary = json(&[&args[..], more].concat());
        (run, summary)
    };
    let (plain, summary) = run("plain", &[]);
    assert_eq!(
        summary["profiles"][0]["calibration"]["n"].as_u64(),
        Some(3),
        "calibration comes with --logprobs"
    );
    let (blank, _) = run("blank", &["--probe", "blank:128"]);
    let (swapped, _) = run("swapped", &["--probe", "swapped"]);
    for probe in [&blank, &swapped] {
        let comparison = json(&["compare", path(&plain), path(probe), "--json"]);
        assert_eq!(comparison["dependence"]["n"], 3, "{comparison}");
    }
    let line = |run: &Path| fs::read_to_string(run.join("replies.jsonl")).unwrap();
    assert!(line(&blank).contains("probe blank-128"));
    let mixed = loupe(&[
        "eval",
        "--data",
        &test,
        "--output",
        path(&plain),
        "--max-new-tokens",
        "4",
        "--logprobs",
        "1",
        "--probe",
        "shuffled",
    ]);
    assert!(said(&mixed).contains("settings.probe"), "{}", said(&mixed));
}

/// `data check` takes what `--data` takes, names rows by their lines, and says how many more there are.
#[test]
fn a_check_names_rows_by_line_and_all_of_them_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let row = |n: usize, split: &str| {
        json!({"question": format!("{n}?"), "choices": ["a", "", "c"], "answer": "C", "split": split})
            .to_string()
    };
    let rows: Vec<String> = (0..8).map(|n| row(n, if n < 7 { "test" } else { "dev" })).collect();
    fs::write(dir.path().join("set.jsonl"), rows.join("\n\n")).unwrap();
    let data = format!("jsonl={}:test", dir.path().display());
    let out = loupe(&["data", "check", &data]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "an empty option is odd, not wrong: {text}");
    assert!(text.contains("test: 7 rows"), "{text}");
    assert!(text.contains("set.jsonl, line 3: option B is empty and not offered"), "{text}");
    assert!(
        text.contains("… and 2 more like these (--all names them)") && !text.contains("line 13:"),
        "{text}"
    );
    let named = |args: &[&str]| {
        let out = loupe(&[&["data", "check"], args].concat());
        String::from_utf8(out.stdout).unwrap().matches("option B is empty").count()
    };
    assert_eq!(named(&[&data, "--all"]), 7);
    let whole = format!("jsonl={}", dir.path().display());
    assert_eq!(named(&[&whole, "--split", "dev", "--all"]), 1);
    assert_eq!(named(&["jsonl", path(dir.path()), "--all"]), 8);
    // The same form opens the set for replies.
    let replies = dir.path().join("replies.json");
    fs::write(&replies, r#"{"set:0": "C", "set:2": "C"}"#).unwrap();
    let run = dir.path().join("run");
    let summary = loupe(&[
        "score",
        "--replies",
        path(&replies),
        "--data",
        &data,
        "--output",
        path(&run),
        "--json",
        "--no-page",
    ]);
    let summary: Value = serde_json::from_slice(&summary.stdout).unwrap();
    assert_eq!((&summary["replies"], &summary["missing"]), (&json!(2), &json!(5)));
    assert_eq!(figure(&summary, "strict", "choice accuracy"), 1.0);
}
