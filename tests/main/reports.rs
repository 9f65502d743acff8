//! `loupe reports` as a user sees it.

use crate::common::{bmp, json, loupe, put, text};
use loupe_testing::server::{Server, says};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn picture(seed: usize) -> Vec<u8> {
    bmp(48, 40, |x, y| (x * (seed + 2) + 3 * y) as u8)
}

/// Four studies: one with a prior, one whose image is missing, one whose prior cannot be read, one plain.
fn worklist(dir: &Path) -> String {
    for n in 0..3 {
        fs::write(dir.join(format!("{n}.bmp")), picture(n)).unwrap();
    }
    fs::write(dir.join("broken.bmp"), b"BM and nothing else").unwrap();
    let rows = [
        json!({"study_id": "with-prior", "images": [{"path": "0.bmp", "view": "PA"}], "prior_images": ["1.bmp"], "indication": "Cough.",
               "reference": {"findings": "Lungs clear.", "impression": "Normal."}}),
        json!({"study_id": "missing", "images": ["gone.bmp"]}),
        json!({"study_id": "bad/prior", "images": ["1.bmp"], "prior_images": ["broken.bmp"]}),
        json!({"study_id": "plain", "images": ["2.bmp"], "reference": {"findings": "A nodule.", "impression": "Nodule."}}),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    put(&dir.join("worklist.jsonl"), lines.as_bytes());
    dir.join("worklist.jsonl").display().to_string()
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_batch_from_a_worklist_to_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    let out = dir.path().join("batch");
    let batch = out.display().to_string();
    let command = [
        "reports",
        &input,
        "-o",
        &batch,
        "--max-new-tokens",
        "6",
        "--format",
        "text",
        "--format",
        "markdown",
        "--format",
        "dicom-sr",
        "--format",
        "fhir",
        "--quiet",
    ];
    let first = loupe(&command);
    assert_eq!(first.status.code(), Some(1), "two studies have no report: {}", text(&first.stderr));
    assert!(text(&first.stdout).contains("2 reports of 4 studies, 2 without one"), "{}", text(&first.stdout));
    let reports = lines(&out.join("reports.jsonl"));
    let status: Vec<(&str, &str)> =
        reports.iter().map(|r| (r["study_id"].as_str().unwrap(), r["status"].as_str().unwrap())).collect();
    assert_eq!(
        status,
        [("with-prior", "ok"), ("missing", "failed"), ("bad/prior", "failed"), ("plain", "ok")]
    );
    let made = &reports[0]["provenance"];
    assert_eq!(made["pixels_sha256"].as_array().unwrap().len(), 2);
    assert_eq!(made["from"]["weights_sha256"].as_str().unwrap().len(), 64);
    let skipped = lines(&out.join("skipped.jsonl"));
    assert!(skipped[0]["reason"].as_str().unwrap().contains("not found"), "{skipped:?}");
    assert!(skipped[1]["reason"].as_str().unwrap().starts_with("image 2: "), "{skipped:?}");
    for file in [
        "text/plain.txt",
        "markdown/with-prior.md",
        "dicom/plain.dcm",
        "fhir/plain.json",
        "report.html",
        "reports.csv",
        "times.csv",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("synthetic studies alone") && page.contains("checked by nobody"));

    // Again: nothing is asked, everything is the same.
    let read = |file: &str| fs::read(out.join(file)).unwrap();
    let before: Vec<Vec<u8>> =
        ["reports.jsonl", "report.html", "dicom/plain.dcm", "fhir/plain.json"].map(read).to_vec();
    loupe(&command);
    assert_eq!(
        before,
        ["reports.jsonl", "report.html", "dicom/plain.dcm", "fhir/plain.json"].map(read).to_vec()
    );

    // The missing image is put in its place.
    fs::write(dir.path().join("gone.bmp"), picture(7)).unwrap();
    let mut mended = command.to_vec();
    mended.push("--retry-failed");
    assert!(text(&loupe(&mended).stdout).contains("3 reports of 4 studies"));

    let scores = json(&["reports", "score", &batch, "--json", "--quiet"]);
    assert_eq!(scores["profile"], "raw");
    assert!(scores["notes"][0].as_str().unwrap().contains("no clinical metric"), "{scores}");
    assert!(out.join("scores.csv").is_file());
    let table = loupe(&[
        "reports",
        "score",
        &batch,
        &batch,
        "--sections",
        "r2gen-iu",
        "--format",
        "latex",
        "--quiet",
    ]);
    assert!(
        table.status.success() && text(&table.stdout).contains("clean_report_iu"),
        "{}",
        text(&table.stdout)
    );
}

#[test]
fn a_list_shows_what_would_be_asked_and_runs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    let out = loupe(&["reports", &input, "--list", "--template", "chexagent", "--json"]);
    assert_eq!(out.status.code(), Some(1));
    let listing: Value = serde_json::from_slice(&out.stdout).unwrap();
    let studies = listing["studies"].as_array().unwrap();
    assert!(
        studies[0]["prompt"].as_str().unwrap().starts_with("[1]Given the indication: \"Cough.\""),
        "{listing}"
    );
    assert_eq!(studies[0]["images"][1]["shown"], false, "the template shows no prior");
    assert!(studies[3]["skipped"].as_str().unwrap().contains("indication"), "{listing}");
    assert!(!dir.path().join("batch").exists());
}

#[test]
fn rexrank_goes_back_with_a_prediction() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("images")).unwrap();
    fs::write(dir.path().join("images/a.bmp"), picture(1)).unwrap();
    let document = json!({"CXR1": {"image_path": ["a.bmp"], "key_image_path": "a.bmp", "context": "Indication: Cough.",
        "frontal_lateral": ["Frontal"], "section_findings": "Clear.", "section_impression": "Normal.", "report": "x"}});
    put(&dir.path().join("test.json"), document.to_string().as_bytes());
    let (input, images) = (dir.path().join("test.json"), dir.path().join("images"));
    let batch = dir.path().join("batch");
    let [input, images, out] = [&input, &images, &batch].map(|path| path.display().to_string());
    let done = loupe(&[
        "reports",
        &input,
        "--images",
        &images,
        "-o",
        &out,
        "--max-new-tokens",
        "6",
        "--no-page",
        "--quiet",
    ]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let mut back: Value =
        serde_json::from_str(&fs::read_to_string(batch.join("rexrank.json")).unwrap()).unwrap();
    assert!(back["CXR1"].as_object_mut().unwrap().remove("model_prediction").is_some());
    assert_eq!(back, document);
}

#[test]
fn phantoms_have_reports_and_a_truth() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().display().to_string();
    assert!(loupe(&["phantom", "--reports", "--out", &out, "--studies", "8"]).status.success());
    // A folder with a worklist stands for it.
    let batch = dir.path().join("batch").display().to_string();
    let done = loupe(&["reports", &out, "-o", &batch, "--no-page", "--quiet"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let report = &lines(&Path::new(&batch).join("reports.jsonl"))[0];
    assert_eq!(
        (report["provenance"]["template"].as_str(), report["stop"].as_str()),
        (Some("phantom"), Some("end_of_turn")),
        "{report}"
    );
    let scores = json(&["reports", "score", &batch, "--json", "--quiet"]);
    let truth = scores["runs"][0]["truth"].as_array().unwrap();
    assert_eq!(truth.len(), 4, "{scores}");
    let found = &truth[0]["counts"];
    assert!(found["right"].as_u64().unwrap() >= 5, "of 6 studies and their findings: {truth:?}");
}

#[test]
fn a_template_at_fault_or_an_unknown_worklist_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    put(
        &dir.path().join("mine.jinja"),
        "{% block report %}{{ image }}{{ indicaton }}{% endblock %}".as_bytes(),
    );
    let template = dir.path().join("mine.jinja").display().to_string();
    let out = loupe(&["reports", &input, "--template", &template]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("a study has images, priors"), "{}", text(&out.stderr));
    let out = loupe(&["reports", "nothing.jsonl"]);
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn reports_are_judged_with_prompts_and_replies_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    let batch = dir.path().join("batch").display().to_string();
    loupe(&["reports", &input, "-o", &batch, "--max-new-tokens", "6", "--no-page", "--quiet"]);
    let server = Server::new(|_, request| match request.words() {
        words if words.contains("RISK LEVEL") => says("RISK LEVEL: 3"),
        words if words.contains("[Matched Findings]") => says(
            "[Clinically Significant Errors]:\n(a) False finding: 1. Mass\n(b) Missing finding: 0\n(c) Wrong place: 0\n(d) Wrong severity: 0\n(e) False comparison: 0\n(f) Missing comparison: 0\n\n[Matched Findings]:\n1. Nodule",
        ),
        _ => says("I cannot say."),
    });
    let judge = format!("{}#m", server.base);
    let ask = |more: &[&str]| {
        let command = ["reports", "score", &batch, "--judge", &judge, "--json", "--quiet"];
        loupe(&command.iter().chain(more).copied().collect::<Vec<&str>>())
    };
    let figure = |scores: &Value, name: &str| -> Value {
        let figures = scores["runs"][0]["summary"]["metrics"].as_array().unwrap();
        figures.iter().find(|f| f["name"] == name).cloned().unwrap_or_else(|| panic!("{name}: {scores}"))
    };
    let wanted =
        ["--judge-metric", "green", "--judge-metric", "medval", "--metric", "bleu", "--metric", "green"];
    let first = ask(&wanted);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let scores: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(
        (figure(&scores, "green")["value"].as_f64(), figure(&scores, "green")["n"].as_u64()),
        (Some(0.5), Some(2))
    );
    assert_eq!(figure(&scores, "medval_risk")["value"], 3.0);
    figure(&scores, "bleu4_coco");
    let notes = scores["notes"].to_string();
    assert!(notes.contains("not the published judge") && !notes.contains("no clinical metric"), "{notes}");
    assert_eq!(scores["runs"][0]["judged"][0]["prompt_sha256"].as_str().map(str::len), Some(64));
    let said = lines(&Path::new(&batch).join("judge.jsonl"));
    assert!(said.len() == 4 && said[0]["prompt"].as_str().unwrap().contains("Reference report:"), "{said:?}");

    // Nothing is asked twice, and what was read serves as annotations without the judge.
    ask(&wanted);
    assert_eq!(server.asked.lock().unwrap().iter().filter(|r| r.is("/v1/chat/completions")).count(), 4);
    let judged = Path::new(&batch).join("judged.jsonl").display().to_string();
    let alone = json(&[
        "reports",
        "score",
        &batch,
        "--annotations",
        &judged,
        "--metric",
        "green",
        "--json",
        "--quiet",
    ]);
    assert_eq!(figure(&alone, "green")["value"], 0.5);
    let both = ask(&["--annotations", &judged]);
    assert!(
        both.status.code() == Some(2) && text(&both.stderr).contains("\"green\" already"),
        "{}",
        text(&both.stderr)
    );

    let twice = ask(&["--judge-metric", "green", "--judge-metric", "green"]);
    assert!(
        twice.status.code() == Some(2) && text(&twice.stderr).contains("named twice"),
        "{}",
        text(&twice.stderr)
    );
    for (line, said) in [
        ("{\"id\": \"plain\", \"medval\": 7}", "\"medval\" does not hold"),
        ("{\"id\": \"nobody\", \"medval\": 1}", "none of the ids"),
        ("{\"id\": \"plain\", \"medval\": 1}", "has the field \"crimson\""),
    ] {
        let file = dir.path().join("wrong.jsonl");
        put(&file, line.as_bytes());
        let wrong = ask(&["--annotations", &file.display().to_string(), "--metric", "crimson"]);
        assert!(
            wrong.status.code() == Some(2) && text(&wrong.stderr).contains(said),
            "{line}: {}",
            text(&wrong.stderr)
        );
    }
    assert_eq!(server.asked.lock().unwrap().iter().filter(|r| r.is("/v1/chat/completions")).count(), 4);
    let none = ask(&["--judge-metric", "crimson"]);
    assert_eq!(none.status.code(), Some(1), "no JSON, no verdict");
    let scores: Value = serde_json::from_slice(&none.stdout).unwrap();
    assert!(
        scores["notes"].to_string().contains("gave no verdict for crimson on any of 2 reports"),
        "{scores}"
    );
    let none = loupe(&["reports", "score", &batch, "--metric", "radgraph"]);
    assert!(
        none.status.code() == Some(2) && text(&none.stderr).contains("give --annotations with radgraph"),
        "{}",
        text(&none.stderr)
    );
    let none = loupe(&["reports", "score", &batch, "--metric", "bleurt"]);
    assert!(none.status.code() == Some(2) && text(&none.stderr).contains("bleurt"), "{}", text(&none.stderr));
}

#[test]
fn json_by_a_schema_and_candidates_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    let template = dir.path().join("structured.jinja");
    let words = "{% block schema %}{\"properties\": {\"findings\": {\"type\": \"string\"}}}{% endblock %}\
                 {% block report %}{% for image in images %}{{ image }}{% endfor %}{{ schema }}{% endblock %}";
    put(&template, words.as_bytes());
    let server = Server::new(|number, _| {
        says(["{\"findings\": \"Clear lungs.\"}", "{\"findings\": 3}", "Clear."][number % 3])
    });
    let (template, model) = (template.display().to_string(), format!("{}#m", server.base));
    let out = dir.path().join("batch");
    let batch = out.display().to_string();
    let command = |more: &[&str]| {
        let fixed = [
            "reports",
            &input,
            "-o",
            &batch,
            "--model",
            &model,
            "--template",
            &template,
            "--id",
            "plain",
            "--no-page",
            "--quiet",
        ];
        loupe(&fixed.iter().chain(more).copied().collect::<Vec<&str>>())
    };
    for (given, said) in [
        (["--candidates", "0"], "from 1 to 64"),
        (["--candidates", "65"], "from 1 to 64"),
        (["--choose", "garbage"], "no rule for candidates"),
    ] {
        let refused = command(&[given[0], given[1], "--list"]);
        assert!(
            refused.status.code() == Some(2) && text(&refused.stderr).contains(said),
            "{given:?}: {}",
            text(&refused.stderr)
        );
    }
    let refused = command(&["--candidates", "3"]);
    assert!(
        refused.status.code() == Some(2) && text(&refused.stderr).contains("--temperature"),
        "{}",
        text(&refused.stderr)
    );
    let done = command(&["--candidates", "3", "--temperature", "0.7"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let report = &lines(&out.join("reports.jsonl"))[0];
    assert_eq!(
        (report["findings"].as_str(), report["raw"].as_array().map(Vec::len)),
        (Some("Clear lungs."), Some(3)),
        "{report}"
    );
    assert_eq!(
        (report["structured"]["problems"].as_array().map(Vec::len), report["choice"]["rule"].as_str()),
        (Some(0), Some("consensus"))
    );
    let made: Value = serde_json::from_str(&fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
    assert!(made.to_string().contains("\"candidates\":3"), "{made}");
}

/// A batch of the four studies by a served model, of which two have reports.
fn served(dir: &Path, input: &str, server: &Server, more: &[&str]) -> (String, std::process::Output) {
    let batch = dir.join("batch").display().to_string();
    let model = format!("{}#m", server.base);
    let fixed = ["reports", input, "-o", &batch, "--model", &model, "--no-page", "--quiet"];
    let done = loupe(&fixed.iter().chain(more).copied().collect::<Vec<&str>>());
    (batch, done)
}

#[test]
fn what_is_to_be_looked_at_fits_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    let server = Server::new(|_, _| says("Findings: The nodule is unchanged. Impression: Nodule."));
    let (batch, _) = served(dir.path(), &input, &server, &[]);
    let model = format!("{}#m", server.base);
    let table = |columns: Option<&str>| -> Vec<String> {
        let mut again = std::process::Command::new(env!("CARGO_BIN_EXE_loupe"));
        again.args(["reports", &input, "-o", &batch, "--model", &model, "--no-page", "--quiet"]);
        again.env_remove("COLUMNS").envs(columns.map(|n| ("COLUMNS", n)));
        let said = text(&again.output().unwrap().stdout);
        said.lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect()
    };
    let (whole, narrow) = (table(None), table(Some("44")));
    let width = |line: &String| line.chars().count();
    assert!(whole.iter().any(|line| line.contains("compares, but no prior was given")), "{whole:?}");
    assert!(whole.iter().any(|line| width(line) > 44), "{whole:?}");
    assert!(narrow.len() > whole.len() && narrow.iter().all(|line| width(line) <= 44), "{narrow:?}");
}

#[test]
fn a_line_of_annotations_at_fault_costs_one_study() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    let server = Server::new(|_, _| says("Findings: A nodule. Impression: Nodule."));
    let (batch, _) = served(dir.path(), &input, &server, &[]);
    let file = dir.path().join("annotations.jsonl");
    let score = |lines: &str, more: &[&str]| {
        put(&file, lines.as_bytes());
        let file = file.display().to_string();
        let fixed = ["reports", "score", &batch, "--annotations", &file, "--quiet"];
        loupe(&fixed.iter().chain(more).copied().collect::<Vec<&str>>())
    };
    let lines =
        "{\"id\": \"plain\", \"medval\": 2}\n\n{\"id\": \"with-prior\", \"medval\": \"low\"}\n{\"id\": \"x\n";
    let done = score(lines, &["--json"]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    let scores: Value = serde_json::from_slice(&done.stdout).unwrap();
    let summary = &scores["runs"][0]["summary"];
    let figure = summary["metrics"].as_array().unwrap().iter().find(|f| f["name"] == "medval_risk").unwrap();
    assert_eq!((figure["value"].as_f64(), figure["n"].as_u64()), (Some(2.0), Some(1)), "{figure}");
    let facts = &summary["annotations"];
    assert_eq!((facts["lines"].as_u64(), facts["annotated"].as_u64()), (Some(1), Some(1)), "{facts}");
    assert_eq!(facts["lost"], json!(["with-prior"]), "{facts}");
    assert_eq!(
        (facts["refused"][0]["line"].as_u64(), facts["refused"][1]["line"].as_u64()),
        (Some(3), Some(4))
    );
    assert!(facts["refused"][0]["problem"].as_str().unwrap().contains("\"medval\" does not hold"), "{facts}");
    // The file of single studies and the table say so too, and a study says why it is unscored.
    let csv = fs::read_to_string(Path::new(&batch).join("scores.csv")).unwrap();
    let row = |id: &str| csv.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    let column = csv.lines().next().unwrap().split(',').position(|name| name == "medval_risk").unwrap();
    let cell = |id: &str| row(id).split(',').nth(column).unwrap().to_owned();
    assert_eq!((cell("plain").as_str(), cell("with-prior").as_str()), ("2", ""), "{csv}");
    let items = fs::read_to_string(Path::new(&batch).join("scores.json")).unwrap();
    assert!(items.contains("its annotation was refused (line 3: the field"), "{items}");
    let table = text(&score(lines, &[]).stdout);
    for said in [
        "2 of 3 lines of annotations refused (line 3: ",
        "therefore without annotation: with-prior",
        "no id can be read",
    ] {
        assert!(table.split_whitespace().collect::<Vec<_>>().join(" ").contains(said), "{said}: {table}");
    }
    // Nothing of the file can be used, or nothing that was asked for.
    for (lines, more, said) in [
        ("{\"id\": \"plain\", \"medval\": 9}\n[]\n", &[][..], "none of its 2 lines can be used; line 1: "),
        ("\n", &[], "no line stands there"),
        (lines, &["--metric", "green"], "has the field \"green\" (2 lines of it cannot be used)"),
    ] {
        let refused = score(lines, more);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(said), "{said}: {}", text(&refused.stderr));
    }
    // Beside a judge, the sound lines are kept and the others stay refused.
    let judge = Server::new(|_, _| says("RISK LEVEL: 4"));
    let judge = format!("{}#j", judge.base);
    let lines = "{\"id\": \"plain\", \"ratescore\": 0.5}\n{\"id\": \"with-prior\", \"ratescore\": 2}\n";
    let both = score(lines, &["--judge", &judge, "--judge-metric", "medval", "--json"]);
    assert_eq!(both.status.code(), Some(1), "{}", text(&both.stderr));
    let scores: Value = serde_json::from_slice(&both.stdout).unwrap();
    let n = |name: &str| {
        let all = scores["runs"][0]["summary"]["metrics"].as_array().unwrap();
        all.iter().find(|f| f["name"] == name).unwrap()["n"].as_u64()
    };
    assert_eq!((n("ratescore"), n("medval_risk")), (Some(1), Some(2)), "{scores}");
    assert_eq!(scores["runs"][0]["summary"]["annotations"]["refused"][0]["line"], 2);
    let kept = lines_of(&batch, "judged.jsonl");
    assert_eq!(
        kept,
        [json!({"id": "plain", "ratescore": 0.5, "medval": 4}), json!({"id": "with-prior", "medval": 4})]
    );
}

fn lines_of(batch: &str, file: &str) -> Vec<Value> {
    lines(&Path::new(batch).join(file))
}

#[test]
fn studies_that_fail_keep_their_tokens_and_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    // The study with an indication is answered without any words but thoughts.
    let server = Server::new(|_, request| match request.words().contains("Cough") {
        true => says("<think>Hm.</think>"),
        false => says("A nodule."),
    });
    let (batch, done) = served(dir.path(), &input, &server, &["--template", "loupe-two-pass", "--json"]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    let times = fs::read_to_string(Path::new(&batch).join("times.csv")).unwrap();
    let rows: Vec<Vec<&str>> = times.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["study_id", "status", "prefill_s", "decode_s", "prompt_tokens", "new_tokens"]);
    let told: Vec<[&str; 4]> = rows[1..].iter().map(|row| [row[0], row[1], row[4], row[5]]).collect();
    let expected = [
        ["with-prior", "failed", "10", "2"],
        ["missing", "failed", "", ""],
        ["bad/prior", "failed", "", ""],
        ["plain", "ok", "20", "4"],
    ];
    assert_eq!(told, expected, "{times}");
    let reports = lines_of(&batch, "reports.jsonl");
    assert_eq!((reports[0]["tokens"]["new"].as_u64(), reports[1].get("tokens")), (Some(2), None));
    let counts: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&batch).join("reports.json")).unwrap()).unwrap();
    assert_eq!(counts["tokens_of_reports"]["prompt"], 20, "{counts}");
    assert_eq!(counts["tokens_of_failed"]["prompt"], 10, "{counts}");
    let model = format!("{}#m", server.base);
    let again = loupe(&[
        "reports",
        &input,
        "-o",
        &batch,
        "--model",
        &model,
        "--template",
        "loupe-two-pass",
        "--no-page",
    ]);
    let said = text(&again.stderr);
    assert!(
        said.contains(
            "30 tokens of prompts and 6 of replies (of these 10 and 2 for studies without a report)"
        ),
        "{said}"
    );
}

#[test]
fn batches_of_other_studies_are_neither_compared_nor_continued() {
    let dir = tempfile::tempdir().unwrap();
    let input = worklist(dir.path());
    let server = Server::new(|_, _| says("Findings: A nodule."));
    let (first, _) = served(dir.path(), &input, &server, &[]);
    // The same ids, of which one stands for a study with another reference.
    let other = tempfile::tempdir().unwrap();
    let moved = worklist(other.path());
    let changed = fs::read_to_string(&moved).unwrap().replace("A nodule.", "A mass.");
    put(Path::new(&moved), changed.as_bytes());
    let questions = || server.asked.lock().unwrap().iter().filter(|r| r.is("/v1/chat/completions")).count();
    let asked = questions();
    let before = fs::read(Path::new(&first).join("replies.jsonl")).unwrap();
    let (_, continued) = served(dir.path(), &moved, &server, &[]);
    assert_eq!(continued.status.code(), Some(2), "{}", text(&continued.stdout));
    let said = text(&continued.stderr);
    assert!(said.contains("sample") || said.contains("another run"), "{said}");
    assert_eq!(questions(), asked, "nothing is asked");
    assert_eq!(fs::read(Path::new(&first).join("replies.jsonl")).unwrap(), before);
    let (second, _) = served(other.path(), &moved, &server, &[]);
    let compared = loupe(&["reports", "score", &first, &second, "--quiet"]);
    assert_eq!(compared.status.code(), Some(2));
    let said = text(&compared.stderr);
    assert!(said.contains("not of the same studies: 1 of the ids"), "{said}");
    assert!(loupe(&["reports", "score", &first, &first, "--quiet"]).status.success());
}

#[test]
fn rules_judges_and_sections_are_listed() {
    for (kind, name, about) in [
        ("candidate-rules", "fewest-lints", "least is to be looked at"),
        ("report-judges", "medval", "level of risk"),
        ("report-sections", "r2gen-iu", "clean_report_iu_xray"),
    ] {
        let all = json(&["list", kind, "--json"]);
        let entry = all.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
        assert!(entry["about"].as_str().unwrap().contains(about), "{entry}");
        assert_eq!(json(&["list", kind, name, "--json"]).as_array().map(Vec::len), Some(1));
    }
}
