//! Which samples take part: by tags, and by a draw.

use crate::{plan, with_pictures};
use loupe_run::{Draw, Plan, RunError, RunFolder, Selection, Shard, TagValue, merge, run};
use loupe_testing::{FlatPictures, PromptHash, QuestionSet, scratch};
use std::collections::BTreeSet;
use std::path::Path;

fn tags(words: &[&str]) -> Vec<TagValue> {
    words.iter().map(|w| w.parse().unwrap()).collect()
}

fn chosen(dir: &Path, set: &QuestionSet, selection: Selection) -> Vec<String> {
    with_pictures(dir, set, &Plan { selection, ..plan(4) }, &mut PromptHash::new());
    RunFolder::open(dir).unwrap().items().unwrap().map(|item| item.unwrap().line.id()).collect()
}

#[test]
fn tags_choose_and_unknown_ones_are_named() {
    let set = QuestionSet::new(18);
    let of = |words: &[&str]| {
        chosen(scratch().path(), &set, Selection { tags: tags(words), ..Selection::default() })
    };
    // Every third row is of the chest, every second one is closed.
    assert_eq!(of(&["organ=CHEST"]), ["q0", "q3", "q6", "q9", "q12", "q15"]);
    assert_eq!(of(&["organ=CHEST", "answer_type=CLOSED"]), ["q0", "q6", "q12"]);
    assert_eq!(of(&["organ=CHEST", "organ=HEAD"]).len(), 12);
    let why = |words: &[&str]| {
        let plan = Plan { selection: Selection { tags: tags(words), ..Selection::default() }, ..plan(4) };
        let mut model = PromptHash::new();
        let mut direct = loupe_core::Direct(&mut model);
        run(scratch().path(), &plan, &set, &mut direct, &FlatPictures::sound(), &mut ()).unwrap_err()
    };
    let error = why(&["organs=CHEST"]);
    assert!(
        matches!(error, RunError::Empty(_)) && error.to_string().contains("did you mean \"organ\""),
        "{error}"
    );
    let error = why(&["organ=CHESTS"]).to_string();
    assert!(error.contains("ABD, CHEST, HEAD"), "{error}");
    assert!("organ".parse::<TagValue>().is_err() && "=x".parse::<TagValue>().is_err());
}

#[test]
fn a_draw_follows_its_seed_and_a_larger_one_holds_a_smaller_one() {
    let set = QuestionSet::new(60).with_holes();
    let draw = |n, seed| {
        let sample = Some(Draw { n, seed });
        chosen(scratch().path(), &set, Selection { sample, ..Selection::default() })
    };
    let ten = draw(10, 1);
    assert_eq!((ten.len(), draw(10, 1)), (10, ten.clone()));
    let twenty: BTreeSet<String> = draw(20, 1).into_iter().collect();
    assert!(twenty.len() == 20 && ten.iter().all(|id| twenty.contains(id)));
    assert_ne!(draw(10, 2), ten);
    assert_eq!(draw(1000, 1).len(), 60);
    // Among those of a tag, before the first ones are taken.
    let selection = Selection {
        tags: tags(&["organ=HEAD"]),
        sample: Some(Draw { n: 8, seed: 1 }),
        limit: Some(5),
        ..Selection::default()
    };
    assert_eq!(chosen(scratch().path(), &set, selection).len(), 5);
}

#[test]
fn parts_of_a_draw_are_the_draw() {
    let (dir, set) = (scratch(), QuestionSet::new(60));
    let selection = Selection { sample: Some(Draw { n: 21, seed: 3 }), ..Selection::default() };
    let whole = chosen(&dir.path().join("whole"), &set, selection.clone());
    let mut parts = Vec::new();
    for index in 1..=3 {
        let plan =
            Plan { selection: selection.clone(), shard: Some(Shard::new(index, 3).unwrap()), ..plan(4) };
        parts.push(dir.path().join(index.to_string()));
        with_pictures(&parts[index - 1], &set, &plan, &mut PromptHash::new());
    }
    let merged = merge(&parts, &dir.path().join("merged")).unwrap();
    let ids: Vec<String> = merged.folder.items().unwrap().map(|item| item.unwrap().line.id()).collect();
    assert_eq!(ids, whole);
}
