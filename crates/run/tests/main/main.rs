//! Runs: resumed, refused, stopped, read back; prompts to the character.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod away;
mod company;
mod former;
mod hidden;
mod hostile_templates;
mod kill;
mod record;
mod report_bounds;
mod report_prompt;
mod resume;
mod selection;
mod shards;
mod templates;

use loupe_core::sample::Outcome;
use loupe_core::{Dataset, Direct, VisionLanguageModel};
use loupe_run::{Finished, Plan, RunError, RunFolder, run, templates::default_template};
use loupe_testing::{FlatPictures, PromptHash, QuestionSet};
use std::path::Path;

/// A plan that decodes so many items ahead.
fn plan(decode_ahead: usize) -> Plan {
    Plan { decode_ahead, decode_threads: 2, ..Plan::new(default_template()) }
}

/// Runs with pictures of which some are broken, and a model that holds so many prompts at a time.
fn go(dir: &Path, set: &QuestionSet, plan: &Plan, room: usize) -> Result<Finished, RunError> {
    answered_by(dir, set, plan, &mut PromptHash::with_room(room))
}

fn answered_by(
    dir: &Path,
    set: &QuestionSet,
    plan: &Plan,
    model: &mut dyn VisionLanguageModel,
) -> Result<Finished, RunError> {
    run(dir, plan, set, &mut Direct(model), &FlatPictures::default(), &mut ())
}

/// The same with pictures that all load.
fn with_pictures(
    dir: &Path,
    set: &dyn Dataset,
    plan: &Plan,
    model: &mut dyn VisionLanguageModel,
) -> Finished {
    run(dir, plan, set, &mut Direct(model), &FlatPictures::sound(), &mut ()).unwrap()
}

/// Id, rollout, and the words or the reason of the failure of what has been answered.
type ItemWords = (String, usize, Option<Result<String, String>>);

/// What a run says of each item, in order: the words, or the reason of the failure. Nothing of it may depend
/// on company, order or interruption.
fn said(dir: &Path) -> Vec<ItemWords> {
    let folder = RunFolder::open(dir).unwrap();
    let one = |item: loupe_run::Item| {
        let words = item.prediction().map(|p| match p.into_owned().outcome {
            Outcome::Reply(reply) => Ok(reply.text),
            Outcome::Failed(failure) => Err(failure.reason),
        });
        (item.line.id(), item.rollout, words)
    };
    folder.items().unwrap().map(|item| one(item.unwrap())).collect()
}
