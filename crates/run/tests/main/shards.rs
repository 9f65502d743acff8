//! Parts of a run: each sample in one of them, and all together what one machine would have made.

use crate::{answered_by, plan, said};
use loupe_core::{Direct, Sampling};
use loupe_run::{Finished, Plan, RunError, RunFolder, Shard, merge, run};
use loupe_testing::{FlatPictures, PromptHash, QuestionSet, scratch};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sharded(plan: &Plan, index: usize, count: usize) -> Plan {
    Plan { shard: Some(Shard::new(index, count).unwrap()), ..plan.clone() }
}

/// Makes every part, some of which pictures cannot be read in.
fn parts(dir: &Path, set: &QuestionSet, plan: &Plan, count: usize) -> Vec<PathBuf> {
    (1..=count)
        .map(|index| {
            let part = dir.join(format!("part{index}"));
            answered_by(&part, set, &sharded(plan, index, count), &mut PromptHash::with_room(3)).unwrap();
            part
        })
        .collect()
}

fn whole(dir: &Path, set: &QuestionSet, plan: &Plan) -> PathBuf {
    let run = dir.join("whole");
    answered_by(&run, set, plan, &mut PromptHash::with_room(3)).unwrap();
    run
}

/// run.json without who worked when.
fn record(run: &Path) -> Value {
    let mut record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    for own in ["sum", "sessions"] {
        record.as_object_mut().unwrap().remove(own);
    }
    record
}

fn refusal(parts: &[PathBuf], to: &Path) -> String {
    let error = merge(parts, to).unwrap_err().to_string();
    assert!(!to.exists(), "{error}");
    assert!(!to.with_file_name(".merged.part").exists(), "{error}");
    error
}

#[test]
fn any_number_of_parts_makes_the_run_of_one() {
    let random = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 3 };
    let mut rollouts = plan(4);
    (rollouts.rollouts, rollouts.limits.sampling) = (3, random);
    let mut some = plan(4);
    some.selection.limit = Some(17);
    for (set, plan) in [
        (QuestionSet::new(40).with_holes(), plan(4)),
        (QuestionSet::new(24).with_holes(), rollouts),
        (QuestionSet::new(40), some),
        (QuestionSet::new(1), self::plan(2)),
    ] {
        let dir = scratch();
        let whole = whole(dir.path(), &set, &plan);
        for count in [1, 2, 4, 7] {
            let here = dir.path().join(count.to_string());
            let mut parts = parts(&here, &set, &plan, count);
            parts.reverse();
            let to = here.join("merged");
            let merged = merge(&parts, &to).unwrap();
            assert_eq!((merged.parts, merged.was_there), (count, false));
            assert_eq!(said(&to), said(&whole), "{count} parts");
            assert_eq!(record(&to), record(&whole));
            let bytes = |run: &Path, name: &str| fs::read(run.join(name)).unwrap();
            assert!(bytes(&to, "samples.jsonl") == bytes(&whole, "samples.jsonl"));
            let lines = |run: &Path| bytes(run, "replies.jsonl").iter().filter(|b| **b == b'\n').count();
            assert_eq!((lines(&to), merged.replies), (lines(&whole), lines(&whole)));
            assert_eq!(
                merged.folder.failures().unwrap(),
                RunFolder::open(&whole).unwrap().failures().unwrap()
            );
            // The same again is the same.
            let before = bytes(&to, "replies.jsonl");
            assert!(merge(&parts, &to).unwrap().was_there);
            assert!(before == bytes(&to, "replies.jsonl"));
            // A merged run goes on like any other.
            let again = answered_by(&to, &set, &plan, &mut PromptHash::new()).unwrap();
            assert_eq!((again.answered, again.failed), (0, 0));
        }
    }
}

#[test]
fn the_questions_of_a_picture_are_in_one_part() {
    let (dir, set) = (scratch(), QuestionSet::new(60));
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for part in parts(dir.path(), &set, &plan(4), 4) {
        let folder = RunFolder::open_any(&part).unwrap();
        let groups: BTreeSet<String> =
            folder.items().unwrap().map(|item| item.unwrap().line.sample.unwrap().group).collect();
        assert!(seen.is_disjoint(&groups));
        seen.extend(groups);
    }
    assert_eq!(seen.len(), 20);
}

#[test]
fn a_part_says_so_and_is_no_run() {
    let (dir, set) = (scratch(), QuestionSet::new(12));
    let parts = parts(dir.path(), &set, &plan(4), 3);
    let record = record(&parts[1]);
    assert_eq!((&record["shard"]["index"], &record["shard"]["count"]), (&2.into(), &3.into()));
    assert_eq!(record["shard"]["whole"]["n"], 12);
    let error = RunFolder::open(&parts[1]).unwrap_err();
    assert!(matches!(error, RunError::Shard { .. }) && error.to_string().contains("shard 2/3"), "{error}");
    // Nor is it another part, or the whole.
    let go = |plan: &Plan| answered_by(&parts[1], &set, plan, &mut PromptHash::new());
    assert!(go(&sharded(&plan(4), 3, 3)).unwrap_err().to_string().contains("shard.index"));
    assert!(go(&plan(4)).unwrap_err().to_string().contains("shard"));
    assert_eq!(go(&sharded(&plan(4), 2, 3)).unwrap().answered, 0);
}

#[test]
fn what_is_missing_twice_foreign_or_changed_is_named() {
    let (dir, set) = (scratch(), QuestionSet::new(40));
    let parts = parts(dir.path(), &set, &plan(4), 4);
    let to = dir.path().join("merged");
    let why = |parts: &[PathBuf]| refusal(parts, &to);
    assert!(why(&parts[1..]).contains("shard 1/4 is missing"));
    assert!(why(&parts[2..]).contains("2 shards are missing: 1/4, 2/4"));
    let copy = |from: &Path, name: &str| {
        let copy = dir.path().join(name);
        fs::create_dir_all(&copy).unwrap();
        for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        copy
    };
    let with = |other: PathBuf| vec![parts[0].clone(), other, parts[2].clone(), parts[3].clone()];
    let twice = why(&with(copy(&parts[2], "twin")));
    assert!(twice.contains("shard 3/4 is given twice") && twice.contains("twin"), "{twice}");
    assert!(why(&[]).contains("none"));

    // Of other runs: another model, prompt, set, number of parts, or a whole one.
    let make = |name: &str, set: &QuestionSet, plan: &Plan, index, count| {
        let dir = dir.path().join(name);
        answered_by(&dir, set, &sharded(plan, index, count), &mut PromptHash::new()).unwrap();
        dir
    };
    let other = Plan { rollouts: 2, ..plan(4) };
    assert!(why(&with(make("other", &set, &other, 2, 4))).contains("rollouts (1 and 2)"));
    let longer = QuestionSet::new(43);
    assert!(why(&with(make("longer", &longer, &plan(4), 2, 4))).contains("shard.whole.n (40 and 43)"));
    let edited = QuestionSet::new(40).edited(|row, sample| {
        if row == 39 {
            sample.question += " Really?";
        }
    });
    assert!(why(&with(make("edited", &edited, &plan(4), 2, 4))).contains("shard.whole.samples_sha256"));
    assert!(why(&with(make("five", &set, &plan(4), 2, 5))).contains("shard.count (4 and 5)"));
    assert!(why(&with(whole(dir.path(), &set, &plan(4)))).contains("holds a whole run"));

    // Not finished: a torn line, a damaged one, a part that was never begun.
    let torn = copy(&parts[1], "torn");
    let replies = fs::read(torn.join("replies.jsonl")).unwrap();
    fs::write(torn.join("replies.jsonl"), &replies[..replies.len() - 9]).unwrap();
    let unfinished = why(&with(torn.clone()));
    assert!(unfinished.contains("shard 2/4 in") && unfinished.contains("has 1 of"), "{unfinished}");
    let mut damaged = replies;
    damaged[20] ^= 4;
    fs::write(torn.join("replies.jsonl"), &damaged).unwrap();
    assert!(why(&with(torn.clone())).contains("has 1 of"));
    // Finished again it is as good as new.
    answered_by(&torn, &set, &sharded(&plan(4), 2, 4), &mut PromptHash::new()).unwrap();
    let merged = merge(&with(torn), &to).unwrap();
    assert_eq!(said(&to), said(&dir.path().join("whole")));
    assert_eq!(merged.replies, 40);
    fs::remove_dir_all(&to).unwrap();

    // Changed: seals of all three files.
    for name in ["run.json", "samples.jsonl"] {
        let changed = copy(&parts[1], &format!("changed {name}"));
        let text = fs::read_to_string(changed.join(name)).unwrap();
        fs::write(changed.join(name), text.replacen("liver", "lever", 1).replacen("\"n\": ", "\"n\":  ", 1))
            .unwrap();
        assert!(why(&with(changed)).contains("its checksum is another"), "{name}");
    }
    // A line taken out where the count was mended to fit.
    assert!(why(&with(dir.path().join("nothing"))).contains("holds no run"));
}

#[test]
fn another_run_is_never_written_over() {
    let (dir, set) = (scratch(), QuestionSet::new(12));
    let parts = parts(dir.path(), &set, &plan(4), 2);
    let whole = whole(dir.path(), &set, &plan(4));
    let before = fs::read(whole.join("run.json")).unwrap();
    assert!(merge(&parts, &whole).unwrap_err().to_string().contains("not what they make"));
    assert!(fs::read(whole.join("run.json")).unwrap() == before);
    let strange = dir.path().join("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("thesis.tex"), "x").unwrap();
    assert!(matches!(merge(&parts, &strange), Err(RunError::NotARun { .. })));
    assert!(strange.join("thesis.tex").exists());
    // What a killed call left beside is written over; an empty folder is taken.
    let to = dir.path().join("merged");
    let left = dir.path().join(".merged.part");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("replies.jsonl"), "{\"item\": 1").unwrap();
    fs::create_dir(&to).unwrap();
    merge(&parts, &to).unwrap();
    assert_eq!(said(&to), said(&whole));
    assert!(!left.exists() && !to.join(".lock").exists());
}

#[test]
fn rows_added_to_the_set_concern_every_part() {
    let (dir, set) = (scratch(), QuestionSet::new(40));
    let parts = parts(dir.path(), &set, &plan(4), 4);
    let longer = QuestionSet::new(42);
    let go = |part: usize, extend: bool| -> Result<Finished, RunError> {
        let plan = Plan { extend, ..sharded(&plan(4), part, 4) };
        run(
            &parts[part - 1],
            &plan,
            &longer,
            &mut Direct(&mut PromptHash::new()),
            &FlatPictures::default(),
            &mut (),
        )
    };
    for part in 1..=4 {
        assert!(matches!(go(part, false), Err(RunError::Rows { .. })), "part {part}");
    }
    go(1, true).unwrap();
    let to = dir.path().join("merged");
    assert!(refusal(&parts, &to).contains("shard.whole.n"));
    (2..=4).for_each(|part| drop(go(part, true).unwrap()));
    merge(&parts, &to).unwrap();
    assert_eq!(said(&to), said(&whole(dir.path(), &longer, &plan(4))));
}
