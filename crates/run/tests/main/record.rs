//! What a run keeps on record of who made it, and what may change between two commands.

use crate::{answered_by, go, plan, said, with_pictures};
use loupe_core::{
    DataError, Dataset, DatasetInfo, GenerationDefaults, MediaSource, Provenance, Sample, Target,
};
use loupe_run::{Invocation, Plan, RunError, RunFolder, Session, run_name};
use loupe_testing::{PromptHash, QuestionSet, put, scratch};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

fn sessions(dir: &Path) -> Vec<Session> {
    RunFolder::open(dir).unwrap().made_by.sessions
}

#[test]
fn a_run_is_called_as_its_folder_however_that_is_given() {
    let dir = scratch();
    let run = dir.path().join("A-blank-0");
    fs::create_dir_all(run.join("parts")).unwrap();
    assert_eq!(run_name(&run), "A-blank-0");
    assert_eq!(run_name(&run.join(".")), "A-blank-0");
    assert_eq!(run_name(&run.join("parts/..")), "A-blank-0");
    assert_eq!(run_name(Path::new("gone/..")), "gone/..");
    let here = fs::canonicalize(".").unwrap();
    assert_eq!(run_name(Path::new(".")), here.file_name().unwrap().to_string_lossy());
}

#[test]
fn every_session_that_asked_something_is_on_record() {
    let (dir, set) = (scratch(), QuestionSet::new(6));
    let by = |word: &str| Plan { invocation: Invocation::new("c0ffee", [word.to_owned()]), ..plan(2) };
    let run = scratch();
    let mut model = PromptHash::new().killed_after(2, run.path(), dir.path());
    with_pictures(run.path(), &set, &by("first"), &mut model);
    let [killed] = &sessions(dir.path())[..] else { panic!("{:?}", sessions(dir.path())) };
    assert_eq!((killed.command[0].as_str(), killed.ended.as_deref()), ("first", None));
    let done = with_pictures(dir.path(), &set, &by("second"), &mut PromptHash::new());
    with_pictures(dir.path(), &set, &by("nothing to do"), &mut PromptHash::new());
    let [_, second] = &sessions(dir.path())[..] else { panic!("{:?}", sessions(dir.path())) };
    assert_eq!((second.answered, second.failed), (done.answered, done.failed));
    assert_eq!((second.commit.as_str(), second.loupe.as_str()), ("c0ffee", env!("CARGO_PKG_VERSION")));
    let ended = second.ended.as_deref().unwrap();
    assert!(second.started.as_str() <= ended && ended.ends_with('Z') && ended.len() == 20, "{second:?}");
}

/// `PromptHash` with settings of a checkpoint.
fn with_settings(change: impl FnOnce(&mut loupe_core::CheckpointRecord)) -> PromptHash {
    let mut model = PromptHash::new().with_weights("ab");
    let Provenance::Checkpoint(record) = &mut model.info.from else { panic!("no checkpoint") };
    record.settings = json!({ "pictures": { "max_pixels": 50176 }, "text": { "rope": [1, 2] } });
    record.device = "cuda:0".to_owned();
    record.generation = Some(GenerationDefaults {
        repetition_penalty: 1.0,
        beams: None,
        end_tokens: vec![2],
        not_used: Default::default(),
    });
    change(record);
    model
}

#[test]
fn what_changes_results_is_compared_on_resume_and_named_and_nothing_else_is() {
    let (dir, set) = (scratch(), QuestionSet::new(6));
    answered_by(dir.path(), &set, &plan(2), &mut with_settings(|_| {})).unwrap();
    let again = |model: &mut PromptHash| answered_by(dir.path(), &set, &plan(2), model);
    let refused = |mut model: PromptHash| again(&mut model).unwrap_err().to_string();
    let said = refused(with_settings(|c| {
        c.settings["pictures"]["max_pixels"] = json!(12544);
        c.template_sha256 = Some("other".to_owned());
    }));
    for part in ["settings.pictures.max_pixels", "50176", "12544", "template_sha256", "another run"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(refused(with_settings(|c| c.tokenizer_sha256 = Some("t".into()))).contains("tokenizer_sha256"));
    assert!(refused(with_settings(|c| c.device = "cpu".into())).contains("device"));
    assert!(refused(with_settings(|c| c.dtype = "f16".into())).contains("dtype"));
    let ends = |c: &mut loupe_core::CheckpointRecord| c.generation.as_mut().unwrap().end_tokens.push(7);
    assert!(refused(with_settings(ends)).contains("generation.end_tokens"));
    // The penalty that is used is the checkpoint's where nobody says otherwise.
    let penalty =
        |c: &mut loupe_core::CheckpointRecord| c.generation.as_mut().unwrap().repetition_penalty = 1.3;
    assert!(refused(with_settings(penalty)).contains("limits.repetition_penalty"));
    // Names, notes, other files with the same meaning, and which of two cards.
    let mut same = with_settings(|c| {
        c.device = "cuda:1".to_owned();
        c.notes = vec!["something to know".to_owned()];
        let not_used = [("temperature".to_owned(), json!(0.5))].into();
        let end_tokens = vec![2];
        c.generation =
            Some(GenerationDefaults { repetition_penalty: 1.3, beams: None, end_tokens, not_used });
        c.files_sha256.insert("config.json".to_owned(), "beef".to_owned());
    });
    same.info.name = "copied".to_owned();
    let mut given = plan(2);
    given.limits.repetition_penalty = Some(1.0);
    assert_eq!(answered_by(dir.path(), &set, &given, &mut same).unwrap().already, 6);
}

#[test]
fn rows_added_behind_extend_a_run_when_asked_to() {
    let dir = scratch();
    // With one image a question, so that more rows change nothing about the first.
    struct Rows(QuestionSet, usize);
    impl Dataset for Rows {
        fn info(&self) -> &DatasetInfo {
            &self.0.info
        }
        fn len(&self) -> usize {
            self.1
        }
        fn get(&self, index: usize) -> Result<Sample, DataError> {
            let mut sample = self.0.get(index)?;
            sample.media = vec![loupe_core::MediaRef::file(format!("picture{index}.png"))];
            Ok(sample)
        }
    }
    let run = |rows: usize, fingerprint: &str, plan: &Plan| {
        let mut set = Rows(QuestionSet::new(40), rows);
        set.0.info.fingerprint = fingerprint.to_owned();
        let loader = loupe_testing::FlatPictures::sound();
        loupe_run::run(
            dir.path(),
            plan,
            &set,
            &mut loupe_core::Direct(&mut PromptHash::new()),
            &loader,
            &mut (),
        )
    };
    assert_eq!(run(6, "one", &plan(2)).unwrap().total, 6);
    let before = said(dir.path());
    let more = run(9, "one", &plan(2)).unwrap_err().to_string();
    assert!(more.contains("9 samples") && more.contains("with 6") && more.contains("--extend"), "{more}");
    let extend = Plan { extend: true, ..plan(2) };
    let done = run(9, "two", &extend).unwrap();
    assert_eq!((done.total, done.already, done.answered + done.failed), (9, 6, 3));
    assert_eq!(said(dir.path())[..6], before[..]);
    assert_eq!(said(dir.path()).len(), 9);
    // It is now a run of nine, and the plain command resumes it.
    assert_eq!(run(9, "two", &plan(2)).unwrap().already, 9);
    let touched = run(9, "three", &plan(2)).unwrap_err().to_string();
    assert!(touched.contains("fingerprint") && touched.contains("--extend"), "{touched}");
    let fewer = run(8, "two", &extend).unwrap_err().to_string();
    assert!(fewer.contains("8 samples") && fewer.contains("with 9"), "{fewer}");
    // A larger selection is an extension too.
    let other = scratch();
    let mut first = plan(2);
    first.selection.limit = Some(4);
    go(other.path(), &QuestionSet::new(12), &first, 1).unwrap();
    let error = go(other.path(), &QuestionSet::new(12), &plan(2), 1).unwrap_err();
    assert!(matches!(&error, RunError::Differs { field, .. } if field.starts_with("selection")), "{error}");
    assert_eq!(go(other.path(), &QuestionSet::new(12), &extend, 1).unwrap().already, 4);
}

#[test]
fn a_changed_row_is_named_even_when_rows_may_be_added() {
    let (dir, set) = (scratch(), QuestionSet::new(6));
    go(dir.path(), &set, &plan(2), 1).unwrap();
    for extend in [false, true] {
        let plan = Plan { extend, ..plan(2) };
        let loader = loupe_testing::FlatPictures::sound();
        let mut model = PromptHash::new();
        let changed = QuestionSet::new(6).edited(|index, sample| {
            if index == 2 {
                sample.target = Target::Text(vec!["something else".to_owned()]);
            }
        });
        let error = loupe_run::run(
            dir.path(),
            &plan,
            &changed,
            &mut loupe_core::Direct(&mut model),
            &loader,
            &mut (),
        );
        let said = error.unwrap_err().to_string();
        assert!(said.contains("sample 3") && said.contains("target"), "{said}");
        assert!(!said.contains("something else"), "{said}");
    }
}

#[test]
fn a_row_that_can_be_read_later_is_asked_with_retry_failed() {
    let (dir, holes, sound) = (scratch(), QuestionSet::new(6).with_holes(), QuestionSet::new(6));
    let first = with_pictures(dir.path(), &holes, &plan(2), &mut PromptHash::new());
    assert_eq!((first.answered + first.failed, first.unreadable), (5, 1));
    let error = answered_by(dir.path(), &sound, &plan(2), &mut PromptHash::new()).unwrap_err().to_string();
    assert!(error.contains("sample 6") && error.contains("--retry-failed"), "{error}");
    let again = Plan { retry_failed: true, ..plan(2) };
    let done = with_pictures(dir.path(), &sound, &again, &mut PromptHash::new());
    assert_eq!((done.already, done.answered + done.failed, done.unreadable), (5, 1, 0));
    let whole = scratch();
    with_pictures(whole.path(), &sound, &plan(2), &mut PromptHash::new());
    assert!(said(dir.path()) == said(whole.path()));
    // The other way round is another set.
    let error = answered_by(dir.path(), &holes, &again, &mut PromptHash::new()).unwrap_err().to_string();
    assert!(error.contains("sample 6") && error.contains("no question"), "{error}");
}

/// Questions about files of a folder, one of them a folder itself once it is there.
struct Filed {
    of: QuestionSet,
    root: PathBuf,
}

impl Dataset for Filed {
    fn info(&self) -> &DatasetInfo {
        self.of.info()
    }
    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }
    fn len(&self) -> usize {
        self.of.len()
    }
    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let mut sample = self.of.get(index)?;
        let path = self.root.join(format!("studies/{index}"));
        sample.media[0].source =
            if path.is_dir() { MediaSource::Folder(path) } else { MediaSource::File(path) };
        Ok(sample)
    }
}

#[test]
fn images_are_named_from_the_sets_folder_on_and_found_again_in_another() {
    let (dir, old, new) = (scratch(), scratch(), scratch());
    let set = |root: &Path| Filed { of: QuestionSet::new(3), root: root.to_path_buf() };
    let run = |set: &Filed, plan: &Plan| {
        let loader = loupe_testing::FlatPictures::sound();
        let mut model = PromptHash::new();
        loupe_run::run(dir.path(), plan, set, &mut loupe_core::Direct(&mut model), &loader, &mut ()).unwrap()
    };
    put(&old.path().join("studies/1"), b"a file");
    run(&set(old.path()), &plan(2));
    let text = fs::read_to_string(dir.path().join("samples.jsonl")).unwrap();
    assert!(text.contains("\"studies/1\"") && !text.contains(&old.path().display().to_string()), "{text}");
    let first = |folder: &RunFolder| {
        let line = folder.items().unwrap().nth(1).unwrap().unwrap().line;
        match line.sample.unwrap().media.remove(0).source {
            MediaSource::File(path) | MediaSource::Folder(path) => path,
            MediaSource::Bytes(_) => panic!("bytes"),
        }
    };
    let folder = RunFolder::open(dir.path()).unwrap();
    assert_eq!(first(&folder), old.path().join("studies/1"));
    assert_eq!(first(&folder.with_data_root(Some(new.path()))), new.path().join("studies/1"));
    // Another place of the set, and a folder of images that was not there before, are the same run.
    fs::create_dir_all(new.path().join("studies/2")).unwrap();
    assert_eq!(run(&set(new.path()), &Plan { retry_failed: true, ..plan(2) }).already, 3);
}

#[test]
fn a_line_that_was_cut_short_is_gone_from_the_file_after_a_resume() {
    let (dir, set) = (scratch(), QuestionSet::new(6));
    with_pictures(dir.path(), &set, &plan(2), &mut PromptHash::new());
    let path = dir.path().join("replies.jsonl");
    let whole = fs::read(&path).unwrap();
    for cut in [whole.len() - 1, whole.len() - 20] {
        fs::write(&path, &whole[..cut]).unwrap();
        with_pictures(dir.path(), &set, &plan(2), &mut PromptHash::new());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 6);
        assert!(text.ends_with('\n'));
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
    }
}
