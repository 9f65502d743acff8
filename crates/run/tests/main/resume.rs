//! A run survives being killed anywhere, refuses to mix with another run, and says the same.

use crate::{answered_by, go, plan, said, with_pictures};
use loupe_core::sample::Outcome;
use loupe_core::{Dataset, Direct, MediaSource, Sampling};
use loupe_run::{Plan, Progress, ReplyLine, RunError, RunFolder, SampleLine, run, templates};
use loupe_testing::{FlatPictures, PromptHash, QuestionSet, scratch};
use std::fs;
use std::path::Path;

fn undisturbed(set: &QuestionSet, plan: &Plan, room: usize) -> tempfile::TempDir {
    let dir = scratch();
    go(dir.path(), set, plan, room).unwrap();
    dir
}

#[test]
fn cutting_the_replies_at_every_byte_of_the_last_lines_and_resuming_changes_nothing() {
    let set = QuestionSet::new(12);
    let whole = undisturbed(&set, &plan(4), 4);
    let expected = said(whole.path());
    let replies = fs::read(whole.path().join("replies.jsonl")).unwrap();
    let lines: Vec<usize> =
        replies.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
    let dir = scratch();
    for name in ["run.json", "samples.jsonl"] {
        fs::copy(whole.path().join(name), dir.path().join(name)).unwrap();
    }
    for cut in lines[lines.len() - 3]..replies.len() {
        fs::write(dir.path().join("replies.jsonl"), &replies[..cut]).unwrap();
        // In other company than before.
        go(dir.path(), &set, &plan(1 + cut % 5), 1 + cut % 3).unwrap();
        assert!(said(dir.path()) == expected, "cut at byte {cut}");
    }
}

#[test]
fn dying_between_any_two_replies_loses_only_what_was_in_flight() {
    let set = QuestionSet::new(15);
    let (whole, mut model) = (scratch(), PromptHash::with_room(3));
    answered_by(whole.path(), &set, &plan(3), &mut model).unwrap();
    let expected = said(whole.path());
    for dies_after in 0..model.asked {
        let (run, dir) = (scratch(), scratch());
        let mut model = PromptHash::with_room(3).killed_after(dies_after, run.path(), dir.path());
        answered_by(run.path(), &set, &plan(3), &mut model).unwrap();
        // What was answered is on the disk, whole.
        let lines = match fs::read_to_string(dir.path().join("replies.jsonl")) {
            Err(none) if dies_after == 0 && none.kind() == std::io::ErrorKind::NotFound => String::new(),
            lines => lines.unwrap(),
        };
        assert!(lines.is_empty() || lines.ends_with('\n'));
        let resumed = go(dir.path(), &set, &plan(3), 3).unwrap();
        // Images that could not be read failed without being asked about.
        assert_eq!(resumed.already, lines.lines().count());
        assert!(resumed.already >= dies_after, "{resumed:?} after {dies_after}");
        assert!(said(dir.path()) == expected, "died after {dies_after}");
    }
}

#[test]
fn company_and_pictures_decoded_ahead_change_nothing() {
    let set = QuestionSet::new(20);
    let expected = said(undisturbed(&set, &plan(1), 1).path());
    for (ahead, room) in [(2, 1), (7, 3), (50, 50), (1, 8)] {
        let dir = undisturbed(&set, &plan(ahead), room);
        assert!(said(dir.path()) == expected, "{ahead} decoded ahead, {room} at a time");
    }
}

#[test]
fn a_kill_before_run_json_is_written_starts_anew_and_damage_is_asked_again() {
    let set = QuestionSet::new(6);
    let whole = undisturbed(&set, &plan(2), 2);
    let expected = said(whole.path());
    let dir = scratch();
    fs::write(dir.path().join("samples.jsonl"), "{\"row\": 0, \"sam").unwrap();
    fs::write(dir.path().join(".run.json.part"), "{").unwrap();
    fs::write(dir.path().join("replies.jsonl"), "").unwrap();
    go(dir.path(), &set, &plan(2), 2).unwrap();
    assert!(said(dir.path()) == expected);

    // A block of zeros in the middle, as a power cut can leave it.
    let mut replies = fs::read(whole.path().join("replies.jsonl")).unwrap();
    let first = replies.iter().position(|&b| b == b'\n').unwrap();
    replies[..first].fill(0);
    fs::write(whole.path().join("replies.jsonl"), replies).unwrap();
    let resumed = go(whole.path(), &set, &plan(2), 2).unwrap();
    assert_eq!((resumed.damaged, resumed.already), (vec![1], 5));
    assert!(said(whole.path()) == expected);
}

#[test]
fn what_was_edited_or_cut_is_named_and_never_believed() {
    let set = QuestionSet::new(6);
    let whole = undisturbed(&set, &plan(2), 2);
    let expected = said(whole.path());
    let read = |name: &str| fs::read_to_string(whole.path().join(name)).unwrap();
    let changed = |name: &str, text: &str| {
        let dir = scratch();
        for file in ["run.json", "samples.jsonl", "replies.jsonl"] {
            fs::write(dir.path().join(file), if file == name { text.to_owned() } else { read(file) })
                .unwrap();
        }
        dir
    };
    // A reply with other words, one under another id, and one that another sample got.
    let replies = read("replies.jsonl");
    let lines: Vec<&str> = replies.lines().collect();
    let third: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
    let id = third["id"].as_str().unwrap();
    let unsealed = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("sum");
        value.to_string()
    };
    for edited in [
        lines[2].replacen(id, "another", 1),
        lines[2].replacen("\"item\":", "\"item\": ", 1),
        unsealed(lines[2]),
    ] {
        let text = replies.replacen(lines[2], &edited, 1);
        let dir = changed("replies.jsonl", &text);
        let folder = RunFolder::open(dir.path()).unwrap();
        let items = folder.items().unwrap();
        assert_eq!(items.filter(|item| item.as_ref().unwrap().reply.is_some()).count(), 5, "{edited}");
        let resumed = go(dir.path(), &set, &plan(2), 2).unwrap();
        assert_eq!((&resumed.damaged, resumed.answered + resumed.failed), (&vec![3], 1), "{edited}");
        assert!(said(dir.path()) == expected);
    }
    let samples = read("samples.jsonl");
    let second = samples.lines().nth(1).unwrap();
    let edited = samples.replacen(second, &second.replacen("\"row\":1", "\"row\":7", 1), 1);
    let cut: String = samples.lines().take(4).map(|line| format!("{line}\n")).collect();
    let of_run = read("run.json");
    let open = samples.replacen(second, &unsealed(second), 1);
    let record = of_run.split(",\n  \"sum\"").next().unwrap().to_owned() + "\n}\n";
    for (name, text, says) in [
        ("samples.jsonl", edited, "samples.jsonl, line 2: it is not as it was written"),
        ("samples.jsonl", cut, "samples.jsonl, line 5: the file ends here"),
        ("samples.jsonl", open, "samples.jsonl, line 2: it is not as it was written: its checksum is gone"),
        ("run.json", record, "run.json, line 1: it is not as it was written: its checksum is gone"),
        (
            "run.json",
            of_run.replacen("\"n\": 6", "\"n\": 5", 1),
            "run.json, line 1: it is not as it was written",
        ),
    ] {
        assert_ne!(text, read(name));
        let dir = changed(name, &text);
        let found = RunFolder::open(dir.path()).and_then(|folder| folder.items().map(drop)).unwrap_err();
        assert!(found.to_string().contains(says), "{found}");
        assert!(go(dir.path(), &set, &plan(2), 2).is_err(), "{says}");
    }
}

/// Each line of samples.jsonl is as it was written, and the file is not that of the run.
#[test]
fn samples_of_another_run_or_in_another_order_are_refused_wherever_a_folder_is_read() {
    let (set, other) = (
        QuestionSet::new(6),
        QuestionSet::new(6).edited(|_, sample| {
            sample.target = loupe_core::Target::Text(vec!["spleen".into()]);
        }),
    );
    let (run, elsewhere) = (undisturbed(&set, &plan(2), 2), undisturbed(&other, &plan(2), 2));
    let file = |dir: &tempfile::TempDir| fs::read_to_string(dir.path().join("samples.jsonl")).unwrap();
    let own = file(&run);
    let mut lines: Vec<&str> = own.lines().collect();
    lines.swap(1, 4);
    let swapped = lines.join("\n") + "\n";
    let repeated = own.lines().take(5).chain(own.lines().nth(1)).map(|line| format!("{line}\n")).collect();
    for text in [file(&elsewhere), swapped, repeated] {
        assert_ne!(text, own);
        fs::write(run.path().join("samples.jsonl"), &text).unwrap();
        let folder = RunFolder::open(run.path()).unwrap();
        for error in [folder.items().map(drop), folder.failures().map(drop)] {
            assert!(matches!(error, Err(RunError::OtherSamples { .. })), "{error:?}");
        }
        for set in [&set, &other] {
            assert!(go(run.path(), set, &plan(2), 2).is_err());
        }
    }
    // Another set than the run's in the folder of the run is named even where the set was changed alike.
    fs::write(run.path().join("samples.jsonl"), file(&elsewhere)).unwrap();
    let error = go(run.path(), &other, &plan(2), 2).unwrap_err();
    assert!(matches!(error, RunError::OtherSamples { .. }), "{error}");
    fs::write(run.path().join("samples.jsonl"), own).unwrap();
    go(run.path(), &set, &plan(2), 2).unwrap();
    assert_eq!(RunFolder::open(run.path()).unwrap().items().unwrap().count(), 6);
}

#[test]
fn another_command_is_refused_and_the_difference_named() {
    let set = QuestionSet::new(6);
    let dir = undisturbed(&set, &plan(2), 2);
    let refused = |set: &QuestionSet, plan: &Plan, mut model: PromptHash| {
        let error = answered_by(dir.path(), set, plan, &mut model).unwrap_err();
        let RunError::Differs { field, .. } = error else { panic!("{error}") };
        field
    };
    let mut other = plan(2);
    other.limits.max_new_tokens = 9;
    assert_eq!(refused(&set, &other, PromptHash::new()), "limits.max_new_tokens");
    let mut other = plan(2);
    other.template = templates::by_name("medevalkit").unwrap().into();
    assert_eq!(refused(&set, &other, PromptHash::new()), "prompt.name");
    let model = PromptHash::new().with_weights("beef");
    assert_eq!(refused(&set, &plan(2), model), "model.from.checkpoint.weights_sha256");
    let mut penalised = plan(2);
    penalised.limits.repetition_penalty = Some(1.1);
    assert_eq!(refused(&set, &penalised, PromptHash::new()), "limits.repetition_penalty");
    // How much is done at a time is no part of what made the run.
    assert_eq!(go(dir.path(), &set, &plan(5), 3).unwrap().already, 6);
}

#[test]
fn failures_are_items_with_a_reason_and_the_run_goes_on() {
    let set = QuestionSet::new(12).with_holes();
    let dir = scratch();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // the loader panics on purpose
    let finished = go(dir.path(), &set, &plan(4), 4).unwrap();
    std::panic::set_hook(hook);
    assert_eq!((finished.total, finished.unreadable), (11, 1));
    assert_eq!(finished.answered + finished.failed, 11);
    let items: Vec<_> = RunFolder::open(dir.path()).unwrap().items().unwrap().map(Result::unwrap).collect();
    assert_eq!(items.len(), 12);
    let reason = |id: &str| {
        let item = items.iter().find(|item| item.line.id() == id).unwrap().prediction().unwrap();
        match item.into_owned().outcome {
            Outcome::Failed(failure) => failure.reason,
            Outcome::Reply(reply) => panic!("{reply:?}"),
        }
    };
    assert_eq!(reason("q1"), "image file not found");
    assert!(reason("q2").contains("decoding"));
    assert!(reason("row 5").contains("row 6: no question"));

    // The images are there now: only what failed for their want is asked again, not prompts that are too long.
    let failures = |lasting: bool| {
        let of = |item: &loupe_run::Item| match item.reply.as_ref().map(|r| &r.prediction.outcome) {
            Some(Outcome::Failed(failure)) => lasting == (failure.retry == loupe_core::Retry::Never),
            _ => false,
        };
        items.iter().filter(|item| of(item)).count()
    };
    assert!(failures(true) > 0 && failures(false) > 0);
    let again = Plan { retry_failed: true, ..plan(4) };
    let retried = with_pictures(dir.path(), &set, &again, &mut PromptHash::new());
    assert_eq!(retried.answered + retried.failed, failures(false));
    assert!(retried.answered > 0);
}

#[test]
fn images_are_decoded_once_and_asks_grouped_by_image() {
    struct Order(Vec<usize>);
    impl Progress for Order {
        fn recorded(&mut self, line: &ReplyLine) {
            self.0.push(line.pictures.len());
        }
    }
    let set = QuestionSet::new(30);
    let loader = FlatPictures::sound();
    let dir = scratch();
    let mut order = Order(Vec::new());
    let mut model = PromptHash::new();
    run(dir.path(), &plan(4), &set, &mut Direct(&mut model), &loader, &mut order).unwrap();
    assert_eq!(order.0, [1; 30], "each line names its picture");
    assert!(loader.loads.lock().unwrap().values().all(|&n| n == 1), "{:?}", loader.loads);
    assert_eq!(&items_on_disk(dir.path())[..4], &[0, 10, 20, 1]);
}

/// Items in the order in which their replies came.
fn items_on_disk(dir: &Path) -> Vec<usize> {
    let text = fs::read_to_string(dir.join("replies.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str::<ReplyLine>(l).unwrap().item).collect()
}

#[test]
fn rollouts_draw_from_their_own_seeds() {
    let mut plan = plan(4);
    plan.rollouts = 3;
    plan.limits.sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 5 };
    let dir = scratch();
    let done = with_pictures(dir.path(), &QuestionSet::new(9), &plan, &mut PromptHash::with_room(4));
    assert_eq!(done.total, 27);
    let texts: Vec<_> = said(dir.path()).into_iter().map(|(_, rollout, words)| (rollout, words)).collect();
    assert!(texts.chunks(3).all(|c| [c[0].0, c[1].0, c[2].0] == [0, 1, 2]));
    assert!(texts.chunks(3).any(|c| c[0].1 != c[1].1));
}

#[test]
fn a_stopped_run_keeps_what_was_answered_and_goes_on_later() {
    /// Says no after so many prompts, and counts how often it is asked after that.
    struct StopAfter(usize, usize);
    impl Progress for StopAfter {
        fn go_on(&mut self) -> bool {
            self.1 += usize::from(self.0 == 0);
            self.0 = self.0.saturating_sub(1);
            self.0 > 0
        }
    }
    for room in [1, 3] {
        let dir = scratch();
        let set = QuestionSet::new(12);
        let (loader, mut model) = (FlatPictures::sound(), PromptHash::with_room(room));
        let mut progress = StopAfter(5, 0);
        let mut answerer = Direct(&mut model);
        let done = run(dir.path(), &plan(2), &set, &mut answerer, &loader, &mut progress).unwrap();
        assert!(done.stopped);
        assert_eq!(progress.1, 0, "whoever has said no is not asked again");
        // What had been given out was finished.
        assert_eq!(done.answered + done.failed, 4);
        assert_eq!(items_on_disk(dir.path()).len(), 4);
        let done = run(dir.path(), &plan(2), &set, &mut answerer, &loader, &mut ()).unwrap();
        assert_eq!((done.already, done.answered + done.failed, done.stopped), (4, 8, false));
    }
}

#[test]
fn a_folder_that_cannot_be_written_or_is_not_a_run_is_refused_before_any_question() {
    let set = QuestionSet::new(3);
    let mut model = PromptHash::new();
    let dir = scratch();
    let file = dir.path().join("notes.txt");
    fs::write(&file, "mine").unwrap();
    let strangers = answered_by(dir.path(), &set, &plan(1), &mut model);
    assert!(matches!(strangers, Err(RunError::NotARun { .. })));
    // A path below a file cannot be made, whoever runs the tests.
    let below = answered_by(&file.join("run"), &set, &plan(1), &mut model);
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
            self.1 |= matches!(go(self.0, &QuestionSet::new(3), &plan(1), 1), Err(RunError::Busy { .. }));
        }
    }
    let dir = scratch();
    let mut second = Second(dir.path(), false);
    let (loader, mut model) = (FlatPictures::sound(), PromptHash::new());
    run(dir.path(), &plan(1), &QuestionSet::new(3), &mut Direct(&mut model), &loader, &mut second).unwrap();
    assert!(second.1);
}

#[test]
fn only_the_chosen_samples_take_part() {
    let mut chosen = plan(2);
    chosen.selection.ids = vec!["q3".into(), "q0".into()];
    let set = QuestionSet::new(12);
    let dir = scratch();
    assert_eq!(go(dir.path(), &set, &chosen, 1).unwrap().total, 2);
    let mut unknown = plan(2);
    unknown.selection.ids = vec!["nobody".into()];
    let other = scratch();
    assert!(go(other.path(), &set, &unknown, 1).unwrap_err().to_string().contains("nobody"));
    let mut first = plan(2);
    first.selection.limit = Some(5);
    let other = scratch();
    assert_eq!(go(other.path(), &set, &first, 1).unwrap().total, 5);
}

#[test]
fn a_sample_with_its_image_in_memory_is_written_and_read_back_by_name() {
    let mut sample = QuestionSet::new(1).get(0).unwrap();
    sample.media[0].source = MediaSource::Bytes(vec![1, 2, 3].into());
    let line = SampleLine { row: 0, sample: Some(sample), error: None };
    let text = serde_json::to_string(&line).unwrap();
    let back: SampleLine = serde_json::from_str(&text).unwrap();
    let media = &back.sample.unwrap().media[0];
    assert_eq!(media.name, "image0.png");
    assert!(matches!(&media.source, MediaSource::Bytes(b) if b.is_empty()));
}

#[test]
fn a_folder_that_is_removed_under_way_ends_the_run() {
    struct Remover(std::path::PathBuf, usize);
    impl Progress for Remover {
        fn go_on(&mut self) -> bool {
            self.1 += 1;
            if self.1 == 3 {
                fs::remove_dir_all(&self.0).unwrap();
            }
            true
        }
    }
    let (parent, set) = (scratch(), QuestionSet::new(12));
    let dir = parent.path().join("run");
    let mut model = PromptHash::new();
    let (mut answerer, loader) = (Direct(&mut model), FlatPictures::sound());
    let mut remover = Remover(dir.clone(), 0);
    let ended = run(&dir, &plan(2), &set, &mut answerer, &loader, &mut remover);
    assert!(matches!(ended, Err(RunError::Write { .. })), "{ended:?}");
    assert!(model.asked < 6, "{} asked", model.asked);
}
