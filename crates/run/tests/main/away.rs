//! Nobody answers any more: the run ends, nothing that says nothing about an item is on record, and it goes on later.

use crate::plan;
use loupe_core::model::one_by_one;
use loupe_core::{AskSource, Direct, ModelError, ModelInfo, Reply, ReplySink, Retry, VisionLanguageModel};
use loupe_run::{Finished, RunError, RunFolder, run};
use loupe_testing::{FlatPictures, QuestionSet, script_info};
use std::path::Path;

/// Answers so many and then fails in one way.
struct Until {
    info: ModelInfo,
    left: usize,
    then: Retry,
}

impl VisionLanguageModel for Until {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        one_by_one(asks, replies, |_| match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(Reply::from_text("yes"))
            }
            None => Err(ModelError::Served { reason: "the server is down".to_owned(), retry: self.then }),
        });
    }
}

fn go(dir: &Path, left: usize, then: Retry) -> Result<Finished, RunError> {
    let mut model = Until { info: script_info("until"), left, then };
    let set = QuestionSet::new(10);
    run(dir, &plan(4), &set, &mut Direct(&mut model), &FlatPictures::sound(), &mut ())
}

fn recorded(dir: &Path) -> usize {
    let folder = RunFolder::open(dir).unwrap();
    folder.items().unwrap().filter(|item| item.as_ref().unwrap().reply.is_some()).count()
}

#[test]
fn a_run_ends_when_nobody_answers_and_goes_on_later() {
    for (then, will_pass) in [(Retry::Away, true), (Retry::Barred, false)] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("run");
        let Err(RunError::Unreachable { passes, recorded: on_record, total, reason }) = go(&dir, 4, then)
        else {
            panic!("the run goes on without a model");
        };
        assert_eq!((passes, on_record, total, reason.as_str()), (will_pass, 4, 10, "the server is down"));
        assert_eq!(recorded(&dir), 4);
        let finished = go(&dir, 10, then).unwrap();
        assert_eq!((finished.already, finished.answered, finished.failed), (4, 6, 0));
    }
}

#[test]
fn what_is_to_be_answered_later_is_counted_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("run");
    let finished = go(&dir, 3, Retry::Later).unwrap();
    assert_eq!((finished.answered, finished.deferred, finished.failed), (3, 7, 0));
    assert_eq!(recorded(&dir), 3);
    assert_eq!(go(&dir, 10, Retry::Later).unwrap().answered, 7);
}
