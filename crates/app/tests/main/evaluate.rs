//! Runs over small sets: the wiring of set, probe, loader and answerer, without a command line.

use crate::ct::volume;
use loupe_app::Listener;
use loupe_app::evaluate::{Finished, Probe, Respondent, RunTask, Simulated, run_and_score};
use loupe_app::open::{DataOptions, ImageOptions};
use loupe_app::rethink::RethinkSetup;
use loupe_app::score::{ScoreOptions, Summary};
use loupe_core::mask::LabelVolume;
use loupe_core::{Dataset, ModelError};
use loupe_preprocess::nifti::{label_bytes, volume_bytes};
use loupe_run::{Plan, ReplyLine, RunFolder};
use loupe_testing::{PromptShapes, Script, bmp, put, reply, script_info};
use ndarray::Array3;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what it hears.
#[derive(Default)]
struct Counter {
    parts: AtomicU64,
    advanced: AtomicU64,
}

impl Listener for Counter {
    fn begin(&self, parts: u64) {
        self.parts.store(parts, Ordering::Relaxed);
    }

    fn advance(&self, _: u64) {
        self.advanced.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two pictures with two questions each, all of them answered by yes.
fn questions(dir: &Path) -> Box<dyn Dataset> {
    let mut lines = String::new();
    for n in 0..4 {
        let image = format!("{}.bmp", n / 2);
        put(&dir.join(&image), &bmp(20, 10, |x, y| (10 * x + y * (n / 2 + 1)) as u8));
        let row = serde_json::json!({
            "id": n.to_string(), "images": [image], "question": format!("Is it {n}?"), "answer": "yes",
        });
        lines += &format!("{row}\n");
    }
    put(&dir.join("data.jsonl"), lines.as_bytes());
    DataOptions { set: "jsonl".to_owned(), path: dir.join("data.jsonl"), split: None }.open().unwrap()
}

/// A volume with one organ, two voxels of slices 2 and 3 thick, in nnU-Net's layout.
fn organs(dir: &Path) -> Box<dyn Dataset> {
    let ct = volume();
    let labels = Array3::from_shape_fn(ct.voxels.dim(), |(k, j, i)| {
        u16::from((2..4).contains(&k) && (3..8).contains(&j) && (2..6).contains(&i))
    });
    let labels = LabelVolume { labels, lps_from_index: ct.lps_from_index, names: BTreeMap::new() };
    put(&dir.join("imagesTr/a_0000.nii.gz"), &volume_bytes(&ct).unwrap());
    put(&dir.join("labelsTr/a.nii.gz"), &label_bytes(&labels).unwrap());
    put(&dir.join("dataset.json"), br#"{"labels": {"background": 0, "organ": 1}}"#);
    let split = Some("train".to_owned());
    DataOptions { set: "nifti-labels".to_owned(), path: dir.to_owned(), split }.open().unwrap()
}

fn made(
    dir: &Path,
    set: &dyn Dataset,
    probe: Option<Probe>,
    respondent: Respondent<'_>,
    listener: &dyn Listener,
) -> (Finished, Summary) {
    let plan = Plan::new(loupe_run::templates::default_template());
    let images = ImageOptions::default();
    let task = RunTask { dir, plan, set, probe, seed: 3, images: &images };
    let options = ScoreOptions::default();
    let (finished, run) = run_and_score(&task, respondent, &options.scorer().unwrap(), listener).unwrap();
    (finished, run.summary)
}

fn lines(dir: &Path) -> Vec<ReplyLine> {
    RunFolder::open(dir).unwrap().items().unwrap().filter_map(|item| item.unwrap().reply).collect()
}

#[test]
fn a_run_is_answered_recorded_scored_and_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let (set, run) = (questions(dir.path()), dir.path().join("run"));
    let heard = Counter::default();
    let mut script = Script::forever("Yes.");
    let (finished, summary) = made(&run, set.as_ref(), None, Respondent::Model(&mut script), &heard);
    assert_eq!((finished.total, finished.answered, summary.replies), (4, 4, 4));
    assert_eq!(summary.figure("strict", "accuracy").unwrap().value, Some(1.0));
    assert_eq!((heard.parts.load(Ordering::Relaxed), heard.advanced.load(Ordering::Relaxed)), (4, 4));
    assert!(std::fs::read_to_string(run.join("report.html")).unwrap().contains("Is it 3?"));
    let (finished, again) = made(&run, set.as_ref(), None, Respondent::Model(&mut script), &());
    assert_eq!((finished.already, finished.answered, script.asks.len()), (4, 0, 4));
    assert_eq!(again, summary);
    // With other pictures it is another run, and with a second look too.
    let probed = dir.path().join("probed");
    let blank = Some(Probe::Blank { level: 9 });
    made(&probed, set.as_ref(), blank, Respondent::Model(&mut script), &());
    let last = script.asks.last().unwrap();
    assert!(last.pictures[0].pixels().iter().all(|v| *v == 9));
    let rethought = dir.path().join("rethought");
    let setup = RethinkSetup::plain("chain-of-thought");
    made(&rethought, set.as_ref(), None, Respondent::Rethink(&mut script, setup), &());
    assert!(lines(&rethought).iter().all(|line| line.prediction.record.rounds().is_some()));
}

/// What failed for good is told from what may pass: a picture can be put in its place, a prompt stays too long.
#[test]
fn failures_are_counted_by_whether_they_may_pass() {
    let dir = tempfile::tempdir().unwrap();
    let (set, run) = (questions(dir.path()), dir.path().join("run"));
    std::fs::remove_file(dir.path().join("1.bmp")).unwrap();
    let long = ModelError::TooLong { tokens: 9, limit: 4 };
    let mut script = Script::of([Err(long), Ok(reply("no"))]);
    let (finished, summary) = made(&run, set.as_ref(), None, Respondent::Model(&mut script), &());
    assert_eq!((finished.answered, finished.failed), (1, 3));
    assert_eq!((summary.failed, summary.failed_for_good), (3, 1));
}

#[test]
fn an_organ_is_segmented_slice_by_slice_and_its_reference_is_that_of_the_true_picture() {
    let dir = tempfile::tempdir().unwrap();
    let set = organs(&dir.path().join("set"));
    let run = |name: &str, probe| {
        let mut shapes = PromptShapes::lit(script_info("shapes"));
        let respondent = Respondent::Segmenter(&mut shapes, Simulated::Box);
        let dir = dir.path().join(name);
        let (_, summary) = made(&dir, set.as_ref(), probe, respondent, &());
        (summary.figure("strict", "Dice").and_then(|f| f.value), lines(&dir))
    };
    let (dice, lines) = run("plain", None);
    assert_eq!(dice, Some(1.0), "the box of a block is the block");
    let trace = lines[0].prediction.record.masks().unwrap();
    assert_eq!(trace.prompts, ["box 2,3,6,8", "box 2,3,6,8"]);
    assert_eq!(trace.spacing_mm.as_deref(), Some(&[3.0, 2.0, 0.5][..]));
    let slices: Vec<_> = trace.reference.iter().map(|f| f.origin.slice).collect();
    assert_eq!(slices, [Some(2), Some(3)]);
    // Nothing is lit on a black picture, and the prompts are the same.
    let (dice, blank) = run("blank", Some(Probe::Blank { level: 0 }));
    assert_eq!(dice, Some(0.0));
    assert_eq!(blank[0].prediction.record.masks().unwrap().prompts, trace.prompts);
    // A set without masks is refused sample by sample, for good.
    let questions = questions(&dir.path().join("questions"));
    let mut shapes = PromptShapes::lit(script_info("shapes"));
    let respondent = Respondent::Segmenter(&mut shapes, Simulated::Box);
    let (_, summary) = made(&dir.path().join("none"), questions.as_ref(), None, respondent, &());
    assert_eq!((summary.failed, summary.failed_for_good), (4, 4));
}

/// A series with a segmentation whose two segments overlap, and a structure set, as references by name; written by
/// highdicom (`preprocess/tests/masks/make.py`).
#[test]
fn segments_and_regions_are_references_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../preprocess/tests/masks");
    for name in [
        "binary.dcm",
        "structures.dcm",
        "ct/0.dcm",
        "ct/1.dcm",
        "ct/2.dcm",
        "ct/3.dcm",
        "ct/4.dcm",
        "ct/5.dcm",
    ] {
        put(&dir.path().join(name), &std::fs::read(from.join(name)).unwrap());
    }
    let row = |id: &str, mask: &str, label: &str, slice: Option<usize>| {
        let mut image = serde_json::json!({ "path": "ct", "window": "full" });
        if let Some(slice) = slice {
            image["slice"] = slice.into();
        }
        let masks = serde_json::json!([{ "path": mask, "label": label }]);
        serde_json::json!({ "id": id, "images": [image], "question": "Where?", "masks": masks }).to_string()
    };
    let rows = [
        row("cyst", "binary.dcm", "cyst", None),
        row("liver", "binary.dcm", "1", Some(3)),
        row("parts", "structures.dcm", "Parts", None),
        row("unclear", "binary.dcm", "organ", None),
    ];
    put(&dir.path().join("data.jsonl"), rows.join("\n").as_bytes());
    let set = DataOptions { set: "jsonl".to_owned(), path: dir.path().join("data.jsonl"), split: None }
        .open()
        .unwrap();
    let mut shapes = PromptShapes::new(script_info("shapes"));
    let run = dir.path().join("run");
    made(&run, set.as_ref(), None, Respondent::Segmenter(&mut shapes, Simulated::Box), &());
    let prompts = |id: &str| {
        let line = lines(&run).into_iter().find(|line| line.prediction.id == id).unwrap();
        line.prediction.record.masks().map(|trace| trace.prompts.clone()).unwrap_or_default()
    };
    assert_eq!(prompts("cyst"), ["box 7,3,11,6"]);
    assert_eq!(prompts("liver"), ["box 1,2,9,8"]);
    // One slice with two parts, another with one.
    assert_eq!(prompts("parts"), ["box 0,0,12,9", "box 4,4,6,6"]);
    let why = lines(&run).into_iter().find(|line| line.prediction.id == "unclear").unwrap();
    let why = serde_json::to_string(&why).unwrap();
    assert!(why.contains("no label") && !why.contains("Liver"), "{why}");
}

/// The example of the crate's page: options, a question, the built-in model.
#[test]
fn the_built_in_model_is_there() {
    let model = loupe_app::open::ModelOptions::default().open().unwrap();
    assert_eq!((model.info().name.as_str(), model.info().box_dialect.as_str()), ("phantom-vl", "qwen2.5-vl"));
}
