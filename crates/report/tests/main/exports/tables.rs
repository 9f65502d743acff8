//! Tables for programs: of a run, and of findings.

use super::*;
use loupe_core::{Box2, Cells, Direct};
use loupe_eval::strict::Strict;
use loupe_eval::{Profile, ScoredRun, Scoring};
use loupe_report::run_rows::run_rows;
use loupe_run::Plan;
use loupe_testing::{FlatPictures, PromptHash, QuestionSet, scratch};

#[test]
fn a_run_has_a_row_for_each_reply_and_profile() {
    let set = QuestionSet::new(12).with_holes();
    let dir = scratch();
    let plan = Plan::new(loupe_run::templates::default_template());
    let mut model = PromptHash::new();
    loupe_run::run(dir.path(), &plan, &set, &mut Direct(&mut model), &FlatPictures::sound(), &mut ())
        .unwrap();
    let (first, second) = (Strict, Strict);
    let profiles: [&dyn Profile; 2] = [&first, &second];
    let run = ScoredRun::of(dir.path(), &Scoring { profiles: &profiles[..1], ..Scoring::default() }).unwrap();
    let table = run_rows(&run.folder.made_by, run.items().unwrap()).unwrap();
    assert_eq!((table.schema, table.version, table.rows()), ("loupe.replies", 1, 12));
    let column = |name: &str| &table.columns.iter().find(|c| c.name == name).unwrap().cells;
    let Cells::Text(outcomes) = column("outcome") else { panic!("words") };
    assert_eq!(outcomes.iter().flatten().filter(|o| *o == "unreadable").count(), 1);
    let Cells::Number(values) = column("value") else { panic!("numbers") };
    let Cells::Text(verdicts) = column("verdict") else { panic!("words") };
    for (value, verdict) in values.iter().zip(verdicts) {
        let expected = match verdict.as_deref() {
            Some("correct") => Some(1.0),
            Some("wrong" | "unparsed") => Some(0.0),
            _ => None,
        };
        assert_eq!(*value, expected, "{verdict:?}");
    }
    assert!(table.columns.iter().all(|c| c.cells.len() == 12));
    assert_eq!(table.csv().lines().next().unwrap().split(',').count(), table.columns.len());
}

/// The reference page names every column, in order.
#[test]
fn the_columns_are_documented() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/tables.md");
    let page = std::fs::read_to_string(page).unwrap();
    let documented: Vec<&str> =
        page.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()).collect();
    let study = study();
    let findings = export("findings-json", &study, &[], &ExportOptions::default()).unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&findings.files[0].bytes).unwrap();
    let made_by = {
        let dir = scratch();
        let plan = Plan::new(loupe_run::templates::default_template());
        let mut model = PromptHash::new();
        let set = QuestionSet::new(1);
        loupe_run::run(dir.path(), &plan, &set, &mut Direct(&mut model), &FlatPictures::sound(), &mut ())
            .unwrap();
        loupe_run::RunFolder::open(dir.path()).unwrap().made_by
    };
    let replies = run_rows(&made_by, Vec::new()).unwrap();
    let mut expected: Vec<&str> = replies.columns.iter().map(|c| c.name).collect();
    expected.extend(findings["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()));
    assert_eq!(documented, expected);
}

#[test]
fn a_finding_has_pixels_and_millimetres() {
    let study = study();
    let finding = Finding::region(0, Box2::new(2.0, 4.0, 12.0, 9.0), view(&study, 3));
    let finding = finding.with(Some("nodule, left".into()), Some(0.5));
    let made = export("findings-json", &study, &[(3, finding.clone())], &ExportOptions::default()).unwrap();
    let table: serde_json::Value = serde_json::from_slice(&made.files[0].bytes).unwrap();
    let row = &table["rows"][0];
    assert_eq!((row["x0_px"].as_f64(), row["width_px"].as_f64()), (Some(2.0), Some(10.0)));
    assert_eq!((row["width_mm"].as_f64(), row["height_mm"].as_f64()), (Some(7.0), Some(4.0)));
    assert_eq!((row["score"].as_f64(), row["sop_instance_uid"].as_str()), (Some(0.5), Some("2.25.203")));
    let centre = finding.centre_lps_mm().unwrap();
    assert_eq!(row["centre_z_lps_mm"].as_f64(), Some(centre[2]));
    let csv = export("findings-csv", &study, &[(3, finding)], &ExportOptions::default()).unwrap();
    let csv = String::from_utf8(csv.files[0].bytes.clone()).unwrap();
    assert!(csv.contains("\"nodule, left\",0.5,2.0,4.0,12.0,9.0,"), "{csv}");
}
