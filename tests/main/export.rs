//! `loupe export` through the binary: tables of a run, masks into a study and back, and what a check says.

use crate::common::{json, loupe, text};
use serde_json::{Value, json as value};
use std::fs;
use std::path::{Path, PathBuf};

fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

/// A phantom's CT series as DICOM, and its labels as NIfTI.
fn ct(dir: &Path) -> (PathBuf, PathBuf) {
    let out = loupe(&["phantom", "--out", path(dir), "--studies", "4", "--seed", "5", "--quiet"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let studies = fs::read_dir(dir.join("studies")).unwrap().map(|e| e.unwrap().path());
    let mut with_labels: Vec<PathBuf> = studies
        .filter(|s| s.join("labels.nii").is_file() && fs::read_dir(s.join("dicom")).unwrap().count() > 1)
        .collect();
    with_labels.sort();
    let study = &with_labels[0];
    (study.join("dicom"), study.join("labels.nii"))
}

/// Number and voxels of each label on the series.
fn voxels(series: &Path, masks: &Path) -> Vec<(u64, u64)> {
    let said = json(&["measure", path(series), path(masks), "--json", "--quiet"]);
    let all = said["labels"].as_array().unwrap().iter();
    all.map(|l| (l["number"].as_u64().unwrap(), l["voxels"].as_u64().unwrap())).collect()
}

#[test]
fn masks_go_into_the_study_and_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (series, labels) = ct(dir.path());
    let covered =
        |all: Vec<(u64, u64)>| -> Vec<u64> { all.into_iter().map(|(_, n)| n).filter(|n| *n > 0).collect() };
    let expected = covered(voxels(&series, &labels));
    for (to, more, file) in [
        ("dicom-seg", ["--segments", "binary"], "seg.dcm"),
        ("dicom-seg", ["--segments", "fractional"], "seg.dcm"),
        ("dicom-seg", ["--segments", "label-map"], "seg.dcm"),
        ("dicom-rtstruct", ["--segments", "binary"], "rtstruct.dcm"),
    ] {
        let out = dir.path().join(format!("{to}-{}", more[1]));
        let args =
            ["export", path(&labels), "--source", path(&series), "--to", to, "-o", path(&out), "--quiet"];
        let made = loupe(&[&args[..], &more[..]].concat());
        assert!(made.status.success(), "{to} {more:?}: {}", text(&made.stderr));
        assert_eq!(covered(voxels(&series, &out.join(file))), expected, "{to} {more:?}");
        let checked = loupe(&["export", "check", path(&out.join(file)), "--source", path(&series)]);
        assert!(checked.status.success(), "{to}: {}", text(&checked.stdout));
        assert!(!text(&checked.stdout).contains("error"), "{to}: {}", text(&checked.stdout));
    }
    // Without the series nothing says where they lie.
    let refused = loupe(&["export", path(&labels), "--to", "dicom-seg", "-o", path(dir.path())]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--source"), "{}", text(&refused.stderr));
    // Against another study the check finds the references broken.
    let made = dir.path().join("dicom-seg-binary/seg.dcm");
    let part = dir.path().join("part");
    fs::create_dir(&part).unwrap();
    let first = fs::read_dir(&series).unwrap().map(|e| e.unwrap().path()).min().unwrap();
    fs::copy(&first, part.join("one.dcm")).unwrap();
    let checked = loupe(&["export", "check", path(&made), "--source", path(&part)]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stdout).contains("are not in the source"), "{}", text(&checked.stdout));
}

#[test]
fn boxes_of_a_run_go_into_the_study() {
    let dir = tempfile::tempdir().unwrap();
    let (series, _) = ct(dir.path());
    let mut slices: Vec<PathBuf> = fs::read_dir(&series).unwrap().map(|e| e.unwrap().path()).collect();
    slices.sort();
    let data = dir.path().join("set.jsonl");
    let row = |image: &Path| {
        let image = image.strip_prefix(dir.path()).unwrap();
        value!({"question": "Locate the pneumothorax in the image and give its coordinates as JSON with the key \"bbox_2d\".", "image": path(image),
                "boxes": [{"label": "nodule", "box": [10.0, 12.0, 30.0, 28.0]}]})
    };
    let rows: Vec<String> = slices.iter().take(2).map(|s| row(s).to_string()).collect();
    fs::write(&data, rows.join("\n")).unwrap();
    let run = dir.path().join("run");
    let set = format!("jsonl={}", path(&data));
    let made = loupe(&["eval", "--data", &set, "--output", path(&run), "--no-page", "--quiet"]);
    assert!(run.join("replies.jsonl").is_file(), "{}", text(&made.stderr));
    let table = json(&[
        "export",
        path(&run),
        "--to",
        "findings-json",
        "-o",
        path(&dir.path().join("table")),
        "--json",
        "--quiet",
    ]);
    let table: Value =
        serde_json::from_slice(&fs::read(table["files"][0].as_str().unwrap()).unwrap()).unwrap();
    let found = table["rows"].as_array().unwrap();
    assert!(found.iter().all(|row| row["sop_instance_uid"].is_string()), "{table}");
    let out = dir.path().join("sr");
    let sr = loupe(&["export", path(&run), "--to", "dicom-sr", "-o", path(&out), "--quiet"]);
    if found.iter().any(|row| row["kind"] == "box") {
        assert!(sr.status.success(), "{}", text(&sr.stderr));
        let checked = loupe(&["export", "check", path(&out.join("sr.dcm")), "--source", path(&series)]);
        assert!(checked.status.success(), "{}", text(&checked.stdout));
    } else {
        assert_eq!(sr.status.code(), Some(2));
        assert!(text(&sr.stderr).contains("nothing to write"), "{}", text(&sr.stderr));
    }
}

#[test]
fn a_run_becomes_tables() {
    let dir = tempfile::tempdir().unwrap();
    let replies = dir.path().join("replies.jsonl");
    let lines = [("left lung", "left lung"), ("heart", "=HYPERLINK(\"x\"), a \"quoted\"\nanswer")];
    let lines = lines.iter().enumerate();
    let lines =
        lines.map(|(n, (gold, said))| value!({"id": n, "answer": gold, "response": said}).to_string() + "\n");
    fs::write(&replies, lines.collect::<String>()).unwrap();
    let run = dir.path().join("run");
    let scored =
        loupe(&["score", "--replies", path(&replies), "--output", path(&run), "--no-page", "--quiet"]);
    assert!(run.join("summary.json").is_file(), "{}", text(&scored.stderr));
    let table = json(&["export", path(&run), "--to", "json"]);
    assert_eq!((&table["schema"], &table["version"]), (&value!("loupe.replies"), &value!(1)));
    let rows = table["rows"].as_array().unwrap();
    assert_eq!((&rows[0]["verdict"], &rows[0]["value"]), (&value!("correct"), &value!(1.0)));
    let csv = dir.path().join("replies.csv");
    let written = loupe(&["export", path(&run), "--to", "csv", "-o", path(&csv), "--quiet"]);
    assert!(written.status.success(), "{}", text(&written.stderr));
    let csv = fs::read_to_string(csv).unwrap();
    assert!(csv.contains("\"'=HYPERLINK(\"\"x\"\"), a \"\"quoted\"\"\nanswer\""), "{csv}");
    let latex = loupe(&["export", path(&run), "--to", "latex"]);
    assert!(text(&latex.stdout).contains("\\toprule"), "{}", text(&latex.stdout));
    let parquet = dir.path().join("replies.parquet");
    let written = loupe(&["export", path(&run), "--to", "parquet", "-o", path(&parquet)]);
    match cfg!(feature = "parquet") {
        true => assert!(fs::read(parquet).unwrap().starts_with(b"PAR1"), "{}", text(&written.stderr)),
        false => assert!(text(&written.stderr).contains("feature `parquet`")),
    }
    let refused = loupe(&["export", path(&run), "--to", "parqet"]);
    assert!(text(&refused.stderr).contains("did you mean \"parquet\"?"), "{}", text(&refused.stderr));
}
