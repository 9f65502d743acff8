//! The scores of a run follow from its folder alone: not from interruptions, company or time.

use loupe_core::{Direct, Sampling};
use loupe_eval::strict::Strict;
use loupe_eval::{Scoring, Summary, score, view};
use loupe_run::templates::default_template;
use loupe_run::{Plan, Progress, RunFolder, run};
use loupe_testing::{FlatPictures, PromptHash, QuestionSet, put, scratch};
use std::fs;
use std::path::Path;

fn strict() -> Scoring<'static> {
    Scoring { profiles: &[&Strict], ..Scoring::default() }
}

fn summary(dir: &Path) -> Summary {
    score(dir, &strict()).unwrap()
}

fn scores(dir: &Path) -> Vec<u8> {
    summary(dir);
    fs::read(dir.join("scores.json")).unwrap()
}

fn plan(decode_ahead: usize) -> Plan {
    Plan { decode_ahead, decode_threads: 2, ..Plan::new(default_template()) }
}

fn go(dir: &Path, set: &QuestionSet, plan: &Plan, mut model: PromptHash) {
    run(dir, plan, set, &mut Direct(&mut model), &FlatPictures::default(), &mut ()).unwrap();
}

#[test]
fn scores_are_the_same_to_the_byte_whatever_happened_on_the_way() {
    let set = QuestionSet::new(20).with_holes();
    let whole = scratch();
    go(whole.path(), &set, &plan(1), PromptHash::new());
    let expected = scores(whole.path());
    assert!(scores(whole.path()) == expected, "scored twice");
    for (ahead, room) in [(2, 3), (7, 1), (50, 50)] {
        let dir = scratch();
        go(dir.path(), &set, &plan(ahead), PromptHash::with_room(room));
        assert!(scores(dir.path()) == expected, "{ahead} decoded ahead, {room} at a time");
    }
    for dies_after in 0..12 {
        let (killed, dir) = (scratch(), scratch());
        go(
            killed.path(),
            &set,
            &plan(3),
            PromptHash::with_room(3).killed_after(dies_after, killed.path(), dir.path()),
        );
        // Scored in the middle as well: that is part of nothing.
        summary(dir.path());
        go(dir.path(), &set, &plan(4), PromptHash::with_room(2));
        assert!(scores(dir.path()) == expected, "died after {dies_after}");
    }
}

#[test]
fn cutting_the_last_reply_at_every_byte_changes_nothing_once_it_is_asked_again() {
    let set = QuestionSet::new(9);
    let whole = scratch();
    go(whole.path(), &set, &plan(4), PromptHash::new());
    let expected = scores(whole.path());
    let replies = fs::read(whole.path().join("replies.jsonl")).unwrap();
    let last = replies[..replies.len() - 1].iter().rposition(|&b| b == b'\n').unwrap();
    let dir = scratch();
    for name in ["run.json", "samples.jsonl"] {
        fs::copy(whole.path().join(name), dir.path().join(name)).unwrap();
    }
    for cut in last..replies.len() {
        put(&dir.path().join("replies.jsonl"), &replies[..cut]);
        go(dir.path(), &set, &plan(4), PromptHash::new());
        assert!(scores(dir.path()) == expected, "cut at byte {cut}");
    }
}

#[test]
fn damaged_lines_are_named_as_long_as_their_items_have_no_reply() {
    let set = QuestionSet::new(9);
    let dir = scratch();
    go(dir.path(), &set, &plan(4), PromptHash::new());
    let expected = scores(dir.path());
    let text = fs::read_to_string(dir.path().join("replies.jsonl")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[2] = lines[2].replacen("\"item\":", "\"item\": ", 1);
    // Without a checksum, as earlier versions wrote it, and without something that a reply needs.
    let mut bare: serde_json::Value = serde_json::from_str(&lines[5]).unwrap();
    bare.as_object_mut().unwrap().remove("sum");
    bare["outcome"] = serde_json::json!({ "reply": { "words": "yes" } });
    lines[5] = bare.to_string();
    put(&dir.path().join("replies.jsonl"), (lines.join("\n") + "\n").as_bytes());
    let damaged = summary(dir.path());
    assert_eq!((damaged.missing, damaged.replies + damaged.failed), (2, 7));
    assert!(damaged.run.notes.iter().any(|note| note.contains("2 (3, 6)")), "{:?}", damaged.run.notes);
    go(dir.path(), &set, &plan(4), PromptHash::new());
    assert!(scores(dir.path()) == expected);
    assert!(summary(dir.path()).run.notes.is_empty());
}

#[test]
fn failures_are_counted_with_their_reason_and_never_wrong() {
    let set = QuestionSet::new(12).with_holes();
    let dir = scratch();
    go(dir.path(), &set, &plan(4), PromptHash::new());
    let folder = RunFolder::open(dir.path()).unwrap();
    let judged: Vec<_> = view(&folder, &[&Strict]).unwrap().map(Result::unwrap).collect();
    assert_eq!(judged.len(), 12);
    assert!(judged.iter().any(|j| j.verdicts.is_empty()), "a row that cannot be read is not judged");
    let summary = summary(dir.path());
    assert_eq!((summary.unreadable, summary.missing), (1, 0));
    assert_eq!(summary.failed + summary.replies, 11);
}

#[test]
fn rollouts_are_summarised() {
    let mut plan = plan(4);
    plan.rollouts = 3;
    plan.limits.sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 5 };
    let dir = scratch();
    let mut model = PromptHash::new();
    let set = QuestionSet::new(9);
    run(dir.path(), &plan, &set, &mut Direct(&mut model), &FlatPictures::sound(), &mut ()).unwrap();
    let rollouts = summary(dir.path()).profiles[0].rollouts.unwrap();
    assert_eq!((rollouts.k, rollouts.n), (3, 9));
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
    let mut model = PromptHash::new();
    let set = QuestionSet::new(12);
    let mut stop = StopAfter(5);
    let done = run(dir.path(), &plan(2), &set, &mut Direct(&mut model), &FlatPictures::sound(), &mut stop);
    assert!(done.unwrap().stopped);
    assert_eq!(summary(dir.path()).missing, 8);
}

/// What version 0.1.0 wrote is scored as that version did.
#[test]
fn runs_of_the_first_layout_have_the_scores_they_had() {
    let former = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/run/tests/fixtures/former");
    for name in ["boxes", "trace", "masks"] {
        let dir = scratch();
        for file in ["run.json", "samples.jsonl", "replies.jsonl"] {
            fs::copy(former.join(name).join(file), dir.path().join(file)).unwrap();
        }
        let before = fs::read(former.join(name).join("scores.json")).unwrap();
        assert_eq!(
            String::from_utf8(scores(dir.path())).unwrap(),
            String::from_utf8(before).unwrap(),
            "{name}"
        );
    }
}
