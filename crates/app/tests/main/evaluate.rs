//! Runs over small sets: the wiring of set, probe, loader and answerer, without a command line.

use crate::ct::volume;
use loupe_app::Listener;
use loupe_app::evaluate::{
    AnswerWay, EvaluateOptions, Finished, Probe, Respondent, RunTask, Simulated, evaluate, run_and_score,
};
use loupe_app::open::{DataOptions, ImageOptions, ModelOptions};
use loupe_app::rethink::RethinkSetup;
use loupe_app::score::{ScoreOptions, Summary, read_summary};
use loupe_core::mask::LabelVolume;
use loupe_core::{CheckpointRecord, Dataset, ModelError, ModelInfo, Provenance};
use loupe_preprocess::nifti::{label_bytes, volume_bytes};
use loupe_run::{Plan, ReplyLine, RunFolder};
use loupe_testing::{PromptShapes, Script, bmp, put, reply, script_info};
use ndarray::Array3;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
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
    let task = RunTask::new(dir, plan, set, probe, 3, &images);
    let options = ScoreOptions::default();
    let (finished, run) = run_and_score(&task, respondent, &options.scorer().unwrap(), listener).unwrap();
    (finished, run.unwrap().summary)
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
    // It is on record, and its page has the pictures of the set too.
    let on_record = RunFolder::open(&probed).unwrap().made_by.probe();
    assert_eq!(on_record.map(|setting| (setting.probe, setting.seed)), blank.map(|probe| (probe, 3)));
    let page = std::fs::read_to_string(probed.join("report.html")).unwrap();
    assert!(page.contains("\"unaltered\":[{\"image\":") && page.contains("every pixel at level 9"));
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

/// A mask of one slice is flat, and measured in the millimetres of its pixels, which need not be square: the figures
/// are those of the slice as a picture of its own.
#[test]
fn the_mask_of_one_slice_is_scored_in_the_millimetres_of_its_pixels() {
    let dir = tempfile::tempdir().unwrap();
    let (ct, at) = (volume(), |name: &str| dir.path().join(name));
    put(&at("ct.nii.gz"), &volume_bytes(&ct).unwrap());
    // Two pixels with a gap between them; the box around them fills it.
    let inside = |x, y| x == 4 && (y == 3 || y == 5);
    put(&at("drawn.bmp"), &bmp(12, 10, |x, y| if inside(x, y) { 255 } else { 0 }));
    let labels = Array3::from_shape_fn(ct.voxels.dim(), |(k, j, i)| u16::from(k == 3 && inside(i, j)));
    let labels = LabelVolume { labels, lps_from_index: ct.lps_from_index, names: BTreeMap::new() };
    put(&at("labels.nii.gz"), &label_bytes(&labels).unwrap());
    for mask in ["drawn.bmp", "labels.nii.gz"] {
        let image = serde_json::json!({ "path": "ct.nii.gz", "slice": 3 });
        let row = serde_json::json!({ "id": "a", "images": [image], "question": "Where?", "masks": [mask] });
        put(&at("data.jsonl"), row.to_string().as_bytes());
        let data = DataOptions { set: "jsonl".to_owned(), path: at("data.jsonl"), split: None };
        let mut shapes = PromptShapes::lit(script_info("shapes"));
        let (run, respondent) =
            (at(mask).with_extension("run"), Respondent::Segmenter(&mut shapes, Simulated::Box));
        let (_, summary) = made(&run, data.open().unwrap().as_ref(), None, respondent, &());
        let figure = |name: &str| summary.figure("strict", name).and_then(|f| f.value);
        // Of five edge pixels one lies a row of 2 mm from the other side.
        assert_eq!(figure("ASSD distance, MedPy and MONAI (mm)"), Some(2.0 / 5.0), "{mask}");
        assert!(figure("NSD at 2 mm").is_some() && figure("NSD at 2 px").is_none(), "{mask}");
        let all = lines(&run);
        let trace = all[0].prediction.record.masks().unwrap();
        assert_eq!(trace.spacing_mm.as_deref(), Some(&[2.0, 0.5][..]), "{mask}");
        assert!(trace.reference.iter().all(|f| f.origin.slice.is_none()), "{mask}");
    }
    // Of one slice and of all at once is neither.
    let masks = ["drawn.bmp", "labels.nii.gz"];
    let row = serde_json::json!({ "id": "a", "images": ["ct.nii.gz"], "question": "Where?", "masks": masks });
    put(&at("data.jsonl"), row.to_string().as_bytes());
    let data = DataOptions { set: "jsonl".to_owned(), path: at("data.jsonl"), split: None };
    let mut shapes = PromptShapes::lit(script_info("shapes"));
    let respondent = Respondent::Segmenter(&mut shapes, Simulated::Box);
    let (finished, _) = made(&at("mixed"), data.open().unwrap().as_ref(), None, respondent, &());
    assert_eq!(finished.failed, 1);
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
        row("unsaid", "binary.dcm", "", None),
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
    let why = |id: &str| {
        let line = lines(&run).into_iter().find(|line| line.prediction.id == id).unwrap();
        serde_json::to_string(&line).unwrap()
    };
    let (unclear, unsaid) = (why("unclear"), why("unsaid"));
    assert!(unclear.contains("no label") && !unclear.contains("Liver"), "{unclear}");
    assert!(unsaid.contains("the mask has 2 labels (1, 2)") && !unsaid.contains("Liver"), "{unsaid}");
    // A check says the same of the same rows, before anything is run.
    let data = DataOptions { set: "jsonl".to_owned(), path: dir.path().join("data.jsonl"), split: None };
    let report = loupe_app::data::check(&data, &ImageOptions::default()).unwrap();
    let said: Vec<&str> = report.splits[0].notes.iter().map(|note| note.text.as_str()).collect();
    let [unclear, unsaid] = said.as_slice() else { panic!("{said:?}") };
    assert!(unclear.contains("line 4") && unclear.contains("no label \"organ\""), "{unclear}");
    assert!(unsaid.contains("line 5") && unsaid.contains("2 labels (1, 2)"), "{unsaid}");
    assert!(!report.is_good());
}

/// Reads what is said.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn say(&self, words: &str) {
        self.0.lock().unwrap().push(words.to_owned());
    }
}

#[test]
fn what_a_run_was_scored_by_stays_when_it_is_scored_again() {
    let dir = tempfile::tempdir().unwrap();
    let (set, run) = (questions(dir.path()), dir.path().join("run"));
    made(&run, set.as_ref(), None, Respondent::Model(&mut Script::forever("Yes.")), &());
    let images = ImageOptions::default();
    let score = |profiles: &[&str], metrics: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let options =
            ScoreOptions { profiles: own(profiles), metrics: own(metrics), page: None, ..Default::default() };
        let heard = Heard::default();
        let loader = images.loader();
        let scored = options.scorer().unwrap().score(&run, None, &loader, &heard).unwrap();
        let names =
            |list: &[loupe_eval::summary::Figure]| list.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        let profiles: Vec<String> = scored.summary.profiles.iter().map(|p| p.name.clone()).collect();
        (profiles, names(&scored.summary.metrics), heard.0.into_inner().unwrap())
    };
    let first = score(&["karma", "multimedeval"], &["bleu1_nltk"]);
    assert_eq!((first.0.len(), first.1.len(), first.2.len()), (3, 1, 0), "{first:?}");
    let before = std::fs::read(run.join("scores.json")).unwrap();
    let again = score(&[], &[]);
    assert_eq!(again, first);
    assert!(std::fs::read(run.join("scores.json")).unwrap() == before, "byte for byte");
    let (profiles, ..) = score(&["medvlthinker", "karma"], &[]);
    assert_eq!(profiles[..3], first.0[..]);
    assert_eq!(profiles.len(), 4);
    // What needs more than the folder is said.
    let summary = std::fs::read_to_string(run.join("summary.json")).unwrap();
    let other = summary.replacen("\"compat:karma@", "\"judge:mine@", 1);
    std::fs::write(run.join("summary.json"), &other).unwrap();
    let changed = read_summary(&run).unwrap_err().in_one_line();
    assert!(changed.contains("summary.json is not as it was written"), "{changed}");
    let mut other: serde_json::Value = serde_json::from_str(&other).unwrap();
    other.as_object_mut().unwrap().remove("sum");
    std::fs::write(run.join("summary.json"), loupe_run::sealed_file(&other).unwrap()).unwrap();
    let (profiles, _, heard) = score(&[], &[]);
    assert_eq!(profiles.len(), 3);
    assert!(heard.iter().any(|line| line.contains("judge:mine@")), "{heard:?}");
}

#[test]
fn pictures_that_were_moved_are_counted_and_found_with_the_set() {
    let dir = tempfile::tempdir().unwrap();
    let (old, run) = (dir.path().join("old"), dir.path().join("run"));
    let set = questions(&old);
    made(&run, set.as_ref(), None, Respondent::Model(&mut Script::forever("Yes.")), &());
    let page = || std::fs::metadata(run.join("report.html")).unwrap().len();
    let (whole, images, options) = (page(), ImageOptions::default(), ScoreOptions::default());
    let new = dir.path().join("new");
    std::fs::rename(&old, &new).unwrap();
    let score = |set: Option<&dyn Dataset>| {
        let heard = Heard::default();
        options.scorer().unwrap().score(&run, set, &images.loader(), &heard).unwrap();
        heard.0.into_inner().unwrap()
    };
    let heard = score(None);
    assert!(heard.iter().any(|l| l.contains("2 of 2 pictures") && l.contains("--data jsonl=")), "{heard:?}");
    assert!(page() < whole);
    let moved =
        DataOptions { set: "jsonl".to_owned(), path: new.join("data.jsonl"), split: None }.open().unwrap();
    assert_eq!(score(Some(moved.as_ref())), [""; 0]);
    assert_eq!(page(), whole);
    assert!(loupe_app::score::same_set(&run, moved.as_ref()).is_ok());
    let other = organs(&dir.path().join("organs"));
    assert!(loupe_app::score::same_set(&run, other.as_ref()).is_err());
}

#[test]
fn reasons_of_failures_are_counted_together_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let (set, run) = (questions(dir.path()), dir.path().join("run"));
    std::fs::remove_file(dir.path().join("1.bmp")).unwrap();
    let long = |tokens| Err(ModelError::TooLong { tokens, limit: 4 });
    let mut script = Script::of([long(9), long(12)]);
    let (_, summary) = made(&run, set.as_ref(), None, Respondent::Model(&mut script), &());
    let reasons: Vec<(u64, &str)> = summary.failures.iter().map(|f| (f.n, f.reason.as_str())).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.contains(&(2, "image file not found")), "{reasons:?}");
    assert!(reasons.iter().any(|(n, why)| *n == 2 && why.contains("9 tokens")), "{reasons:?}");
    let shown =
        loupe_app::score::Shown { all_subgroups: false, format: loupe_core::table::Format::Within(100) };
    let table = loupe_app::score::terminal(&summary, shown);
    assert!(table.contains("image file not found") && table.contains("--retry-failed asks 2"), "{table}");
}

/// Every name that a profile is meant for is a set's.
#[test]
fn profiles_are_meant_for_sets_that_there_are() {
    for rules in loupe_eval::profiles::PROFILES.iter() {
        for set in rules.sets() {
            assert!(loupe_datasets::SETS.get(set).is_some(), "{}: {set}", rules.name());
        }
    }
}

#[test]
fn a_set_without_masks_is_refused_before_a_segmenter_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    questions(dir.path());
    let options = EvaluateOptions {
        data: DataOptions { set: "jsonl".to_owned(), path: dir.path().join("data.jsonl"), split: None },
        output: Some(dir.path().join("run")),
        template: "loupe".to_owned(),
        template_file: None,
        examples: None,
        shard: None,
        selection: Default::default(),
        rollouts: 1,
        probe: None,
        seed: 0,
        retry_failed: false,
        hide_names: false,
        extend: false,
        limits: Default::default(),
        // There is none: it must not be looked for.
        model: ModelOptions { folder: Some(dir.path().join("nothing")), ..Default::default() },
        way: AnswerWay::Segment(Simulated::Box),
        images: ImageOptions::default(),
        score: ScoreOptions::default(),
        invocation: Default::default(),
    };
    let error = evaluate(&options, &()).unwrap_err().to_string();
    assert!(error.contains("--segment") && error.contains("masks"), "{error}");
    assert!(!dir.path().join("run").exists());
}

#[test]
fn the_built_in_model_says_what_it_is_unless_it_sees_phantoms() {
    let dir = tempfile::tempdir().unwrap();
    let (phantoms, own) = (dir.path().join("phantoms"), dir.path().join("own"));
    loupe_app::phantom::write(&phantoms, 3, 1).unwrap();
    std::fs::create_dir_all(&own).unwrap();
    let model = ModelOptions::default();
    let from = Provenance::Checkpoint(CheckpointRecord::default());
    let info = ModelInfo { from, ..script_info("phantom-vl") };
    let inside = phantoms.join("vqa-rad/images");
    assert_eq!(model.note(&info, [phantoms.as_path(), inside.as_path()]), None);
    let note = model.note(&info, [phantoms.as_path(), own.as_path()]).unwrap();
    assert!(note.contains("phantom-vl") && note.contains("synthetic") && !note.contains('\n'), "{note}");
    let named = ModelOptions { folder: Some(own.clone()), ..Default::default() };
    assert_eq!(named.note(&info, [own.as_path()]), None);
}

/// The example of the crate's page: options, a question, the built-in model.
#[test]
fn the_built_in_model_is_there() {
    let model = loupe_app::open::ModelOptions::default().open().unwrap();
    assert_eq!((model.info().name.as_str(), model.info().box_dialect.as_str()), ("phantom-vl", "qwen2.5-vl"));
}
