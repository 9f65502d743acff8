//! The items of a run with what profiles decided about them.

use crate::profile::{Case, Judgement, Profile, Verdict};
use loupe_core::guard::caught;
use loupe_core::{Prediction, Sample};
use loupe_run::{Item, ReplyLine, RunError, RunFolder};
use std::path::Path;

/// An item of a run with what every profile decided about it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedItem {
    /// Sample, reply, pictures and trace.
    pub item: Item,
    /// Decisions in the order of the profiles; empty when the dataset could not give the row.
    pub verdicts: Vec<(String, Judgement)>,
}

impl JudgedItem {
    /// The words of the reply.
    pub fn reply(&self) -> Option<&str> {
        self.item.reply.as_ref().and_then(|r: &ReplyLine| r.prediction.text())
    }

    /// The decision of the profile of that name.
    pub fn verdict(&self, profile: &str) -> Option<&Judgement> {
        self.verdicts.iter().find(|(name, _)| name == profile).map(|(_, j)| j)
    }
}

/// The item as profiles are given it.
pub(crate) fn case<'a>(sample: &'a Sample, prediction: &'a Prediction, item: &'a Item) -> Case<'a> {
    let pictures = item.reply.as_ref().map_or(&[][..], |r| &r.pictures);
    Case { sample, prediction, pictures }
}

/// What the profiles decide about a case, under their names.
pub(crate) fn judge(profiles: &[&dyn Profile], case: &Case<'_>) -> Vec<(String, Judgement)> {
    // Rules that fail on a reply leave that reply without a verdict, and say so.
    let judged = |profile: &dyn Profile| {
        let rule = "the rules failed on this reply in a way that they should not; please report it";
        caught(|| profile.judge(case)).unwrap_or_else(|| Judgement::bare(Verdict::Unscored, rule, ""))
    };
    profiles.iter().map(|p| (p.name().to_owned(), judged(*p))).collect()
}

/// Every item in dataset order, judged here and now; items that the run has not come to have no reply and
/// no verdicts. Read one at a time. A run that was just scored gives the verdicts that it has
/// ([`ScoredRun::items`](crate::ScoredRun::items)).
///
/// # Errors
/// When the folder cannot be read; each item may fail on its own.
pub fn view<'a>(
    folder: &'a RunFolder,
    profiles: &'a [&'a dyn Profile],
) -> Result<impl Iterator<Item = Result<JudgedItem, RunError>> + 'a, RunError> {
    Ok(folder.items()?.map(move |item| {
        let item = item?;
        let verdicts = match (&item.line.sample, item.prediction()) {
            (Some(sample), Some(prediction)) => judge(profiles, &case(sample, &prediction, &item)),
            _ => Vec::new(),
        };
        Ok(JudgedItem { item, verdicts })
    }))
}

/// A run with what one profile decided about each of its replies, judged once and kept, for whatever reads
/// the run several times: a comparison and its page.
#[derive(Debug, Clone)]
pub struct JudgedRun {
    /// The run.
    pub folder: RunFolder,
    profile: String,
    /// One a unit (sample and rollout) in dataset order; `None` where there is nothing to judge.
    judgements: Vec<Option<Judgement>>,
}

impl JudgedRun {
    /// Judges the replies of the run in `dir`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(dir: &Path, profile: &dyn Profile) -> Result<Self, RunError> {
        let folder = RunFolder::open(dir)?;
        let profiles = [profile];
        let only = |judged: Result<JudgedItem, RunError>| Ok(judged?.verdicts.pop().map(|(_, j)| j));
        let judgements = view(&folder, &profiles)?.map(only).collect::<Result<_, RunError>>()?;
        Ok(Self { folder, profile: profile.name().to_owned(), judgements })
    }

    /// The profile's name.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// Every item in dataset order with the profile's decision, read one at a time.
    ///
    /// # Errors
    /// When the folder cannot be read; each item may fail on its own.
    pub fn items(&self) -> Result<impl Iterator<Item = Result<JudgedItem, RunError>> + '_, RunError> {
        let mut judgements = self.judgements.iter();
        Ok(self.folder.items()?.map(move |item| {
            let judgement = judgements.next().cloned().flatten();
            let verdicts = judgement.map(|j| (self.profile.clone(), j)).into_iter().collect();
            Ok(JudgedItem { item: item?, verdicts })
        }))
    }
}
