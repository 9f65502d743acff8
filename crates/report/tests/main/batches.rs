//! Batches of reports: ten thousand studies, killed and resumed; records, DICOM and FHIR.

use loupe_core::study::StudyImage;
use loupe_core::{
    AskSource, DataError, Dataset, DatasetInfo, MediaError, MediaLoader, MediaRef, ModelError, ModelInfo,
    Next, Picture, Reply, ReplySink, Sample, Sampling, Study, Target, VisionLanguageModel,
};
use loupe_report::reports::dicom_report::{TextSr, dicom_report};
use loupe_report::reports::fhir::fhir_bundle;
use loupe_report::reports::page::ReportsPage;
use loupe_report::reports::{StudyReport, StudyStatus, markdown, plain_text};
use loupe_run::report_prompt::{
    CandidateRule, Candidates, Draft, ReportAnswerer, ReportTemplate, report_template,
};
use loupe_run::{Plan, Progress, ReplyLine, RunFolder, run};
use loupe_testing::dataset::{info, worded};
use loupe_testing::model::reply;
use loupe_testing::{Script, scratch, script_info};
use std::collections::VecDeque;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Studies with a prior image each in three; made when they are asked for.
struct Studies {
    info: DatasetInfo,
    n: usize,
}

impl Studies {
    fn new(n: usize) -> Self {
        Self { info: info("studies"), n }
    }
}

impl Dataset for Studies {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.n
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let mut sample = worded("", &[]);
        sample.id = format!("study-{index:05}");
        sample.group = format!("patient {}", index / 2);
        sample.target = Target::Unknown;
        let images = if index.is_multiple_of(3) { 2 } else { 1 };
        sample.media = (0..images).map(|n| MediaRef::file(format!("{index}-{n}.png"))).collect();
        let image = |n| StudyImage { view: Some("PA".into()), prior: n > 0 };
        let study = Study {
            images: (0..images).map(image).collect(),
            indication: Some(format!("Question {index}.")),
            ..Study::default()
        };
        study.tag(&mut sample);
        Ok(sample)
    }
}

/// Pictures of 64 × 64; that of one study in a hundred cannot be read.
struct Pictures;

impl MediaLoader for Pictures {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let number: usize = media.name.split('-').next().unwrap().parse().unwrap();
        if number % 100 == 50 {
            return Err(MediaError::NotFound);
        }
        Ok(Picture::new(64, 64, 1, vec![number as u8; 64 * 64]).unwrap())
    }
}

/// Writes from the prompt alone, several studies at a time, the latest first.
struct Writer {
    info: ModelInfo,
    pause: Duration,
    /// Replies until it waits to be killed.
    most: usize,
}

impl VisionLanguageModel for Writer {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut held = VecDeque::new();
        let mut more = true;
        for given in 0.. {
            if given >= self.most {
                loop {
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
            while more && held.len() < 8 {
                match asks.next(held.is_empty()) {
                    Next::Ask(id, ask) => held.push_back((id, ask)),
                    Next::NotYet => break,
                    Next::NoMore => more = false,
                }
            }
            let Some((id, ask)) = held.pop_back() else { if more { continue } else { return } };
            let words = ask.turns.last().unwrap().words();
            let hash = words.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(b.into())) % 3;
            let text = match (words.contains("impression"), hash) {
                (true, 0) => "Left effusion, unchanged.".to_owned(),
                (true, _) => format!("Normal ({hash})."),
                (false, _) => format!("A right effusion of {} mm. Heart normal.", hash + 3),
            };
            std::thread::sleep(self.pause);
            replies.done(id, Ok(Reply::from_text(text)));
        }
    }
}

/// How much memory the process has when so many studies are done.
#[derive(Default)]
struct Memory {
    done: usize,
    at: Vec<u64>,
}

impl Progress for Memory {
    fn recorded(&mut self, _: &ReplyLine) {
        self.done += 1;
        if self.done == 1000 || self.done.is_multiple_of(4500) {
            self.at.extend(resident());
        }
    }
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn write_all(dir: &Path, n: usize, progress: &mut dyn Progress) {
    write_most(dir, n, usize::MAX, Duration::ZERO, progress);
}

fn write_most(dir: &Path, n: usize, most: usize, pause: Duration, progress: &mut dyn Progress) {
    let template = report_template("loupe-two-pass").unwrap();
    let mut model = Writer { info: script_info("writer"), pause, most };
    let plan = Plan { decode_ahead: 16, ..Plan::new(template.clone()) };
    let mut answerer = ReportAnswerer::new(&mut model, template);
    run(dir, &plan, &Studies::new(n), &mut answerer, &Pictures, progress).unwrap();
}

/// The records of a run as they are written.
fn records(dir: &Path) -> String {
    let folder = RunFolder::open(dir).unwrap();
    let line =
        |item: loupe_run::Item| serde_json::to_string(&StudyReport::of(&item, &folder.made_by)).unwrap();
    folder.items().unwrap().map(|item| line(item.unwrap()) + "\n").collect()
}

const DIR: &str = "LOUPE_TEST_KILLED_BATCH";
const MOST: &str = "LOUPE_TEST_KILLED_BATCH_REPLIES";
const STUDIES: usize = 1500;

/// The process that is killed: nothing unless the test below starts it.
#[test]
fn the_batch_to_kill() {
    if let Some(dir) = std::env::var_os(DIR) {
        let most = std::env::var(MOST).unwrap().parse().unwrap();
        write_most(Path::new(&dir), STUDIES, most, Duration::from_micros(100), &mut ());
    }
}

#[test]
fn a_batch_killed_twenty_times_has_the_records_of_one_that_was_not() {
    let whole = scratch();
    write_all(whole.path(), STUDIES, &mut ());
    let dir = scratch();
    let run = dir.path().join("run");
    let lines = || {
        std::fs::read(run.join("replies.jsonl"))
            .map_or(0, |text| text.iter().filter(|b| **b == b'\n').count())
    };
    let start = |most: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "batches::the_batch_to_kill"])
            .env(DIR, &run)
            .env(MOST, most.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    for kill in 1..=20 {
        // Killed at moments spread over the whole batch; however late the kill comes, the batch does not end before it.
        let at = kill * STUDIES / 22;
        let mut child = start(2 * (at + 60 - lines().min(at)));
        while lines() < at && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(lines() < STUDIES, "kill {kill} came too late");
    }
    assert!(start(usize::MAX).wait().unwrap().success());
    assert_eq!(lines(), STUDIES, "no report is written twice");
    let (killed, calm) = (records(&run), records(whole.path()));
    assert!(killed == calm);
    assert_eq!(calm.matches("\"status\":\"failed\"").count(), STUDIES / 100);
}

const LONG: &str = "LOUPE_TEST_LONG_BATCH";

/// The process whose memory is looked at: nothing unless the test below starts it.
#[test]
fn the_long_batch() {
    let Some(dir) = std::env::var_os(LONG) else { return };
    let mut memory = Memory::default();
    write_all(Path::new(&dir), 10_000, &mut memory);
    assert_eq!(memory.done, 10_000);
    if cfg!(target_os = "linux") {
        assert!(memory.at.len() > 1, "the memory was not looked at");
    }
    if let [first, .., last] = memory.at.as_slice() {
        // Ten thousand pictures alone would be 40 MB, their prompts and replies more.
        assert!(last.saturating_sub(*first) < 16 << 10, "{:?} kB", memory.at);
    }
}

/// In a process of its own, as other tests take memory too.
#[test]
fn ten_thousand_studies_take_no_more_memory_than_one_thousand() {
    let dir = scratch();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "batches::the_long_batch"])
        .env(LONG, dir.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let folder = RunFolder::open(dir.path()).unwrap();
    assert_eq!(folder.items().unwrap().count(), 10_000);
}

/// The records of ten studies.
fn ten() -> Vec<StudyReport> {
    let dir = scratch();
    write_all(dir.path(), 10, &mut ());
    let folder = RunFolder::open(dir.path()).unwrap();
    folder.items().unwrap().map(|item| StudyReport::of(&item.unwrap(), &folder.made_by)).collect()
}

#[test]
fn a_record_holds_the_report_its_lints_and_what_made_it() {
    let reports = ten();
    for (at, report) in reports.iter().enumerate() {
        assert_eq!((report.status, report.raw.len()), (StudyStatus::Ok, 2));
        assert!(report.findings.as_deref().unwrap().starts_with("A right effusion of"));
        let made = &report.provenance;
        assert_eq!((made.template.as_str(), made.template_sha256.len()), ("loupe-two-pass", 64));
        let images = if at.is_multiple_of(3) { 2 } else { 1 };
        assert_eq!((made.pixels_sha256.len(), report.study.images.len()), (images, images));
        let mismatch = report.impression.as_deref() == Some("Left effusion, unchanged.");
        let kinds: Vec<String> = report.lints.iter().map(|l| format!("{:?}", l.kind)).collect();
        assert_eq!(kinds.contains(&"SideMismatch".to_owned()), mismatch, "{kinds:?}");
        let compares = mismatch && images == 1;
        assert_eq!(kinds.contains(&"ComparisonWithoutPrior".to_owned()), compares, "{kinds:?}");
        let text = plain_text(report);
        assert!(text.contains("FINDINGS:") && text.contains("checked by nobody"), "{text}");
        assert!(markdown(report).contains("## Impression"));
        let back: StudyReport = serde_json::from_str(&serde_json::to_string(report).unwrap()).unwrap();
        assert_eq!(&back, report);
    }
}

/// A validator, where it is there.
fn validator(name: &str, file: &Path) -> Option<String> {
    let out = Command::new(name).arg(file).output().ok()?;
    Some(String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
}

#[test]
fn dicom_reports_are_what_validators_accept() {
    let report = ten().swap_remove(0);
    let dir = scratch();
    for (class, name) in [(TextSr::Basic, "basic.dcm"), (TextSr::Enhanced, "enhanced.dcm")] {
        let bytes = dicom_report(&report, class, None, ["20260131", "090500"]).unwrap();
        assert_eq!(bytes, dicom_report(&report, class, None, ["20260131", "090500"]).unwrap());
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        if let Some(said) = validator("dciodvfy", &file) {
            let faults: Vec<&str> =
                said.lines().filter(|l| l.starts_with("Error") || l.starts_with("Warning")).collect();
            // Who the patient is, is told only where it is asked for.
            let faults: Vec<&str> = faults.into_iter().filter(|l| !l.contains("build DICOMDIR")).collect();
            assert!(faults.is_empty(), "{name}: {faults:?}");
        }
        if let Some(said) = validator("dsrdump", &file) {
            assert!(
                said.contains("A right effusion of") && !said.lines().any(|line| line.starts_with("E:")),
                "{said}"
            );
        }
    }
}

#[test]
fn a_fhir_bundle_says_that_a_model_wrote_it() {
    let report = ten().swap_remove(0);
    let bundle = fhir_bundle(&report, "the prompt", "2026-01-31T09:05:00Z");
    let kinds: Vec<&str> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["DiagnosticReport", "Device", "DocumentReference", "Provenance"]);
    let [diagnostic, _, _, provenance] = [0usize, 1, 2, 3].map(|at| &bundle["entry"][at]["resource"]);
    assert_eq!(diagnostic["meta"]["security"][0]["code"], "AIAST");
    assert_eq!(diagnostic["status"], "preliminary");
    assert_eq!(provenance["target"][0]["reference"], bundle["entry"][0]["fullUrl"]);
    assert_eq!(provenance["agent"][0]["who"]["reference"], bundle["entry"][1]["fullUrl"]);
    assert_eq!(provenance["entity"].as_array().unwrap().len(), 1 + report.study.images.len());
}

#[test]
fn the_page_holds_every_study_and_asks_for_nothing() {
    let mut page = ReportsPage::new("Reports".into(), "two".into(), Vec::new(), 1 << 20);
    let hostile = "<img src=x onerror=alert(1)>";
    for mut report in ten().into_iter().take(2) {
        report.study.indication = Some(hostile.into());
        report.reference.insert("findings".into(), "A left effusion.".into());
        let picture = Picture::new(8, 8, 1, vec![9; 64]).unwrap();
        let missing = Err("image file not found".to_owned());
        page.add(report, vec![Ok(picture), missing]);
    }
    let mut out = Vec::new();
    page.write(&mut out).unwrap();
    let html = String::from_utf8(out).unwrap();
    assert_eq!(html.matches("class=\"study\"").count(), 2);
    assert!(html.contains("default-src 'none'") && html.contains("@media print"));
    assert!(
        !html.contains(hostile)
            && !html.contains("<script")
            && !html.contains("http://")
            && !html.contains("https://")
    );
    assert!(
        html.contains("<del>right</del> <ins>left</ins>") || html.contains("<ins>left</ins>"),
        "differences are marked"
    );
    assert!(html.contains("image file not found") && html.contains("data:image/png"));
}

fn longest(_: &Sample, all: &[Draft<'_>]) -> Vec<f64> {
    all.iter().map(|draft| draft.reply.text.len() as f64).collect()
}

static LONGEST: CandidateRule = CandidateRule { name: "longest", about: "", rank: longest };

/// The records of so many studies by a template, from a model that says these lines.
fn by_template(
    text: &str,
    studies: usize,
    candidates: Option<Candidates>,
    lines: impl IntoIterator<Item = Result<Reply, ModelError>>,
) -> Vec<StudyReport> {
    let dir = scratch();
    let template = ReportTemplate::new("mine", "", text).unwrap();
    let mut plan = Plan::new(template.clone());
    plan.limits.sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 5 };
    let mut model = Script::of(lines);
    let mut answerer = ReportAnswerer::new(&mut model, template).choosing(candidates);
    run(dir.path(), &plan, &Studies::new(studies), &mut answerer, &Pictures, &mut ()).unwrap();
    let folder = RunFolder::open(dir.path()).unwrap();
    folder.items().unwrap().map(|item| StudyReport::of(&item.unwrap(), &folder.made_by)).collect()
}

/// The page of one report on two images.
fn page_of(report: StudyReport) -> String {
    let mut page = ReportsPage::new("Reports".into(), "one".into(), Vec::new(), 1 << 20);
    let picture = || Ok(Picture::new(8, 8, 1, vec![9; 64]).unwrap());
    page.add(report, vec![picture(), picture()]);
    let mut out = Vec::new();
    page.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn images_that_no_prompt_showed_are_said() {
    let one = "{% block report %}{{ images|first }}Report.{% endblock %}";
    let two = "{% block findings %}{{ images|first }}Findings.{% endblock %}{% block impression %}Impression.{% endblock %}";
    let later = "{% block findings %}{{ images|first }}Findings.{% endblock %}\
                 {% block impression %}{% for image in priors %}{{ image }}{% endfor %}Impression.{% endblock %}";
    let asked = "{% block ask_now %}{{ images|first }}What is seen?{% endblock %}{% block compose %}{{ answers.now }}{% endblock %}";
    for (text, unseen) in [(one, &[1][..]), (two, &[1]), (later, &[]), (asked, &[1])] {
        // The first study has a prior image, the second one has none.
        let reports = by_template(text, 2, None, (0..4).map(|_| Ok(reply("A nodule."))));
        let [first, second] = reports.as_slice() else { panic!("{reports:?}") };
        assert_eq!(first.status, StudyStatus::Ok, "{text}: {first:?}");
        assert_eq!(first.not_shown, unseen, "{text}");
        assert_eq!(first.provenance.pixels_sha256.len(), 2 - unseen.len(), "{text}");
        assert_eq!((second.not_shown.len(), second.provenance.pixels_sha256.len()), (0, 1), "{text}");
        let said = page_of(first.clone()).matches("(not shown to the model)").count();
        assert_eq!(said > 0, !unseen.is_empty(), "{text}");
    }
}

#[test]
fn the_seed_of_a_candidate_is_that_of_the_report_that_was_kept() {
    let text = "{% block report %}{% for image in images %}{{ image }}{% endfor %}Report.{% endblock %}";
    let said = ["One.", "Another one.", "The longest one of all."];
    for (kept, candidates) in [(0, None), (2, Candidates::new(3, &LONGEST).ok())] {
        let count = if candidates.is_some() { 3 } else { 1 };
        let lines = said.map(|line| Ok(reply(line)));
        let report = by_template(text, 1, candidates, lines).remove(0);
        assert_eq!(report.findings.as_deref(), Some(said[kept]));
        let random = &report.provenance.limits["sampling"]["random"];
        assert_eq!(random["seed"].as_u64(), Some(5 + kept as u64), "{}", report.provenance.limits);
        assert_eq!(report.raw, said[..count]);
        assert_eq!(report.tokens.unwrap().prompt, 100 * count);
        let chosen = report.choice.as_ref().map(|choice| (choice.rule.as_str(), choice.chosen, choice.of));
        assert_eq!(chosen, (count > 1).then_some(("longest", 2, 3)));
        let page = page_of(report);
        let line = "Candidate 3 of 3, kept by longest out of 3; all stand in";
        assert_eq!(page.contains(line), count > 1);
        assert!(said[..count].iter().all(|line| page.contains(line)));
    }
}

#[test]
fn a_study_that_failed_keeps_what_it_took() {
    let text = "{% block findings %}{{ images|first }}Findings.{% endblock %}{% block impression %}Impression.{% endblock %}";
    let broken = || Err(ModelError::NoSuchPicture { turn: 0, index: 1, count: 1 });
    let reports = by_template(text, 2, None, [Ok(reply("A left nodule.")), broken(), broken()]);
    let [first, second] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((first.status, second.status), (StudyStatus::Failed, StudyStatus::Failed));
    let tokens = first.tokens.unwrap();
    assert_eq!(
        (tokens.prompt, tokens.new, first.raw.as_slice()),
        (100, 3, &["A left nodule.".to_owned()][..])
    );
    // Of a study to which nothing was replied nothing is known.
    assert_eq!((second.tokens, second.raw.len()), (None, 0));
    let page = page_of(first.clone());
    assert!(page.contains("No report: ") && page.contains("A left nodule."), "{page}");
}

#[test]
fn control_characters_are_not_handed_on() {
    let text = "{% block report %}{{ images|first }}Report.{% endblock %}";
    let mut report =
        by_template(text, 2, None, [Ok(reply("A.")), Ok(reply("Nod\u{1b}ule.\nImpression: \u{0}Mass."))])
            .remove(1);
    report.study.indication = Some("Cough\u{0}.\tFever.".into());
    let sr = dicom_report(&report, TextSr::Basic, None, ["20260131", "090500"]).unwrap();
    let holds = |words: &str| sr.windows(words.len()).any(|part| part == words.as_bytes());
    assert!(holds("Nod\u{FFFD}ule.") && holds("\u{FFFD}Mass.") && holds("Cough\u{FFFD}.\tFever."));
    let bundle = fhir_bundle(&report, "the prompt", "2026-01-31T09:05:00Z");
    let diagnostic = &bundle["entry"][0]["resource"];
    assert_eq!(diagnostic["conclusion"], "\u{FFFD}Mass.");
    assert!(diagnostic["text"]["div"].as_str().unwrap().contains("Nod\u{FFFD}ule."));
}
