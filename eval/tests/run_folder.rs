//! A run survives being killed anywhere, refuses to mix with another run, and scores the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fake;

use fake::{Loader, Model, Set};
use loupe_core::{Dataset, MediaSource, Sampling};
use loupe_eval::run::{
    Direct, Finished, Plan, Progress, ReplyLine, RunError, RunFolder, SampleLine, run, score, view,
};
use loupe_eval::strict::Strict;
use loupe_eval::{Scoring, prompts};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A folder in memory where there is one: these tests sync hundreds of files.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn go(dir: &Path, set: &Set, plan: &Plan) -> Result<Finished, RunError> {
    run(dir, plan, set, &mut Direct(&mut Model::new()), &Loader::default(), &mut ())
}

fn plan(batch: usize) -> Plan {
    Plan { batch, decode_threads: 2, ..Plan::new(prompts::default_template()) }
}

fn scores(dir: &Path) -> Vec<u8> {
    score(dir, &Scoring { profiles: &[&Strict], ..Scoring::default() }).unwrap();
    fs::read(dir.join("scores.json")).unwrap()
}

fn undisturbed(set: &Set, plan: &Plan) -> (tempfile::TempDir, Vec<u8>) {
    let dir = scratch();
    go(dir.path(), set, plan).unwrap();
    let scores = scores(dir.path());
    (dir, scores)
}

#[test]
fn cutting_the_replies_at_every_byte_of_the_last_lines_and_resuming_changes_nothing() {
    let set = Set::new(12);
    let (whole, expected) = undisturbed(&set, &plan(4));
    let replies = fs::read(whole.path().join("replies.jsonl")).unwrap();
    let lines: Vec<usize> =
        replies.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
    let dir = scratch();
    for name in ["run.json", "samples.jsonl"] {
        fs::copy(whole.path().join(name), dir.path().join(name)).unwrap();
    }
    for cut in lines[lines.len() - 3]..replies.len() {
        fs::write(dir.path().join("replies.jsonl"), &replies[..cut]).unwrap();
        // Another batch size, so that batches fall differently than before.
        go(dir.path(), &set, &plan(1 + cut % 5)).unwrap();
        assert!(scores(dir.path()) == expected, "cut at byte {cut}");
    }
}

#[test]
fn dying_in_the_middle_of_any_batch_loses_only_what_was_in_flight() {
    let set = Set::new(15);
    let (_, expected) = undisturbed(&set, &plan(3));
    for dies_after in 0..15 {
        let dir = scratch();
        let mut model = Model { dies_after: Some(dies_after), ..Model::new() };
        let ended = catch_unwind(AssertUnwindSafe(|| {
            run(dir.path(), &plan(3), &set, &mut Direct(&mut model), &Loader::default(), &mut ())
        }));
        let resumed = go(dir.path(), &set, &plan(3)).unwrap();
        if ended.is_err() {
            assert!(resumed.already + 3 > dies_after, "{resumed:?} after {dies_after}");
        }
        assert!(scores(dir.path()) == expected, "died after {dies_after}");
    }
}

#[test]
fn batch_size_and_threads_change_nothing() {
    let set = Set::new(20);
    let (_, expected) = undisturbed(&set, &plan(1));
    for batch in [2, 7, 50] {
        assert!(undisturbed(&set, &plan(batch)).1 == expected, "batch {batch}");
    }
}

#[test]
fn a_kill_before_run_json_is_written_starts_anew_and_damage_is_asked_again() {
    let set = Set::new(6);
    let (whole, expected) = undisturbed(&set, &plan(2));
    let dir = scratch();
    fs::write(dir.path().join("samples.jsonl"), "{\"row\": 0, \"sam").unwrap();
    fs::write(dir.path().join(".run.json.part"), "{").unwrap();
    fs::write(dir.path().join("replies.jsonl"), "").unwrap();
    go(dir.path(), &set, &plan(2)).unwrap();
    assert!(scores(dir.path()) == expected);

    // A block of zeros in the middle, as a power cut can leave it.
    let mut replies = fs::read(whole.path().join("replies.jsonl")).unwrap();
    let first = replies.iter().position(|&b| b == b'\n').unwrap();
    replies[..first].fill(0);
    fs::write(whole.path().join("replies.jsonl"), replies).unwrap();
    let resumed = go(whole.path(), &set, &plan(2)).unwrap();
    assert_eq!((resumed.damaged, resumed.already), (1, 5));
    assert!(scores(whole.path()) == expected);
}

#[test]
fn another_command_is_refused_and_the_difference_named() {
    let set = Set::new(6);
    let (dir, _) = undisturbed(&set, &plan(2));
    let refused = |set: &Set, plan: &Plan, model: &mut Model| {
        let error = run(dir.path(), plan, set, &mut Direct(model), &Loader::default(), &mut ()).unwrap_err();
        let RunError::Differs { field, .. } = error else { panic!("{error}") };
        field
    };
    let mut other = plan(2);
    other.limits.max_new_tokens = 9;
    assert_eq!(refused(&set, &other, &mut Model::new()), "limits.max_new_tokens");
    let mut other = plan(2);
    other.template = prompts::by_name("medevalkit").unwrap();
    assert_eq!(refused(&set, &other, &mut Model::new()), "prompt.name");
    let mut model = Model::new();
    model.info.weights_sha256 = "beef".into();
    assert_eq!(refused(&set, &plan(2), &mut model), "model.weights_sha256");
    assert_eq!(refused(&Set::new(7), &plan(2), &mut Model::new()), "n");
    assert_eq!(refused(&Set { holes: true, ..Set::new(6) }, &plan(2), &mut Model::new()), "samples_sha256");
    // The batch size is no part of what made the run.
    assert_eq!(go(dir.path(), &set, &plan(5)).unwrap().already, 6);
}

#[test]
fn failures_are_items_with_a_reason_and_the_run_goes_on() {
    let set = Set { holes: true, ..Set::new(12) };
    let dir = scratch();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // the loader panics on purpose
    let finished = go(dir.path(), &set, &plan(4)).unwrap();
    std::panic::set_hook(hook);
    assert_eq!((finished.total, finished.unreadable), (11, 1));
    assert_eq!(finished.answered + finished.failed, 11);
    let folder = RunFolder::open(dir.path()).unwrap();
    let strict = Strict;
    let judged: Vec<_> = view(&folder, &[&strict]).unwrap().map(Result::unwrap).collect();
    assert_eq!(judged.len(), 12);
    let reason = |id: &str| {
        let item = judged.iter().find(|j| j.item.line.id() == id).unwrap().item.prediction().unwrap();
        match item.outcome {
            loupe_core::sample::Outcome::Failed { reason } => reason,
            loupe_core::sample::Outcome::Reply(reply) => panic!("{reply:?}"),
        }
    };
    assert_eq!(reason("q1"), "image file not found");
    assert!(reason("q2").contains("decoding"));
    assert!(reason("row 5").contains("row 5: no question"));
    let summary = score(dir.path(), &Scoring { profiles: &[&strict], ..Scoring::default() }).unwrap();
    assert_eq!((summary.unreadable, summary.missing), (1, 0));
    assert_eq!(summary.failed + summary.replies, 11);

    // The images are there now: only what failed is asked again.
    let again = Plan { retry_failed: true, ..plan(4) };
    let loader = Loader { sound: true, ..Loader::default() };
    let retried = run(dir.path(), &again, &set, &mut Direct(&mut Model::new()), &loader, &mut ()).unwrap();
    assert_eq!(retried.answered + retried.failed, finished.failed);
    assert!(retried.failed < finished.failed);
}

#[test]
fn images_are_decoded_once_and_asks_grouped_by_image() {
    struct Order(Vec<String>);
    impl Progress for Order {
        fn recorded(&mut self, line: &ReplyLine) {
            self.0.push(line.pictures[0].origin.source_size[0].to_string());
        }
    }
    let set = Set::new(30);
    let loader = Loader { sound: true, ..Loader::default() };
    let dir = scratch();
    let mut order = Order(Vec::new());
    run(dir.path(), &plan(4), &set, &mut Direct(&mut Model::new()), &loader, &mut order).unwrap();
    assert_eq!(order.0.len(), 30);
    assert!(loader.loads.lock().unwrap().values().all(|&n| n == 1), "{:?}", loader.loads);
    let text = fs::read_to_string(dir.path().join("replies.jsonl")).unwrap();
    let items: Vec<usize> =
        text.lines().map(|l| serde_json::from_str::<ReplyLine>(l).unwrap().item).collect();
    assert_eq!(&items[..4], &[0, 10, 20, 1]);
}

#[test]
fn rollouts_draw_from_their_own_seeds_and_are_summarised() {
    let mut plan = plan(4);
    plan.rollouts = 3;
    plan.limits.sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 5 };
    let set = Set::new(9);
    let loader = Loader { sound: true, ..Loader::default() };
    let dir = scratch();
    let done = run(dir.path(), &plan, &set, &mut Direct(&mut Model::new()), &loader, &mut ()).unwrap();
    assert_eq!(done.total, 27);
    let summary = score(dir.path(), &Scoring { profiles: &[&Strict], ..Scoring::default() }).unwrap();
    let rollouts = summary.profiles[0].rollouts.unwrap();
    assert_eq!((rollouts.k, rollouts.n), (3, 9));
    let texts: Vec<_> = RunFolder::open(dir.path())
        .unwrap()
        .items()
        .unwrap()
        .map(|i| i.unwrap().reply.unwrap().prediction.text().map(str::to_owned))
        .collect();
    assert!(texts.chunks(3).any(|c| c[0] != c[1]));
}

#[test]
fn a_stopped_run_is_scored_as_far_as_it_went() {
    struct StopAfter(usize);
    impl Progress for StopAfter {
        fn go_on(&mut self) -> bool {
            self.0 -= 1;
            self.0 > 0
        }
    }
    let dir = scratch();
    let set = Set::new(12);
    let loader = Loader { sound: true, ..Loader::default() };
    let done =
        run(dir.path(), &plan(2), &set, &mut Direct(&mut Model::new()), &loader, &mut StopAfter(3)).unwrap();
    assert!(done.stopped);
    assert_eq!(done.answered + done.failed, 4);
    assert_eq!(
        score(dir.path(), &Scoring { profiles: &[&Strict], ..Scoring::default() }).unwrap().missing,
        8
    );
}

#[test]
fn a_folder_that_cannot_be_written_or_is_not_a_run_is_refused_before_any_question() {
    let set = Set::new(3);
    let mut model = Model::new();
    let dir = scratch();
    let file = dir.path().join("notes.txt");
    fs::write(&file, "mine").unwrap();
    let strangers = run(dir.path(), &plan(1), &set, &mut Direct(&mut model), &Loader::default(), &mut ());
    assert!(matches!(strangers, Err(RunError::NotARun { .. })));
    // A path below a file cannot be made, whoever runs the tests.
    let below = run(&file.join("run"), &plan(1), &set, &mut Direct(&mut model), &Loader::default(), &mut ());
    assert!(matches!(below, Err(RunError::Write { .. })));
    assert!(matches!(RunFolder::open(dir.path()), Err(RunError::NoRun { .. })));
    assert_eq!(model.asked, 0);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn two_processes_cannot_write_to_one_run() {
    struct Second<'a>(&'a Path, bool);
    impl Progress for Second<'_> {
        fn recorded(&mut self, _: &ReplyLine) {
            self.1 |= matches!(go(self.0, &Set::new(3), &plan(1)), Err(RunError::Busy));
        }
    }
    let dir = scratch();
    let mut second = Second(dir.path(), false);
    let loader = Loader { sound: true, ..Loader::default() };
    run(dir.path(), &plan(1), &Set::new(3), &mut Direct(&mut Model::new()), &loader, &mut second).unwrap();
    assert!(second.1);
}

#[test]
fn only_the_chosen_samples_take_part() {
    let mut chosen = plan(2);
    chosen.selection.ids = vec!["q3".into(), "q0".into()];
    let set = Set::new(12);
    let dir = scratch();
    assert_eq!(go(dir.path(), &set, &chosen).unwrap().total, 2);
    let mut unknown = plan(2);
    unknown.selection.ids = vec!["nobody".into()];
    let other = scratch();
    assert!(go(other.path(), &set, &unknown).unwrap_err().to_string().contains("nobody"));
    let mut first = plan(2);
    first.selection.limit = Some(5);
    let other = scratch();
    assert_eq!(go(other.path(), &set, &first).unwrap().total, 5);
}

#[test]
fn a_sample_with_its_image_in_memory_is_written_and_read_back_by_name() {
    let mut sample = Set::new(1).get(0).unwrap();
    sample.media[0].source = MediaSource::Bytes(vec![1, 2, 3].into());
    let line = SampleLine { row: 0, sample: Some(sample), error: None };
    let text = serde_json::to_string(&line).unwrap();
    let back: SampleLine = serde_json::from_str(&text).unwrap();
    let media = &back.sample.unwrap().media[0];
    assert_eq!(media.name, "image0.png");
    assert!(matches!(&media.source, MediaSource::Bytes(b) if b.is_empty()));
}
