//! A run folder that can be given away: nothing in it says what files are called and where they lie.

use crate::{go, plan, said, with_pictures};
use loupe_core::MediaRef;
use loupe_run::{Plan, RunError, RunFolder};
use loupe_testing::{PromptHash, QuestionSet, scratch};

/// Questions about the files of patients, whose names are in ids, groups and tags too.
fn patients(n: usize) -> QuestionSet {
    QuestionSet::new(n).edited(|index, sample| {
        let name = format!("Doe_Jane_{}", sample.group);
        sample.media = vec![MediaRef::file(format!("/data/Ward_Nine/{name}"))];
        sample.id = format!("{name}-{index}");
        sample.tags.insert("file".to_owned(), name.clone());
        sample.group = name;
    })
}

#[test]
fn a_folder_without_names_holds_a_run() {
    let set = patients(9);
    let hiding = Plan { hide_names: true, ..plan(3) };
    let dirs = [scratch(), scratch()];
    for (dir, plan) in dirs.iter().zip([&plan(3), &hiding]) {
        with_pictures(dir.path(), &set, plan, &mut PromptHash::with_room(2));
    }
    let [open, hidden] = dirs.each_ref().map(|dir| said(dir.path()));
    assert!(open.len() == 9 && hidden.len() == 9);
    // The fake refuses some prompts; what counts is that no picture is missing.
    let was_asked = |said: &Option<Result<String, String>>| match said {
        Some(Ok(_)) => true,
        Some(Err(reason)) => reason.starts_with("the prompt has"),
        None => false,
    };
    assert!(hidden.iter().all(|(.., said)| was_asked(said)), "pictures load from where they lie: {hidden:?}");
    for entry in std::fs::read_dir(dirs[1].path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for name in ["Doe", "Jane", "Ward", "/data", "image0.png"] {
            assert!(!text.contains(name), "{name} is in the folder");
        }
    }
    let items: Vec<_> =
        RunFolder::open(dirs[1].path()).unwrap().items().unwrap().map(|i| i.unwrap()).collect();
    let sample = |n: usize| items[n].line.sample.clone().unwrap();
    assert_eq!((sample(4).id.as_str(), sample(4).media[0].name.as_str()), ("item 4", "item 4 image 1"));
    // Nine questions about three images: clusters stay.
    assert_eq!([0, 1, 3].map(|n| sample(n).group), ["group 0", "group 1", "group 0"]);
    assert_eq!(sample(0).tags.len(), 2, "what is no file's name stays");

    // The run goes on as it was begun, and as nothing else.
    let again = with_pictures(dirs[1].path(), &set, &hiding, &mut PromptHash::with_room(2));
    assert_eq!(again.already, 9);
    let other = go(dirs[1].path(), &QuestionSet::new(9), &plan(3), 2);
    assert!(matches!(other, Err(RunError::Differs { .. })), "{other:?}");
}
